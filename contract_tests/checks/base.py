"""What every other check stands on: creating, reading, the shape of an error."""

from __future__ import annotations

from typing import Any

from contract_tests.checks.registry import check
from contract_tests.engine.central import Central, created_id, shown
from contract_tests.engine.failures import CheckFailed
from contract_tests.engine.integrations import read_answer
from contract_tests.engine.ownership import ITS_OWN, NOT_ITS_OWN


@check("list", "base", title="The list answers 200 with `integrations`, a list", writes=False)
def list_answers(central: Central) -> None:
    reply = central.list()
    central.taken(reply, "GET of the collection")
    items = reply.object.get("integrations")
    central.true(isinstance(items, list), "the list has no `integrations`", expected="a list", got=shown(reply))


@check("error-shape", "base", writes=False)
def error_shape(central: Central) -> None:
    reply = central.get(central.unknown_id())
    body = reply.object
    central.same(sorted(body), ["code", "details", "error", "message"], "the keys of an error")
    central.same(body["error"], body["message"], "error repeats message")
    central.same(body["details"], [], "image integrations attach no details")


@check("create", "base", title="An integration of every type that can be created is created (200), with an id")
def create(central: Central) -> None:
    for type in central.creatable_types:
        with central.case():
            body = central.integration(type)
            reply = central.create(body)
            if reply.status != 200 or not reply.object.get("id"):
                raise CheckFailed(f"creating type {type}", expected={"status": 200}, got=shown(reply))
            central.shared.controls.add(type)
            if central.keeps:  # `update-read-back` goes on with them
                central.keep(reply.object["id"], body)


@check(
    ITS_OWN,
    "base",
    title="The answer to a create has the id of the new integration, not one that was there or was given before",
    source="central/imageintegration/datastore/datastore_impl.go",
    needs=("create",),
)
def create_answers_its_own(central: Central) -> None:
    """Nothing is written before it holds: an id is all that says what a run may change and delete."""
    there = {str(item.get("id")): item for item in central.list().object.get("integrations") or []}
    with central.case():
        made: dict[str, str] = {}
        for _ in range(2):
            body = central.integration()
            id = created_id(central.create(body))
            name = there[id].get("name") if id in there else made.get(id)
            central.true(
                name is None,
                NOT_ITS_OWN,
                expected={"name": body["name"]},
                got={"id": id, "name": name},
            )
            made[id] = body["name"]
        found = central.list().object.get("integrations") or []
        names = {str(item.get("id")): item.get("name") for item in found if str(item.get("id")) in made}
        if names != made:  # else there may be a fault of the list
            names = {id: central.get(id).object.get("name") for id in made}
        central.same(names, made, "the names under the ids that creates were answered with")


@check("read-after-create", "base", title="What was created is read back, field by field", needs=("create", ITS_OWN))
def read_after_create(central: Central) -> None:
    for type in central.some(central.creatable_types, 2):
        with central.case():
            id, sent = central.standing(type)
            reply = central.get(id)
            central.taken(reply, f"reading a new integration of type {type}")
            expected = read_answer(central.contract, sent, id)
            central.same(_sent_part(reply.json, sent), _sent_part(expected, sent), f"reading type {type} back")


def _sent_part(value: Any, sent: Any) -> Any:
    """Return the part of an answer that was sent; zero values and the rest are other checks' matter."""
    if not isinstance(value, dict) or not isinstance(sent, dict):
        return value
    return {key: _sent_part(value.get(key), each) for key, each in sent.items() if each}
