"""The Chromium of this machine, for tests that look at pages."""

import shutil
from collections.abc import Callable

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the PATH")


def in_chromium(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that opens pages as heavy, and skip it without Chromium."""
    return pytest.mark.heavy(needs_chromium(test))
