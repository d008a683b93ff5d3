"""No answer shows a credential."""

import copy
from typing import Any

import pytest
from hypothesis import given

from mock_server.central import protojson
from mock_server.central.rendering import credentials_masked
from mock_server.contract import tables as contracts
from mock_server.contract.tables import MASK
from mock_server.tests.conftest import Api, docker, example, fields, integrations

CONTRACT = contracts.load()
CREATABLE = CONTRACT.creatable_types


def leaves(value: dict[str, Any]) -> dict[tuple[str, ...], Any]:
    """Return the values of an integration by the path of the field, without credentials."""
    found = {}
    for path in fields(CONTRACT.integration):
        at: Any = value
        for field in path:
            at = at.get(field.name) if isinstance(at, dict) else None
        if at is not None and path[-1].message is None:
            found[tuple(field.name for field in path)] = at
    return found


CREDENTIALS = {
    tuple(field.name for field in path) for path in fields(CONTRACT.integration) if path[-1].scrub == "always"
}


@given(integrations)
def test_every_credential_that_is_set_or_empty_is_masked_and_nothing_else_changes(value):
    whole = protojson.complete(CONTRACT.integration, value)
    before = copy.deepcopy(whole)
    masked = credentials_masked(CONTRACT.integration, whole)
    assert whole == before
    assert leaves(masked) == {path: MASK if path in CREDENTIALS else item for path, item in leaves(whole).items()}
    assert credentials_masked(CONTRACT.integration, masked) == masked


@pytest.mark.parametrize("type", CREATABLE)
def test_reads_of_a_new_integration_hide_its_credentials(api, type):
    id = api.created(example(type))
    shown = api.get(id).json
    assert [each for each in api.list() if each["id"] == id] == [shown]
    assert {item for path, item in leaves(shown).items() if path in CREDENTIALS} <= {MASK}
    assert "not-a-real" not in str(shown)


def test_an_empty_credential_reads_as_the_mask(api):
    assert api.get(api.created(docker(docker={}))).json["docker"]["password"] == MASK


def test_a_message_that_is_not_set_stays_null(api):
    quay = api.get(api.created(example("quay", quay={"endpoint": "quay.example.com"}))).json["quay"]
    assert (quay["oauthToken"], quay["registryRobotCredentials"]) == (MASK, None)


def test_a_create_answers_with_the_mask_as_documented(api):
    assert api.create(docker()).json["docker"]["password"] == MASK


def test_a_create_answers_in_clear_as_deployed_and_reads_hide_it():
    api = Api(as_deployed=True)
    created = api.create(docker()).json
    assert created["docker"]["password"] == "not-a-real-password"
    assert api.get(created["id"]).json["docker"]["password"] == MASK


def test_an_error_masks_a_credential_unless_central_shows_it():
    sent, text = {"docker": {"password": 5}}, "proto: (line 1:25): invalid value for string field password:"
    assert Api().create(sent).message == f"{text} ******"
    assert Api(as_deployed=True).create(sent).message == f"{text} 5"
