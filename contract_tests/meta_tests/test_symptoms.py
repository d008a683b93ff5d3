"""One mutant that shows in many checks is told at length once; two mutants are never told as one."""

from contract_tests.engine.failures import Failure
from contract_tests.engine.transport import Exchange
from contract_tests.meta_tests.mutant_runs import report_on
from contract_tests.runner.symptoms import MANY, group_by_symptom
from mock_server.settings import Settings


def failure(check: str, method: str = "POST", status: int = 200) -> Failure:
    exchange = Exchange(1, check, method, "/v1/imageintegrations", "admin", status=status)
    return Failure(check, "refused", {"status": 400, "code": 3}, {"status": status, "code": None}, [exchange])


def test_many_that_show_the_same_name_the_first_of_them() -> None:
    failures = [failure(f"check-{number}") for number in range(MANY)]
    group_by_symptom(failures)
    assert [each.like for each in failures] == ["", *["check-0"] * (MANY - 1)]


def test_a_few_that_show_the_same_may_have_mutants_of_their_own() -> None:
    failures = [failure(f"check-{number}") for number in range(MANY - 1)]
    group_by_symptom(failures)
    assert [each.like for each in failures] == [""] * (MANY - 1)


def test_what_shows_otherwise_is_told_apart() -> None:
    failures = [failure(f"check-{number}") for number in range(MANY)]
    failures.append(failure("another", status=500))
    failures.append(failure("of-the-list", method="GET"))
    group_by_symptom(failures)
    assert [each.like for each in failures[-2:]] == ["", ""]


def test_a_broken_error_body_turns_many_checks_red_and_is_told_a_few_times() -> None:
    report = report_on(Settings(mutants=("error-nested",)), profile="quick")
    failed = [result for result in report.results if result.outcome == "failed"]
    told = [result.check for result in failed if not result.like]
    assert "error-shape" in told
    assert len(failed) > 5 * len(told), told
