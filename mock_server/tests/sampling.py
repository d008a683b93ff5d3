"""Many cases of a kind: `make test` runs some, `make test-all` all."""

from collections.abc import Iterable
from typing import Any

import pytest


def one_in(count: int, values: Iterable[Any]) -> list[Any]:
    """Return parameters of which all but every `count`-th are slow; the same ones each time."""
    return [
        value if number % count == 0 else pytest.param(value, marks=pytest.mark.slow)
        for number, value in enumerate(values)
    ]
