"""Failures that show the same: one fault in what many checks rely on turns many of them red.

All of them are reported, but only the first is reported at length.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping

from contract_tests.engine.exchange import Exchange
from contract_tests.engine.failures import Failure
from contract_tests.engine.text import changed, diff, without_values
from contract_tests.oracle.observers import OBSERVED, operation_of

MANY = 4
"""Checks that show the same and are reported as one; fewer may have faults of their own."""
_BAD_GATEWAY = 502


def group_by_observed(failures: Iterable[Failure], shown_by: Mapping[int, str]) -> None:
    """Group failures with the rule of every answer that their last answer breaks, by its number in `shown_by`.

    The rule names them, such as "an answer is not JSON" a list without integrations. Where the status was wrong
    already, and where the check is about the shape of errors, the check names the broken rule instead.
    """
    with_answer = [each for each in failures if each.exchanges]
    rules = [each for each in with_answer if each.check in OBSERVED]
    for each in (each for each in with_answer if each.check not in OBSERVED):
        shown = each.exchanges[-1]
        broken = shown_by.get(shown.number, "no-server-error")
        alike = [rule for rule in rules if rule.check == broken]
        if each.check == "error-shape" or _status_is_wrong(each):
            for rule in alike:
                if _are_of_one_kind(shown, rule.exchanges[-1]) or each.check == "error-shape":
                    rule.like = rule.like or each.check
        elif shown.number in shown_by and any(not rule.like for rule in alike):
            each.like = broken


def _status_is_wrong(failure: Failure) -> bool:
    """Return whether a failure is one of the status. A proxy without a server shows by the form of its answer."""
    expected, got = failure.expected, failure.got
    if not isinstance(expected, Mapping) or not isinstance(got, Mapping):
        return False
    return got.get("status") not in (expected.get("status"), _BAD_GATEWAY)


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
