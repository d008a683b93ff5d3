"""A run changes and deletes only what it created."""

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from contract_tests.engine.central import Central, Shared
from contract_tests.engine.exchange import COLLECTION
from contract_tests.engine.failures import OwnershipError
from contract_tests.engine.ledger import Ledger
from contract_tests.engine.options import Options, is_loopback
from contract_tests.engine.transport import Transport
from contract_tests.runner.leftovers import Cleaned, clean_leftovers, remove_owned
from contract_tests.runner.report import PASSED, SKIPPED
from contract_tests.runner.run import Run
from mock_server.contract import tables as contracts
from mock_server.serving.server import MockServer, serving

pytestmark = pytest.mark.served

FOREIGN = {each["id"] for each in contracts.load().defaults}
DEFAULT = "10d3b4dc-8295-41bc-bb50-6da5484cdb1a"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "127.1", "localhost", "LOCALHOST", "[::1]"])
def test_loopback_hosts_are_recognised(host: str) -> None:
    assert is_loopback(f"http://{host}:8080")


@pytest.mark.parametrize("host", ["127.example.com", "127.0.0.1.example.com", "localhost.example.com", "10.0.0.1"])
def test_hosts_named_like_loopback_are_not_loopback(host: str) -> None:
    assert not is_loopback(f"http://{host}:8080")


@pytest.fixture
def mock() -> Iterator[MockServer]:
    with serving() as server:
        yield server


@pytest.fixture
def transport(mock: MockServer, tmp_path: Path) -> Iterator[Transport]:
    ledger = Ledger(tmp_path, "run", mock.url)
    yield Transport(Options(url=mock.url, state_dir=tmp_path), "run", ledger)
    ledger.close(keep=False)


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("DELETE", f"{COLLECTION}/{DEFAULT}", {}),
        ("PUT", f"{COLLECTION}/{DEFAULT}", {}),
        ("PATCH", f"{COLLECTION}/{DEFAULT}", {}),
        ("DELETE", f"{COLLECTION}/{DEFAULT.replace('-', '%2D')}", {}),
        ("DELETE", f"{COLLECTION}/{DEFAULT}?x=1", {}),
        ("POST", f"{COLLECTION}/{DEFAULT}", {"X-HTTP-Method-Override": "DELETE"}),
        ("GET", f"{COLLECTION}/{DEFAULT}", {"X-HTTP-Method-Override": "DELETE"}),
        ("DELETE", f"/{COLLECTION}/{DEFAULT}", {}),
        ("DELETE", f"{COLLECTION};a/{DEFAULT}", {}),
        ("DELETE", f"{COLLECTION}/{DEFAULT};a", {}),
    ],
)
def test_write_to_a_foreign_integration_is_not_sent(
    transport: Transport, method: str, path: str, headers: dict[str, str]
) -> None:
    with pytest.raises(OwnershipError):
        transport.send(method, path, value={}, headers=headers)
    assert transport.count == 0


def test_method_override_header_cannot_turn_a_read_into_a_write(mock: MockServer, tmp_path: Path) -> None:
    headers = (("x-http-method-override", "DELETE"),)
    ledger = Ledger(tmp_path, "run", mock.url)
    transport = Transport(Options(url=mock.url, state_dir=tmp_path, headers=headers), "run", ledger)
    ledger.close(keep=False)
    with pytest.raises(OwnershipError):
        transport.send("GET", f"{COLLECTION}/{DEFAULT}")
    assert transport.count == 0


def test_id_in_the_query_of_a_write_is_guarded(transport: Transport) -> None:
    id, _ = Central(transport, "create", Shared("run", "5.0")).created()
    for name in ("id", "config.id"):
        with pytest.raises(OwnershipError):
            transport.send("DELETE", f"{COLLECTION}/{id}?{name}={DEFAULT}")


def test_unverifiable_integrations_are_reported_as_left(mock: MockServer, transport: Transport) -> None:
    """A target that dies during a run no longer lists its integrations, but they may still exist."""
    body = {"name": f"{transport.name_prefix}a", "type": "docker", "categories": ["REGISTRY"], "docker": {}}
    id = transport.send("POST", COLLECTION, value={**body, "skipTestIntegration": True}).object["id"]
    mock.fault("GetImageIntegrations code=503 times=1")
    mock.fault("DeleteImageIntegration fault=reset times=3")
    assert remove_owned(transport) == [id, "integrations whose create was not answered, if any"]
    assert remove_owned(transport) == []


def test_created_integrations_are_deleted_without_a_list(mock: MockServer, tmp_path: Path) -> None:
    mock.mutate("list-bare")
    report = Run(Options(url=mock.url, state_dir=tmp_path, profile="quick"))()
    mock.mutate()
    assert report.exit_code == 1
    assert not report.left_behind
    names = [each["name"] for each in requests.get(f"{mock.url}{COLLECTION}", timeout=5).json()["integrations"]]
    assert not [name for name in names if name.startswith("central-contract-")]


def test_remote_target_is_only_read_without_permission(tmp_path: Path) -> None:
    url = "https://central.example.com"
    ledger = Ledger(tmp_path, "run", url)
    transport = Transport(Options(url=url, state_dir=tmp_path), "run", ledger)
    ledger.close(keep=False)
    with pytest.raises(OwnershipError, match="not allowed"):
        transport.send("POST", COLLECTION, value={"name": "x"})


def test_created_integrations_may_be_changed_and_deleted(transport: Transport) -> None:
    central = Central(transport, "name-unique", Shared("run", "5.0"))
    id, sent = central.created()
    assert central.put(id, sent).status == 200
    assert central.delete(id).status == 200


def test_run_id_is_on_disk_before_the_first_request(
    mock: MockServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr("os.fsync", lambda _: synced.append(next(tmp_path.glob("*.ledger")).read_text("utf-8")))
    ledger = Ledger(tmp_path, "gone", mock.url)
    assert json.loads(synced[0]) | {"pid": 0} == {"run": "gone", "target": mock.url, "pid": 0, "exact": False}
    before = requests.get(f"{mock.url}{COLLECTION}", timeout=5).json()
    # The process ends here, and everything after the ledger's first line is lost.
    Central(
        Transport(Options(url=mock.url, state_dir=tmp_path), "gone", ledger), "create", Shared("gone", "5.0")
    ).created()
    ledger.close(keep=True)
    ledger.path.write_text(synced[0].replace(str(os.getpid()), "0"), "utf-8")
    assert clean_leftovers(Options(url=mock.url, state_dir=tmp_path)) == Cleaned(deleted=1)
    assert requests.get(f"{mock.url}{COLLECTION}", timeout=5).json() == before


def test_proxy_sees_no_write_to_a_foreign_id(mock: MockServer, tmp_path: Path) -> None:
    written: list[str] = []

    class Forward(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.command not in ("GET", "HEAD", "OPTIONS", "TRACE"):
                written.append(f"{self.command} {self.path}")
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            answer = requests.request(
                self.command, mock.url + self.path, data=body, headers=headers, timeout=30, stream=True
            )
            content = answer.raw.read(decode_content=False)
            self.send_response_only(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_TRACE = handle_any

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    before = requests.get(f"{mock.url}{COLLECTION}", timeout=5).json()
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Forward)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        only = ("create", "name-unique", "update-replaces", "path-id-wins", "delete-answer", "garbage-refused")
        report = Run(
            Options(url=f"http://127.0.0.1:{proxy.server_port}", profile="quick", state_dir=tmp_path, only=only)
        )()
    finally:
        proxy.shutdown()
        proxy.server_close()
    assert report.exit_code == 0, report.failures
    assert written
    assert not [line for line in written for id in FOREIGN if id in line]
    assert requests.get(f"{mock.url}{COLLECTION}", timeout=5).json() == before
    assert not list(tmp_path.glob("*.ledger"))


@pytest.mark.parametrize("workers", [1, 2])
def test_checks_share_integrations_only_with_one_worker(transport: Transport, workers: int) -> None:
    transport.options = replace(transport.options, profile="quick", workers=workers)
    shared = Shared("run", "5.0")
    one, other = Central(transport, "create", shared), Central(transport, "update-read-back", shared)
    id, sent = one.created()
    one.keep(id, sent)
    assert (other.standing("docker")[0] == id) == (workers == 1)
    taken = other.claim("docker")
    assert taken == ((id, sent) if workers == 1 else None)


@pytest.mark.heavy
def test_check_beyond_max_live_is_skipped_with_advice(mock: MockServer, tmp_path: Path) -> None:
    report = Run(Options(url=mock.url, state_dir=tmp_path, profile="quick", max_live=10))()
    assert report.exit_code == 3
    assert not report.failures
    left_out = {each.check: each.reason for each in report.results if "--max-live" in each.reason}
    assert 0 < len(left_out) < 10
    assert "read-after-create" in left_out


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("profile", "room"), [("quick", 150), ("quick", 30), pytest.param("default", 150, marks=pytest.mark.slow)]
)
def test_parallel_checks_do_not_disturb_each_other(mock: MockServer, tmp_path: Path, profile: str, room: int) -> None:
    report = Run(Options(url=mock.url, state_dir=tmp_path, profile=profile, workers=8, max_live=room, seed=1))()
    assert {each.check: each.reason for each in report.results if each.outcome not in (PASSED, SKIPPED)} == {}
    assert not [each.check for each in report.results if "--max-live" in each.reason]
    assert not report.left_behind


def test_early_delete_with_404_frees_a_place(transport: Transport, mock: MockServer) -> None:
    """Central answers 404 to a DELETE before it has written the health record, but deletes."""
    room = 3
    transport.guard.options = replace(transport.options, max_live=room)
    central = Central(transport, "create", Shared("run", "5.0"))
    for _ in range(3 * room):
        id, _ = central.created()
        central.get(id)
        requests.delete(f"{mock.url}{COLLECTION}/{id}", timeout=10).raise_for_status()
        assert central.delete(id).status == 404
    for _ in range(room):
        central.created()
    with pytest.raises(OwnershipError, match="more than 3 integrations of this run would exist"):
        central.created()


def test_token_expiring_at_the_end_loses_no_result(mock: MockServer, tmp_path: Path) -> None:
    def expire_after_last(_result: object, done: int, of: int) -> None:
        if done == of:
            mock.fault(code=401, path="/v1/imageintegrations")

    report = Run(Options(url=mock.url, state_dir=tmp_path, only=("list",)), expire_after_last)()
    by_check = {each.check: each for each in report.results}
    assert (by_check["list"].outcome, by_check["others-untouched"].outcome) == (PASSED, SKIPPED)
    assert by_check["others-untouched"].reason == "the target did not return its list"


@pytest.mark.parametrize("code", [401, 403])
def test_token_expiring_in_the_middle_is_no_failure_of_the_target(mock: MockServer, tmp_path: Path, code: int) -> None:
    def expire_after_two(_result: object, done: int, _of: int) -> None:
        if done == 2:
            mock.fault(code=code, path="/v1/imageintegrations")

    only = ("list", "create", "read-after-create", "name-unique", "names-exact")
    report = Run(Options(url=mock.url, state_dir=tmp_path, only=only), expire_after_two)()
    assert (report.verdict, report.failures) == ("incomplete", [])
    assert any("3 checks were skipped: the target refuses the credentials by now" in each for each in report.incomplete)
