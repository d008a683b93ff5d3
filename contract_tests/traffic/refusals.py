"""The rules that must, or may, refuse a request, and whether the answer agrees with them."""

from __future__ import annotations

from collections.abc import Iterator

from contract_tests.engine.integrations import Body, masked
from contract_tests.oracle.model import constant_pieces
from contract_tests.traffic.case import Case
from contract_tests.traffic.exchanges import NOT_SHOWN
from contract_tests.traffic.follow import Follower
from contract_tests.traffic.record import BROKEN, HELD, UNDECIDABLE, Outcome, check
from contract_tests.traffic.rules import Refusals, broken, broken_with_unknown
from mock_server.contract.tables import Contract, Rule

NOT_CENTRALS = (429, 502, 503, 504)
"""Statuses that a proxy in front of Central may answer, too."""
OF_ACCESS = (401, 403, *NOT_CENTRALS)
"""Statuses with which any request may be refused."""
_UPDATE_MAY = ("update-missing", "scanner-v4-type-fixed", "database-error")
_OF_STRICT = "the request violates the contract: "
"""Start of the errors of a mock that was started with --strict; Central has no such error."""


def due_on_create(case: Case, follower: Follower) -> Refusals:
    """Return the rules that must or may refuse a create."""
    due = _due_on_integration(case, follower)
    if case.whole["id"]:
        due.must.add("id-empty-on-create")
    own = {"scannerv4": "scanner-v4-not-created", "google": "google-not-created"}.get(case.whole["type"], "")
    due.must |= {own} & follower.contract.rules.keys()
    return due


def due_on_update(case: Case, follower: Follower) -> Refusals:
    """Return the rules that must, or may, refuse an update or a test."""
    due, id = _due_on_integration(case, follower), case.id
    if case.is_test and not id:
        if not case.update_password:
            due.must.add("reconcile-needs-id")
    elif not id or case.is_contested or (stored := follower.sure(id)) is None:
        due.may |= {*_UPDATE_MAY, *(_reconcile_rules(follower.contract) if not case.update_password else ())}
        if id and not case.is_contested and follower.is_absent(id):
            due.must.add("update-missing")
    else:
        if case.whole["type"] != stored["type"] and "scannerv4" in (case.whole["type"], stored["type"]):
            due.must.add("scanner-v4-type-fixed")
        if not case.update_password:
            _add_reconcile(due, case, follower, stored)
    return due


def _due_on_integration(case: Case, follower: Follower) -> Refusals:
    """Return the rules about the integration itself and about its name."""
    due = (broken if case.credentials_known else broken_with_unknown)(follower.contract, case.whole)
    name = case.whole["name"]
    owner = follower.owner(name)
    if not name or owner == case.id != "":
        return due
    in_flight = case.may_be_written(name)
    if owner is not None and owner not in case.contested and not in_flight:
        due.must.add("name-unique")
    elif not follower.is_free(name) or case.contested or in_flight:
        due.may.add("name-unique")
    return due


def _add_reconcile(due: Refusals, case: Case, follower: Follower, stored: Body) -> None:
    """Add the rules about a request that keeps the stored credentials."""
    config = {**case.whole, "name": stored["name"]}
    if case.seen.blind:
        due.may.add("reconcile-credential-masked")
        config = masked(follower.contract.integration, config)
    refusal = follower.model.update_refusal(case.id, config, update_password=False)
    if refusal is not None and case.whole["type"] == "azure" and "docker" in stored:
        due.may |= _reconcile_rules(follower.contract)  # Central may read a stored docker member as azure
    elif refusal is not None:
        due.must.add(refusal.rule)


def _reconcile_rules(contract: Contract) -> set[str]:
    return {rule for rule in contract.rules if rule.startswith("reconcile-")}


def accepted(contract: Contract, due: Refusals, rule: str) -> Iterator[Outcome]:
    """Judge an acceptance; `rule` holds if no rule had to refuse the request."""
    yield from (Outcome(each, UNDECIDABLE) for each in due.may)
    for each in due.must:
        yield Outcome(each, BROKEN, f"a request that breaks this rule is accepted: {contract.rules[each].title}")
    if not due.must:
        yield Outcome(rule, HELD)


def refused(case: Case, contract: Contract, due: Refusals, rule: str = "") -> Iterator[Outcome]:
    """Judge a refusal; `rule` is broken if nothing explains it."""
    answer, message, seen = case.answer, case.message, case.seen
    if not isinstance(answer, dict):
        yield Outcome("refusal", UNDECIDABLE)
        return
    same = bool(message) and answer.get("error") == answer.get("message")
    yield check("error-shape", same, "`error` differs from `message`", expected=message, got=answer)
    if not message:
        return
    if message.startswith(_OF_STRICT) or (seen.blind and NOT_SHOWN.fullmatch(message)):
        yield Outcome("refusal", UNDECIDABLE)
        return
    named, fitting = _named_rules(case, contract), fitting_rules(case, contract)
    if named and not fitting:
        what = f"the refusal has the status {seen.status} and the code {answer.get('code')}"
        expected = {"status": named[0].status, "code": named[0].code}
        yield Outcome(named[0].id, BROKEN, what, expected=expected, got=answer)
    elif explained := fitting & (due.must | due.may):
        yield from (Outcome(each, HELD if each in due.must else UNDECIDABLE) for each in explained)
    elif seen.status in OF_ACCESS:
        yield from (Outcome(each, HELD) for each in fitting)
        challenge = seen.reply_headers.get("WWW-Authenticate", "")
        if fitting and seen.status == 401 and seen.headers_kept and message.isascii():
            what = "WWW-Authenticate of a 401 differs from the message"
            yield check("www-authenticate", challenge == message, what, expected=message, got=challenge)
    else:
        yield _unexplained(case, contract, due, rule)


def fitting_rules(case: Case, contract: Contract) -> set[str]:
    """Return the rules that a refusal names with their status and code."""
    return {rule.id for rule in _named_rules(case, contract) if _status_fits(case, rule)}


def _named_rules(case: Case, contract: Contract) -> list[Rule]:
    """Return every rule whose text an error may contain."""
    rules = ((rule, constant_pieces(rule.message)) for rule in contract.rules.values())
    return [rule for rule, pieces in rules if pieces and all(piece in case.message for piece in pieces)]


def _status_fits(case: Case, rule: Rule) -> bool:
    """Return whether an error of this rule may have the status and the code of the answer."""
    got = (case.seen.status, case.answer.get("code"))
    if rule.kind == "build":
        return got == (500, 13) or (case.asks_registry and got == (400, 3))
    return got == (rule.status, rule.code) if rule.status else got in ((400, 3), (500, 13))


def _unexplained(case: Case, contract: Contract, due: Refusals, rule: str) -> Outcome:
    """Judge a refusal that names no rule which the request breaks."""
    answer = case.answer
    if reasons := due.must or fitting_rules(case, contract):
        first = contract.rules[min(reasons, key=[*contract.rules].index)]  # in the order in which Central checks
        if not due.must:
            return Outcome(first.id, BROKEN, "this rule refuses a request that does not break it", got=answer)
        expected = {"message contains": constant_pieces(first.message)}
        return Outcome(first.id, BROKEN, "the error is not this rule's", expected=expected, got=answer)
    silent = any(not constant_pieces(contract.rules[each].message) for each in due.may & contract.rules.keys())
    if rule and not case.asks_registry and not case.overlapping and not silent:
        got = {"status": case.seen.status, **answer}
        return Outcome(rule, BROKEN, "a request that Central accepts is refused", got=got)
    return Outcome("registry-reachable" if case.asks_registry else "refusal", UNDECIDABLE)
