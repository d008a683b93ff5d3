"""The harness in pytest: a test for each check, and a fixture that runs them all.

`pytest --pyargs contract_tests --central-url URL` reports each check as a test of its own. Tests of your
own take the fixture `check_central`. Loaded in every pytest run of its environment, so nothing of ours is
imported up here.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from contract_tests.engine.options import Options
    from contract_tests.runner.run import Report, Result


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, whose names begin with --central."""
    group = parser.getgroup("central-contract", "the contract and the rules of Central")
    group.addoption(
        "--central-url", metavar="URL", help="Server that the tests of contract_tests check [default: a mock of ours]."
    )
    group.addoption(
        "--central-options",
        default="",
        metavar="OPTIONS",
        help="Options of `central-contract check` in one word, such as '--quick --rate 20/s'.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse options of the harness that are none."""
    if words := config.getoption("central_options"):
        _options(config.getoption("central_url") or "http://127.0.0.1", shlex.split(words))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the harness's own tests out of `--pyargs contract_tests`, which checks a server."""
    ours = collection_path == Path(__file__).parents[1] / "meta_tests"
    return True if ours and config.option.pyargs else None


@contextmanager
def _harness_required(fixture: str) -> Iterator[None]:
    """Fail a test with one clear line if only the stub is installed."""
    missing = ""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = str(error.name)
    if missing:  # outside, where pytest does not show the errors beneath
        pytest.fail(
            f"{fixture} needs the harness, but {missing} is not installed; "
            f"install it from a checkout: pip install '.[contract]'",
            pytrace=False,
        )


@pytest.fixture
def check_central(tmp_path: Path) -> Callable[..., Report]:
    """Run the checks against a URL with options of `central-contract check`; the test fails when a check does.

    `report = check_central(url, "--quick", "--skip", "list-order")`
    """

    def run(url: str, *words: str) -> Report:
        with _harness_required("check_central"):
            from rich.console import Console

            from contract_tests.engine.failures import BudgetSpent, HarnessError
            from contract_tests.reports import terminal
            from contract_tests.runner.run import Run

        options = _options(url, ["--state-dir", str(tmp_path), *words])
        unable = ""
        try:
            report = Run(options)()
        except (HarnessError, BudgetSpent) as error:
            unable = str(error)  # told outside, where pytest does not show the errors beneath
        if unable:
            pytest.fail(f"the harness cannot do its work: {unable}", pytrace=False)
        if report.exit_code:
            console = Console(highlight=False, soft_wrap=True)
            with console.capture() as told:
                terminal.summary(report, options, console)
            pytest.fail(told.get(), pytrace=False)
        return report

    return run


@pytest.fixture(scope="session")
def central_result(request: pytest.FixtureRequest) -> Iterator[Callable[[str], tuple[Result | None, Options]]]:
    """Return how a check ended, None where the profile leaves it out.

    One run makes all that were selected; a worker of xdist makes each one alone.
    """
    with _harness_required("central_result"):
        from contract_tests.engine.failures import HarnessError
        from contract_tests.runner.run import Run
    from mock_server.serving.server import serving

    config = request.config
    with ExitStack() as stack:
        url = config.getoption("central_url") or stack.enter_context(serving()).url
        options = _options(url, shlex.split(config.getoption("central_options")))
        results: dict[str, Result | None] = {}

        def result(check: str) -> tuple[Result | None, Options]:
            if check not in results:
                selected = [check] if hasattr(config, "workerinput") else _selected(request.session)
                results.update(dict.fromkeys(selected))
                try:
                    report = Run(_only(options, selected))()
                except HarnessError as error:
                    pytest.exit(f"the harness cannot do its work: {error}", returncode=2)
                results.update({each.check: each for each in report.results})
            return results[check], options

        yield result


def _selected(session: pytest.Session) -> list[str]:
    checks = (getattr(item, "callspec", None) for item in session.items if item.name.startswith("test_check["))
    return [callspec.params["check"] for callspec in checks if callspec is not None]


def _only(options: Options, checks: list[str]) -> Options:
    """Choose checks and what they stand on."""
    from dataclasses import replace

    from contract_tests.checks.registry import FOUNDATION, all_checks

    known = all_checks()
    needed = [need for each in checks for need in (known[each].needs if each in known else FOUNDATION)]
    return replace(options, only=tuple(dict.fromkeys((*needed, *checks))))


def _options(url: str, words: list[str]) -> Options:
    import click

    from contract_tests.cli.arguments import parsed

    try:
        return parsed(url, words)
    except click.UsageError as error:
        raise pytest.UsageError(f"options of the harness: {error.format_message()}") from None


def told(outcome: tuple[Result | None, Options]) -> None:
    """End a test as the check of its name ended."""
    from contract_tests.reports import terminal
    from contract_tests.runner import run

    result, options = outcome
    if result is None:
        pytest.skip(f"the profile {options.profile} leaves it out")
    if result.outcome == run.FAILED:
        pytest.fail(terminal.text_of(result, options), pytrace=False)
    if result.outcome == run.ERROR:
        pytest.fail(f"the harness failed: {result.reason}", pytrace=False)
    if result.outcome == run.KNOWN:
        pytest.xfail(result.reason)
    if result.outcome == run.SKIPPED:
        pytest.skip(result.reason)
