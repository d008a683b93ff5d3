"""Tools from Maven for tests."""

import shutil
import subprocess
from pathlib import Path

import pytest


def jar(artifact: str, folder: Path) -> Path:
    """Return the jar of an artifact, copied into a folder. Without Maven or the artifact the test is skipped."""
    if shutil.which("mvn") is None or shutil.which("java") is None:
        pytest.skip("Maven or Java is not here")
    command = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={folder}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        pytest.skip(f"Maven cannot fetch {artifact}: {done.stdout[-300:]}")
    (path,) = folder.glob("*.jar")
    return path
