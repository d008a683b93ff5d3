"""Cross-origin requests, which Central itself never allows."""

from __future__ import annotations

import logging

from mock_server.gateway.encoding import RULE_HEADER, WARNING_HEADER, header_text
from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.messages import Request, Response
from mock_server.gateway.sandbox import CONTROL

log = logging.getLogger("mock_central")

_EXPOSED = f"{RULE_HEADER}, {WARNING_HEADER}, Preference-Applied"


def allow_origin(origin: str, proceed: Proceed) -> Proceed:
    """Answer preflights of pages of one origin (`*` for any), and let them read the other answers."""

    def answer(exchange: Exchange) -> Response:
        request = exchange.request
        if origin == "*" and request.path.startswith(CONTROL):  # control calls show stored data
            return proceed(exchange)
        if request.is_preflight and origin not in ("*", request.headers.get("origin")):
            warn_refused(request)
        response = _preflight(request) if request.is_preflight else proceed(exchange)
        response = response.with_header("Access-Control-Allow-Origin", origin)
        response = response.with_header("Access-Control-Expose-Headers", _EXPOSED)
        return response if origin == "*" else response.with_header("Vary", "Origin")

    return answer


def warn_refused(request: Request) -> None:
    """Log which option allows a refused preflight."""
    origin = header_text(request.headers.get("origin", "another origin"))
    log.warning("refused a cross-origin call from a page of %s; --cors %s allows it", origin, origin)


def _preflight(request: Request) -> Response:
    asked = request.headers.get("access-control-request-headers", "")
    headers = (
        ("Content-Type", "text/html; charset=utf-8"),
        ("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE"),
        ("Access-Control-Allow-Headers", header_text(asked)),
        ("Access-Control-Max-Age", "600"),
    )
    return Response(204, headers)
