"""Counting of requests for the consumer report."""

from __future__ import annotations

from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.messages import Response
from mock_server.simulation.usage import BY_CLUSTER, BY_NAME, Usage


def count_usage(usage: Usage, proceed: Proceed) -> Proceed:
    """Count the requests of the API with their answers."""

    def answer(exchange: Exchange) -> Response:
        response = proceed(exchange)
        operation = exchange.operation
        if operation is None and not exchange.rule:
            return response  # a companion or a control call
        filters = exchange.filters
        usage.count(
            sandbox=exchange.sandbox.name,
            operation=operation.id if operation is not None else "",
            status=response.status,
            rule=exchange.rule,
            message=exchange.message,
            body=exchange.body,
            marks=(*((BY_NAME,) if filters.name else ()), *((BY_CLUSTER,) if filters.cluster else ())),
            answer=response.body,
            violations=exchange.violations,
            fault=exchange.fault,
        )
        return response

    return answer
