"""Malformed requests as bytes, and a server's answers to them."""

import gzip
import json
import socket
from contextlib import suppress
from typing import NamedTuple

from .conftest import PATH, docker

HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
SMUGGLED = f"DELETE {PATH}/smuggled HTTP/1.1\r\n".encode() + HOST + b"\r\n"


class Seen(NamedTuple):
    """The bytes received until the server closed the connection or fell silent."""

    statuses: list[int]
    """Of each answer, in turn; what is no answer counts as 0."""
    raw: bytes
    closed: bool


def get(target: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\n".encode() + HOST + b"\r\n"


def post(body: bytes, headers: bytes = b"", length: bool = True) -> bytes:
    counted = b"Content-Length: %d\r\n" % len(body) if length else b""
    return f"POST {PATH} HTTP/1.1\r\n".encode() + HOST + JSON + counted + headers + b"\r\n" + body


def chunked(headers: bytes, body: bytes) -> bytes:
    return post(body, headers, length=False)


HALF = post(b"{}", b"Content-Length: 100\r\n", length=False)
"""A body of which 98 bytes do not come."""
VALID = json.dumps(docker(name="hostile")).encode()
_CHUNKED = b"Transfer-Encoding: chunked\r\n"

SHAPES: dict[str, bytes] = {
    "a header of 900 kB": b"GET / HTTP/1.1\r\n" + HOST + b"X-Long: " + b"x" * 900_000 + b"\r\n\r\n",
    "a header of 4 MB": b"GET / HTTP/1.1\r\n" + HOST + b"X-Long: " + b"x" * 4_000_000 + b"\r\n\r\n",
    "1,000 headers": b"GET / HTTP/1.1\r\n" + HOST + b"".join(b"X-%d: x\r\n" % n for n in range(1000)) + b"\r\n",
    "a path of 100 kB": get("/" + "a" * 100_000),
    "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "HTTP/2 without asking": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    "HTTP/1.1 without Host": f"GET {PATH} HTTP/1.1\r\n\r\n".encode(),
    "a NUL in a header": b"GET / HTTP/1.1\r\n" + HOST + b"X-Nul: a\x00b\r\n\r\n",
    "a space before the colon": post(VALID, b"Content-Length : 5\r\n", length=False),
    "a header folded over two lines": b"GET / HTTP/1.1\r\n" + HOST + b"X-Folded: a\r\n b\r\n\r\n",
    "lines that end in LF alone": f"GET {PATH} HTTP/1.1\nHost: localhost\n\n".encode(),
    "two lengths that differ": post(b"{}" + SMUGGLED, b"Content-Length: 2\r\n"),
    "a length with a plus": post(b"{}" + SMUGGLED, b"Content-Length: +2\r\n", length=False),
    "a negative length": post(b"{}" + SMUGGLED, b"Content-Length: -1\r\n", length=False),
    "a length of 30 digits": post(b"{}", b"Content-Length: " + b"9" * 30 + b"\r\n", length=False),
    "a length and chunks": post(b"0\r\n\r\n" + SMUGGLED, _CHUNKED),
    "chunks spelled xchunked": chunked(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n" + SMUGGLED),
    "chunked, identity": chunked(b"Transfer-Encoding: chunked, identity\r\n", b"0\r\n\r\n" + SMUGGLED),
    "a chunk size beyond 64 bits": chunked(_CHUNKED, b"FFFFFFFFFFFFFFFFF\r\n" + SMUGGLED),
    "a chunk size that is none": chunked(_CHUNKED, b"0x2\r\n{}\r\n0\r\n\r\n" + SMUGGLED),
    "a body on a GET": f"GET {PATH} HTTP/1.1\r\n".encode()
    + HOST
    + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED)
    + SMUGGLED,
    "a zip bomb": post(
        gzip.compress(b"0" * 100_000_000, 9),
        b"Content-Encoding: gzip\r\n",
    ),
    "JSON nested 100,000 deep": post(b"[" * 100_000),
    "a number of a million digits": post(b'{"ecr":{"registryId":' + b"9" * 1_000_000 + b"}}"),
    "a key 100,000 times": post(b"{" + b'"name":"a",' * 100_000 + b'"name":"a"}'),
    "a body of 30 MB": post(b'{"name":"' + b"a" * 30_000_000 + b'"}'),
}


CONTROL_PATHS = (
    "/__admin/settings",
    "/%5f%5fadmin/settings",
    "/__admin%2fsettings",
    "/__admin/%73ettings",
    "//__admin/settings",
    "/%2f__admin/settings",
    "/./__admin/settings",
    "/v1/../__admin/settings",
    "/v1/imageintegrations/..%2f..%2f__admin%2fsettings",
    "/__ADMIN/settings",
    "/__admin;x=1/settings",
    "/__admin/settings%00",
    "/__admin/settings/",
    "/__sandbox/a/__admin/settings",
    "/__sandbox/a/%5f%5fadmin/settings",
    "/__sandbox/..%2f__admin/settings",
    "http://localhost/__admin/settings",
    "__admin/settings",
)
"""Ways to spell a control path."""

NAMES = (
    "a\r\nX-Injected: 1",
    "a\nX-Injected: 1",
    "a\rX-Injected: 1",
    "a\r\n\r\nHTTP/1.1 200 OK\r\nX-Injected: 1",
    "a\x00b",
    "a\u010aX-Injected: 1",  # its lower byte is a line feed
    "a\u2028X-Injected: 1",
    "\U0001f600" * 2000,
)
"""Names that would be headers."""


def send(port: int, sent: bytes, *, closing: bool = False, wait: float = 20.0) -> Seen:
    """Send bytes over a new connection and read the answers; with `closing`, until the server closes it."""
    with socket.create_connection(("127.0.0.1", port), timeout=wait) as connection:
        closed, raw = False, b""
        with suppress(OSError):  # the server may have closed the connection
            connection.sendall(sent)
        try:
            while piece := connection.recv(65536):
                raw += piece
                if complete(raw) and not closing:
                    connection.settimeout(0.2)  # time for a second answer
            closed = True
        except TimeoutError:
            pass
        except OSError:
            closed = True
    return Seen(statuses(raw), raw, closed)


def complete(raw: bytes) -> bool:
    return bool(raw) and statuses(raw)[-1] != 0


def statuses(raw: bytes) -> list[int]:
    """Return the statuses of consecutive answers."""
    found = []
    while raw:
        head, blank, rest = raw.partition(b"\r\n\r\n")
        words = head.split(b" ", 2)
        if not blank or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
            return [*found, 0]
        length = head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0].strip() or b"0"
        if len(rest) < int(length):
            return [*found, 0]
        found.append(int(words[1]))
        raw = rest[int(length) :]
    return found
