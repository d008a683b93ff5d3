"""Go's HTTP server: what it refuses, and short bodies, which it always reads (Go net/http).

The HTTP server in front refuses other requests itself; docs/reference/hostile-input.md lists them.
"""

from __future__ import annotations

import re
from contextlib import suppress

from mock_server.central.errors import Refusal
from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.messages import BodyTooLongError, Response

SHORT_BODY = 64 * 1024
"""Size in bytes up to which a body is always read. Unread, it would end the connection or be parsed as a request."""
_BAD_ESCAPE = re.compile("%(?![0-9a-fA-F]{2})")
_HOST = re.compile(r"[A-Za-z0-9!$%&'()*+.:;=\[\]_~-]*", re.ASCII)
_PLAIN = ("Content-Type", "text/plain; charset=utf-8")
_CLOSE = ("Connection", "close")


def refuse_malformed(proceed: Proceed) -> Proceed:
    """Refuse a malformed target or host, and an unknown expectation or transfer coding."""

    def answer(exchange: Exchange) -> Response:
        headers = exchange.request.headers
        target = exchange.request.target  # granian does not provide it
        if "%" in target and _BAD_ESCAPE.search(target.partition("?")[0]):
            return _refused(400, "400 Bad Request")
        host = headers.get("host")
        if host is not None and (not host or _HOST.fullmatch(host) is None):
            return _refused(400, _host_fault(host))
        coding = headers.get("transfer-encoding")
        if coding is not None and coding.lower() != "chunked":
            return _refused(501, "Unsupported transfer encoding")
        expected = headers.get("expect")
        if expected and "100-continue" not in re.split(r"[\s,]+", expected.lower()):
            return Response(417, (_CLOSE,))
        if exchange.request.path == "*":
            is_known = exchange.request.method == "OPTIONS"
            return Response(200) if is_known else Response(400, (_CLOSE,))
        return proceed(exchange)

    return answer


def _host_fault(host: str) -> str:
    if not host:  # granian turns a missing Host into an empty one
        return "400 Bad Request: missing required Host header"
    if "," in host:  # servers join repeated headers
        return "400 Bad Request"
    return "400 Bad Request: malformed Host header"


def _refused(status: int, text: str) -> Response:
    return Response(status, (_PLAIN, _CLOSE), text.encode())


def read_short_body(proceed: Proceed) -> Proceed:
    """Read a short body from the connection. Its errors are raised again where the body is needed."""

    def answer(exchange: Exchange) -> Response:
        body = exchange.request.body
        if body.size is not None and 0 < body.size <= SHORT_BODY:
            with suppress(Refusal, BodyTooLongError):
                exchange.body = body.read()
        return proceed(exchange)

    return answer
