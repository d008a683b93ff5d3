"""Closing of connections by injected faults under a WSGI server.

A server that exposes the socket of a request allows a reset; under any other server a reset is refused at once.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from mock_server.central.errors import Refusal
from mock_server.gateway.faults import Connections, Cut, cut_after
from mock_server.gateway.messages import Response

CLOSE_WITH_RESET = struct.pack("ii", 1, 0)
"""Value of `SO_LINGER` that discards unsent data and resets the connection."""
_SOCKETS = ("werkzeug.socket", "gunicorn.socket")
"""Keys under which servers expose the socket of a request."""
_SECONDS_TO_SEND = 0.05
"""Seconds that a server has to send a piece of a body; a server that learns of the end too early does not send it."""


class WsgiConnections(Connections):
    """Closes connections with the features of a WSGI server; a test client gets the exception `Cut`."""

    def refusal_of_reset(self, origin: Mapping[str, Any]) -> Refusal | None:
        """Return why the server of a request cannot reset its connection, or None if it can."""
        server = str(origin.get("SERVER_SOFTWARE", ""))
        if not server or _socket_of(origin) is not None:
            return None
        return Refusal(
            "fault",
            501,
            12,
            f"fault=reset: the server {server.partition('/')[0]} cannot reset a connection; "
            f"`mock-central serve` and the pytest fixture can",
        )

    def reset(self, origin: Mapping[str, Any]) -> Response:
        """Return an answer that resets the connection before the first byte."""
        connection = _socket_of(origin)
        body = cut_body(partial(_reset_now, connection) if connection is not None else lambda: None)
        return super().reset(origin)._replace(body=body)

    def truncated(self, origin: Mapping[str, Any], whole: bytes) -> Iterator[bytes]:
        """Return a body that closes the connection halfway."""
        if not whole or origin["REQUEST_METHOD"] == "HEAD":
            return  # there is nothing to truncate
        yield whole[: len(whole) // 2]
        time.sleep(_SECONDS_TO_SEND)
        self.before_end(origin)
        raise Cut

    def before_end(self, origin: Mapping[str, Any]) -> None:
        """Prepare the server for an answer that breaks off."""


def _socket_of(origin: Mapping[str, Any]) -> socket.socket | None:
    return next((origin[each] for each in _SOCKETS if each in origin), None)


def cut_body(before: Callable[[], None]) -> Iterator[bytes]:
    """Return a body that fails before its first byte, after calling `before`."""
    before()
    yield from cut_after(b"")


def _reset_now(connection: socket.socket) -> None:
    """Reset a connection that other descriptors share; they get a closed socket instead."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, CLOSE_WITH_RESET)
    ended, other = socket.socketpair()
    other.close()
    with ended:
        os.dup2(ended.fileno(), connection.fileno())
