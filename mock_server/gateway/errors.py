"""Refusals and failures become answers in Central's error shape (pkg/grpc/recovery.go)."""

from __future__ import annotations

import logging

from mock_server.central.errors import Refusal, Rules
from mock_server.central.rendering import AnswerContractError, Rendering
from mock_server.gateway.cors import warn_refused
from mock_server.gateway.encoding import JSON_HEADERS, RULE_HEADER, TEXT_HEADERS, header_text
from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.messages import BodyTooLongError, Response

log = logging.getLogger("mock_central")


class AnswerErrors:
    """Turns exceptions into answers, except AnswerContractError."""

    def __init__(self, rendering: Rendering, rules: Rules, *, explain_preflights: bool) -> None:
        """`explain_preflights`: log which option allows a refused preflight."""
        self.rendering = rendering
        self.rules = rules
        self.explain_preflights = explain_preflights

    def __call__(self, proceed: Proceed) -> Proceed:
        """Return a layer that answers refusals and failures."""

        def answer(exchange: Exchange) -> Response:
            # A variable with the exception would keep all its frames, and so the body, until garbage collection.
            try:
                return proceed(exchange)
            except AnswerContractError:
                raise
            except Refusal as refusal:
                return self.refuse(exchange, refusal)
            except BodyTooLongError as error:
                return self.refuse(exchange, self.rules.refusal("message-size", size=error.size))
            except Exception:
                request = exchange.request
                log.exception("the mock failed on %s %s", request.method, request.path)
                return self.refuse(exchange, Refusal("panic", 500, 13, "the mock failed; its log says why"))

        return answer

    def refuse(self, exchange: Exchange, refusal: Refusal) -> Response:
        """Return the answer to a refused request, and note the refusal in the exchange."""
        if self.explain_preflights and exchange.request.is_preflight:
            warn_refused(exchange.request)
        exchange.rule = refusal.rule
        exchange.is_logged = True
        return self.answer(refusal)

    def answer(self, refusal: Refusal) -> Response:
        """Return the answer of a refusal."""
        headers = (*(TEXT_HEADERS if refusal.form == "text" else JSON_HEADERS), (RULE_HEADER, refusal.rule))
        if refusal.status == 401:
            headers += (("WWW-Authenticate", header_text(refusal.message)),)
        return Response(refusal.status, headers, self.rendering.error_answer(refusal))
