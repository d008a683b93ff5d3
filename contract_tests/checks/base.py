"""Basic checks that all others need: create, read, update, delete, filter, and the shape of an error.

They run first, and the checks that need them wait for them: a fault that would fail a hundred checks is reported once.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from contract_tests.checks.registry import SERVICE, check
from contract_tests.checks.validation import fresh
from contract_tests.engine.central import Central, brief, created_id
from contract_tests.engine.exchange import COLLECTION, Exchange, Reply, read_json
from contract_tests.engine.failures import CheckFailed, PreconditionFailed
from contract_tests.engine.integrations import NEEDED, Body, read_answer, with_masks
from contract_tests.engine.ownership import FOREIGN_ID, OWN_ID
from contract_tests.oracle.steps import deleted, filtered, tests, updated
from contract_tests.oracle.variants import FRESH, SOURCE

STATUS_OF_CODE: Mapping[int, int] = {
    1: 499, 2: 500, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 12: 501, 13: 500,
    14: 503, 15: 500, 16: 401,
}  # fmt: skip
"""HTTP status for each gRPC code, as grpc-gateway maps them."""


@check("list", "base", "The list is not answered 200 with an array `integrations`", writes=False)
def list_answers(central: Central) -> None:
    reply = central.list()
    central.ok(reply, "GET of the list")
    items = reply.integrations
    central.true(items is not None, "the list has no `integrations`", expected="a list", got=brief(reply))
    ids = [str(item.get("id")) for item in items or ()]
    twice = sorted({id for id in ids if ids.count(id) > 1})
    central.true(not twice, "the list contains an integration twice", expected=[], got=twice)


@check(
    "error-shape",
    "base",
    "An error does not have Central's four keys, or its code does not match its status",
    writes=False,
)
def error_shape(central: Central) -> None:
    for what, reply in (
        ("a GET of an unknown id", central.get(central.unknown_id())),
        ("a GET of an unknown path", central.send("GET", "/v1/nothing")),
    ):
        if not reply.object or (reply.status < 400 and "message" not in reply.object):
            continue  # not an error; other checks report that
        _check_error(central, reply, f"the error for {what}")
    for method in ("PUT", "PATCH", "DELETE") if central.options.may_write and not central.quick else ():
        central.plain_error(central.send(method, f"{COLLECTION}/{central.unknown_id()}", value={}))


def _check_error(central: Central, reply: Reply, what: str) -> None:
    body = reply.object
    central.same(sorted(body), ["code", "details", "error", "message"], f"the keys of {what}")
    central.same(body["error"], body["message"], f"`error`, which repeats `message`, in {what}")
    central.true(isinstance(body["message"], str) and bool(body["message"]), f"{what} has no message", got=brief(reply))
    central.same(body["details"], [], f"`details` of {what}, which are always empty")
    code = body["code"]
    status = STATUS_OF_CODE.get(code) if isinstance(code, int) and not isinstance(code, bool) else None
    if status != reply.status:
        expected = {
            "status": reply.status,
            "code": [key for key, each in STATUS_OF_CODE.items() if each == reply.status],
        }
        raise CheckFailed(
            f"code and status of {what} disagree", expected=expected, got={"status": reply.status, "code": code}
        )


@check(
    "get-missing",
    "base",
    "GET of an unknown id is not answered 404 with Central's text",
    needs=("error-shape",),
    writes=False,
)
def get_missing(central: Central) -> None:
    for id in central.cases(central.some((central.unknown_id(), "not-a-uuid"), 1)):
        central.refused_by(central.get(id), "get-missing", f"GET of {id}", id=id)


# -- creating -------------------------------------------------------------------------------------


@check("create", "base", "A create of a valid integration is not answered 200 with an id")
def create(central: Central) -> None:
    for number, type in central.cases(enumerate(central.creatable_types)):
        body = with_every_field(central, type, number)
        reply = central.create(body)
        if reply.status != 200 or not reply.object.get("id"):
            raise CheckFailed(f"a create of type {type} fails", expected={"status": 200}, got=brief(reply))
        central.shared.controls.add(type)
        if central.reuses_integrations:  # other checks reuse them
            central.keep(reply.object["id"], body)
    keep_one(central)


def keep_one(central: Central) -> None:
    """Create the integration that `unchanged-over-time` reads late in the run; the end of the run deletes it."""
    keeper = Central(central.transport, "unchanged-over-time", central.shared)
    body = with_every_field(keeper, "docker", 0)
    id, _ = keeper.created_from(body)
    central.shared.oldest = id, body, time.monotonic()


def with_every_field(central: Central, type: str, number: int) -> Body:
    """Return an integration with every field set; flags are true if `number` is even.

    It has one category, which every release has; another check covers several categories.
    """
    cluster = str(uuid.UUID(int=central.random.getrandbits(128), version=4))
    source = {"clusterId": cluster, "namespace": "payments", "imagePullSecretName": "pull-secret"}
    categories = list(central.contract.types[type].categories[:1])
    body = central.integration(
        type, autogenerated=number % 2 == 0, categories=categories, clusterId=cluster, source=source
    )
    # Credentials that a server may fail to mask: non-ASCII (but valid in a header), long, and short.
    # long-credentials-kept checks whether a server stores longer ones.
    if type == "azure":
        body["azure"]["password"] += "-\u00fc"
    elif type == "quay":
        body["quay"]["oauthToken"] = body["quay"]["oauthToken"].ljust(2040, "x")
    elif type == "nexus":
        body["docker"]["password"] = "p"  # noqa: S105 (as short as possible)
    elif type == "clairify":
        body["clairify"]["numConcurrentScans"] = 2**31 - 1
    elif type == "ghcr":
        body["docker"]["endpoint"] = "docker.io"  # the client replaces this host
    elif type == "rhel":
        body["docker"]["endpoint"] = "https://registry-1.docker.io"
    elif type == "ecr":
        body["ecr"]["region"] = "US-East-1"
    return body


@check(
    OWN_ID,
    "base",
    "A create returns the id of an existing integration, or one that it returned before",
    source="central/imageintegration/datastore/datastore_impl.go",
    needs=("create",),
)
def create_answers_its_own(central: Central) -> None:
    """Check that creates return new ids.

    The run writes nothing else until this holds, because it decides by id what it may change and delete. A quick run
    checks the integrations that it has already created.
    """
    refused = central.transport.ownership.refused
    made: dict[str, str] = {}
    for body, creation in _creations(central):
        central.history = [*central.history[-1:], creation]
        id = created_id_of(creation)
        name = refused.get(id, made.get(id))
        central.true(name is None, FOREIGN_ID, expected={"name": body["name"]}, got={"id": id, "name": name})
        made[id] = body["name"]
    found = _whole_list(central)
    names = {id: found[id].get("name") for id in made if id in found}
    if names != made:  # otherwise the list may be at fault
        shown = {id: central.get(id) for id in made}
        names = {id: reply.object.get("name") for id, reply in shown.items() if reply.status == 200}
    # An integration that is missing was not stored; read-after-create reports that.
    expected = {id: name for id, name in made.items() if id in names}
    central.same(names, expected, "the names stored under the ids that creates returned")


def _creations(central: Central) -> Iterator[tuple[Body, Exchange]]:
    """Yield the body and the exchange of two or more creates."""
    if central.reuses_integrations and central.shared.standing:
        yield from ((sent, creation) for _, sent, creation in central.shared.standing.values())
        return
    for _ in range(2):
        body = central.integration()
        created_id(central.create(body))
        yield body, central.history[-1]


def created_id_of(creation: Exchange) -> str:
    """Return the id in the answer to a create."""
    answer = read_json(creation.reply)
    return str(answer.get("id")) if isinstance(answer, dict) else ""


@check("read-after-create", "base", "A create does not store what was sent", needs=("create", "list", OWN_ID))
def read_after_create(central: Central) -> None:
    """Check all new integrations in one list; a read by id shows whether the create or the list is at fault."""
    sent: dict[str, Body] = {}
    creations: dict[str, Exchange] = {}
    for number, type in enumerate(central.creatable_types):
        full = with_every_field(central, type, number)
        id, body = central.standing(type) if central.reuses_integrations else central.created_from(full)
        sent[id], creations[id] = body, central.history[-1]
    found, listing = _whole_list(central), central.history[-1]
    doubtful = [id for id, body in sent.items() if not _shows(central, id, found.get(id), body)]
    richest = [id for id, body in sent.items() if "ecr" in body]  # the type with the most fields
    for id in dict.fromkeys([*doubtful, *richest, *central.some(sent, 1)]):
        reply = central.get(id)
        central.history = [creations[id], central.history[-1]]
        what = f"GET of a new integration of type {sent[id]['type']}"
        central.ok(reply, what)
        expected = read_answer(central.contract, sent[id], id)
        answer = with_masks(central.contract, reply.json)
        central.same(_sent_part(answer, sent[id]), _sent_part(expected, sent[id]), what)
    for id in doubtful:
        central.history = [creations[id], listing]
        what = f"GET shows a new integration of type {sent[id]['type']} as sent, but the list does not"
        raise CheckFailed(what, expected=sent[id], got=found.get(id), check="list-item-equals-read")
    own = central.transport.name_prefix
    names = [str(item.get("name")) for item in found.values()]
    central.history = [*list(creations.values())[-1:], listing]
    double = sorted({name for name in names if name.startswith(own) and names.count(name) > 1})
    central.true(not double, "a create stores more than one integration", expected=[], got=double)


def _whole_list(central: Central) -> dict[str, Any]:
    items = central.list().integrations
    if items is None:
        raise PreconditionFailed("list", "the list has no `integrations`")
    return {str(item.get("id")): item for item in items}


def _shows(central: Central, id: str, item: Any, sent: Body) -> bool:
    """Return whether an answer shows the values that were sent; other checks cover zero values and masks."""
    expected = read_answer(central.contract, sent, id)
    return bool(_sent_part(with_masks(central.contract, item), sent) == _sent_part(expected, sent))


def _sent_part(value: Any, sent: Any) -> Any:
    """Return only the fields of an answer that were sent."""
    if not isinstance(value, dict) or not isinstance(sent, dict):
        return value
    return {key: _sent_part(value.get(key), each) for key, each in sent.items() if each}


# -- deleting -------------------------------------------------------------------------------------


@check(
    "delete-answer",
    "base",
    "DELETE does not delete, deletes more than one, or is not answered {}",
    source=SERVICE,
    needs=("create", "read-after-create", "error-shape", "get-missing"),
)
def delete_answer(central: Central) -> None:
    for type in central.cases(central.some(central.creatable_types, 1, 6)):
        others = _unrelated(central)
        id, _ = central.created(type, autogenerated=True)
        deleted(central, id)
        reply = central.get(id)
        if reply.status == 200:
            raise CheckFailed("DELETE does not delete: GET still finds it", expected=404, got=brief(reply))
        central.refused_by(reply, "get-missing", "GET of a deleted integration", id=id)
        found = _whole_list(central)
        central.true(id not in found, "a deleted integration is still in the list", expected=None, got=found.get(id))
        _check_unchanged(central, found, others, "a DELETE")


# -- filtering ------------------------------------------------------------------------------------


@check(
    "list-by-name",
    "base",
    "The list by name does not return exactly the integration with that name",
    needs=("create", "read-after-create"),
)
def list_by_name(central: Central) -> None:
    id, sent = central.created()
    longer, _ = central.created(name=sent["name"] + "-More")
    name = sent["name"]
    central.same(filtered(central, f"?name={name}"), [id], "the list by name")
    central.same(filtered(central, f"?name={name}-More"), [longer], "the list by a longer name")
    others = [f"{name}-more", f"{name[:-1]}%25", f"%20{name}%20", f"{name[:-1]}*"]
    if not central.quick:
        others += [
            f"%20{name}",
            name[:-1],
            name[1:],
            name.upper(),
            f"{name}%20",
            f"{name}*",
            f'"{name}"',
            id,
            f"{name[:-1]}_",
            "no-such-name",
        ]
    for other in others:
        central.same(filtered(central, f"?name={other}"), [], f"the list by the name {other!r}")
    central.true({id, longer} <= set(filtered(central, "?name=")), "the list with an empty name is filtered")


# -- updating -------------------------------------------------------------------------------------


@check(
    "update",
    "base",
    "PUT or PATCH does not store what was sent, or changes another integration",
    source=SERVICE,
    needs=("create", "read-after-create", "list-by-name", "delete-answer"),
)
def update(central: Central) -> None:
    others = _unrelated(central)
    id, old = central.created()
    _whole_list(central)  # the list after the updates must not be a cached copy of this one
    for way in ("PUT", "PATCH"):
        config = {"endpoint": f"{way.lower()}.example.com", "username": f"user-of-{way}"}
        new = central.integration(docker=config) | ({"name": old["name"]} if way == "PATCH" else {})
        updated(central, way, id, new)
        reply = central.get(id)
        central.ok(reply, f"GET after {way}")
        if not _shows(central, id, reply.json, new):
            _raise_not_updated(central, way, (id, old, new), reply)
        old = new
    found = _whole_list(central)
    if not _shows(central, id, found.get(id), old):
        expected = read_answer(central.contract, old, id)
        raise CheckFailed("the list does not show an update that GET shows", expected=expected, got=found.get(id))
    _check_unchanged(central, found, others, "an update")
    own = f"{central.transport.name_prefix}{central.check}-"
    mine = {each: str(item.get("name")) for each, item in found.items() if each not in others}
    copies = [name for name in mine.values() if name.startswith(own)]
    central.same(copies, [old["name"]], "the names of this check's integrations after updates")
    reply = central.put(id, central.integration(categories=[]))
    if reply.status >= 400:
        kept = central.get(id)
        what = "a refused update is stored"
        central.true(_shows(central, id, kept.json, old), what, expected=old, got=brief(kept))


def _raise_not_updated(central: Central, way: str, states: tuple[str, Body, Body], reply: Reply) -> None:
    """Raise a failure that says whether the update or the read is at fault."""
    id, old, new = states
    read, history = reply.json, list(central.history)
    if _shows(central, id, _whole_list(central).get(id), new):
        what = f"GET after {way} shows the old state, but the list shows the new one"
    elif _shows(central, id, read, old):
        what, central.history = f"{way} stores nothing of the change", history
    else:
        what, central.history = f"{way} does not store what was sent", history
    expected = read_answer(central.contract, new, id)
    raise CheckFailed(what, expected=expected, got=with_masks(central.contract, read))


def _unrelated(central: Central) -> dict[str, Body]:
    """Return integrations that the check must not change: kept ones, or two new ones."""
    standing = {id: sent for id, sent, _ in central.shared.standing.values()}
    if central.shared.oldest is not None:
        id, sent, _ = central.shared.oldest
        standing[id] = sent
    if central.reuses_integrations:
        return standing
    new = (with_every_field(central, type, number) for number, type in enumerate(("docker", "quay")))
    return standing | dict(map(central.created_from, new))


def _check_unchanged(central: Central, found: Mapping[str, Any], others: Mapping[str, Body], what: str) -> None:
    for id, sent in others.items():
        if not _shows(central, id, found.get(id), sent):
            expected = read_answer(central.contract, sent, id)
            raise CheckFailed(f"{what} changes or removes another integration", expected=expected, got=found.get(id))


# Fields that `Central.integration` does not set.
MORE: Mapping[str, Body] = {
    # A registry uses only one of the two kinds of credentials.
    "quay": {"oauthToken": "", "registryRobotCredentials": {"username": "org+robot", "password": FRESH}},
    "ecr": {
        "useAssumeRole": True,
        "endpoint": "",
        "authorizationData": {"username": "AWS", "password": FRESH, "expiresAt": "2030-01-02T03:04:05Z"},
    },
    "azure": {"wifEnabled": True},
    "artifactregistry": {"wifEnabled": True},
}


def _full_and_minimal(central: Central, like: str) -> tuple[Body, Body]:
    """Return an integration with every field set, and one with as few fields as possible, all different."""
    known = central.contract.types[like]
    full = central.integration(
        like,
        **{known.member: fresh(central, MORE.get(like, {}))},
        categories=list(known.categories[:1]),
        autogenerated=True,
        clusterId="not a UUID",
        source=SOURCE,
    )
    least: Body = {
        "name": central.name(),
        "type": "nexus" if like == "docker" else like,
        "categories": list(known.categories[-1:]),
        known.member: {name: full[known.member][name] for name in NEEDED[like]},
        "skipTestIntegration": True,
    }
    return full, least


@check(
    "update-replaces",
    "base",
    "PUT or PATCH keeps parts of the integration that it replaces",
    needs=("create", "read-after-create", "update"),
)
def update_replaces(central: Central) -> None:
    """Check that an update keeps no unsent field, type or category of the old integration."""
    with central.case():
        (full, least), (other, nexus) = (_full_and_minimal(central, like) for like in ("quay", "docker"))
        id, reply = central.stored(other)
        central.ok(reply, "a create with every field set")
        steps = [("PATCH", nexus), ("PUT", full), ("PUT", least)]
        if not central.quick:
            steps += [("PATCH", other), ("PUT", nexus), ("PUT", full), ("PATCH", least)]
        for (_, old), (way, sent) in pairwise([("POST", other), *steps]):
            _check_replaced(central, way, id, old, sent)
    likes = [like for like in NEEDED if like in central.creatable_types and like not in ("docker", "quay")]
    for like in central.cases(central.some(likes, 0)):
        full, least = _full_and_minimal(central, like)
        id, _ = central.created_from(full)
        for way in ("PATCH", "PUT"):
            _check_replaced(central, way, id, full, least)
            _check_replaced(central, way, id, least, full)


def _check_replaced(central: Central, way: str, id: str, old: Body, sent: Body) -> None:
    updated(central, way, id, sent)
    what = f"type {sent['type']} after {way} over an integration with other fields"
    expected = read_answer(central.contract, sent, id)
    answer = with_masks(central.contract, central.get(id).json)
    before = read_answer(central.contract, old, id)
    central.same(_set_or_stale(answer, expected, before), _set_or_stale(expected, expected, before), what)


def _set_or_stale(value: Any, expected: Any, before: Any) -> Any:
    """Return the fields that should be set or have their old values; another check covers wrong zero values."""
    if not isinstance(value, dict):
        return value if expected or value == before else None
    fields = {name: _set_or_stale(each, _field(expected, name), _field(before, name)) for name, each in value.items()}
    return {name: each for name, each in fields.items() if each}


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


# -- testing --------------------------------------------------------------------------------------


@check("test", "base", "A test passes for an invalid integration, or fails for Scanner V4, which contacts nothing")
def test(central: Central) -> None:
    for where, send in central.cases(tests(central)):
        reply = send({"skipTestIntegration": True})
        if reply.status < 400:
            raise CheckFailed(f"{where} accepts an empty integration", expected={"status": 400}, got=brief(reply))
    with central.case():
        reply = central.test(central.integration("scannerv4"))
        central.ok(reply, "a test of type scannerv4, which contacts nothing,")
        central.same(reply.json, {}, "the answer to a test")
