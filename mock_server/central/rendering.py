"""The bytes of answers, with masked credentials and validated against the contract once."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from mock_server.central import protojson
from mock_server.central.errors import Refusal
from mock_server.central.integration import Integration, Values
from mock_server.contract.tables import MASK, Contract, Message
from mock_server.contract.validator import Validator, Violation

log = logging.getLogger("mock_central")


class AnswerContractError(AssertionError):
    """An answer of the mock violates the contract: a bug of the mock."""


def credentials_masked(message: Message, values: Values) -> dict[str, Any]:
    """Return a copy with the mask for each field with ``x-scrub: always``, even an empty one (pkg/secrets/scrub.go)."""
    masked = dict(values)
    for field in message.fields:
        if field.scrub == "always":
            masked[field.name] = MASK
        elif field.message is not None and masked.get(field.name) is not None:
            masked[field.name] = credentials_masked(field.message, masked[field.name])
    return masked


class Rendering:
    """Encodes the answers of one contract."""

    def __init__(self, contract: Contract, validator: Validator, *, in_clear: bool, fatal: bool) -> None:
        """`in_clear`: a create shows credentials, as deployed. `fatal`: raise when an answer breaks the contract."""
        self.integration = contract.integration.name
        self.validator = validator
        self.credentials_masked = partial(credentials_masked, contract.integration)
        self.in_clear = in_clear
        self.fatal = fatal

    def read_answer(self, integration: Integration) -> bytes:
        """Render an integration for reads, with masked credentials."""
        shown = self.credentials_masked(integration)
        if not self.validator.accepts(self.integration, shown, answer=True):
            self._report_mismatch(self.integration)
        return protojson.render(shown)

    def create_answer(self, created: Integration, stored_answer: bytes, stored: Integration) -> bytes:
        """Render the answer to a create: credentials in clear text as deployed, masked as documented."""
        if not self.in_clear:
            return stored_answer if created is stored else self.read_answer(created)
        if not self.validator.accepts(self.integration, created, answer=True):
            self._report_mismatch(self.integration)
        return protojson.render(created)

    def error_answer(self, refusal: Refusal) -> bytes:
        """Render a refusal."""
        if refusal.form == "text":
            return f"{refusal.message}\n".encode()
        body = refusal.body()
        if refusal.form == "status" and not self.validator.accepts("GooglerpcStatus", body, answer=True):
            self._report_mismatch("GooglerpcStatus")
        return protojson.render(body)

    def _report_mismatch(self, schema: str) -> None:
        self.answer_broken([Violation("$", f"does not match {schema}")])

    def answer_broken(self, violations: list[Violation]) -> None:
        """Log an answer of ours that breaks the contract.

        Raises:
            AnswerContractError: if it is `fatal`.
        """
        text = "the mock's answer breaks the contract: " + "; ".join(map(str, violations))
        log.error(text)
        if self.fatal:
            raise AnswerContractError(text)
