"""A plain model of Central's store: what a run's own integrations must look like after each request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from contract_tests.engine.central import Central, shown
from contract_tests.engine.failures import CheckFailed, PreconditionFailed
from contract_tests.engine.integrations import Body, hidden, masked, member_of, read_answer, whole
from mock_server.contract.tables import MASK, Contract, Message


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal that must come: the rule, and pieces of the text besides those of the rule."""

    rule: str
    pieces: tuple[str, ...] = ()
    values: Mapping[str, object] = field(default_factory=dict)


class Model:
    """The integrations of one check by their ids, credentials in clear.

    Knows the verbs on integrations whose clients can be built. Of the reasons to refuse it knows
    those that depend on what is stored: names, ids, and stored credentials. It asks for the refusal
    first; only what is not refused may be done.
    """

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.stored: dict[str, Body] = {}
        self.names: dict[str, str] = {}
        """The last name of each id that was ever given."""

    # -- what must be read ------------------------------------------------------------------------

    def read(self, id: str) -> Body:
        """Return what a GET must answer."""
        return masked(self.contract.integration, self.stored[id])

    def listed(self, name: str = "", cluster: str = "") -> dict[str, Body]:
        """Return what the list must hold, by id."""
        if cluster:
            return {}
        return {id: self.read(id) for id, each in self.stored.items() if name in ("", each["name"])}

    # -- creating and deleting --------------------------------------------------------------------

    def create_refusal(self, body: Body) -> Refusal | None:
        """Return why a create must be refused, None where it must be taken."""
        return self._name_refusal(body, "")

    def create(self, id: str, body: Body) -> None:
        """Store what was created."""
        self._store(id, self._whole(body, id))

    def delete_refusal(self, id: str) -> Refusal | None:
        """Return why a DELETE must be refused, None where it must be taken."""
        return None if id in self.stored else Refusal("delete-missing", values={"id": id, "quoted": f'"{id}"'})

    def delete(self, id: str) -> None:
        """Forget an integration."""
        del self.stored[id]

    # -- updating ---------------------------------------------------------------------------------

    def update_refusal(self, id: str, config: Body, *, update_password: bool = True) -> Refusal | None:
        """Return why a PUT or PATCH (or a test of it) must be refused, None where nothing stored forbids it."""
        refusal = self._name_refusal(config, id)
        if refusal or id not in self.stored:
            return refusal or Refusal("update-missing", values={"id": f'"{id}"'})
        if update_password:
            return None
        stored, sent = self.stored[id], self._whole(config, id)
        member, old_member = member_of(self.contract, sent), member_of(self.contract, stored)
        if member is None:
            return Refusal("reconcile-needs-config")
        if member != old_member:
            return Refusal("reconcile-same-member", ("type not equal",))
        return _reconcile_refusal(self.contract.integration, sent, stored)

    def update(self, id: str, config: Body, *, update_password: bool = True) -> None:
        """Replace an integration; without `update_password` credentials are those that are stored."""
        sent = self._whole(config, id)
        if not update_password:
            sent = _reconciled(self.contract.integration, sent, self.stored[id])
        self._store(id, sent)

    def _store(self, id: str, integration: Body) -> None:
        self.stored[id] = integration
        self.names[id] = integration["name"]

    def _whole(self, body: Body, id: str) -> Body:
        known = whole(self.contract.integration, body)
        numbers = self.contract.categories
        known["categories"] = sorted(known["categories"], key=lambda name: numbers.get(name, name))
        return known | {"id": id}

    def _name_refusal(self, body: Body, id: str) -> Refusal | None:
        name = body.get("name") or ""
        if not name:
            return Refusal("name-required")
        if any(each["name"] == name for other, each in self.stored.items() if other != id):
            return Refusal("name-unique", (name,))
        return None


def _reconcile_refusal(message: Message, sent: Body, stored: Body) -> Refusal | None:
    """Walk two messages in the order of the contract and give the first thing that may not differ."""
    for each in message.fields:
        new, old = sent.get(each.name), stored.get(each.name)
        last = f".{each.go_name}'"
        if each.kind in ("message", "timestamp"):
            if new is None and old is None:
                continue
            if new is None:
                return Refusal("reconcile-message-kept", (last,))
            if old is None:
                return Refusal("reconcile-message-not-added")
            if each.message is not None and (found := _reconcile_refusal(each.message, new, old)):
                return found
        elif each.scrub == "dependent" and new != old:
            return Refusal("reconcile-dependent-unchanged", (last,))
        elif each.scrub == "always" and new not in ("", MASK):
            return Refusal("reconcile-credential-masked", (last,))
    return None


def _reconciled(message: Message, sent: Body, stored: Body) -> Body:
    filled = dict(sent)
    for each in message.fields:
        if each.scrub == "always":
            filled[each.name] = stored[each.name]
        elif each.message is not None and not each.repeated and filled.get(each.name) is not None:
            filled[each.name] = _reconciled(each.message, filled[each.name], stored[each.name])
    return filled


# -- comparing with what the target shows ---------------------------------------------------------


def expected(central: Central, sent: Mapping[str, Body]) -> dict[str, Body]:
    """Return what the list must show of what was sent last, both by id."""
    return {id: read_answer(central.contract, body, id) for id, body in sent.items()}


def listed(central: Central, query: str = "") -> dict[str, Body]:
    """Return what the list shows of the integrations of this check, by id.

    Raises:
        PreconditionFailed: there is no list.
        CheckFailed: an integration stands twice in it.
    """
    reply = central.list(query)
    items = reply.object.get("integrations")
    if reply.status != 200 or not isinstance(items, list):
        raise PreconditionFailed("list", f"the list{query} answered {shown(reply)}")
    name = re.compile(rf"{re.escape(central.transport.name_prefix + central.check)}-\d", re.IGNORECASE)
    found: dict[str, Body] = {}
    for item in items:
        if not isinstance(item, dict) or not name.match(str(item.get("name", "")).strip()):
            continue
        id = str(item.get("id"))
        if id in found:
            raise CheckFailed("an integration stands in the list twice", expected=found[id], got=item)
        found[id] = hidden(central.contract, item)  # whether credentials are masked is a matter of its own
    return found


def differences(got: Mapping[str, Body], expected: Mapping[str, Body]) -> dict[str, str]:
    """Return what is wrong with each integration that is not as expected, by id."""
    wrong = {id: "is missing" for id in expected if id not in got}
    wrong |= {id: "is there and should not be" for id in got if id not in expected}
    return wrong | {id: "is not as it should be" for id in expected if id in got and got[id] != expected[id]}


def see_same(got: Mapping[str, Body], expected: Mapping[str, Body], what: str, *, check: str | None = None) -> None:
    """Check that two sets of integrations are the same; a failure shows only those that are not."""
    wrong = differences(got, expected)
    if wrong:
        names = (f"{(expected.get(id) or got[id]).get('name')} {how}" for id, how in wrong.items())
        raise CheckFailed(
            f"{what}: {'; '.join(sorted(names))}",
            expected={id: expected.get(id) for id in wrong},
            got={id: got.get(id) for id in wrong},
            check=check,
        )


def see_listed(central: Central, sent: Mapping[str, Body], what: str, query: str = "") -> None:
    """Check that the list shows exactly what this check has sent last, by id."""
    see_same(listed(central, query), expected(central, sent), what)


def see_stored(central: Central, id: str, sent: Body, what: str) -> None:
    """Check that a GET shows what was sent last."""
    reply = central.get(id)
    central.taken(reply, f"{what}: reading it")
    central.same(reply.json, read_answer(central.contract, sent, id), what)


def any_text(rule_message: str) -> list[str]:
    """Return the pieces of a rule's text that are the same whatever it is about."""
    return [piece for piece in re.split(r"\{\w+\}", rule_message) if len(piece) > 1]


def see_refusal(central: Central, reply: Any, refusal: Refusal, what: str) -> None:
    """Check that a request was refused by the rule that the model names."""
    rule = central.rules[refusal.rule]
    pieces = any_text(rule.message) if not refusal.values else [central.text(rule.id, **refusal.values)]
    central.refused(reply, what, status=rule.status, code=rule.code, text=(*pieces, *refusal.pieces))
