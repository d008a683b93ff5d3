"""A threaded server in this process that keeps connections open.

werkzeug's own server closes each connection, because it does not know the end of a body that the app has not read.
"""

from __future__ import annotations

import re
import socket
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from io import BufferedIOBase
from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from mock_server.central.errors import Refusal

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

_SECONDS_FOR_REST = 0.5
"""Seconds that a client has for the next piece of a body that the app does not read."""
_PIECE = 1 << 16
_LONGEST_LINE = 4096
"""Greatest size in bytes of a line between chunks."""
_LONGEST_LENGTH = 16
"""Greatest number of digits of a chunk's length."""


class InProcessServer(ThreadedWSGIServer):
    """Serves an app on a port (0: any free one) until `server_close`."""

    def __init__(self, host: str, port: int, app: WSGIApplication) -> None:
        """Start listening.

        Raises:
            SystemExit: listening failed; werkzeug exits like a command-line tool.
        """
        self._connections: set[socket.socket] = set()
        super().__init__(host, port, app, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, because its thread may still wait for a request when the server closes."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Stop listening, and close the connections."""
        super().server_close()
        for each in tuple(self._connections):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


class _Body:
    """A body of known length; the next request begins behind it."""

    def __init__(self, read: Callable[[int], bytes], length: int) -> None:
        self._read = read
        self._left = length

    def read(self, size: int = -1) -> bytes:
        """Read up to so many bytes, or the rest."""
        try:
            found = self._read(self._left if size < 0 else min(size, self._left))
        except ConnectionError:  # the client is gone: the body ends here
            found = b""
        self._left -= len(found)
        return found


class _Chunks:
    """A body in chunks; the next request begins behind its trailer. The errors are those of Go's HTTP server."""

    def __init__(self, stream: BufferedIOBase) -> None:
        self._stream = stream
        self._left = 0
        """Bytes of the chunk that are not yet read."""
        self._is_over = False
        self._failure: Refusal | None = None

    def read(self, size: int = -1) -> bytes:
        """Read up to so many bytes, or the rest.

        Raises:
            Refusal: the chunks are malformed, or end too soon.
        """
        found = bytearray()
        while not self._is_over and (size < 0 or len(found) < size):
            if self._failure is not None:
                raise self._failure
            try:
                found += self._piece(_PIECE if size < 0 else size - len(found))
            except ConnectionError:
                self._failure = _bad_chunks("unexpected EOF")
            except Refusal as failure:
                self._failure = failure
        return bytes(found)

    def _piece(self, size: int) -> bytes:
        if not self._left:
            self._left = self._length()
        if not self._left:
            while self._line().strip():  # a trailer
                pass
            self._is_over = True
            return b""
        piece = self._stream.read(min(size, self._left))
        self._left -= len(piece)
        if not piece or (not self._left and len(end := self._stream.read(2)) < 2):
            raise _bad_chunks("unexpected EOF")
        if not self._left and end != b"\r\n":
            raise _bad_chunks("malformed chunked encoding")
        return piece

    def _length(self) -> int:
        digits = self._line().partition(b";")[0].strip()
        if not digits:
            raise _bad_chunks("empty hex number for chunk length")
        if not re.fullmatch(rb"[0-9A-Fa-f]+", digits):
            raise _bad_chunks("invalid byte in chunk length")
        if len(digits) > _LONGEST_LENGTH:
            raise _bad_chunks("http chunk length too large")
        return int(digits, 16)

    def _line(self) -> bytes:
        line = self._stream.readline(_LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise _bad_chunks("header line too long" if len(line) == _LONGEST_LINE else "unexpected EOF")
        return line


def _bad_chunks(text: str) -> Refusal:
    return Refusal("http", 400, 3, text)


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections open
    disable_nagle_algorithm = True  # otherwise the body of an answer would wait until the client confirms the head

    def make_environ(self) -> WSGIEnvironment:
        """Return the WSGI environment, with the bytes of the path and without blanks around the headers, as in Go."""
        self.path = self.requestline.split()[1]  # Python's server makes one slash of two
        environ = super().make_environ()
        path = self.path if self.path.startswith("/") else urlsplit(self.path).path
        environ["PATH_INFO"] = unquote_to_bytes(re.split("[?#]", path)[0].encode("latin-1")).decode("latin-1")
        return environ | {key: value.strip(" \t") for key, value in environ.items() if key.startswith("HTTP_")}

    def run_wsgi(self) -> None:
        """Answer one request."""
        environ = self.make_environ()
        length = environ.get("CONTENT_LENGTH", "")
        environ["wsgi.input"] = (
            _Chunks(self.rfile)
            if environ.get("wsgi.input_terminated")  # werkzeug sets it for a chunked body
            else _Body(self.rfile.read, int(length) if length.isdecimal() else 0)
        )
        head: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _error: Any = None) -> Callable[[bytes], Any]:
            head[:] = status, headers
            return self.wfile.write

        try:
            answer = self.server.app(environ, start_response)
            try:
                self._send(head, answer)
            finally:
                if hasattr(answer, "close"):
                    answer.close()
            self._read_rest(environ["wsgi.input"].read)
        except ConnectionError:  # the client has disconnected, or a fault cuts the connection
            self.close_connection = True
        except Exception:  # noqa: BLE001 (what an app does not see to itself)
            traceback.print_exc()
            if head:
                self.close_connection = True
            else:
                self.send_error(500)

    def _send(self, head: list[Any], answer: Iterable[bytes]) -> None:
        """Send an answer, its head with the first piece of the body: until then the app may fail."""
        pieces = iter(answer)
        first = next(pieces, b"")
        self._begin(*head)
        for piece in chain((first,), pieces):
            self.wfile.write(piece)

    def _begin(self, status: str, headers: Iterable[tuple[str, str]]) -> None:
        code, _, text = status.partition(" ")
        self.send_response(int(code), text)
        for name, value in headers:
            self.send_header(name, value)
        names = {name.lower() for name, _ in headers}
        if "content-length" not in names and self.command != "HEAD" and int(code) not in (204, 304):
            self.send_header("Connection", "close")  # closing the connection ends the answer
        self.end_headers()

    def _read_rest(self, read: Callable[[int], bytes]) -> None:
        """Read the unread rest of a body, behind which the next request begins."""
        self.connection.settimeout(_SECONDS_FOR_REST)
        try:
            while read(_PIECE):
                pass
            self.connection.settimeout(None)
        except (OSError, Refusal):
            self.close_connection = True

    def log(self, type: str, message: str, *args: Any) -> None:
        """Do nothing: the app logs requests."""
