"""Judge one exchange: whether it can be judged, and by which rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from contract_tests.engine.exchange import Exchange
from contract_tests.traffic import answers
from contract_tests.traffic.case import Case, Writes, read_case
from contract_tests.traffic.exchanges import Seen, json_of
from contract_tests.traffic.follow import Follower
from contract_tests.traffic.reads import judge_get, judge_list
from contract_tests.traffic.record import BROKEN, UNDECIDABLE, Outcome, Record, State
from contract_tests.traffic.refusals import NOT_CENTRALS, OF_ACCESS, refused
from contract_tests.traffic.rules import Refusals
from contract_tests.traffic.secrets import path_of
from contract_tests.traffic.writes import judge_create, judge_delete, judge_test, judge_update
from mock_server.contract.routes import Match
from mock_server.contract.tables import Operation

OVERRIDE = "X-HTTP-Method-Override"
"""A header that changes the method, so that the effect of a request is unknown."""
_JUDGES: Mapping[str, Callable[[Case, Follower], Iterator[Outcome]]] = {
    "GetImageIntegrations": judge_list,
    "GetImageIntegration": judge_get,
    "TestImageIntegration": judge_test,
    "TestUpdatedImageIntegration": judge_test,
    "PostImageIntegration": judge_create,
    "PutImageIntegration": judge_update,
    "UpdateImageIntegration": judge_update,
    "DeleteImageIntegration": judge_delete,
}
"""The judge of each operation. Each yields outcomes and updates the model as it goes."""
_UNKNOWN_TO_DATABASE = re.compile("[\0\ufffd]")
"""NUL, or the replacement for invalid UTF-8: for such an id the database writes the error."""


def judge_exchange(
    record: Record, central: State, exchange: Exchange, seen: Seen, match: Match | None, overlapping: Writes
) -> None:
    """Judge an exchange, count the outcomes, and update the state of the Central by it."""
    operation = match.operation.id if match else "none"
    if seen.dropped:
        record.dropped += 1
        again = record.dropped > 1  # the first may be due to an idle connection that the server closed
        what = "the answer is incomplete: the connection ended early, or the body cannot be decompressed"
        outcome = Outcome("every-request-answered", BROKEN if again else UNDECIDABLE, what)
        record.count(outcome, operation, exchange)
    before = central.follower.state
    if not seen.status or seen.dropped:
        _doubt(match, central.follower, "a request that was not answered")
    elif seen.status in NOT_CENTRALS and "code" not in (json_of(seen.reply) or {}):
        _doubt(match, central.follower, f"{seen.status} from a proxy in front of Central")
    elif 300 <= seen.status < 400 or OVERRIDE in seen.headers:
        return
    elif not overlapping and answers.is_quick(seen) and central.last == (before, _shown(seen)):
        for each in central.last_outcomes:  # web pages poll the list
            record.count(each, operation, exchange)
        central.paces[operation, seen.status, True] += 1
        record.observers.covered[operation, "", seen.status] += 1
    elif _is_grpc(seen) or (match is not None and _UNKNOWN_TO_DATABASE.search(match.id)):
        _doubt(match, central.follower, "a request whose answer the contract does not define")
    else:
        contract, validator = central.follower.contract, record.observers.validator
        case = read_case(seen, match, overlapping, contract, validator) if match else None
        found = _outcomes(record, central, exchange, seen, case)
        outcomes = [record.count(each, operation, exchange) for each in found]
        is_read = seen.method == "GET" and seen.status == 200 and not overlapping
        has_news = before != central.follower.state or any(each.kind == BROKEN for each in outcomes)
        central.last = (before, _shown(seen)) if is_read and not has_news else None
        central.last_outcomes = outcomes


def _doubt(match: Match | None, follower: Follower, why: str) -> None:
    """Mark as unknown the integration that a request without a known outcome may have changed."""
    if match is not None and may_write(match.operation):
        if match.id:
            follower.doubt(match.id, why)
        follower.complete = False


def may_write(operation: Operation) -> bool:
    """Return whether an operation may change an integration."""
    return operation.method != "GET" and _JUDGES.get(operation.id) is not judge_test


def _outcomes(record: Record, central: State, exchange: Exchange, seen: Seen, case: Case | None) -> Iterator[Outcome]:
    """Judge a whole answer of Central; `case` is None if the request is of no operation."""
    if seen.reply is not None and seen.whole:
        yield from answers.observe(record.observers, exchange, seen)
        if seen.headers_kept and case is not None:
            yield from answers.headers(seen)
    if case is None:
        path = path_of(seen.target)
        if not ("//" in path or "/." in path or "%" in path):
            yield answers.unknown_route(seen, has_path=record.routes.has_path(path))
        return
    if not case.is_valid:
        record.explain(case.operation, seen.body or b"")
    yield from answers.access(seen, central)
    yield from answers.pace(case, central)
    if seen.status in OF_ACCESS:
        yield from refused(case, central.follower.contract, Refusals())
    elif judge := _JUDGES.get(case.operation.id):
        yield from judge(case, central.follower)
    else:
        yield Outcome("effect", UNDECIDABLE)
        _doubt(Match(case.operation, case.id), central.follower, f"{case.operation.id}, whose effect is unknown")


def _shown(seen: Seen) -> tuple[Any, ...]:
    """Return the parts of a read that are compared with another read: all but the date."""
    headers = {name.lower(): value for name, value in seen.reply_headers.items()}
    headers.pop("date", None)
    return seen.method, seen.target, seen.body, seen.reply, seen.whole, seen.blind, headers


def _is_grpc(seen: Seen) -> bool:
    """Return whether a request is gRPC, or has headers that Central's gRPC server obeys, such as a timeout."""
    speaks = seen.headers.get("Content-Type", "").lower().startswith("application/grpc")
    return speaks or any(name.lower().startswith("grpc-") for name in seen.headers)
