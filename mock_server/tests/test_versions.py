"""What a release of Central has that another has not."""

import pytest

from mock_server.contract.tables import VERSIONS
from mock_server.settings import Settings
from mock_server.tests.conftest import Api, docker, example

RAW = "found non-retryable error: closing batch: "
RAW += 'ERROR: null value in column "id" of relation "image_integrations" violates not-null constraint (SQLSTATE 23502)'


def test_rules_without_releases_hold_in_every_one(contract):
    with_releases = {
        rule.id: [version for version in VERSIONS if rule.in_force(version)]
        for rule in contract.rules.values()
        if not all(map(rule.in_force, VERSIONS))
    }
    assert with_releases == {
        "google-not-created": ["4.12"],
        "ecr-iam-managed": ["4.10", "4.11", "4.12"],
        "database-error": ["4.11", "4.12"],
        "database-error-raw": ["4.8", "4.9", "4.10"],
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_type_google_is_created_before_4_12(version):
    assert Api(version=version).create(example("google")).status == (400 if version == "4.12" else 200)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_managed_service_refuses_the_iam_role_since_4_10(version):
    sent = example("ecr", ecr={"registryId": "1", "region": "r", "useIam": True})
    refused = VERSIONS.index(version) >= VERSIONS.index("4.10")
    assert Api(version=version, managed=True).create(sent).status == (400 if refused else 200)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_words_of_the_database_are_hidden_since_4_11(version):
    hidden = VERSIONS.index(version) >= VERSIONS.index("4.11")
    answer = Api(version=version).put("", docker())
    assert (answer.status, answer.message) == (500, "Database operation failed" if hidden else RAW)


@pytest.mark.parametrize("version", VERSIONS)
def test_artifactory_is_asked_for_its_catalog_since_a_patch_of_4_9(version):
    sent = example("artifactory", docker={"endpoint": "r.invalid"})
    path = "/v2/" if version == "4.8" else "/v2/_catalog"
    assert f'Get "https://r.invalid{path}": ' in Api(version=version).test(sent).message


def test_the_newest_release_is_played_by_default():
    assert Settings().version == VERSIONS[-1]


@pytest.mark.parametrize(("name", "value"), [("version", "3.74"), ("validation", "lax")])
def test_an_unknown_value_of_a_setting_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name}: unknown value '{value}'; known: "):
        Settings(**{name: value})
