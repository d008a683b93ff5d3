"""The WSGI edge: converts requests for the gateway, and its answers back."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextvars import ContextVar
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

from flask import Response as FlaskResponse
from werkzeug.http import HTTP_STATUS_CODES

from mock_server.central import protojson
from mock_server.central.errors import Refusal
from mock_server.gateway.encoding import JSON_HEADERS, RULE_HEADER, encode
from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.gateway import Gateway
from mock_server.gateway.messages import NO_BODY, Body, Headers, Request, Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger("mock_central")

_STATUS_LINES = {status: f"{status} {phrase.upper()}" for status, phrase in HTTP_STATUS_CODES.items()}
_NAMES = {"CONTENT_TYPE": "content-type"} | {
    f"HTTP_{name.upper().replace('-', '_')}": name
    for name in ("host", "user-agent", "accept", "accept-encoding", "connection", "authorization", "origin", "prefer")
}
"""Usual headers by their WSGI keys, so that their names need not be derived for each request."""


class Edge:
    """The WSGI callable in front of a gateway."""

    def __init__(self, gateway: Gateway, *, one_process_only: bool) -> None:
        """`one_process_only`: refuse every request of a server with several processes."""
        self.gateway = gateway
        self.one_process_only = one_process_only

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; return a complete body in one piece, which servers send at once."""
        is_refused = self.one_process_only and environ.get("wsgi.multiprocess")
        response = _refusal_of_several_processes() if is_refused else self.gateway(request_of(environ))
        status, headers, body, _, reason = response
        line = f"{status} {reason}" if reason else _STATUS_LINES.get(status) or f"{status} UNKNOWN"
        if not isinstance(body, bytes):
            start_response(line, [*headers])
            return body
        if "Content-Length" not in dict(headers) and status != 204:
            headers = (*headers, ("Content-Length", str(len(body))))
        start_response(line, [*headers])
        return [body]


@cache
def _refusal_of_several_processes() -> Response:
    """Return a 500 in Central's error shape for a server with several processes, such as `gunicorn -w 2`."""
    text = (
        "the server runs several processes (wsgi.multiprocess), and each would have its own state in memory; run one "
        "process with threads, such as `gunicorn --workers 1 --threads 32`, or share the state: "
        "Settings(store='redis://...')"
    )
    log.error("every request is refused: %s", text)  # once: the answer is cached
    rule = "several-processes"
    return Response(500, (*JSON_HEADERS, (RULE_HEADER, rule)), protojson.render(Refusal(rule, 500, 13, text).body()))


def request_of(environ: WSGIEnvironment) -> Request:
    """Return the request of a WSGI environment."""
    headers: dict[str, str] = {}
    # Headers come last, with some servers after the variables of their process: HTTP_PROXY there is not a header.
    for key in reversed(environ):
        name = _NAMES.get(key)
        if name is not None:
            headers[name] = environ[key]
        elif key[:5] == "HTTP_":
            headers[key[5:].replace("_", "-").lower()] = environ[key]
        elif key == "REQUEST_METHOD" and "host" in headers:
            break
    if headers.get("host") == "" and environ.get("SERVER_PROTOCOL") != "HTTP/1.1":
        del headers["host"]  # granian adds one for HTTP/1.0, which needs none
    body, length = NO_BODY, environ.get("CONTENT_LENGTH", "")
    if length.isdecimal():
        if length != "0":
            body = Body(environ["wsgi.input"].read, int(length))
    elif "transfer-encoding" in headers and environ.get("wsgi.input_terminated"):
        body = Body(environ["wsgi.input"].read, None)
    return Request(
        environ["REQUEST_METHOD"],
        environ["PATH_INFO"],
        environ.get("QUERY_STRING", ""),
        headers,
        body,
        environ.get("SCRIPT_NAME", ""),
        environ.get("REQUEST_URI") or environ.get("RAW_URI") or "",
        environ,
    )


_current: ContextVar[Exchange] = ContextVar("exchange")


def current() -> Exchange:
    """Return the exchange that a Flask view is answering."""
    return _current.get()


def answered_by(app: WSGIApplication) -> Proceed:
    """Return a function that lets a WSGI app answer; exceptions of its views propagate to the gateway."""

    def answer(exchange: Exchange) -> Response:
        exchange.is_logged = False  # unless a view sets it
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _error: object = None) -> Any:
            started[:] = status, tuple(headers)

        token = _current.set(exchange)
        try:
            body = app(_environ_of(exchange.request), start_response)
        finally:
            _current.reset(token)
        status, headers = started
        code, _, reason = status.partition(" ")
        response = Response(int(code), headers, body, is_final=True, reason=reason)
        if exchange.is_streamed:
            return response
        try:
            return response._replace(body=response.bytes)
        finally:
            close = getattr(body, "close", None)
            if close is not None:
                close()

    return answer


def _environ_of(request: Request) -> WSGIEnvironment:
    """Return a WSGI environment for a request as the layers have changed it."""
    environ = {key: value for key, value in request.origin.items() if key[:5] != "HTTP_"}
    environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in request.headers.items()}
    environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE", "")
    environ |= {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": request.prefix,
        "PATH_INFO": request.path,
        "QUERY_STRING": request.query,
    }
    if request.body is NO_BODY:
        environ["wsgi.input"], environ["CONTENT_LENGTH"] = BytesIO(), "0"
    elif request.body.is_read:
        environ["wsgi.input"] = _Again(request.body)
    return environ


class _Again:
    """The stream of a body that was already read; a read error is raised again."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._stream: BytesIO | None = None

    def read(self, size: int = -1) -> bytes:
        """Read up to so many bytes, or all."""
        if self._stream is None:
            self._stream = BytesIO(self._body.read())
        return self._stream.read(size)


def json_answer(body: bytes, status: int = 200, headers: Headers = JSON_HEADERS) -> FlaskResponse:
    """Return a Flask response with a JSON body in the format that the request asked for."""
    response = encode(lambda _: Response(status, headers, body))(current())
    return FlaskResponse([response.bytes], response.status, list(response.headers))
