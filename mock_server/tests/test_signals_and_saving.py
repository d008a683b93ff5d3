"""With `--save`, acknowledged changes survive signals, kills, a second server, links and a full disk."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from mock_server.state.files import document, write
from mock_server.tests.test_cli import children, run, serve_command, url_in
from mock_server.tests.test_states import create, names

pytestmark = pytest.mark.served


def healthy(url):
    """Wait until the server answers, and return its health."""
    until = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(f"{url}/__admin/health", timeout=5) as answer:
                return json.load(answer)
        except OSError:
            assert time.monotonic() < until, "the server does not come back"
            time.sleep(0.05)


def control(url, call, method="GET"):
    request = urllib.request.Request(f"{url}/__admin/{call}", method=method)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


# -- signals ----------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _hangups_are_heard():
    """Restore the handling of hangups: children inherit it, and under nohup they would ignore hangups."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("saved", [False, True], ids=["in memory", "--save"])
def test_a_hangup_ends_the_server_as_a_termination_does(tmp_path, saved):
    file = tmp_path / "state.json"
    with serve_command(*(["--save", str(file)] if saved else [])) as (process, banner):
        create(url_in(banner), "mine")
        process.send_signal(signal.SIGHUP)
        assert process.wait(10) == 0
    assert not saved or json.loads(file.read_text())["integrations"][-1]["name"] == "mine"


def test_the_worker_ignores_hangups():
    with serve_command() as (process, banner):
        create(url_in(banner), "mine")
        os.kill(int(children(process)[0]), signal.SIGHUP)
        time.sleep(0.3)
        assert "mine" in names(url_in(banner))


@pytest.mark.heavy
def test_nohup_is_respected():
    command = [sys.executable, "-m", "mock_server", "serve", "--port", "0"]
    with subprocess.Popen(
        ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        banner = process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        assert "integrations" in healthy(url_in(banner))
        process.terminate()
        assert process.wait(10) == 0


@pytest.mark.heavy
@pytest.mark.parametrize("load", [False, True], ids=["--save", "--load and --save"])
def test_a_killed_worker_loses_no_acknowledged_change(tmp_path, load):
    file, first = tmp_path / "state.json", tmp_path / "first.json"
    write(first, document([{"id": "a", "name": "first", "type": "docker", "categories": ["REGISTRY"]}]))
    with serve_command("--save", str(file), *(["--load", str(first)] if load else [])) as (process, banner):
        url = url_in(banner)
        before = names(url)
        for number in range(30):
            create(url, f"n{number}")
        os.kill(int(children(process)[0]), signal.SIGKILL)
        assert healthy(url)["integrations"] == len(before) + 30
        assert names(url) == before + [f"n{number}" for number in range(30)]
        create(url, "afterwards")
        process.terminate()
        assert process.wait(10) == 0
        assert "a new one continues with the state in" in process.stderr.read()
    assert json.loads(file.read_text())["integrations"][-1]["name"] == "afterwards"


@pytest.mark.heavy
def test_a_reset_after_a_killed_worker_restores_the_initial_state(tmp_path):
    with serve_command("--save", str(tmp_path / "state.json"), "--scenario", "many:3") as (process, banner):
        url = url_in(banner)
        create(url, "mine")
        os.kill(int(children(process)[0]), signal.SIGKILL)
        assert healthy(url)["integrations"] == 4
        control(url, "reset", "POST")
        assert len(names(url)) == 3


@pytest.mark.heavy
@pytest.mark.parametrize("first", ["--scenario", "--load"])
def test_a_restart_continues_from_the_file_and_a_reset_restores_the_initial_state(tmp_path, first):
    loaded = tmp_path / "first.json"
    write(loaded, document([{"id": "a", "name": "first", "type": "docker", "categories": ["REGISTRY"]}]))
    begin = {"--scenario": "failing-registries", "--load": str(loaded)}[first]
    options = (first, begin, "--save", str(tmp_path / "state.json"))
    with serve_command(*options) as (_, banner):
        before, rules = names(url_in(banner)), control(url_in(banner), "registry-tests")["rules"]
        create(url_in(banner), "mine")
    with serve_command(*options) as (process, banner):
        url = url_in(banner)
        assert names(url) == [*before, "mine"]
        assert control(url, "registry-tests")["rules"] == rules
        create(url, "second")
        os.kill(int(children(process)[0]), signal.SIGKILL)
        assert healthy(url)["integrations"] == len(before) + 2
        assert control(url, "scenario")["scenario"] == begin
        assert names(f"{url}/__sandbox/other") == before
        control(url, "reset", "POST")
        assert names(url) == before


def test_without_save_a_killed_worker_ends_the_server_with_one_clear_line():
    with serve_command() as (process, _):
        os.kill(int(children(process)[0]), signal.SIGKILL)
        assert process.wait(10) == 1
        assert process.stderr.read().splitlines() == [
            "Error: the worker process ended unexpectedly; what it held in memory is lost (--save FILE keeps it)"
        ]


# -- the file ---------------------------------------------------------------------------------------------


@pytest.mark.heavy
def test_a_second_server_does_not_save_to_the_same_file(tmp_path):
    file, link = tmp_path / "state.json", tmp_path / "link.json"
    link.symlink_to(file)
    with serve_command("--save", str(file)) as (process, banner):
        create(url_in(banner), "mine")
        for spelled in (file, link):
            second = run("serve", "--port", "0", "--save", str(spelled))
            assert second.exit_code == 1
            (line,) = second.output.splitlines()
            assert f"{file}: another mock-central (process {process.pid}) already saves to this file" in line
        os.kill(int(children(process)[0]), signal.SIGKILL)
        assert run("serve", "--port", "0", "--save", str(file)).exit_code == 1
        healthy(url_in(banner))
        assert "mine" in names(url_in(banner))
    with serve_command("--save", str(file)) as (_, banner):
        assert "mine" in names(url_in(banner))


def test_a_link_is_followed(tmp_path):
    target, link = tmp_path / "real" / "state.json", tmp_path / "link.json"
    target.parent.mkdir()
    link.symlink_to(target)
    with serve_command("--save", str(link)) as (_, banner):
        create(url_in(banner), "mine")
    assert link.is_symlink()
    assert json.loads(target.read_text())["integrations"][-1]["name"] == "mine"


def test_a_pipe_or_a_device_does_not_become_a_file(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for words in (("serve", "--save", str(pipe)), ("record", "http://127.0.0.1:9", "-o", str(pipe))):
        result = run(*words)
        assert result.exit_code == 2
        assert f"{pipe}: is not a regular file; give the name of one" in result.output.splitlines()[-1]
    assert pipe.is_fifo()
