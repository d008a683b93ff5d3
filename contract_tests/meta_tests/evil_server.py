"""A hostile server: it echoes credentials, injects commands, floods the client and never ends answers."""

from __future__ import annotations

import base64
import gzip
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

TOKEN = "evil-token-0123456789abcdefghijklmnop"  # noqa: S105 (what must not show)
USER, PASSWORD = "evil-user", "evil-passphrase-5f2d"
BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
SECRETS = (
    TOKEN,
    base64.b64encode(TOKEN.encode()).decode().rstrip("=")[:-1],
    base64.b64encode(f"Bearer {TOKEN}".encode()).decode()[4:-4],
    TOKEN.encode().hex(),
    PASSWORD,
    BASIC,
)
INJECTION = (
    "\x1b[31mred\x1b]0;title\x07 \x9b31m \u202e \u2028\r\n::error::first\n  ::add-mask::x\n\t::stop-commands::y\n"
    "##[error]z ##vso[task.setvariable variable=a]b <script>alert(1)</script> <img src=x onerror=alert(1)> "
    "[link](https://evil.example.com) **bold** `code` ```\n# heading\n| a | b |\n"
)

Conversation = Callable[[socket.socket, bytes], None]


def _answer(status: bytes, body: bytes, *headers: bytes) -> bytes:
    head = [b"HTTP/1.1 " + status, b"Content-Type: application/json", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def _credentials(request: bytes) -> str:
    for line in request.split(b"\r\n"):
        if line.lower().startswith(b"authorization:"):
            return line.partition(b":")[2].strip().decode()
    return ""


def _echo(status: bytes) -> Conversation:
    """Answer every request with an error or list that quotes the credentials in every encoding and injects commands."""

    def answer(sock: socket.socket, request: bytes) -> None:
        sent = _credentials(request)
        value = sent.partition(" ")[2]
        forms = [sent, value, base64.b64encode(value.encode()).decode(), base64.b64encode(sent.encode()).decode(),
                 value.encode().hex(), value.upper()]  # fmt: skip
        if sent.startswith("Basic "):
            forms.append(base64.b64decode(value).decode())
        text = f"{INJECTION} {' '.join(forms)} {INJECTION}"
        item = {"id": f"x{INJECTION}", "name": text, "type": "docker"}
        error = {"code": 3, "message": text, "details": [], "error": text, text: 1, "integrations": [item]}
        listed: dict[str, Any] = {"integrations": [item], "version": text} | item
        body = json.dumps(listed if status.startswith(b"200") else error, ensure_ascii=False).encode()
        header = b"WWW-Authenticate: \x1b[31m::error::" + sent.encode()
        sock.sendall(
            _answer(status + b" \x1b[31m::error::", body, header, b"X-\x1b[31m: x", b"Location: " + sent.encode())
        )

    return answer


def _broken_status_line(sock: socket.socket, request: bytes) -> None:
    sock.sendall(b"\x1b[31m\r::error::" + _credentials(request).encode() + b"\n::error::x\r\n\r\n")
    sock.close()


_BOMB = gzip.compress(b"0" * 2**20) * 2_000


def _bomb(sock: socket.socket, _request: bytes) -> None:
    sock.sendall(_answer(b"200 OK", _BOMB, b"Content-Encoding: gzip"))


def _endless(piece: bytes) -> Conversation:
    def answer(sock: socket.socket, _request: bytes) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while True:
            sock.sendall(piece)

    return answer


def _slow(head: bytes, piece: bytes) -> Conversation:
    def answer(sock: socket.socket, _request: bytes) -> None:
        sock.sendall(head)
        while True:
            sock.sendall(piece)
            time.sleep(0.2)

    return answer


def _expensive_json(sock: socket.socket, _request: bytes) -> None:
    sock.sendall(_answer(b"200 OK", b'{"integrations":[' + b"{}," * 2_500_000 + b"{}]}"))


def _deep(sock: socket.socket, _request: bytes) -> None:
    docker = b'{"a":' * 800 + b"1" + b"}" * 800
    sock.sendall(_answer(b"200 OK", b'{"integrations":[{"id":"a","name":"b","docker":%s}]}' % docker))


def _wide(sock: socket.socket, _request: bytes) -> None:
    body = json.dumps({"integrations": [{"id": f"id-{n}", "name": "x" * 500} for n in range(12_000)]}).encode()
    headers = [b"X-%d: " % number + b"x" * 60_000 for number in range(90)]
    sock.sendall(_answer(b"200 OK", body, *headers))


def _too_many(sock: socket.socket, _request: bytes) -> None:
    sock.sendall(_answer(b"429 Too Many Requests", b'{"code":8,"message":"slow down"}', b"Retry-After: 86400"))


EVILS: dict[str, Conversation] = {
    "errors that echo": _echo(b"401"),
    "refusals that echo": _echo(b"400"),
    "lists that echo": _echo(b"200"),
    "broken status line": _broken_status_line,
    "gzip bomb": _bomb,
    "endless body": _endless(b"x" * 65536),
    "endless blanks": _endless(b" " * 65536),
    "body a byte at a time": _slow(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
    "headers a byte at a time": _slow(b"HTTP/1.1 200 OK\r\nX-A: ", b"x"),
    "continues for ever": _slow(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "expensive JSON": _expensive_json,
    "deep JSON": _deep,
    "wide lists and headers": _wide,
    "too many requests": _too_many,
}


def after(requests: int, url: str, evil: Conversation) -> Conversation:
    """Forward a number of requests to another server, then be hostile."""
    left = [requests]
    to = urlsplit(url)

    def answer(sock: socket.socket, request: bytes) -> None:
        left[0] -= 1
        if left[0] < 0:
            evil(sock, request)
            return
        first, _, rest = request.partition(b"\r\n")
        with socket.create_connection((str(to.hostname), to.port or 80)) as upstream:
            upstream.sendall(first + b"\r\nConnection: close\r\n" + re.sub(rb"(?i)connection: [^\r]*\r\n", b"", rest))
            while piece := upstream.recv(65536):
                sock.sendall(piece)
        sock.close()

    return answer


@contextmanager
def serving(evil: Conversation) -> Iterator[str]:
    """Serve on a free port while the block runs."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=converse, args=(sock,), daemon=True).start()

    def converse(sock: socket.socket) -> None:
        with sock:
            try:
                while request := _read(sock):
                    evil(sock, request)
            except OSError:
                pass

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


def _read(sock: socket.socket) -> bytes:
    found = b""
    while b"\r\n\r\n" not in found:
        piece = sock.recv(65536)
        if not piece:
            return b""
        found += piece
    head, _, body = found.partition(b"\r\n\r\n")
    length = next((int(line.partition(b":")[2]) for line in head.lower().split(b"\r\n")
                   if line.startswith(b"content-length:")), 0)  # fmt: skip
    while len(body) < length:
        piece = sock.recv(65536)
        if not piece:
            break
        body += piece
    return found
