import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema_rs
import pytest
from click.testing import CliRunner, Result

from contract_tests.checks.registry import all_checks
from contract_tests.cli.main import main
from contract_tests.engine.failures import Failure
from contract_tests.engine.options import Options
from contract_tests.reports import json_report, terminal
from contract_tests.reports.failures import what
from contract_tests.runner.environment import VARIABLES
from contract_tests.runner.leftovers import Cleaned
from mock_server.serving.server import serving
from mock_server.settings import Settings

pytestmark = pytest.mark.served

CHECKS = ("--only", "create", "--only", "name-unique", "--only", "name-required")


def run(*words: str, **environment: str) -> Result:
    return CliRunner().invoke(main, words, env=environment, prog_name="central-contract")


@pytest.fixture
def reports(tmp_path: Path) -> dict[str, Path]:
    return {kind: tmp_path / f"report.{kind}" for kind in ("json", "junit", "markdown", "html")}


def check(url: str, tmp_path: Path, reports: dict[str, Path], *words: str) -> Result:
    options = [word for kind, path in reports.items() for word in (f"--report-{kind}", str(path))]
    return run("check", url, "--quick", "--seed", "7", "--state-dir", str(tmp_path / "state"), *options, *words)


def test_healthy_mock_passes_and_reports_are_complete(tmp_path: Path, reports: dict[str, Path]) -> None:
    with serving() as mock:
        result = check(mock.url, tmp_path, reports, *CHECKS)
    assert result.exit_code == 0, result.output
    assert "seed 7" in result.output
    value = json.loads(reports["json"].read_text("utf-8"))
    schema = json.loads(Path(json_report.__file__).with_name("report.schema.json").read_text("utf-8"))
    jsonschema_rs.validate(schema, value)
    cases = ET.parse(reports["junit"]).getroot().iter("testcase")
    assert {each["check"] for each in value["results"]} | {"verdict"} == {case.attrib["name"] for case in cases}


def test_failure_is_reported_with_rule_diff_and_curl_script(tmp_path: Path, reports: dict[str, Path]) -> None:
    with serving(Settings(mutants=("name-unique",))) as mock:
        result = check(mock.url, tmp_path, reports, *CHECKS)
        assert result.exit_code == 1
        failed = [
            each for each in json.loads(reports["json"].read_text("utf-8"))["results"] if each["outcome"] == "failed"
        ]
        assert [each["check"] for each in failed] == ["name-unique"]
        (failure,) = failed[0]["failures"]
        for line in failure["curl"]:
            assert line in result.output  # whole, also where the terminal is narrow
        # The script sends the same requests, and the server fails in the same way.
        shell = subprocess.run(
            ["bash", "-c", "\n".join(failure["curl"])], capture_output=True, text=True, timeout=60, check=False
        )
        assert shell.stdout.count("\n200") >= 1, shell.stderr
    assert "service_impl.go" in result.output
    assert re.search(r"^ +- .*400", result.output, re.MULTILINE)
    assert re.search(r"^ +\+ .*200", result.output, re.MULTILINE)
    assert "curl -sS" in result.output
    assert ET.parse(reports["junit"]).getroot().find(".//failure") is not None
    assert "### name-unique" in reports["markdown"].read_text("utf-8")
    assert f"The check of {mock.url} failed" in reports["html"].read_text("utf-8")


def test_reports_contain_no_secrets(tmp_path: Path, reports: dict[str, Path]) -> None:
    with serving(Settings(auth=True, mutants=("name-unique",))) as mock:
        result = check_with_token(mock.url, tmp_path, reports)
    assert result.exit_code == 1
    for text in (result.output, *(path.read_text("utf-8") for path in reports.values())):
        assert "mock-admin-token" not in text


def check_with_token(url: str, tmp_path: Path, reports: dict[str, Path]) -> Result:
    token = tmp_path / "token"
    token.write_text("mock-admin-token\n")
    words: list[Any] = [*CHECKS, "--only", "scheme-case", "--token-file", str(token)]
    return check(url, tmp_path, reports, *words)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("http://127.0.0.1:9",), "does not answer"),
        (("ftp://x",), "ftp://x"),
        (("http://*.example",), "is not a URL"),
        (("http://" + "a" * 64 + ".example",), "is not a URL"),
        (("http://\u2028x.example",), "is not a URL"),
        (("http://127.0.0.1:99999",), "99999"),
        (("http://127.0.0.1:9/v1/imageintegrations",), "use http://127.0.0.1:9"),
        (("http://127.0.0.1:9/?x=1",), "use http://127.0.0.1:9"),
        (("http://user:not-a-real-password@127.0.0.1:9",), "--basic-file"),
        (("--only", "no-such-check"), "no-such-check"),
        (("--skip", "name-uniqe"), "did you mean name-unique"),
        (("--only", "create", "--skip", "create"), "no check is left"),
        (("--only", "credentials-masked"), "no check is left"),
        (tuple(word for name in all_checks() for word in ("--skip", name)), "no check is left"),
        (("--quick", "--only", "generated-valid"), "no check is left"),
        (("--timeout", "0"), "'0'"),
        (("--timeout", "nan"), "'nan'"),
        (("--timeout", "25h"), "'25h'"),
        (("--max-response-time", "-1"), "'-1'"),
        (("--time-budget", "0s"), "'0s'"),
        (("--max-requests", "1"), "before the first check"),
        (("--run-id", "../elsewhere"), "../elsewhere"),
        (("--ca-file", __file__), "no valid certificates"),
        (("http://127.0.0.1:9", "--token-file", os.devnull), "is empty"),
        (("http://127.0.0.1:9", "--token-file", __file__), "does not hold a token"),
        (("http://127.0.0.1:9", "--token-file", sys.executable), "cannot be read as text"),
        (("--token-file", __file__), "the mock has its own tokens"),
        (("--report-json", "/proc/nowhere/report.json"), "/proc/nowhere/report.json"),
        (("--state-dir", "/proc/nowhere"), "--state-dir"),
        (("--rate", "fast"), "fast"),
        (("--known", "no-such-file"), "no-such-file"),
        (("http://127.0.0.1:9", "--as-deployed"), "--as-deployed"),
        (("--known", "/dev/zero"), "is a device without an end"),
        (("--header", "Content-Length: 5"), "the command sends it itself"),
        (("--report-json", "/tmp/same", "--report-html", "/tmp/../tmp/same"), "names this file twice"),
        (("http://127.0.0.1:9", "--token-file", __file__, "--report-json", __file__), "names this file twice"),
    ],
)
def test_unusable_arguments_end_with_one_line_and_status_2(tmp_path: Path, words: tuple[str, ...], named: str) -> None:
    result = run("check", "--state-dir", str(tmp_path), *words)
    assert result.exit_code == 2, result.output
    assert named in result.output.splitlines()[-1]
    assert "Traceback" not in result.output
    assert "not-a-real-password" not in result.output


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_unwritable_report_loses_neither_the_verdict_nor_the_others(tmp_path: Path) -> None:
    page = tmp_path / "report.md"
    reports = ("--report-json", "/dev/full", "--report-markdown", str(page))
    with serving() as mock:
        result = run("check", mock.url, "--only", "list", "--state-dir", str(tmp_path), *reports)
    assert result.exit_code == 2
    assert "/dev/full cannot be written: No space left on device" in result.output
    assert " passed, " in result.output
    assert "passed" in page.read_text("utf-8")


def test_refused_credentials_give_no_verdict(tmp_path: Path) -> None:
    with serving(Settings(auth=True)) as mock:
        result = run("check", mock.url, "--state-dir", str(tmp_path), CENTRAL_TOKEN="not-a-token")
    assert result.exit_code == 2
    assert "refuses the credentials" in result.output


@pytest.mark.heavy
@pytest.mark.parametrize("workers", ["1", "2"])
def test_fail_fast_stops_soon_after_the_first_failure(workers: str, tmp_path: Path, reports: dict[str, Path]) -> None:
    with serving(Settings(mutants=("name-unique",))) as mock:
        whole = check(mock.url, tmp_path, reports, "--workers", workers)
        short = check(mock.url, tmp_path, reports, "--workers", workers, "--fail-fast")
    assert (whole.exit_code, short.exit_code) == (1, 1), short.output
    report = json.loads(reports["json"].read_text("utf-8"))
    failed = [each["check"] for each in report["results"] if each["outcome"] == "failed"]
    assert "name-unique" in failed
    assert report["requests"] < 500
    skipped = [each for each in report["results"] if each["reason"] == "an earlier check failed (--fail-fast)"]
    assert len(skipped) > 20


@pytest.mark.heavy
def test_fail_fast_ignores_known_differences(tmp_path: Path, reports: dict[str, Path]) -> None:
    with serving(Settings(as_deployed=True)) as mock:
        result = check(mock.url, tmp_path, reports, "--fail-fast")
    assert result.exit_code == 0, result.output
    outcomes = Counter(each["outcome"] for each in json.loads(reports["json"].read_text("utf-8"))["results"])
    assert outcomes["known difference"] == 3
    assert outcomes["passed"] > 150


@pytest.mark.parametrize("id", ["", "ci-1", "a/b", "..", "CI", "x" * 41])
def test_ambiguous_run_ids_and_paths_are_refused(id: str, tmp_path: Path) -> None:
    result = run("check", "--quick", "--run-id", id, "--state-dir", str(tmp_path))
    assert result.exit_code == 2
    assert "is not 1 to 40 lower-case letters and digits" in result.output
    assert not list(tmp_path.iterdir())


def test_missing_credentials_are_requested(tmp_path: Path) -> None:
    with serving(Settings(auth=True)) as mock:
        result = run("check", mock.url, "--state-dir", str(tmp_path))
    assert result.exit_code == 2
    assert "--token-file" in result.output


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ('check = "list"', "no reason"),
        ('reason = "x"', "no check"),
        ('check = "list"\nreason = "x"\nversion = "4.11"', "'version'"),
        ('check = "list"\nreason = "x"\nversions = ["4.7"]', "4.7"),
        ('check = "list"\nreason = "x"\nexpires = "2027-06-30"', "2027-06-30"),
    ],
)
def test_invalid_known_difference_is_located(tmp_path: Path, entry: str, named: str) -> None:
    file = tmp_path / "known.toml"
    file.write_text(f"[[difference]]\n{entry}\n")
    result = run("check", "--known", str(file), "--state-dir", str(tmp_path / "state"))
    assert result.exit_code == 2
    assert f"{file}: difference 1: " in result.output
    assert named in result.output.splitlines()[-1]


@contextmanager
def answering(status: int, headers: dict[str, str], body: bytes) -> Iterator[str]:
    """Serve one answer to every request."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else body)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "headers", "body", "hint"),
    [
        (200, {"Content-Type": "text/html"}, b"<!doctype html>Welcome", "answered 200 with text/html"),
        (302, {"Location": "https://login.example.com/"}, b"", "answered 302 to https://login.example.com/"),
    ],
    ids=["a page", "a login"],
)
def test_hint_asks_whether_the_target_is_a_central(
    tmp_path: Path, reports: dict[str, Path], status: int, headers: dict[str, str], body: bytes, hint: str
) -> None:
    with answering(status, headers, body) as url:
        result = check(url, tmp_path, reports, *CHECKS, "--only", "list")
    assert result.exit_code == 1
    for text in (result.output, reports["markdown"].read_text("utf-8"), reports["html"].read_text("utf-8")):
        assert f"Is {url} a Central?" in text
        assert hint in text


def test_progress_is_logged_from_time_to_time(
    tmp_path: Path, reports: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "_SILENCE", 0.0)
    with serving() as mock:
        result = check(mock.url, tmp_path, reports, *CHECKS)
    assert re.findall(r"^([0-9]) of 3 checks, 0 failed\.$", result.stderr, re.MULTILINE) == ["1", "2", "3"]


def test_progress_does_not_count_known_differences_as_failed(
    tmp_path: Path, reports: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "_SILENCE", 0.0)
    with serving(Settings(as_deployed=True)) as mock:
        only = ("--only", "create", "--only", "list-order", "--only", "create-answer")
        result = check(mock.url, tmp_path, reports, *only)
    assert json.loads(reports["json"].read_text("utf-8"))["counts"]["known difference"] == 2
    assert re.findall(r" of 3 checks, ([0-9]+) failed\.$", result.stderr, re.MULTILINE) == ["0", "0", "0"]


@pytest.mark.parametrize(
    ("also", "expected"), [(0, "it is"), (1, "it is (and 1 more time)"), (9, "it is (and 9 more times)")]
)
def test_repetitions_of_a_failure_are_counted_in_english(also: int, expected: str) -> None:
    assert what(Failure("list", "it is", also=also)) == expected


def test_fixed_known_differences_are_one_line(tmp_path: Path, reports: dict[str, Path]) -> None:
    with serving() as mock:
        result = check(mock.url, tmp_path, reports, *CHECKS, "--only", "list-order")
    assert result.output.count("FIXED") == 1
    assert re.search(r"FIXED .*: create-answer-in-clear, list-order$", result.output, re.MULTILINE)


def test_read_only_credentials_are_reported(tmp_path: Path, reports: dict[str, Path]) -> None:
    with serving(Settings(auth=True)) as mock:
        (tmp_path / "token").write_text("mock-read-only-token")
        result = check(mock.url, tmp_path, reports, *CHECKS, "--token-file", str(tmp_path / "token"))
    assert result.exit_code == 3
    assert "the credentials cannot write (POST /v1/imageintegrations was answered 403)" in result.output
    assert "0 failed" not in result.output
    assert " failed" not in result.output.splitlines()[-2]


def test_clean_keeps_the_ledger_if_it_cannot_read_the_list(tmp_path: Path) -> None:
    """With refused credentials, `clean` fails and keeps the ledger."""
    ledger = tmp_path / "0badc0de.ledger"
    with serving(Settings(auth=True)) as mock:
        lines = ({"run": "0badc0de", "target": mock.url, "pid": 2**22}, {"name": "central-contract-0badc0de-1"})
        ledger.write_text("".join(f"{json.dumps(each)}\n" for each in lines))
        refused = run("clean", mock.url, "--state-dir", str(tmp_path), CENTRAL_TOKEN="not-a-token")
        assert refused.exit_code == 1
        assert "could not be deleted: integrations of run 0badc0de" in refused.output
        assert ledger.exists()
        assert run("clean", mock.url, "--state-dir", str(tmp_path), CENTRAL_TOKEN="mock-admin-token").exit_code == 0
    assert not ledger.exists()


def test_budget_that_ends_the_first_request_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        done = run("check", f"http://127.0.0.1:{silent.getsockname()[1]}", "--time-budget", "0.2s")
    assert done.exit_code == 2
    assert "the budget of 0.2 seconds was used up" in done.output
    assert "--timeout" not in done.output


def test_clean_has_no_time_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Options] = []

    def note(options: Options) -> Cleaned:
        found.append(options)
        return Cleaned()

    monkeypatch.setattr("contract_tests.runner.leftovers.clean_leftovers", note)
    with serving() as mock:
        assert run("clean", mock.url, "--state-dir", str(tmp_path)).exit_code == 0
    assert [each.time_budget for each in found] == [None]


def listed(url: str) -> bytes:
    with urllib.request.urlopen(f"{url}/v1/imageintegrations", timeout=10) as answer:
        return bytes(answer.read())


@pytest.mark.heavy
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_interrupted_run_cleans_up_and_reports(tmp_path: Path, sent: signal.Signals) -> None:
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from contract_tests.cli.main import main; main()"
    )
    with serving(Settings(mutants=("name-unique",))) as mock:
        kinds = {"json": "r.json", "junit": "r.xml", "markdown": "r.md", "html": "r.html"}
        reports = [word for kind, name in kinds.items() for word in (f"--report-{kind}", str(tmp_path / name))]
        only = ("--only", "name-unique", "--only", "many-kept")
        words = ("check", mock.url, *only, "--rate", "10/s", "--state-dir", str(tmp_path), *reports)
        process = subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, text=True)
        while b"-many-kept-" not in listed(mock.url):
            assert process.poll() is None
            time.sleep(0.02)
        for _ in range(3):  # as `timeout` does, which sends it to the process and to its group
            process.send_signal(sent)
            time.sleep(0.05)
        output = process.communicate(timeout=120)[0]
        assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[sent]
        assert f"Incomplete: {sent.name} ended the run." in output
        texts = {each: (tmp_path / each).read_text("utf-8") for each in ("r.json", "r.xml", "r.md", "r.html")}
        assert all(f"{sent.name} ended the run" in text for text in texts.values())
        value = json.loads(texts["r.json"])
        assert (value["interrupted"], value["exitCode"]) == (sent.name, process.returncode)
        failed = [each["check"] for each in value["results"] if each["outcome"] == "failed"]
        assert failed == ["name-unique"]  # what was found until then
        assert b'"name":"central-contract-' not in listed(mock.url)
    assert not list(tmp_path.glob("*.ledger"))


def test_interruption_gives_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contract_tests.runner.replay.read", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    result = run("replay", __file__, "create")
    assert (result.exit_code, result.output) == (130, "Interrupted.\n")


def test_list_and_explain_cover_every_check() -> None:
    listed = run("list").output
    for id in all_checks():
        assert f"{id}\t" in listed
    assert "already exists" in run("explain", "name-unique").output
    assert run("explain", "no-such-check").exit_code == 2


def test_same_seed_sends_the_same_requests(tmp_path: Path) -> None:
    from contract_tests.engine.options import Options
    from contract_tests.runner.run import Run

    sent = []
    for _ in range(2):
        with serving(Settings(seed=1)) as mock:
            options = Options(url=mock.url, profile="quick", seed=3, state_dir=tmp_path, only=("create", "name-unique"))
            report = Run(options, run_id="same")()
        sent.append([(each.method, each.path, each.body) for each in report.exchanges])
    assert sent[0] == sent[1]


def test_help_works_without_an_installed_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "contract_tests", "--help"], capture_output=True, text=True, check=True, timeout=30
    )
    assert "central-contract check" in done.stdout


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("CENTRAL_READONLY_TOKEN", "CENTRAL_READ_ONLY_TOKEN"),
        ("CENTRAL_TOKENS", "CENTRAL_TOKEN"),
        ("CENTRAL_EXAMPLE", "CENTRAL_EXAMPLES"),
    ],
)
def test_misspelt_variable_is_refused_with_a_suggestion(name: str, meant: str) -> None:
    done = CliRunner().invoke(main, ["clean", "http://127.0.0.1:1"], env={name: "secret"})
    assert done.exit_code == 2
    assert done.output.splitlines()[-1] == f"Error: unknown environment variable {name}; did you mean {meant!r}?"


@pytest.mark.parametrize("name", ["CENTRAL_TOKEN_FILE", "CENTRAL_URL", "CENTRAL_ENDPOINT"])
def test_variables_of_other_tools_are_ignored(name: str) -> None:
    done = CliRunner().invoke(main, ["clean", "http://127.0.0.1:1"], env={name: "x"})
    assert "variable" not in done.output


def test_help_of_each_option_names_its_variable() -> None:
    shown = {
        (option.opts[0], variable)
        for command in main.commands.values()
        for option in command.params
        for variable in re.findall(r"\[env: (\w+)\]", getattr(option, "help", None) or "")
    }
    assert {variable for _, variable in shown} == {*VARIABLES}
    for option, variable in shown:
        assert variable == f"CENTRAL{option.removeprefix('-').replace('-file', '').replace('-', '_').upper()}"


@pytest.mark.heavy
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
@pytest.mark.parametrize(
    ("module", "words", "status"),
    [
        ("mock_server", ["rules"], 1),
        ("mock_server", ["serve", "--help"], 1),
        ("contract_tests", ["list"], 2),
        ("contract_tests", ["fixtures", "--name", "type/quay/read"], 2),
    ],
)
def test_full_disk_of_standard_output_is_one_line(module: str, words: list[str], status: int) -> None:
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", module, *words]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == status
    assert done.stderr == "Error: standard output cannot be written: No space left on device\n"


@pytest.mark.heavy
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_full_disk_of_standard_output_loses_no_report(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "contract_tests", "check", "--only", "create", "--report-json", str(file)]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert json.loads(file.read_text("utf-8"))["verdict"] == "passed"
