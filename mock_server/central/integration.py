"""The decoded messages of the API, between decoding and rendering."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

Values = Mapping[str, Any]
"""A message in Central's form: JSON names, zero values present, unset config members absent.

Its fields are those of a `Message` of the contract. It is never changed in place.
"""
Integration = Values
"""The values of `Contract.integration`."""
Config = Values
"""The values of a config member, such as `docker`."""


class UpdateRequest(TypedDict):
    """The body of PATCH and of test/updated."""

    config: Integration | None
    updatePassword: bool
