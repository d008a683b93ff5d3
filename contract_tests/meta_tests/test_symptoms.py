"""A mutant that fails many checks is reported in detail once; two mutants are never grouped."""

import json

import pytest

from contract_tests.engine.exchange import Exchange
from contract_tests.engine.failures import Failure
from contract_tests.meta_tests.mutant_runs import report_on
from contract_tests.runner.symptoms import MANY, group_by_observed, group_by_symptom
from mock_server.settings import Settings


def failure(check: str, method: str = "POST", status: int = 200) -> Failure:
    exchange = Exchange(1, check, method, "/v1/imageintegrations", "admin", status=status)
    return Failure(check, "refused", {"status": 400, "code": 3}, {"status": status, "code": None}, [exchange])


def test_many_checks_with_one_symptom_are_grouped() -> None:
    failures = [failure(f"check-{number}") for number in range(MANY)]
    group_by_symptom(failures)
    assert [each.like for each in failures] == ["", *["check-0"] * (MANY - 1)]


def test_few_checks_with_one_symptom_are_not_grouped() -> None:
    failures = [failure(f"check-{number}") for number in range(MANY - 1)]
    group_by_symptom(failures)
    assert [each.like for each in failures] == [""] * (MANY - 1)


def test_different_symptoms_are_not_grouped() -> None:
    failures = [failure(f"check-{number}") for number in range(MANY)]
    failures.append(failure("another", status=500))
    failures.append(failure("of-the-list", method="GET"))
    group_by_symptom(failures)
    assert [each.like for each in failures[-2:]] == ["", ""]


def refused(check: str, method: str, message: str) -> Failure:
    body = json.dumps({"code": 3, "message": message}).encode()
    exchange = Exchange(1, check, method, "/v1/imageintegrations", "admin", status=400, reply=body)
    return Failure(check, "an update", {"status": 200}, {"status": 400, "body": json.loads(body)}, [exchange])


@pytest.mark.parametrize(
    ("message", "like"),
    [
        ("clusterId is no UUID: invalid arguments", "one"),
        ("Validation error: name for integration is required: invalid arguments", ""),
    ],
)
def test_two_checks_with_the_same_foreign_error_are_grouped(message: str, like: str) -> None:
    failures = [refused("one", "POST", message), refused("another", "PUT", message)]
    group_by_symptom(failures)
    assert [each.like for each in failures] == ["", like]


def test_wrong_code_is_grouped_across_operations() -> None:
    failures = [refused(f"check-{number}", method, "") for number, method in enumerate(("POST", "PUT", "PATCH"))]
    for each in failures:
        each.expected, each.got = {"status": 400, "code": 3}, {"status": 400, "code": 2}
    group_by_symptom(failures)
    assert [each.like for each in failures] == ["", "check-0", "check-0"]


def test_same_refusal_is_grouped_across_operations() -> None:
    text = "Validation error: integration with name '{}' already exists: invalid arguments"
    methods = ("POST", "PUT", "PATCH")
    failures = [refused(f"check-{number}", method, text.format(number)) for number, method in enumerate(methods)]
    group_by_symptom(failures)
    assert [each.like for each in failures] == ["", "check-0", "check-0"]


def test_merged_groups_name_the_first_check() -> None:
    text = "Validation error: integration with name 'a' already exists: invalid arguments"
    methods = ("POST", "PUT", "PATCH", "PATCH", "PATCH")
    failures = [refused(f"check-{number}", method, text) for number, method in enumerate(methods)]
    group_by_symptom(failures)
    assert [each.like for each in failures] == ["", *["check-0"] * 4]


def stored(check: str, method: str, expected: object, got: object) -> Failure:
    exchange = Exchange(1, check, method, "/v1/imageintegrations", "admin", status=200)
    return Failure(check, "after a refused create", expected, got, [exchange])


def test_extra_integrations_are_grouped() -> None:
    failures = [
        stored("one", "POST", {}, {"a": {"name": "x"}}),
        stored("two", "GET", {"b": {"name": "y"}}, {"a": {"name": "x"}, "b": {"name": "y"}}),
        stored("three", "PUT", 0, [{"name": "x"}]),
    ]
    group_by_symptom(failures)
    assert [each.like for each in failures] == ["", "one", "one"]


def observed(check: str, status: int = 200) -> Failure:
    return Failure(
        check,
        "what every answer keeps",
        exchanges=[Exchange(1, "", "GET", "/v1/imageintegrations", "admin", status=status)],
    )


def of_the_body(check: str) -> Failure:
    exchange = Exchange(1, check, "GET", "/v1/imageintegrations", "admin", status=200)
    return Failure(check, "the list", {"integrations": []}, {"data": []}, [exchange])


def test_observed_check_represents_checks_on_the_same_answer() -> None:
    rule, check = observed("answer-schema"), of_the_body("list-by-name")
    group_by_observed([rule, check], {1: "answer-schema"})
    assert (rule.like, check.like) == ("", "answer-schema")


def test_check_with_a_wrong_status_represents_the_observed_check() -> None:
    check = failure("create", status=201)
    rule = observed("answer-schema", status=201)
    rule.exchanges[0].method = "POST"
    group_by_observed([rule, check], {1: "answer-schema"})
    assert (rule.like, check.like) == ("create", "")


def test_failure_on_another_answer_is_not_grouped() -> None:
    rule, check = observed("answer-schema"), of_the_body("list-by-name")
    check.exchanges[0].number = 2
    group_by_observed([rule, check], {1: "answer-schema"})
    assert (rule.like, check.like) == ("", "")


@pytest.mark.served
def test_broken_error_body_is_reported_once() -> None:
    report = report_on(Settings(mutants=("error-nested",)), profile="quick")
    failed = [result for result in report.results if result.outcome == "failed"]
    assert [result.check for result in failed if not result.like] == ["error-shape"]
