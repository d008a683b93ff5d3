"""Masking: no answer shows a credential (pkg/secrets/scrub.go)."""

from __future__ import annotations

from typing import Any

from mock_server.central.integration import Integration, Values
from mock_server.contract.tables import MASK, Contract, Message


class Masking:
    """Hides the fields that the contract marks with ``x-scrub: always``."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract

    def credentials_masked(self, integration: Integration) -> dict[str, Any]:
        """Return a copy with the mask for each credential, for an empty one too."""
        return _masked(self.contract.integration, integration)


def _masked(message: Message, value: Values) -> dict[str, Any]:
    masked = dict(value)
    for field in message.fields:
        if field.scrub == "always":
            masked[field.name] = MASK
        elif field.message is not None and masked.get(field.name) is not None:
            masked[field.name] = _masked(field.message, masked[field.name])
    return masked
