"""Named starting states."""

import re

import pytest

from mock_server.contract import tables as contracts
from mock_server.state import scenarios
from mock_server.tests.conftest import Api, docker

CONTRACT = contracts.load()


@pytest.mark.parametrize("name", scenarios.known())
def test_a_scenario_is_a_possible_state_of_central(name):
    api = Api(scenario=name)
    listed = api.list()
    assert len({each["id"] for each in listed}) == len({each["name"] for each in listed}) == len(listed)
    for each in scenarios.integrations(CONTRACT, name, "stackrox"):
        assert api.central.validator.accepts(CONTRACT.integration.name, each), each["name"]
    assert api.ask("GET").status == 200


@pytest.mark.parametrize("name", scenarios.known())
def test_every_client_of_an_intact_scenario_can_be_built(name):
    api = Api(scenario=name)
    built = [api.central.clients.activation(each) is None for each in api.central.store.integrations()]
    if scenarios.known()[name].broken.startswith("no client"):
        assert not all(built)
    else:
        assert all(built)


@pytest.mark.parametrize("name", scenarios.known())
def test_only_the_scenario_for_it_stores_a_mask(name):
    stored = str(Api(scenario=name).central.store.integrations())
    assert ("******" in stored) == (name == "masked-credential")


def test_one_of_each_has_each_type_once():
    assert sorted(each["type"] for each in Api(scenario="one-of-each").list()) == sorted(CONTRACT.types)


CREATABLE = CONTRACT.creatable_types


@pytest.mark.parametrize("number", [0, 1, len(CREATABLE), 1000])
def test_many_has_the_given_number(number):
    listed = Api(scenario=f"many:{number}").list()
    assert len(listed) == number
    if number >= len(CREATABLE):
        assert {each["type"] for each in listed} == {*CREATABLE}


def test_the_title_says_the_number_that_is_left_out():
    numbered = [each for each in scenarios.known().values() if each.number]
    assert [each.name for each in numbered if f"({each.number} without a number)" in each.title] == ["many"]
    assert len(numbered) == 1


def test_ids_are_the_same_at_each_start():
    one, two = Api(scenario="many:5").list(), Api(scenario="many:5").list()
    assert [each["id"] for each in one] == [each["id"] for each in two]
    assert {each["id"][14] for each in one} == {"4"}


def test_a_legacy_azure_integration_is_updated_as_central_does():
    api = Api(scenario="legacy-azure")
    old = api.list()[-1]
    assert "docker" in old
    new = {**old, "azure": {"endpoint": "example.azurecr.io", "username": "example", "password": ""}}
    del new["docker"]
    new["skipTestIntegration"] = True
    assert api.patch(old["id"], new).status == 200
    assert api.stored(old["id"])["azure"]["password"] == "not-a-real-password"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("fresch", "unknown scenario 'fresch'; known: fresh, "),
        ("fresh:3", "scenario 'fresh' takes no number, but 'fresh:3' has one$"),
        ("many:x", "scenario 'many:x': the number is not between 0 and 100000$"),
        ("many:100001", "scenario 'many:100001': the number is not between 0 and 100000$"),
    ],
)
def test_an_invalid_scenario_is_reported(text, named):
    with pytest.raises(ValueError, match=named):
        Api(scenario=text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fresh: [\n", ":2:1: did not find expected node content"),
        ("fresh: {nothing: 1}\n", ": Scenario.__init__() got an unexpected keyword argument 'nothing'"),
    ],
)
def test_an_invalid_file_of_scenarios_is_reported_with_its_place(tmp_path, monkeypatch, text, message):
    file = tmp_path / "scenarios.yaml"
    file.write_text(text)
    monkeypatch.setattr(scenarios, "PATH", file)
    with pytest.raises(ValueError, match=re.escape(f"{file}{message}")):
        scenarios._read()


def test_empty_and_another_scenario_are_refused():
    with pytest.raises(ValueError, match="empty: cannot be combined with the scenario 'many:3'"):
        Api(empty=True, scenario="many:3")


def test_empty_still_means_empty():
    api = Api(empty=True)
    assert api.list() == []
    assert api.create(docker()).status == 200
