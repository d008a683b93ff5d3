"""Full validation (`--validation full`): openapi-core on every request and on every answer.

By default openapi-core validates only requests that the compiled validator does not accept (`contract.validator`), and
no answers (`central.rendering`).
"""

from __future__ import annotations

from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.messages import Response
from mock_server.sandboxes.central import Central


def validate_request(central: Central, proceed: Proceed) -> Proceed:
    """Validate requests that the compiled validator accepted."""

    def answer(exchange: Exchange) -> Response:
        operation = exchange.operation
        assert operation is not None  # only operations come here
        if operation.request is not None and not exchange.violations:
            content_type = exchange.request.headers.get("content-type", "")
            exchange.violations = central.decoding.violations(operation, exchange.body, content_type)
        elif operation.request is None:
            filters = (("name", exchange.filters.name), ("cluster", exchange.filters.cluster))
            query = [(name, value) for name, value in filters if value]
            found = central.validator.request_violations(operation, b"", query)
            exchange.violations = (*exchange.violations, *found)
        return proceed(exchange)

    return answer


def validate_answer(central: Central, proceed: Proceed) -> Proceed:
    """Validate the answers of operations, including refusals."""

    def answer(exchange: Exchange) -> Response:
        response = proceed(exchange)
        if exchange.operation is not None:
            found = central.validator.answer_violations(exchange.operation, response.status, response.bytes)
            if found:
                central.rendering.answer_broken(found)
        return response

    return answer
