"""Stored credentials: which fields may change without them, and what is kept."""

from typing import Any

import pytest
from hypothesis import assume, given

from mock_server.central import protojson
from mock_server.central.errors import Refusal
from mock_server.central.reconcile import Reconcile
from mock_server.central.rendering import credentials_masked
from mock_server.central.validation import config_member
from mock_server.contract import tables as contracts
from mock_server.contract.tables import MASK, Field, Message
from mock_server.tests.conftest import Api, changed, docker, example, fields, integrations, names

CONTRACT = contracts.load()
RECONCILE = Reconcile(CONTRACT)
ID = "6513270e-269e-4d37-b2a7-4de452e6b438"
VALUES = {"string": "stored", "bool": False, "int32": 3, "enum": "REGISTRY", "timestamp": "2030-01-02T03:04:05Z"}
OTHERS = {"string": "other", "bool": True, "int32": 4, "enum": "SCANNER", "timestamp": "2031-01-02T03:04:05Z"}


def filled(message: Message, *members: str) -> dict[str, Any]:
    """Return a message with every field set."""
    value: dict[str, Any] = {}
    for field in message.fields:
        if field.oneof and field.name not in members:
            continue
        item = filled(field.message) if field.message else VALUES[field.kind]
        value[field.name] = [item] if field.repeated else item
    return value


def stored(member: str) -> dict[str, Any]:
    return filled(CONTRACT.integration, member) | {"id": ID}


def masked(integration: dict[str, Any]) -> dict[str, Any]:
    return credentials_masked(CONTRACT.integration, integration)


def refusal(sent: dict[str, Any], kept: dict[str, Any]) -> Refusal:
    with pytest.raises(Refusal) as found:
        RECONCILE.with_stored(sent, kept)
    return found.value


MEMBERS = [field.name for field in CONTRACT.integration.members]
FIELDS = [
    pytest.param(member, path, id=f"{member}-{names(path)}")
    for member in MEMBERS
    for path in fields(CONTRACT.integration)
    if path[0].name == member or (not path[0].oneof and member == "docker")
    if path[0].name != "id"
    if not path[-1].oneof
]


@pytest.mark.parametrize(("member", "path"), FIELDS)
def test_only_credentials_and_dependent_fields_need_credentials_to_change(member: str, path: tuple[Field, ...]):
    field, kept = path[-1], stored(member)
    other = None if field.message else [OTHERS[field.kind]] if field.repeated else OTHERS[field.kind]
    sent = changed(masked(kept), tuple(each.name for each in path), other)
    rule = {"always": "reconcile-credential-masked", "dependent": "reconcile-dependent-unchanged"}.get(
        field.scrub or "",
        "reconcile-message-kept" if field.kind in ("message", "timestamp") and other is None else None,
    )
    if rule is None:
        RECONCILE.with_stored(sent, kept)
        return
    found = refusal(sent, kept)
    assert (found.rule, found.status) == (rule, 400)
    assert found.message.endswith(f".{field.go_name}': invalid arguments")


@pytest.mark.parametrize(
    ("member", "path"), [each for each in FIELDS if each.values[1][-1].kind in ("message", "timestamp")]
)
def test_a_message_can_be_neither_omitted_nor_added(member, path):
    kept = stored(member)
    place = tuple(each.name for each in path)
    without = changed(kept, place, None)
    assert refusal(changed(masked(kept), place, None), kept).rule == "reconcile-message-kept"
    assert refusal(masked(kept), without).message == "invalid input: invalid arguments"


@given(integrations)
def test_an_answer_can_be_sent_back_and_keeps_every_credential(value):
    kept = protojson.complete(CONTRACT.integration, value) | {"id": ID}
    assume(config_member(CONTRACT.integration, kept))
    assert RECONCILE.with_stored(masked(kept), kept) == kept


@pytest.mark.parametrize("member", MEMBERS)
def test_an_empty_credential_counts_as_masked(member):
    kept = stored(member)
    sent = kept
    for path in fields(CONTRACT.integration):
        if path[0].name == member and path[-1].scrub == "always":
            sent = changed(sent, tuple(each.name for each in path), "")
    assert RECONCILE.with_stored(sent, kept) == kept


@pytest.mark.parametrize("sent", MEMBERS)
def test_the_config_member_stays_the_same(sent):
    for member in MEMBERS:
        if member == sent:
            continue
        found = refusal(masked(stored(sent)), stored(member))
        names = [name[0].upper() + name[1:] for name in (sent, member)]
        expected = "type not equal: 'storage.ImageIntegration_{}' != 'storage.ImageIntegration_{}': invalid arguments"
        assert found.message == expected.format(*names)


def test_reconcile_needs_an_id_and_a_config_member():
    no_id, no_member = docker(id=""), {"id": ID, "name": "n", "type": "docker", "categories": []}
    assert refusal(no_id, {}).message == "id required for stored credential reconciliation: invalid arguments"
    assert refusal(no_member, {}).message == (
        "the request doesn't have a valid integration config type: invalid arguments"
    )


DOCKER = "ImageIntegration.ImageIntegration_Docker.DockerConfig"
QUAY = "ImageIntegration.ImageIntegration_Quay.QuayConfig"
ECR = "ImageIntegration.ImageIntegration_Ecr.ECRConfig"


@pytest.mark.parametrize(
    ("member", "place", "value", "text"),
    [
        ("docker", ("docker", "endpoint"), "o", f"credentials required to update field '{DOCKER}.Endpoint'"),
        ("docker", ("docker", "password"), "o", f"non-zero or unmasked credential field '{DOCKER}.Password'"),
        (
            "quay",
            ("quay", "registryRobotCredentials", "password"),
            "o",
            f"non-zero or unmasked credential field '{QUAY}.QuayConfig_RobotAccount.Password'",
        ),
        (
            "quay",
            ("quay", "registryRobotCredentials"),
            None,
            f"non-nil existing field '{QUAY}.RegistryRobotCredentials'",
        ),
        ("ecr", ("ecr", "useIam"), True, f"credentials required to update field '{ECR}.UseIam'"),
        (
            "ecr",
            ("ecr", "authorizationData", "expiresAt"),
            None,
            f"non-nil existing field '{ECR}.ECRConfig_AuthorizationData.ExpiresAt'",
        ),
        (
            "ibm",
            ("ibm", "apiKey"),
            "o",
            "non-zero or unmasked credential field 'ImageIntegration.ImageIntegration_Ibm.IBMRegistryConfig.ApiKey'",
        ),
        ("docker", ("source",), None, "non-nil existing field 'ImageIntegration.Source'"),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else "",
)
def test_a_refusal_names_the_field_as_go_does(member, place, value, text):
    kept = stored(member)
    found = refusal(changed(masked(kept), place, value), kept)
    assert found.message == f"{text}: invalid arguments"


@pytest.mark.parametrize(
    ("member", "order"),
    [
        ("docker", ["endpoint", "username", "password"]),
        ("ecr", ["accessKeyId", "secretAccessKey", "useIam", "endpoint", "authorizationData"]),
        ("azure", ["endpoint", "username", "password", "wifEnabled"]),
    ],
)
def test_the_first_field_in_the_order_of_declaration_is_reported(member, order):
    kept, reported = stored(member), []
    config = CONTRACT.integration.by_name[member].message
    for _ in order:
        sent = masked(kept)
        for name in set(order) - set(reported):
            other = None if config.by_name[name].message else OTHERS[config.by_name[name].kind]
            sent = changed(sent, (member, name), other)
        last = refusal(sent, kept).message.partition("'")[2].partition("'")[0].rpartition(".")[2]
        reported.append(last[0].lower() + last[1:])
    assert reported == order


# -- over HTTP ---------------------------------------------------------------------------------------

PASSWORD = "not-a-real-password"


def test_update_without_password_keeps_the_stored_secret(api):
    id = api.created(docker())
    for password in (MASK, ""):
        config = changed(docker(name="renamed"), ("docker", "password"), password)
        assert api.patch(id, config).status == 200
        assert (api.stored(id)["name"], api.stored(id)["docker"]["password"]) == ("renamed", PASSWORD)


def test_update_without_password_refuses_even_the_right_secret(api):
    id = api.created(docker())
    assert api.patch(id, docker()).rule == "reconcile-credential-masked"


def test_an_absent_flag_is_false(api):
    id = api.created(docker())
    assert api.ask("PATCH", f"/{id}", {"config": docker()}).rule == "reconcile-credential-masked"


@pytest.mark.parametrize("way", ["put", "patch"])
def test_the_mask_is_taken_literally_with_credentials(api, way):
    id = api.created(docker())
    config = changed(docker(), ("docker", "password"), MASK)
    answer = api.put(id, config) if way == "put" else api.patch(id, config, update_password=True)
    assert answer.json == {}
    assert api.stored(id)["docker"]["password"] == MASK


def test_a_refused_update_changes_nothing(api):
    id = api.created(docker())
    before = api.stored(id)
    api.patch(id, docker(name="renamed"))
    assert api.stored(id) == before


def test_a_test_uses_the_stored_credentials(api):
    """An azure integration cannot be built without a password."""
    id = api.created(example("azure"))
    config = changed(example("azure", id=id), ("azure", "password"), "")
    assert api.test_updated(config).json == {}
    assert api.test_updated(config, update_password=True).rule == "azure-password-required"


def test_a_test_with_stored_credentials_needs_a_stored_integration(api):
    assert api.test_updated(docker(id="")).rule == "reconcile-needs-id"
    assert api.test_updated(docker(id=ID)).rule == "update-missing"


@pytest.mark.parametrize("type", ["azure", "docker"], ids=["stored as azure", "stored as docker"])
def test_a_stored_docker_member_is_read_as_azure(api, type):
    id = api.created(docker(type=type))
    azure = {"endpoint": "registry.example.com", "username": "robot", "password": MASK, "wifEnabled": False}
    member = example("azure", azure=azure)
    assert api.patch(id, member).json == {}
    assert api.stored(id)["azure"] == azure | {"password": PASSWORD}
    assert "docker" not in api.stored(id)


def test_an_azure_member_is_not_read_as_docker(api):
    id = api.created(example("azure"))
    assert api.patch(id, docker(type="azure")).rule == "reconcile-same-member"


def test_a_converted_member_had_no_workload_identity(api):
    id = api.created(docker())
    config = example("azure", azure={"endpoint": "registry.example.com", "username": "robot", "wifEnabled": True})
    assert api.patch(id, config).message.endswith("AzureConfig.WifEnabled': invalid arguments")


def test_a_create_stores_a_docker_member_of_type_azure_as_it_is(api):
    assert "docker" in api.stored(api.created(docker(type="azure")))


def test_the_type_may_change_while_the_member_stays():
    api = Api()
    id = api.created(docker())
    assert api.patch(id, changed(docker(type="nexus"), ("docker", "password"), "")).json == {}
    assert api.stored(id)["type"] == "nexus"


def test_a_config_is_not_reconciled_with_none():
    api = Api()
    id = api.create(docker(name="a")).json["id"]
    bare = {name: value for name, value in docker(name="a", id=id).items() if name != "docker"}
    assert api.ask("PUT", f"/{id}", bare).status == 500  # stored all the same
    answer = api.ask("PATCH", f"/{id}", {"config": docker(name="a", id=id), "updatePassword": False})
    assert (answer.status, answer.rule) == (400, "reconcile-message-not-added")
