"""The long run, in short, and that it would notice."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.steady import Sample, levels

ROOT = Path(__file__).parents[2]


def run(*arguments):
    command = [sys.executable, "-m", "benchmarks.steady", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
def test_a_mixed_load_of_twenty_seconds_leaves_the_mock_as_it_was():
    done = run("--minutes", "0.33")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WRONG" not in done.stdout


@pytest.mark.parametrize("fault", ["name-unique", "create-every-third-lost", "list-first-20"])
def test_a_fault_that_nobody_asked_for_is_noticed(fault):
    done = run("--minutes", "0.1", "--fault", fault)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "WRONG WrongError: " in done.stdout


def test_what_grows_after_the_start_is_told():
    grown = [Sample(50 + number, 20 + number) for number in range(40)]
    assert levels(grown) == ["memory grew from 64.5 to 84.5 MiB", "open files grew from 34 to 54"]


def test_what_grows_at_the_start_only_is_level():
    assert levels([Sample(50 + number, 20 + number) for number in range(10)] + [Sample(60, 30)] * 30) == []
