"""A copy of the project that a test may change, and that runs with its own packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
_FOLDERS = ("mock_server", "contract_tests", "docs", "fixtures")
_FILES = ("README.md", "pyproject.toml", "openapi.yaml")


class ProjectCopy:
    """A copy in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in _FOLDERS:
            ignored = shutil.ignore_patterns("__pycache__", "node_modules")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        for name in _FILES:
            shutil.copy(ROOT / name, folder)

    def change_document(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the contract."""
        path = self.folder / "openapi.yaml"
        document = yaml.safe_load(path.read_text("utf-8"))
        change(document)
        path.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), "utf-8")

    def append(self, name: str, code: str) -> None:
        """Append code to a module."""
        with (self.folder / name).open("a", encoding="utf-8") as file:
            file.write(code)

    def replace(self, name: str, old: str, new: str) -> None:
        """Replace a text in a module."""
        path = self.folder / name
        text = path.read_text("utf-8")
        assert text.count(old) == 1, f"{name} has {text.count(old)} times {old!r}"
        path.write_text(text.replace(old, new), "utf-8")

    def run(self, *words: str, status: int = 0) -> str:
        """Run Python in the copy, check that it ends with `status`, and return what it prints."""
        done = subprocess.run(  # noqa: S603 (this Python)
            [sys.executable, *words],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == status, done.stdout[-5000:] + done.stderr[-5000:]
        return done.stdout

    def check(self, *words: str) -> str:
        """Check the copy's mock with the copy's harness."""
        return self.run("-m", "contract_tests", "check", "--quick", "--seed", "7", *words)

    def test(self, *words: str) -> str:
        """Run tests of the copy."""
        return self.run("-m", "pytest", "-q", "-p", "no:cacheprovider", *words)
