"""The operations of the contract: decode the request, check the caller, run what Central runs, in this order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from mock_server.central.integration import Integration, UpdateRequest
from mock_server.contract.tables import Contract
from mock_server.gateway.encoding import GATEWAY_HEADERS
from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.messages import Response
from mock_server.gateway.metadata import check_call, credentials

EMPTY = b"{}"


def decode(proceed: Proceed) -> Proceed:
    """Decode body or query, and list the violations of the contract."""

    def answer(exchange: Exchange) -> Response:
        operation, request = exchange.operation, exchange.request
        assert operation is not None  # only operations come here
        content_type = request.headers.get("content-type", "")
        decoding = exchange.sandbox.instance.central.decoding
        if operation.request is not None:
            exchange.body = exchange.body or request.body.read()
            exchange.message, exchange.violations = decoding.body(operation, exchange.body, content_type, exchange.id)
        elif operation.id == "GetImageIntegrations":
            exchange.filters = decoding.query(operation, request.query)
            exchange.violations = exchange.filters.violations
        return proceed(exchange)

    return answer


def serve(exchange: Exchange) -> Response:
    """Check the credentials, as Central does after decoding, and run the operation."""
    operation = exchange.operation
    assert operation is not None  # only operations come here
    auth = exchange.sandbox.instance.central.auth
    check_call(exchange)
    if auth.enforced:
        auth.check(operation, credentials(exchange.request.headers))
    return Response(200, GATEWAY_HEADERS, HANDLERS[operation.id](exchange))


Handler = Callable[[Exchange], bytes]


def list_integrations(exchange: Exchange) -> bytes:
    """GetImageIntegrations."""
    return exchange.sandbox.central.service.list(exchange.filters.name, exchange.filters.cluster)


def get_integration(exchange: Exchange) -> bytes:
    """GetImageIntegration."""
    return exchange.sandbox.central.service.get(exchange.id).answer


def create_integration(exchange: Exchange) -> bytes:
    """PostImageIntegration."""
    central = exchange.sandbox.central
    created, stored = central.service.create(cast("Integration", exchange.message))
    return central.rendering.create_answer(created, stored.answer, stored.integration)


def replace_integration(exchange: Exchange) -> bytes:
    """PutImageIntegration: an update that ignores the stored credentials."""
    exchange.sandbox.central.service.update(
        path_id_wins(exchange, cast("Integration", exchange.message)), update_password=True
    )
    return EMPTY


def update_integration(exchange: Exchange) -> bytes:
    """UpdateImageIntegration: without a config it is an empty integration with the id of the path."""
    central, sent = exchange.sandbox.central, cast("UpdateRequest", exchange.message)
    config = sent["config"] or central.decoding.empty_integration()
    central.service.update(path_id_wins(exchange, config), update_password=sent["updatePassword"])
    return EMPTY


def delete_integration(exchange: Exchange) -> bytes:
    """DeleteImageIntegration."""
    exchange.sandbox.central.service.delete(id_in_bytes(exchange))
    return EMPTY


def test_integration(exchange: Exchange) -> bytes:
    """TestImageIntegration."""
    exchange.sandbox.central.service.test(cast("Integration", exchange.message), update_password=True)
    return EMPTY


def test_updated_integration(exchange: Exchange) -> bytes:
    """TestUpdatedImageIntegration."""
    sent = cast("UpdateRequest", exchange.message)
    exchange.sandbox.central.service.test(sent["config"], update_password=sent["updatePassword"])
    return EMPTY


def path_id_wins(exchange: Exchange, integration: Integration) -> Integration:
    """Return the integration with the id of the path instead of the one in the body."""
    return {**integration, "id": id_in_bytes(exchange)}


def id_in_bytes(exchange: Exchange) -> str:
    """Return the id of the path, with bytes that are not UTF-8 as "surrogateescape" decodes them, for quoting."""
    if "\ufffd" not in exchange.id:
        return exchange.id
    return exchange.request.path.rpartition("/")[2].encode("latin-1").decode("utf-8", "surrogateescape")


HANDLERS: Mapping[str, Handler] = {
    "GetImageIntegrations": list_integrations,
    "GetImageIntegration": get_integration,
    "PostImageIntegration": create_integration,
    "PutImageIntegration": replace_integration,
    "UpdateImageIntegration": update_integration,
    "DeleteImageIntegration": delete_integration,
    "TestImageIntegration": test_integration,
    "TestUpdatedImageIntegration": test_updated_integration,
}


def check_complete(contract: Contract, handlers: Mapping[str, Handler]) -> None:
    """Check that each operation has a handler and each handler an operation.

    Raises:
        ValueError: one is missing; the text names it.
    """
    without_handler = contract.operations.keys() - handlers.keys()
    without_operation = handlers.keys() - contract.operations.keys()
    if without_operation:  # another release may have it
        without_operation -= {id for each in contract.every_release for id in each.operations}
    if without_handler or without_operation:
        raise ValueError(
            f"document and server differ: operations without a handler {sorted(without_handler)}, "
            f"handlers without an operation {sorted(without_operation)}"
        )
