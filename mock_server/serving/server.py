"""Serving an app: granian for people, a thread of this process for tests."""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import re
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mock_server.central.errors import Refusal
from mock_server.gateway.hosts import is_local
from mock_server.serving.body_timeouts import TIMEOUT, Bodies
from mock_server.serving.connection_faults import GranianConnections
from mock_server.settings import Settings, suggestion
from mock_server.simulation.fault_forms import from_values, parse
from mock_server.simulation.faults import Faults
from mock_server.simulation.request_journal import Filter, Journal
from mock_server.state import files as states
from mock_server.state.memory import MEMORY
from mock_server.web import access_log as logs
from mock_server.web import threads

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from mock_server.gateway.gateway import Gateway
    from mock_server.gateway.instance import Instance
    from mock_server.sandboxes.sandboxes import Sandbox
    from mock_server.simulation.usage import Usage
    from mock_server.web.app import MockCentral

log = logging.getLogger("mock_central")

CONNECTIONS = 8192
"""Greatest number of connections, if the limit of open files allows; others wait in the system's queue."""
_OTHER_FILES = 256
"""Open files reserved for other uses: the state, the upstream, copies of descriptors."""
SECONDS_FOR_HEAD = 10
"""Seconds that a client has for the head of a request, and that a connection may be idle between two."""
LONGEST_HEAD = (1 << 20) + 4096
"""Greatest size in bytes of a request head; Go's HTTP server has the same limit."""
SECONDS_TO_STOP = 2
"""Seconds that pending requests have once the server must stop."""


def _connections() -> int:
    """Raise the limit of open files as far as possible, and return the resulting number of connections."""
    try:
        import resource
    except ImportError:  # Windows
        return CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):  # some systems have a second limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    available = wanted if soft == resource.RLIM_INFINITY else soft
    return max(128, min(CONNECTIONS, available - _OTHER_FILES))


class ServeError(Exception):
    """The server cannot start; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Files with a certificate and its key."""

    cert: Path
    key: Path
    ca: str | None = None
    """The certificate authority (PEM) that clients must trust, for a self-signed certificate."""


def resolve(host: str) -> str:
    """Return the address of this machine for a host name, an IPv4 one if it has both; brackets may enclose IPv6.

    Raises:
        ServeError: the name cannot be resolved.
    """
    name = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        # An empty name means every address.
        found = socket.getaddrinfo(name or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise ServeError(
            f"--host: {host!r} cannot be resolved; use an address of this machine such as 127.0.0.1 or ::1, "
            f"or a name from its hosts file such as localhost"
        ) from None
    addresses = sorted(found, key=lambda each: each[0] != socket.AF_INET)
    return str(addresses[0][4][0])


def free_port(address: str, port: int) -> int:
    """Return `port` if it is free, or any free port for 0.

    Raises:
        ServeError: the port is taken or not allowed, or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((address, port))
            found: int = tried.getsockname()[1]
            return found
    except OSError as error:
        raise ServeError(_why_not(address, port, error)) from None


def _why_not(address: str, port: int, error: OSError) -> str:
    """Return why listening failed, and what to do."""
    if error.errno == errno.EADDRINUSE:
        return f"--port: port {port} of {address} is taken; choose another one, or 0 for a free one"
    if error.errno == errno.EACCES:
        return f"--port: port {port} is not allowed for this user; choose one from 1024 on, or 0 for a free one"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--host: {address} is not an address of this machine; choose one that is, such as 127.0.0.1"
    return f"--host: cannot listen on {address} port {port}: {error.strerror or error}; choose another --host or --port"


def check_upstream(url: str, host: str, port: int) -> None:
    """Raise ServeError if the upstream is this server itself."""
    parts = urlsplit(url)
    there = parts.port or {"http": 80, "https": 443}[parts.scheme]
    if there == port and parts.hostname in (host, "localhost", "127.0.0.1", "::1"):
        raise ServeError(f"--upstream {url} is this server itself; give the address of another, or another --port")


@contextmanager
def self_signed(*names: str) -> Iterator[Tls]:
    """Yield a certificate for hosts and the loopback names, in temporary files."""
    import trustme

    known = dict.fromkeys((*(name.strip("[]") for name in names), "localhost", "127.0.0.1", "::1"))
    with tempfile.TemporaryDirectory(prefix="mock-central-") as folder:
        ca = trustme.CA()
        certificate = ca.issue_cert(*(name for name in known if name not in ("0.0.0.0", "::", "")))  # noqa: S104
        tls = Tls(Path(folder, "cert.pem"), Path(folder, "key.pem"), ca.cert_pem.bytes().decode())
        tls.cert.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
        certificate.private_key_pem.write_to_path(tls.key)
        yield tls


def serve(
    settings: Settings,
    host: str,
    port: int,
    *,
    name: str = "",
    tls: Tls | None = None,
    log_level: str = "info",
    log_format: str = logs.FORMATS[0],
    body_timeout: float = TIMEOUT,
    save: Path | None = None,
    on_start: Callable[[MockCentral], None] = lambda _app: None,
    on_listening: Callable[[], None] = lambda: None,
) -> None:
    """Serve until interrupted, with one worker process, because the state is in its memory.

    `host` is an address, and `name` the host name given for it. In the worker process `on_start` is called with the
    app, and `on_listening` once requests are answered. With `save` the state is kept in that file; a worker that dies
    is replaced by one that starts from it.

    Raises:
        ServeError: the port is taken, or the worker process died.
    """
    port = free_port(host, port)
    number = threads.OWN + (threads.UPSTREAM if settings.upstream is not None else 0)
    server = granian(host, port, number, tls=tls, respawns=save is not None)
    worker = _Worker(
        settings,
        (host, name),
        partial(logs.configure, log_level, log_format),
        on_start,
        partial(when_listening, host, port, on_listening),
        body_timeout,
        save,
    )
    try:
        server.serve(target_loader=worker.load, wrap_loader=False)
    except SystemExit:
        lost = "" if save else "; what it held in memory is lost (--save FILE keeps it)"
        raise ServeError(f"the worker process ended unexpectedly{lost}") from None


def granian(host: str, port: int, number: int, *, tls: Tls | None = None, respawns: bool = False) -> Any:
    """Return a server with one worker process and so many threads; `serve(target_loader=…)` runs it until a signal."""
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings
    from granian.server import Server

    server: Any = Server(
        target="mock_server",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        # Over HTTP/2 granian (2.8.7) never stops reading the body of a client that left: a thread and a core are lost.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(max_buffer_size=LONGEST_HEAD, header_read_timeout=SECONDS_FOR_HEAD * 1000),
        workers=1,
        backlog=CONNECTIONS,
        backpressure=_connections(),
        blocking_threads=number,
        workers_kill_timeout=SECONDS_TO_STOP,
        respawn_failed_workers=respawns,
        log_enabled=False,
        ssl_cert=tls.cert if tls else None,
        ssl_key=tls.key if tls else None,
    )
    server.signal_handler_interrupt = partial(_first_signal_only, server.signal_handler_interrupt)
    server.signal_handler_reload = _hangup_handler(server.signal_handler_interrupt)
    return server


_HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)  # Windows has none


def _hangup_handler(end: Callable[..., None]) -> Callable[..., None]:
    """Return the handler of a hang-up signal: it ends the server, unless `nohup` or the like ignores the signal."""
    if _HANGUP is not None and signal.getsignal(_HANGUP) is signal.SIG_IGN:
        return lambda *_: None
    return end


def _first_signal_only(handler: Callable[..., None], *arguments: Any) -> None:
    # A second signal would wait for a lock that the handler of the first one holds.
    for each in filter(None, (signal.SIGINT, signal.SIGTERM, _HANGUP)):
        signal.signal(each, signal.SIG_IGN)
    handler(*arguments)


@dataclass(frozen=True, eq=False)
class _Worker:
    """The worker process."""

    settings: Settings
    hosts: tuple[str, str]
    configure_log: Callable[[], None]
    on_start: Callable[[MockCentral], None]
    announce: Callable[[], None]
    body_timeout: float
    save: Path | None
    has_served: Any = field(default_factory=multiprocessing.Event)
    """Shared by all worker processes."""

    def load(self) -> WSGIApplication:
        """Return the app, in the worker process."""
        leave_signals_to_supervisor()
        self.configure_log()
        app = make_app(self.settings, *self.hosts)
        saver = self._saver(app) if self.save is not None else None
        self.on_start(app)
        threading.Thread(target=self._after_start, args=(app, self.has_served.is_set()), daemon=True).start()
        self.has_served.set()
        bodies = Bodies(app, self.body_timeout)
        return partial(_save_and_answer, saver, bodies) if saver and self.settings.store == MEMORY else bodies

    def _after_start(self, app: MockCentral, has_served: bool) -> None:
        if not has_served:
            self.announce()
        app.central.validator.prepare()

    def _saver(self, app: MockCentral) -> states.Saver:
        assert self.save is not None
        central = app.central
        if self.has_served.is_set() and self.settings.store == MEMORY:
            log.error(
                "the worker process ended unexpectedly; a new one goes on with the state in %s. "
                "Sandboxes, faults and the request journal of the old one are lost",
                self.save,
            )
            central.store.replace(states.read(self.save, central.contract, central.validator))
        return states.Saver(self.save, lambda: app.gateway.sandboxes.default.central.store)


def _save_and_answer(
    saver: states.Saver, app: WSGIApplication, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """Answer a request after its changes are saved, so that no acknowledged change is lost with this process."""
    answer = app(environ, start_response)
    saver.save()
    return answer


def make_app(settings: Settings | None = None, host: str = "", name: str = "") -> MockCentral:
    """Return an app whose connection faults use the sockets of the server, and which knows its address."""
    from mock_server.web.app import create_app

    app = create_app(settings)
    app.gateway.faults.connections = GranianConnections()
    if is_local(host):
        app.gateway.require_host(name or host)
    return app


def leave_signals_to_supervisor() -> None:
    """Make this worker process end only when its supervisor says so, or ends."""
    if sys.platform != "win32":
        # Ctrl-C reaches every process of a group. This one stops when the supervisor says so, and
        # fails if a second signal follows.
        os.setpgrp()
    threading.Thread(target=_end_with_supervisor, daemon=True).start()
    # The inherited handlers of the supervisor would swallow an early signal.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if _HANGUP is not None:
        signal.signal(_HANGUP, signal.SIG_IGN)  # the supervisor handles it


def _end_with_supervisor() -> None:
    supervisor = multiprocessing.parent_process()
    if supervisor is not None:
        supervisor.join()
        os._exit(1)


def when_listening(host: str, port: int, call: Callable[[], None]) -> None:
    """Call a function once requests are answered at this address."""
    while True:
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError:
            time.sleep(0.01)
        else:
            call()
            return


MISUSES = {
    "unmatched-requests": "requests that met no operation",
    "contract-warnings": "requests that left the contract",
    "unmet-faults": "faults that no request met",
}
"""The misuses that `MockServer.verify` checks."""


class MockServer:
    """A mock that serves from a thread of this process, at ``url``."""

    def __init__(self, app: MockCentral, url: str) -> None:
        self.app = app
        self.url = url
        """Its address, such as ``http://127.0.0.1:40123``."""

    @property
    def _sandbox(self) -> Sandbox[Instance]:
        return self.app.gateway.sandboxes.default

    def reset(self) -> None:
        """Reset to the state of the start, and delete every other sandbox."""
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
                f"{text!r}: give a text or fields, such as fault('code=503 times=2') or fault(code=503, times=2)"
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
            ValueError: the mock keeps none.
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
        """Raise AssertionError if the mock was misused in one of these ways, or without arguments in any of `MISUSES`.

        All sandboxes count.

        Raises:
            ValueError: a name is unknown.
        """
        self._verify([each["name"] for each in self.app.gateway.sandboxes.listed()], misuses)

    def _verify(self, sandboxes: Iterable[str], misuses: Sequence[str]) -> None:
        if unknown := [each for each in misuses if each not in MISUSES]:
            raise ValueError(f"unknown name {unknown[0]!r}; {suggestion(unknown[0], MISUSES)}")
        found: list[str] = []
        every = self.app.gateway.sandboxes
        for name in sandboxes:
            found += _misused(every.get(name) if name else every.default, misuses or tuple(MISUSES))
        if found:
            raise AssertionError("\n".join(("the mock was not used as it should be:", *found)))

    def sandbox(self, name: str) -> MockServer:
        """Return the sandbox with this name: the same server with a separate state.

        Raises:
            ValueError: the name is invalid, or there are `max_sandboxes` already.
        """
        return _InSandbox(self.app, self.url, name)


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


class _InSandbox(MockServer):
    """One sandbox of a server, with its own URL."""

    def __init__(self, app: MockCentral, url: str, name: str) -> None:
        from mock_server.sandboxes.sandboxes import PREFIX

        super().__init__(app, f"{url}{PREFIX}{name}")
        self._server_url = url
        self._name = name
        try:
            app.gateway.sandboxes.get(str(name))
        except Refusal as refusal:
            raise ValueError(refusal.message) from None

    @property
    def _sandbox(self) -> Sandbox[Instance]:
        return self.app.gateway.sandboxes.get(self._name)

    def reset(self) -> None:
        """Reset this sandbox to the state of the start."""
        self._sandbox.reset()

    def verify(self, *misuses: str) -> None:
        """Raise AssertionError if this sandbox was misused, as `MockServer.verify` does."""
        self._verify([self._name], misuses)

    def sandbox(self, name: str) -> MockServer:
        """Return another sandbox of the server."""
        return _InSandbox(self.app, self._server_url, name)


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
            TimeoutError: fewer came within `timeout` seconds.
        """
        found = self._journal.wait(self._filter(wanted), count, timeout)
        if len(found) < count:
            raise TimeoutError(f"{len(found)} of {count} requests came within {timeout:g} seconds: {wanted}")
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
        texts: dict[str, Any] = {name: str(value) for name, value in wanted.items()}
        if not re.fullmatch(r"[0-9]{1,18}", texts.get("since", "0")):
            raise ValueError(f"since={texts['since']}: is not the number of a request, such as journal()[-1]['number']")
        return Filter(**texts | {"since": int(texts.get("since", 0))})


@contextmanager
def serving(settings: Settings | None = None, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[MockServer]:
    """Serve from a thread of this process while the block runs, by default on a free loopback port.

    `with serving(Settings(scenario="one-of-each")) as mock:` fits any test framework; `mock.url` is the address.
    """
    from mock_server.serving.in_process import InProcessServer

    if settings is not None and not isinstance(settings, Settings):
        raise TypeError(f"serving: {settings!r} are not settings; give serving(Settings(scenario='one-of-each'))")
    app = make_app(settings, host)
    try:
        server = InProcessServer(host, port, app)
    except SystemExit:  # werkzeug exits the process
        raise OSError(f"serving: cannot listen on {host}:{port}; port=0 takes a free one") from None
    # With the default poll interval every stop takes half a second.
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01), daemon=True)
    thread.start()
    try:
        yield MockServer(app, f"http://{host}:{server.port}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
