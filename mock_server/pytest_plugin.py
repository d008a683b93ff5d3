"""The pytest fixtures: a mock on a loopback port for each test, each module or the whole session.

Every pytest run in its environment loads this module, so the top level imports nothing from this package.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from mock_server.serving.server import MockServer
    from mock_server.settings import Settings
    from mock_server.simulation.usage import Usage

_ALL = "all"
_USAGE = pytest.StashKey["Usage"]()
"""The usage counts of the session's mocks, for --mock-central-report."""
_IN_USE = pytest.StashKey[tuple["MockServer", Sequence[str]]]()
"""The mock of a test, and what fails the test."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option and the ini value that make misuse of the mock fail a test."""
    what = (
        "Fail a test whose mock saw unmatched-requests (of no operation), contract-warnings "
        "or unmet-faults (that affected no request); or all of them"
    )
    group = parser.getgroup("mock-central", "a mock of StackRox Central")
    group.addoption(
        "--mock-central-fail-on", metavar="WHAT,…", help=f"{what}. Overrides the ini value mock_central_fail_on."
    )
    group.addoption(
        "--mock-central-report",
        metavar="FILE",
        nargs="?",
        const="",
        help="Report at the end which parts of the API the tests covered; save the counts to FILE.",
    )
    parser.addini("mock_central_fail_on", f"{what}.", type="args", default=[])


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and raise UsageError where the report would replace another file."""
    if file := config.getoption("--mock-central-report"):
        _require_usage(file)
    config.addinivalue_line(
        "markers",
        "mock_central(scenario, /, *, fail_on, **settings): scenario and settings of the fixture `mock_central`, and "
        "what fails the test (see --mock-central-fail-on)",
    )


@pytest.fixture(scope="session")
def mock_central_settings() -> Mapping[str, Any]:
    """Settings of every mock. Override this fixture to change them; a marker adds to them."""
    return {}


@pytest.fixture(scope="session")
def _mock_central_servers(pytestconfig: pytest.Config) -> Iterator[Any]:
    """Keep one running mock for each set of settings; a test gets it reset."""
    servers: dict[Settings, MockServer] = {}
    with ExitStack() as stack:

        def server(settings: Settings) -> MockServer:
            if settings not in servers:
                servers[settings] = stack.enter_context(_serving(settings, pytestconfig))
            servers[settings].reset()
            return servers[settings]

        yield server


@pytest.fixture
def mock_central(
    request: pytest.FixtureRequest, mock_central_settings: Mapping[str, Any], _mock_central_servers: Any
) -> MockServer:
    """A running mock in its initial state; `url` is its address."""
    settings, fail_on = _chosen(request, mock_central_settings)
    server: MockServer = _started(lambda: _mock_central_servers(settings))
    request.node.stash[_IN_USE] = server, fail_on
    return server


@pytest.fixture(scope="module")
def mock_central_module(
    request: pytest.FixtureRequest, mock_central_settings: Mapping[str, Any]
) -> Iterator[MockServer]:
    """A running mock that the tests of a module share; `pytestmark` chooses its settings."""
    yield from _shared(request, mock_central_settings)


@pytest.fixture(scope="session")
def mock_central_session(
    request: pytest.FixtureRequest, mock_central_settings: Mapping[str, Any]
) -> Iterator[MockServer]:
    """A running mock that all tests share; the fixture `mock_central_settings` chooses its settings."""
    yield from _shared(request, mock_central_settings)


def _shared(request: pytest.FixtureRequest, common: Mapping[str, Any]) -> Iterator[MockServer]:
    settings, fail_on = _chosen(request, common)
    with ExitStack() as stack:
        server: MockServer = _started(lambda: stack.enter_context(_serving(settings, request.config)))
        yield server
        _verify(server, fail_on)


@contextmanager
def _serving(settings: Settings, config: pytest.Config) -> Iterator[MockServer]:
    """Serve a mock, and keep its usage counts for the report, if there is one."""
    from mock_server.serving.server import serving

    with serving(settings) as server:
        usage = server.record_usage() if config.getoption("mock_central_report") is not None else None
        try:
            yield server
        finally:
            if usage is not None:
                _usage_of(config).add(usage)


def _usage_of(config: pytest.Config) -> Usage:
    from mock_server.simulation.usage import Usage

    return config.stash.setdefault(_USAGE, Usage())


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send the counts of a pytest-xdist worker to the process that reports."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None and _USAGE in session.config.stash:
        output["mock_central_usage"] = _usage_of(session.config).document()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add the usage counts of a pytest-xdist worker."""
    from mock_server.simulation import usage

    if found := getattr(node, "workeroutput", {}).get("mock_central_usage"):
        _usage_of(node.config).add(usage.parse(found, "a worker"))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Report which parts of the API the tests covered."""
    file: str | None = config.getoption("mock_central_report")
    if file is None:
        return
    from mock_server.consumer import rendering, report
    from mock_server.contract import tables as contracts
    from mock_server.state import files as states

    usage = _usage_of(config)
    terminalreporter.section("mock-central report")
    contract = contracts.load()
    terminalreporter.write_line(rendering.text(report.report(usage, contract.at(usage.release or contract.release))))
    if file:
        try:
            states.write(Path(file), usage.document())
            terminalreporter.write_line(f"mock-central report {file} --all lists every gap.")
        except states.StateError as error:
            terminalreporter.write_line(f"--mock-central-report: {error}", red=True)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test whose marker has no effect, because the shared mock already has its settings."""
    fixtures = getattr(item, "fixturenames", ())
    shared = [name for name in ("mock_central_module", "mock_central_session") if name in fixtures]
    is_marked = any(each.name == "mock_central" for each in item.own_markers)
    if is_marked and shared and "mock_central" not in fixtures:
        where = "pytestmark of the module" if "module" in shared[0] else "the fixture mock_central_settings"
        _fail(f"pytest.mark.mock_central: does not apply to {shared[0]}, which tests share; use {where}")


def _require_usage(file: str) -> None:
    """Raise UsageError unless a file has usage counts; it may be a test file that pytest took as the option's value."""
    from mock_server.simulation import usage as usages

    try:
        if Path(file).exists():
            usages.read(Path(file))
        is_counts = "::" not in file
    except usages.UsageError:
        is_counts = False
    if not is_counts:
        raise pytest.UsageError(
            f"--mock-central-report: {file} is not a usage file, and would be overwritten; "
            "put the option after the tests, or write --mock-central-report=FILE"
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a test that passed, but used the mock in a way that the options do not allow."""
    yield
    if found := item.stash.get(_IN_USE, None):
        _verify(*found)


def _verify(server: MockServer, fail_on: Sequence[str]) -> None:
    try:
        if fail_on:
            server.verify(*fail_on)
    except AssertionError as error:
        _fail(str(error))


def _fail(text: str) -> NoReturn:
    """Fail the test with one line: without a traceback, and without the error that is being handled."""
    raise pytest.fail.Exception(text, pytrace=False) from None


# -- settings of markers and options ---------------------------------------------------------------------------------


def _chosen(request: pytest.FixtureRequest, common: Mapping[str, Any]) -> tuple[Settings, Sequence[str]]:
    """Return the settings of a mock and what fails a test, or fail with one clear line."""
    from mock_server.settings import from_names

    marker = request.node.get_closest_marker("mock_central")
    try:
        named = _named(marker.args, marker.kwargs) if marker else {}
        fail_on = _fail_on(request.config, named.pop("fail_on", None))
        return from_names(**{"fatal_answers": True} | dict(common) | named), fail_on
    except (ValueError, TypeError) as error:
        _fail(f"{'pytest.mark.mock_central' if marker else 'mock_central'}: {error}")


def _started(start: Any) -> Any:
    try:
        return start()
    except ValueError as error:  # errors that only an app finds: an unknown mutant or operation, an invalid state
        _fail(f"mock_central: {error}")


def _named(args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    if not args:
        return dict(kwargs)
    if len(args) > 1 or not isinstance(args[0], str) or "scenario" in kwargs:
        raise ValueError(
            f"{', '.join(map(repr, args))}: give one scenario, such as mock_central('one-of-each'); "
            f"everything else has a name, such as mock_central(auth=True)"
        )
    return {"scenario": args[0], **kwargs}


def _fail_on(config: pytest.Config, marked: Any) -> Sequence[str]:
    from mock_server.serving.server import MISUSES
    from mock_server.settings import suggestion

    option: str | None = config.getoption("mock_central_fail_on")
    chosen = config.getini("mock_central_fail_on") if option is None else option.split(",")
    if marked is not None:
        chosen = [marked] if isinstance(marked, str) else marked
    if not isinstance(chosen, list | tuple | set):
        raise TypeError(f"fail_on: {chosen!r} is not a list of names; {suggestion('', [*MISUSES, _ALL])}")
    names = [each for name in chosen for each in (MISUSES if name == _ALL else [name]) if each]
    if unknown := [name for name in names if name not in MISUSES]:
        raise ValueError(f"fail_on: unknown name {unknown[0]!r}; {suggestion(unknown[0], [*MISUSES, _ALL])}")
    return names
