"""Full validation (`--validation full`): openapi-core on every request and on every answer.

By default openapi-core validates only requests that the compiled validator does not accept (`contract.validator`), and
no answers (`central.rendering`).
"""

from __future__ import annotations

from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.messages import Response
from mock_server.sandboxes.central import Central


class ValidateFully:
    """Two layers of one Central: one for its answers, one for its decoded requests."""

    def __init__(self, central: Central) -> None:
        self.central = central

    def requests(self, proceed: Proceed) -> Proceed:
        """Return a layer that validates requests which the compiled validator accepted."""

        def answer(exchange: Exchange) -> Response:
            operation = exchange.operation
            assert operation is not None  # only operations come here
            if operation.request is not None and not exchange.violations:
                content_type = exchange.request.headers.get("content-type", "")
                exchange.violations = self.central.decoding.violations(operation, exchange.body, content_type)
            elif operation.request is None:
                filters = (("name", exchange.filters.name), ("cluster", exchange.filters.cluster))
                query = [(name, value) for name, value in filters if value]
                found = self.central.validator.request_violations(operation, b"", query)
                exchange.violations = (*exchange.violations, *found)
            return proceed(exchange)

        return answer

    def answers(self, proceed: Proceed) -> Proceed:
        """Return a layer that validates the answers of operations, including refusals."""

        def answer(exchange: Exchange) -> Response:
            response = proceed(exchange)
            operation = exchange.operation
            if operation is not None:
                validator = self.central.validator
                if found := validator.answer_violations(operation, response.status, response.bytes):
                    self.central.rendering.answer_broken(found)
            return response

        return answer
