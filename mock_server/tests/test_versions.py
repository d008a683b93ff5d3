"""Differences between releases of Central."""

import re

import pytest

from mock_server.contract import tables as contracts
from mock_server.contract.view import Values
from mock_server.settings import Settings
from mock_server.tests.conftest import Api, docker, example

RAW = "found non-retryable error: closing batch: "
RAW += 'ERROR: null value in column "id" of relation "image_integrations" violates not-null constraint (SQLSTATE 23502)'
RELEASES = contracts.load().releases.lines


def since(first: str) -> dict[str, bool]:
    """Return for each release whether it is `first` or later."""
    return {release: RELEASES.index(release) >= RELEASES.index(first) for release in RELEASES}


def test_rules_without_releases_apply_in_every_release(contract):
    views = {release: contract.at(release).rules for release in RELEASES}
    with_releases = {
        id: {release: id in rules for release, rules in views.items()}
        for id in contract.history
        if not all(id in rules for rules in views.values())
    }
    rules = contract.source["x-rules"]
    assert with_releases.keys() == {id for id, rule in rules.items() if {"since", "until"} & rule.keys()}
    assert with_releases.items() >= {"google-not-created": since("5.0"), "ecr-iam-managed": since("4.10")}.items()


def test_a_message_that_may_be_null_loses_the_fields_of_later_releases():
    nullable = {"properties": {"b": {"anyOf": [{"$ref": "#/components/schemas/B"}, {"type": "null"}]}}}
    values = Values(
        {"A": nullable, "B": {"properties": {"old": {}, "new": {}}}}, {"A": nullable, "B": {"properties": {"old": {}}}}
    )
    assert values.of_schema("A", {"b": {"old": 1, "new": 2}}) == {"b": {"old": 1}}
    assert values.of_schema("A", {"b": None}) == {"b": None}


def test_texts_differ_by_release(contract):
    texts = {
        id: {each.rules[id].message for each in contract.every_release if id in each.rules} for id in contract.history
    }
    written = {id: {each.text for each in rule.texts} for id, rule in contract.history.items() if len(rule.texts) > 1}
    assert {id: found for id, found in texts.items() if len(found) > 1} == written
    assert "database-error" in written


def test_the_database_parses_the_name_before_it_requires_the_id():
    answer = Api(central_version="4.10").put("", docker(name="a\0b"))
    text = 'invalid byte sequence for encoding "UTF8": 0x00 (SQLSTATE 22021)'
    assert (answer.json["code"], answer.rule) == (13, "database-error")
    assert (answer.status, answer.message) == (500, f"found non-retryable error: closing batch: ERROR: {text}")


@pytest.mark.parametrize(
    ("version", "number", "read"),
    [
        ("4.8", "7 x", 7),
        ("4.8", "7x", None),
        ("4.8", "x", None),
        ("4.8", " 7", None),
        ("5.0", "7 x", None),
        ("5.0", "7", 7),
    ],
)
def test_older_releases_ignore_what_follows_a_number_in_quotes(version, number, read):
    sent = example("clairify", clairify={"endpoint": "c.example", "numConcurrentScans": number})
    answer = Api(central_version=version).create(sent)
    assert (answer.json["clairify"]["numConcurrentScans"] if answer.status == 200 else None) == read
    assert answer.rule == (None if read else "field-value")


@pytest.mark.parametrize(("version", "refused"), since("5.0").items())
def test_type_google_can_be_created_before_5_0(version, refused):
    assert Api(central_version=version).create(example("google")).status == (400 if refused else 200)


@pytest.mark.parametrize(("version", "creatable"), since("5.0").items())
def test_types_that_the_contract_calls_creatable_are_created(version, creatable):
    contract = contracts.load().at(version)
    assert set(contract.types) - set(contract.creatable_types) == (
        {"scannerv4", "google"} if creatable else {"scannerv4"}
    )
    for type in contract.types:
        assert Api(central_version=version).create(example(type)).status == (
            200 if type in contract.creatable_types else 400
        )


@pytest.mark.parametrize(("version", "refused"), since("4.10").items())
def test_the_managed_service_refuses_the_iam_role_since_4_10(version, refused):
    sent = example("ecr", ecr={"registryId": "1", "region": "r", "useIam": True})
    assert Api(central_version=version, managed=True).create(sent).status == (400 if refused else 200)


@pytest.mark.parametrize(("version", "hidden"), since("4.11").items())
def test_errors_of_the_database_are_hidden_since_4_11(version, hidden):
    answer = Api(central_version=version).put("", docker())
    assert (answer.status, answer.message) == (500, "Database operation failed" if hidden else RAW)


@pytest.mark.parametrize(
    ("version", "path"),
    [
        *(("4.8", "/v2/"), ("4.9", "/v2/_catalog"), ("4.9.8", "/v2/"), ("4.9.9", "/v2/_catalog")),
        *(("4.10.4", "/v2/"), ("4.10.5", "/v2/_catalog"), ("4.10", "/v2/_catalog")),
        *(("4.11.0", "/v2/"), ("4.11.1", "/v2/_catalog"), ("4.11", "/v2/_catalog"), ("5.0", "/v2/_catalog")),
    ],
)
def test_artifactory_s_catalog_is_requested_since_a_patch_of_each_minor(version, path):
    sent = example("artifactory", docker={"endpoint": "r.invalid"})
    assert f'Get "https://r.invalid{path}": ' in Api(central_version=version).test(sent).message


@pytest.mark.parametrize(
    ("version", "expected"), [("4.8", "4.8.11"), ("4.11", "4.11.2"), ("4.11.0", "4.11.0"), ("5.0", "5.0.0")]
)
def test_a_minor_simulates_and_reports_its_newest_patch(version, expected):
    assert Api(central_version=version).central.contract.release.is_named(expected)


def test_the_newest_release_is_simulated_by_default():
    assert Settings().central_version == RELEASES[-1]


def test_every_release_has_a_valid_document(contract):
    for each in contract.every_release:
        text = str(each.document)
        assert each.document["info"]["version"] == str(each.release)
        assert not re.search(r"'(x-)?(since|until|messages|enum-releases)'", text)


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ("3.74", r"central_version: '3\.74' is not a release of Central; did you mean 4\.8\? known: 4\.8, "),
        ("4.12", r"did you mean 5\.0\?"),
        ("4.11.3", r"the newest patch of 4\.11 is 4\.11\.2"),
        ("newest", r"'newest' is not a release of Central; known: "),
    ],
)
def test_an_unknown_release_is_refused_with_a_suggestion(release, expected):
    with pytest.raises(ValueError, match=expected):
        Settings(central_version=release)


def test_an_unknown_value_of_a_setting_is_refused():
    with pytest.raises(ValueError, match="validation: 'lax' is unknown; use one of "):
        Settings(validation="lax")
