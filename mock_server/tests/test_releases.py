"""Releases: their order, what `since` and `until` mean, and what a reported version stands for."""

import copy
import json
import re

import pytest

from mock_server.contract import tables as contracts
from mock_server.contract import validator as validators
from mock_server.contract.releases import Release, Releases, Span
from mock_server.contract.tables import Contract
from mock_server.state import files as states
from mock_server.state.files import document
from mock_server.tests.conftest import docker

KNOWN = Releases({"4.9": "4.9.10", "4.10": "4.10.6", "4.11": "4.11.2", "5.0": "5.0.0"})


def test_releases_are_ordered_by_their_numbers():
    texts = ["4.9.10", "5.0.0", "4.10.0", "4.9.9", "4.11.2"]
    assert sorted(map(KNOWN.find, texts)) == [
        KNOWN.find(each) for each in ["4.9.9", "4.9.10", "4.10.0", "4.11.2", "5.0.0"]
    ]


@pytest.mark.parametrize(
    ("since", "until", "has", "has_not"),
    [
        (None, None, ["4.9.0", "5.0.0"], []),
        ("4.10", None, ["4.10.0", "4.11.2", "5.0.0"], ["4.9.10"]),
        ("4.11.1", None, ["4.11.1", "5.0.0"], ["4.11.0", "4.10.6"]),
        (None, "4.10", ["4.9.0", "4.10.6"], ["4.11.0", "5.0.0"]),
        (None, "4.10.5", ["4.10.5"], ["4.10.6"]),
        (["4.9.9", "4.10.5", "4.11.1"], None, ["4.9.9", "4.10.5", "4.11.1", "5.0.0"], ["4.9.8", "4.10.4", "4.11.0"]),
        (["4.9.10", "5.0"], None, ["4.9.10", "5.0.0"], ["4.10.6", "4.11.2", "4.9.9"]),
        ("4.10", "4.10", ["4.10.0", "4.10.6"], ["4.9.10", "4.11.0"]),
    ],
)
def test_a_span_has_the_releases_between_its_ends(since, until, has, has_not):
    span = Span.of(since, until)
    assert [each for each in [*has, *has_not] if span.has(KNOWN.find(each))] == has


def test_the_text_of_a_span_can_be_parsed_again():
    spans = [(None, None), ("4.10", None), (None, "4.10"), (["4.9.9", "4.10.5"], "4.11")]
    assert [str(Span.of(*each)) for each in spans] == [
        "all",
        "since 4.10",
        "until 4.10",
        "since 4.9.9, 4.10.5 until 4.11",
    ]


@pytest.mark.parametrize(
    ("since", "until", "reason"),
    [
        (4.1, None, "4.1 is not a release"),
        ("4", None, "'4' is not a release"),
        ("new", None, "'new' is not a release"),
        ("4.11", "4.10", "until: 4.10 comes before since: 4.11"),
        (["4.10", "4.9.9"], None, "since: 4.10, 4.9.9 are not in order"),
    ],
)
def test_an_invalid_span_is_refused(since, until, reason):
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}"):
        Span.of(since, until)


@pytest.mark.parametrize(
    ("newest", "reason"),
    [
        ({"4.9": "4.10.1"}, "x-releases: 4.10.1 is not a patch of 4.9"),
        ({"4.10": "4.10.0", "4.9": "4.9.0"}, "x-releases: the releases are not in order"),
        ({"4.10": 4.1}, "4.1 is not a release"),
    ],
)
def test_a_table_of_releases_that_is_wrong_is_refused(newest, reason):
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}"):
        Releases(newest)


@pytest.mark.parametrize(
    ("reported", "release"),
    [
        ("4.11.1", "4.11.1"),
        ("4.11.2", "4.11.2"),
        ("4.11.7", "4.11.2"),
        ("5.0.0-rc.1", "5.0.0"),
        ("4.10.x-123-gabcdef0", "4.10.6"),
        ("4.12.x-12-gabc", "5.0.0"),
        ("3.74.1", "4.9.10"),
        ("6.1.0", "5.0.0"),
        ("development", "5.0.0"),
        ("", "5.0.0"),
    ],
)
def test_a_reported_version_stands_for_the_release_most_like_it(reported, release):
    assert str(KNOWN.nearest(reported)) == release


def test_a_release_is_named_by_its_minor_too():
    release = Release(4, 11, 2)
    assert [each for each in ("4.11", "4.11.2", "4.11.1", "4.1", "5.0") if release.is_named(each)] == ["4.11", "4.11.2"]


def test_each_view_is_made_once(contract):
    assert contract.at("4.11") is contract.at("4.11.2") is contract.at("4.8").at("4.11")
    assert contract.at(contract.release) is contract


# -- what is cut out of a view -----------------------------------------------------------------------


@pytest.fixture
def changed():
    """Return a changed copy of the document."""
    return copy.deepcopy(dict(contracts.load().source))


def test_a_field_of_a_later_release_is_gone_with_its_values(changed):
    config = changed["components"]["schemas"]["StorageDockerConfig"]
    config["properties"]["tunnel"] = {"type": "string", "x-proto-number": 5, "x-since": "5.0", "examples": ["p"]}
    config["required"] = ["tunnel"]
    changed["components"]["examples"]["docker-request"]["value"]["docker"]["tunnel"] = "p"
    changed["x-defaults"][0]["docker"]["tunnel"] = "p"
    newest = Contract(changed)
    older = newest.at("4.11")
    assert newest.example("docker")["docker"]["tunnel"] == newest.defaults[0]["docker"]["tunnel"] == "p"
    assert "tunnel" in newest.message("StorageDockerConfig").by_name
    assert "tunnel" not in older.message("StorageDockerConfig").by_name
    assert "tunnel" not in str(older.document)


def test_a_state_of_a_later_release_is_read_without_its_new_fields(changed, tmp_path):
    fields = changed["components"]["schemas"]["StorageDockerConfig"]["properties"]
    fields["tunnel"] = {"type": "string", "x-proto-number": 5, "x-since": "5.0"}
    file = tmp_path / "state.json"
    file.write_text(json.dumps(document([docker(id="a", docker={"endpoint": "e", "tunnel": "t"})])))
    newest = Contract(changed)
    read = {each: states.read(file, newest.at(each), validators.of(newest.at(each))) for each in ("5.0", "4.11")}
    assert read["5.0"][0]["docker"]["tunnel"] == "t"
    assert read["4.11"][0]["docker"] == {"endpoint": "e", "username": "", "password": "", "insecure": False}


def test_a_field_can_be_named_since(changed):
    changed["components"]["schemas"]["StorageDockerConfig"]["properties"]["x-since"] = {
        "type": "string",
        "x-proto-number": 5,
    }
    assert "x-since" in Contract(changed).message("StorageDockerConfig").by_name


def test_parts_of_every_release_are_in_the_oldest_with_their_examples(contract):
    schemas = contract.source["components"]["schemas"]
    oldest = contract.at(str(contract.releases.known[0])).document["components"]["schemas"]
    for name, schema in ((name, schemas[name]) for name in oldest):
        fields = {
            field: node for field, node in schema.get("properties", {}).items() if field in oldest[name]["properties"]
        }
        assert oldest[name].get("required") == schema.get("required")
        assert {field: oldest[name]["properties"][field].get("examples") for field in fields} == {
            field: node.get("examples") for field, node in fields.items()
        }


def test_an_example_of_a_field_has_no_value_of_a_later_release(changed):
    enum = changed["components"]["schemas"]["StorageImageIntegrationCategory"]
    enum["x-enum-releases"] = {"NODE_SCANNER": {"since": "5.0"}}
    node = changed["components"]["schemas"]["StorageImageIntegration"]["properties"]["categories"]
    node["examples"] = [["SCANNER", "NODE_SCANNER"]]
    schemas = Contract(changed).at("4.11").document["components"]["schemas"]
    assert schemas["StorageImageIntegration"]["properties"]["categories"]["examples"] == [["SCANNER"]]


def test_a_removed_value_leaves_types_defaults_and_examples(changed):
    enum = changed["components"]["schemas"]["StorageImageIntegrationCategory"]
    enum["x-enum-releases"] = {"NODE_SCANNER": {"until": "4.11"}}
    newest = Contract(changed)
    older = newest.at("4.11")
    assert list(newest.categories) == ["REGISTRY", "SCANNER"]
    assert newest.types["clairify"].categories == ("SCANNER",)
    assert "NODE_SCANNER" not in str([newest.defaults, newest.example("clairify"), newest.document["x-types"]])
    assert older.document["x-types"] == contracts.load().at("4.11").document["x-types"]
    assert older.defaults == contracts.load().defaults


def test_an_operation_of_a_later_release_is_gone_with_its_path_and_links(changed):
    path = "/v1/imageintegrations/{id}"
    changed["paths"][path]["delete"]["x-since"] = "5.0"
    older = Contract(changed).at("4.11")
    assert "DeleteImageIntegration" not in older.operations
    links = older.document["paths"]["/v1/imageintegrations"]["post"]["responses"]["200"]["links"]
    assert links.keys() == {"get", "put", "patch"}
    for operation in ("get", "put", "patch"):
        changed["paths"][path][operation]["x-since"] = "5.0"
    assert path not in Contract(changed).at("4.11").document["paths"]


def test_a_type_of_a_later_release_is_gone_with_its_examples_and_defaults(changed):
    changed["x-types"]["quay"]["since"] = "5.0"
    for name in ("quay-request", "quay-answer"):
        changed["components"]["examples"][name]["x-since"] = "5.0"
    older = Contract(changed).at("4.11")
    assert "quay" not in older.types
    assert not [each for each in older.defaults if each["type"] == "quay"]
    assert "quay-request" not in str(older.document)


def test_the_last_text_of_a_release_applies(changed):
    changed["x-rules"]["name-required"]["messages"] = [
        {"text": "old"},
        {"text": "new", "since": ["4.10.5", "4.11.1"]},
        {"text": "newest", "since": "5.0"},
    ]
    del changed["x-rules"]["name-required"]["message"]
    contract = Contract(changed)
    texts = {
        each: contract.at(each).rules["name-required"].message for each in ("4.10.4", "4.10.5", "4.11.0", "4.11", "5.0")
    }
    assert list(texts.values()) == ["old", "new", "old", "new", "newest"]
    assert contract.history["name-required"].message == "old / since 4.10.5, 4.11.1: new / since 5.0: newest"


def test_a_mistaken_release_in_the_document_is_reported(changed):
    changed["x-rules"]["name-required"]["since"] = 4.1
    with pytest.raises(ValueError, match=r'4\.1 is not a release; write it in quotes, such as "4\.11"'):
        Contract(changed)
