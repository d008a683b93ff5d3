"""The innermost function of the gateway: a sandbox answers, and its request journal keeps both."""

from __future__ import annotations

import time

from mock_server.gateway.exchange import Exchange
from mock_server.gateway.faults import shaped
from mock_server.gateway.messages import Response, utf8


def answer_in_sandbox(exchange: Exchange) -> Response:
    """Answer with the sandbox's instance, let a fault shape the answer, and record it as the client gets it."""
    started = time.perf_counter()
    response = exchange.sandbox.instance.answer(exchange)
    if exchange.fault is not None:
        response = shaped(response, exchange.fault, exchange)
    journal = exchange.sandbox.journal
    if journal is None:
        return response
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
