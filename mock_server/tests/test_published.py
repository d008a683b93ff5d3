"""The contract has the schemas, fields, types and formats of the published reference."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from mock_server.contract import tables as contracts

CONTRACT = contracts.load()
PUBLISHED: dict[str, dict[str, dict[str, str]]] = yaml.safe_load(
    Path(__file__).with_name("data").joinpath("published.yaml").read_text("utf-8")
)
SCHEMAS: dict[str, Any] = CONTRACT.source["components"]["schemas"]
_TYPES = {"string": "String", "boolean": "Boolean", "integer": "Integer"}


def shown(node: dict[str, Any]) -> dict[str, str]:
    """Return type and format of a property as the page writes them."""
    if node.get("type") == "array":
        return {"type": f"[{shown(node['items'])['type']}]"}
    shape = next((each for each in node.get("anyOf", [node]) if "$ref" in each), node)
    if "$ref" in shape:
        return {"type": shape["$ref"].rpartition("/")[2]}
    types = [node["type"]] if isinstance(node["type"], str) else node["type"]
    (type,) = (each for each in types if each != "null")
    if node.get("format") == "date-time":
        return {"type": "Date", "format": "date-time"}
    return {"type": _TYPES[type]} | ({"format": node["format"]} if "format" in node else {})


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_schemas_equal_the_contract(name):
    fields = SCHEMAS[name]["properties"]
    since = {field for field, node in fields.items() if "x-since" in node}
    assert {field: shown(node) for field, node in fields.items() if field not in since} == {
        field: node for field, node in PUBLISHED[name].items() if field not in since
    }


def test_every_schema_of_the_contract_is_published():
    """An enum has no fields; the page calls an empty message `Object`."""
    since = {name for name, schema in SCHEMAS.items() if "x-since" in schema}
    assert SCHEMAS.keys() - PUBLISHED.keys() - since == {"StorageImageIntegrationCategory", "V1Empty"}


def test_the_categories_are_the_published_ones():
    assert {"REGISTRY", "SCANNER", "NODE_SCANNER"} <= {*SCHEMAS["StorageImageIntegrationCategory"]["enum"]}
