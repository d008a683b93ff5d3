"""Mutants affect only the app that they are applied to. contract_tests/meta_tests checks that they are found."""

import pytest
from click.testing import CliRunner

from mock_server import Settings, create_app
from mock_server.cli import main as cli
from mock_server.contract import tables as contracts
from mock_server.mutants import KINDS, all_mutants, find, mutant
from mock_server.tests.conftest import Api, docker
from mock_server.tests.sampling import one_in


def test_there_is_a_mutant_for_each_rule_and_several_for_each_kind():
    mutants = all_mutants()
    assert set(contracts.load().history) <= {each.name for each in mutants.values() if each.kind == "rule"}
    for kind in KINDS:
        assert sum(each.kind == kind for each in mutants.values()) > 5


@pytest.mark.parametrize("name", one_in(4, all_mutants()))
def test_a_mutant_can_be_applied(name):
    create_app(Settings(mutants=(name,), **find(name).settings))


@pytest.mark.parametrize(("names", "names_taken"), [(("name-unique",), [200, 200]), ((), [200, 400])])
def test_a_mutant_stays_in_its_app(names, names_taken):
    mutated, healthy = Api(mutants=("name-unique", "name-required")), Api(mutants=names)
    assert mutated.create(docker()).status == 200
    assert [healthy.create(docker()).status for _ in range(2)] == names_taken


@pytest.mark.parametrize("name", ["error-code-text", "database-text-shown", "create-error-without-error"])
def test_a_mutant_handles_unusual_requests(name):
    client = create_app(Settings(mutants=(name,))).test_client()
    grpc = {"Content-Type": "application/grpc"}
    assert client.post("/v1/imageintegrations", data=b"", headers=grpc).data == b"Method cannot be downgraded\n"
    refused = client.put("/v1/imageintegrations/", json=docker(skipTestIntegration=True))
    assert refused.status_code == 500
    assert refused.json["message"].startswith("Database operation failed")
    assert ("SQLSTATE" in refused.json["message"]) == (name == "database-text-shown")


def test_mutants_can_be_combined():
    api = Api(mutants=("delete-204", "get-wrapped", "create-extra-field"))
    created = api.create(docker()).json
    assert "createdAt" in created
    assert api.get(created["id"]).json["integration"]["name"] == created["name"]
    assert api.delete(created["id"]).status == 204


def test_an_answer_that_breaks_the_contract_does_not_stop_a_faulty_app():
    assert Api(mutants=("two-members",), validation="full").create(docker()).status == 200


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("name-uniqe", "unknown mutant 'name-uniqe'; did you mean name-unique"),
        ("zzz", "unknown mutant 'zzz'; `mock-central mutants` lists them"),
    ],
)
def test_an_unknown_mutant_is_refused(name, text):
    with pytest.raises(ValueError, match=text):
        create_app(Settings(mutants=(name,)))
    result = CliRunner().invoke(cli.main, ["serve", "--mutant", name])
    assert result.exit_code == 2
    assert text in " ".join(result.output.split())


def test_the_command_lists_every_mutant():
    lines = CliRunner().invoke(cli.main, ["mutants"]).output.splitlines()
    assert [line.split("\t")[0] for line in lines[1:]] == list(all_mutants())


def test_two_mutants_of_one_name_are_refused():
    with pytest.raises(ValueError, match="'name-unique' exists already"):
        mutant("name-unique", kind="rule", check="name-unique", summary="")
