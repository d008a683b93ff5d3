"""A recorded exchange of an operation, with the integration in its request as Central reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from contract_tests.engine.integrations import Body, with_defaults
from contract_tests.traffic.exchanges import Seen, json_of
from mock_server.contract.routes import Match
from mock_server.contract.tables import Contract, Message, Operation
from mock_server.contract.validator import Validator

Writes = Sequence[tuple[Match, Seen]]


@dataclass(frozen=True)
class Case:
    """Everything that the verdict on an exchange depends on, except the state of the Central.

    `whole` is the integration in the request with all its fields, {} if it cannot be read. `is_valid`: the body obeys
    its schema, as far as it can be read. `overlapping` are the writes that were under way at the same time.
    """

    seen: Seen
    operation: Operation
    id: str
    overlapping: Writes
    whole: Body = field(default_factory=dict)
    update_password: bool = True
    is_valid: bool = True

    @property
    def is_test(self) -> bool:
        """Whether the request is a test, which stores nothing."""
        return self.operation.id.startswith("Test")

    @property
    def asks_registry(self) -> bool:
        """Whether Central tests the integration, so that its registry may cause a refusal."""
        return self.is_test or (bool(self.whole) and not self.whole["skipTestIntegration"])

    @property
    def credentials_known(self) -> bool:
        """Whether the request has all credentials, and they were not masked."""
        return self.update_password and not self.seen.blind

    @cached_property
    def answer(self) -> Any:
        """The answer as a JSON value, or None if there is none."""
        return json_of(self.seen.reply)

    @cached_property
    def message(self) -> str:
        """The message of an error, or ""."""
        return str(self.answer.get("message", "")).replace("\u00a0", " ") if isinstance(self.answer, dict) else ""

    @cached_property
    def contested(self) -> set[str]:
        """The ids of the integrations that an overlapping write may have changed, "" for an unknown one."""
        answers = ((match.id, json_of(seen.reply)) for match, seen in self.overlapping)
        return {id or (str(answer.get("id")) if isinstance(answer, dict) else "") for id, answer in answers}

    @property
    def is_contested(self) -> bool:
        """Whether an overlapping write may have changed the integration of the request."""
        return self.id in self.contested

    def may_be_written(self, name: str) -> bool:
        """Return whether an overlapping write may have an integration with this name."""
        return any(seen.body is None or name.encode() in seen.body for _, seen in self.overlapping)


def read_case(seen: Seen, match: Match, overlapping: Writes, contract: Contract, validator: Validator) -> Case:
    """Return an exchange with its request as far as it can be read."""
    operation, schema = match.operation, match.operation.request
    if schema is None or seen.body is None or not _is_strict(seen.body):
        return Case(seen, operation, match.id, overlapping)
    value = json_of(seen.body)
    is_valid = not seen.body or validator.accepts(schema, value)
    try:
        message = _canonical(contract.message(schema), value) if seen.body else {}
    except ValueError:
        message = None
    if not isinstance(message, dict) or not validator.accepts(schema, message):
        return Case(seen, operation, match.id, overlapping, is_valid=is_valid)
    is_test, update_password = operation.id.startswith("Test"), True
    if (is_test or operation.id == "UpdateImageIntegration") and "config" in contract.message(schema).by_name:
        update_password = bool(message.get("updatePassword", False))
        message = message.get("config")
    whole = with_defaults(contract.integration, message) if isinstance(message, dict) else {}
    id = whole["id"] if is_test and whole else match.id
    return Case(seen, operation, id, overlapping, whole, update_password, is_valid)


def _canonical(message: Message, value: Any) -> Any:
    """Return a message as Central reads it: without unknown fields and null, with the JSON names of fields.

    Raises:
        ValueError: a field occurs twice, in two spellings, or is one that Central may refuse.
    """
    if not isinstance(value, dict):
        return value
    found: Body = {}
    for key, each in value.items():
        if key.startswith("["):
            raise ValueError(f"{key} is an extension")
        known = message.by_name.get(key)
        if known is None or each is None:
            continue
        if known.name in found:
            raise ValueError(f"{known.name} occurs twice")
        found[known.name] = _canonical(known.message, each) if known.message and not known.repeated else each
    return found


def _is_strict(body: bytes) -> bool:
    """Return whether Central reads a JSON text as Python does: it has no NaN, no lone surrogate, and no NUL."""
    if b"\\u0000" in body:
        return False
    try:
        json.dumps(json_of(body), ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return False
    return True
