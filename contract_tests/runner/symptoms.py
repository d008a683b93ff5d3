"""Failures that show the same: one fault in what many checks rely on turns many of them red.

All of them are reported, but only the first is told at length.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping

from contract_tests.engine.failures import Failure
from contract_tests.engine.text import changed, diff, without_values
from contract_tests.engine.transport import Exchange
from contract_tests.oracle.observers import operation_of

MANY = 4
"""Checks that show the same and are told as one; fewer may have faults of their own."""


def group_by_observed(failures: Iterable[Failure], shown_by: Mapping[int, str]) -> None:
    """Group failures with the rule of every answer that their last answer breaks.

    The rule names them, such as "an answer is not JSON" a list without integrations. Where the status was wrong
    already, and where the check is about the shape of errors, the check names the broken rule instead.
    """
    failures = list(failures)
    observed = {each.check: each for each in failures if each.check in shown_by.values()}
    for each in failures:
        shown = each.exchanges[-1] if each.exchanges else None
        rule = observed.get(shown_by.get(shown.number, "")) if shown is not None else None
        if shown is None or rule is None or each.check == rule.check:
            continue
        if each.check == "error-shape" or (_status_is_wrong(each) and _are_of_one_kind(shown, rule.exchanges[-1])):
            rule.like = rule.like or each.check
        elif not rule.like:
            each.like = rule.check
    for rule in (each for each in failures if each.check == "no-server-error" and each.exchanges):
        for each in failures:
            if each.exchanges and each.check != rule.check and _status_is_wrong(each):
                if _are_of_one_kind(each.exchanges[-1], rule.exchanges[-1]):
                    rule.like = each.check
                    break


def _status_is_wrong(failure: Failure) -> bool:
    """Return whether a failure is one of the status; what a failing server answers is told by its form."""
    expected, got = failure.expected, failure.got
    if not isinstance(expected, Mapping) or not isinstance(got, Mapping):
        return False
    status = got.get("status")
    return status != expected.get("status") and not (isinstance(status, int) and status == 502)


def _are_of_one_kind(one: Exchange, other: Exchange) -> bool:
    return operation_of(one) == operation_of(other) and one.status == other.status


def group_by_symptom(failures: Iterable[Failure]) -> None:
    """Let each failure that shows what at least three others show name the check of the first of them."""
    alike: dict[Hashable, list[Failure]] = defaultdict(list)
    for failure in failures:
        if not failure.like and (found := symptom(failure)) is not None:
            alike[found].append(failure)
    for first, *others in alike.values():
        if len({first.check, *(each.check for each in others)}) >= MANY:
            for each in others:
                each.like = first.check if each.check != first.check else ""


def symptom(failure: Failure) -> Hashable | None:
    """Return what is wrong with the answer that a failure shows, whatever was asked; None where no answer shows it."""
    if not failure.exchanges:
        return None
    operation = operation_of(failure.exchanges[-1])
    where = operation.id if operation is not None else failure.exchanges[-1].method
    expected, got = failure.expected, failure.got
    if isinstance(expected, Mapping) and isinstance(got, Mapping) and "status" in expected and "status" in got:
        for part in ("status", "code"):
            if part == "code" and expected.get("code") and got.get("code") is None:
                return "an error without a code"
            if expected.get(part) != got.get(part):
                return where, part, str(expected.get(part)), str(got.get(part))
        return where, "message", without_values(str(got.get("message")))
    return where, changed(diff(expected, got))
