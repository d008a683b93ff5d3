"""The integration in the body of a request, as Central reads it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from contract_tests.engine.integrations import Body, with_defaults
from contract_tests.traffic.exchanges import Seen, json_of
from contract_tests.traffic.rules import canonical
from mock_server.contract.routes import Match
from mock_server.contract.tables import Contract, Operation
from mock_server.contract.validator import Validator


@dataclass(slots=True)
class Request:
    """A request for an operation; `whole` is the integration in it with all its fields, None if it cannot be read."""

    seen: Seen
    operation: Operation
    id: str
    whole: Body | None = None
    update_password: bool = True

    @property
    def credentials_known(self) -> bool:
        """True if the request has all credentials, and they were not masked."""
        return self.update_password and not self.seen.blind


def parse(seen: Seen, match: Match, contract: Contract, validator: Validator) -> tuple[Request, bool]:
    """Return the request for an operation, and whether its body is valid, as far as it can be read."""
    request = Request(seen, match.operation, match.id)
    schema = match.operation.request
    if schema is None or seen.body is None or not _is_strict(seen.body):
        return request, True
    value = json_of(seen.body)
    is_valid = not seen.body or validator.accepts(schema, value)
    try:
        message = canonical(contract.message(schema), value) if seen.body else {}
    except ValueError:
        return request, is_valid
    if not isinstance(message, dict) or not validator.accepts(schema, message):
        return request, is_valid
    is_test = match.operation.id.startswith("Test")
    if (is_test or match.operation.id == "UpdateImageIntegration") and "config" in contract.message(schema).by_name:
        request.update_password = bool(message.get("updatePassword", False))
        message = message.get("config")
    if isinstance(message, dict):
        request.whole = with_defaults(contract.integration, message)
        if is_test:
            request.id = request.whole["id"]
    return request, is_valid


def _is_strict(body: bytes) -> bool:
    """Return whether Central reads a JSON text as Python does: it has no NaN, no lone surrogate, and no NUL."""
    if b"\\u0000" in body:
        return False
    try:
        json.dumps(json_of(body), ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return False
    return True
