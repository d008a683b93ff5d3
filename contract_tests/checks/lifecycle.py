"""State: reads return what was written, and nothing else changes."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from contract_tests.checks.base import created_id_of, keep_one, with_every_field
from contract_tests.checks.registry import LONGER, check
from contract_tests.engine.central import Central, brief
from contract_tests.engine.exchange import COLLECTION, Exchange
from contract_tests.engine.failures import CheckFailed, PreconditionFailed
from contract_tests.engine.integrations import SERVICE_ACCOUNT, UNKNOWN_TYPE, Body, masked
from contract_tests.oracle.model import check_listed, check_same, check_stored, differences, expected, listed
from contract_tests.oracle.steps import deleted, filtered, updated
from contract_tests.oracle.variants import DOCKER_TYPES, ENDPOINTS, UNTAGGED
from mock_server.contract.tables import MASK

ON_SOME_DEPLOYMENTS = ("useIam", "wifEnabled")
"""Flags that Central accepts only if its cloud supports them."""
WAYS = ("PATCH", "PUT")
UNTAGGED_TYPES = [like for like, _ in UNTAGGED]

# -- lists ----------------------------------------------------------------------------------------


@check(
    "list-holds-what-was-created",
    "lifecycle",
    "The list does not contain exactly what exists, as GET shows it",
    profiles=LONGER,
)
def list_holds_what_was_created(central: Central) -> None:
    sent = dict(central.created(type) for type in central.creatable_types)
    check_listed(central, sent, "the check's integrations in the list")
    for id, body in sent.items():
        check_stored(central, id, body, "a listed integration, read by id,")
    for gone in list(sent)[1:5]:
        deleted(central, gone)
        del sent[gone]
        check_listed(central, sent, "the list after a delete")
        central.refused_by(central.get(gone), "get-missing", "GET of a deleted integration", id=gone)


@check(
    "list-by-odd-name",
    "lifecycle",
    "The list by name misses a name with spaces, special characters or non-ASCII letters, or finds a former name",
    source="central/imageintegration/datastore/datastore_impl.go",
    needs=("unicode-kept", "name-unique"),
)
def list_by_odd_name(central: Central) -> None:
    for type in central.some(central.creatable_types, 1, 4):
        name = central.name(f" Ä&b=c+d%41\N{WHALE}{'x' * 300}")
        id, _ = central.spare(type, name=name)
        central.same(filtered(central, f"?name={quote(name, safe='')}"), [id], f"the list by name for type {type}")
    plus = quote(name, safe="").replace("%20", "+")
    central.same(filtered(central, f"?name={plus}"), [id], "the list by a name with a plus sign for a space")
    central.same(filtered(central, f"?name={plus}y"), [], "the list by a long name that differs at its end")
    updated(central, "PUT", id, central.integration(type))
    central.same(filtered(central, f"?name={plus}"), [], "the list by a former name")


@check("list-by-cluster", "lifecycle")
def list_by_cluster(central: Central) -> None:
    id, sent = central.standing("ibm")
    if not sent["clusterId"]:
        cluster = str(uuid.UUID(int=central.random.getrandbits(128), version=4))
        id, sent = central.created(clusterId=cluster, source={"clusterId": cluster})
    cluster = sent["clusterId"]
    for query in (f"?cluster={cluster}", "?cluster=x", f"?cluster={cluster}&name={sent['name']}"):
        central.same(filtered(central, query), [], f"the list by {query}")
    central.same(filtered(central, f"?cluster=&name={sent['name']}"), [id], "the list by an empty cluster")


@check("list-order", "lifecycle", "Two lists with no change between them differ in order")
def list_order(central: Central) -> None:
    lists = [filtered(central, "")]
    for _ in range(max(0, 5 - (len(lists[0]) if central.options.workers == 1 else 0))):
        central.created()
    lists += [filtered(central, "") for _ in range(1 if central.quick else 2)]
    # Ignore integrations that others create or delete in the meantime.
    common = set(lists[0]).intersection(*lists)
    orders = [[id for id in ids if id in common] for ids in lists]
    central.true(all(order == orders[0] for order in orders), "lists of the same integrations differ in order")


@check("many-kept", "lifecycle", "One of many integrations is lost, changed, or listed twice", alone=True)
def many_kept(central: Central) -> None:
    # More than a page of 20: `create` has already kept some, so a few more are enough.
    number = {"quick": 5 if central.reuses_integrations else 22, "default": 120, "deep": 300}[central.options.profile]
    number = min(number, central.options.max_live - 5)
    types = central.creatable_types
    bodies = [with_every_field(central, types[index % len(types)], index) for index in range(number)]
    replies = [central.create(body) for body in bodies]
    bad = [reply for reply in replies if reply.status != 200 or not reply.object.get("id")]
    if len(bad) == number:
        raise PreconditionFailed("create", f"a create was answered {brief(bad[0])}")
    if bad:
        what = f"{len(bad)} of {number} creates were refused"
        raise CheckFailed(what, expected={"status": 200}, got=brief(bad[0]), intermittent=True)
    ids = [str(reply.object["id"]) for reply in replies]
    central.same(len(set(ids)), number, "different ids")
    _check_all_listed(central, ids, dict(zip(ids, bodies, strict=True)))
    check_stored(central, ids[0], bodies[0], f"the first of {number} integrations")
    for id in ids:
        if central.quick:
            central.remove(id)
        else:
            deleted(central, id)
    what = f"the list after {number} deletes"
    check_same(listed(central), {}, what, check="list-holds-what-was-created" if central.quick else None)


def _check_all_listed(central: Central, ids: Sequence[str], sent: Mapping[str, Body]) -> None:
    """Check that the list holds these integrations; show the first three that are wrong, and their positions."""
    found, whole = listed(central), expected(central, sent)
    wrong = differences(found, whole)
    if not wrong:
        return
    places = [index for index, id in enumerate(ids, 1) if id in wrong]
    in_a_row = bool(places) and places[-1] - places[0] == len(places) - 1
    hows = "; ".join(sorted(set(wrong.values())))
    raise CheckFailed(
        f"{len(wrong)} of {len(ids)} integrations are not listed as sent: {hows}",
        expected={id: whole.get(id) for id in list(wrong)[:3]},
        got={"created as number": places, **{id: found.get(id) for id in list(wrong)[:3]}},
        intermittent=bool(places) and not in_a_row,
    )


# -- updates --------------------------------------------------------------------------------------


@check("update-read-back", "lifecycle", "A field that PUT or PATCH writes is not read back, or the id changes")
def update_read_back(central: Central) -> None:
    """Update all types at once, so that one list shows the effect of each update on every integration."""
    # A quick run updates the kept integrations, and keeps them afterwards.
    kept = dict(central.shared.standing) if central.reuses_integrations else {}
    types = list(kept) or central.some(central.creatable_types, 7)
    with central.case():
        ids: dict[str, str] = {}
        sent: dict[str, Body] = {}
        for type in types:
            ids[type], body = central.claim(type) or central.created_from(body_of_turn(central, type, 0))
            sent[ids[type]] = body
        for turn in (1,) if central.quick else (1, 2, 3, 4):
            # A quick run has one turn: it updates each type by either PUT or PATCH.
            first = central.random.randrange(2) if central.quick else turn
            ways = {type: WAYS[(first + index * central.quick) % 2] for index, type in enumerate(types)}
            for type, id in ids.items():
                sent[id] = body_of_turn(central, type, turn)
                if central.quick and type in UNTAGGED_TYPES:
                    reply = central.patch(id, sent[id], update_password=central.random.choice((False, None)))
                    what = f"PATCH of every field of type {type} is refused, although no credential depends on them"
                    if reply.status != 200:
                        raise CheckFailed(
                            what, expected={"status": 200}, got=brief(reply), check="reconcile-free-fields"
                        )
                    continue
                updated(central, ways[type], id, sent[id])
                if not central.quick:
                    check_stored(central, id, sent[id], f"type {type} after {ways[type]}")
            found = listed(central)
            wrong = differences(found, expected(central, sent))
            for type in [type for type, id in ids.items() if id in wrong]:
                _update_alone(central, type, ways[type], turn)
            try:
                check_same(found, expected(central, sent), "the list after an update of each type")
            except CheckFailed as error:
                error.intermittent = True  # each update alone succeeded
                raise
        for id, _, creation in kept.values():
            central.keep_again(id, sent[id], creation)
    for type in central.cases(types if not central.quick else ()):
        _check_switches(central, type)


def _update_alone(central: Central, type: str, way: str, turn: int) -> None:
    """Reproduce with few requests a failure that many requests found."""
    with central.case():
        id, _ = central.created_from(body_of_turn(central, type, turn - 1))
        body = body_of_turn(central, type, turn)
        updated(central, way, id, body)
        check_stored(central, id, body, f"type {type} after {way}")
        check_listed(central, {id: body}, f"type {type} in the list after {way}")


def _check_switches(central: Central, type: str) -> None:
    member = central.contract.types[type].member
    fields = central.contract.config_message(type).by_name
    for name in (name for name in ON_SOME_DEPLOYMENTS if name in fields):
        id, _ = central.created(type)
        body = central.integration(type, **{member: {name: True}})
        if central.put(id, body).status == 200:
            check_stored(central, id, body, f"type {type} with {name}")


def body_of_turn(central: Central, type: str, turn: int) -> Body:
    """Return the body of an update; every field differs from the previous turn's."""
    known = central.contract.types[type]
    choices = [list(known.categories[:1]), list(known.categories), list(known.categories[-1:])]
    cluster = f"00000000-0000-4000-8000-00000000000{turn}"
    body: Body = {
        "name": central.name(f"-turn{turn}"),
        "type": type,
        "categories": choices[turn % 3],
        known.member: _config_of_turn(central, type, turn),
        "autogenerated": turn % 2 == 1,
        "clusterId": cluster,
        "skipTestIntegration": True,
        "source": {"clusterId": cluster, "namespace": f"space{turn}", "imagePullSecretName": f"secret{turn}"},
    }
    if turn % 4 == 3:
        del body["source"], body["clusterId"]
    if "registryRobotCredentials" in body[known.member]:
        body["categories"] = ["REGISTRY"]
    return body


_ODD_TEXTS = {
    "registryId": "012345678901",
    "username": " Robot$ci:{} ",
    "project": "Example:{} ",
    "assumeRoleId": " arn:aws:iam::012345678901:role/{} ",
    "assumeRoleExternalId": " External/{} ",
}
"""Texts that a server may refuse or normalise."""


def _can_switch(central: Central, type: str, name: str) -> bool:
    """Return whether to set a flag: a quick run sets workload identity, which only google's scanner refuses."""
    return central.quick and name == "wifEnabled" and type != "google"


def _config_of_turn(central: Central, type: str, turn: int) -> Body:
    if turn % 4 == 2 and type == "quay":
        robot = {"username": f"robot{turn}", "password": central.secret()}
        return {"endpoint": "quay-robot.example.com", "registryRobotCredentials": robot}
    if turn % 4 == 2 and type == "ecr":
        data = {"username": "AWS", "password": central.secret(), "expiresAt": "2040-02-03T04:05:06Z"}
        return {"registryId": "222222222222", "region": "eu-west-2", "authorizationData": data}
    config: Body = {}
    for field in central.contract.config_message(type).fields:
        if field.message is not None or (
            field.name in ON_SOME_DEPLOYMENTS and not _can_switch(central, type, field.name)
        ):
            continue
        if field.kind == "bool":
            # A quick run has one turn: flags become false where no credential depends on them.
            config[field.name] = turn % 2 == 1 and not (central.quick and type in UNTAGGED_TYPES)
        elif field.kind == "int32":
            config[field.name] = 3 + turn
        elif field.scrub == "always":
            config[field.name] = central.secret()
            if field.name == "serviceAccount":
                config[field.name] = SERVICE_ACCOUNT % config[field.name]
        elif field.name == "endpoint" and type in DOCKER_TYPES:
            config[field.name] = ENDPOINTS[(DOCKER_TYPES.index(type) + turn) % len(ENDPOINTS)]
        else:
            odd = _ODD_TEXTS.get(field.name, "{}.example.com") if turn % 2 else "{}.example.com"
            config[field.name] = odd.format(f"{field.name.lower()}{turn}")
    if config.get("useAssumeRole"):
        del config["endpoint"]
    return config


@check("update-changes-one", "lifecycle", "An update also changes another integration", profiles=LONGER)
def update_changes_one(central: Central) -> None:
    for type in central.cases(central.some(central.creatable_types, 0, 6)):
        name = central.name()
        sent = dict(central.created(type, name=name + ending) for ending in ("", "-a", "-ab"))
        id = list(sent)[1]
        for way in ("PUT", "PATCH"):
            sent[id] = body_of_turn(central, type, 1 if way == "PUT" else 2) | {"name": sent[id]["name"]}
            updated(central, way, id, sent[id])
            check_listed(central, sent, f"three integrations of type {type} after {way} of the second one")


@check("reads-repeat", "lifecycle", "A repeated read or update has a different result")
def reads_repeat(central: Central) -> None:
    id, sent = central.spare("ecr")
    for _ in range(0 if central.quick else 2):
        check_stored(central, id, sent, "a repeated GET")
    for way in ("PUT",) if central.quick else ("PUT", "PUT", "PATCH"):
        updated(central, way, id, sent)
    check_stored(central, id, sent, "GET after a repeated update")
    if central.quick:
        return
    other = central.created("quay")
    for _ in range(2):
        check_listed(central, dict([(id, sent), other]), "the list after a repeated update")


@check("other-fields-kept", "lifecycle", "A field outside the config is not stored or cleared as sent")
def other_fields_kept(central: Central) -> None:
    source = {"clusterId": "c", "namespace": "n", "imagePullSecretName": "s"}
    extra: dict[str, Any] = {"autogenerated": True, "clusterId": "some-cluster", "source": source}
    id, sent = central.spare(**extra)
    if not central.quick:
        check_stored(central, id, sent, "a new integration with all fields set")
    changes: tuple[dict[str, Any], ...] = (
        {"autogenerated": False},
        {"clusterId": "another"},
        {"source": {"clusterId": "c2", "namespace": "", "imagePullSecretName": "s2"}},
        {"source": None},
        {"name": central.name()},
        {"autogenerated": True, "source": {}, "clusterId": ""},
    )
    if central.quick:
        changes = (changes[0] | changes[1] | changes[2],)
    for change in changes:
        sent = sent | change
        updated(central, "PUT", id, sent)
        check_stored(central, id, sent, f"after {change}")


# -- deletes and ids ------------------------------------------------------------------------------


@check("ids-not-reused", "lifecycle", "The id of a deleted integration is reused", needs=("name-unique",))
def ids_not_reused(central: Central) -> None:
    # A quick run checks the creates that it has already made; some of them follow deletes.
    creations = _creations(central) if central.quick else []
    body = central.integration()
    for _ in range(max(0, 2 - len(creations)) if central.quick else 8):
        id, _sent = central.created_from(body)
        creations.append((id, central.history[-1]))
        central.remove(id)
    first: dict[str, Exchange] = {}
    for id, creation in creations:
        if id in first:
            central.history = [first[id], creation]
        central.true(id not in first, "two integrations get the same id", expected="a new id", got=id)
        first[id] = creation


def _creations(central: Central) -> list[tuple[str, Exchange]]:
    """Return the creates of the run that were answered with an id."""
    sent = [each for each in central.transport.exchanges if (each.method, each.path) == ("POST", COLLECTION)]
    return [(id, each) for each in sent if each.status == 200 and (id := created_id_of(each))]


# -- tests and time -------------------------------------------------------------------------------


@check("test-stores-nothing", "lifecycle", needs=("stored-credentials-kept",))
def test_stores_nothing(central: Central) -> None:
    """Check that passing and failing tests of new and stored integrations store nothing, without contacting a registry.

    Central's test ignores an unknown category, so such a test passes for any type.
    """
    like = "ibm" if central.quick else "docker"
    with central.case():
        id, sent = central.spare(like)
        changed = body_of_turn(central, like, 1) | {"id": id, "skipTestIntegration": False}
        kept = masked(central.contract.integration, sent, "") | {"id": id, "autogenerated": True}
        passes = ("a test that contacts nothing", "registry-reachable")
        central.ok(central.test(central.integration("scannerv4")), passes[0], need=passes[1])
        reply = central.test_updated(central.integration("scannerv4"), update_password=True)
        central.ok(reply, passes[0], need=passes[1])
        if not central.quick:
            central.test(central.integration(type=UNKNOWN_TYPE))
        for body in central.some((changed | {"type": UNKNOWN_TYPE}, changed | {"categories": [7]}), 1):
            central.test(body)
            central.test_updated(body | {"name": central.name()}, update_password=True)
        for body in central.some((kept | {"type": UNKNOWN_TYPE}, kept | {"categories": [7]}), 1):
            central.test_updated(body | {"name": central.name(), "skipTestIntegration": False})
        check_listed(central, {id: sent}, "the list after tests")
        check_stored(central, id, sent, "an integration after a test with other values")
        if central.quick:
            central.ok(central.patch(id, kept), "PATCH that keeps a credential, after a test with that credential,")
            return
    with central.case():
        id, sent = central.created("ibm")
        kept = sent | {"id": id, "ibm": sent["ibm"] | {"apiKey": MASK}}
        central.ok(central.patch(id, kept), "PATCH that keeps a credential", need="stored-credentials-kept")
        central.test_updated(kept | {"categories": [7]})
        central.ok(central.patch(id, kept), "PATCH that keeps a credential, after a test with that credential,")


@check("unchanged-over-time", "latency", "An integration changes over time without an update")
def unchanged_over_time(central: Central) -> None:
    """Read the integration that `create` stored early in the run."""
    if central.shared.oldest is None:
        keep_one(central)
        time.sleep(1)
    assert central.shared.oldest is not None  # it was created just now
    id, sent, created = central.shared.oldest
    central.shared.oldest = None  # it is deleted below
    age = f"an integration that was created {time.monotonic() - created:.0f} s ago and not changed"
    check_stored(central, id, sent, age)
    central.same(filtered(central, f"?name={sent['name']}"), [id], f"{age}, in the list by its name")
    found = {each: item for each, item in listed(central).items() if each == id}
    check_same(found, expected(central, {id: sent}), f"{age}, in the list")
    deleted(central, id)
