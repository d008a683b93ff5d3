"""The decoded messages of the API, as they stand between decoding and rendering."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

Integration = Mapping[str, Any]
"""An integration as Central writes it: JSON names, zero values present, config members that are not set absent.

Its fields are those of the contract, `Contract.integration`. It is never changed in place.
"""


class UpdateRequest(TypedDict):
    """The body of PATCH and of test/updated."""

    config: Integration | None
    updatePassword: bool
