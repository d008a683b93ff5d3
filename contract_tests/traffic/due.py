"""The rules that must, or may, refuse a create, an update or a test, by its integration and by what is stored."""

from __future__ import annotations

from contract_tests.engine.integrations import Body, masked
from contract_tests.traffic.case import Case
from contract_tests.traffic.follow import Follower
from contract_tests.traffic.rules import Refusals, broken, broken_with_unknown
from mock_server.contract.tables import Contract

_UPDATE_MAY = ("update-missing", "scanner-v4-type-fixed", "database-error")


def due_on_create(case: Case, follower: Follower) -> Refusals:
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
        due.must |= set() if case.update_password else {"reconcile-needs-id"}
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
    if refusal is None:
        return
    if case.whole["type"] == "azure" and "docker" in stored:
        due.may |= _reconcile_rules(follower.contract)  # a stored docker member is read as one of azure
    else:
        due.must.add(refusal.rule)


def _reconcile_rules(contract: Contract) -> set[str]:
    return {rule for rule in contract.rules if rule.startswith("reconcile-")}
