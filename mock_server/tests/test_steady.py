"""A short version of the long load test, and checks that it can fail."""

import gc
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.steady import CUT, Client, Sample, levels
from mock_server import Settings, create_app
from mock_server.gateway.faults import Cut

from .conftest import ask

ROOT = Path(__file__).parents[2]


def run(*arguments):
    command = [sys.executable, "-m", "benchmarks.steady", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.served
@pytest.mark.slow
def test_a_mixed_load_of_twenty_seconds_causes_no_error_or_growth():
    done = run("--minutes", "0.33")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WRONG" not in done.stdout


@pytest.mark.heavy
@pytest.mark.served
@pytest.mark.parametrize("mutant", ["name-unique", "create-every-third-lost", "list-first-20"])
def test_an_unrequested_mutant_is_detected(mutant):
    done = run("--minutes", "0.1", "--mutant", mutant)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "WRONG WrongError: " in done.stdout


def test_growth_after_the_start_is_reported():
    grown = [Sample(50 + number, 20 + number) for number in range(40)]
    assert levels(grown) == ["memory grew from 64.5 to 84.5 MiB", "open files grew from 34 to 54"]


def test_growth_only_at_the_start_is_ignored():
    assert levels([Sample(50 + number, 20 + number) for number in range(10)] + [Sample(60, 30)] * 30) == []


class InProcess(Client):
    """A client of an app in this process, so that only the app can leak memory."""

    def __init__(self, app, number):
        self.app = app
        super().__init__(0, number, random.Random(number))

    def ask(self, method, path, body=None, **headers):
        try:
            answer = ask(self.app, method, path, body, {**self.headers, **headers})
        except Cut:
            return CUT, None
        try:
            return answer.status, json.loads(answer.body)
        except ValueError:
            return answer.status, None


def left(app, steps=1500):
    """Return how many blocks of memory each step left behind, after a warm-up of as many steps."""
    clients = [InProcess(app, number) for number in range(3)]
    levels = []
    for _ in range(2):
        for number in range(steps):
            clients[number % 3].step()
        for each in clients:  # stored integrations are not a leak
            each.expect(200, "PUT", "/__admin/scenario", {"scenario": "empty"})
            each.known = {}
        gc.collect()
        levels.append(sys.getallocatedblocks())
    return (levels[1] - levels[0]) / steps


@pytest.mark.slow
def test_requests_leave_no_memory_behind():
    assert left(create_app(Settings(empty=True, journal=100))) < 1


@pytest.mark.heavy
def test_a_leak_is_detected():
    app = create_app(Settings(empty=True, journal=100))
    kept = []

    def keeping(environ, start_response):
        kept.append([object() for _ in range(100)])  # far more than garbage of other tests
        return app(environ, start_response)

    assert left(keeping, steps=600) > 10
