"""A load generator: keep-alive connections over plain sockets, each with one request under way."""

from __future__ import annotations

import json
import selectors
import socket
import time
from collections.abc import Iterable, Iterator

CONNECTIONS = 8


class LoadError(Exception):
    """A server did not answer with success."""


def request(method: str, path: str, body: bytes = b"", headers: str = "") -> bytes:
    """Write one HTTP request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def creates(count: int, start: int = 0) -> Iterator[bytes]:
    """Return creates of docker integrations, each with a name of its own."""
    for number in range(start, start + count):
        yield request("POST", "/v1/imageintegrations", json.dumps(integration(number)).encode())


def integration(number: int) -> dict[str, object]:
    """Return the body of one create."""
    return {
        "name": f"integration {number:07}",
        "type": "docker",
        "categories": ["REGISTRY"],
        "docker": {
            "endpoint": "registry.example.com",
            "username": "robot",
            "password": "not-a-real-password",
            "insecure": False,
        },
        "skipTestIntegration": True,
    }


class _Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def fileno(self) -> int:
        return self.socket.fileno()

    def answer(self) -> bytes | None:
        """Read the available bytes; return the body of the answer once it is complete."""
        read = self.socket.recv(1 << 20)
        if not read:
            raise LoadError("the server closed the connection")
        self.buffer += read
        head, blank, body = self.buffer.partition(b"\r\n\r\n")
        if not blank or len(body) < _length(head):
            return None
        if not head.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 201 ")):
            raise LoadError((head + blank + body[:500]).decode("utf-8", "replace"))
        self.buffer = b""
        return body


def _length(head: bytes) -> int:
    found = head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
    return int(found)


def run(port: int, requests: Iterable[bytes], connections: int = CONNECTIONS) -> float:
    """Send requests over concurrent connections; return the seconds until all are answered."""
    waiting = iter(requests)
    started = time.perf_counter()
    with selectors.DefaultSelector() as selector:
        opened = [_Connection(port) for _ in range(connections)]
        for connection in opened:
            if (first := next(waiting, None)) is not None:
                connection.socket.sendall(first)
                selector.register(connection, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select(timeout=60):
                answered = key.fileobj
                assert isinstance(answered, _Connection)
                if answered.answer() is None:
                    continue
                if (following := next(waiting, None)) is None:
                    selector.unregister(answered)
                else:
                    answered.socket.sendall(following)
        for connection in opened:
            connection.socket.close()
    return time.perf_counter() - started


def once(port: int, sent: bytes) -> bytes:
    """Send one request and return the body of its answer."""
    connection = _Connection(port)
    try:
        connection.socket.sendall(sent)
        while (body := connection.answer()) is None:
            pass
        return body
    finally:
        connection.socket.close()
