"""Judge the list and the GET of one integration against what the traffic has shown so far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

from contract_tests.engine.integrations import Body, with_masks
from contract_tests.traffic.case import Case
from contract_tests.traffic.follow import Follower
from contract_tests.traffic.record import BROKEN, UNDECIDABLE, Outcome, check
from contract_tests.traffic.refusals import refused
from contract_tests.traffic.rules import Refusals


def judge_list(case: Case, follower: Follower) -> Iterator[Outcome]:
    """Judge a GET of the collection, and learn from it."""
    if case.seen.status != 200:
        may = {"query-value-once", "query-encoding"} if "?" in case.seen.target else set()
        yield from refused(case, follower.contract, Refusals(may=may), "list")
        return
    items = case.answer.get("integrations") if isinstance(case.answer, dict) else None
    if not isinstance(items, list) or not all(isinstance(each, dict) for each in items):
        return
    query = parse_qs(case.seen.target.partition("?")[2], keep_blank_values=True)
    names, clusters = (query.get(key, [""]) for key in ("name", "cluster"))
    if len(names) > 1 or len(clusters) > 1:
        yield Outcome("query-value-once", BROKEN, "a query with a repeated key is accepted")
    elif clusters[0]:
        what = "the list of a cluster is not empty"
        yield check("list-by-cluster", not items, what, expected=[], got=case.answer)
    else:
        yield from _judge_items(case, follower, items, names[0])


def _judge_items(case: Case, follower: Follower, items: Sequence[Mapping[str, Any]], name: str) -> Iterator[Outcome]:
    """Judge a list of all integrations, or of those with a name, and learn from it."""
    if name:
        right = all(each.get("name") == name for each in items)
        yield check("list-by-name", right, "the list by name contains other names", got=case.answer)
    by_id: dict[str, Mapping[str, Any]] = {}
    for each in items:
        by_id.setdefault(str(each.get("id")), each)
    yield check("many-kept", len(by_id) == len(items), "the list contains an integration twice", got=case.answer)
    for id, expected in list(follower.expected(name)):
        if id not in case.contested:
            yield _compare(follower, id, expected, by_id.get(id), missing="list-by-name" if name else "")
    for id, each in by_id.items():
        if id in case.contested:
            if id not in follower.known and id not in follower.gone:
                follower.doubt(id, "another request wrote to it at the same time")
            continue
        if id in follower.gone:
            yield Outcome("delete-answer", BROKEN, "the list contains a deleted integration", got=each, by_store=True)
        if follower.is_absent(id) and not case.overlapping and each.get("name") in follower.refused:
            what = "the list contains an integration whose create was refused"
            yield Outcome("create-rolled-back", BROKEN, what, got=each, by_store=True)
        follower.show(id, each)
    if not name:
        for id in [each for each in follower.known if each not in by_id and each not in case.contested]:
            follower.remove(id, deleted=False)
        follower.complete = "" not in case.contested


def judge_get(case: Case, follower: Follower) -> Iterator[Outcome]:
    """Judge a GET of one integration, and learn from it."""
    id, got = case.id, case.answer
    expected = None if case.is_contested else follower.sure(id)
    if case.seen.status != 200:
        is_absent = follower.is_absent(id) and not case.is_contested
        must = {"id-required"} if not id else {"get-missing"} if is_absent else set()
        may = {"get-missing", "id-required"} if expected is None else set()
        if expected is not None and case.seen.status == 404:
            yield _compare(follower, id, expected, None)
            follower.remove(id, deleted=False)
        rule = "reads-steady" if case.seen.status != 404 else ""
        yield from refused(case, follower.contract, Refusals(must, may), rule)
    elif isinstance(got, dict):
        yield check("id-exact", got.get("id") == id, "the answer shows another integration", expected=id, got=got)
        if expected is not None:
            yield _compare(follower, id, expected, got)
        elif id in follower.gone and not case.is_contested:
            yield Outcome("delete-answer", BROKEN, "GET returns a deleted integration", got=got, by_store=True)
        else:
            yield Outcome("read-after-create", UNDECIDABLE)
        if got.get("id") == id and not case.is_contested:
            follower.show(id, got)


def _compare(follower: Follower, id: str, expected: Body, got: Mapping[str, Any] | None, missing: str = "") -> Outcome:
    """Compare an integration as it is shown with the model; `missing` is the rule that is broken if it is not."""
    if got is None:
        rule, what = missing or follower.blame(id), "an integration is missing"
    else:
        rule, what = follower.blame(id), "an integration differs from what the traffic stored"
        got = got if got == expected else with_masks(follower.contract, dict(got))
    return check(rule, got == expected, what, expected=expected, got=got, by_store=True)
