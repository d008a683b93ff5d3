"""Grouping of failures with the same symptom, because one fault can fail many checks.

All of them are reported, but only the first one in detail.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import cache

from contract_tests.engine.exchange import Exchange
from contract_tests.engine.failures import Failure
from contract_tests.engine.text import changed, diff, without_values
from contract_tests.oracle.observers import OBSERVED, operation_of
from mock_server.contract import tables as contracts

MANY = 3
"""Smallest number of checks with the same symptom that are grouped; fewer may have different causes."""
STRANGE = "refused with a text that is not Central's"
"""Start of a symptom that is grouped from two checks on, because no other fault has the same text."""
_BAD_GATEWAY = 502
_LEAST_TEXT = 8
"""Minimum length of the constant text of a rule that identifies a message."""


def group_by_observed(failures: Iterable[Failure], shown_by: Mapping[int, str]) -> None:
    """Group failures of checks with the observed check that their last answer fails, too.

    `shown_by` has that observed check by the number of the exchange. It represents the group: an answer that is
    not JSON also explains a list without integrations. But if the status was wrong, or the check is about the shape
    of errors, the check represents the group.
    """
    with_answer = [failure for failure in failures if failure.exchanges]
    observed = [failure for failure in with_answer if failure.check in OBSERVED]
    for failure in (failure for failure in with_answer if failure.check not in OBSERVED):
        last = failure.exchanges[-1]
        observed_check = shown_by.get(last.number, "no-server-error")
        of_same_answer = [other for other in observed if other.check == observed_check]
        if failure.check == "error-shape" or _status_is_wrong(failure):
            for other in of_same_answer:
                if _have_same_operation_and_status(last, other.exchanges[-1]) or failure.check == "error-shape":
                    other.like = other.like or failure.check
        elif last.number in shown_by and any(not other.like for other in of_same_answer):
            failure.like = observed_check


def _status_is_wrong(failure: Failure) -> bool:
    """Return whether status or code of the answer is wrong, except 502: its body shows better what is missing."""
    expected, got = failure.expected, failure.got
    if not isinstance(expected, Mapping) or not isinstance(got, Mapping):
        return False
    if got.get("status") == expected.get("status"):
        code, wanted = got.get("code"), expected.get("code")
        return None not in (code, wanted) and code != wanted
    return got.get("status") != _BAD_GATEWAY


def _have_same_operation_and_status(one: Exchange, other: Exchange) -> bool:
    return operation_of(one) == operation_of(other) and one.status == other.status


def group_by_symptom(failures: Sequence[Failure]) -> None:
    """Group checks with the same symptom: in all failures but the first, `like` names its check."""
    for symptom_of in (symptom, wider_symptom):
        _group_by(symptom_of, failures)


def _group_by(symptom_of: Callable[[Failure], Hashable | None], failures: Sequence[Failure]) -> None:
    by_symptom: dict[Hashable, list[Failure]] = defaultdict(list)
    for failure in failures:
        if not failure.like and (key := symptom_of(failure)) is not None:
            by_symptom[key].append(failure)
    for key, (first, *others) in by_symptom.items():
        is_strange = isinstance(key, tuple) and key[0] == STRANGE
        checks = {each.check for each in others} - {first.check}
        if len(checks) + 1 >= (2 if is_strange else MANY):
            for each in failures:
                if each in others or each.like in checks:
                    each.like = first.check if each.check != first.check else ""


def place_of(exchange: Exchange) -> str:
    """Return the operation of a request, or its method if it is none of the contract."""
    operation = operation_of(exchange)
    return operation.id if operation else exchange.method


def symptom(failure: Failure) -> Hashable | None:
    """Return a key for what is wrong with the last answer of a failure, or None if it has no answer.

    The key does not depend on the request's values.
    """
    if not failure.exchanges:
        return None
    where = place_of(failure.exchanges[-1])
    expected, got = failure.expected, failure.got
    if isinstance(expected, Mapping) and isinstance(got, Mapping) and "status" in expected and "status" in got:
        answer = failure.exchanges[-1].answer
        if answer.status >= 400 and answer.message and not _texts_of_central().search(answer.message):
            return STRANGE, without_values(answer.message)
        if expected["status"] != got["status"]:
            return where, "status", str(expected["status"]), str(got["status"])
        if expected.get("code") and got.get("code") is None:
            return "an error without a code"
        if expected.get("code") != got.get("code"):
            return str(got["status"]), "code", str(expected.get("code")), str(got.get("code"))
        return where, "message", without_values(str(got.get("message")))
    return where, changed(diff(expected, got))


def wider_symptom(failure: Failure) -> Hashable | None:
    """Return a key for a refusal by its text, or for extra integrations, of any operation; None for other failures."""
    expected, got = failure.expected, failure.got
    if not failure.exchanges:
        return None
    if isinstance(expected, Mapping) and isinstance(got, Mapping) and "status" in expected and "status" in got:
        message = failure.exchanges[-1].answer.message
        if got["status"] == 200:
            return ("accepted", *map(_pattern, expected.get("message contains", ())[-1:]))
        return ("refused", _pattern(message)) if message else None
    is_more = isinstance(expected, Mapping) and isinstance(got, Mapping) and expected.keys() < got.keys()
    return "extra integrations" if is_more or (expected == 0 and isinstance(got, list)) else None


def _pattern(message: str) -> str:
    return re.sub("'[^']*'", "…", without_values(message))


@cache
def _texts_of_central() -> re.Pattern[str]:
    """Return a pattern that finds the text of a rule of any release in a message."""
    rules = [rule for each in contracts.load().every_release for rule in each.rules.values()]
    pieces = [re.split(r"\{[a-z]+\}", rule.message) for rule in rules]
    long_enough = {".*".join(map(re.escape, each)) for each in pieces if max(map(len, each)) >= _LEAST_TEXT}
    return re.compile("|".join(sorted(long_enough)), re.DOTALL)
