"""Ending a connection on purpose, which WSGI has no word for.

How an answer is cut or reset depends on the server below: granian, or a server that hands the app the socket of the
request. Under any other one a reset is refused at once.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from mock_server.central.errors import Refusal

_CLOSE_WITH_RESET = struct.pack("ii", 1, 0)
_CORK = getattr(socket, "TCP_CORK", None)
_INTERNET = (socket.AF_INET, socket.AF_INET6)
_SOCKETS = ("werkzeug.socket", "gunicorn.socket")
"""Where servers put the socket of a request."""
_SECONDS_TO_FAIL = 5.0
"""How long granian may take to ask for the body that breaks off."""
_SECONDS_TO_CLOSE = 0.3
"""How long it may take to close the connection then; it takes less than a millisecond, if the client is still there."""
_SECONDS_TO_WAIT = 1.0
"""How long a request waits for its turn to end its connection."""
_SECONDS_TO_SEND = 0.05
"""How long a server has to send a piece of a body; one that hears of the end too early does not send it."""
_POLL = 0.0005
_TCP_INFO = struct.Struct("=B43xI80xQ")
"""Of Linux' ``struct tcp_info``: state, milliseconds since data was sent, bytes received."""
_NOT_ENDED = (1, 8)
"""The states in which this side has not ended a connection: established, and ended by the client."""
_TICK = 0.02
"""Seconds by which the times of ``struct tcp_info`` may be wrong."""


class Cut(ConnectionError):  # noqa: N818 (nothing went wrong: somebody asked for it)
    """The connection ends here, because a fault says so."""

    def __init__(self) -> None:
        super().__init__("the connection is cut, as a fault asks; a test client without sockets meets this error")


def refusal_of_reset(environ: Mapping[str, Any]) -> Refusal | None:
    """Return why the server of a request cannot reset its connection, or None if it can."""
    server = str(environ.get("SERVER_SOFTWARE", ""))
    if not server or server == "Granian" or any(each in environ for each in _SOCKETS):
        return None  # a test client has no server: it meets `Cut`
    return Refusal(
        "fault",
        501,
        12,
        f"fault=reset: the server {server.partition('/')[0]} gives no way to reset a connection; "
        f"`mock-central serve` and the pytest fixture do",
    )


def reset(environ: Mapping[str, Any]) -> tuple[list[tuple[str, str]], Iterator[bytes]]:
    """Return headers and a body that reset the connection before a byte of the answer."""
    if _is_granian(environ):
        if environ["REQUEST_METHOD"] == "HEAD":
            # No body is asked for, so none can fail. Granian rather closes a connection than send such headers: the
            # client gets no byte, though an end instead of a reset.
            return [("Content-Length", "1"), ("Content-Length", "2")], iter([b"x"])
        return [("Content-Length", "1")], _cut(_ENDS.expect(environ, reset=True).set)
    connection = next((environ[each] for each in _SOCKETS if each in environ), None)
    return [("Content-Length", "1")], _cut(partial(_reset_now, connection) if connection else lambda: None)


def _cut(before: Callable[[], None]) -> Iterator[bytes]:
    before()
    raise Cut
    yield b""  # type: ignore[unreachable]  # which makes it a generator


def truncated(environ: Mapping[str, Any], whole: bytes) -> Iterator[bytes]:
    """Return a body that ends the connection after half of itself."""
    if not whole or environ["REQUEST_METHOD"] == "HEAD":
        return  # there is nothing to cut
    yield whole[: len(whole) // 2]
    time.sleep(_SECONDS_TO_SEND)
    if _is_granian(environ):
        _ENDS.expect(environ, reset=False).set()
    raise Cut


def _is_granian(environ: Mapping[str, Any]) -> bool:
    return bool(environ.get("SERVER_SOFTWARE") == "Granian")


def _reset_now(connection: socket.socket) -> None:
    """Reset a connection that others still hold: they find a socket that has ended in its place."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _CLOSE_WITH_RESET)
    ended, other = socket.socketpair()
    other.close()
    with ended:
        os.dup2(ended.fileno(), connection.fileno())


class _Ends:
    """Ends of connections under granian, which tells an app neither the socket nor the port of its request.

    Where an answer breaks off, granian closes its descriptor of that connection without ending the connection. So
    every connection of the client is kept by a copy of its descriptor: the one that granian has closed, and that has
    not ended, is the one of the request, and closing the copy ends it as it should. One at a time, so that there is
    only one such connection. What granian writes meanwhile is held back (`TCP_CORK`), because it may write the head
    of an answer before it hears that the body fails.
    """

    def __init__(self) -> None:
        self._one_at_a_time = threading.Lock()

    def expect(self, environ: Mapping[str, Any], *, reset: bool) -> threading.Event:
        """End the connection of a request whose answer breaks off next, which the event tells.

        Where others took too long, because their clients left, the connection ends without our help.
        """
        fails = threading.Event()
        if not self._one_at_a_time.acquire(timeout=_SECONDS_TO_WAIT):
            return fails
        try:
            connections = _connections(environ["REMOTE_ADDR"], int(environ["SERVER_PORT"]))
            threading.Thread(target=self._wait, args=(connections, fails, reset), daemon=True).start()
        except BaseException:
            self._one_at_a_time.release()
            raise
        return fails

    def _wait(self, connections: list[_Connection], fails: threading.Event, reset: bool) -> None:
        try:
            fails.wait(_SECONDS_TO_FAIL)
            until = time.monotonic() + _SECONDS_TO_CLOSE
            while not _ended(connections, reset=reset) and time.monotonic() < until:
                time.sleep(_POLL)
        finally:
            for each in connections:
                _cork(each.copy, on=False)
                each.copy.close()
            self._one_at_a_time.release()


_ENDS = _Ends()


class _Connection:
    """A connection, by the descriptors that the server has of it and by a copy of our own."""

    def __init__(self, number: int, inode: int) -> None:
        self.copy = _copy(number)
        self._numbers = [number]
        self._inode = inode

    def add(self, number: int) -> None:
        """Take another descriptor of the same connection, unless it is our own."""
        if number != self.copy.fileno():
            self._numbers.append(number)

    def is_closed(self) -> bool:
        """Return whether the server has closed its descriptors; their numbers may be of others by now."""
        self._numbers = [each for each in self._numbers if _socket_inode(each) == self._inode]
        return not self._numbers


def _ended(connections: list[_Connection], *, reset: bool) -> bool:
    """End the connection that the server has let go of without ending it, if there is one."""
    for each in connections:
        if each.is_closed():
            connections.remove(each)
            with each.copy as copy:
                is_the_one = _info(copy)[0] in _NOT_ENDED
                if is_the_one and reset:
                    copy.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _CLOSE_WITH_RESET)
            return is_the_one
    return False


def _connections(address: str, port: int) -> list[_Connection]:
    """Return the connections from an address to a port of ours, what they send held back."""
    found: dict[int, _Connection] = {}
    for number in _descriptors():
        inode = _socket_inode(number)
        if inode is None:
            continue
        if inode in found:
            found[inode].add(number)
            continue
        with suppress(OSError):
            connection = _Connection(number, inode)
            if _is_between(connection.copy, address, port):
                _cork(connection.copy, on=True)
                found[inode] = connection
            else:
                connection.copy.close()
    return list(found.values())


def _cork(connection: socket.socket, *, on: bool) -> None:
    if _CORK is not None:
        with suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, _CORK, int(on))


def _socket_inode(number: int) -> int | None:
    """Return what tells a socket from every other one, or None if the descriptor is none of a socket."""
    try:
        found = os.fstat(number)
    except OSError:
        return None
    return found.st_ino if stat.S_ISSOCK(found.st_mode) else None


def stop_reading(address: str, port: int, silent: float, *, most: int) -> None:
    """End the requests from an address to a port of ours that are `silent` seconds old, as if their clients had.

    They can still be answered. Where more than `most` connections could be meant nothing is done, and nothing
    anywhere but on Linux, which tells when a connection last sent something.
    """
    if sys.platform != "linux":
        return
    found = [number for number in _descriptors() if _waits(number, address, port, silent)]
    if len(found) > most:
        return
    for number in found:
        with suppress(OSError), _socket(number) as connection:
            connection.shutdown(socket.SHUT_RD)


def _waits(number: int, address: str, port: int, seconds: float) -> bool:
    """Return whether something came on a connection between the two, and nothing was answered for so long."""
    with suppress(OSError), _socket(number) as found:
        if _is_between(found, address, port):
            _, milliseconds, received = _info(found)
            return bool(received) and milliseconds / 1000 + _TICK >= seconds
    return False


def _is_between(connection: socket.socket, address: str, port: int) -> bool:
    if connection.family not in _INTERNET or connection.type != socket.SOCK_STREAM:
        return False
    try:
        return bool(connection.getpeername()[0] == address and connection.getsockname()[1] == port)
    except OSError:  # it has no other end, or none any more
        return False


def _info(connection: socket.socket) -> tuple[int, int, int]:
    """Return state, milliseconds since it sent data, and bytes received, as far as the system tells."""
    if sys.platform != "linux":
        return _NOT_ENDED[0], 0, 0
    state, milliseconds, received = _TCP_INFO.unpack(
        connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
    )
    return state, milliseconds, received


def _descriptors() -> list[int]:
    return [int(path.name) for path in Path("/dev/fd").iterdir()]


def _copy(number: int) -> socket.socket:
    copy = os.dup(number)
    try:
        return socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise


@contextmanager
def _socket(number: int) -> Iterator[socket.socket]:
    """Look at a descriptor as a socket, through a copy of its own."""
    with _copy(number) as found:
        yield found
