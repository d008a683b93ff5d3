"""Cutting a connection, which WSGI has no word for.

An answer whose iterator raises `Cut` is cut: granian closes the connection of a body that fails, and
the server of the tests is told by the error (`mock_server.serving.server`). A reset needs the socket as well.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mock_server.gateway.faults import Cut

_LINGER = struct.pack("ii", 1, 0)
"""Close at once: what is not sent is dropped, and the peer gets a reset."""
_NO_LINGER = struct.pack("ii", 0, 0)
_CORK = getattr(socket, "TCP_CORK", None)
_SECONDS_HELD = 0.03
"""How long the other connections of a client are held back while one of them is reset."""
_INTERNET = (socket.AF_INET, socket.AF_INET6)
_TOLD = struct.Struct("=44xI80xQ")
"""What Linux tells of a connection, in its ``struct tcp_info``: milliseconds since it sent data, bytes received."""
_TICK = 0.02
"""Seconds by which that may be wrong."""


def cut(environ: Mapping[str, Any], *, reset: bool, after: bytes = b"") -> Iterator[bytes]:
    """Return a body that sends `after` and cuts the connection.

    With `reset` the server's first bytes are kept from leaving too, where the system can.
    """
    if reset and environ.get("SERVER_SOFTWARE") == "Granian":
        _hold(environ["REMOTE_ADDR"])

    def body() -> Iterator[bytes]:
        if after:
            yield after
            time.sleep(0.05)  # a server that hears of the end too early does not send what came before it
        raise Cut(reset=reset)

    return body()


def reset_now(connection: socket.socket) -> None:
    """Reset a connection that others still hold: they find a socket that has ended in its place."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
    ended, other = socket.socketpair()
    other.close()
    with ended:
        os.dup2(ended.fileno(), connection.fileno())


# granian does not say which socket a request came on. So all connections from that address are told to
# hold what they send and to reset when they are closed; only the one of the request is closed, and the
# others go on a moment later, having lost nothing.


def _hold(address: str) -> None:
    held = {number: peer for number, peer in _connections() if peer[0] == address}
    for number, peer in held.items():
        _set(number, peer, _LINGER, cork=1)
    threading.Thread(target=_release, args=(held,), daemon=True).start()


def _release(held: Mapping[int, Any]) -> None:
    time.sleep(_SECONDS_HELD)
    for number, peer in held.items():
        _set(number, peer, _NO_LINGER, cork=0)


def stop_reading(address: str, port: int, silent: float, *, most: int) -> None:
    """End the requests from an address to a port of ours that are `silent` seconds old, as if their clients had.

    They can still be answered. Where more than `most` connections could be meant nothing is done, and nothing
    anywhere but on Linux, which tells when a connection last sent something.
    """
    if sys.platform != "linux":
        return
    found = [number for number, peer in _connections() if peer[0] == address and _waits(number, port, silent)]
    if len(found) > most:
        return
    for number in found:
        with suppress(OSError), _socket(number) as connection:
            connection.shutdown(socket.SHUT_RD)


def _waits(number: int, port: int, seconds: float) -> bool:
    """Return whether something came on a connection to that port, and nothing was answered for so long."""
    with suppress(OSError), _socket(number) as found:
        told = found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TOLD.size)
        milliseconds, received = _TOLD.unpack(told)
        return bool(received) and found.getsockname()[1] == port and milliseconds / 1000 + _TICK >= seconds
    return False


def _connections() -> Iterator[tuple[int, Any]]:
    for path in list(Path("/dev/fd").iterdir()):
        number = int(path.name)
        with suppress(OSError), _socket(number) as found:
            if found.family in _INTERNET and found.type == socket.SOCK_STREAM:
                yield number, found.getpeername()


def _set(number: int, peer: Any, linger: bytes, *, cork: int) -> None:
    with suppress(OSError), _socket(number) as found:
        if found.family not in _INTERNET or found.getpeername() != peer:
            return  # closed meanwhile, its number given to another
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        if _CORK is not None:
            found.setsockopt(socket.IPPROTO_TCP, _CORK, cork)


@contextmanager
def _socket(number: int) -> Iterator[socket.socket]:
    """Look at a descriptor as a socket, through a copy of its own."""
    copy = os.dup(number)
    try:
        found = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise
    with found:
        yield found
