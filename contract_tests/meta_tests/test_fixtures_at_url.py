"""`central-contract fixtures --at URL`: what it writes to a server that others use, and what it leaves."""

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from contract_tests.cli.main import main
from contract_tests.engine.exchange import COLLECTION
from contract_tests.engine.ledger import Ledger
from contract_tests.engine.options import Options
from contract_tests.fixtures.formats import jsonl
from contract_tests.fixtures.generate import Wish, generate
from contract_tests.fixtures.servers import Shared
from contract_tests.meta_tests.lying_targets import Asked, Lie, Target, answering, honest
from contract_tests.runner.leftovers import clean_leftovers
from mock_server.contract import tables as contracts
from mock_server.serving.server import serving
from mock_server.settings import Settings
from mock_server.web import wsgi

INTEGRATION = {"type": "docker", "categories": ["REGISTRY"], "docker": {"endpoint": "registry.example.com"},
               "skipTestIntegration": True}  # fmt: skip


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ("fixtures", *words), prog_name="central-contract")


class Watched(Target):
    """A server that cannot be reset, and that records the requests."""

    def __init__(self) -> None:
        super().__init__(honest, user=False)
        self.asked: list[tuple[str, str]] = []

    def _answer(self, asked: Asked) -> wsgi.Answer:
        self.asked.append((asked.method, asked.path))
        return super()._answer(asked)


def test_only_the_requests_of_the_chosen_fixtures_are_sent(tmp_path: Path) -> None:
    target = Watched()
    with answering(target) as url:
        result = run("--rule", "query-encoding", "--at", url, "--allow-writes", "--state-dir", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert [each for each in target.asked if each[0] != "GET"] == [("POST", "/__admin/reset")]
    assert len(target.asked) < 6


def test_integrations_are_deleted_from_a_server_that_cannot_be_reset(tmp_path: Path) -> None:
    target, words = Watched(), ("--rule", "name-unique", "--state-dir", str(tmp_path))
    before = target.stored()
    with answering(target) as url:
        refused = run(*words, "--at", url)
        assert refused.exit_code == 2
        assert "--allow-writes lets fixtures write to it" in refused.output
        assert target.stored() == before
        assert run(*words, "--at", url, "--allow-writes").stdout == run("--rule", "name-unique").stdout
    assert (target.stored(), target.damage()) == (before, [])
    scanner = next(each["id"] for each in contracts.load().defaults if each["type"] == "scannerv4")
    assert [path for method, path in target.asked if method != "GET" and scanner in path] == []
    assert list(tmp_path.glob("*.ledger")) == []


def test_nothing_is_sent_to_another_machine_without_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contract_tests.fixtures.servers.session_for", None)
    result = run("--rule", "name-unique", "--at", "http://central.test")
    assert result.exit_code == 2
    assert "--allow-writes lets fixtures write to it" in result.output


def shows_nothing_of_others(target: Target, asked: Asked, answer: wsgi.Answer) -> wsgi.Answer:
    """Leave integrations of others out of the list, as before they are created, and answer 503 to reads of them."""
    if asked.method == "GET" and asked.id in target.of_others:
        return answer._replace(status=503)
    return answer._replace(body=b'{"integrations": []}') if asked.path == COLLECTION and not asked.is_create else answer


@pytest.mark.parametrize("lie", [honest, shows_nothing_of_others])
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_replayed_lines_write_to_no_integration_of_others(method: str, lie: Lie, tmp_path: Path) -> None:
    target = Target(lie, user=False)
    line = jsonl.line(next(generate(Wish(names=("delete-missing/*",)))))
    line["steps"][-1]["request"] = f"{method} {COLLECTION}/{target.first[0]}"
    (tmp_path / "lines.jsonl").write_text(json.dumps(line))
    with answering(target) as url:
        result = run("--replay", str(tmp_path), "--at", url, "--allow-writes", "--state-dir", str(tmp_path / "state"))
    assert (result.exit_code, target.damage()) == (2, []), result.output
    assert "was not created by this run" in result.output


@pytest.mark.heavy
def test_what_a_killed_recording_left_is_deleted_by_clean(tmp_path: Path) -> None:
    target = Target(honest, user=False)
    before = target.stored()
    with answering(target) as url:
        ledger = Ledger(tmp_path, "killed", url, exact=True)
        server = Shared(Options(url, state_dir=tmp_path, allow_writes=True), ledger)
        names = [f"Payments quay 1234-{number}" for number in range(3)]
        for name in names:
            body = json.dumps({**INTEGRATION, "name": name})
            assert server.ask("POST", COLLECTION, body.encode(), {"Content-Type": "application/json"}).status == 200
        ledger.close(keep=True)  # as the end of the process does
        target.ask("DELETE", f"{COLLECTION}/{_id_of(target, names[1])}")
        target.ask("POST", COLLECTION, {**INTEGRATION, "name": names[1]})  # by a user, under the same name
        cleaned = clean_leftovers(Options(url, state_dir=tmp_path))
        left = [each["name"] for each in target.stored() if each not in before]
    assert left == [names[1]]
    assert [names[1] in each for each in cleaned.left] == [True]


def _id_of(target: Target, name: str) -> str:
    return next(str(each["id"]) for each in target.stored() if each["name"] == name)


@pytest.mark.parametrize("resets", [True, False])
def test_request_with_a_bad_escape_is_sent_as_it_is(resets: bool, tmp_path: Path) -> None:
    words = ("--rule", "query-encoding", "--state-dir", str(tmp_path), "--allow-writes")
    with serving() if resets else answering(Target(honest, user=False)) as server:
        result = run(*words, "--at", server if isinstance(server, str) else server.url)
    assert result.exit_code == 0, result.output
    assert result.stdout == run("--rule", "query-encoding").stdout


@pytest.mark.parametrize("control", [True, False])
def test_refused_token_makes_no_fixtures(control: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CENTRAL_TOKEN", "expired")
    with serving(Settings(auth=True, control=control)) as mock:
        result = run("--rule", "name-unique", "--at", mock.url, "--allow-writes", "--state-dir", str(tmp_path))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "refuses the credentials: 403" in result.stderr
    assert list(tmp_path.glob("*.ledger")) == []


def test_timeout_says_how_to_wait_longer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = run("--rule", "name-unique", "--at", f"http://127.0.0.1:{silent.getsockname()[1]}", "--timeout", "0.2")
    assert result.exit_code == 2
    assert result.stderr.rstrip().endswith("; wait longer with --timeout")
