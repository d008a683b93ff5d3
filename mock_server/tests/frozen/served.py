"""Servers for the groups. Only this module knows how the mock is served.

One granian serves every group: a call of the tests puts a fresh app in the place of the one before.
"""

import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mock_server.serving.addresses import free_port
from mock_server.serving.server import serving
from mock_server.web import threads

from .conversation import Group

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_SWITCH = "/(switch)/"
_SECONDS_TO_START = 60

Switch = Callable[[Group], int]
"""Serves a group afresh and gives the port."""


class Switchboard:
    """A WSGI app that delegates to the app of the current group."""

    def __init__(self) -> None:
        from .requests import GROUPS

        self._groups = GROUPS
        self._app: WSGIApplication | None = None

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Any:
        path: str = environ["PATH_INFO"]
        if path.startswith(_SWITCH):
            self._switch(path.removeprefix(_SWITCH))
            start_response("200 OK", [("Content-Length", "0")])
            return [b""]
        assert self._app is not None
        return self._app(environ, start_response)

    def _switch(self, name: str) -> None:
        from mock_server.serving.body_timeouts import TIMEOUT, Bodies
        from mock_server.serving.worker import make_app

        self._app = Bodies(make_app(self._groups[name].settings), TIMEOUT)


def _load() -> Switchboard:
    from mock_server.web import access_log as logs

    logs.configure("critical", "text")
    return Switchboard()


def serve(port: int) -> None:
    """Serve in this process, as `mock_server.serving.worker.serve` does."""
    from granian.constants import HTTPModes, Interfaces
    from granian.server import Server

    server: Any = Server(
        target="mock_server",
        address="127.0.0.1",
        port=port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        workers=1,
        blocking_threads=threads.OWN,
        workers_kill_timeout=1,
        log_enabled=False,
    )
    server.serve(target_loader=_load, wrap_loader=False)


@contextmanager
def granian() -> Iterator[Switch]:
    """Run a granian while the block runs."""
    port = free_port("127.0.0.1", 0)
    command = [sys.executable, "-m", __name__, str(port)]
    with subprocess.Popen(command) as process:
        try:
            _wait(process, port)
            yield lambda group: _switched(port, group)
        finally:
            process.terminate()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + _SECONDS_TO_START
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, "granian did not start"
            assert time.monotonic() < until, "granian did not start in time"
            time.sleep(0.02)
        else:
            return


def _switched(port: int, group: Group) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS_TO_START)
    connection.request("POST", _SWITCH + group.name.replace(" ", "%20"))
    answer = connection.getresponse()
    assert answer.status == 200, f"no app for {group.name}"
    connection.close()
    return port


@contextmanager
def serving_group(group: Group, switch: Switch) -> Iterator[int]:
    """Serve a group with a fresh app while the block runs; yield the port."""
    if group.server == "granian":
        yield switch(group)
        return
    with serving(group.settings) as server:
        yield int(server.url.rpartition(":")[2])


if __name__ == "__main__":
    serve(int(sys.argv[1]))
