"""A plain model of Central's store: what a run's own integrations must look like after each request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as default_field
from typing import Any

from contract_tests.engine.central import Central, brief
from contract_tests.engine.failures import CheckFailed, PreconditionFailed
from contract_tests.engine.integrations import Body, masked, member_of, read_answer, with_defaults, with_masks
from mock_server.contract.tables import MASK, Contract, Message


@dataclass(frozen=True, slots=True)
class Refusal:
    """An expected refusal: the rule, the values in its text, and further pieces that the message must contain."""

    rule: str
    pieces: tuple[str, ...] = ()
    values: Mapping[str, object] = default_field(default_factory=dict)


class Model:
    """The integrations of one check by id, with unmasked credentials.

    The model covers requests whose clients can be built, and the refusals that depend on stored
    state: names, ids and stored credentials. Ask for the refusal first; apply a request only if
    there is none.
    """

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.stored: dict[str, Body] = {}
        self.names: dict[str, str] = {}
        """The last name of each id, even after its deletion."""

    # -- expected answers to reads ------------------------------------------------------------------------

    def read(self, id: str) -> Body:
        """Return the expected answer to a GET of one integration."""
        return masked(self.contract.integration, self.stored[id])

    def listed(self, name: str = "") -> dict[str, Body]:
        """Return the integrations that the list must contain, by id."""
        return {id: self.read(id) for id, each in self.stored.items() if name in ("", each["name"])}

    # -- creating and deleting --------------------------------------------------------------------

    def create_refusal(self, body: Body) -> Refusal | None:
        """Return why a create must be refused, or None if it must be accepted."""
        return self._name_refusal(body, "")

    def create(self, id: str, body: Body) -> None:
        """Store a created integration."""
        self._store(id, self._stored_form(body, id))

    def delete_refusal(self, id: str) -> Refusal | None:
        """Return why a DELETE must be refused, or None if it must be accepted."""
        return None if id in self.stored else Refusal("delete-missing", values={"id": id, "quoted": f'"{id}"'})

    def delete(self, id: str) -> None:
        """Remove an integration from the model."""
        del self.stored[id]

    # -- updating ---------------------------------------------------------------------------------

    def update_refusal(self, id: str, config: Body, *, update_password: bool = True) -> Refusal | None:
        """Return why stored state forbids a PUT or PATCH (or a test of it), or None if it does not."""
        refusal = self._name_refusal(config, id)
        if refusal or id not in self.stored:
            return refusal or Refusal("update-missing", values={"id": f'"{id}"'})
        if update_password:
            return None
        stored, sent = self.stored[id], self._stored_form(config, id)
        member, old_member = member_of(self.contract, sent), member_of(self.contract, stored)
        if member is None:
            return Refusal("reconcile-needs-config")
        if member != old_member:
            return Refusal("reconcile-same-member", ("type not equal",))
        return _reconcile_refusal(self.contract.integration, sent, stored)

    def update(self, id: str, config: Body, *, update_password: bool = True) -> None:
        """Replace an integration; without `update_password` it keeps the stored credentials."""
        sent = self._stored_form(config, id)
        if not update_password:
            sent = _reconciled(self.contract.integration, sent, self.stored[id])
        self._store(id, sent)

    def _store(self, id: str, integration: Body) -> None:
        self.stored[id] = integration
        self.names[id] = integration["name"]

    def _stored_form(self, body: Body, id: str) -> Body:
        complete = with_defaults(self.contract.integration, body)
        numbers = self.contract.categories
        complete["categories"] = sorted(complete["categories"], key=lambda name: numbers.get(name, name))
        return complete | {"id": id}

    def _name_refusal(self, body: Body, id: str) -> Refusal | None:
        name = body.get("name") or ""
        if not name:
            return Refusal("name-required")
        if any(other["name"] == name for other_id, other in self.stored.items() if other_id != id):
            return Refusal("name-unique", (name,))
        return None


def _reconcile_refusal(message: Message, sent: Body, stored: Body) -> Refusal | None:
    """Compare two messages in the order of the contract; return the refusal for the first forbidden difference."""
    for field in message.fields:
        new, old = sent.get(field.name), stored.get(field.name)
        end_of_path = f".{field.go_name}'"
        if field.kind in ("message", "timestamp"):
            if new is None and old is None:
                continue
            if new is None:
                return Refusal("reconcile-message-kept", (end_of_path,))
            if old is None:
                return Refusal("reconcile-message-not-added")
            if field.message is not None and (refusal := _reconcile_refusal(field.message, new, old)):
                return refusal
        elif field.scrub == "dependent" and new != old:
            return Refusal("reconcile-dependent-unchanged", (end_of_path,))
        elif field.scrub == "always" and new not in ("", MASK):
            return Refusal("reconcile-credential-masked", (end_of_path,))
    return None


def _reconciled(message: Message, sent: Body, stored: Body) -> Body:
    """Return `sent` with the stored credentials."""
    filled = dict(sent)
    for field in message.fields:
        if field.scrub == "always":
            filled[field.name] = stored[field.name]
        elif field.message is not None and not field.repeated and filled.get(field.name) is not None:
            filled[field.name] = _reconciled(field.message, filled[field.name], stored[field.name])
    return filled


# -- comparing with the target --------------------------------------------------------------------


def expected(central: Central, sent: Mapping[str, Body]) -> dict[str, Body]:
    """Return the expected list items for the bodies that were sent last, both by id."""
    return {id: read_answer(central.contract, body, id) for id, body in sent.items()}


def listed(central: Central, query: str = "") -> dict[str, Body]:
    """Return the integrations of this check in the list, by id, with masked credentials.

    Raises:
        PreconditionFailed: the answer is not a list.
        CheckFailed: the list contains an integration twice.
    """
    reply = central.list(query)
    items = reply.integrations
    if reply.status != 200 or items is None:
        raise PreconditionFailed("list", f"the list{query} was answered {brief(reply)}")
    name = re.compile(rf"{re.escape(central.transport.name_prefix + central.check)}-\d", re.IGNORECASE)
    by_id: dict[str, Body] = {}
    for item in items:
        if not name.match(str(item.get("name", "")).strip()):
            continue
        id = str(item.get("id"))
        if id in by_id:
            raise CheckFailed("the list contains an integration twice", expected=by_id[id], got=item)
        by_id[id] = with_masks(central.contract, item)  # an observer checks the masks
    return by_id


def differences(got: Mapping[str, Body], expected: Mapping[str, Body]) -> dict[str, str]:
    """Return by id what is wrong with each integration that differs from the expected one."""
    wrong = {id: "is missing" for id in expected if id not in got}
    wrong |= {id: "should not exist" for id in got if id not in expected}
    return wrong | {id: "has wrong values" for id in expected if id in got and got[id] != expected[id]}


def check_same(got: Mapping[str, Body], expected: Mapping[str, Body], what: str, *, check: str | None = None) -> None:
    """Check that two sets of integrations are equal; a failure shows only those that differ."""
    wrong = differences(got, expected)
    if wrong:
        names = (f"{(expected.get(id) or got[id]).get('name')} {how}" for id, how in wrong.items())
        raise CheckFailed(
            f"{what}: {'; '.join(sorted(names))}",
            expected={id: expected.get(id) for id in wrong},
            got={id: got.get(id) for id in wrong},
            check=check,
        )


def check_listed(central: Central, sent: Mapping[str, Body], what: str, query: str = "") -> None:
    """Check that the list shows exactly the bodies that this check has sent last, by id."""
    check_same(listed(central, query), expected(central, sent), what)


def check_stored(central: Central, id: str, sent: Body, what: str) -> None:
    """Check that a GET shows the body that was sent last."""
    reply = central.get(id)
    central.ok(reply, f"{what}: reading it")
    central.same(reply.json, read_answer(central.contract, sent, id), what)


def constant_pieces(rule_message: str) -> list[str]:
    """Return the constant pieces of a rule's text, between its placeholders."""
    return [piece for piece in re.split(r"\{\w+\}", rule_message) if len(piece) > 1]


def check_refusal(central: Central, reply: Any, refusal: Refusal, what: str) -> None:
    """Check that a request was refused as the model expects."""
    rule = central.rules[refusal.rule]
    pieces = constant_pieces(rule.message) if not refusal.values else [central.text(rule.id, **refusal.values)]
    central.refused(reply, what, status=rule.status, code=rule.code, text=(*pieces, *refusal.pieces))
