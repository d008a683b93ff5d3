"""Whole numbers in settings, control calls and headers."""

from __future__ import annotations

import re
from typing import Any

MOST = 999_999_999
"""Greatest accepted number."""


def whole(name: str, value: Any) -> int:
    """Return a whole number of at least 0, given as digits, as an int, or as a float such as 5.0.

    Raises:
        ValueError: the value is not a whole number, below 0, or above `MOST`; the message begins with `name`.
    """
    text = f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)
    if re.fullmatch("-0*[1-9][0-9]*", text):
        raise ValueError(f"{name}={value}: is below 0")
    if re.fullmatch("[0-9]+", text) is None:
        raise ValueError(f"{name}={value}: is not a whole number")
    if len(text) > len(str(MOST)):
        raise ValueError(f"{name}={value}: is above {MOST}")
    return int(text)
