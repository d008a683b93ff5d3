"""What each operation of the contract runs: from a decoded request to the bytes of an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mock_server.contract.tables import Contract, Operation
from mock_server.contract.validator import Violation
from mock_server.sandboxes.central import Central

EMPTY = b"{}"


@dataclass(slots=True)
class Call:
    """One request on its way to Central.

    `id` is the id of the path, `query` the query string as bytes in latin-1, `authorization`
    the header of that name. `violations` collects where the request leaves the contract.
    """

    operation: Operation
    id: str = ""
    query: str = ""
    body: bytes = b""
    content_type: str = ""
    authorization: str | None = None
    violations: list[Violation] = field(default_factory=list)


Handler = Callable[[Central, Call], bytes]


def _decoded(central: Central, call: Call) -> dict[str, Any]:
    """Decode the body, and only then look at the credentials: the order of Central's gateway."""
    message, violations = central.decode(call.operation, call.body, call.content_type, call.id)
    call.violations += violations
    central.auth.check(call.operation, call.authorization)
    return message


def list_integrations(central: Central, call: Call) -> bytes:
    """GetImageIntegrations."""
    filters, violations = central.query(call.operation, call.query)
    call.violations += violations
    central.auth.check(call.operation, call.authorization)
    return central.service.list(filters.get("name", ""), filters.get("cluster", ""))


def get_integration(central: Central, call: Call) -> bytes:
    """GetImageIntegration."""
    central.auth.check(call.operation, call.authorization)
    return central.service.get(call.id).answer


def create_integration(central: Central, call: Call) -> bytes:
    """PostImageIntegration."""
    created, stored = central.service.create(_decoded(central, call))
    return central.create_answer(created, stored.answer, stored.integration)


def replace_integration(central: Central, call: Call) -> bytes:
    """PutImageIntegration: an update that never looks at stored credentials."""
    integration = path_id_wins(call, _decoded(central, call))
    central.service.update(integration, update_password=True)
    return EMPTY


def update_integration(central: Central, call: Call) -> bytes:
    """UpdateImageIntegration: the id of the path makes a config where none was sent."""
    message = _decoded(central, call)
    config = message["config"] or central.empty_integration()
    central.service.update(path_id_wins(call, config), update_password=message["updatePassword"])
    return EMPTY


def delete_integration(central: Central, call: Call) -> bytes:
    """DeleteImageIntegration."""
    central.auth.check(call.operation, call.authorization)
    central.service.delete(call.id)
    return EMPTY


def test_integration(central: Central, call: Call) -> bytes:
    """TestImageIntegration."""
    central.service.test(_decoded(central, call), update_password=True)
    return EMPTY


def test_updated_integration(central: Central, call: Call) -> bytes:
    """TestUpdatedImageIntegration."""
    message = _decoded(central, call)
    central.service.test(message["config"], update_password=message["updatePassword"])
    return EMPTY


def path_id_wins(call: Call, integration: dict[str, Any]) -> dict[str, Any]:
    """Put the id of the path in the place of the one that was sent."""
    return {**integration, "id": call.id}


HANDLERS: dict[str, Handler] = {
    "GetImageIntegrations": list_integrations,
    "GetImageIntegration": get_integration,
    "PostImageIntegration": create_integration,
    "PutImageIntegration": replace_integration,
    "UpdateImageIntegration": update_integration,
    "DeleteImageIntegration": delete_integration,
    "TestImageIntegration": test_integration,
    "TestUpdatedImageIntegration": test_updated_integration,
}


def check_complete(contract: Contract, handlers: dict[str, Handler]) -> None:
    """See that each operation has a handler and each handler an operation.

    Raises:
        ValueError: naming those that have not.
    """
    without_handler = contract.operations.keys() - handlers.keys()
    without_operation = handlers.keys() - contract.operations.keys()
    if without_operation:  # perhaps another release has it
        without_operation -= {id for each in contract.every_release for id in each.operations}
    if without_handler or without_operation:
        raise ValueError(
            f"document and server differ: operations without a handler {sorted(without_handler)}, "
            f"handlers without an operation {sorted(without_operation)}"
        )
