"""Judge creates, updates, tests and DELETEs, and keep what they store."""

from __future__ import annotations

import re
from collections.abc import Iterator

from contract_tests.engine.integrations import read_answer, with_masks
from contract_tests.oracle.steps import HEALTH_IS_WRITTEN
from contract_tests.traffic.case import Case
from contract_tests.traffic.follow import Follower
from contract_tests.traffic.record import BROKEN, UNDECIDABLE, Outcome, check
from contract_tests.traffic.refusals import accepted, due_on_create, due_on_update, fitting_rules, refused
from contract_tests.traffic.rules import Refusals

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def judge_create(case: Case, follower: Follower) -> Iterator[Outcome]:
    """Judge a create, and learn from it."""
    is_created = case.seen.status == 200
    if not case.whole:
        yield Outcome("create", UNDECIDABLE)
    elif is_created:
        yield from accepted(follower.contract, due_on_create(case, follower), "create")
    else:
        yield from refused(case, follower.contract, due_on_create(case, follower), "create")
        if not case.overlapping and follower.is_free(case.whole["name"]):
            follower.refused.add(case.whole["name"])
    if is_created:
        follower.wrote("read-after-create")
        yield from _created(case, follower)


def _created(case: Case, follower: Follower) -> Iterator[Outcome]:
    """Judge the answer to a successful create, and learn from it."""
    seen, answer = case.seen, case.answer
    id = answer.get("id") if isinstance(answer, dict) else None
    if not isinstance(id, str) or not id:
        if seen.reply is not None:
            yield Outcome("create", BROKEN, "the answer has no id", got=answer)
        follower.complete = False
        return
    if seen.whole:
        yield check("create-assigns-id", _UUID.fullmatch(id) is not None, f"the id {id} is not a UUID of version 4")
    before = follower.known.get(id)
    is_old = id in follower.gone or (before is not None and before.first < seen.began)
    what = f"the id {id} belongs, or belonged, to another integration"
    yield check("create-answers-its-own", not is_old, what, by_store=True)
    if not case.whole:
        follower.show(id, answer)
        return
    follower.write(id, case.whole, "read-after-create", seen.ended)
    if follower.sure(id) is not None and seen.whole:
        expected, shown = read_answer(follower.contract, case.whole, id), with_masks(follower.contract, answer)
        what = "the answer differs from the request"
        yield check("create-answer", shown == expected, what, expected=expected, got=shown)
    if id in case.contested:
        follower.doubt(id, "another request wrote to it before the create was answered")


def judge_update(case: Case, follower: Follower) -> Iterator[Outcome]:
    """Judge a PUT or a PATCH."""
    id, status = case.id, case.seen.status
    if not case.whole:
        yield Outcome("update", UNDECIDABLE)
        if status == 200 or status >= 500:
            follower.wrote("update-changes-one")
            follower.doubt(id, "the request body cannot be read")
        return
    due = due_on_update(case, follower)
    if status == 200:
        yield from _accepted_with_empty_answer(case, follower, due, "update")
        _store_update(case, follower, "update")
        return
    yield from refused(case, follower.contract, due, "update")
    if status >= 500 and not case.is_contested:
        # Central stores an update even if its client cannot be built.
        kinds = {follower.contract.rules[each].kind for each in fitting_rules(case, follower.contract)}
        if kinds == {"build"} and id in follower.known and "update-missing" not in due.must:
            _store_update(case, follower, "update-not-rolled-back")
        else:
            follower.doubt(id, f"an update was answered {status}")


def _store_update(case: Case, follower: Follower, blame: str) -> None:
    follower.wrote("update-changes-one")
    follower.write(case.id, case.whole, blame)
    if case.is_contested:
        follower.doubt(case.id, "two requests wrote to it at the same time")


def judge_test(case: Case, follower: Follower) -> Iterator[Outcome]:
    """Judge a test, with or without an update."""
    if not case.whole:
        yield Outcome("test", UNDECIDABLE)
        return
    due = due_on_update(case, follower)
    if not case.whole["type"]:
        due.must.discard("type-defined")
        due.may.add("type-defined")
    if case.seen.status == 200:
        follower.wrote("test-stores-nothing")
        yield from _accepted_with_empty_answer(case, follower, due, "test")
    else:
        yield from refused(case, follower.contract, due)


def judge_delete(case: Case, follower: Follower) -> Iterator[Outcome]:
    """Judge a DELETE, and learn from it."""
    id = case.id
    expected = None if case.is_contested else follower.sure(id)
    is_central = expected is not None and expected["type"] == "scannerv4"
    must: set[str] = set()
    if is_central:
        must = {"scanner-v4-not-deleted"}
    elif not id:
        must = {"id-required"}
    elif follower.is_absent(id) and not case.is_contested:
        must = {"delete-missing"}
    if case.seen.status == 200:
        yield from _accepted_with_empty_answer(case, follower, Refusals(must), "delete-answer")
        follower.wrote("delete-answer")
        follower.remove(id, deleted=True)
        return
    if case.seen.status == 404 and expected is not None and not is_central:
        known = follower.known[id]
        if known.created is not None and case.seen.ended - known.created < HEALTH_IS_WRITTEN + 1:
            yield Outcome("delete-answer", UNDECIDABLE)  # Central may answer 404 soon after the create
        else:
            what = "an existing integration is not deleted"
            yield Outcome("delete-answer", BROKEN, what, expected=200, got=404, by_store=True)
        follower.doubt(id, "a DELETE was answered 404")
    may = {"delete-missing", "scanner-v4-not-deleted", "id-required", "database-error"}
    yield from refused(case, follower.contract, Refusals(must, may))


def _accepted_with_empty_answer(case: Case, follower: Follower, due: Refusals, rule: str) -> Iterator[Outcome]:
    yield from accepted(follower.contract, due, rule)
    if case.seen.reply is not None:
        yield check(rule, case.answer == {}, "the answer is not {}", expected={}, got=case.answer)
