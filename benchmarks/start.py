"""Measure the stub: CPU seconds to the first answer, memory then, the pytest fixture, what is installed.

`--write` puts the table into docs/reference/measurements.md.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.page import Goal, kept, write
from benchmarks.process import serving
from benchmarks.servers import LIST, MOCK, SUPPORTED

ROOT = Path(__file__).parents[1]
_TESTS = """
import pytest

@pytest.fixture(autouse=True)
def _session(request):
    request.getfixturevalue("mock_central")

@pytest.mark.parametrize("number", range(20))
def test_same(number): pass

@pytest.mark.parametrize("number", [pytest.param(n, marks=pytest.mark.mock_central(seed=n)) for n in range(20)])
def test_other(number): pass
"""
_REPORT = """
import time
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef, request):
    began = time.process_time()
    try:
        return (yield)
    finally:
        if fixturedef.argname == "mock_central":
            print(f"\\nready {request.node.name} {(time.process_time() - began) * 1000:.3f}")
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", action="store_true", help="put the table into docs/reference/measurements.md")
    chosen = parser.parse_args()
    cpu, memory = [], []
    for _ in range(chosen.rounds):
        with serving(MOCK, SUPPORTED[MOCK], LIST) as server:
            cpu.append(server.first_answer)
            memory.append(server.memory())
    seconds, mebibytes = statistics.median(cpu), statistics.median(memory)
    first, same, other = fixture_milliseconds()
    packages, size = installed()
    text = kept(
        [
            Goal("first answer within 0.5 s of CPU", f"{seconds:.2f} s", seconds <= 0.5),
            Goal("under 60 MB then, both processes", f"{mebibytes * 1.048576:.0f} MB", mebibytes * 1.048576 < 60),
            Goal(
                "the pytest fixture ready in under 20 ms after the first: a test like the one before",
                f"{same:.1f} ms of CPU",
                same < 20,
            ),
            Goal(
                "the same: a test with settings of its own, so a server of its own",
                f"{other:.1f} ms of CPU (the first {first:.0f})",
                other < 20,
            ),
            Goal("at most 38 packages installed, the mock among them", str(packages), packages <= 38),
            Goal("at most 85 MB on disk", f"{size:.0f} MB", size <= 85),
        ]
    )
    print(text)
    if chosen.write:
        write("start", text)
    return 0


def installed() -> tuple[int, float]:
    """Return how many packages `pip install .` brings, and their MB on disk."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python"]
    with tempfile.TemporaryDirectory(prefix="mock-central-size-") as name:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", name], check=True)
        subprocess.run([*pip, name, "install", "--quiet", str(ROOT)], check=True)
        packages = list(Path(name).rglob("*.dist-info"))
        size = sum(each.stat().st_size for each in Path(name).rglob("*") if each.is_file() and not each.is_symlink())
    return len(packages), size / 1e6


def fixture_milliseconds() -> tuple[float, float, float]:
    """Return CPU milliseconds until the fixture is ready: the first time, then again, then with other settings."""
    with tempfile.TemporaryDirectory(prefix="mock-central-fixture-") as name:
        folder = Path(name)
        (folder / "test_it.py").write_text(_TESTS)
        (folder / "conftest.py").write_text(_REPORT)
        command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "--rootdir", name, name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = [
        (kind, float(took)) for kind, took in re.findall(r"^ready test_(\w+)\S* ([0-9.]+)$", done.stdout, re.MULTILINE)
    ]
    same = [took for kind, took in found if kind == "same"]
    other = [took for kind, took in found if kind == "other"]
    return same[0], statistics.median(same[1:]), statistics.median(other)


if __name__ == "__main__":
    sys.exit(main())
