"""Stored credentials: which changes an update may make without sending the credentials again.

The contract's `x-scrub` marks the credentials and the fields on which they depend.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from contract_tests.checks.registry import SERVICE, check
from contract_tests.checks.validation import check_only_stored, from_table, is_managed, reads_as, untestable
from contract_tests.engine.central import Central, brief
from contract_tests.engine.exchange import COLLECTION, Reply
from contract_tests.engine.failures import CheckFailed, PreconditionFailed
from contract_tests.engine.integrations import (
    Body,
    masked,
    member_of,
    read_answer,
    value_at,
    with_value,
    without,
    without_credentials,
)
from contract_tests.engine.options import is_loopback
from contract_tests.oracle.steps import updates
from contract_tests.oracle.variants import (
    AUTHORIZED,
    BOTH,
    DATA,
    PLAIN,
    ROBOT,
    ROBOTIC,
    SOURCE,
    UNTAGGED,
    VARIANTS,
    Variant,
)
from mock_server.contract.tables import MASK, Field, Message

_KEEPING = ("update-password-default", "reconcile-credential-masked")
"""Checks that each rule of updates without credentials needs."""


class Spot(NamedTuple):
    """A field of an integration: its place in the JSON, and its path in Central's errors."""

    place: tuple[str, ...]
    field: Field
    path: str

    def __str__(self) -> str:
        return ".".join(self.place)


def masked_body(central: Central, sent: Body, credential: str = MASK) -> Body:
    """Return the body that a client sends if it does not know the credentials."""
    return masked(central.contract.integration, sent, credential)


def spots(central: Central, body: Body) -> Iterator[Spot]:
    """Yield each field of the config of a body, including those of nested messages."""
    integration = central.contract.integration
    member = integration.by_name[str(member_of(central.contract, body))]
    assert member.message is not None  # a config member is a message
    start = f"{integration.go_name}.{integration.go_name}_{member.go_name}.{member.message.go_name}"
    yield from _spots(member.message, body[member.name], (member.name,), start)


def _spots(message: Message, value: Body, place: tuple[str, ...], path: str) -> Iterator[Spot]:
    for field in message.fields:
        yield Spot((*place, field.name), field, f"{path}.{field.go_name}")
        inner = value.get(field.name)
        if field.message is not None and isinstance(inner, dict):
            yield from _spots(field.message, inner, (*place, field.name), f"{path}.{field.message.go_name}")


def other_values(spot: Spot, value: Any) -> list[Any]:
    """Return values that differ from the stored one: the first completely, the others slightly."""
    if spot.field.kind == "bool":
        return [not value]
    if spot.field.kind == "int32":
        return [(value or 0) + 1]
    text = str(value or "")
    if "endpoint" in spot.field.name.lower():
        # A slightly different value may still lead to another host, or to the same host without TLS.
        little = [f"{text}/", f"https://{text}", text.swapcase(), f"{text}:444"]
        return ["other.example.com", *little, "", None, f"http://{text}"]
    return ["other", f"{text} ", text.swapcase(), "", None]


class Stored:
    """An integration that becomes one variant after another."""

    def __init__(self, central: Central, id: str = "", sent: Body | None = None) -> None:
        """`id` and `sent`: a kept integration, for updates that must be refused."""
        self.central = central
        self.id = id
        self.sent: Body = sent or {}
        self._is_kept = id != ""

    def become(self, variant: Variant) -> Body:
        """Create or replace the integration, and return the body that was sent."""
        like, changes = variant
        if not self.id:
            self.id, self.sent = self.central.spare_from(from_table(self.central, like, changes))
        else:
            self.sent = from_table(self.central, like, changes)
            self.central.ok(self.central.put(self.id, self.sent), f"PUT of type {like}", need="update-replaces")
        return self.sent

    def refuses(self, body: Body, what: str, rule: str, **values: object) -> None:
        """Check that a rule refuses an update that keeps the credentials; the update also changes the name."""
        flag = self.central.random.choice((False, None))
        with self.central.attempt():
            reply = self.central.patch(self.id, body | {"name": self.central.name()}, update_password=flag)
            if self._is_kept and reply.status == 200:
                self.central.claim(self.sent["type"])  # other checks must not reuse it, because it has changed
            self._check_refused(body, reply, f"PATCH, updatePassword {_flag_text(flag)}, {what}", rule, values)

    def refuses_test(self, body: Body, what: str, rule: str, **values: object) -> None:
        """Check that a rule refuses a test with the stored credentials; an accepted test contacts nothing."""
        flag = self.central.random.choice((False, None))
        with self.central.attempt():
            body = untestable(self.central, body) | {"id": self.id}
            reply = self.central.test_updated(body, update_password=flag)
            self._check_refused(body, reply, f"/test/updated, updatePassword {_flag_text(flag)}, {what}", rule, values)

    def _check_refused(self, body: Body, reply: Reply, what: str, rule: str, values: Mapping[str, object]) -> None:
        """Check that the rule refused a request, and not because of a field on which no credential depends."""
        central, text = self.central, self.central.text(rule, **values)
        self._raise_if_free_field(body, reply, text)
        if not is_managed(central, reply):
            central.refused(reply, what, text=text)

    def _raise_if_free_field(self, body: Body, reply: Reply, text: str) -> None:
        """Raise a failure if the error names a field on which no credential depends, such as the name."""
        central = self.central
        start = central.text("reconcile-dependent-unchanged", field="").partition("'")[0]
        found = re.search(re.escape(start) + "'([^']*)'", reply.message)
        if found is None or text in reply.message or member_of(central.contract, body) is None:
            return
        dependent = {spot.path for spot in spots(central, body) if spot.field.scrub == "dependent"}
        if found[1] not in dependent:
            what = f"{found[1]} cannot be changed without credentials, although none depends on it"
            raise CheckFailed(what, expected=text, got=brief(reply), check="reconcile-free-fields")

    def check_unchanged(self) -> None:
        """Check that refused updates stored nothing. A quick run skips this."""
        if not self.central.quick:
            reads_as(self.central, self.id, self.sent, "an integration after refused updates")


def _flag_text(flag: bool | None) -> str:
    return "missing" if flag is None else "false"


def each_stored(central: Central, variants: Sequence[Variant]) -> Iterator[tuple[Stored, Body]]:
    """Yield each variant after storing it. A quick run stores them one after another in the same integration."""
    if central.quick:
        with central.case():
            stored = Stored(central)
            for variant in variants:
                yield stored, stored.become(variant)
        return
    for variant in central.cases(variants):
        stored = Stored(central)
        yield stored, stored.become(variant)


def each_kept(central: Central, variants: Sequence[Variant]) -> Iterator[tuple[Stored, Body]]:
    """Yield each variant, and check that it is unchanged afterwards; a quick run uses the kept integrations."""
    more = []
    for like, changes in variants:
        if central.reuses_integrations and not changes and like in central.shared.standing:
            with central.case():
                stored = Stored(central, *central.standing(like))
                yield stored, stored.sent
        else:
            more.append((like, changes))
    for stored, sent in each_stored(central, more):
        yield stored, sent
        stored.check_unchanged()


# -- before the comparison ----------------------------------------------------------------------------


@check("reconcile-needs-id", "rules", needs=("test-stores-nothing",))
def reconcile_needs_id(central: Central) -> None:
    # Control: the same test passes if it needs no stored credentials.
    body = central.integration("scannerv4")
    central.ok(central.test_updated(body, update_password=True), "a test that contacts nothing", need="test")
    for flag in central.some((False, None), 1):
        like, _ = central.random.choice(PLAIN)
        hidden = untestable(central, masked_body(central, central.integration(like)))
        for each in central.cases(central.some((body, hidden), 1)):
            reply = central.test_updated(each, update_password=flag)
            what = f"/test/updated of type {each['type']} without an id, updatePassword {_flag_text(flag)}"
            central.refused_by(reply, "reconcile-needs-id", what)


@check("reconcile-needs-config", "rules", needs=_KEEPING)
def reconcile_needs_config(central: Central) -> None:
    for stored, sent in each_kept(central, central.some((*PLAIN, *UNTAGGED), 1, 1)):
        member = str(member_of(central.contract, sent))
        for body in central.some((without(member, sent), sent | {member: None}), 1):
            stored.refuses(body, "without a config member", "reconcile-needs-config")
            if not central.quick:
                stored.refuses_test(body, "without a config member", "reconcile-needs-config")


# -- comparison field by field --------------------------------------------------------------------------


@check("reconcile-same-member", "rules", needs=(*_KEEPING, "reconcile-dependent-unchanged"))
def reconcile_same_member(central: Central) -> None:
    members = {like: str(member_of(central.contract, central.integration(like))) for like, _ in (*PLAIN, *UNTAGGED)}
    go_names = {field.name: field.go_name for field in central.contract.integration.members}
    for stored, sent in each_kept(central, central.some((*PLAIN, *UNTAGGED), 1, 4)):
        mine = members[sent["type"]]
        likes = [like for like, member in members.items() if member != mine and (like, mine) != ("azure", "docker")]
        for like in central.some(likes, 2, 2):
            other = masked_body(central, central.integration(like))
            if "endpoint" in sent[mine]:
                # The two bodies are as similar as possible: only the config member differs.
                other[members[like]]["endpoint"] = sent[mine]["endpoint"]
            rest = without(mine, sent)
            names = {"sent": go_names[members[like]], "stored": go_names[mine]}
            for type in central.some((like, sent["type"]), 1):
                body = rest | {members[like]: other[members[like]], "type": type}
                what = f"of a {mine} member, as type {type} with a {members[like]} member"
                stored.refuses(body, what, "reconcile-same-member", **names)


@check("reconcile-dependent-unchanged", "rules", needs=(*_KEEPING, "credentials-replaced"))
def reconcile_dependent_unchanged(central: Central) -> None:
    turns = dict.fromkeys((True, False), central.random.randrange(len(PLAIN)))
    for stored, sent in each_kept(central, PLAIN):
        kept = masked_body(central, sent, central.random.choice((MASK, "")))
        for spot in spots(central, sent):
            if spot.field.scrub != "dependent":
                continue
            values = other_values(spot, value_at(sent, spot.place))
            if central.quick:  # every type has an endpoint, so each value is tried with one type
                few, is_endpoint = values[: len(PLAIN)], spot.field.name == "endpoint"
                turns[is_endpoint] += 1
                values = [few[turns[is_endpoint] % len(few)]]
            for value in values:
                body, what = with_value(kept, spot.place, value), f"that changes only {spot} to {value!r}"
                stored.refuses(body, what, "reconcile-dependent-unchanged", field=spot.path)
    if central.quick:
        return
    # Flags that are set, and empty fields.
    turned: tuple[Variant, ...] = (
        ("azure", {"azure": {"wifEnabled": True, "username": ""}}),
        ("docker", {"docker": {"endpoint": "", "username": ""}}),
        ("ecr", {"ecr": {"useIam": True, "endpoint": ""}}),
    )
    for like, changes in central.cases(turned):
        sent = from_table(central, like, changes)
        id, reply = central.stored(sent)
        if is_managed(central, reply):
            continue
        central.ok(reply, f"storing type {like}", need="odd-combinations")
        stored = Stored(central, id, sent)
        for spot in spots(central, sent):
            if spot.field.scrub == "dependent":
                value = other_values(spot, value_at(sent, spot.place))[0]
                body = with_value(masked_body(central, sent), spot.place, value)
                what = f"that changes only {spot} to {value!r}"
                stored.refuses(body, what, "reconcile-dependent-unchanged", field=spot.path)
        stored.check_unchanged()


@check("reconcile-credential-masked", "rules", needs=("update-password-default",))
def reconcile_credential_masked(central: Central) -> None:
    turn = 0
    for stored, sent in each_kept(central, VARIANTS):
        for spot in spots(central, sent):
            if spot.field.scrub != "always":
                continue
            right = value_at(sent, spot.place)
            values = [right or central.secret(), "*****", "*******", central.secret(), f"{MASK} ", " "]
            few = [values[turn % len(values)]] if central.quick else values
            turn += 1
            for value in few:
                body = with_value(masked_body(central, sent), spot.place, value)
                what = "the right credential" if value == right else f"{value!r}" if "*" in value else "a credential"
                stored.refuses(body, f"with {what} in {spot}", "reconcile-credential-masked", field=spot.path)


@check("reconcile-message-kept", "rules", needs=(*_KEEPING, "null-is-absent"))
def reconcile_message_kept(central: Central) -> None:
    paths = {"source": "ImageIntegration.Source"}
    for stored, sent, places in _with_messages(central):
        paths |= {str(spot): spot.path for spot in spots(central, sent)}
        for place in places:
            body = with_value(masked_body(central, sent), tuple(place.split(".")), None)
            stored.refuses(body, f"without the stored {place}", "reconcile-message-kept", field=paths[place])
        stored.check_unchanged()


def _with_messages(central: Central) -> Iterator[tuple[Stored, Body, tuple[str, ...]]]:
    """Yield integrations that contain nested messages, with the places of these messages."""
    robotic = (ROBOTIC[0], ROBOTIC[1] | {"source": SOURCE})
    for stored, sent in each_stored(central, central.some((robotic, AUTHORIZED), 1)):
        places = ("source", "quay.registryRobotCredentials")
        yield stored, sent, places if "quay" in sent else ("ecr.authorizationData", "ecr.authorizationData.expiresAt")


@check("reconcile-message-not-added", "rules", needs=_KEEPING)
def reconcile_message_not_added(central: Central) -> None:
    half: Variant = ("ecr", {"ecr": {"authorizationData": {"username": "AWS"}}})
    for stored, sent in each_stored(
        central, (*central.some((("docker", {}), half), 0), *central.some((("quay", {}), ("ecr", {})), 1))
    ):
        messages: dict[str, list[Any]] = {"source": [SOURCE, {}]}
        if "quay" in sent:
            messages["quay.registryRobotCredentials"] = [{"username": "org+robot", "password": MASK}, {}]
        elif "ecr" in sent and "authorizationData" in sent["ecr"]:
            messages["ecr.authorizationData.expiresAt"] = [DATA["expiresAt"]]
        elif "ecr" in sent:
            messages["ecr.authorizationData"] = [DATA | {"password": MASK}, {}]
        if central.quick and "ecr" in sent:
            del messages["source"]
        for place, values in messages.items():
            for value in central.some(values, 1):
                body = with_value(masked_body(central, sent), tuple(place.split(".")), value)
                stored.refuses(body, f"with a {place} although none is stored", "reconcile-message-not-added")
        stored.check_unchanged()


@check(
    "reconcile-free-fields",
    "rules",
    "A field that no credential depends on cannot be changed without credentials",
    source="pkg/secrets/reconcile.go",
    needs=_KEEPING,
)
def reconcile_free_fields(central: Central) -> None:
    for stored, sent in each_stored(central, central.some((*VARIANTS, *UNTAGGED), 0)):
        body = masked_body(central, sent) | {
            "name": central.name(),
            "autogenerated": True,
            "clusterId": "another-cluster",
        }
        body = _with_free_fields_changed(central, sent, body)
        central.ok(central.patch(stored.id, body), f"PATCH of the free fields of {sent['type']}")
        reads_as(central, stored.id, body, f"type {sent['type']} after a PATCH that kept its credentials")
    for stored, sent in each_stored(central, (("docker", {"source": SOURCE}),)):
        body = masked_body(central, sent) | {"type": "artifactory", "source": SOURCE | {"namespace": "other"}}
        body = with_value(body, ("docker", "insecure"), False)
        body |= {"name": central.name(), "autogenerated": True, "clusterId": "another-cluster"}
        central.ok(central.patch(stored.id, body), "PATCH of the source and to a type with the same member")
        reads_as(central, stored.id, body, "type and source after a PATCH that kept the credentials")
    for stored, sent in each_stored(central, central.some((("quay", {}),), 0)):
        body = masked_body(central, sent) | {"categories": BOTH[::-1]}
        central.ok(central.patch(stored.id, body), "PATCH of other categories")
        reads_as(central, stored.id, body, "categories after a PATCH that kept the credentials")


def _with_free_fields_changed(central: Central, sent: Body, body: Body) -> Body:
    """Return a copy of `body` with other values in the fields of the config on which no credential depends."""
    for spot in spots(central, sent):
        # AssumeRole excludes an endpoint; another rule covers that.
        free = not spot.field.scrub and not spot.field.message and spot.field.kind != "timestamp"
        if free and spot.field.name != "useAssumeRole":
            body = with_value(body, spot.place, other_values(spot, value_at(sent, spot.place))[0])
    return body


# -- the same rules for tests ----------------------------------------------------------------------------


@check(
    "reconcile-on-test",
    "rules",
    "/test/updated does not apply a rule about stored credentials",
    source=SERVICE,
    needs=(
        "test-ignores-skip",
        "reconcile-dependent-unchanged",
        "reconcile-credential-masked",
        "reconcile-same-member",
        "reconcile-message-kept",
        "reconcile-message-not-added",
    ),
)
def reconcile_on_test(central: Central) -> None:
    for stored, sent in each_stored(central, (VARIANTS[0], *central.some(VARIANTS[2:], 0))):
        kept = masked_body(central, sent)
        for spot in spots(central, sent):
            if spot.field.scrub == "dependent":
                body = with_value(kept, spot.place, other_values(spot, value_at(sent, spot.place))[0])
                what = f"that changes only {spot}"
                stored.refuses_test(body, what, "reconcile-dependent-unchanged", field=spot.path)
            elif spot.field.scrub == "always" and not central.quick:
                body = with_value(kept, spot.place, central.secret())
                what = f"with a credential in {spot}"
                stored.refuses_test(body, what, "reconcile-credential-masked", field=spot.path)
        stored.check_unchanged()
    if central.options.allow_registry_tests or is_loopback(central.transport.base):
        _check_test_uses_stored_password(central)
    for stored, sent in each_stored(central, (VARIANTS[1],)):
        kept = masked_body(central, sent)
        path = "ImageIntegration.ImageIntegration_Quay.QuayConfig"
        body = with_value(kept, ("quay", "registryRobotCredentials", "password"), central.secret())
        password = f"{path}.QuayConfig_RobotAccount.Password"
        stored.refuses_test(body, "with a credential", "reconcile-credential-masked", field=password)
        if not central.quick:
            body, field = (
                with_value(kept, ("quay", "registryRobotCredentials"), None),
                f"{path}.RegistryRobotCredentials",
            )
            stored.refuses_test(body, "without robot", "reconcile-message-kept", field=field)
        added = kept | {"source": SOURCE}
        stored.refuses_test(added, "with a source although none is stored", "reconcile-message-not-added")
        body = without("quay", kept) | masked_body(central, central.integration())
        stored.refuses_test(body, "with another config member", "reconcile-same-member", sent="Docker", stored="Quay")
        stored.check_unchanged()
        if central.quick or "node-scanner-type-known" not in central.rules:
            continue
        # An accepted test fails only when the client is built, because of its category.
        stored.refuses_test(kept, "with masked credentials", "node-scanner-type-known", type='"quay"')


def _check_test_uses_stored_password(central: Central) -> None:
    """Check that a test without the password gets as far as looking up the host, which never exists (RFC 2606)."""
    with central.case():
        id, sent = central.spare("azure", azure={"endpoint": "https://nowhere.example.invalid"})
        reply = central.test_updated(masked_body(central, sent, "") | {"id": id})
        what = "/test/updated with the stored password for a host that does not exist"
        central.refused(reply, what, text="registry integration: ")
        missing = central.text("azure-password-required")
        central.true(missing not in reply.message, what, expected=f"not {missing!r}", got=reply.message)


@check("update-password-default", "rules", "A missing updatePassword does not count as false", source=SERVICE)
def update_password_default(central: Central) -> None:
    id, sent = central.spare("ibm")
    text = central.text(
        "reconcile-credential-masked", field="ImageIntegration.ImageIntegration_Ibm.IBMRegistryConfig.ApiKey"
    )
    spelt = {"update_password": True, "UpdatePassword": True}  # not names of the flag
    reply = central.send("PATCH", f"{COLLECTION}/{id}", value={"config": sent, **(spelt if central.quick else {})})
    if reply.status == 200 and central.quick and central.patch(id, sent, update_password=None).status != 200:
        what = "PATCH with unknown fields"
        raise CheckFailed(what, expected={"status": 400}, got=brief(reply), check="unknown-field-dropped")
    if reply.status == 200 and central.patch(id, sent, update_password=False).status == 200:
        raise PreconditionFailed("reconcile-credential-masked", "PATCH with a credential and updatePassword false")
    central.refused(reply, "PATCH with a credential and without updatePassword", text=text)
    if central.quick:
        return
    unset = {"config": sent, "updatePassword": None}
    reply = central.send("PATCH", f"{COLLECTION}/{id}", value=unset)
    central.refused(reply, "PATCH with a credential and null for updatePassword", text=text)
    body = untestable(central, sent) | {"id": id}
    reply = central.test_updated(body, update_password=None)
    central.refused(reply, "/test/updated with a credential and without updatePassword", text=text)
    reply = central.patch(id, masked_body(central, sent, ""), update_password=None)
    central.ok(reply, "PATCH without a credential and without updatePassword", need="stored-credentials-kept")
    check_only_stored(central, {id: sent}, "PATCH that changed nothing")


# -- preservation of stored credentials -------------------------------------------------------------------

# The clients of these types need the credential, so an update that lost it is refused.
PROVEN: tuple[Variant, ...] = (
    # The credential is JSON, so an update that stored the mask literally is refused, too.
    ("artifactregistry", {}),
    ("ibm", {}),
    ("azure", {}),
    ("docker", {"type": "azure"}),
    ("ecr", {}),
    ROBOTIC,
    AUTHORIZED,
    # A robot account cannot scan, so the token is needed.
    ("quay", {"categories": BOTH, "quay": {"registryRobotCredentials": ROBOT}}),
)


# The rule that requires the credential, and the integration without it.
EMPTY: tuple[tuple[str, Variant], ...] = (
    ("ibm-api-key-required", ("ibm", {"ibm": {"apiKey": ""}})),
    ("azure-password-required", ("azure", {"azure": {"password": ""}})),
    ("azure-password-required", ("docker", {"type": "azure", "docker": {"password": ""}})),
    ("ecr-access-key-required", ("ecr", {"ecr": {"accessKeyId": ""}})),
    ("ecr-secret-key-required", ("ecr", {"ecr": {"secretAccessKey": ""}})),
    (
        "quay-robot-complete",
        ("quay", {"quay": {"oauthToken": "", "registryRobotCredentials": ROBOT | {"password": ""}}}),
    ),
    ("google-service-account-required", ("artifactregistry", {"google": {"serviceAccount": ""}})),
    (
        "quay-scanner-without-robot",
        ("quay", {"categories": BOTH, "quay": {"oauthToken": "", "registryRobotCredentials": ROBOT}}),
    ),
)
REQUIRING = tuple(dict.fromkeys(rule for rule, _ in EMPTY))
"""The rules that require a credential."""


@check(
    "stored-credentials-kept",
    "rules",
    needs=(
        "update-not-rolled-back",
        "update-password-default",
        "reconcile-dependent-unchanged",
        "credentials-replaced",
        *REQUIRING,
    ),
)
def stored_credentials_kept(central: Central) -> None:
    if central.reuses_integrations:
        for like in central.cases(("ecr", "azure", "ibm")):
            _check_no_op_update(central, like)
    # A robot account cannot scan, so the last one needs both of its credentials.
    telling = (PROVEN[0], AUTHORIZED, PROVEN[-1])
    for stored, sent in each_stored(central, telling if central.quick else PROVEN):
        forms = ["", MASK]  # a stored mask is detected only if the credential must be JSON
        if not central.quick or sent["type"] == "artifactregistry":
            central.random.shuffle(forms)
        # The second update depends on the state after the first.
        for form in forms[:1] if central.quick and sent["type"] != "artifactregistry" else forms:
            body = masked_body(central, sent, form)
            if central.quick and form == forms[0]:  # the only update that changes the free fields of these types
                body = _with_free_fields_changed(central, sent, body)
            reply = central.patch(stored.id, body, update_password=central.random.choice((False, None)))
            what = f"PATCH of {sent['type']} with {form!r} for its credentials"
            if central.text("reconcile-dependent-unchanged", field="").partition("'")[0] in reply.message:
                raise CheckFailed(what, expected={"status": 200}, got=brief(reply), check="reconcile-free-fields")
            central.ok(reply, what)
            if central.quick and sent["type"] != "artifactregistry":
                shown, expected = central.get(stored.id).json, read_answer(central.contract, body, stored.id)
                if shown != expected:
                    raise CheckFailed(f"GET after {what}", expected=expected, got=shown, check="reconcile-free-fields")
        if not central.quick:
            left_out = without_credentials(central.contract.integration, sent)
            left_out |= {"name": central.name(), "clusterId": "another-cluster"}
            reply = central.patch(stored.id, left_out)
            central.ok(reply, f"PATCH of {sent['type']} that omits its credentials")
            reads_as(central, stored.id, left_out, f"type {sent['type']} after updates that kept its credentials")
            central.ok(
                central.patch(stored.id, masked_body(central, sent, forms[0])), f"a repeated PATCH of {sent['type']}"
            )
    if not central.quick:
        _check_empty_credential_stays_empty(central)


def _check_no_op_update(central: Central, like: str) -> None:
    """Check that an update that changes nothing keeps the credentials, which the client needs."""
    id, sent = central.standing(like)
    reply = central.patch(id, masked_body(central, sent, ""))
    if reply.status != 200:
        central.claim(like)
    central.ok(reply, f"PATCH of {like} without its credentials that changes nothing")


def _check_empty_credential_stays_empty(central: Central) -> None:
    """Check that the mask keeps an empty credential empty, so that a client that needs it cannot be built."""
    for rule, (like, changes) in central.cases(central.some(EMPTY, 1)):
        id, _ = central.created(like)
        empty = from_table(central, like, changes)
        central.not_built(central.put(id, empty), "PUT without the credential")
        text = central.text(rule)
        reply = central.patch(id, masked_body(central, empty))
        what = f"of {like} with the mask where no credential is stored"
        central.not_built(reply, f"PATCH {what}", text)
        reply = central.test_updated(masked_body(central, empty) | {"id": id})
        central.refused(reply, f"/test/updated {what}", text=text)


@check(
    "credentials-replaced",
    "rules",
    "PUT, or PATCH with updatePassword true, keeps part of the stored credentials",
    source=SERVICE,
    needs=("update-not-rolled-back", "reconcile-credential-masked", *REQUIRING),
)
def credentials_replaced(central: Central) -> None:
    for rule, (like, changes) in central.cases(central.some(EMPTY, 1)):
        id, _ = central.spare(like)
        body, text = from_table(central, like, changes), central.text(rule)
        if not central.quick:
            reply = central.test(body | {"id": id})
            central.refused(reply, f"a test of {like} without the stored credential", text=text)
        for where, update in updates(central)[::-1]:
            what = f"{where} of {like} that removes the credential"
            central.not_built(update(id, body), what, text)
            if where == "PUT" or not central.quick:
                reply = central.patch(id, masked_body(central, body))
                central.not_built(reply, f"PATCH that keeps the credential, after {what},", text)
            if not central.quick:
                central.ok(central.put(id, central.integration(like)), f"PUT of {like}", need="update")
    for stored, sent in each_stored(central, central.some(VARIANTS, 0)):
        body = sent
        for spot in spots(central, sent):
            if spot.field.scrub == "dependent" and spot.field.kind == "string":
                body = with_value(body, spot.place, other_values(spot, value_at(sent, spot.place))[0])
        body = body | {"name": central.name(), "source": SOURCE}
        central.ok(central.patch(stored.id, body, update_password=True), f"PATCH of every field of {sent['type']}")
        reads_as(central, stored.id, body, f"type {sent['type']} after PATCH with credentials")
    if central.quick:
        return
    with central.case():
        id, _ = central.created("quay", source=SOURCE)
        body = central.integration("azure")
        central.ok(central.patch(id, body, update_password=True), "PATCH with credentials to another config member")
        reads_as(central, id, body, "another config member after PATCH with credentials")


@check(
    "mask-taken-literally",
    "rules",
    needs=("update-not-rolled-back", "google-service-account-json", "test-ignores-skip", "stored-credentials-kept"),
)
def mask_taken_literally(central: Central) -> None:
    # Six asterisks are not a valid service account.
    text = central.rules["google-service-account-json"].message.partition("{")[0]
    ways: list[tuple[str, Callable[[str, Body], Reply]]] = [
        ("PUT", central.put),
        ("PATCH with updatePassword true", partial(central.patch, update_password=True)),
        ("a create", lambda _, body: central.create(body)),
        ("a test", lambda _, body: central.test(body)),
    ]
    id, sent = central.spare("artifactregistry")
    for where, send in ways[:3] if central.quick else ways:
        status, code = (400, 3) if where == "a test" else (500, 13)
        reply = send(id, masked_body(central, sent) | {"name": central.name()})
        central.refused(reply, f"{where} of artifactregistry with the mask", status=status, code=code, text=text)
        if where == "PUT" or (where.startswith("PATCH") and not central.quick):
            reply = central.patch(id, masked_body(central, sent))
            central.not_built(reply, f"PATCH that keeps the credential, after a {where} with the mask,", text)
            if not central.quick:
                central.ok(central.put(id, sent), "PUT of artifactregistry", need="update")
    for like in central.some(("docker", "ibm", "azure", "quay", "ecr"), 1, 3):
        where, send = central.random.choice(ways[: 2 if central.quick else 3])
        body = masked_body(central, central.integration(like))
        central.ok(send(id, body), f"{where} of {like} with the mask")
        if where != "a create" and not central.quick:
            central.ok(central.patch(id, body), f"PATCH of {like} after {where} with the mask")


@check(
    "config-member-kept",
    "rules",
    "The credential of one config member reaches another one, or another host",
    source="pkg/secrets/reconcile.go",
    needs=("reconcile-same-member", "stored-credentials-kept", "quay-config-required"),
)
def config_member_kept(central: Central) -> None:
    if not central.quick:
        _check_azure_member_kept(central)
    with central.case():
        # First an unknown type, then another config member.
        id, sent = central.spare("ibm")
        body = masked_body(central, sent) | {"type": "quay"}
        text = "updating integration error: " + central.text("quay-config-required")
        central.not_built(central.patch(id, body), "PATCH to a type with another member", text)
        quay = {"endpoint": sent["ibm"]["endpoint"], "oauthToken": MASK}
        body = without("ibm", body) | {"quay": quay}
        what = "PATCH to the config member of that type"
        central.refused_by(central.patch(id, body), "reconcile-same-member", what, sent="Quay", stored="Ibm")


def _check_azure_member_kept(central: Central) -> None:
    with central.case():
        id, sent = central.created("azure")
        azure = sent["azure"]
        rest = without("azure", sent)
        docker = {"endpoint": azure["endpoint"], "username": azure["username"], "password": MASK}
        text = central.text("reconcile-same-member", sent="Docker", stored="Azure")
        for type in ("azure", "docker"):
            with central.attempt():
                reply = central.patch(id, rest | {"docker": docker, "type": type})
                central.refused(reply, f"PATCH from azure to docker as type {type}", text=text)
        check_only_stored(central, {id: sent}, "refused updates")
