"""Reading of short bodies, even if no layer needs them."""

from __future__ import annotations

from contextlib import suppress

from mock_server.central.errors import Refusal
from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.messages import BodyTooLongError, Response

SHORT_BODY = 64 * 1024
"""Size in bytes up to which a body is always read. Unread, it would end the connection or be parsed as a request."""


def limit_body(proceed: Proceed) -> Proceed:
    """Read a short body from the connection. Its errors are raised again where the body is needed."""

    def answer(exchange: Exchange) -> Response:
        body = exchange.request.body
        if body.size is not None and 0 < body.size <= SHORT_BODY:
            with suppress(Refusal, BodyTooLongError):
                exchange.body = body.read()
        return proceed(exchange)

    return answer
