"""Values: an answer shows the whole integration, and every value is stored as it was sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from contract_tests.checks.base import created_id_of, with_every_field
from contract_tests.checks.registry import SERVICE, check
from contract_tests.checks.validation import reads_as
from contract_tests.checks.wire import Stored, with_authorization
from contract_tests.engine.central import Central
from contract_tests.engine.integrations import SERVICE_ACCOUNT, Body, read_answer, with_masks
from contract_tests.oracle.model import check_same, expected, listed
from contract_tests.oracle.variants import ENDPOINTS
from mock_server.contract.tables import MASK, Message

SOURCE = {
    "clusterId": "F1F1E2D4-5A0C-4B8E-9F0A-2C7D1E6B3A90",
    "namespace": "payments",
    "imagePullSecretName": "registry-pull-secret",
}

# -- whole answers ------------------------------------------------------------------------------------


@check(
    "create-answer",
    "schema",
    "The answer to a create differs from the stored integration (apart from credentials)",
    source=SERVICE,
    needs=("categories-sorted", "zero-values-emitted"),
)
def create_answer(central: Central) -> None:
    """Check every field of every type; a quick run checks the answers to earlier creates."""
    for type in central.cases(central.creatable_types):
        id, sent = central.standing(type)
        if not central.reuses_integrations:
            central.remove(id)
            sent = with_every_field(central, type, len(type))
            central.create(sent)
        _check_answer(central, sent, type)
    with central.case():
        sent_before = central.transport.exchanges if central.quick else []
        made = [each for each in sent_before if (each.check, each.status) == ("categories-sorted", 200)]
        if made and made[0].method == "POST":
            central.history = made[:1]
            backwards: Body = json.loads(made[0].body)
        else:
            backwards = central.integration("quay", categories=["SCANNER", "REGISTRY"])
            central.create(backwards)
        _check_answer(central, backwards, f"{backwards['type']} with its categories in reverse order")


def _check_answer(central: Central, sent: Body, what: str) -> None:
    """Compare the answer to a create, the last request, with the body that was sent."""
    creation = central.history[-1]
    answer = with_masks(central.contract, creation.answer.json)
    expected = read_answer(central.contract, sent, created_id_of(creation))
    central.same(answer, expected, f"the answer to a create of type {what}")


def _with_sub_messages(central: Central) -> list[Body]:
    robot = {"username": "robot", "password": central.secret()}
    return [
        with_authorization(central, "2030-01-02T03:04:05.678Z") | {"source": dict(SOURCE)},
        central.integration("quay", quay={"oauthToken": None, "registryRobotCredentials": robot}),
    ]


@check(
    "answer-complete",
    "schema",
    "A read omits a field, or shows a config member that is not set",
    source="pkg/grpc/server.go",
    needs=("zero-values-emitted",),
)
def answer_complete(central: Central) -> None:
    bodies = _with_sub_messages(central)
    read = central.some(bodies, 1)
    # Check every type, because a list may omit one. One list covers them all.
    bodies += [central.integration(type) for type in central.some(central.creatable_types, 0)]
    ids, creations = [], []
    for body in bodies:
        ids.append(central.created_from(body)[0])
        creations.append(central.history[-1])
    central.shared.controls.add("authorization")
    listed = central.list().integrations
    listing = central.history[-1]
    found = {item.get("id"): item for item in listed or ()}
    for id, body, creation in (*zip(ids, bodies, creations, strict=True), *central.shared.standing.values()):
        central.history = [creation, listing]
        what = f"type {body['type']}"
        central.true(id in found, f"the list lacks an integration of {what}", expected=id, got=list(found))
        _check_complete(central, central.contract.integration, found[id], body, f"the list item of {what}")
        if body in read:
            reply = central.get(id)
            central.ok(reply, "GET of a new integration", need="read-after-create")
            _check_complete(central, central.contract.integration, reply.object, body, f"a read of {what}")


def _check_complete(
    central: Central, message: Message, answer: Mapping[str, Any], sent: Mapping[str, Any], what: str
) -> None:
    fields = [field for field in message.fields if not field.oneof or sent.get(field.name) is not None]
    shown = answer.keys() & message.by_name.keys()  # answer-schema covers unknown fields
    central.same(sorted(shown), sorted(field.name for field in fields), f"the fields of {what}")
    for field in fields:
        value, inner = answer[field.name], sent.get(field.name)
        where = f"{field.name} in {what}"
        if field.repeated:
            central.true(isinstance(value, list), where, expected="a list", got=value)
        elif inner is None and field.kind in ("message", "timestamp"):
            central.same(value, None, f"{where}, which is not set")
        elif field.message is not None and inner is not None:
            central.true(isinstance(value, dict), where, expected="an object", got=value)
            _check_complete(central, field.message, value, inner, where)
        else:
            central.true(value is not None, where, expected="a value", got=value)


@check("list-item-equals-read", "schema", "The list and a read show an integration differently", source=SERVICE)
def list_item_equals_read(central: Central) -> None:
    ids = [] if central.quick else [central.standing(type)[0] for type in central.some(central.creatable_types, 2, 2)]
    if not central.quick:
        long = central.create(_long(central, "docker", 300))
        ids += [str(long.object["id"])] if long.status == 200 else []
    found = {str(item.get("id")): item for item in central.list().integrations or ()}
    # Integrations of others have values that no run stores, such as skipTestIntegration false.
    foreign = [id for id, item in found.items() if not central.transport.ownership.is_named(item.get("name"))]
    foreign.sort(key=lambda id: found[id].get("skipTestIntegration") is True)
    if not ids and not foreign:
        ids = list(found)[:1]
    for id in [*ids, *foreign[: 1 if central.quick else 3]]:
        read = central.get(id).json
        # Others may have changed their integrations in the meantime.
        if id in ids or (read != found[id] and found[id] in (central.list().integrations or ())):
            central.same(found.get(id), read, f"the list item of {id}, compared with GET,")


@check(
    "read-without-gzip", "schema", "A plain answer to a read differs from the gzip answer", source="pkg/grpc/server.go"
)
def read_without_gzip(central: Central) -> None:
    id, sent = central.standing("ecr")
    if sent.get("source") is None:
        id, sent = central.created_from(with_every_field(central, "ecr", 0))
    packed = central.get(id)
    central.ok(packed, "GET with gzip", need="read-after-create")
    plain = central.get(id, headers={"Accept-Encoding": "identity"})
    central.same(plain.json, packed.json, "GET without gzip", masks=True)
    by_name = f"?name={sent['name']}"
    plain = central.list(by_name, headers={"Accept-Encoding": "identity"})
    central.same(plain.json, {"integrations": [packed.json]}, "the list by name without gzip", masks=True)
    if not central.quick:
        items = central.list(headers={"Accept-Encoding": "identity"}).integrations
        shown = items and [item for item in items if item.get("id") == id]
        central.same(shown, [packed.json], "the list without gzip", masks=True)


# -- values kept --------------------------------------------------------------------------------------

_ODD = {
    "quotes": '"a\' b\\ c/ \\" \\n \\u0041 `',
    "markup": "<b>&amp;</b> %41 ${x} {{x}}",
    "control characters": "a\tb\nc\rd\r\n\x01e\x1ff\x7fg\bh\fi",
    "composed and combined": "\u00e9 e\u0301 \u212b A\u030a \ufb01 \u01c5 \u00df \u0130",
    "other scripts": "\u65e5\u672c\u8a9e \u0627\u0644\u0639 \u05e2\u05d1 \u0e44\u0e17\u0e22",
    "four bytes": "\U0001f680 \U0001f468\u200d\U0001f469\u200d\U0001f467 \U00020000 \U0010fffd",
    "separators": "a\u2028b\u2029c\u0085d\u00a0e\ufefff\u200bg\u202eh",
    "spaces around": "  two blanks  ",
}


@check(
    "unicode-kept",
    "rules",
    "Text is not stored as sent: a character is lost, replaced, normalised or trimmed",
    source="protobuf-go encoding/protojson",
)
def unicode_kept(central: Central) -> None:
    stored = Stored(central, creates=True)
    for escaped in (True, False):
        _check_kept(stored, "unusual text", "".join(_ODD.values()), escaped=escaped)
    for what in central.some(_ODD, 0):
        _check_kept(stored, what, _ODD[what], escaped=central.random.random() < 0.5)


def _check_kept(stored: Stored, what: str, text: str, *, escaped: bool) -> None:
    central = stored.central
    body = central.integration(name=f"{central.name()} {text} ", clusterId=text, docker={"username": text})
    body["source"] = dict.fromkeys(SOURCE, text)
    sent = json.dumps(body, ensure_ascii=escaped).encode()
    stored.becomes(sent, body, f"{what}, {'escaped' if escaped else 'as UTF-8'}")


_LONGEST_NAME = 1000
"""Central indexes names in its database; an index entry must be shorter than 2,700 bytes."""


@check(
    "long-values-kept",
    "rules",
    "A long text, or the smallest or largest int32, is changed or refused",
    source="proto/storage/image_integration.proto",
)
def long_values_kept(central: Central) -> None:
    stored = Stored(central)
    for length in central.some((255, 256, 1000, 10_000), 0, 3):
        body = _long(central, "docker", length)
        stored.becomes(body, body, f"strings of {length} characters")
    for type in ["docker", *central.some(("ecr", "artifactregistry", "quay"), 0)]:
        # Together they exceed the 64 kB limit of some servers.
        body = _long(central, type, 20_000)
        stored.becomes(body, body, f"strings of 20000 characters in type {type}")
        if central.quick:  # in a default run `list-item-equals-read` covers this
            found = listed(central, f"?name={body['name']}")
            check_same(found, expected(central, {stored.id: body}), "listed long texts", check="list-item-equals-read")
    for number in (-(2**31), *central.some((2**31 - 1,), 0)):
        body = central.integration("clairify", clairify={"numConcurrentScans": number})
        stored.becomes(body, body, f"the number {number}")


def _long(central: Central, type: str, length: int) -> Body:
    """Return an integration in which each text has `length` characters, if Central allows that."""
    body = central.integration(type)
    member, fields = central.contract.types[type].member, central.contract.config_message(type).by_name
    config = {
        key: _stretched(key, value, length)
        for key, value in body[member].items()
        if fields[key].kind == "string" and fields[key].scrub != "always"
    }
    body["name"] += "x" * (min(length, _LONGEST_NAME) - len(body["name"]))
    source = dict.fromkeys(SOURCE, "s" * length)
    return body | {member: body[member] | config, "clusterId": "c" * length, "source": source}


def _stretched(key: str, value: str, length: int) -> str:
    filling = "/" if key == "endpoint" and "/" not in value else ""
    return (value + filling).ljust(length, "x")


_LONG_CREDENTIAL = 2300
"""Length in characters of a real service account with its key."""


@check(
    "long-credentials-kept",
    "rules",
    "A credential of more than 2 kB is refused or truncated",
    source="proto/storage/image_integration.proto",
    needs=("stored-credentials-kept",),
)
def long_credentials_kept(central: Central) -> None:
    """Check with a service account: truncated it is invalid JSON, so an update that keeps the stored one is refused."""
    for length in central.cases((_LONG_CREDENTIAL,) if central.quick else (_LONG_CREDENTIAL, 5000, 20_000)):
        account = SERVICE_ACCOUNT % (central.secret() + "x" * length)
        sent = central.integration("artifactregistry", google={"serviceAccount": account})
        id, reply = central.stored(sent)
        central.ok(reply, f"a service account of {len(account)} characters")
        kept = sent | {"google": sent["google"] | {"serviceAccount": MASK}}
        central.ok(central.patch(id, kept), f"PATCH that keeps a service account of {len(account)} characters")
    if central.quick:
        return
    for like, name in central.cases(
        (("docker", "password"), ("quay", "oauthToken"), ("ibm", "apiKey"), ("azure", "password"))
    ):
        body = central.integration(like, **{like: {name: central.secret() + "x" * 5000}})
        central.ok(central.create(body), f"a create of type {like} with a {name} of 5,000 characters")


_OF_THE_CLIENT = ("endpoint", "Endpoint", "region", "registryId")


@check(
    "texts-kept",
    "rules",
    "A text field loses or changes special characters, control characters or spaces",
    source="protobuf-go encoding/protojson",
    needs=("unicode-kept",),
)
def texts_kept(central: Central) -> None:
    """Check every text of every type except credentials, endpoints and texts from which a client is built."""
    text = " <b>&amp;'\"\t\x01 "
    # The most deeply nested texts are in a message inside the config.
    for type in central.cases(("quay",) if central.quick else central.creatable_types):
        body = with_every_field(central, type, 0)
        member = central.contract.types[type].member
        config = {
            field.name: text
            for field in central.contract.config_message(type).fields
            if field.kind == "string" and field.scrub != "always" and not field.name.endswith(_OF_THE_CLIENT)
        }
        body |= {member: body[member] | config, "clusterId": text, "source": dict.fromkeys(SOURCE, text)}
        if type == "quay":
            body["categories"] = ["REGISTRY"]
            robot = {"username": text, "password": central.secret()}
            body["quay"] = {"endpoint": "quay.example.com", "registryRobotCredentials": robot}
        id, reply = central.stored(body)
        central.ok(reply, f"type {type} with unusual texts")
        reads_as(central, id, body, f"texts of type {type}, read back,")


@check(
    "values-kept-exactly",
    "rules",
    "An endpoint, cluster id, source or flag is not stored as sent",
    source="pkg/endpoints/validate.go",
)
def values_kept_exactly(central: Central) -> None:
    stored = Stored(central)
    for number, endpoint in enumerate(central.some(ENDPOINTS, 1)):
        odd = number % 2 == 1
        body = central.integration(
            autogenerated=not odd,
            clusterId=SOURCE["clusterId"] if odd else "not a UUID",
            docker={"endpoint": endpoint, "insecure": odd},
        )
        body["source"] = None if odd else dict(SOURCE)
        stored.becomes(body, body, f"the endpoint {endpoint}, autogenerated {body['autogenerated']}")
