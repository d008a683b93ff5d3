"""The pytest fixture `mock_central`: a fresh Central on a loopback port for each test.

``@pytest.mark.mock_central(as_deployed=True, auth=True)`` chooses its settings; faults are texts there.
Loaded in every pytest run of its environment, so nothing of ours is imported up here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mock_server.serving.server import MockServer


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", "mock_central(**settings): settings of the mock that the fixture `mock_central` gives"
    )


@pytest.fixture(scope="session")
def _mock_central_servers() -> Iterator[Any]:
    """Keep one running mock for each set of settings; a test gets it reset."""
    import dataclasses

    from mock_server.serving.server import running
    from mock_server.settings import Settings
    from mock_server.simulation.faults import parse

    servers: dict[Settings, MockServer] = {}
    with ExitStack() as stack:

        def server(**chosen: Any) -> MockServer:
            known = [each.name for each in dataclasses.fields(Settings)]
            if unknown := [name for name in chosen if name not in known]:
                raise ValueError(f"unknown setting {unknown[0]!r}; known: {', '.join(known)}")
            if "faults" in chosen:
                chosen["faults"] = tuple(map(parse, chosen["faults"]))
            settings = Settings(**{"fatal_answers": True} | chosen)
            if settings not in servers:
                servers[settings] = stack.enter_context(running(settings))
            servers[settings].reset()
            return servers[settings]

        yield server


@pytest.fixture
def mock_central(request: pytest.FixtureRequest, _mock_central_servers: Any) -> MockServer:
    """A running mock in its first state, `url` telling where."""
    marker = request.node.get_closest_marker("mock_central")
    problem = ""
    try:
        server: MockServer = _mock_central_servers(**(marker.kwargs if marker else {}))
    except ValueError as error:
        problem = str(error)  # told outside, where pytest does not show the errors beneath
    if problem:
        pytest.fail(f"pytest.mark.mock_central: {problem}", pytrace=False)
    return server
