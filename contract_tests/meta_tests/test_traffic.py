"""`central-contract proxy` and `audit`: what they find in others' traffic, and what they call undecidable."""

import base64
import dataclasses
import gzip
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self, cast

import jsonschema_rs
import pytest
import requests
from click.testing import CliRunner, Result
from flask.testing import FlaskClient

from contract_tests.cli.main import main
from contract_tests.engine.failures import HarnessError
from contract_tests.engine.integrations import read_answer
from contract_tests.meta_tests.traffic_detection import judged, proxying
from contract_tests.meta_tests.traffic_journeys import Client, travel, ui
from contract_tests.traffic import har, sources
from contract_tests.traffic.exchanges import Seen, headers_of, plain
from contract_tests.traffic.judge import Judge
from contract_tests.traffic.proxy import JudgeThread
from contract_tests.traffic.record import HELD, UNDECIDABLE
from contract_tests.traffic.secrets import Secrets
from mock_server import bounded_http, create_app
from mock_server.contract import tables as contracts
from mock_server.contract.routes import Routes
from mock_server.serving.server import serving
from mock_server.settings import Settings

if TYPE_CHECKING:
    from mock_server.contract.tables import Contract

ROOT = Path(__file__).parents[2]
PATH = "/v1/imageintegrations"
CONTRACT = contracts.load()
NEWEST = CONTRACT.releases.newest.line
JSON = headers_of(
    [("Content-Type", "application/json"), ("Cache-Control", "no-store, no-cache"), ("Vary", "Accept-Encoding")]
)
MORE = ("refused", "conversations", "lists", "taken", "versions/4.8", "versions/4.9", "versions/4.10", "versions/4.11")
ID = "0b0c8d3e-4a2f-4c5e-9d1a-2f3e4d5c6b7a"
DOCKER: dict[str, Any] = {
    "id": "",
    "name": "one",
    "type": "docker",
    "categories": ["REGISTRY"],
    "docker": {"endpoint": "registry.example.com", "username": "u", "password": "a-long-password", "insecure": False},
    "skipTestIntegration": True,
}


def body_of(value: Any) -> bytes:
    return b"" if value is None else json.dumps(value).encode()


class Story:
    """Exchanges with a Central, one per second by default."""

    def __init__(self, **options: Any) -> None:
        self.judge = Judge(NEWEST, **options)
        self.traffic: list[Seen] = []

    def add(
        self, method: str, path: str = "", sent: Any = None, status: int = 200, answer: Any = None, **more: Any
    ) -> Self:
        at = float(len(self.traffic))
        times = {"began": at, "ended": at + 0.5} | more
        seen = Seen(method, PATH + path, status, body=body_of(sent), reply=body_of(answer), reply_headers=JSON, **times)
        self.traffic.append(seen)
        return self

    def create(self, body: Any = DOCKER, id: str = ID, **more: Any) -> Self:
        return self.add("POST", "", body, 200, read_answer(CONTRACT, body, id), **more)

    def listed(self, *bodies: Any, **more: Any) -> Self:
        items = [read_answer(CONTRACT, each, each["id"]) for each in bodies]
        return self.add("GET", "", None, 200, {"integrations": items}, **more)

    def refused(
        self,
        method: str,
        path: str,
        sent: Any,
        rule: str,
        status: int = 400,
        code: int = 3,
        text: str | None = None,
        **more: Any,
    ) -> Self:
        message = text or f"Validation error: {CONTRACT.rules[rule].message}"
        answer = {"code": code, "message": message, "details": [], "error": message}
        return self.add(method, path, sent, status, answer, **more)

    def broken(self) -> set[str]:
        self.judge.judge(self.traffic)
        return {each.check for each in self.judge.findings.failures}

    def outcomes(self, rule: str) -> set[str]:
        self.judge.judge(self.traffic)
        return {outcome for _, each, outcome in self.judge.record.tally if each == rule}


STORED = DOCKER | {"id": ID}


# -- the model of the store ----------------------------------------------------------------------------


def test_reads_must_show_what_was_written() -> None:
    assert Story().create().listed(STORED).broken() == set()
    assert Story().create().listed().broken() == {"read-after-create"}
    assert Story().create().listed(STORED | {"name": "other"}).broken() == {"read-after-create"}
    updated = Story().create().add("PUT", f"/{ID}", STORED | {"name": "two"}, 200, {})
    assert updated.listed(STORED).broken() == {"update"}
    deleted = Story().create().add("DELETE", f"/{ID}", None, 200, {})
    assert deleted.listed(STORED).broken() == {"delete-answer"}


def test_unexpected_change_is_blamed_on_the_last_write() -> None:
    other = DOCKER | {"name": "two"}
    second = ID.replace("0b", "1b")
    story = Story().create().listed(STORED).create(other, second).add("PUT", f"/{second}", other, 200, {})
    assert story.listed(STORED | {"clusterId": "c"}, other | {"id": second}).broken() == {"update-changes-one"}


def test_earlier_state_is_undecidable() -> None:
    unknown = Story().add("GET", f"/{ID}", None, 200, read_answer(CONTRACT, STORED, ID))
    assert unknown.outcomes("read-after-create") == {UNDECIDABLE}
    taken = Story().refused("POST", "", DOCKER, "name-unique", text='integration with name "one" already exists')
    assert taken.broken() == set()
    assert taken.outcomes("name-unique") == {UNDECIDABLE}


def test_refusal_of_a_free_name_is_broken() -> None:
    story = (
        Story().listed().refused("POST", "", DOCKER, "name-unique", text='integration with name "one" already exists')
    )
    assert story.broken() == {"name-unique"}


def test_acceptance_of_a_used_name_is_broken() -> None:
    assert Story().create().create(DOCKER, ID.replace("0b", "1b")).broken() == {"name-unique"}


def test_concurrent_requests_are_undecidable() -> None:
    story = Story().create().add("DELETE", f"/{ID}", None, 200, {}, began=1.0, ended=3.0)
    assert story.listed(STORED, began=1.5, ended=2.0).broken() == set()
    story = Story().create().add("PUT", f"/{ID}", STORED | {"name": "two"}, 200, {}, began=1.0, ended=3.0)
    story.add("PUT", f"/{ID}", STORED | {"name": "three"}, 200, {}, began=1.5, ended=2.0)
    assert story.listed(STORED | {"name": "three"}, began=4.0, ended=5.0).broken() == set()


def test_others_write_makes_stored_state_undecidable() -> None:
    story = Story(others_write=True).create().listed()
    assert story.broken() == set()
    assert story.outcomes("read-after-create") == {UNDECIDABLE}


def test_integrations_of_secured_clusters_are_undecidable() -> None:
    story = Story().create(DOCKER | {"autogenerated": True})
    assert story.listed().broken() == set()


def test_an_unanswered_write_makes_its_integration_undecidable() -> None:
    story = Story().create().add("PUT", f"/{ID}", STORED | {"name": "two"}, 0)
    assert story.listed(STORED | {"name": "two"}).broken() == set()


def test_delete_right_after_the_create_may_answer_404() -> None:
    def deleted(after: float) -> Story:
        story = Story().create()
        text = f'Error removing health for integration {ID}: unable to find integration health for integration "{ID}"'
        return story.refused("DELETE", f"/{ID}", None, "delete-missing", 404, 5, text, began=after, ended=after + 0.1)

    assert deleted(0.6).broken() == set()
    assert "delete-answer" in deleted(60.0).broken()


def test_refusal_needs_the_right_reason() -> None:
    local = DOCKER | {"docker": DOCKER["docker"] | {"endpoint": "localhost"}}
    assert Story().refused("POST", "", local, "endpoint-not-local").broken() == set()
    assert Story().refused("POST", "", DOCKER, "endpoint-not-local").broken() == {"endpoint-not-local"}
    assert Story().refused("POST", "", local, "category-required").broken() == {"endpoint-not-local"}
    assert Story().refused("POST", "", local, "endpoint-not-local", 422).broken() == {"endpoint-not-local"}
    bare = DOCKER | {"docker": None}
    assert Story().refused("POST", "", bare, "docker-config-required", 500, 13).broken() == set()
    assert Story().refused("POST", "", bare, "docker-config-required").broken() == {"docker-config-required"}
    untested = bare | {"skipTestIntegration": False}
    assert Story().refused("POST", "", untested, "docker-config-required").broken() == set()
    assert Story().refused("POST", "", DOCKER, "", text="not today").broken() == {"create"}
    assert Story().create(local).broken() == {"endpoint-not-local"}
    tested = DOCKER | {"skipTestIntegration": False}
    assert Story().refused("POST", "", tested, "", text="no such host").broken() == set()


def test_answers_of_a_proxy_are_not_blamed_on_central() -> None:
    story = Story()
    for status in (502, 503, 504, 429):
        story.add("GET", "", None, status, "<html>")
    story.add("GET", "", None, 302)
    assert story.broken() == set()


@pytest.mark.parametrize(
    ("headers", "path"), [({"Grpc-Timeout": "1n"}, ""), ({"Content-Type": "application/grpc-web"}, ""), ({}, "/%00")]
)
def test_behaviour_outside_the_contract_is_undecidable(headers: dict[str, str], path: str) -> None:
    story = Story().create().add("DELETE" if path else "GET", path, None, 504, {"code": 4, "message": "late"})
    story.traffic[-1] = dataclasses.replace(story.traffic[-1], headers=headers_of(headers.items()))
    assert story.listed(STORED).broken() == set()


def test_list_during_a_delete_proves_nothing() -> None:
    story = Story().listed(STORED, began=0.0, ended=0.5).add("DELETE", f"/{ID}", None, 200, {}, began=0.3, ended=0.8)
    assert story.broken() == set()


def test_refusals_of_a_strict_mock_are_undecidable() -> None:
    text = "the request violates the contract: $.name: is required"
    assert Story().listed().refused("POST", "", DOCKER, "", text=text).broken() == set()


def test_unknown_fields_are_the_clients_fault() -> None:
    story = Story().create(DOCKER | {"clusters": []})
    assert story.broken() == set()
    assert list(story.judge.record.client) == ["PostImageIntegration: $.clusters: is not a field of the contract"]


def test_refused_create_must_not_be_listed() -> None:
    local = DOCKER | {"docker": DOCKER["docker"] | {"endpoint": "localhost"}}

    def story(**options: Any) -> Story:
        return Story(**options).listed().refused("POST", "", local, "endpoint-not-local")

    stored = local | {"id": ID}
    assert story().listed(stored).broken() == {"create-rolled-back"}
    assert story().create(DOCKER).listed(STORED).broken() == set()
    assert story().listed(stored | {"name": "of somebody else"}).broken() == set()
    assert story(others_write=True).listed(stored).broken() == set()
    lost = story().add("POST", "", DOCKER, 0).listed(stored)
    assert lost.broken() == set()


TOKEN = headers_of([("Authorization", "Bearer a-token-of-somebody")])


def test_inconsistent_authentication_is_found() -> None:
    def story(*, token: bool = True, refused: bool = True) -> Story:
        found = Story().listed(headers=TOKEN if token else headers_of([]))
        if refused:
            message = "credentials not found: no valid tokens found"
            found.add("GET", "", None, 401, {"code": 16, "message": message, "details": [], "error": message})
        return found.listed()

    assert "read-permission" in story().broken()
    assert "read-permission" not in story(token=False).broken()  # they may have been left out of the recording
    assert story(refused=False).broken() == set()


def test_always_slow_operation_is_found() -> None:
    def story(*seconds: float, others: float = 0.1) -> set[str]:
        found = Story().create()
        for at in range(6):
            found.add("PUT", f"/{ID}", STORED, 200, {}, began=100.0 + 20 * at, ended=100.0 + 20 * at + others)
        for at, each in enumerate(seconds):
            found.listed(STORED, began=300.0 + 20 * at, ended=300.0 + 20 * at + each)
        return found.broken()

    assert story(6, 6, 6, 6) == {"response-time"}
    assert story(6, 6, 6) == set()
    assert story(6, 6, 0.1, 6, 6) == set()
    assert story(6, 6, 6, 6, others=6) == set()


# -- recorded traffic ----------------------------------------------------------------------------------


def judge_of(path: Path, **options: Any) -> Judge:
    recording = sources.read(path)
    judge = Judge(recording.version or NEWEST, **options)
    for conversation in recording.conversations.values():
        judge.begin()
        judge.judge(each for each in conversation if judge.concerns(each.target))
    return judge


@pytest.mark.parametrize(
    "name", ["auth", "managed", "surprising", *(pytest.param(each, marks=pytest.mark.slow) for each in MORE)]
)
def test_shipped_fixtures_pass_the_audit(name: str) -> None:
    judge = judge_of(ROOT / f"fixtures/{name}.jsonl")
    assert judge.findings.failures == []
    assert judge.judged >= 1
    if name == "refused":
        held = {rule for _, rule, outcome in judge.record.tally if outcome == HELD}
        assert len(held & CONTRACT.rules.keys()) >= 60


def test_binary_body_of_a_fixture_is_judged_as_it_was_sent() -> None:
    recording = sources.read(ROOT / "fixtures/refused.jsonl")
    sent = {seen.body for conversation in recording.conversations.values() for seen in conversation}
    assert b"\x1f\x8b\x08\x00\xff" in sent


def test_wrong_fixture_is_found(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in (ROOT / "fixtures/refused.jsonl").read_text("utf-8").splitlines()]
    line = next(each for each in lines if each["rule"] == "ibm-api-key-required" and "request" in each)
    line["expect"] = {"status": 200}
    file = tmp_path / "lie.jsonl"
    file.write_text(json.dumps(line))
    assert {each.check for each in judge_of(file).findings.failures} == {"ibm-api-key-required"}


def test_request_journal_needs_no_notes_of_the_mock() -> None:
    entry = {"number": 1, "time": "2026-08-22T10:00:00.000Z", "ms": 2, "method": "GET", "path": "/v1/imageintegrations",
             "query": "name=a", "headers": {}, "body": None, "status": 200, "answer": {"integrations": []}}  # fmt: skip
    (seen,) = sources.journal([entry])
    assert (seen.target, seen.status, seen.reply) == ("/v1/imageintegrations?name=a", 200, b'{"integrations": []}')


@pytest.mark.served
def test_request_journal_is_judged(tmp_path: Path) -> None:
    def journal(*mutants: str) -> Judge:
        settings = Settings(seed=1, mutants=mutants)
        with serving(settings) as mock:
            for at, type in enumerate(("docker", "quay")):
                ui(Client(mock.url, at, settings.credentials.admin_token), type)
            file = tmp_path / "journal.json"
            file.write_text(json.dumps({"requests": mock.journal()}))
        return judge_of(file)

    healthy = journal()
    assert healthy.judged > 20
    assert healthy.findings.failures == []
    assert ("UpdateImageIntegration", "reconcile-dependent-unchanged", HELD) in healthy.record.tally
    assert (
        "GetImageIntegrations",
        "credentials-masked",
        HELD,
    ) not in healthy.record.tally  # the journal masks by itself
    assert "reconcile-dependent-unchanged" in {
        each.check for each in journal("reconcile-dependent-unchanged").findings.failures
    }


def kept(path: Path, mock: FlaskClient, *, har: bool) -> Path:
    """Save the request journal of a mock."""
    file = path / "journal"
    file.write_bytes(mock.get("/__admin/requests.har" if har else "/__admin/requests").data)
    return file


@pytest.mark.parametrize("har", [False, True])
def test_request_journal_of_odd_requests_raises_no_alarm(tmp_path: Path, har: bool) -> None:
    mock = create_app(Settings(empty=True)).test_client()
    mock.get(PATH)
    id = json.loads(mock.post(PATH, json=DOCKER).data)["id"]
    for code in (500, 503):
        for operation in ("GetImageIntegrations", "PostImageIntegration"):
            mock.post("/__admin/faults", json={"operation": operation, "code": code, "times": 1})
        mock.post(PATH, json=DOCKER | {"name": f"not stored {code}"})
        mock.get(PATH)
    mock.patch(f"{PATH}/{id}", json={"config": DOCKER})
    mock.post(PATH, data=b'{"name":"half \\ud83d"}')
    mock.post(PATH, data=json.dumps(DOCKER | {"name": "wide"}).encode("utf-16"))
    mock.get(PATH)
    judge = judge_of(kept(tmp_path, mock, har=har))
    assert [(each.check, each.what) for each in judge.findings.failures] == []
    assert ("GetImageIntegrations", "read-after-create", HELD) in judge.record.tally


def entry(
    method: str, url: str, status: int, body: Any = None, answer: Any = None, at: int = 0, **more: Any
) -> dict[str, Any]:
    """Return an entry as browsers write it."""
    content = {"size": len(answer or ""), "mimeType": "application/json"}
    if answer is not None:
        content |= {"text": base64.b64encode(answer.encode()).decode(), "encoding": "base64"}
    return {
        "startedDateTime": f"2026-08-22T10:00:{at:02}.000+02:00",
        "time": 12.5,
        "request": {
            "method": method,
            "url": url,
            "httpVersion": "h2",
            "headers": [{"name": "authorization", "value": "Bearer a-token-of-somebody"}],
            **({"postData": {"mimeType": "application/json", "text": body}} if body else {}),
        },
        "response": {
            "status": status,
            "headers": [{"name": name.lower(), "value": value} for name, value in JSON.items()],
            "content": content,
        },
    }


@pytest.fixture
def browsed(tmp_path: Path) -> Path:
    """A browser's recording of a user who views the list, creates an integration and views the list again."""
    url = f"https://central.example.com{PATH}"
    stored = json.dumps(read_answer(CONTRACT.at("4.9"), DOCKER, ID))
    entries = [
        entry("GET", "https://central.example.com/v1/metadata", 200, answer='{"version": "4.9.2"}'),
        entry("GET", "https://elsewhere.example.com/tracking?token=hidden", 0),
        entry("GET", url, 200, answer='{"integrations": []}', at=1),
        entry("POST", url, 200, json.dumps(DOCKER), stored, at=2),
        entry("GET", url, 200, answer=f'{{"integrations": [{stored}]}}', at=3),
        entry("GET", url, 0, at=4),
    ]
    file = tmp_path / "browsed.har"
    file.write_text(json.dumps({"log": {"version": "1.2", "entries": entries}}))
    return file


def of_entries(path: Path, *entries: Any) -> Path:
    file = path / "some.har"
    file.write_text(json.dumps({"log": {"version": "1.2", "entries": entries}}))
    return file


def test_centrals_in_one_har_are_judged_separately(tmp_path: Path) -> None:
    one, two = (f"https://{each}.example.com{PATH}" for each in ("staging", "production"))
    stored = f'{{"integrations": [{json.dumps(read_answer(CONTRACT, DOCKER, ID))}]}}'
    entries = [entry("GET", one, 200, answer=stored), entry("GET", two, 200, answer='{"integrations": []}', at=1)]
    file = of_entries(tmp_path, *entries, entry("GET", one, 200, answer=stored, at=2))
    assert judge_of(file).findings.failures == []
    audit(file, "--redact", tmp_path / "handed-on.har")
    assert list(sources.read(tmp_path / "handed-on.har").conversations) == [one[: -len(PATH)], two[: -len(PATH)]]


def test_order_within_a_millisecond_is_undecidable(tmp_path: Path) -> None:
    url = f"https://central.example.com{PATH}"
    stored = json.dumps(read_answer(CONTRACT, DOCKER, ID))
    shown = entry("GET", url, 200, answer=f'{{"integrations": [{stored}]}}') | {"time": 0}
    file = of_entries(tmp_path, shown, entry("DELETE", f"{url}/{ID}", 200, answer="{}") | {"time": 0}, shown)
    assert judge_of(file).findings.failures == []


@pytest.mark.parametrize("change", ["headers", "time", "response", "body", "status", "packed"])
def test_incomplete_recording_is_not_a_fault_of_central(tmp_path: Path, change: str) -> None:
    found = entry("GET", f"https://central.example.com{PATH}", 200, answer='{"integrations": []}')
    if change == "headers":
        found["request"]["headers"] = found["response"]["headers"] = None
    elif change == "status":
        found["response"]["status"] = -1
    elif change == "packed":
        found["response"]["headers"].append({"name": "Content-Encoding", "value": "br"})
        found["response"]["content"]["text"] = base64.b64encode(b"\x0b\x02\x80abc").decode()
    elif change == "body":
        found["response"]["content"]["text"] = "*not base64*"
    else:
        found[change] = None
    done = audit(of_entries(tmp_path, found))
    assert done.exit_code in (0, 3), done.output


def test_method_that_is_no_text_is_judged(tmp_path: Path) -> None:
    done = audit(of_entries(tmp_path, entry("\ud800", f"https://central.example.com{PATH}", 405, answer="{}")))
    assert done.exit_code in (0, 1, 3), done.output


@pytest.mark.parametrize(("host", "status"), [("*.example.com", 1), ("a\ud800.example.com", 2)])
def test_host_that_cannot_be_asked_is_judged_or_refused(tmp_path: Path, host: str, status: int) -> None:
    done = audit(of_entries(tmp_path, entry("GET", f"https://{host}{PATH}", 405, answer="{}")))
    assert done.exit_code == status, done.output
    assert "is not a URL" in done.output or "FAILED" in done.output


def test_fixtures_of_an_unknown_release_are_refused(tmp_path: Path) -> None:
    line = json.loads((ROOT / "fixtures/refused.jsonl").read_text("utf-8").partition("\n")[0])
    file = tmp_path / "newer.jsonl"
    file.write_text(json.dumps(line | {"central": "9.9"}))
    done = audit(file)
    assert done.exit_code == 2
    assert done.output.startswith("Error: '9.9' is not a release of Central")
    assert audit(file, "--central-version", "5.0").exit_code in (0, 3)


def test_har_without_api_requests_is_reported(tmp_path: Path) -> None:
    done = audit(of_entries(tmp_path, entry("GET", f"https://central.example.com/central{PATH}", 200, answer="{}")))
    assert done.exit_code == 3
    assert f"contains no request whose path begins with {PATH}" in done.output


@pytest.mark.parametrize("response", [{"status": 0}, None], ids=str)
def test_traffic_without_answers_is_incomplete(response: Any, tmp_path: Path) -> None:
    unanswered = entry("GET", f"https://central.example.com{PATH}", 0) | {"response": response}
    done = audit(of_entries(tmp_path, unanswered))
    assert done.exit_code == 3
    assert "is incomplete: 0 of " in done.output


def test_url_that_cannot_be_read_is_shown_without_its_secrets(tmp_path: Path) -> None:
    done = audit(of_entries(tmp_path, entry("GET", f"https://user:s3cret@[::1{PATH}?token=s3cret", 200)))
    assert done.exit_code == 2
    assert f"$.log.entries[0].request.url: 'https://…@[::1{PATH}?…' is not a URL" in done.output


def test_recording_is_kept_if_the_proxy_cannot_start(tmp_path: Path) -> None:
    kept, token = tmp_path / "kept.har", tmp_path / "token"
    kept.write_text("a recording")
    token.write_text("a-token")
    words = ["http://127.0.0.1:1", "--port", "0", "--har", str(kept), "--read-list", "--token-file", str(token)]
    done = CliRunner().invoke(main, ["proxy", *words])
    assert done.exit_code == 2
    assert kept.read_text() == "a recording"


def test_truncated_archive_is_reported(browsed: Path) -> None:
    browsed.write_text(browsed.read_text()[:500])
    done = audit(browsed)
    assert done.exit_code == 2
    assert "or is incomplete" in done.output


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; give a HAR"),
        (b"[" * 100_000, "is nested too deeply"),
        (bytes(range(256)), "is not UTF-8 or UTF-16 text"),
        (b'{"swagger": "2.0"}', "is not a HAR, request journal or JSON Lines of fixtures"),
        (b'{"log": {"entries": {"a": 1}}}', "$.log.entries: is not a list"),
        (b'{"log": {"entries": [null]}}', "$.log.entries[0]: is not a HAR 1.2 entry"),
        (b'{"log": {"entries": [{}]}}', "$.log.entries[0]: has no 'request'"),
        (
            json.dumps({"log": {"entries": [entry("GET", "/", 200) | {"startedDateTime": "today"}]}}).encode(),
            "$.log.entries[0].startedDateTime: 'today' is not a time such as",
        ),
        (
            json.dumps({"log": {"entries": [entry("GET", "http://[::1/", 200)]}}).encode(),
            "$.log.entries[0].request.url: 'http://[::1/' is not a URL",
        ),
    ],
)
def test_invalid_file_is_reported_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "odd.har"
    file.write_bytes(content)
    done = audit(file)
    assert done.exit_code == 2
    assert done.output.startswith(f"Error: {file}: ")
    assert message in done.output
    assert done.output.count("\n") == 1


def test_utf_16_recording_is_read(browsed: Path) -> None:
    """PowerShell uses this encoding for `curl … > file`."""
    browsed.write_text(browsed.read_text("utf-8"), "utf-16")
    assert "4 requests" in audit(browsed).output


def test_default_port_is_the_same_central(tmp_path: Path) -> None:
    one, two = (f"https://{host}{PATH}" for host in ("central.example.com", "Central.example.com:443"))
    file = of_entries(tmp_path, *(entry("GET", each, 200, answer='{"integrations": []}') for each in (one, two)))
    assert list(sources.read(file).conversations) == ["https://central.example.com"]


def test_sandboxes_in_one_har_are_judged_separately(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:8080{PATH}"
    stored = f'{{"integrations": [{json.dumps(read_answer(CONTRACT, DOCKER, ID))}]}}'
    first = entry("GET", url, 200, answer=stored)
    other = entry("GET", url, 200, answer='{"integrations": []}', at=1)
    assert judge_of(of_entries(tmp_path, first, other)).findings.failures != []
    other["request"]["headers"].append({"name": "mock-central-sandbox", "value": "mine"})
    assert judge_of(of_entries(tmp_path, first, other, entry("GET", url, 200, answer=stored, at=2))).record.tally[
        "GetImageIntegrations", "reads-repeat", HELD
    ]
    assert judge_of(tmp_path / "some.har").findings.failures == []


def test_secrets_of_a_har_are_never_shown(tmp_path: Path) -> None:
    url = f"https://central.example.com{PATH}"
    hidden = (f"t0p-secret-{number}" for number in range(100))
    local = DOCKER["docker"] | {"endpoint": f"https://user:{next(hidden)}@registry.example.com"}
    body = DOCKER | {"docker": local | {"password": next(hidden)}, "pasted": {"password": [next(hidden), 12345678]}}
    found = entry("POST", f"{url}?token={next(hidden)}", 200, json.dumps(body), json.dumps({"id": ID} | body))
    for name in ("Authorization", "Cookie", "X-Api-Key", "Proxy-Authorization"):
        found["request"]["headers"].append({"name": name, "value": f"{name}={next(hidden)}"})
    found["response"]["headers"].append({"name": "Set-Cookie", "value": f"session={next(hidden)}"})
    for kind in ("cookies", "queryString"):
        found["request"][kind] = [{"name": "token", "value": next(hidden)}]
    found["_webSocketMessages"] = [{"data": next(hidden)}]
    texts = ("password=%s", "<password>%s</password>", "password: %s", '{"password": "%s" ', '{"a": 1} password %s')
    more = [entry("POST", url, 400, text % next(hidden), text % next(hidden), at=1) for text in texts]
    coded = entry("POST", url, 400, at=2)
    coded["request"]["postData"] = {"encoding": "base64", "text": base64.b64encode(json.dumps(body).encode()).decode()}
    reports = [f"--report-{kind}={tmp_path / kind}" for kind in ("json", "junit", "markdown", "html")]
    done = audit(of_entries(tmp_path, found, *more, coded), "--redact", tmp_path / "redacted", *reports)
    assert done.exit_code == 1
    shown = {file.name: file.read_text("utf-8") for file in tmp_path.iterdir() if file.name != "some.har"}
    assert len(shown) == 5
    for name, text in (shown | {"terminal": done.output}).items():
        assert re.findall(r".{0,80}(?:t0p-secret|12345678).{0,20}", text) == [], name


def test_user_name_next_to_a_password_is_read_in_both_spellings() -> None:
    robot = {"username": "robot", "password": "t0p-secret"}
    for spelling in ("registryRobotCredentials", "registry_robot_credentials"):
        body = json.dumps({"quay": {spelling: robot}}).encode()
        hidden = Secrets(CONTRACT).hide(Seen("POST", PATH, 200, 0.0, 0.0, body=body)).body
        assert json.loads(hidden or b"")["quay"][spelling] == {"username": "robot", "password": "canary-credential-1"}


def test_credential_in_a_header_name_is_hidden() -> None:
    seen = Seen("GET", PATH, 200, 0.0, 0.0, headers=headers_of([("Authorization", "Bearer t0p-secret-token")]))
    seen = dataclasses.replace(seen, reply_headers=headers_of([("X-T0p-Secret-Token", "1")]))
    assert list(Secrets(CONTRACT).hide(seen).reply_headers) == ["X-canary-credential-1"]


def test_credentials_in_challenges_and_redirects_are_hidden() -> None:
    more = headers_of(
        [("WWW-Authenticate", 'Bearer realm="a", tok="t0p-1"'), ("Location", "http://a:t0p-2@h/?code=t0p-3")]
    )
    seen = Secrets(CONTRACT).hide(Seen("GET", f"{PATH}?state=t0p-4", 401, 0.0, 0.0, reply_headers=more))
    assert seen.target == f"{PATH}?state=******"
    assert seen.reply_headers == headers_of(
        [("WWW-Authenticate", 'Bearer realm="a", tok="******"'), ("Location", "http://******@h/?code=******")]
    )


def test_oversized_compressed_body_is_not_read() -> None:
    assert plain(gzip.compress(b"0" * (bounded_http.MOST + 1)), "gzip") is None
    assert plain(gzip.compress(b"ab") + gzip.compress(b"c"), "gzip") == b"abc"


def audit(*words: object) -> Result:
    return CliRunner().invoke(main, ["audit", *map(str, words)])


def test_har_is_judged_by_its_own_release(browsed: Path) -> None:
    done = audit(browsed)
    assert done.exit_code == 0, done.output
    assert "Central 4.9, reported by the target; 4 requests" in done.output
    assert re.search(r"GetImageIntegrations +read-after-create +1 +1 ", done.output)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_verdict_is_printed_in_any_encoding(browsed: Path, encoding: str) -> None:
    done = CliRunner(charset=encoding).invoke(main, ["audit", str(browsed.rename(browsed.with_name("→.har")))])
    assert done.exit_code == 0, done.output
    assert "\\u2192.har passed" in done.output


def test_redacted_har_has_no_secret_and_the_same_verdict(browsed: Path, tmp_path: Path) -> None:
    handed_on = tmp_path / "out.har"
    reports = [f"--report-{kind}={tmp_path / kind}" for kind in ("json", "junit", "markdown", "html")]
    whole = audit(browsed, "--redact", handed_on, *reports)
    again = audit(handed_on, f"--report-json={tmp_path / 'again'}")
    assert (whole.exit_code, again.exit_code) == (0, 0)
    for file in (handed_on, *(tmp_path / kind for kind in ("json", "junit", "markdown", "html"))):
        text = file.read_text("utf-8")
        assert "a-long-password" not in text
        assert "a-token-of-somebody" not in text
        assert "tracking" not in text
    one, two = (json.loads((tmp_path / name).read_text("utf-8")) for name in ("json", "again"))
    jsonschema_rs.validate(json.loads((ROOT / "contract_tests/reports/report.schema.json").read_text("utf-8")), one)
    assert one["traffic"] == two["traffic"]
    assert one["results"] == two["results"]


def test_full_disk_is_reported_in_one_line_after_the_verdict(browsed: Path) -> None:
    result = audit(browsed, "--redact", "/dev/full")
    assert result.exit_code == 2
    assert result.output == audit(browsed).output + "Error: /dev/full cannot be written: No space left on device\n"


def test_errors_of_the_judge_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise HarnessError("the disk is full")

    unkept, unjudged = (JudgeThread(lambda _: Judge(NEWEST), keep, print) for keep in (refuse, print))
    unkept.start()
    unkept.take(Seen("GET", PATH, 200, 0.0, 1.0), 2.0)
    unkept.close()
    assert unkept.error == "the disk is full"
    monkeypatch.setattr(Judge, "settle", refuse)
    unjudged.start()
    unjudged.close()
    assert unjudged.error == "the disk is full"


def test_invalid_known_differences_stop_the_start(tmp_path: Path) -> None:
    (tmp_path / "known.toml").write_text("[[difference]]\n")
    result = CliRunner().invoke(main, ["proxy", "http://127.0.0.1:9", "--known", str(tmp_path / "known.toml")])
    assert (result.exit_code, "it has no check" in result.output) == (2, True)


def test_leak_is_found_but_not_shown(tmp_path: Path) -> None:
    secret = DOCKER["docker"]["password"]
    story = Story().create().listed(STORED | {"name": f"was {base64.b64encode(secret.encode()).decode()}"})
    assert "credential-leak" in story.broken()
    assert secret not in repr(story.judge.findings.failures)
    assert base64.b64encode(secret.encode()).decode() not in repr(story.judge.findings.failures)


def test_exit_status_matches_the_verdict(browsed: Path, tmp_path: Path) -> None:
    log = json.loads(browsed.read_text("utf-8"))
    log["log"]["entries"][4]["response"]["content"] = {"text": '{"integrations": []}'}
    wrong = tmp_path / "wrong.har"
    wrong.write_text(json.dumps(log))
    done = audit(wrong, "--report-markdown", tmp_path / "markdown")
    assert done.exit_code == 1
    assert "FAILED read-after-create" in done.output
    assert "### read-after-create" in (tmp_path / "markdown").read_text()
    assert "Replay it" not in (tmp_path / "markdown").read_text()  # only requests of `check` can be replayed
    assert "(likely: no other writer was seen)" in done.output
    assert audit(wrong, "--others-write").exit_code == 0
    assert audit(wrong, "--skip", "read-after-create").exit_code == 0
    known = tmp_path / "known.toml"
    known.write_text(
        '[[difference]]\ncheck = "read-after-create"\nreason = "a slow replica"\nlink = "https://bugs.test/7"\n'
    )
    accepted = audit(wrong, "--known", known)
    assert accepted.exit_code == 0
    assert "KNOWN  read-after-create: a slow replica (https://bugs.test/7)" in accepted.output
    config = tmp_path / "options.toml"
    config.write_text('known = ["known.toml"]\n')
    assert audit(wrong, "--config", config).exit_code == 0
    nothing = tmp_path / "nothing.har"
    nothing.write_text('{"log": {"entries": []}}')
    assert audit(nothing).exit_code == 3
    odd = tmp_path / "odd.har"
    odd.write_text("what is this")
    assert audit(odd).exit_code == 2


def test_client_violations_fail_only_on_request(browsed: Path, tmp_path: Path) -> None:
    log = json.loads(browsed.read_text("utf-8"))
    log["log"]["entries"][3]["request"]["postData"]["text"] = json.dumps(DOCKER | {"clusters": []})
    browsed.write_text(json.dumps(log))
    assert "The client violated the contract 1 time: PostImageIntegration: $.clusters" in audit(browsed).output
    done = audit(browsed, "--client-fails")
    assert done.exit_code == 1
    assert "FAILED client-contract" in done.output


# -- the proxy -----------------------------------------------------------------------------------------


def proxied(tmp_path: Path, journeys: int = 12, **settings: Any) -> tuple[Judge, Path, Settings]:
    """Judge journeys live, and write the traffic as a HAR."""
    chosen = Settings(seed=1, auth=True, **settings)
    judge = Judge(NEWEST)
    file = tmp_path / "proxied.har"
    with serving(chosen) as mock, har.Writer(file, mock.url) as writer:

        def take(seen: Seen, oldest: float) -> None:
            writer.add(judge.add(seen))
            judge.settle(oldest)

        with proxying(Settings(upstream=mock.url), take) as url:
            travel(url, journeys, chosen.credentials.admin_token)
    judge.settle()
    return judge, file, chosen


@pytest.mark.heavy
@pytest.mark.served
@pytest.mark.parametrize("mutant", ["", "update-password-ignored"])
def test_audit_of_the_proxys_har_agrees_with_the_proxy(tmp_path: Path, mutant: str) -> None:
    live, file, settings = proxied(tmp_path, mutants=(mutant,) if mutant else ())
    later = judge_of(file)
    assert later.record.tally == live.record.tally
    assert [(each.check, each.what, each.also) for each in later.findings.failures] == [
        (each.check, each.what, each.also) for each in live.findings.failures
    ]
    assert bool(live.findings.failures) == bool(mutant)
    assert settings.credentials.admin_token not in file.read_text("utf-8")
    assert "not-a-real-secret" not in file.read_text("utf-8")


@pytest.mark.served
@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"central_version": "4.8"}, {"managed": True}])
def test_fifty_journeys_raise_no_alarm(settings: dict[str, Any]) -> None:
    judge = judged(Settings(seed=1, auth=True, **settings), 50)
    assert judge.judged > 400
    assert judge.findings.failures == []


@pytest.mark.heavy
@pytest.mark.served
def test_concurrent_clients_raise_no_alarm() -> None:
    settings = Settings(seed=1, auth=True)
    judge = Judge(NEWEST)

    def take(seen: Seen, oldest: float) -> None:
        judge.add(seen)
        judge.settle(oldest)

    with serving(settings) as mock, proxying(Settings(upstream=mock.url), take) as url:
        clients = [
            threading.Thread(target=travel, args=(url, 4, settings.credentials.admin_token, seed)) for seed in (1, 2, 3)
        ]
        for each in clients:
            each.start()
        for each in clients:
            each.join()
    judge.settle()
    assert judge.judged > 100
    assert judge.findings.failures == []


@pytest.mark.served
@pytest.mark.slow
def test_requests_of_the_harness_raise_no_alarm(tmp_path: Path) -> None:
    settings = Settings(seed=1, auth=True)
    judge = Judge(NEWEST)
    lock = threading.Lock()

    def take(seen: Seen, oldest: float) -> None:
        with lock:
            if judge.concerns(seen.target):
                judge.add(seen)
                judge.settle(oldest)

    with serving(settings) as mock, proxying(Settings(upstream=mock.url), take) as url:
        words = [sys.executable, "-m", "contract_tests", "check", url, "--quick", "--seed", "1"]
        environment = _env() | {"CENTRAL_TOKEN": settings.credentials.admin_token}
        done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, check=False)
        assert done.returncode in (0, 3), done.stdout
    judge.settle()
    assert judge.judged > 500
    assert judge.findings.failures == []


class _Upstream(BaseHTTPRequestHandler):
    """A server that echoes the request, and sends its answer in two pieces."""

    protocol_version = "HTTP/1.1"
    go_on = threading.Event()

    def do_GET(self) -> None:
        if self.path.startswith("/there"):
            self.send_response(302)
            self.send_header("Location", f"http://{self.headers['Host']}/here%2Fnow?a=%20b")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.path.startswith(PATH):
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            text = gzip.compress(json.dumps({"integrations": []}).encode())
        else:
            self.send_response(200)
            text = f"{self.path} {self.headers.get('Authorization')}".encode()
        half = len(text) // 2
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text[:half])
        self.wfile.flush()
        self.go_on.wait(10)
        self.wfile.write(text[half:])

    def do_POST(self) -> None:
        found = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(found)))
        self.end_headers()
        self.wfile.write(found)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def upstream() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Upstream)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    _Upstream.go_on.set()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.served
def test_everything_is_forwarded_unchanged(upstream: str) -> None:
    taken = []
    with proxying(Settings(upstream=upstream), lambda seen, _: taken.append(seen)) as url:
        answer = requests.get(f"{url}/a%20b/c?q=%20x", headers={"Authorization": "Basic abc"}, timeout=10)
        assert answer.text == "/a%20b/c?q=%20x Basic abc"
        moved = requests.get(f"{url}/there", allow_redirects=False, timeout=10)
        assert (moved.status_code, moved.headers["Location"]) == (302, "/here%2Fnow?a=%20b")
        large = b"x" * 5_000_000
        assert requests.post(f"{url}{PATH}/test", data=large, timeout=10).content == large
        _Upstream.go_on.clear()
        with requests.get(f"{url}/slow", stream=True, timeout=10) as slow:
            assert slow.raw.read(5) == b"/slow"  # before the rest was sent
            assert not _Upstream.go_on.is_set()
            _Upstream.go_on.set()
            assert slow.raw.read() == b" None"
        listed = requests.get(f"{url}{PATH}", timeout=10)
        assert listed.headers["Content-Encoding"] == "gzip"
        assert listed.json() == {"integrations": []}
    assert [(each.method, each.target, each.status) for each in taken] == [
        ("POST", f"{PATH}/test", 200),
        ("GET", PATH, 200),
    ]
    assert taken[0].body is None  # too long to be kept
    assert taken[1].reply == b'{"integrations": []}'


@pytest.mark.served
def test_unreachable_server_gives_502_and_no_failure() -> None:
    taken = []
    with proxying(Settings(upstream="http://127.0.0.1:9"), lambda seen, _: taken.append(seen)) as url:
        answer = requests.get(f"{url}{PATH}", timeout=10)
    assert answer.status_code == 502
    assert answer.json()["code"] == 14
    judge = Judge(NEWEST)
    judge.judge(taken)
    assert judge.judged == 1
    assert judge.findings.failures == []


def test_invalid_certificate_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text("no certificate")
    done = CliRunner().invoke(main, ["proxy", "http://127.0.0.1:9", "--cert", str(file), "--key", str(file)])
    assert done.exit_code == 2
    assert "are not a certificate and its key" in done.output


# -- the page ------------------------------------------------------------------------------------------


def commands() -> list[str]:
    text = (ROOT / "docs/how-to/judge-traffic.md").read_text("utf-8")
    lines = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    return [line for line in lines if "benchmarks" not in line]


@pytest.mark.heavy
@pytest.mark.served
def test_commands_of_the_docs_work(browsed: Path, tmp_path: Path) -> None:
    browsed.rename(tmp_path / "traffic.har")
    ran = 0
    settings = Settings(seed=1)
    with serving(settings) as mock:
        for command in commands():
            line = command.replace("http://127.0.0.1:8080", mock.url).replace("https://central.example.com", mock.url)
            line = line.replace("central-contract", f"{sys.executable} -m contract_tests").replace("8443", "0")
            ran += 1
            if " proxy " in line:
                _live(line, tmp_path)
            else:
                if "__admin" in line:
                    requests.get(mock.url + PATH, timeout=10)
                done = subprocess.run(["bash", "-c", line], cwd=tmp_path, env=_env(), capture_output=True, check=False)
                assert done.returncode == 0, done.stdout + done.stderr
    assert ran == 4
    assert "a-long-password" not in (tmp_path / "harmless.har").read_text("utf-8")
    assert [len(each) for each in sources.read(tmp_path / "traffic.har").conversations.values()] == [1]


def _env() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def _live(line: str, folder: Path) -> None:
    """Run the proxy, read the list through it, and stop it as CI services do."""
    process = subprocess.Popen(shlex.split(line), cwd=folder, env=_env(), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    listening = re.search(r"Listening on (\S+),", process.stderr.readline())
    assert listening is not None
    url = listening[1]
    assert requests.get(url + PATH, timeout=10).status_code == 200
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0, process.stderr.read()
    process.stderr.close()
    report = json.loads((folder / "report.json").read_text("utf-8"))
    assert (report["verdict"], report["requests"]) == ("passed", 1)


def test_operation_without_a_judge_is_undecidable_and_may_change_the_store() -> None:
    story = Story().create().add("POST", f"/{ID}/refresh", None, 200, {"state": "refreshed"})
    story.listed(STORED | {"name": "refreshed"})
    refresh = dataclasses.replace(
        CONTRACT.operations["TestImageIntegration"], id="RefreshImageIntegration", path=f"{PATH}/{{id}}/refresh"
    )
    more = SimpleNamespace(operations={**CONTRACT.operations, refresh.id: refresh})
    story.judge.record.routes = Routes(cast("Contract", more))
    assert story.broken() == set()
    judged = {rule for operation, rule, _ in story.judge.record.tally if operation == refresh.id}
    assert "effect" in judged
    assert "test" not in judged


def test_redacted_copy_does_not_replace_the_recording(tmp_path: Path) -> None:
    recording = of_entries(tmp_path)
    before = recording.read_bytes()
    result = audit(recording, "--redact", recording)
    assert result.exit_code == 2
    assert "names this file twice" in result.output
    assert recording.read_bytes() == before
