"""Serving an app: granian for people, a thread of this process for tests."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mock_server import logs
from mock_server.settings import Settings

if TYPE_CHECKING:
    from mock_server.app import MockCentral

THREADS = 4
"""Requests answered at once; Python runs one at a time, so more of them only wait."""
THREADS_WITH_UPSTREAM = 32
"""The same where most of them wait for another server."""
SECONDS_TO_STOP = 2
"""How long requests that are under way may take once the server is told to stop."""


class ServeError(Exception):
    """The server cannot start; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Files of a certificate and its key."""

    cert: Path
    key: Path


def free_port(host: str, port: int) -> int:
    """Give `port` if nobody listens there, or any free one for 0.

    Raises:
        ServeError: the port is taken, or the address is not one of this machine.
    """
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        with socket.socket(addresses[0][0], socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(addresses[0][4])
            found: int = probe.getsockname()[1]
            return found
    except OSError as error:
        raise ServeError(
            f"cannot listen on {host} port {port}: {error.strerror or error}; "
            f"choose another with --port (0 takes a free one) or --host"
        ) from None


def check_upstream(url: str, host: str, port: int) -> None:
    """See that requests are not passed to the server itself, which is about to listen there.

    Raises:
        ServeError: they would be.
    """
    parts = urlsplit(url)
    there = parts.port or {"http": 80, "https": 443}[parts.scheme]
    if there == port and parts.hostname in (host, "localhost", "127.0.0.1", "::1"):
        raise ServeError(f"--upstream {url} is this server itself; give the address of another, or another --port")


@contextmanager
def self_signed(host: str) -> Iterator[Tls]:
    """Make a certificate for `host` and the loopback names, in files that go away afterwards."""
    import trustme

    with tempfile.TemporaryDirectory(prefix="mock-central-") as folder:
        names = dict.fromkeys((host, "localhost", "127.0.0.1", "::1"))
        certificate = trustme.CA().issue_cert(*(name for name in names if name not in ("0.0.0.0", "::")))  # noqa: S104
        tls = Tls(Path(folder, "cert.pem"), Path(folder, "key.pem"))
        tls.cert.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
        certificate.private_key_pem.write_to_path(tls.key)
        yield tls


def serve(
    settings: Settings,
    host: str,
    port: int,
    *,
    tls: Tls | None = None,
    log_level: str = "info",
    on_listening: Callable[[], None] = lambda: None,
) -> None:
    """Serve until interrupted. One worker process, because the state is in its memory.

    `on_listening` is called, in that process, once requests are answered.

    Raises:
        ServeError: the port is taken.
    """
    from granian.constants import Interfaces
    from granian.server import Server

    port = free_port(host, port)
    server: Any = Server(
        target="mock_server",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=THREADS if settings.upstream is None else THREADS_WITH_UPSTREAM,
        workers_kill_timeout=SECONDS_TO_STOP,
        log_enabled=False,
        ssl_cert=tls.cert if tls else None,
        ssl_key=tls.key if tls else None,
    )
    server.signal_handler_interrupt = partial(_first_signal_only, server.signal_handler_interrupt)
    announce = partial(_when_listening, host, port, on_listening)
    server.serve(target_loader=partial(_load, settings, log_level, announce), wrap_loader=False)


def _first_signal_only(handler: Callable[..., None], *arguments: Any) -> None:
    # A second signal would wait for the lock that the handler of the first one holds.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    handler(*arguments)


def _load(settings: Settings, log_level: str, announce: Callable[[], None]) -> MockCentral:
    if sys.platform != "win32":
        # Ctrl-C reaches every process of a group. This one stops when the supervisor says so, and
        # loses its way when it is told twice.
        os.setpgrp()
    threading.Thread(target=_end_with_supervisor, daemon=True).start()
    # The handlers of the supervisor, which this process came from, would swallow an early signal.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    from mock_server.app import create_app

    logs.configure(log_level)
    app = create_app(settings)
    threading.Thread(target=announce, daemon=True).start()
    return app


def _end_with_supervisor() -> None:
    supervisor = multiprocessing.parent_process()
    if supervisor is not None:
        supervisor.join()
        os._exit(1)


def _when_listening(host: str, port: int, call: Callable[[], None]) -> None:
    while True:
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError:
            time.sleep(0.01)
        else:
            call()
            return


class MockServer:
    """A mock that serves from a thread of this process."""

    def __init__(self, app: MockCentral, url: str) -> None:
        self.app = app
        self.url = url
        """Where it listens, such as ``http://127.0.0.1:40123``."""

    def reset(self) -> None:
        """Go back to the first state."""
        self.app.central.store.reset()


@contextmanager
def running(settings: Settings | None = None, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[MockServer]:
    """Serve on a free loopback port while the block runs."""
    from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

    from mock_server.app import create_app

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"  # keeps connections open

        def log(self, type: str, message: str, *args: Any) -> None:
            """Leave the log to the app."""

    app = create_app(settings)
    server = ThreadedWSGIServer(host, port, app, Handler)
    # The default poll makes every stop last half a second.
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01), daemon=True)
    thread.start()
    try:
        yield MockServer(app, f"http://{host}:{server.port}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
