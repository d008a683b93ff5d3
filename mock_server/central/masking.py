"""Masking: no answer shows a credential (pkg/secrets/scrub.go)."""

from __future__ import annotations

from typing import Any

from mock_server.central.integration import Values
from mock_server.contract.tables import MASK, Message


def credentials_masked(message: Message, values: Values) -> dict[str, Any]:
    """Return a copy with the mask for each field with ``x-scrub: always``, even an empty one."""
    masked = dict(values)
    for field in message.fields:
        if field.scrub == "always":
            masked[field.name] = MASK
        elif field.message is not None and masked.get(field.name) is not None:
            masked[field.name] = credentials_masked(field.message, masked[field.name])
    return masked
