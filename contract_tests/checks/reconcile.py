"""Stored credentials: what an update without credentials may change, seen from outside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from contract_tests.central import Central
from contract_tests.integrations import Body, config_for, read_answer
from contract_tests.registry import check
from mock_server.contract import MASK, Field, Message

ROBOT = {"username": "org+robot", "password": "robot-password"}
DATA = {"username": "AWS", "password": "aws-password", "expiresAt": "2030-01-02T03:04:05Z"}
KEYLESS = {"accessKeyId": "", "secretAccessKey": ""}

# One integration for each sub-message of a config, too.
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("docker", {}),
    ("quay", {}),
    ("quay", {"quay": {"oauthToken": "", "registryRobotCredentials": ROBOT}}),
    ("ecr", {}),
    ("ecr", {"ecr": KEYLESS | {"authorizationData": DATA}}),
    ("artifactregistry", {}),
    ("azure", {}),
    ("ibm", {}),
]


def hidden(message: Message, value: Body, credential: str) -> Body:
    """Put `credential` (the mask or nothing) in the place of each credential."""
    copy = dict(value)
    for field in message.fields:
        if field.scrub == "always" and field.name in copy:
            copy[field.name] = credential
        elif field.message is not None and isinstance(copy.get(field.name), dict):
            copy[field.name] = hidden(field.message, copy[field.name], credential)
    return copy


def fields_of(central: Central, body: Body) -> Iterator[tuple[tuple[str, ...], Field, str]]:
    """Give place, field and Go path of each field of the config in a body."""
    integration = central.contract.integration
    member = next(field for field in integration.members if field.name in body)

    def walk(
        message: Message, value: Body, place: tuple[str, ...], path: str
    ) -> Iterator[tuple[tuple[str, ...], Field, str]]:
        for field in message.fields:
            inner = value.get(field.name)
            if field.message is not None and isinstance(inner, dict):
                yield from walk(field.message, inner, (*place, field.name), f"{path}.{field.message.go_name}")
            elif field.kind not in ("message", "timestamp"):
                yield (*place, field.name), field, f"{path}.{field.go_name}"

    assert member.message is not None  # a config member is a message
    start = f"{integration.go_name}.{integration.go_name}_{member.go_name}.{member.message.go_name}"
    yield from walk(member.message, body[member.name], (member.name,), start)


def with_value(body: Body, place: tuple[str, ...], value: Any) -> Body:
    """Give a copy of a body with another value at a place."""
    first, rest = place[0], place[1:]
    return body | {first: with_value(body[first], rest, value) if rest else value}


def value_at(body: Body, place: tuple[str, ...]) -> Any:
    """Give the value at a place, None where nothing was sent."""
    found: Any = body
    for name in place:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def other(field: Field, value: Any) -> Any:
    """Give a value that differs from the one that is stored."""
    if field.kind == "bool":
        return not value
    if field.kind == "int32":
        return (value or 0) + 1
    return f"other-{value}" if value else "other.example.com"


def keeping(central: Central, sent: Body, credential: str = MASK) -> Body:
    """Give what a client sends that does not know the credentials."""
    return hidden(central.contract.integration, sent, credential)


@check("reconcile-dependent-unchanged", "rules", needs=("create",))
def reconcile_dependent_unchanged(central: Central) -> None:
    for type, changes in central.some(VARIANTS, 4):
        with central.case():
            id, sent = central.created(type, **changes)
            for place, field, path in fields_of(central, sent):
                if field.scrub != "dependent":
                    continue
                body = with_value(keeping(central, sent), place, other(field, value_at(sent, place)))
                text = central.text("reconcile-dependent-unchanged", field=path)
                for flag in (False,) if field.name != "endpoint" else (False, None):
                    reply = central.patch(id, body, update_password=flag)
                    central.refused(
                        reply, f"PATCH that changes {'.'.join(place)} only, updatePassword {flag}", text=text
                    )
                if field.name == "endpoint":
                    reply = central.test_updated(body | {"id": id})
                    central.refused(reply, f"/test/updated that changes {'.'.join(place)} only", text=text)
            central.same(central.get(id).json, read_answer(central.contract, sent, id), "after refused updates")


@check("reconcile-credential-masked", "rules", needs=("create",))
def reconcile_credential_masked(central: Central) -> None:
    for type, changes in central.some(VARIANTS, 3):
        with central.case():
            id, sent = central.created(type, **changes)
            for place, field, path in fields_of(central, sent):
                if field.scrub != "always":
                    continue
                text = central.text("reconcile-credential-masked", field=path)
                right = value_at(sent, place)
                values = [central.secret(), right] + (["*****", "*******"] if type == "docker" else [])
                for value in values:
                    if not value:
                        continue
                    reply = central.patch(id, with_value(keeping(central, sent), place, value))
                    central.refused(
                        reply, f"PATCH with a credential in {'.'.join(place)} and updatePassword false", text=text
                    )
                reply = central.test_updated(with_value(keeping(central, sent), place, central.secret()) | {"id": id})
                central.refused(reply, f"/test/updated with a credential in {'.'.join(place)}", text=text)
            central.same(central.get(id).json, read_answer(central.contract, sent, id), "after refused updates")


@check(
    "reconcile-free-fields", "rules", needs=("create",), title="Fields that no credential depends on change without it"
)
def reconcile_free_fields(central: Central) -> None:
    for type, changes in central.some([*VARIANTS, ("clair", {}), ("clairV4", {}), ("clairify", {})], 3):
        with central.case():
            id, sent = central.created(type, **changes)
            body = keeping(central, sent) | {"name": central.name()}
            for place, field, _ in fields_of(central, sent):
                # Other rules look at these: a role excludes an endpoint, wifEnabled a service account.
                if field.scrub or field.name in ("useAssumeRole", "wifEnabled", "endpoint", "grpcEndpoint"):
                    continue
                body = with_value(body, place, other(field, value_at(sent, place)))
            central.taken(central.patch(id, body), f"PATCH of {type} that changes what no credential depends on")
            central.same(central.get(id).json, read_answer(central.contract, body, id), f"reading {type} back")


@check("reconcile-same-member", "rules", needs=("create",))
def reconcile_same_member(central: Central) -> None:
    with central.case():
        id, sent = central.created()
        body = keeping(central, central.integration("quay", name=sent["name"]))
        text = central.text("reconcile-same-member", sent="Quay", stored="Docker")
        central.refused(central.patch(id, body), "PATCH with another member", text=text)
        central.refused(central.test_updated(body | {"id": id}), "/test/updated with another member", text=text)
        central.same(central.get(id).json, read_answer(central.contract, sent, id), "after refused updates")
        central.taken(central.patch(id, keeping(central, sent) | {"type": "artifactory"}), "PATCH of the type only")
        central.same(central.get(id).object.get("type"), "artifactory", "the type after PATCH")


@check("reconcile-needs-id", "rules")
def reconcile_needs_id(central: Central) -> None:
    body = keeping(central, central.integration("ibm"))
    for flag in (False, None):
        reply = central.test_updated(body | {"name": central.name()}, update_password=flag)
        central.refused_by(reply, "reconcile-needs-id", f"/test/updated without an id, updatePassword {flag}")


@check("reconcile-needs-config", "rules", needs=("create",))
def reconcile_needs_config(central: Central) -> None:
    with central.case():
        id, sent = central.created()
        body = {key: value for key, value in sent.items() if key != "docker"}
        central.refused_by(central.patch(id, body), "reconcile-needs-config", "PATCH without a config member")


@check("reconcile-message-kept", "rules", needs=("create",))
def reconcile_message_kept(central: Central) -> None:
    source = {"clusterId": "c", "namespace": "n", "imagePullSecretName": "s"}
    cases: list[tuple[str, dict[str, Any], tuple[str, ...], str]] = [
        ("docker", {"source": source}, ("source",), "ImageIntegration.Source"),
        ("quay", {"quay": {"oauthToken": "", "registryRobotCredentials": ROBOT}}, ("quay", "registryRobotCredentials"),
         "ImageIntegration.ImageIntegration_Quay.QuayConfig.RegistryRobotCredentials"),
        ("ecr", {"ecr": KEYLESS | {"authorizationData": DATA}}, ("ecr", "authorizationData"),
         "ImageIntegration.ImageIntegration_Ecr.ECRConfig.AuthorizationData"),
        ("ecr", {"ecr": KEYLESS | {"authorizationData": DATA}}, ("ecr", "authorizationData", "expiresAt"),
         "ImageIntegration.ImageIntegration_Ecr.ECRConfig.ECRConfig_AuthorizationData.ExpiresAt"),
    ]  # fmt: skip
    for type, changes, place, path in cases:
        with central.case():
            id, sent = central.created(type, **changes)
            reply = central.patch(id, with_value(keeping(central, sent), place, None))
            text = central.text("reconcile-message-kept", field=path)
            central.refused(reply, f"PATCH without {'.'.join(place)}", text=text)
            central.same(central.get(id).json, read_answer(central.contract, sent, id), "after the refused update")


@check("reconcile-message-not-added", "rules", needs=("create",))
def reconcile_message_not_added(central: Central) -> None:
    cases: list[tuple[str, tuple[str, ...], Body]] = [
        ("docker", ("source",), {"namespace": "n"}),
        ("quay", ("quay", "registryRobotCredentials"), {"username": "u", "password": MASK}),
        ("ecr", ("ecr", "authorizationData"), {"username": "u", "password": MASK}),
    ]
    for type, place, message in cases:
        with central.case():
            id, sent = central.created(type)
            reply = central.patch(id, with_value(keeping(central, sent), place, message))
            central.refused_by(reply, "reconcile-message-not-added", f"PATCH with a new {'.'.join(place)}")


# Types whose client needs the credential: an update that lost it is refused.
PROVEN: list[tuple[str, dict[str, Any]]] = [
    ("ibm", {}),
    ("azure", {}),
    ("ecr", {}),
    ("artifactregistry", {}),
    ("quay", {"quay": {"oauthToken": "", "registryRobotCredentials": ROBOT}}),
    ("ecr", {"ecr": KEYLESS | {"authorizationData": DATA}}),
]


@check("stored-credentials-kept", "rules", needs=("create",))
def stored_credentials_kept(central: Central) -> None:
    for type, changes in central.some(PROVEN, 3):
        with central.case():
            id, sent = central.created(type, **changes)
            for credential in (MASK, "", MASK):
                body = keeping(central, sent, credential)
                central.taken(central.patch(id, body), f"PATCH of {type} with {credential!r} for its credentials")
            reply = central.patch(id, keeping(central, sent), update_password=None)
            central.taken(reply, f"PATCH of {type} without updatePassword")


@check(
    "credentials-replaced",
    "rules",
    needs=("create",),
    title="With updatePassword true the credentials that are sent replace the stored ones",
)
def credentials_replaced(central: Central) -> None:
    for type in ("ibm", "azure"):
        with central.case():
            id, sent = central.created(type)
            reply = central.patch(id, keeping(central, sent, ""), update_password=True)
            central.true(reply.status >= 400, f"PATCH of {type} with no credential and updatePassword true",
                         expected="a refusal: the client needs a credential", got=reply.status)  # fmt: skip
    with central.case():
        id, sent = central.created()
        changed = central.integration(name=sent["name"], docker={"endpoint": "new.example.com", "username": "new"})
        central.taken(central.patch(id, changed, update_password=True), "PATCH that changes everything")
        central.same(central.get(id).json, read_answer(central.contract, changed, id), "after the update")


@check("mask-taken-literally", "rules", needs=("create",))
def mask_taken_literally(central: Central) -> None:
    with central.case():
        id, sent = central.created("artifactregistry")
        reply = central.put(id, keeping(central, sent))
        # Six asterisks are no credential JSON, so a mask that is taken as it stands is refused.
        text = "failed to create token source"
        central.refused(reply, "PUT of artifactregistry with the mask", status=500, code=13, text=text)
    with central.case():
        id, sent = central.created()
        central.taken(central.put(id, keeping(central, sent)), "PUT of docker with the mask")


@check("config-member-kept", "rules", needs=("create",), title="Credentials of one config member do not reach another")
def config_member_kept(central: Central) -> None:
    with central.case():
        id, sent = central.created("azure")
        member, config = config_for("docker", central.secret)
        body = {key: value for key, value in sent.items() if key != "azure"}
        docker = config | {"endpoint": sent["azure"]["endpoint"], "username": "robot", "password": MASK}
        text = central.text("reconcile-same-member", sent="Docker", stored="Azure")
        central.refused(central.patch(id, body | {member: docker}), "PATCH from azure to docker", text=text)
