"""Credential disclosure: provoke situations in which a faulty target would show a credential.

Observers search every answer for unmasked credentials (`credentials-masked`, `credential-leak`). The checks here send
every credential of every type, in every state, in reads and in refused requests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from contract_tests.checks.reconcile import masked_body
from contract_tests.checks.registry import LONGER, check
from contract_tests.checks.validation import from_table, reads_as, untestable
from contract_tests.engine.central import Central, brief
from contract_tests.engine.exchange import COLLECTION, Reply
from contract_tests.engine.failures import CheckFailed, PreconditionFailed
from contract_tests.engine.integrations import UNKNOWN_TYPE, Body, read_answer
from contract_tests.oracle.observers import UNMASKED, credentials_of
from contract_tests.oracle.variants import AUTHORIZED, KEYLESS, PLAIN, ROBOTIC, VARIANTS, Variant
from mock_server.contract.tables import MASK, Message

# Empty and unsent credentials, for types that Central accepts without one.
WITHOUT: tuple[Variant, ...] = (
    ("docker", {"docker": {"password": ""}}),
    ("docker", {"docker": {"username": None, "password": None}}),
    ("quay", {"quay": {"oauthToken": ""}}),
    ("quay", {"quay": {"oauthToken": None}}),
    ("artifactregistry", {"google": {"serviceAccount": None, "wifEnabled": True}}),
    ("azure", {"azure": {"username": None, "password": None, "wifEnabled": True}}),
    ("azure", {"azure": {"password": "", "wifEnabled": True}}),
    AUTHORIZED,  # its keys are empty
)


def variants_of_every_type(central: Central) -> list[Variant]:
    """Return variants that together set every credential of every type; the first ones cover every config member."""
    types = [type for type in central.creatable_types if all(type != known for known, _ in VARIANTS)]
    return [*VARIANTS, ROBOTIC, AUTHORIZED, *((type, {}) for type in types)]


def check_masked(central: Central, integration: Body | None, sent: Body) -> None:
    """Check that the answer masks every credential, including those that were not sent."""
    if integration is None:
        raise PreconditionFailed("list-holds-what-was-created", "a created integration is not in the list")
    expected = dict(credentials_of(central.contract.integration, read_answer(central.contract, sent, "")))
    found = dict(credentials_of(central.contract.integration, integration))
    if found.keys() != expected.keys():
        raise PreconditionFailed(
            "answer-complete", f"credentials are shown at {sorted(found)}, not at {sorted(expected)}"
        )
    if found != expected:
        raise CheckFailed(UNMASKED, expected=expected, got=found, check="credentials-masked")


def by_name(central: Central, body: Body) -> Body | None:
    """Return an integration as the list filtered by name shows it."""
    items = central.list(f"?name={body['name']}").integrations
    return items[0] if items else None


# -- masks --------------------------------------------------------------------------------------------


@check("masks-everywhere", "secrets", "A read shows an unmasked credential after some operation")
def masks_everywhere(central: Central) -> None:
    variants = variants_of_every_type(central)
    members = len(PLAIN)
    if central.quick:  # `answer-complete` lists every type, with its nested credentials
        with central.case():
            _check_masked_after_writes(central, *VARIANTS[1])
        return
    with central.case():
        created = {}
        for like, changes in variants:
            id, sent = central.created_from(from_table(central, like, changes))
            created[id] = sent
        listed = central.listed()
        for id, sent in created.items():
            check_masked(central, listed.get(id), sent)
        for id, sent in created.items():
            check_masked(central, central.get(id).object, sent)
        for _, sent in list(created.items())[:4]:
            check_masked(central, by_name(central, sent), sent)
    for like, changes in central.cases(central.some(variants[: members + 2], 1, 3)):
        _check_masked_after_writes(central, like, changes)


def _check_masked_after_writes(central: Central, like: str, changes: Mapping[str, Any]) -> None:
    id, sent = central.spare_from(from_table(central, like, changes))
    if central.quick:  # other checks read integrations after an update
        check_masked(central, by_name(central, sent), sent)
    else:
        central.put(id, from_table(central, like, changes) | {"name": sent["name"]})
        check_masked(central, central.get(id).object, sent)
        central.patch(id, sent, update_password=True)
        check_masked(central, by_name(central, sent), sent)
        central.patch(id, masked_body(central, sent))
        check_masked(central, central.get(id).object, sent)
    central.put(id, from_table(central, like, changes) | {"name": ""})
    check_masked(central, central.get(id).object, sent)
    # The client cannot be built, so Central answers 500, but it stores the update.
    central.put(id, from_table(central, like, changes) | {"type": UNKNOWN_TYPE, "name": sent["name"]})
    check_masked(central, central.get(id).object, sent)
    check_masked(central, central.listed().get(id), sent)


@check("masks-empty", "secrets", "An empty credential is not shown as the mask")
def masks_empty(central: Central) -> None:
    for like, changes in central.cases(central.some(WITHOUT, 1)):
        id, sent = central.spare_from(from_table(central, like, changes))
        check_masked(central, central.get(id).object, sent)
    # An update stores even an integration whose client cannot be built.
    needed: tuple[Variant, ...] = (("ibm", {"apiKey": ""}), ("ecr", KEYLESS))
    for like, changes in central.cases(central.some(needed, 0)):
        id, sent = central.created(like)
        emptied = sent | {like: sent[like] | changes}
        central.put(id, emptied)
        check_masked(central, central.get(id).object, emptied)


@check("mask-tells-nothing", "secrets", "The mask depends on the credential, such as on its length", profiles=LONGER)
def mask_tells_nothing(central: Central) -> None:
    secrets = ("x", "6chars", "*", MASK, MASK * 2, " ", "\u00e9\u65e5\U0001f680", central.secret() * 100)
    id, sent = central.created()
    for password in central.some(secrets, 1):
        body = sent | {"docker": sent["docker"] | {"password": password}}
        central.ok(central.put(id, body), "a PUT with another password", need="update-replaces")
        check_masked(central, central.get(id).object, body)


@check("others-not-masked", "secrets", "The mask hides a value that is not a credential")
def others_not_masked(central: Central) -> None:
    for like, changes in central.cases(central.some([VARIANTS[1], VARIANTS[2], ROBOTIC, AUTHORIZED], 1)):
        # The mask is ordinary text in a field that is not a credential.
        id, sent = central.spare_from(from_table(central, like, changes | {"clusterId": MASK}))
        reads_as(central, id, sent, f"GET of type {like} with a nested message in its config")
    if not central.quick:
        with central.case():
            id, sent = central.created(docker={"username": MASK}, clusterId=MASK)
            sent["docker"]["password"] = MASK
            central.ok(central.patch(id, sent), "a PATCH that changes nothing", need="stored-credentials-kept")
            reads_as(central, id, sent, "a user name of asterisks, read back,")


@check(
    "masking-stores-nothing",
    "secrets",
    "A read replaces the stored credential with the mask",
    needs=("credentials-replaced",),
)
def masking_stores_nothing(central: Central) -> None:
    # The mask is not a valid service account, so a google config shows the fault; others show a lost credential.
    variants: Sequence[Variant] = (("ibm", {}), ("azure", {}), ("ecr", {}), ROBOTIC)
    for like, changes in central.cases([("artifactregistry", {}), *central.some(variants, 0)]):
        id, sent = central.spare_from(from_table(central, like, changes))
        central.get(id)
        central.list(f"?name={sent['name']}")
        reply = central.patch(id, masked_body(central, sent))
        if reply.status == 200:
            central.get(id)
            reply = central.patch(id, masked_body(central, sent, ""))
        if reply.status != 200:
            _raise_if_read_is_to_blame(central, like, changes, reply)


def _raise_if_read_is_to_blame(central: Central, like: str, changes: Mapping[str, Any], refusal: Reply) -> None:
    """Raise a failure that blames the read if the update succeeds without a read before it."""
    id, sent = central.created_from(from_table(central, like, changes))
    for credential in (MASK, ""):
        reply = central.patch(id, masked_body(central, sent, credential))
        central.ok(reply, "a PATCH with stored credentials", need="stored-credentials-kept")
    raise CheckFailed(
        f"a read makes the stored credential of type {like} invalid",
        expected={"status": 200},
        got=brief(refusal),
    )


# -- refusals -----------------------------------------------------------------------------------------

Refused = Callable[[Central, str, Body, Body], Reply]
"""Sends a request that must be refused; arguments: the id of an integration, the body sent for it, and a new body."""


def _with_config(body: Body, **changes: Any) -> Body:
    member = next(name for name, value in body.items() if isinstance(value, dict) and "endpoint" in value)
    return body | {member: body[member] | changes}


def _two_members(body: Body) -> Body:
    other = "clair" if "clair" not in body else "clairV4"
    return body | {other: {"endpoint": "https://clair.example.com"}}


def _cut(body: Body) -> bytes:
    return json.dumps(body).encode()[:-1]


def _twice(body: Body) -> bytes:
    return _cut(body) + b', "name": "again"}'


REFUSED: dict[str, Refused] = {
    "a name that is in use": lambda central, _, sent, new: central.create(new | {"name": sent["name"]}),
    "no name": lambda central, id, _, new: central.put(id, new | {"name": ""}),
    "no category": lambda central, id, _, new: central.patch(id, new | {"categories": []}, update_password=True),
    "an id": lambda central, id, _, new: central.create(new | {"id": id}),
    "a local endpoint": lambda central, _, __, new: central.create(_with_config(new, endpoint="https://localhost")),
    "an endpoint that is not a URL": lambda central, id, _, new: central.put(id, _with_config(new, endpoint="a b")),
    "an unknown type": lambda central, _, __, new: central.create(new | {"type": UNKNOWN_TYPE}),
    "an unknown type, tested": lambda central, _, __, new: central.test(new | {"type": UNKNOWN_TYPE}),
    "a category that the type does not have": lambda central, _, __, new: central.create(untestable(central, new)),
    "the member of another type": lambda central, _, __, new: central.create(
        new | {"type": "clair", "categories": ["SCANNER"]}
    ),
    "no endpoint": lambda central, _, __, new: central.create(_with_config(new, endpoint="", region="", registryId="")),
    "an unknown id": lambda central, _, __, new: central.put(central.unknown_id(), new),
    "credentials without updatePassword": lambda central, id, sent, new: central.patch(
        id, new | {"name": sent["name"]}
    ),
    "credentials without updatePassword, tested": lambda central, id, sent, new: central.test_updated(
        new | {"id": id, "name": sent["name"]}
    ),
    "another endpoint with stored credentials": lambda central, id, sent, _: central.patch(
        id, _with_config(masked_body(central, sent), endpoint="other.example.com")
    ),
    "another member with stored credentials": lambda central, id, sent, _: central.patch(
        id, {name: value for name, value in sent.items() if not isinstance(value, dict)} | {"clair": {"endpoint": "c"}}
    ),
    "a value of the wrong kind": lambda central, _, __, new: central.create(new | {"skipTestIntegration": "yes"}),
    "two config members": lambda central, id, _, new: central.put(id, _two_members(new)),
    "a list as the name": lambda central, _, __, new: central.create(new | {"name": []}),
    "half a body": lambda central, _, __, new: central.create(body=_cut(new)),
    "two names": lambda central, id, _, new: central.put(id, body=_twice(new)),
    "the wrong method": lambda central, _, __, new: central.send("PUT", COLLECTION, value=new),
    "the wrong path": lambda central, _, __, new: central.send("POST", "/v1/nothing", value=new),
}


@check("refusals-silent", "secrets", "An error shows a credential that was sent")
def refusals_silent(central: Central) -> None:
    variants = variants_of_every_type(central)[: len(PLAIN) + 2]
    for like, changes in central.cases(central.some(variants, 1, 2)):
        id, sent = central.spare_from(from_table(central, like, changes))
        for send in central.some(REFUSED.values(), 4):
            send(central, id, sent, from_table(central, like, changes))


def _places(message: Message, place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the place of each credential in a message."""
    for field in message.fields:
        if field.scrub == "always":
            yield (*place, field.name)
        elif field.message is not None:
            yield from _places(field.message, (*place, field.name))


def _wrong(place: Iterable[str], value: Any) -> Body:
    """Return a body with only this value, at its place."""
    body: Any = value
    for name in reversed(list(place)):
        body = {name: body}
    return dict(body)


@check(
    "credential-in-error",
    "secrets",
    "The error for a credential that is not a string shows it",
    source="protobuf-go encoding/protojson/decode.go",
)
def credential_in_error(central: Central) -> None:
    places = list(_places(central.contract.integration))
    shown_in: list[str] = []
    hidden_in: list[str] = []
    for place in central.cases(central.some(places, 3, len(places))):
        digits = _digits(central)
        # protobuf's own decoder shows numbers in its errors.
        number = int(digits) if central.random.random() < 0.5 else float(f"0.{digits}")
        found = _shows(central, place, number, digits)
        (shown_in if found else hidden_in).append(".".join(place))
    if shown_in:
        which = "every" if not hidden_in else "a"
        raise CheckFailed(
            f"{which} refusal of a number shows the credential",
            expected={"six asterisks or nothing for": shown_in + hidden_in},
            got={"the credential for": shown_in},
        )
    for place in central.cases(central.some(places, 0, 2)):
        digits = _digits(central)
        value: Any = central.random.choice([[digits], {"value": digits}, [int(digits)]])
        if _shows(central, place, value, digits):
            raise CheckFailed(
                "the error for a list or an object shows the credential in it",
                expected="six asterisks or nothing",
                got={"the credential for": ".".join(place)},
            )


def _digits(central: Central) -> str:
    """Return ten digits that start and end with a non-zero digit, so that no number format shortens them."""
    return f"{central.random.randrange(10**8, 10**9)}{central.random.randrange(1, 10)}"


def _shows(central: Central, place: tuple[str, ...], value: Any, digits: str) -> bool:
    """Return whether the error for a value shows it."""
    body = _wrong(place, value) | {"name": central.name()}
    method, path, wrap = central.random.choice(
        [
            ("POST", "", False),
            ("PUT", f"/{central.unknown_id()}", False),
            ("PATCH", f"/{central.unknown_id()}", True),
            ("POST", "/test", False),
            ("POST", "/test/updated", True),
        ]
    )
    reply = central.send(method, COLLECTION + path, value={"config": body} if wrap else body)
    if reply.status != 400:
        raise PreconditionFailed("field-value", f"{'.'.join(place)} of a wrong type was answered {brief(reply)}")
    return any(digits in text for text in (reply.text, *reply.headers.values()))
