"""The decoded messages of the API, as they stand between decoding and rendering."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

Values = Mapping[str, Any]
"""A message as Central writes it: JSON names, zero values present, config members that are not set absent.

Its fields are those of the `Message` of the contract that goes with it. It is never changed in place.
"""
Integration = Values
"""The values of `Contract.integration`."""
Config = Values
"""The values of a config member, such as `docker`."""


class UpdateRequest(TypedDict):
    """The body of PATCH and of test/updated."""

    config: Integration | None
    updatePassword: bool
