"""The harness in pytest: a test for each check, and a fixture that runs them all.

`pytest --pyargs contract_tests --central-url URL` reports each check as a test. Your own tests use the
fixture `check_central`. pytest loads this module in every run, so it imports the harness only on use.
"""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from contract_tests.engine.options import Options
    from contract_tests.runner.own_mock import OwnMock
    from contract_tests.runner.report import Report


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options --central-url and --central-options."""
    group = parser.getgroup("central-contract", "the contract and the rules of Central")
    group.addoption(
        "--central-url", metavar="URL", help="Server that the tests of contract_tests check [default: a new mock]."
    )
    group.addoption(
        "--central-options",
        default="",
        metavar="OPTIONS",
        help="Options of `central-contract check` as one argument, such as '--quick --rate 20/s'.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse invalid options of the harness before the first test."""
    if words := config.getoption("central_options"):
        _options(config.getoption("central_url") or "http://127.0.0.1", shlex.split(words))


_incomplete = pytest.StashKey[list[str]]()
"""Why the run is incomplete; pytest itself accepts skipped tests."""


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Copy from an xdist worker why its run is incomplete."""
    node.config.stash.setdefault(_incomplete, []).extend(getattr(node, "workeroutput", {}).get("central", ()))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End with exit status 3, as `check` does, if nothing failed but not everything was checked or cleaned up."""
    config = session.config
    incomplete = config.stash.get(_incomplete, [])
    if hasattr(config, "workeroutput"):
        config.workeroutput["central"] = incomplete
    elif incomplete and session.exitstatus == 0:
        session.exitstatus = 3


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say why a run is incomplete."""
    for reason in config.stash.get(_incomplete, []):
        terminalreporter.write_line(f"Incomplete: {reason}.")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the harness's own tests out of `--pyargs contract_tests`, which checks a server."""
    ours = collection_path == Path(__file__).parents[1] / "meta_tests"
    return True if ours and config.option.pyargs else None


@contextmanager
def _harness_required(fixture: str) -> Iterator[None]:
    """Fail a test with one clear line if the harness is not installed."""
    missing = ""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
    if missing:  # outside of `except`, so that pytest does not show the chained error
        pytest.fail(
            f"{fixture} needs the harness, but {missing} is not installed; "
            f"install it from a checkout: pip install '.[contract]'",
            pytrace=False,
        )


@pytest.fixture
def check_central(tmp_path: Path) -> Callable[..., Report]:
    """Return a function that checks a URL with options of `central-contract check`; the test fails if a check fails.

    `report = check_central(url, "--quick", "--skip", "list-order")`
    """

    def run(url: str, *words: str) -> Report:
        with _harness_required("check_central"):
            from rich.console import Console

            from contract_tests.reports import terminal

        options = _options(url, ["--state-dir", str(tmp_path), *words])
        report, unable = _report(options)
        if report is None:
            pytest.fail(unable, pytrace=False)
        if report.exit_code:
            console = Console(highlight=False, soft_wrap=True)
            with console.capture() as summary:
                terminal.summary(report, console)
            pytest.fail(summary.get(), pytrace=False)
        return report

    return run


def _report(options: Options) -> tuple[Report | None, str]:
    """Run the checks; return the report, or None and why there is none.

    Raises:
        KeyboardInterrupt: the run was interrupted.
    """
    from contract_tests.engine.failures import BudgetSpent, HarnessError
    from contract_tests.runner.run import Run

    try:
        report = Run(options)()
    except HarnessError as error:
        return None, f"the run could not begin: {error}"
    except BudgetSpent as error:
        return None, f"the budget of {error} was used up before the first check"
    if report.interrupted:
        raise KeyboardInterrupt
    return report, ""


class Recorded(NamedTuple):
    """Requests to Central and their recorded answers; the last exchange is the subject of the fixture.

    An exchange has a `request` (`method`, `path`, `headers`, `body`) and an `answer` (`status`, `headers`, `body`).
    """

    id: str
    rule: str | None
    why: str
    exchanges: list[dict[str, Any]]

    @property
    def body(self) -> Any:
        """The JSON that the last request sends."""
        return self.exchanges[-1]["request"].get("body")

    @property
    def status(self) -> int:
        """The status of the last answer."""
        return int(self.exchanges[-1]["answer"]["status"])

    @property
    def answer(self) -> Any:
        """The JSON of the last answer."""
        return self.exchanges[-1]["answer"].get("body")


@pytest.fixture(scope="session")
def central_fixture() -> Callable[..., Recorded]:
    """Return a function that finds a fixture by its name in `central-contract fixtures --list`.

    The prefixes `type/` and `variant/` are optional: `quay/read` also finds `type/quay/read`. `central_version` is the
    release that answers (default: the newest).

    `central_fixture("quay/minimal-registry").body`, `central_fixture("name-unique/create").answer["message"]`
    """

    def find(name: str, central_version: str | None = None) -> Recorded:
        with _harness_required("central_fixture"):
            from contract_tests.fixtures.cases import named, similar
            from contract_tests.fixtures.formats.plain import plain
            from contract_tests.fixtures.generate import Wish, drawn
            from contract_tests.fixtures.record import mocks
            from mock_server.contract import tables as contracts

        try:
            wish = Wish() if central_version is None else Wish(version=central_version)
            contracts.load().at(wish.version)
        except ValueError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        case = named(name)
        if case is None:
            close = similar(name)
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            pytest.fail(f"there is no fixture {name!r} (see `central-contract fixtures --list`){hint}", pytrace=False)
        if not case.in_force(wish.version):
            having = [each for each in contracts.load().releases.lines if case.in_force(each)]
            pytest.fail(
                f"Central {wish.version} has no fixture {name!r}; "
                f"use central_fixture({name!r}, central_version={having[-1]!r})",
                pytrace=False,
            )
        value = plain(drawn(case, wish, mocks(wish.version)))
        return Recorded(case.id, value["rule"], value["why"], value["exchanges"])

    return find


class CheckResult(NamedTuple):
    """The outcome of a check, and the text that reports it."""

    outcome: str
    text: str


@pytest.fixture(scope="session")
def central_result(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], CheckResult | None]:
    """Return a function that returns the result of a check, or None if the check is not in the profile.

    One run covers all selected checks. With xdist, the first worker runs them and the others read the results.
    """
    config = request.config
    results: dict[str, CheckResult] = {}

    def result(check: str) -> CheckResult | None:
        if not results:
            if hasattr(config, "workerinput"):
                folder = tmp_path_factory.getbasetemp().parent
                results.update(_shared(folder, lambda: _run(request.session)))
            else:
                results.update(_run(request.session))
        return results.get(check)

    return result


def _run(session: pytest.Session) -> dict[str, CheckResult]:
    """Run the checks whose tests were selected."""
    from dataclasses import replace

    from contract_tests.reports import terminal
    from contract_tests.runner import report as outcomes
    from contract_tests.runner.own_mock import own_mock

    config = session.config
    with ExitStack() as stack:
        mock = None if config.getoption("central_url") else stack.enter_context(own_mock())
        url = mock.url if mock else config.getoption("central_url")
        options = _options(url, shlex.split(config.getoption("central_options")), mock)
        selected = _selected(session)
        report, unable = _report(_only(options, selected))
        if report is None:
            return {_UNABLE: CheckResult(outcomes.ERROR, unable)}
        shown = [each for each in report.results if each.check in selected]
        config.stash[_incomplete] = replace(report, results=shown, options=replace(options, only=())).incomplete
        return {
            each.check: CheckResult(
                each.outcome,
                terminal.text_of(each, report) if each.outcome == outcomes.FAILED else each.reason,
            )
            for each in report.results
        }


_UNABLE = ""
"""In place of a check's id, if the run failed."""


def _shared(folder: Path, run: Callable[[], dict[str, CheckResult]]) -> dict[str, CheckResult]:
    """Return the results of one run for all xdist workers: the first runs the checks and writes them to a file."""
    results = folder / "central-contract.json"
    try:
        claim = os.open(folder / "central-contract.pid", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return _awaited(results, folder / "central-contract.pid")
    with os.fdopen(claim, "w") as file:
        file.write(str(os.getpid()))
    by_check = {_UNABLE: CheckResult("error", "the worker that ran the checks ended early")}
    try:
        by_check = run()
    finally:  # the other workers wait for the file
        temporary = results.with_suffix(".tmp")
        temporary.write_text(json.dumps(by_check), "utf-8")
        temporary.replace(results)
    return by_check


def _awaited(results: Path, claim: Path) -> dict[str, CheckResult]:
    """Wait for the results of another worker; return an error result if that worker has died."""
    while not results.exists():
        time.sleep(0.1)
        pid = claim.read_text("utf-8")
        if pid and not results.exists() and not Path(f"/proc/{pid}").exists() and Path("/proc/self").exists():
            return {_UNABLE: CheckResult("error", "the worker that ran the checks has died")}
    return {check: CheckResult(*result) for check, result in json.loads(results.read_text("utf-8")).items()}


def _selected(session: pytest.Session) -> list[str]:
    checks = (getattr(item, "callspec", None) for item in session.items if item.name.startswith("test_check["))
    return [callspec.params["check"] for callspec in checks if callspec is not None]


def _only(options: Options, checks: list[str]) -> Options:
    """Return options that select the checks and their prerequisites."""
    from dataclasses import replace

    from contract_tests.checks.registry import FOUNDATION, all_checks

    known = all_checks()
    needed = [need for each in checks for need in (known[each].needs if each in known else FOUNDATION)]
    return replace(options, only=tuple(dict.fromkeys((*needed, *checks))))


def _options(url: str, words: list[str], mock: OwnMock | None = None) -> Options:
    import click

    from contract_tests.runner.arguments import parsed

    try:
        return parsed(url, words, mock)
    except click.UsageError as error:
        raise pytest.UsageError(f"options of the harness: {error.format_message()}") from None


def apply_result(results: Callable[[str], CheckResult | None], check: str) -> None:
    """Pass, fail, skip or xfail the current test as its check ended."""
    from contract_tests.runner import report as outcomes

    if unable := results(_UNABLE):
        pytest.exit(unable.text, returncode=2)
    result = results(check)
    if result is None:
        pytest.skip("not in this profile")
    if result.outcome == outcomes.FAILED:
        pytest.fail(result.text, pytrace=False)
    if result.outcome == outcomes.ERROR:
        pytest.fail(f"the harness failed: {result.text}", pytrace=False)
    if result.outcome == outcomes.KNOWN:
        pytest.xfail(result.text)
    if result.outcome == outcomes.SKIPPED:
        pytest.skip(result.text)
