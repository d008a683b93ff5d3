"""The verdict says what was checked; a run that could not check everything is incomplete."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from contract_tests.cli.main import main
from contract_tests.engine.options import Options
from contract_tests.meta_tests.mutant_runs import report_on
from contract_tests.meta_tests.test_cli import answering
from contract_tests.meta_tests.test_compare import behind
from contract_tests.reports.sources import links
from contract_tests.runner.run import Run
from mock_server.serving.server import serving
from mock_server.settings import Settings

A_FEW = ("--only", "create", "--only", "name-unique", "--only", "name-required")


class Checked:
    """The exit status and the reports of a command."""

    def __init__(self, folder: Path, *words: str, **environment: str) -> None:
        paths = {kind: folder / f"report.{kind}" for kind in ("json", "junit", "markdown", "html")}
        options = [word for kind, path in paths.items() for word in (f"--report-{kind}", str(path))]
        state = ("--state-dir", str(folder / "state"))
        self.result: Result = CliRunner().invoke(
            main, ("check", *words, *state, *options), env=environment, prog_name="central-contract"
        )
        self.status = self.result.exit_code
        self.output = self.result.output
        self.texts = {kind: path.read_text("utf-8") for kind, path in paths.items() if path.exists()}

    @property
    def json(self) -> Any:
        return json.loads(self.texts["json"])

    @property
    def verdict(self) -> list[str]:
        """The lines after the last empty one."""
        return self.result.stdout.rstrip().rpartition("\n\n")[2].splitlines()


# -- statuses ----------------------------------------------------------------------------------------


@pytest.mark.heavy
def test_healthy_mock_passes_and_the_headline_counts_the_checks(tmp_path: Path) -> None:
    done = Checked(tmp_path, "--quick")
    assert done.status == 0, done.output
    first = done.verdict[0]
    found = re.fullmatch(
        r"The check of http://\S+ passed: (\d+) of (\d+) checks ran, covering (\d+) of (\d+) rules\.", first
    )
    assert found, done.verdict
    looked = done.json["lookedAt"]
    assert [looked[each] for each in ("checks", "ofChecks", "rules", "ofRules")] == list(map(int, found.groups()))
    assert looked["checks"] == sum(each["outcome"] == "passed" for each in done.json["results"])
    # Every report begins with the same line.
    assert done.texts["markdown"].startswith(f"## {first}\n")
    assert f">{first}</h1>" in done.texts["html"]
    assert (done.json["headline"], done.json["verdict"]) == (first, "passed")
    case = ET.fromstring(done.texts["junit"]).find("testsuite/testcase")
    assert case is not None
    assert (case.get("name"), (case.findtext("system-out") or "").splitlines()[0]) == ("verdict", first)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--max-requests", "5"), "checks were skipped: the budget of 5 requests was used up"),
        (("--time-budget", "0.3s", "--rate", "50/s"), "skipped: the budget of 0.3 seconds was used up"),
        (("--only", "message-size"), "message-size was selected by --only but skipped: would send 25 MiB"),
        (("--only", "create", "--require-rules", "95"), "% of the rules were covered; --require-rules demands 95 %"),
        (("--max-live", "10"), "skipped: more than 10 integrations of this run would exist"),
    ],
)
def test_run_with_missing_checks_is_incomplete(tmp_path: Path, words: tuple[str, ...], why: str) -> None:
    done = Checked(tmp_path, "--quick", *words)
    assert done.status == 3, done.output
    assert " is incomplete: " in done.verdict[0]
    assert any(line.startswith("Incomplete: ") and why in line for line in done.verdict), done.verdict
    error = ET.fromstring(done.texts["junit"]).find(".//testcase[@name='verdict']/error")
    assert error is not None, "a service that reads JUnit alone must not show green"
    assert error.get("type") == "incomplete"


@pytest.mark.timing
@pytest.mark.served
def test_slow_target_ends_in_time_and_incomplete(tmp_path: Path) -> None:
    with serving() as mock, behind(mock.url, seconds=0.2) as url:
        started = time.monotonic()
        done = Checked(tmp_path, url, "--time-budget", "3s")
        seconds = time.monotonic() - started
    assert done.status == 3, done.output
    assert seconds < 3 + 10
    assert any("the budget of 3 seconds was used up" in line for line in done.verdict)


@pytest.mark.heavy
def test_required_share_of_rules_is_enough(tmp_path: Path) -> None:
    assert Checked(tmp_path, "--quick", "--require-rules", "90").status == 0


@pytest.mark.served
def test_run_without_writes_is_incomplete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Options, "may_write", False)  # as of a host that is not loopback
    with serving() as mock:
        done = Checked(tmp_path, mock.url, "--quick")
    assert done.status == 3, done.output
    assert any("would write; allow it with --allow-writes" in line for line in done.verdict)


@pytest.mark.served
@pytest.mark.parametrize("only", [(), A_FEW, ("--only", "name-unique")], ids=["all", "some", "without create"])
def test_run_with_read_only_credentials_is_incomplete(tmp_path: Path, only: tuple[str, ...]) -> None:
    with serving(Settings(auth=True)) as mock:
        done = Checked(tmp_path, mock.url, "--quick", *only, CENTRAL_TOKEN=Settings().credentials.read_only_token)
    assert done.status == 3, done.output
    assert done.json["counts"]["failed"] == 0
    assert any("the credentials cannot write" in line for line in done.verdict)


@pytest.mark.served
def test_refused_creates_of_a_writer_fail(tmp_path: Path) -> None:
    """Another write succeeded, so the credentials are not the cause."""
    report = report_on(Settings(auth=True, mutants=("errors-200",)), profile="quick", seed=1)
    assert report.exit_code == 1


@pytest.mark.served
def test_run_that_leaves_something_is_incomplete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contract_tests.runner.run.remove_owned", lambda _: ["mine"])
    with serving() as mock:
        report = Run(Options(url=mock.url, profile="quick", only=("name-required",), state_dir=tmp_path))()
    assert report.exit_code == 3
    assert report.incomplete == ["1 of the integrations that the run created could not be deleted"]


@pytest.mark.served
def test_checks_that_need_a_known_difference_are_incomplete(tmp_path: Path) -> None:
    """A known difference of a base check must not let a run pass that checked nothing."""
    # These failures come from the same answers.
    skipped = ("--skip", "answer-schema", "--skip", "zero-values-emitted")
    known = tmp_path / "known.toml"
    known.write_text('[[difference]]\ncheck = "create"\nreason = "We know."\n')
    with serving(Settings(mutants=("create-201",))) as mock:
        done = Checked(tmp_path, mock.url, "--quick", "--known", str(known), *skipped)
    assert done.json["counts"]["failed"] == 0, done.output
    assert done.status == 3, done.output
    assert any("needs create" in line for line in done.verdict)


# -- strict ------------------------------------------------------------------------------------------


@pytest.mark.heavy
def test_strict_fails_skipped_checks_except_those_the_user_skips(tmp_path: Path) -> None:
    done = Checked(tmp_path, "--quick", "--strict")
    assert done.status == 1, done.output
    failed = {each["check"] for each in done.json["results"] if each["outcome"] == "failed"}
    assert {"message-size", "scanner-v4-not-deleted"} <= failed
    assert "ecr-iam-managed" not in failed  # the target is not the managed service: nobody could look
    assert "skipped (--strict)" in done.output
    again = Checked(tmp_path, "--quick", "--strict", *(word for each in sorted(failed) for word in ("--skip", each)))
    assert again.status == 0, again.output


@pytest.mark.heavy
def test_strict_ignores_rules_of_other_releases(tmp_path: Path) -> None:
    strict = Checked(tmp_path, "--quick", "--strict", "--central-version", "4.9")
    failed = [each for each in strict.json["results"] if each["outcome"] == "failed"]
    assert not [each for each in failed if "does not have this rule" in each["reason"]]
    assert [each for each in strict.json["results"] if "does not have this rule" in each["reason"]]


def test_disposable_target_gets_more_checks(tmp_path: Path) -> None:
    done = Checked(tmp_path, "--quick", "--disposable", "--only", "message-size", "--only", "registry-reachable")
    assert done.status == 0, done.output


# -- known differences -------------------------------------------------------------------------------


@pytest.mark.served
@pytest.mark.parametrize(
    ("words", "status", "failed"),
    [
        ((), 0, []),
        (("--no-known", "create-answer-in-clear"), 1, ["create-answer-in-clear"]),
        (("--no-known", "all"), 1, ["create-answer-in-clear", "list-order"]),
    ],
)
def test_shipped_known_difference_can_be_disabled(
    tmp_path: Path, words: tuple[str, ...], status: int, failed: list[str]
) -> None:
    with serving(Settings(as_deployed=True)) as mock:
        done = Checked(tmp_path, mock.url, "--quick", *A_FEW, "--only", "list-order", *words)
    assert done.status == status, done.output
    assert sorted(each["check"] for each in done.json["results"] if each["outcome"] == "failed") == failed


def test_unknown_known_difference_is_refused(tmp_path: Path) -> None:
    done = Checked(tmp_path, "--no-known", "list-ordr")
    assert done.status == 2
    assert "did you mean list-order?" in done.output


# -- only what was checked---------------------------------------------------------------------------


def test_static_site_does_not_pass(tmp_path: Path) -> None:
    with answering(200, {"Content-Type": "text/html"}, b"<!doctype html>Welcome") as url:
        done = Checked(tmp_path, url, "--quick", *A_FEW, "--only", "list")
    assert done.status == 1
    assert " assumed (set it with --central-version); profile quick" in done.verdict[-1]
    assert "reported by the target" not in done.output
    assert not done.json["knownDifferencesGone"]
    outcomes = {each["check"]: each["outcome"] for each in done.json["results"]}
    assert outcomes["credentials-masked"] == outcomes["create-answer-in-clear"] == "skipped"
    assert outcomes["answer-schema"] == "skipped"


@pytest.mark.served
@pytest.mark.parametrize(
    ("words", "text"),
    [((), "Central 4.11.2, reported by the target"), (("--central-version", "4.10.0"), "Central 4.10.0, given")],
)
def test_release_is_reported_or_given(tmp_path: Path, words: tuple[str, ...], text: str) -> None:
    with serving(Settings(central_version="4.11")) as mock:
        done = Checked(tmp_path, mock.url, "--quick", "--only", "list", *words)
    assert text in done.verdict[-1]


@pytest.mark.served
def test_known_difference_is_fixed_only_if_its_check_ran(tmp_path: Path) -> None:
    with serving() as mock:
        read = Run(Options(url=mock.url, profile="quick", only=("list",), state_dir=tmp_path))()
        written = Run(Options(url=mock.url, profile="quick", only=("create",), state_dir=tmp_path))()
    assert [each.check for each in read.gone] == []
    assert [each.check for each in written.gone] == ["create-answer-in-clear"]


# -- the own mock ------------------------------------------------------------------------------------


@pytest.mark.heavy
def test_own_mock_ignores_the_token_in_the_environment(tmp_path: Path) -> None:
    done = Checked(tmp_path, "--quick", CENTRAL_TOKEN="abc", CENTRAL_READ_ONLY_TOKEN="def")
    assert done.status == 0, done.output
    outcomes = {each["check"]: each["outcome"] for each in done.json["results"]}
    assert outcomes["write-permission"] == outcomes["role-missing"] == "passed"


@pytest.mark.heavy
@pytest.mark.parametrize("version", ["4.8", "4.11"])
def test_own_mock_follows_the_given_release(tmp_path: Path, version: str) -> None:
    done = Checked(tmp_path, "--quick", "--central-version", version)
    assert done.status == 0, done.output
    assert re.match(rf"Central {re.escape(version)}\.[0-9]+, given; ", done.verdict[-1])


# -- reports -----------------------------------------------------------------------------------------


SEVERAL = (
    "name-unique",
    "quay-endpoint-required",
    "ibm-api-key-required",
    "azure-endpoint-required",
    "clair-endpoint-required",
    "clairify-endpoint-required",
)


@pytest.mark.heavy
@pytest.mark.served
def test_three_failures_are_detailed_and_the_rest_grouped(tmp_path: Path) -> None:
    with serving(Settings(mutants=SEVERAL)) as mock:
        done = Checked(tmp_path, mock.url, "--quick")
    failed = [each["check"] for each in done.json["results"] if each["outcome"] == "failed"]
    assert set(SEVERAL) <= set(failed)
    named = re.findall(r"^FAILED ([a-z0-9-]+): ", done.output, re.MULTILINE)
    groups = re.findall(r"^FAILED \d+ more checks?: .*: (.*)$", done.output, re.MULTILINE)
    assert 1 <= len(named) <= 3
    assert sorted([*named, *(check for group in groups for check in group.split(", "))]) == sorted(failed)
    assert len(done.output) < 15_000
    assert done.texts["markdown"].count("\n### ") <= 3 + 4


@pytest.mark.served
def test_failures_have_title_legend_link_and_command(tmp_path: Path) -> None:
    with serving(Settings(mutants=("name-unique",))) as mock:
        done = Checked(tmp_path, mock.url, "--quick", *A_FEW)
    url = "https://github.com/stackrox/stackrox/blob/master/central/imageintegration/service/service_impl.go"
    again = f"central-contract replay {tmp_path / 'report.json'} name-unique"
    for kind, text in {"terminal": done.output, **done.texts}.items():
        assert url in text, kind
        assert again in text, kind
        if kind not in ("json", "html"):
            assert "- expected, + answered" in text, kind
    suites = ET.fromstring(done.texts["junit"])
    failure = suites.find(".//failure")
    assert failure is not None
    assert re.match(r"Accepts a name that another integration has, .*: .", failure.get("message") or "")
    names = ("tests", "failures", "errors", "skipped")
    for name in names:
        assert int(suites.get(name, "-1")) == sum(int(suite.get(name, "-1")) for suite in suites), name
    assert suites.get("failures") == "1"


@pytest.mark.heavy
def test_outcomes_are_counted_by_kind(tmp_path: Path) -> None:
    done = Checked(tmp_path, "--quick")
    rows = dict(re.findall(r"^(rules|permissions|observed) +(\d+)", done.output, re.MULTILINE))
    groups = done.json["groups"]
    assert {name: int(count) for name, count in rows.items()} == {
        name: groups[name]["passed"] for name in ("rules", "permissions", "observed")
    }


@pytest.mark.parametrize(
    ("source", "version", "urls"),
    [
        ("pkg/grpc/server.go", "4.11", ["https://github.com/stackrox/stackrox/blob/4.11.2/pkg/grpc/server.go"]),
        ("pkg/grpc/server.go", "4.10.3", ["https://github.com/stackrox/stackrox/blob/4.10.3/pkg/grpc/server.go"]),
        (
            "Go net/url url.go, grpc-gateway runtime/query.go",
            "5.0.0",
            [
                "https://github.com/golang/go/blob/master/src/net/url/url.go",
                "https://github.com/grpc-ecosystem/grpc-gateway/blob/main/runtime/query.go",
            ],
        ),
        (
            "pkg/registries, pkg/scanners",
            "4.8",
            [
                "https://github.com/stackrox/stackrox/tree/4.8.11/pkg/registries",
                "https://github.com/stackrox/stackrox/tree/4.8.11/pkg/scanners",
            ],
        ),
        ("grpc-gateway generated handlers", "4.11", []),
        ("", "4.11", []),
    ],
)
def test_source_is_a_link(source: str, version: str, urls: list[str]) -> None:
    assert links(source, version) == urls


@pytest.mark.served
def test_github_annotations_are_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Settings(mutants=("name-unique",))) as mock:
        done = Checked(tmp_path, mock.url, "--quick", *A_FEW, GITHUB_ACTIONS="true")
        plain = Checked(tmp_path, mock.url, "--quick", *A_FEW, GITHUB_ACTIONS="")
    assert "::error" not in plain.output
    (line,) = [line for line in done.output.splitlines() if line.startswith("::")]
    assert line.startswith("::error title=central-contract%3A name-unique::")
    assert done.verdict[0].startswith("The check of")


def test_incomplete_run_is_annotated(tmp_path: Path) -> None:
    done = Checked(tmp_path, "--quick", "--max-requests", "5", GITHUB_ACTIONS="true")
    assert [line for line in done.output.splitlines() if line.startswith("::error title=central-contract::")]


@pytest.mark.parametrize("url", ["http://127.0.0.1:9"])
def test_unreachable_target_has_reports(tmp_path: Path, url: str) -> None:
    done = Checked(tmp_path, url, "--quick")
    assert done.status == 2
    assert done.json["verdict"] == "could not be checked"
    for kind, text in done.texts.items():
        assert "could not be checked" in text, kind
        assert "does not answer" in text, kind


def test_dropped_connections_are_one_failure(tmp_path: Path) -> None:
    def drop(*_: object) -> None:
        run.transport.dropped += [(each, "ConnectionResetError") for each in run.transport.exchanges] * 40

    with serving(Settings()) as mock:
        run = Run(Options(url=mock.url, state_dir=tmp_path, only=("list",)), drop)
        report = run()
    (failure,) = report.failures
    assert (failure.check, failure.also + 1) == ("every-request-answered", len(run.transport.dropped))
