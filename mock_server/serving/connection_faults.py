"""Deliberate closing of granian's connections, which WSGI does not provide."""

from __future__ import annotations

import os
import socket
import stat
import struct
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mock_server.central.errors import Refusal
from mock_server.gateway.messages import Response
from mock_server.web.connections import CLOSE_WITH_RESET, WsgiConnections, cut_body

_CORK = getattr(socket, "TCP_CORK", None)
_INTERNET = (socket.AF_INET, socket.AF_INET6)
_SECONDS_TO_FAIL = 5.0
"""Seconds that granian has to start reading the body that breaks off."""
_SECONDS_TO_CLOSE = 0.3
"""Seconds that it then has to close the connection; usually it takes less than a millisecond."""
_SECONDS_TO_WAIT = 1.0
"""Seconds that a request waits for its turn to close its connection."""
_POLL = 0.0005
_TCP_INFO = struct.Struct("=B43xI80xQ")
"""Fields of Linux' ``struct tcp_info``: state, milliseconds since data was sent, bytes received."""
_NOT_ENDED = (1, 8)
"""States in which this side has not closed a connection: established, and closed by the client."""
_TICK = 0.02
"""Uncertainty, in seconds, of the times in ``struct tcp_info``."""


class GranianConnections(WsgiConnections):
    """Closes connections under granian, and under another server as `WsgiConnections` does."""

    def refusal_of_reset(self, origin: Mapping[str, Any]) -> Refusal | None:
        """Return why the server of a request cannot reset its connection, or None if it can."""
        return None if _is_granian(origin) else super().refusal_of_reset(origin)

    def reset(self, origin: Mapping[str, Any]) -> Response:
        """Return an answer that resets the connection before its first byte."""
        if _is_granian(origin):
            if origin["REQUEST_METHOD"] == "HEAD":
                # The answer to HEAD has no body that could fail. Granian closes a connection rather than send such
                # headers: the client gets no byte, but a normal close instead of a reset.
                return Response(200, (("Content-Length", "1"), ("Content-Length", "2")), iter([b"x"]))
            return Response(200, (("Content-Length", "1"),), cut_body(_expect_end(origin, reset=True).set))
        return super().reset(origin)

    def before_end(self, origin: Mapping[str, Any]) -> None:
        """Make granian's connection close together with the answer that breaks off."""
        if _is_granian(origin):
            _expect_end(origin, reset=False).set()


def _is_granian(origin: Mapping[str, Any]) -> bool:
    return bool(origin.get("SERVER_SOFTWARE") == "Granian")


_ONE_AT_A_TIME = threading.Lock()


def _expect_end(environ: Mapping[str, Any], *, reset: bool) -> threading.Event:
    """End the connection of a request whose answer breaks off when the event is set.

    Granian exposes neither the socket nor the port of a request. If an answer breaks off, granian closes its descriptor
    of the connection without shutting the connection down. So this keeps a copy of the descriptor of every connection
    of the client. The connection of the request is the one that granian has closed and that is not shut down; closing
    the copy ends it properly. Only one request at a time does this, so that only one connection qualifies; if others
    take too long, because their clients left, the connection ends without this. Meanwhile granian's output is held back
    (`TCP_CORK`), because it may write the head of an answer before it notices that the body fails.
    """
    fails = threading.Event()
    if not _ONE_AT_A_TIME.acquire(timeout=_SECONDS_TO_WAIT):
        return fails
    try:
        connections = _connections(environ["REMOTE_ADDR"], int(environ["SERVER_PORT"]))
        threading.Thread(target=_end, args=(connections, fails, reset), daemon=True).start()
    except BaseException:
        _ONE_AT_A_TIME.release()
        raise
    return fails


def _end(connections: list[_Connection], fails: threading.Event, reset: bool) -> None:
    try:
        fails.wait(_SECONDS_TO_FAIL)
        until = time.monotonic() + _SECONDS_TO_CLOSE
        while not _ended(connections, reset=reset) and time.monotonic() < until:
            time.sleep(_POLL)
    finally:
        for each in connections:
            _cork(each.copy, on=False)
            each.copy.close()
        _ONE_AT_A_TIME.release()


class _Connection:
    """A connection: the server's descriptors of it, and our copy."""

    def __init__(self, number: int, inode: int) -> None:
        self.copy = _copy(number)
        self._numbers = [number]
        self._inode = inode

    def add(self, number: int) -> None:
        """Add a descriptor of the same connection, unless it is our copy."""
        if number != self.copy.fileno():
            self._numbers.append(number)

    def is_closed(self) -> bool:
        """Return whether the server has closed its descriptors; their numbers may have been reused."""
        self._numbers = [each for each in self._numbers if _socket_inode(each) == self._inode]
        return not self._numbers


def _ended(connections: list[_Connection], *, reset: bool) -> bool:
    """End the connection that the server closed without shutting it down, if there is one."""
    for each in connections:
        if each.is_closed():
            connections.remove(each)
            with each.copy as copy:
                is_the_one = _info(copy)[0] in _NOT_ENDED
                if is_the_one and reset:
                    copy.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, CLOSE_WITH_RESET)
            return is_the_one
    return False


def _connections(address: str, port: int) -> list[_Connection]:
    """Return the connections from an address to a port of ours, with their output held back."""
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
    """Return the identity of a socket, or None if the descriptor is not a socket."""
    try:
        found = os.fstat(number)
    except OSError:
        return None
    return found.st_ino if stat.S_ISSOCK(found.st_mode) else None


def stop_reading(address: str, port: int, silent: float, *, most: int) -> None:
    """End the requests from an address to a port of ours that are `silent` seconds old, as if their clients had left.

    They can still be answered. Do nothing if more than `most` connections qualify, or on systems other than Linux,
    which alone reports when a connection last sent something.
    """
    if sys.platform != "linux":
        return
    found = [number for number in _descriptors() if _waits(number, address, port, silent)]
    if len(found) > most:
        return
    for number in found:
        with suppress(OSError), _copy(number) as connection:
            connection.shutdown(socket.SHUT_RD)


def _waits(number: int, address: str, port: int, seconds: float) -> bool:
    """Return whether a connection between the two received data, and sent nothing for so long."""
    with suppress(OSError), _copy(number) as found:
        if _is_between(found, address, port):
            _, milliseconds, received = _info(found)
            return bool(received) and milliseconds / 1000 + _TICK >= seconds
    return False


def _is_between(connection: socket.socket, address: str, port: int) -> bool:
    if connection.family not in _INTERNET or connection.type != socket.SOCK_STREAM:
        return False
    try:
        return bool(connection.getpeername()[0] == address and connection.getsockname()[1] == port)
    except OSError:  # it has no other end (any more)
        return False


def _info(connection: socket.socket) -> tuple[int, int, int]:
    """Return state, milliseconds since it sent data, and bytes received; open and silent where nothing reports them."""
    if sys.platform != "linux":
        return _NOT_ENDED[0], 0, 0
    state, milliseconds, received = _TCP_INFO.unpack(
        connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
    )
    return state, milliseconds, received


def _descriptors() -> list[int]:
    return [int(path.name) for path in Path("/dev/fd").iterdir()]


def _copy(number: int) -> socket.socket:
    """Return a copy of a descriptor as a socket object."""
    copy = os.dup(number)
    try:
        return socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise
