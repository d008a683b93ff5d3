import json
import os
import re
import resource
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mock_server.central.auth import Credentials
from mock_server.cli import options as cli_options
from mock_server.cli.main import main
from mock_server.cli.release import newest
from mock_server.contract import tables as contracts
from mock_server.serving.addresses import claimed, free_port
from mock_server.settings import Settings, documentation
from mock_server.state import scenarios
from mock_server.web.access_log import Line

CONTRACT = contracts.load()


def run(*words, **environment):
    """Run a command; `serve` chooses a free port unless a file of settings may name one."""
    if "--config" not in words and "MOCK_CENTRAL_CONFIG" not in environment:
        environment = {"MOCK_CENTRAL_PORT": "0"} | environment
    return CliRunner().invoke(main, words, env=environment, prog_name="mock-central")


@contextmanager
def serve_command(*words, env=None):
    """Start `mock-central serve` on a free port; yield the process and its banner."""
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
            main.commands[command].make_context(command, rest)  # raises the error that a user would see


def test_commands_print_the_tables_of_the_contract():
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
        (("--validation", "some"), "some"),
        (("--registry-test", "registry.example.com"), "registry.example.com"),
        (("--sandbox-ttl", "inf"), "inf is not a number of seconds"),
        (("--body-timeout", "nan"), "nan is not a number of seconds"),
        (("--basic", "admin"), "USER:PASSWORD"),
        (("--config", "no-such-file"), "no-such-file"),
        (("--cert", __file__), "--cert and --key must be given together"),
        (("--cert", __file__, "--key", __file__), "--cert"),
        (("--mutant", "name-uniqe"), "name-unique"),
        (("--mutant", "zzz"), "'zzz'; `mock-central mutants`"),
        (("--admin-token", ""), "--admin-token"),
        (("--read-only-token", "two words"), "--read-only-token"),
        (("--no-role-token", "mock-admin-token"), "--no-role-token: is the same as the admin token"),
        (("--basic", ":word"), "is not USER:PASSWORD"),
        (("--cors", "http://a", "--cors=http://b"), "Error: --cors: is given twice; it takes one origin"),
        (("--cors", "localhost:5173"), "http://localhost:5173"),
        (("--cors", "http://localhost:5173/"), "give http://localhost:5173"),
        (("--upstream-path", "/x*"), "--upstream-path: /x* needs an upstream; give its URL, too"),
        (("--upstream-insecure",), "--upstream-insecure: needs an upstream; give its URL, too"),
        (("--store-prefix", "a"), "--store-prefix: 'a' needs a Redis as the store; give its URL, too"),
        (("--upstream", "http://a b"), "--upstream: 'http://a b' is not the URL of a server"),
        (("--upstream", "central.example.com"), "--upstream: 'central.example.com'"),
        (("--host", "192.0.2.1"), "--host: 192.0.2.1 is not an address of this machine; choose one"),
        (("--host", "localhos"), "--host: 'localhos' cannot be resolved; use an address"),
        (("--host", "a" * 64), "aaa' cannot be resolved"),
        (("--host", "[::1"), "'[::1' cannot be resolved"),
        (("--tls-ca-out", "ca.pem"), "--tls-ca-out: needs --tls"),
        (("--load", __file__, "--scenario", "one-of-each"), "cannot be combined with --scenario one-of-each; choose"),
        (("--load", __file__, "--empty"), "cannot be combined with --empty; choose"),
        (("--tls", "--tls-ca-out", "no-such-folder/ca.pem"), "--tls-ca-out"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_a_wrong_option_is_one_clear_line(words, named):
    result = run("serve", *words)
    assert result.exit_code in (1, 2)
    assert named in result.output.splitlines()[-1]
    assert "Traceback" not in result.output


def test_the_error_for_a_taken_port_says_what_to_do():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run("serve", "--port", str(port))
    assert result.exit_code == 1
    assert result.output == (
        f"Error: --port: port {port} of 127.0.0.1 is taken; choose another one, or 0 for a free one\n"
    )


def settings_of(*words, **environment):
    """Return the settings and other options that `serve` would use."""
    seen = {}
    command = main.commands["serve"]

    def note(**chosen):
        seen["settings"] = cli_options.settings_of(click.get_current_context())
        seen.update(chosen)

    callback, command.callback = command.callback, note
    try:
        result = run("serve", *words, **environment)
    finally:
        command.callback = callback
    assert result.exit_code == 0, result.output
    return seen


def test_the_command_line_overrides_the_environment_which_overrides_a_file(tmp_path):
    file = tmp_path / "mock.toml"
    file.write_text("port = 7001\nas-deployed = true\nmax_sandboxes = 3\n")
    given = ("--config", str(file))
    assert settings_of(*given)["port"] == 7001
    assert settings_of(*given)["settings"].as_deployed is True
    assert settings_of(*given)["settings"].max_sandboxes == 3
    assert settings_of(MOCK_CENTRAL_CONFIG=str(file))["port"] == 7001
    assert settings_of(*given, MOCK_CENTRAL_PORT="7002")["port"] == 7002
    assert settings_of(*given, "--port", "7003", MOCK_CENTRAL_PORT="7002")["port"] == 7003


NAMED = [each for each in cli_options.OPTIONS if each.name != "config"]
OTHER_VALUES = {
    "basic": "me:secret",
    "central_version": "4.10",
    "control_token_file": "FILE",
    "cert": "FILE",
    "cors": "http://localhost:5173",
    "fault": "delay=1",
    "key": "FILE",
    "load": "FILE",
    "log_format": "json",
    "log_level": "debug",
    "mutant": "name-unique",
    "registry_test": "*.example.com=pass",
    "scenario": "many:3",
    "store": "redis://redis.example.com",
    "ui": "FOLDER",
    "upstream_ca": "FILE",
    "validation": "full",
}
"""A value for each option that does not take the text "17"."""


def spelt(option, tmp_path):
    """Return a value other than the default of an option, as given on a command line or in a variable."""
    if option.is_flag:
        return "false" if option.default else "true"
    value = OTHER_VALUES.get(option.name, "17")
    (tmp_path / "file").write_text("secret")
    return value.replace("FILE", str(tmp_path / "file")).replace("FOLDER", str(tmp_path))


def read(option, words, environment):
    """Return the value that the command reads for an option."""
    with CliRunner().isolation(env=environment):
        return main.commands["serve"].make_context("serve", list(words)).params[option.name]


@pytest.mark.parametrize("option", NAMED, ids=lambda each: each.name)
def test_an_option_has_one_name_everywhere(option, tmp_path):
    value = spelt(option, tmp_path)
    name = option.opts[0].removeprefix("--").replace("-", "_")
    words = [option.secondary_opts[0] if value == "false" else option.opts[0]]
    chosen = read(option, words if option.is_flag else [*words, value], {})
    assert chosen != option.default
    assert read(option, (), {f"MOCK_CENTRAL_{name.upper()}": value}) == chosen
    for key in (name, name.replace("_", "-")):
        numbers = isinstance(option.type, click.types.IntParamType | click.types.FloatParamType)
        written = value if option.is_flag or numbers else f"['{value}']" if option.multiple else f"'{value}'"
        (tmp_path / "mock.toml").write_text(f"{key} = {written}\n")
        assert read(option, ("--config", str(tmp_path / "mock.toml")), {}) == chosen


def test_an_option_that_is_a_setting_has_its_name_and_its_text():
    texts = documentation(Settings) | documentation(Credentials)
    settable = {each.name for each in (*fields(Settings), *fields(Credentials))}
    for option in NAMED:
        if option.field in settable:
            assert option.help.startswith(texts[option.field]), option.name
    without = settable - {each.field for each in NAMED}
    assert without == {"fatal_answers", "credentials", "control_token", "tls_ca", "username", "password"}


def test_every_setting_has_its_documentation_below_it():
    for each in (Settings, Credentials):
        assert list(documentation(each)) == [field.name for field in fields(each)]
    assert all(text.endswith(".") for text in documentation(Settings).values())


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("prot = 7001", "unknown key 'prot'; did you mean 'port'?"),
        ('version = "4.11"', "unknown key 'version'; did you mean 'central_version'?"),
        ("zzz = 1", "unknown key 'zzz'; `mock-central serve --help` lists all of them"),
        ("config = 'x'", "unknown key 'config'"),
        ("[serve]\nport = 7001", "[serve]: options are top-level keys; remove this line"),
        ("port =", "Invalid value"),
        ('port = "x"', "'x' is not a whole number from 0 to 65535"),
        ("journal = -1", "-1 is not a whole number of at least 0"),
        ('strict = "maybe"', "'maybe' is not true or false"),
        ("port = true", "port: True cannot be true or false"),
        ("strict = 1", "strict: 1 is not true or false"),
        ("central_version = 4.10", "central_version: 4.1 is not a string; put it in quotes"),
        ("admin_token = 12345", "admin_token: the value is not a string; put it in quotes"),
        ("port = [1]", "port: [1] is not a single value"),
        ("load = [1]", "load: [1] is not a string"),
        ("fault = [1]", 'fault: give a list of strings, such as fault = ["..."]'),
        ("sandbox_ttl = 0", "--sandbox-ttl"),
        ("sandbox_ttl = nan", "--sandbox-ttl"),
        ("port = 2026-01-01", "is not a single value"),
        ("port = 1.5", "port: 1.5 is not a whole number"),
        ('cors = "localhost"', "--cors: 'localhost' is not an origin"),
    ],
    ids=lambda value: value if "=" in value and " is" not in value else None,
)
def test_an_unusable_config_file_is_one_clear_line(tmp_path, text, named):
    file = tmp_path / "mock.toml"
    file.write_text(text)
    result = run("serve", "--config", str(file))
    assert result.exit_code == 2
    assert named in result.output.splitlines()[-1]
    assert str(file) in result.output.splitlines()[-1]
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("MOCK_CENTRAL_VERSION", "4.11", "did you mean 'MOCK_CENTRAL_CENTRAL_VERSION'?"),
        ("MOCK_CENTRAL_FAULTS", "delay=1", "did you mean 'MOCK_CENTRAL_FAULT'?"),
        ("MOCK_CENTRAL_SENARIO", "empty", "did you mean 'MOCK_CENTRAL_SCENARIO'?"),
        ("MOCK_CENTRAL_ZZZ", "", "`mock-central serve --help` lists all of them"),
        ("MOCK_CENTRAL_PORT_8080_TCP", "tcp://10.0.0.1:8080", "`enableServiceLinks: false`"),
        ("MOCK_CENTRAL_SERVICE_HOST", "10.0.0.1", "`enableServiceLinks: false`"),
    ],
)
def test_an_unknown_variable_is_refused_with_a_suggestion(name, value, hint):
    result = run("serve", **{name: value})
    assert result.exit_code == 2
    last = result.output.splitlines()[-1]
    assert last.startswith(f"Error: unknown environment variable {name}; ")
    assert hint in last


def test_help_ignores_the_environment():
    assert run("serve", "--help", MOCK_CENTRAL_ZZZ="1").exit_code == 0


def test_an_invalid_value_is_reported_with_its_source(tmp_path):
    file = tmp_path / "mock.toml"
    file.write_text('port = "x"')
    assert run("serve", "--config", str(file)).output.rstrip().endswith(f"(in {file})")
    for name, value in (("PORT", "tcp://10.0.0.1:8080"), ("FAULT", "code=100"), ("UPSTREAM", "x"), ("SCENARIO", "x")):
        message = run("serve", **{f"MOCK_CENTRAL_{name}": value}).output.rstrip()
        assert message.endswith(f"(the variable MOCK_CENTRAL_{name})")
    assert run("serve", "--port", "x").output.rstrip().endswith("whole number from 0 to 65535")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PORT", "abc", "'abc' is not a whole number from 0 to 65535"),
        ("JOURNAL", "-1", "'-1' is not a whole number of at least 0"),
        ("SANDBOX_TTL", "soon", "soon is not a number of seconds, such as 60"),
        ("AUTH", "maybe", "'maybe' is not true or false"),
        ("COMPANIONS", "maybe", "'maybe' is not true or false"),
    ],
)
def test_an_error_of_a_variable_names_the_expected_type(name, value, message):
    last = run("serve", **{f"MOCK_CENTRAL_{name}": value}).output.splitlines()[-1]
    assert last.endswith(f": {message} (the variable MOCK_CENTRAL_{name})")


GROUPS = (
    *("Server", "Central", "State", "Authentication", "Faults and mutants", "Registry tests", "Sandboxes"),
    *("Control and request journal", "Proxy and UI", "Logging"),
)


def test_help_groups_the_options_and_shows_variable_default_and_unit():
    text = run("serve", "--help").output
    assert re.findall(r"^([A-Z][A-Za-z ]+):$", text, re.MULTILINE) == [*GROUPS, "Help"]
    whole = " ".join(text.split())
    for option in cli_options.OPTIONS:
        assert re.search(rf"^  {option.opts[0]}\b", text, re.MULTILINE), option.name
        assert re.search(rf"\[env var: MOCK_CENTRAL_{option.name.upper()}[;\]]", whole), option.name
    assert "--sandbox-ttl SECONDS" in whole
    assert "MOCK_CENTRAL_SANDBOX_TTL; default: 600.0" in whole


@pytest.mark.parametrize("origin", ["*", "null", "http://localhost:5173", "https://[::1]:8443", "moz-extension://a-b"])
def test_an_origin_as_browsers_send_it_is_accepted(origin):
    assert Settings(cors=origin).cors == origin


@pytest.mark.parametrize(
    ("origin", "hint"),
    [
        ("http://a b", "give one such as"),
        ("http://a;http://b", "give one such as"),
        ("https://*.example.com", "give one such as"),
        ("http://é.example.com", "give one such as"),
        ("http://x:", "give http://x"),
        ("http://x:80", "give http://x"),
        ("https://x:443", "give https://x"),
    ],
)
def test_an_origin_that_no_browser_sends_is_refused(origin, hint):
    with pytest.raises(ValueError, match=f"^cors: '{re.escape(origin)}' is not an origin as browsers send it; {hint}"):
        Settings(cors=origin)


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


@pytest.mark.heavy
@pytest.mark.served
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_it_serves_and_ends_cleanly(sent):
    """A terminal signals the whole process group; an impatient user signals again."""
    for tell in (os.kill, os.killpg, lambda pid, sent: (os.killpg(pid, sent), os.kill(pid, sent))):
        with serve_command() as (process, banner):
            curl = re.search(r"try +(.*)", banner)[1]
            answer = subprocess.run(shlex.split(curl), capture_output=True, text=True, timeout=10, check=True).stdout
            assert answer.startswith('{"integrations":[')
            workers = children(process)
            tell(process.pid, sent)
            assert process.wait(10) == 0
            assert process.stderr.read().count("\n") == 1  # the line of the request
            assert workers
            assert are_gone(workers)


@pytest.mark.served
def test_a_killed_supervisor_leaves_no_worker():
    with serve_command() as (process, _):
        workers = children(process)
        process.kill()
        process.wait(10)
        assert workers
        assert are_gone(workers)


@pytest.mark.served
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shares a port between servers")
def test_of_two_mocks_started_at_once_one_gets_the_port():
    port = free_port("127.0.0.1", 0)
    with claimed("127.0.0.1", port):  # but not listening yet
        result = run("serve", "--port", str(port))
    assert (result.exit_code, f"port {port} of 127.0.0.1 is taken" in result.output) == (1, True)
    with serve_command("--port", str(port)) as (_, banner):
        assert url_in(banner) == f"http://127.0.0.1:{port}"


@pytest.mark.served
def test_it_serves_https_with_a_generated_certificate():
    with serve_command("--tls", "--auth") as (_, banner):
        assert url_in(banner).startswith("https://127.0.0.1")
        curl = shlex.split(re.search(r"try +(.*)", banner)[1])
        assert "Authorization: Bearer mock-admin-token" in curl
        answer = subprocess.run([*curl, "-s"], capture_output=True, text=True, timeout=10, check=True).stdout
        assert answer.startswith('{"integrations":[')


@pytest.mark.heavy
@pytest.mark.served
def test_clients_can_trust_the_certificate_authority(tmp_path):
    file, token = tmp_path / "ca.pem", tmp_path / "token"
    token.write_text("secret")
    words = ("--tls", "--tls-ca-out", str(file), "--host", "localhost", "--control-token-file", str(token))
    with serve_command(*words) as (_, banner):
        url = url_in(banner)
        assert url.startswith("https://localhost:")
        trusting = ssl.create_default_context(cafile=file)
        trusting.maximum_version = ssl.TLSVersion.TLSv1_2  # the oldest version that Central accepts
        with urllib.request.urlopen(f"{url}/__admin/ca.pem", timeout=5, context=trusting) as answer:
            assert answer.read().decode() == file.read_text()
            assert answer.headers["Content-Type"] == "application/x-pem-file"
        for command in re.findall(r"curl .*", banner):
            done = subprocess.run(["sh", "-c", f"{command} -sf"], capture_output=True, timeout=10, check=False)
            assert done.returncode == 0, command


@pytest.mark.served
def test_without_a_generated_certificate_there_is_no_authority():
    with serve_command() as (_, banner), pytest.raises(urllib.error.HTTPError, match="404") as refused:
        urllib.request.urlopen(f"{url_in(banner)}/__admin/ca.pem", timeout=5)
    assert "serve --tls makes one" in json.load(refused.value)["message"]


@pytest.mark.served
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "[::1]", "0.0.0.0", ""])
def test_it_listens_on_names_and_addresses(host):
    with serve_command("--host", host) as (_, banner):
        assert f"//{'[::1]' if ':' in host else host if host[:1] in ('l', '1') else '127.0.0.1'}:" in url_in(banner)
        urllib.request.urlopen(f"{url_in(banner)}/v1/imageintegrations", timeout=5).close()


@pytest.mark.served
def test_the_first_lines_say_what_to_do_next():
    with serve_command() as (_, banner):
        url = url_in(banner)
        assert banner.splitlines() == [
            f"mock-central listens on {url} and simulates Central {newest()} as documented.",
            f"  try      curl {url}/v1/imageintegrations",
            f"  reset    curl -X POST {url}/__admin/reset",
            f"  console  {url}/__admin/",
            "  stop     Ctrl-C",
        ]


def cpu_seconds(pid):
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        pytest.skip("this system does not tell the CPU time of a process")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.served
def test_no_request_waits_for_the_import_of_openapi_core():
    with serve_command("--log-level", "error") as (process, banner):
        (worker,) = children(process)
        before = -1.0
        while cpu_seconds(worker) > before:  # until it rests
            before = cpu_seconds(worker)
            time.sleep(0.5)
        body = b'{"name":"acme","type":"docker","categories":["REGISTRY"],"docker":{},"skipTestIntegration":true}'
        with urllib.request.urlopen(f"{url_in(banner)}/v1/imageintegrations", body, timeout=10) as answer:
            assert "content type" in answer.headers["Mock-Central-Warning"]  # openapi-core must list its violations
        assert cpu_seconds(worker) - before < 0.1


@pytest.mark.served
def test_log_lines_name_the_request_and_are_not_lost():
    with serve_command() as (process, banner):
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{url_in(banner)}/v1/imageintegrations/nope", timeout=5)
        process.terminate()
        process.wait(10)
        assert re.search(r"GET /v1/imageintegrations/nope 404 .*rule=get-missing", process.stderr.read())


@pytest.mark.served
@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not count the CPU time of children")
def test_start_first_answer_and_end_take_less_than_two_seconds_of_cpu():
    """Wall-clock time would depend on the load of the machine."""
    before = cpu_of_children()
    with serve_command() as (_, banner):
        urllib.request.urlopen(f"{url_in(banner)}/v1/imageintegrations", timeout=5).read()
    assert 0 < cpu_of_children() - before < 2


def cpu_of_children():
    """Return the CPU seconds of all child processes that have ended, and of their children."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


@pytest.mark.served
def test_starting_imports_no_test_library():
    code = (
        "import sys; from mock_server import create_app; create_app(); "
        "print([name for name in ('schemathesis', 'hypothesis', 'pytest', 'openapi_core') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "[]"


@pytest.mark.served
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


@pytest.mark.served
def test_log_lines_can_be_json():
    with serve_command("--log-format", "json") as (process, banner):
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
    line = Line("GET", "/a\nb\x1b[31m", 404, "unknown-route", 0.0, (), "", "")
    assert str(line) == "GET /a?b?[31m 404 0.0ms rule=unknown-route"


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
        (("--fault", "code=100"), "200 and 599"),
        (("--fault", "PostImageIntegratoin code=503"), "PostImageIntegration"),
        (("--journal", "-1"), "-1"),
        (("--empty", "--scenario", "many:3"), "--empty: cannot be combined"),
        (("--sandbox-ttl", "0"), "0"),
        (("--control-token-file", os.devnull), "does not contain a token"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_a_wrong_option_for_states_and_faults_is_one_clear_line(words, named):
    result = run("serve", *words)
    assert result.exit_code in (1, 2)
    assert named in result.output.splitlines()[-1]
    assert "Traceback" not in result.output


@pytest.mark.served
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
def test_open_control_calls_cause_a_warning(tmp_path, words, warned):
    token = tmp_path / "token"
    token.write_text("t")
    with serve_command(*(str(token) if word == "TOKEN" else word for word in words)) as (process, _):
        process.terminate()
        process.wait(10)
        assert ("--control-token-file" in process.stderr.read()) == warned


def test_a_variable_can_have_several_values():
    given = settings_of(
        MOCK_CENTRAL_FAULT="PostImageIntegration code=503 times=2; delay=1..3;name='a;b' code=500;",
        MOCK_CENTRAL_REGISTRY_TEST="a.example.com=timeout; *.example.com=pass",
        MOCK_CENTRAL_MUTANT="name-unique",
    )["settings"]
    assert [str(each) for each in given.faults] == [
        *("PostImageIntegration code=503 times=2", "delay=1..3", "code=500 name=a;b")
    ]
    assert [each.host for each in given.registry_tests[:2]] == ["a.example.com", "*.example.com"]
    assert given.registry_tests[2:] == Settings().registry_tests
    assert given.mutants == ("name-unique",)


@pytest.mark.served
def test_options_reach_the_mock(tmp_path):
    (tmp_path / "token").write_text("right\n")
    words = ("--scenario", "many:3", "--fault", "PostImageIntegration code=503 times=1", "--journal", "5")
    with serve_command(*words, "--control-token-file", str(tmp_path / "token")) as (_, banner):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{url_in(banner)}/__admin/settings", timeout=5)
        request = urllib.request.Request(
            f"{url_in(banner)}/__admin/settings", headers={"Authorization": "Bearer right"}
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            shown = json.load(answer)
    assert (shown["scenario"], shown["journal"]) == ("many:3", 5)
    assert shown["faults"] == [{"code": 503, "operation": "PostImageIntegration", "times": 1}]
