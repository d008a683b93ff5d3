"""Tools from npm for tests, at the versions of a lock."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest


def installed(tools: Path) -> Path:
    """Return the `node_modules` of a folder's package.json and lock, installed once for all runs.

    The test is skipped, with the reason, where npm is not here, cannot fetch them, or has too old a Node for them.
    """
    if shutil.which("npm") is None:
        pytest.skip("npm is not here")
    target, lock = tools / "node_modules", (tools / "package-lock.json").read_text("utf-8")
    mark = target / ".installed-lock.json"
    if mark.exists() and mark.read_text("utf-8") == lock:
        return target
    with tempfile.TemporaryDirectory(dir=tools, prefix="node_modules.") as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(tools / name, folder)
        command = ["npm", "ci", "--ignore-scripts", "--engine-strict", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            pytest.skip(f"npm cannot install the tools: {done.stderr[-500:]}")
        (Path(folder) / "node_modules" / mark.name).write_text(lock, "utf-8")
        shutil.rmtree(target, ignore_errors=True)
        try:
            (Path(folder) / "node_modules").rename(target)
        except OSError:  # another worker installed them first
            assert mark.exists()
    return target
