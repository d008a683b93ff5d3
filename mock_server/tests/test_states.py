"""State files."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mock_server.central.errors import Refusal
from mock_server.state import files as states
from mock_server.state.files import StateError, checked, document, locked, read, write
from mock_server.tests.conftest import Api, ask, docker, integrations
from mock_server.tests.test_cli import run, serve_command, url_in


def create(url, name):
    body = json.dumps(docker(name=name)).encode()
    request = urllib.request.Request(f"{url}/v1/imageintegrations", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["id"]


def names(url):
    with urllib.request.urlopen(f"{url}/v1/imageintegrations", timeout=10) as answer:
        return [each["name"] for each in json.load(answer)["integrations"]]


@pytest.mark.heavy
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(integrations, max_size=4, unique_by=lambda each: each["name"]))
def test_what_is_saved_is_loaded(tmp_path_factory, sent):
    file = tmp_path_factory.getbasetemp() / "state.json"
    one = Api(empty=True)
    for number, each in enumerate(sent):
        one.create({**each, "id": "", "name": f"{each['name']} {number}", "skipTestIntegration": True})
    write(file, document(one.central.store.integrations()))
    assert Api(load=file).central.store.integrations() == one.central.store.integrations()


def test_a_saved_state_is_indented_and_each_change_is_in_it(tmp_path):
    api, file = Api(empty=True), tmp_path / "state.json"
    saver = states.Saver(file, lambda: api.central.store)
    for name in ("é", "another"):
        api.created(docker(name=name))
        saver.save()
        assert (
            file.read_text("utf-8")
            == json.dumps(
                {"format": "mock-central state", "version": 1, "integrations": api.central.store.integrations()},
                ensure_ascii=False,
                indent=2,
            )
            + "\n"
        )


def test_a_state_file_is_readable_only_by_its_owner(tmp_path):
    write(tmp_path / "state.json", document([]))
    assert (tmp_path / "state.json").stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize("suffix", ["yaml", "yml"])
def test_a_state_may_be_yaml(tmp_path, suffix):
    file = tmp_path / f"state.{suffix}"
    file.write_text(
        "format: mock-central state\nversion: 1\nintegrations:\n- {id: a, name: x, type: docker, categories: []}\n"
    )
    assert Api(load=file).list()[0]["name"] == "x"


GOOD = {"id": "a", "name": "x", "type": "docker", "categories": ["REGISTRY"]}
HEAD = {"format": states.FORMAT, "version": states.VERSION}
BROKEN = [
    ("[]", r'\$\.format: is not "mock-central state", so this is not a state file$'),
    ("{", "line 1, column 2"),
    ('{\n "x": ]', "line 2, column 7"),
    (
        json.dumps({**HEAD, "version": 2, "integrations": []}),
        r"\$\.version: is not 1, the version that this release reads$",
    ),
    (json.dumps({**HEAD, "integrations": {}}), r"\$\.integrations: is not a list"),
    (json.dumps({**HEAD, "integrations": [], "more": 1}), r" \$\.more: is not a field of a state$"),
    (json.dumps({**HEAD, "integrations": [GOOD, {**GOOD, "id": ""}]}), r"\$\.integrations\[1\]\.id: is required"),
    (
        json.dumps({**HEAD, "integrations": [GOOD, GOOD]}),
        r"\[1\]\.id: is also that of \$\.integrations\[0\]$",
    ),
    (json.dumps({**HEAD, "integrations": [GOOD, {**GOOD, "id": "b"}]}), r"\[1\]\.name: is also that of"),
    (
        json.dumps({**HEAD, "integrations": [{**GOOD, "docker": {"password": 5}}]}),
        r"\.docker\.password: is a number",
    ),
    (json.dumps({**HEAD, "integrations": [{**GOOD, "made_up": "s3cr3t"}]}), r"\[0\]\.made_up: is not a field"),
    (json.dumps({**HEAD, "integrations": [{**GOOD, "docker": {}, "quay": {}}]}), "second config member"),
    (json.dumps({**HEAD, "integrations": [5]}), r"\[0\]"),
    (
        json.dumps({**HEAD, "integrations": [{**GOOD, "name": "\ud800"}]}),
        r"\[0\]\.name: has half of a surrogate pair \(\\ud800 to \\udfff\)$",
    ),
    ("[" * 200_000, "is nested too deeply"),
    (
        json.dumps({**HEAD, "integrations": [{**GOOD, "more": float("nan")}]}),
        r"\[0\]\.more: is nan, which JSON has no number for$",
    ),
    (f'{{"format": {"9" * 5000}}}', "has a number with too many digits"),
]


@pytest.mark.parametrize(("text", "named"), BROKEN, ids=[each[1] for each in BROKEN])
def test_a_broken_state_is_reported_with_file_and_place(tmp_path, api, text, named):
    file = tmp_path / "state.json"
    file.write_text(text)
    with pytest.raises(StateError, match=named) as raised:
        read(file, api.central.contract, api.central.validator)
    assert str(file) in str(raised.value)
    assert "s3cr3t" not in str(raised.value)
    result = run("serve", "--load", str(file))
    assert result.exit_code == 2
    assert str(file) in result.output
    assert "Traceback" not in result.output


def test_broken_yaml_is_reported_with_its_line(tmp_path, api):
    file = tmp_path / "state.yaml"
    file.write_text("format: x\n  - y: [\n")
    with pytest.raises(StateError, match="line 2, column 6: mapping"):
        read(file, api.central.contract, api.central.validator)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("format: \x01", "is not YAML"),
        (
            "integrations: [{name: 2026-01-01}]",
            r"\$\.integrations\[0\]\.name: is a date, which JSON does not have; put it in quotes$",
        ),
        ("version: 2026-99-99", "month must be in"),
        ("version: " + "9" * 5000, "has a number with too many digits"),
        ("version: .inf", r"\$\.version: is inf"),
        ("integrations: &a [*a]", "is nested too deeply"),
        ("[" * 2000, "is nested too deeply"),
    ],
    ids=["control character", "date", "no date", "number", "infinity", "circle", "deep"],
)
def test_yaml_that_is_not_json_is_reported(tmp_path, api, text, named):
    file = tmp_path / "state.yaml"
    file.write_text(text)
    with pytest.raises(StateError, match=named):
        read(file, api.central.contract, api.central.validator)


def test_a_byte_order_mark_is_not_part_of_a_state(tmp_path, api):
    file = tmp_path / "state.json"
    file.write_text(json.dumps({**HEAD, "integrations": []}), "utf-8-sig")
    assert read(file, api.central.contract, api.central.validator) == []


def test_bytes_that_are_no_text_are_reported(tmp_path, api):
    file = tmp_path / "state.json"
    file.write_bytes(b'"\xff"')
    with pytest.raises(StateError, match=rf"^{file}: is not UTF-8$"):
        read(file, api.central.contract, api.central.validator)
    with pytest.raises(StateError, match=r"^is not UTF-8$"):
        states.read_json(b'"\xff"')


def test_a_file_that_another_server_saves_to_is_reported_with_its_process(tmp_path):
    file = tmp_path / "state.json"
    by = rf"another mock-central \(process {os.getpid()}\) already saves to this file; choose another file"
    with locked(file), pytest.raises(StateError, match=f"^{file}: {by}$"), locked(file):
        pass


def test_a_file_system_without_locks_is_reported(tmp_path, monkeypatch, caplog):
    def fail(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(states.fcntl, "flock", fail)
    with locked(tmp_path / "state.json"):
        pass
    message = f"{tmp_path / 'state.json'}: cannot be locked, so another server could overwrite it: No locks available"
    assert caplog.messages == [message]


def test_a_missing_file_is_reported(tmp_path, api):
    with pytest.raises(StateError, match=r": No such file or directory$"):
        read(tmp_path / "none.json", api.central.contract, api.central.validator)
    with pytest.raises(StateError, match="cannot be written"):
        write(tmp_path / "none" / "state.json", document([]))
    result = run("serve", "--save", str(tmp_path / "none" / "state.json"))
    assert f"state.json: the folder {tmp_path / 'none'} does not exist" in result.output.splitlines()[-1]


def test_a_category_without_a_name_survives():
    api = Api()
    state = document([{**GOOD, "categories": [7]}])
    assert checked(state, api.central.contract, api.central.validator)[0]["categories"] == [7]


def test_unfinished_files_of_a_killed_writer_are_removed_at_the_start(tmp_path):
    file = tmp_path / "state.json"
    (tmp_path / ".state.json.abcd1234.tmp").write_text("credentials")
    (tmp_path / ".other.json.abcd1234.tmp").write_text("of another server")
    with locked(file):
        pass
    assert sorted(each.name for each in tmp_path.iterdir()) == [".other.json.abcd1234.tmp", ".state.json.lock"]


def test_the_start_finds_every_unfinished_file(tmp_path, monkeypatch):
    file = tmp_path / "state.json"

    class Killed(BaseException):
        pass

    def die(*_):
        raise Killed

    monkeypatch.setattr(os, "fsync", die)
    monkeypatch.setattr(Path, "unlink", die)
    with pytest.raises(Killed):
        write(file, document([]))
    monkeypatch.undo()
    assert [each for each in tmp_path.iterdir() if each != file]
    with locked(file):
        assert [each.name for each in tmp_path.iterdir()] == [".state.json.lock"]


def test_an_integration_is_written_as_it_was_loaded_or_changed(tmp_path):
    file = tmp_path / "state.json"
    api = Api(scenario="one-of-each")
    saver = states.Saver(file, lambda: api.central.store)
    id = api.created(docker(name='quotes " and \n lines'))
    saver.save()
    api.put(id, {**docker(name="é\u2028"), "id": id})
    api.delete(api.list()[0]["id"])
    saver.save()
    assert read(file, api.central.contract, api.central.validator) == api.central.store.integrations()
    assert (
        file.read_text("utf-8") == json.dumps(json.loads(file.read_text("utf-8")), ensure_ascii=False, indent=2) + "\n"
    )


def test_the_saver_does_not_log_errors_of_the_store(tmp_path, caplog):
    """The store has logged the error already."""
    api = Api()

    def integrations():
        raise Refusal("store", 503, 14, "the store is gone")

    with caplog.at_level("DEBUG", "mock_central"):
        saver = states.Saver(tmp_path / "state.json", lambda: api.central.store)
        api.central.store.integrations = integrations
        api.created(docker())
        saver.save()
    # Savers of other tests may still run.
    found = {(each.levelname, each.message) for each in caplog.records if "the store is gone" in each.message}
    assert found == {("DEBUG", "the state is not saved yet: the store is gone")}
    assert ask(api.app, "GET", "/__admin/health").json["status"] == "ok"


def test_a_full_disk_is_reported_once_and_by_health_until_there_is_space(tmp_path, monkeypatch, caplog):
    def full(_number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(states, "INTERVAL", 0.02)
    api = Api()
    saver = states.Saver(tmp_path / "state.json", lambda: api.central.store)
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", full)
    for number in range(5):
        api.created(docker(name=f"n{number}"))
        saver.save()
        time.sleep(0.03)
    shown = ask(api.app, "GET", "/__admin/health").json
    assert shown["status"] == "degraded"
    assert "state.json: cannot be written: No space left on device" in shown["problem"]
    assert ask(api.app, "GET", "/__sandbox/a/__admin/health").json["status"] == "ok"
    assert caplog.text.count("No space left on device") == 1
    file = tmp_path / "state.json"
    assert caplog.messages[-1] == f"the state is not saved: {file}: cannot be written: No space left on device"
    monkeypatch.setattr(os, "fsync", fsync)
    until = time.monotonic() + 5
    while ask(api.app, "GET", "/__admin/health").json["status"] != "ok":
        assert time.monotonic() < until
        time.sleep(0.02)
    assert caplog.messages[-1] == f"the state is saved again: {file}"
    assert len(json.loads((tmp_path / "state.json").read_text())["integrations"]) == 17
    assert [each.name for each in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.heavy
@pytest.mark.served
def test_a_restart_continues_from_the_saved_state(tmp_path):
    file = tmp_path / "state.json"
    with serve_command("--save", str(file)) as (_, banner):
        create(url_in(banner), "mine")
    assert json.loads(file.read_text())["integrations"][-1]["name"] == "mine"
    with serve_command("--save", str(file)) as (_, banner):
        assert "mine" in names(url_in(banner))
        create(url_in(banner), "second")
    with serve_command("--load", str(file)) as (_, banner):
        assert names(url_in(banner))[-2:] == ["mine", "second"]


WRITER = """
import sys
from pathlib import Path
from mock_server.state.files import document, write
number = 0
while True:
    number += 1
    write(Path(sys.argv[1]), document([{"name": f"n{number}", "text": "x" * 20_000}] * 20, scenario=str(number)))
    print(number, flush=True)
"""


def test_a_state_is_written_even_if_its_folder_cannot_be_opened(tmp_path, monkeypatch):
    opened = os.open

    def refusing(path, *rest, **more):
        if path == tmp_path:
            raise PermissionError
        return opened(path, *rest, **more)

    monkeypatch.setattr(os, "open", refusing)
    write(tmp_path / "state.json", {"scenario": "7"})
    assert json.loads((tmp_path / "state.json").read_text()) == {"scenario": "7"}


@pytest.mark.heavy
@pytest.mark.served
def test_writes_are_atomic(tmp_path):
    file = tmp_path / "state.json"
    for seed in range(12):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True)
        writer.stdout.readline()
        time.sleep(random.Random(seed).uniform(0, 0.1))
        writer.send_signal(signal.SIGKILL)
        acknowledged = writer.communicate(timeout=10)[0].split()
        state = json.loads(file.read_text())
        assert {each["name"] for each in state["integrations"]} == {f"n{state['scenario']}"}
        assert int(state["scenario"]) >= int(acknowledged[-1] if acknowledged else 1)


@pytest.mark.served
def test_a_killed_server_leaves_a_complete_state(tmp_path):
    file = tmp_path / "state.json"
    with serve_command("--save", str(file)) as (process, banner):
        kept = [create(url_in(banner), f"n{number}") for number in range(20)]
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
    assert {each["id"] for each in json.loads(file.read_text())["integrations"]} >= set(kept)
