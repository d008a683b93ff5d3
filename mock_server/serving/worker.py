"""Serving with granian: a supervisor, and one worker process that answers."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mock_server.gateway.hosts import is_local
from mock_server.serving.addresses import ServeError, claimed, free_port, when_listening
from mock_server.serving.body_timeouts import TIMEOUT, Bodies
from mock_server.serving.connection_faults import GranianConnections
from mock_server.serving.tls import Tls
from mock_server.settings import Settings
from mock_server.state import files as states
from mock_server.state.memory import MEMORY
from mock_server.web import access_log as logs
from mock_server.web import threads

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

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
        with claimed(host, port):
            server.serve(target_loader=worker.load, wrap_loader=False)
    except SystemExit:
        lost = "" if save else "; what it held in memory is lost (--save FILE keeps it)"
        raise ServeError(f"the worker process ended unexpectedly{lost}") from None


def granian(host: str, port: int, number: int, *, tls: Tls | None = None, respawns: bool = False) -> Any:
    """Return a server with one worker process and so many threads; `serve(target_loader=…)` runs it until a signal."""
    from granian.constants import HTTPModes, Interfaces, SSLProtocols
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
        ssl_protocol_min=SSLProtocols.tls12,  # as Central
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
        if self.settings.store == MEMORY:
            if self.has_served.is_set():
                log.error(
                    "the worker process ended unexpectedly; a new one continues with the state in %s. "
                    "Sandboxes, faults and the request journal of the old one are lost",
                    self.save,
                )
            if self.save.exists():
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
    """Make this worker process end only when its supervisor stops it, or ends."""
    if sys.platform != "win32":
        # Ctrl-C reaches every process of a group. This one stops when the supervisor stops it, and
        # fails if a second signal follows.
        os.setpgrp()
    threading.Thread(target=_end_with_supervisor, daemon=True).start()
    # The inherited handlers of the supervisor would ignore an early signal.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if _HANGUP is not None:
        signal.signal(_HANGUP, signal.SIG_IGN)  # the supervisor handles it


def _end_with_supervisor() -> None:
    supervisor = multiprocessing.parent_process()
    if supervisor is not None:
        supervisor.join()
        os._exit(1)
