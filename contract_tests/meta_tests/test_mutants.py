"""The check for each mutant finds it; a healthy mock passes."""

import os

import pytest

from contract_tests.checks.registry import all_checks
from contract_tests.engine.options import PROFILES
from contract_tests.meta_tests.healthy import alarms
from contract_tests.meta_tests.mutant_runs import ALWAYS_THERE, report_on, tried
from mock_server.contract import tables as contracts
from mock_server.mutants import KINDS, all_mutants, find
from mock_server.settings import Settings
from mock_server.tests.sampling import one_in

QUICK_REQUESTS = 680
"""A quick run sends fewer; the documentation promises less than 700."""
SEEDS = int(os.environ.get("TEST_SEEDS", "1"))


def test_each_rule_has_a_mutant_and_a_check() -> None:
    rules = set(contracts.load().history)
    assert rules <= set(all_mutants())
    assert rules <= {*all_checks(), *ALWAYS_THERE}
    assert all(mutant.check == mutant.name for mutant in all_mutants().values() if mutant.kind == "rule")


def test_each_check_has_a_mutant() -> None:
    mutants = all_mutants()
    checks = {*all_checks(), *ALWAYS_THERE}
    assert checks <= set(mutants), sorted(checks - set(mutants))
    # Some checks only create a situation; observed checks report what is wrong with the answers.
    assert all(mutants[check].check in (check, *ALWAYS_THERE) for check in checks)


def test_title_says_what_is_wrong() -> None:
    rules = contracts.load().history
    assert not [each.id for each in all_checks().values() if each.is_of_rule and each.title == rules[each.id].title]


def test_each_kind_has_mutants_and_each_mutant_a_check() -> None:
    assert {mutant.kind for mutant in all_mutants().values()} == set(KINDS)
    checks = {*all_checks(), *ALWAYS_THERE}
    named = {check for mutant in all_mutants().values() for check in (mutant.check, *mutant.also)}
    assert named <= checks


def test_unknown_mutant_is_refused_with_close_matches() -> None:
    with pytest.raises(ValueError, match="unknown mutant 'name-uniq'; did you mean name-unique"):
        find("name-uniq")


@pytest.mark.served
@pytest.mark.parametrize("name", one_in(16, all_mutants()))
def test_mutant_is_found_by_its_check(name: str) -> None:
    mutant = find(name)
    verdict = tried(mutant)
    assert verdict.errors == ()
    assert verdict.named, verdict
    # Observed checks fail along with the checks that sent the request.
    assert verdict.others == () or mutant.check in ALWAYS_THERE, verdict


@pytest.mark.heavy
@pytest.mark.served
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("manner", ["documented", "deployed"])
@pytest.mark.parametrize("seed", range(SEEDS))
def test_healthy_mock_passes(profile: str, manner: str, seed: int) -> None:
    if SEEDS == 1 and (profile == "deep" or (profile, manner) == ("default", "documented")):
        pytest.skip("takes long; TEST_SEEDS=2 or more runs it")
    report = report_on(
        Settings(as_deployed=manner == "deployed", auth=True, seed=seed, fatal_answers=True), profile=profile, seed=seed
    )
    assert not alarms(report, manner)
    assert profile != "quick" or report.requests < QUICK_REQUESTS


@pytest.mark.heavy
@pytest.mark.served
@pytest.mark.parametrize(
    "version",
    [contracts.load().releases.lines[0], "4.9.8"]
    + [pytest.param(each, marks=pytest.mark.slow) for each in (*contracts.load().releases.lines[1:-1], "4.11.0")],
)
def test_healthy_mock_of_another_release_passes(version: str) -> None:
    report = report_on(Settings(central_version=version, auth=True), profile="quick")
    assert report.exit_code == 0, report.failures
