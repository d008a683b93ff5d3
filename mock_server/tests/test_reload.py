"""Changed files are applied while running; invalid ones are reported, and the last valid state stays."""

import dataclasses
import json
import logging
import re
import shutil
import threading
import time
import urllib.request

import pytest

from mock_server.central.auth import Credentials
from mock_server.cli import main as cli
from mock_server.cli import options, startup
from mock_server.contract import tables as contracts
from mock_server.serving.reload import Watcher
from mock_server.settings import Settings
from mock_server.state import scenarios
from mock_server.state.files import document, write
from mock_server.tests.conftest import PATH, Api, ask, docker
from mock_server.tests.test_cli import serve_command, url_in


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Copies of the shipped files that a test may change."""
    shutil.copy(contracts.find(), tmp_path)
    shutil.copy(scenarios.PATH, tmp_path)
    monkeypatch.setattr(contracts, "find", lambda: tmp_path / "openapi.yaml")
    monkeypatch.setattr(scenarios, "PATH", tmp_path / "scenarios.yaml")
    yield tmp_path
    monkeypatch.undo()
    scenarios.read_again()


def changed(path, old, new):
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_a_changed_document_is_applied_and_the_state_stays(shipped, caplog):
    api = Api()
    watcher = Watcher(api.app, {}, lambda: Settings(fatal_answers=True))
    api.create(docker(name="mine"))
    changed(shipped / "openapi.yaml", "name for integration is required", "a name, please")
    with caplog.at_level(logging.INFO, "mock_central"):
        watcher.look()
    assert "applied" in caplog.text
    assert "a name, please" in api.create(docker(name="")).message
    assert "mine" in [each["name"] for each in api.list()]


BROKEN = [
    ("paths:\n", "paths: [\n", r"openapi\.yaml:[0-9]+:[0-9]+: "),
    ("openapi: 3.1.0", "openapi: 3.1.0\nnonsense: 1", r"openapi\.yaml: at the top: .*nonsense"),
    ("      x-permission: read\n", "", "lacks a part that the mock needs: 'x-permission'"),
    ("operationId: GetImageIntegrations\n", "operationId: ListThem\n", "ListThem"),
]


@pytest.mark.heavy
@pytest.mark.parametrize(("old", "new", "message"), BROKEN, ids=["syntax", "structure", "extension", "operation"])
def test_an_invalid_document_is_reported_with_its_place_and_the_last_valid_one_stays(
    shipped, caplog, old, new, message
):
    api = Api()
    watcher = Watcher(api.app, {}, lambda: Settings(fatal_answers=True))
    whole = (shipped / "openapi.yaml").read_text("utf-8")
    changed(shipped / "openapi.yaml", old, new)
    watcher.look()
    assert caplog.records[-1].levelname == "ERROR"
    assert "the last valid state stays" in caplog.text
    assert __import__("re").search(message, caplog.text), caplog.text
    assert len(api.list()) == 12
    (shipped / "openapi.yaml").write_text(whole.replace("name for integration is required", "mended"), "utf-8")
    watcher.look()
    assert "mended" in api.create(docker(name="")).message


def test_changed_scenarios_are_applied(shipped, caplog):
    api = Api(scenario="legacy-azure")
    watcher = Watcher(api.app, {}, lambda: Settings(scenario="legacy-azure"))
    changed(shipped / "scenarios.yaml", "Azure registry of old", "changed")
    watcher.look()
    assert api.list()[-1]["name"] == "changed"
    changed(shipped / "scenarios.yaml", "fresh:\n", "fresh: [\n")
    watcher.look()
    assert "scenarios.yaml:" in caplog.text
    assert api.list()[-1]["name"] == "changed"
    assert "legacy-azure" in scenarios.known()


def test_a_changed_state_file_is_applied(tmp_path, caplog):
    file = tmp_path / "state.json"
    one = {"id": "a", "name": "one", "type": "docker", "categories": ["REGISTRY"]}
    write(file, document([one]))
    api = Api(load=file)
    watcher = Watcher(api.app, {"state": file}, lambda: Settings(load=file))
    write(file, document([one, {**one, "id": "b", "name": "second"}]))
    watcher.look()
    assert [each["name"] for each in api.list()] == ["one", "second"]
    file.write_text('{"format": ')
    watcher.look()
    assert f"{file}: line 1" in caplog.text
    file.unlink()
    watcher.look()
    assert "No such file" in caplog.text
    assert len(api.list()) == 2


def test_sandboxes_keep_their_state(shipped):
    api = Api()
    watcher = Watcher(api.app, {}, lambda: Settings(fatal_answers=True))
    sandboxes = api.app.gateway.sandboxes
    sandboxes.get("a").switch("empty")
    changed(shipped / "openapi.yaml", "name for integration is required", "changed")
    watcher.look()
    assert [each["integrations"] for each in sandboxes.listed()] == [12, 0]
    assert sandboxes.get("a").central.contract is sandboxes.default.central.contract


def test_no_seeded_id_is_repeated_after_the_seed_restarts(shipped, tmp_path):
    settings = Settings(seed=1, fatal_answers=True)
    api = Api(seed=1)
    ids = [api.created(docker(name="before"))]
    api.app.gateway.sandboxes.default.mutate(("name-unique",))
    ids.append(ask(api.app, "POST", PATH, docker(name="with a mutant")).json["id"])
    changed(shipped / "openapi.yaml", "name for integration is required", "changed")
    Watcher(api.app, {}, lambda: settings).look()
    ids.append(ask(api.app, "POST", PATH, docker(name="reloaded")).json["id"])
    write(tmp_path / "state.json", document(api.app.gateway.sandboxes.default.central.store.integrations()))
    ids.append(Api(seed=1, load=tmp_path / "state.json").created(docker(name="loaded")))
    assert len({*ids}) == 4


FIELDS_BY_OTHER_NAMES = {"basic", "control_token_file"}


def test_an_option_is_applied_or_reported_to_need_a_restart():
    taken_up = {each.name for made in (Settings, Credentials) for each in dataclasses.fields(made)}
    for each in options.OPTIONS:
        if each.name not in ("config", *FIELDS_BY_OTHER_NAMES):
            assert (each.field in taken_up) ^ (each.name in options.AT_START) or each.name in options.KEPT, each.name


@pytest.mark.served
def test_a_changed_option_that_needs_a_restart_is_named(tmp_path, caplog):
    file = tmp_path / "mock.toml"
    file.write_text('host = "127.0.0.1"\nstrict = false\n')
    words = ["--config", str(file), "--log-level", "info"]
    context = cli.serve.make_context("serve", words)
    beside = startup.running(context, options.settings_of(context))
    assert beside.again() == options.settings_of(context)
    assert not caplog.records
    file.write_text('host = "127.0.0.2"\nlog-level = "debug"\njournal = 5\ntls = true\nstrict = true\n')
    assert beside.again().strict
    assert [each.getMessage() for each in caplog.records] == [
        "restart to apply: --host, --tls, --journal"  # the log level is on the command line
    ]


def see_logged(process, pattern, patience=60):
    """Read the log up to a matching line."""
    deadline = threading.Timer(patience, process.kill)
    deadline.start()
    assert any(re.search(pattern, line) for line in process.stderr), pattern
    deadline.cancel()


@pytest.mark.served
def test_a_served_mock_applies_changed_settings(tmp_path):
    file = tmp_path / "mock.toml"
    file.write_text("strict = false\n")

    def status(url):
        body = json.dumps(docker(name=str(time.monotonic()), made_up=1)).encode()
        request = urllib.request.Request(f"{url}/v1/imageintegrations", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    with serve_command("--reload", "--config", str(file)) as (process, banner):
        assert status(url_in(banner)) == 200
        for text, logged in (("strict = tru", rf"{file}: Invalid.*line 1"), ("strict = true\n", f"applied: {file}")):
            file.write_text(text)
            see_logged(process, logged)
        assert status(url_in(banner)) == 400
