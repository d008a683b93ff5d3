"""Keeping requests in the request journal of their sandbox."""

from __future__ import annotations

import time

from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.messages import Response, utf8


def keep_in_journal(proceed: Proceed) -> Proceed:
    """Answer a request and record both in the journal, except streams."""

    def answer(exchange: Exchange) -> Response:
        journal = exchange.sandbox.journal
        if journal is None:
            return proceed(exchange)
        started = time.perf_counter()
        response = proceed(exchange)
        request, operation = exchange.request, exchange.operation
        journal.keep(
            method=request.method,
            path=utf8(request.path),
            query=request.query,
            operation=operation.id if operation is not None else "",
            headers=request.headers,
            body=exchange.body if operation is not None and operation.request is not None else b"",
            violations=exchange.violations,
            fault=str(exchange.fault) if exchange.fault is not None else "",
            status=response.status,
            rule=exchange.rule,
            answer=response.body if isinstance(response.body, bytes) else b"",
            seconds=time.perf_counter() - started,
        )
        return response

    return answer
