"""Limits of bodies: short ones are read whether or not somebody asks for them."""

from __future__ import annotations

from contextlib import suppress

from mock_server.central.errors import Refusal
from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.messages import BodyTooLongError, Response

SHORT_BODY = 64 * 1024
"""Bytes up to which a body is read at once: left unread it ends the connection, or is read as the next request."""


def limit_body(proceed: Proceed) -> Proceed:
    """Take a short body off the connection; what is wrong with it concerns only who reads it."""

    def answer(exchange: Exchange) -> Response:
        body = exchange.request.body
        if body.size is not None and 0 < body.size <= SHORT_BODY:
            with suppress(Refusal, BodyTooLongError):
                exchange.body = body.read()
        return proceed(exchange)

    return answer
