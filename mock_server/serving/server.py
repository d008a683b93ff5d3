"""A mock that serves from a thread of this process, for tests."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any

from mock_server.central.errors import Refusal
from mock_server.sandboxes.sandboxes import PREFIX
from mock_server.serving.addresses import ServeError, free_port, resolve, url_of
from mock_server.serving.worker import make_app
from mock_server.settings import Settings, suggestion
from mock_server.simulation.fault_forms import from_values, parse
from mock_server.simulation.faults import Faults
from mock_server.simulation.request_journal import Filter, Journal

if TYPE_CHECKING:
    from mock_server.gateway.gateway import Gateway
    from mock_server.gateway.instance import Instance
    from mock_server.sandboxes.sandboxes import Sandbox
    from mock_server.simulation.usage import Usage
    from mock_server.web.app import MockCentral

MISUSES = {
    "unmatched-requests": "requests that matched no operation",
    "contract-warnings": "requests that violated the contract",
    "unmet-faults": "faults that affected no request",
}
"""The misuses that `MockServer.verify` checks."""


class MockServer:
    """A mock that serves from a thread of this process, at ``url``."""

    def __init__(self, app: MockCentral, server_url: str, sandbox: str = "") -> None:
        """`sandbox`: use this sandbox instead of the default one."""
        self.app = app
        self.url = f"{server_url}{PREFIX}{sandbox}" if sandbox else server_url
        """Its address, such as ``http://127.0.0.1:40123``."""
        self._server_url = server_url
        self._name = sandbox

    @property
    def _sandbox(self) -> Sandbox[Instance]:
        sandboxes = self.app.gateway.sandboxes
        return sandboxes.get(self._name) if self._name else sandboxes.default

    def reset(self) -> None:
        """Reset to the initial state; in the default sandbox this also deletes all other sandboxes."""
        if not self._name:
            self.app.gateway.sandboxes.remove()
        self._sandbox.reset()

    def scenario(self, name: str) -> None:
        """Replace the state with a scenario, such as ``many:1000``.

        Raises:
            ValueError: the scenario is unknown.
        """
        self._sandbox.switch(name)

    def fault(self, text: str = "", /, **fields: object) -> int:
        """Add a fault, by the text of `--fault` or by its fields, and return its id.

        Raises:
            ValueError: the fault is invalid.
        """
        if not isinstance(text, str) or (text and fields):
            raise ValueError(  # like all errors of faults
                f"{text!r}: give either a text or fields, such as fault('code=503 times=2') or fault(code=503, times=2)"
            )
        fault = parse(text) if text else from_values(fields)
        self.app.gateway.require_operation(fault.operation)
        return self._sandbox.faults.add(fault).id

    @property
    def faults(self) -> Faults:
        """The faults, with the numbers of requests that matched and met them."""
        return self._sandbox.faults

    @property
    def journal(self) -> Requests:
        """The request journal.

        Raises:
            ValueError: the mock keeps no journal.
        """
        if self._sandbox.journal is None:
            raise ValueError("journal: the mock keeps no request journal; start it with journal=1000")
        return Requests(self._sandbox.journal, self.app.gateway)

    def record_usage(self) -> Usage:
        """Start counting for the consumer report, and return the counts."""
        return self.app.gateway.record_usage()

    def mutate(self, *mutants: str) -> None:
        """Apply these mutants and no others.

        Raises:
            ValueError: a mutant is unknown.
        """
        self._sandbox.mutate(mutants)

    def verify(self, *misuses: str) -> None:
        """Raise AssertionError if the mock was misused in one of these ways; without arguments, in any of `MISUSES`.

        In the default sandbox this covers all sandboxes.

        Raises:
            ValueError: a name is unknown.
        """
        if unknown := [each for each in misuses if each not in MISUSES]:
            raise ValueError(f"unknown name {unknown[0]!r}; {suggestion(unknown[0], MISUSES)}")
        found: list[str] = []
        every = self.app.gateway.sandboxes
        for name in [self._name] if self._name else [each["name"] for each in every.listed()]:
            found += _misused(every.get(name) if name else every.default, misuses or tuple(MISUSES))
        if found:
            raise AssertionError("\n".join(("the mock was misused:", *found)))

    def sandbox(self, name: str) -> MockServer:
        """Return the sandbox with this name: the same server with a separate state.

        Raises:
            ValueError: the name is invalid, or there are `max_sandboxes` already.
        """
        name = str(name)
        try:
            self.app.gateway.sandboxes.get(name)
        except Refusal as refusal:
            raise ValueError(refusal.message) from None
        return MockServer(self.app, self._server_url, name)


def _misused(sandbox: Sandbox[Instance], misuses: Iterable[str]) -> Iterator[str]:
    """Return a line for each kind of misuse in one sandbox."""
    where = f" (sandbox {sandbox.name})" if sandbox.name else ""
    requests = sandbox.journal.found() if sandbox.journal is not None else None
    for misuse in misuses:
        if misuse == "unmet-faults":
            lines = [str(each.fault) for each in sandbox.faults.listed if not each.met]
        elif requests is None:
            lines = ["cannot be known: the mock keeps no request journal (journal=0)"]
        elif misuse == "unmatched-requests":
            lines = [f"{each.method} {each.path} ({each.status})" for each in requests if not each.operation]
        else:
            lines = [
                f"{each.method} {each.path}: {'; '.join(map(str, each.violations))}"
                for each in requests
                if each.violations
            ]
        yield from (f"  {MISUSES[misuse]}: {line}{where}" for line in lines)


class Requests:
    """The request journal. Filters: `operation`, `method`, `path`, `status`, `rule`, `name`, `since`."""

    def __init__(self, journal: Journal, gateway: Gateway) -> None:
        self._journal = journal
        self._gateway = gateway

    def __call__(self, **wanted: Any) -> list[dict[str, Any]]:
        """List the requests that match, credentials masked."""
        return [self._journal.shown(each) for each in self._journal.found(self._filter(wanted))]

    def count(self, **wanted: Any) -> int:
        """Count the requests that match."""
        return len(self._journal.found(self._filter(wanted)))

    def wait(self, count: int = 1, timeout: float = 5.0, **wanted: Any) -> list[dict[str, Any]]:
        """Wait until `count` requests match, and list them.

        Raises:
            TimeoutError: fewer requests arrived within `timeout` seconds.
        """
        found = self._journal.wait(self._filter(wanted), count, timeout)
        if len(found) < count:
            raise TimeoutError(f"{len(found)} of {count} requests arrived within {timeout:g} seconds: {wanted}")
        return [self._journal.shown(each) for each in found]

    def clear(self) -> None:
        """Empty the journal."""
        self._journal.clear()

    def _filter(self, wanted: Mapping[str, Any]) -> Filter:
        """Return the filter for a test's arguments; a status may be a number.

        Raises:
            ValueError: a name, the status or the operation is invalid.
        """
        known = [each.name for each in fields(Filter)]
        if unknown := [name for name in wanted if name not in known]:
            raise ValueError(f"unknown filter {unknown[0]!r}; {suggestion(unknown[0], known)}")
        self._gateway.require_operation(str(wanted.get("operation", "")))
        return Filter.of({name: str(value) for name, value in wanted.items()})


@contextmanager
def serving(settings: Settings | None = None, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[MockServer]:
    """Serve from a thread of this process while the block runs, by default on a free loopback port.

    `with serving(Settings(scenario="one-of-each")) as mock:` works in any test framework; `mock.url` is the address.
    """
    from mock_server.serving.in_process import InProcessServer

    if not isinstance(host, str):
        raise TypeError(f"serving: host={host!r} is not a string, such as '127.0.0.1'")
    if type(port) is not int or not 0 <= port <= 65535:
        raise ValueError(f"serving: port={port!r} is not a number from 0 to 65535; 0 chooses a free one")
    try:
        address = resolve(host)
        port = free_port(address, port)
        app = make_app(settings, address, host)
        server = InProcessServer(address, port, app)
    except ServeError as error:
        raise OSError(f"serving: {str(error).removeprefix('--')}") from None
    except SystemExit:  # werkzeug exits the process
        raise OSError(f"serving: port: port {port} of {host} has just been taken; 0 chooses a free one") from None
    # With the default poll interval every stop takes half a second.
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01), daemon=True)
    thread.start()
    try:
        yield MockServer(app, url_of(host, server.port))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
