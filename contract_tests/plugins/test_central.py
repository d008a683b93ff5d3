"""Each check as a test: `pytest --pyargs contract_tests --central-url URL`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from contract_tests.checks.registry import all_checks
from contract_tests.oracle.observers import OBSERVED, UNTOUCHED
from contract_tests.plugins.pytest_plugin import apply_result


@pytest.mark.parametrize("check", [*all_checks(), *OBSERVED, UNTOUCHED])
def test_check(check: str, central_result: Callable[[str], Any]) -> None:
    """The server passes the check with this id."""
    apply_result(central_result, check)
