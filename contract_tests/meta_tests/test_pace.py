"""The rate of a run, and when it gives up."""

import time
from pathlib import Path
from typing import Any

import pytest

from contract_tests.engine.failures import BudgetSpent, Busy
from contract_tests.engine.options import Options
from contract_tests.engine.pace import Pace
from contract_tests.meta_tests.lying_targets import Asked, Target, answering, honest
from contract_tests.meta_tests.mutant_runs import report_on
from contract_tests.runner.run import Run
from mock_server.gateway.instance import Instance
from mock_server.mutants.tools import CREATE, refused, refused_where
from mock_server.settings import Settings
from mock_server.web import wsgi


class Limited(Target):
    """A target that accepts a number of requests per second, and answers 429 to others."""

    def __init__(self, rate: float, **headers: str) -> None:
        super().__init__(honest, user=False)
        self.rate, self.headers = rate, headers
        self.tokens, self.at = 10.0, time.monotonic()
        self.refused = 0

    def _answer(self, asked: Asked) -> wsgi.Answer:
        now = time.monotonic()
        self.tokens = min(10.0, self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens < 1:
            self.refused += 1
            body = b'{"code":8,"message":"too many requests","details":[],"error":"too many requests"}'
            return wsgi.Answer(429, {"content-type": "application/json", **self.headers}, body)
        self.tokens -= 1
        return super()._answer(asked)


def test_too_long_a_wait_ends_the_checks_but_not_the_clean_up(tmp_path: Path) -> None:
    target = Limited(100, **{"retry-after": "3600"})
    with answering(target) as url:
        report = Run(Options(url=url, profile="quick", state_dir=tmp_path, time_budget=20.0))()
    assert report.verdict == "incomplete"
    assert any("asks to wait 3600 s" in each for each in report.incomplete), report.incomplete
    assert target.refused < 20
    assert target.left() == []


class Unreachable(Target):
    """A target that a gateway cannot reach for some requests, once one is stored."""

    def __init__(self, requests: int) -> None:
        super().__init__(honest, user=False)
        self.rest = requests

    def _answer(self, asked: Asked) -> wsgi.Answer:
        if self.left() and self.rest:
            self.rest -= 1
            return wsgi.Answer(502, {"content-type": "text/html"}, b"<h1>Bad Gateway</h1>")
        return super()._answer(asked)


def test_clean_up_waits_for_a_target_that_a_gateway_cannot_reach(tmp_path: Path) -> None:
    target = Unreachable(5)
    with answering(target) as url:
        report = Run(Options(url=url, profile="quick", state_dir=tmp_path, only=("create",)))()
    assert report.verdict == "failed"
    assert target.rest == 0
    assert (report.left_behind, target.left()) == ([], [])


def test_clean_up_does_not_wait_for_ever(slept: list[float]) -> None:
    pace = paced()
    pace.close()
    for _ in range(100):
        pace.wait_to_retry(503, {}, "", 3)
    assert sum(slept) < 7


@pytest.mark.parametrize("headers", [{}, {"retry-after": "0"}, {"retry-after": "0.2"}], ids=str)
def test_rate_limited_target_passes_and_a_rate_is_suggested(headers: dict[str, str], tmp_path: Path) -> None:
    target = Limited(100, **headers)
    with answering(target) as url:
        only = ("create", "update-read-back", "name-unique", "reads-repeat", "list-by-name")
        report = Run(Options(url=url, profile="quick", state_dir=tmp_path, only=only))()
    assert target.refused > 0
    assert report.failures == []
    assert report.count("passed") >= len(only) - 1
    assert target.left() == []
    assert any("`--rate " in note for note in report.notes), report.notes


def test_permanently_limiting_target_is_incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contract_tests.engine.pace.ATTEMPTS", 1)

    def full(mock: Instance) -> None:
        refused_where(mock, (CREATE,), lambda _: True, refused(429, "too many requests", 8))

    report = report_on(Settings(), full, profile="quick", only=("create", "list"))
    assert report.verdict == "incomplete"
    assert any("1 check was skipped: the target still limits requests (429)" in each for each in report.incomplete)


def paced(**options: Any) -> Pace:
    return Pace(Options(url="http://127.0.0.1:9", **options))


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr("time.sleep", found.append)
    return found


def test_wait_beyond_the_budget_ends_the_run(slept: list[float]) -> None:
    with pytest.raises(BudgetSpent):
        paced(time_budget=15.0).wait_to_retry(429, {"Retry-After": "86400"}, "", 0)
    assert slept == []


def test_slot_beyond_the_budget_ends_the_run(slept: list[float]) -> None:
    found = paced(time_budget=15.0, rate=1 / 60)
    found.spend()
    with pytest.raises(BudgetSpent):
        found.spend()
    assert (slept, found.count) == ([], 1)


@pytest.mark.parametrize("asked", ["86400", "inf", "1e300"])
def test_long_wait_is_refused_even_without_a_budget(asked: str, slept: list[float]) -> None:
    with pytest.raises(Busy, match="--rate"):
        paced().wait_to_retry(429, {"Retry-After": asked}, "", 0)
    assert slept == []


@pytest.mark.parametrize("asked", ["-1", "nan", "Fri, 27 Nov 2026 10:00:00 GMT"])
def test_invalid_retry_after_counts_as_a_second(asked: str, slept: list[float]) -> None:
    assert paced().wait_to_retry(429, {"Retry-After": asked}, "", 0)
    assert slept == [1.0]


def test_total_waiting_time_is_limited(slept: list[float]) -> None:
    pace = paced()
    for _ in range(200):
        pace.wait_to_retry(503, {"Retry-After": "0.9"}, "", 0)
    assert sum(slept) < 61


def test_oversized_message_is_not_a_rate_limit(slept: list[float]) -> None:
    assert not paced().wait_to_retry(429, {}, "grpc: received message larger than max (2 vs. 1)", 0)


def test_clean_up_has_its_own_budget() -> None:
    found = paced(time_budget=0.01)
    time.sleep(0.02)
    with pytest.raises(BudgetSpent):
        found.spend()
    found.close()
    found.spend()
    assert 5 < found.seconds() <= 8


def test_clean_up_of_a_slow_target_lasts_as_long_as_it_deletes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    found = paced(time_budget=60.0)
    found.close()
    for _ in range(14):
        now += 3.0  # a read and a DELETE
        found.spend()
        found.extend_clean_up()
    now += 10.0
    with pytest.raises(BudgetSpent):
        found.spend()
