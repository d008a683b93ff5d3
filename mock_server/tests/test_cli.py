import json
import os
import re
import resource
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from mock_server.cli.main import main
from mock_server.contract import tables as contracts
from mock_server.settings import Settings
from mock_server.state import scenarios
from mock_server.web.access_log import Line

CONTRACT = contracts.load()


def run(*words, **environment):
    return CliRunner().invoke(main, words, env=environment, prog_name="mock-central")


@contextmanager
def serving(*words, env=None):
    """Start `mock-central serve` on a free port and give the process and its banner."""
    command = [sys.executable, "-m", "mock_server", "serve", "--port", "0", *words]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
        start_new_session=True,
    )
    banner = ""
    try:
        while "stop" not in banner:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            banner += line
        yield process, banner
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        process.stdout.close()
        process.stderr.close()


def url_in(banner):
    return re.search(r"listens on (\S+)", banner)[1]


def test_help_shows_examples_that_parse():
    for words in ((), ("serve",)):
        text = run(*words, "--help").output
        examples = re.findall(r"^ *mock-central (serve .*|rules|routes)$", text, re.MULTILINE)
        assert examples
        for example in examples:
            command, *rest = shlex.split(example)
            main.commands[command].make_context(command, rest)  # raises what a user would read


def test_tables_print_what_the_contract_holds():
    assert run("routes").output.count("/v1/imageintegrations") == len(CONTRACT.operations)
    listed = [line.partition("\t")[0] for line in run("rules").output.splitlines()[1:]]
    assert listed == list(CONTRACT.rules)
    assert "google-not-created" not in run("rules", "--central-version", "4.11").output
    assert all(each in run("differences").output for each in CONTRACT.differences)
    assert "name-unique" in run("mutants").output


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--port", "99999"), "99999"),
        (("--central-version", "3.74"), "3.74"),
        (("--validation", "none"), "none"),
        (("--registry-test", "registry.example.com"), "registry.example.com"),
        (("--basic", "admin"), "USER:PASSWORD"),
        (("--config", "no-such-file"), "no-such-file"),
        (("--cert", __file__), "--cert and --key go together"),
        (("--cert", __file__, "--key", __file__), "--cert"),
        (("--mutant", "name-uniqe"), "name-unique"),
        (("--mutant", "zzz"), "'zzz'; `mock-central mutants`"),
        (("--admin-token", ""), "--admin-token"),
        (("--read-only-token", "two words"), "--read-only-token"),
        (("--no-role-token", "mock-admin-token"), "are the same"),
        (("--basic", ":word"), "is not USER:PASSWORD"),
        (("--cors", "localhost:5173"), "http://localhost:5173"),
        (("--cors", "http://localhost:5173/"), "give http://localhost:5173"),
        (("--upstream", "central.example.com"), "--upstream: 'central.example.com'"),
        (("--host", "192.0.2.1"), "192.0.2.1"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_a_wrong_option_is_one_clear_line(words, named):
    result = run("serve", *words)
    assert result.exit_code in (1, 2)
    assert named in result.output.splitlines()[-1]
    assert "Traceback" not in result.output


def test_a_taken_port_says_what_to_do():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run("serve", "--port", str(port))
    assert result.exit_code == 1
    assert f"port {port}" in result.output
    assert "--port" in result.output


def options_of(*words, **environment):
    seen = {}
    command = main.commands["serve"]
    callback, command.callback = command.callback, lambda **options: seen.update(options)
    try:
        result = run("serve", *words, **environment)
    finally:
        command.callback = callback
    assert result.exit_code == 0, result.output
    return seen


def test_the_command_line_wins_over_the_environment_and_that_over_a_file(tmp_path):
    file = tmp_path / "mock.toml"
    file.write_text('port = 7001\nas-deployed = true\nregistry_tests = ["*.example.com=pass"]\n')
    given = ("--config", str(file))
    assert options_of(*given)["port"] == 7001
    assert options_of(*given)["as_deployed"] is True
    assert options_of(*given)["registry_tests"][0].host == "*.example.com"
    assert options_of(*given, MOCK_CENTRAL_PORT="7002")["port"] == 7002
    assert options_of(*given, "--port", "7003", MOCK_CENTRAL_PORT="7002")["port"] == 7003


@pytest.mark.parametrize(
    ("text", "named"),
    [("prot = 7001", "unknown setting 'prot'"), ("port =", "Invalid value"), ('port = "x"', "'x'")],
    ids=["unknown setting", "no TOML", "wrong value"],
)
def test_a_file_that_cannot_be_used_is_one_clear_line(tmp_path, text, named):
    file = tmp_path / "mock.toml"
    file.write_text(text)
    result = run("serve", "--config", str(file))
    assert result.exit_code == 2
    assert named in result.output.splitlines()[-1]
    assert "Traceback" not in result.output


def test_a_wrong_value_is_told_with_the_place_it_comes_from(tmp_path):
    file = tmp_path / "mock.toml"
    file.write_text('port = "x"')
    assert run("serve", "--config", str(file)).output.rstrip().endswith(f"(in {file})")
    assert (
        run("serve", MOCK_CENTRAL_PORT="tcp://10.0.0.1:8080")
        .output.rstrip()
        .endswith("(the variable MOCK_CENTRAL_PORT)")
    )
    assert run("serve", "--port", "x").output.rstrip().endswith("range")


@pytest.mark.parametrize("origin", ["*", "null", "http://localhost:5173", "https://[::1]:8443", "moz-extension://a-b"])
def test_an_origin_as_browsers_send_it_is_taken(origin):
    assert Settings(cors=origin).cors == origin


def children(process):
    try:
        return Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    except OSError:
        pytest.skip("this system does not list children")


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def are_gone(children):
    until = time.monotonic() + 10
    while any(map(is_running, children)):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_it_serves_and_ends_cleanly(sent):
    """A terminal signals the whole group of processes; an impatient caller signals again."""
    for tell in (os.kill, os.killpg, lambda pid, sent: (os.killpg(pid, sent), os.kill(pid, sent))):
        with serving() as (process, banner):
            curl = re.search(r"try +(.*)", banner)[1]
            answer = subprocess.run(shlex.split(curl), capture_output=True, text=True, timeout=10, check=True).stdout
            assert answer.startswith('{"integrations":[')
            workers = children(process)
            tell(process.pid, sent)
            assert process.wait(10) == 0
            assert process.stderr.read().count("\n") == 1  # the line of the request
            assert workers
            assert are_gone(workers)


def test_a_killed_supervisor_leaves_no_worker():
    with serving() as (process, _):
        workers = children(process)
        process.kill()
        process.wait(10)
        assert workers
        assert are_gone(workers)


def test_it_serves_https_with_a_certificate_of_its_own():
    with serving("--tls", "--auth") as (_, banner):
        assert url_in(banner).startswith("https://127.0.0.1")
        curl = shlex.split(re.search(r"try +(.*)", banner)[1])
        assert "Authorization: Bearer mock-admin-token" in curl
        answer = subprocess.run([*curl, "-s"], capture_output=True, text=True, timeout=10, check=True).stdout
        assert answer.startswith('{"integrations":[')


def test_log_lines_name_what_was_asked_and_are_not_lost():
    with serving() as (process, banner):
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{url_in(banner)}/v1/imageintegrations/nope", timeout=5)
        process.terminate()
        process.wait(10)
        assert re.search(r"GET /v1/imageintegrations/nope 404 .*rule=get-missing", process.stderr.read())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not count the CPU time of children")
def test_a_start_with_its_first_answer_and_its_end_takes_less_than_two_seconds_of_cpu():
    """An idle machine answers within a second; how long a busy one takes says nothing."""
    before = cpu_of_children()
    with serving() as (_, banner):
        urllib.request.urlopen(f"{url_in(banner)}/v1/imageintegrations", timeout=5).read()
    assert 0 < cpu_of_children() - before < 2


def cpu_of_children():
    """Return the CPU seconds of every process that was waited for, and of theirs."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def test_starting_imports_no_test_library():
    code = (
        "import sys; from mock_server import create_app; create_app(); "
        "print([name for name in ('schemathesis', 'hypothesis', 'pytest', 'openapi_core') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "[]"


def test_a_shell_can_complete():
    environment = {**os.environ, "_MOCK_CENTRAL_COMPLETE": "bash_source"}
    code = "from mock_server.cli.main import main; main(prog_name='mock-central')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=30, check=True
    )
    assert "complete" in done.stdout
    assert "mock-central" in done.stdout


@pytest.mark.parametrize(
    ("option", "begun", "found"), [("--mutant", "name-uni", "name-unique"), ("--scenario", "one", "one-of-each")]
)
def test_a_shell_completes_names(option, begun, found):
    words = {"COMP_WORDS": f"mock-central serve {option} {begun}", "COMP_CWORD": "3"}
    assert f"plain,{found}\n" in run(_MOCK_CENTRAL_COMPLETE="bash_complete", **words).output


def test_log_lines_can_be_json():
    with serving("--log-format", "json") as (process, banner):
        request = urllib.request.Request(f"{url_in(banner)}/__sandbox/a/v1/imageintegrations/nope?x=1")
        request.add_header("Prefer", "delay=0")
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=5)
        process.terminate()
        process.wait(10)
        line = json.loads(process.stderr.read())
    assert line.pop("time").endswith("Z")
    assert line.pop("ms") >= 0
    assert line == {
        "level": "info",
        "method": "GET",
        "path": "/v1/imageintegrations/nope",
        "status": 404,
        "rule": "get-missing",
        "fault": "delay=0",
        "sandbox": "a",
    }


def test_a_log_line_stays_one_line():
    line = Line("GET", "/a\nb\x1b[31m", 404, "unknown-route", None, (), "", "")
    assert str(line) == "GET /a?b?[31m 404 rule=unknown-route"


def test_scenarios_are_listed():
    lines = run("scenarios").output.splitlines()[1:]
    assert [line.partition("\t")[0].partition(":")[0] for line in lines] == list(scenarios.known())
    assert any("broken: " in line for line in lines)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--scenario", "fresch"), "fresh"),
        (("--load", "no-such-file"), "no-such-file"),
        (("--load", __file__), "--load"),
        (("--save", __file__), "--save"),
        (("--fault", "PostImageIntegration"), "'PostImageIntegration'"),
        (("--sandbox-ttl", "nan"), "--sandbox-ttl"),
        (("--fault", "code=200"), "400 and 599"),
        (("--fault", "PostImageIntegratoin code=503"), "PostImageIntegration"),
        (("--journal", "-1"), "-1"),
        (("--empty", "--scenario", "many:3"), "do not go together"),
        (("--sandbox-ttl", "0"), "0"),
        (("--control-token-file", os.devnull), "does not hold a token"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_a_wrong_option_for_states_and_faults_is_one_clear_line(words, named):
    result = run("serve", *words)
    assert result.exit_code in (1, 2)
    assert named in result.output.splitlines()[-1]
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("words", "warned"),
    [
        (("--host", "0.0.0.0"), True),
        (("--host", "0.0.0.0", "--no-control"), False),
        (("--host", "127.0.0.1"), False),
        (("--host", "0.0.0.0", "--control-token-file", "TOKEN"), False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_an_open_control_is_warned_of(tmp_path, words, warned):
    token = tmp_path / "token"
    token.write_text("t")
    with serving(*(str(token) if word == "TOKEN" else word for word in words)) as (process, _):
        process.terminate()
        process.wait(10)
        assert ("--control-token-file" in process.stderr.read()) == warned


def test_a_variable_holds_several_faults():
    given = options_of(MOCK_CENTRAL_FAULTS="PostImageIntegration code=503 times=2;delay=1..3")["faults"]
    assert [str(each) for each in given] == ["PostImageIntegration code=503 times=2", "delay=1..3"]


def test_options_reach_the_mock(tmp_path):
    (tmp_path / "token").write_text("right\n")
    words = ("--scenario", "many:3", "--fault", "PostImageIntegration code=503 times=1", "--journal", "5")
    with serving(*words, "--control-token-file", str(tmp_path / "token")) as (_, banner):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{url_in(banner)}/__admin/settings", timeout=5)
        request = urllib.request.Request(
            f"{url_in(banner)}/__admin/settings", headers={"Authorization": "Bearer right"}
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            shown = json.load(answer)
    assert (shown["scenario"], shown["journal"]) == ("many:3", 5)
    assert shown["faults"] == [{"code": 503, "operation": "PostImageIntegration", "times": 1}]
