"""A small budget runs the most valuable checks first, so that it covers every class of mutants."""

from typing import Any

import pytest

from contract_tests.meta_tests.mutant_runs import report_on
from contract_tests.runner.report import Report
from mock_server.settings import Settings

pytestmark = pytest.mark.served


def spent(*mutants: str, **budget: Any) -> Report:
    return report_on(Settings(mutants=mutants), profile="default", seed=1, **budget)


@pytest.mark.heavy
def test_small_budget_runs_every_quick_check() -> None:
    whole = report_on(Settings(), profile="quick", seed=1)
    small = spent(max_requests=830)
    ran = {result.check for result in small.results if result.outcome == "passed"}
    assert {result.check for result in whole.results if result.outcome == "passed"} <= ran
    assert small.requests <= 900  # what cleans up, and the reads that it needs first, are never cut
    assert not small.failures
    assert small.exit_code == 3
    assert any("only in their quick form: the budget of 830 requests was used up" in each for each in small.incomplete)


@pytest.mark.heavy
def test_checks_beyond_the_budget_are_reported_as_skipped() -> None:
    reasons = {result.reason for result in spent(max_requests=830).results if result.outcome == "skipped"}
    assert "the budget of 830 requests was used up" in reasons


def test_next_pass_does_not_see_the_spare_integration() -> None:
    """The integration that the quick pass overwrites must not look like a leftover of the check."""
    assert not spent(only=("updates-at-once",), max_requests=2000).failures


@pytest.mark.slow
def test_sufficient_budget_needs_one_pass() -> None:
    assert spent(time_budget=600).requests < 1.2 * spent().requests


@pytest.mark.heavy
@pytest.mark.parametrize(
    "mutant",
    [
        "name-unique",
        *(
            pytest.param(each, marks=pytest.mark.slow)
            for each in ("list-extra-field", "test-stores-nothing", "get-in-clear", "html-404", "creates-at-once")
        ),
    ],
)
def test_small_budget_finds_mutants_of_every_kind(mutant: str) -> None:
    report = spent(mutant, max_requests=900)
    assert report.exit_code == 1


@pytest.mark.heavy
def test_failure_in_the_quick_pass_is_reported_once() -> None:
    report = spent("name-unique", max_requests=1500)
    failed = [result.check for result in report.results if result.outcome == "failed"]
    assert failed.count("name-unique") == 1
    assert len(failed) == len(set(failed))
