"""Sampling of similar cases: `make test` runs some, `make test-all` all."""

from collections.abc import Iterable
from typing import Any

import pytest


def one_in(count: int, values: Iterable[Any]) -> list[Any]:
    """Return parameters; all but every `count`-th are marked slow, always the same ones."""
    return [
        value if number % count == 0 else pytest.param(value, marks=pytest.mark.slow)
        for number, value in enumerate(values)
    ]
