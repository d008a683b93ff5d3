"""Exports of the contract in older formats are valid and equivalent documents."""

import json
from copy import deepcopy
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from openapi_schema_validator import OAS30Validator
from openapi_spec_validator import OpenAPIV2SpecValidator, OpenAPIV30SpecValidator, OpenAPIV31SpecValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

from mock_server.cli.main import main
from mock_server.contract import export
from mock_server.contract.tables import Contract, load

CONTRACT = load()
VALIDATORS = {
    export.FORMS["openapi-3.1"]: OpenAPIV31SpecValidator,
    export.FORMS["openapi-3.0"]: OpenAPIV30SpecValidator,
    export.FORMS["swagger-2.0"]: OpenAPIV2SpecValidator,
}


@pytest.mark.parametrize("form", VALIDATORS)
@pytest.mark.parametrize("release", [CONTRACT.releases.known[0], CONTRACT.releases.newest], ids=str)
def test_form_is_a_valid_document(form, release):
    made = form(CONTRACT.at(release))
    VALIDATORS[form](made).validate()
    assert made["info"]["version"] == str(release)


@pytest.mark.parametrize("form", VALIDATORS)
def test_form_has_every_operation_with_its_path_parameters(form):
    made = form(CONTRACT)
    found = {
        entry["operationId"]: (method.upper(), path, entry)
        for path, item in made["paths"].items()
        for method, entry in item.items()
    }
    assert {id: (method, path) for id, (method, path, _) in found.items()} == {
        each.id: (each.method, each.path) for each in CONTRACT.operations.values()
    }
    for _, path, entry in found.values():
        names = {each.get("$ref", "").rpartition("/")[2] for each in entry.get("parameters", ())}
        assert ("IntegrationId" in names) == ("{id}" in path)


def test_forms_leave_the_contract_as_it_is():
    before = str(CONTRACT.document)
    for form in VALIDATORS:
        form(CONTRACT)["paths"].clear()
    assert str(CONTRACT.document) == before


def schemas_in(node):
    """Return all schemas of parameters, headers, bodies and components, including nested ones."""
    if isinstance(node, list):
        return [found for each in node for found in schemas_in(each)]
    if not isinstance(node, dict):
        return []
    inner = [found for key, each in node.items() if key not in ("example", "value") for found in schemas_in(each)]
    return [*inner, *([node["schema"]] if "schema" in node else node.get("schemas", {}).values())]


def test_no_schema_of_openapi_3_0_has_a_keyword_of_3_1():
    schemas = schemas_in(export.openapi_3_0(CONTRACT))
    assert len(schemas) > 50
    assert [each for each in schemas if "examples" in each or isinstance(each.get("type"), list)] == []


def test_a_parameter_of_one_operation_has_keywords_of_3_0_too():
    document = deepcopy(dict(CONTRACT.source))
    own = {"name": "own", "in": "query", "schema": {"type": ["string", "null"], "examples": ["x"]}}
    document["paths"]["/v1/imageintegrations"]["get"]["parameters"].append(own)
    made = export.openapi_3_0(Contract(document))["paths"]["/v1/imageintegrations"]["get"]["parameters"]
    assert made[-1]["schema"] == {"type": "string", "nullable": True, "example": "x"}


def test_openapi_3_0_accepts_the_examples_of_the_contract_and_no_wrong_types():
    made = export.openapi_3_0(CONTRACT)
    registry = Registry().with_resource("", Resource(made, DRAFT4))

    def errors(schema, value):
        validator = OAS30Validator({"$ref": f"#/components/schemas/{schema}"}, _resolver=registry.resolver())
        return list(validator.iter_errors(value))

    answers = [each["value"] for name, each in made["components"]["examples"].items() if name.endswith("-answer")]
    integrations = [each for each in answers if "categories" in each]
    assert len(integrations) == len(CONTRACT.types)
    for each in integrations:
        assert not errors("StorageImageIntegration", each)
        assert errors("StorageImageIntegration", each | {"name": None})
        assert errors("StorageImageIntegration", each | {"source": 1})


@pytest.mark.parametrize("form", [export.openapi_3_0, export.swagger_2])
def test_older_forms_let_a_client_read_the_fields_of_a_newer_central(form):
    assert '"additionalProperties": false' in json.dumps(CONTRACT.document)
    assert '"additionalProperties": false' not in json.dumps(form(CONTRACT))


def test_swagger_2_describes_both_ways_to_log_in():
    described = {name: each["description"] for name, each in CONTRACT.document["components"]["securitySchemes"].items()}
    assert export.swagger_2(CONTRACT)["securityDefinitions"] == {
        "bearerToken": {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": described["bearerToken"],
        },
        "basic": {"type": "basic", "description": described["basic"]},
    }


def test_swagger_2_describes_the_body_parameter():
    for path, item in export.swagger_2(CONTRACT)["paths"].items():
        for method, entry in item.items():
            sent = [each for each in entry.get("parameters", ()) if each.get("in") == "body"]
            described = CONTRACT.document["paths"][path][method].get("requestBody")
            assert [each["description"] for each in sent] == ([described["description"]] if described else [])
            assert [each["required"] for each in sent] == ([described["required"]] if described else [])


def test_swagger_2_has_the_fields_of_the_contract():
    made = export.swagger_2(CONTRACT)["definitions"]
    assert {name: list(schema.get("properties", {})) for name, schema in made.items()} == {
        name: list(schema.get("properties", {})) for name, schema in CONTRACT.document["components"]["schemas"].items()
    }
    assert made["StorageImageIntegration"]["properties"]["source"]["x-nullable"] is True


def test_swagger_2_translates_keywords_of_openapi_3_1():
    made, document = export.swagger_2(CONTRACT), CONTRACT.document
    own = {"swagger": "2.0", "basePath": "/", "consumes": ["application/json"], "produces": ["application/json"]}
    assert {key: made[key] for key in own} == own
    assert {key: made.get(key) for key in document if key.startswith("x-")} == {
        key: value for key, value in document.items() if key.startswith("x-")
    }
    (name,) = made["parameters"]
    described = document["components"]["parameters"][name]
    assert made["parameters"][name] == {
        "name": "id",
        "in": "path",
        "required": True,
        "description": described["description"],
        "type": "string",
    }
    path = "/v1/imageintegrations/{id}"
    get, described = made["paths"][path]["get"], document["paths"][path]["get"]
    same = ("operationId", "tags", "summary", "description", "x-permission")
    assert {key: get[key] for key in same} == {key: described[key] for key in same}
    assert get["parameters"] == [{"$ref": f"#/parameters/{name}"}]
    assert get["responses"].keys() == described["responses"].keys()
    assert get["responses"]["404"] == {"$ref": "#/responses/NotFound"}
    assert get["responses"]["200"]["schema"] == {"$ref": "#/definitions/StorageImageIntegration"}
    example = document["components"]["examples"]["docker-answer"]["value"]
    assert get["responses"]["200"]["examples"] == {"application/json": example}
    header = get["responses"]["200"]["headers"]["Cache-Control"]
    assert header == {"description": "Answers must not be cached.", "type": "string"}
    fields = made["definitions"]["StorageImageIntegration"]["properties"]
    assert fields["categories"]["items"] == {"$ref": "#/definitions/StorageImageIntegrationCategory"}


def exported(*options):
    result = CliRunner().invoke(main, ["export", *options])
    assert result.exit_code == 0, result.output
    return result.output


def test_a_form_is_printed():
    assert json.loads(exported()) == CONTRACT.document
    assert json.loads(exported("--format", "swagger-2.0")) == export.swagger_2(CONTRACT)


@pytest.mark.parametrize(("name", "read"), [("central.json", json.loads), ("central.yaml", yaml.safe_load)])
def test_a_form_is_written_as_the_name_of_the_file_says(tmp_path, name, read):
    exported("--format", "openapi-3.0", "--central-version", "4.11", "-o", str(tmp_path / name))
    assert read((tmp_path / name).read_text()) == export.openapi_3_0(CONTRACT.at("4.11"))


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    result = CliRunner().invoke(main, ["export", "-o", str(tmp_path / "nowhere" / "central.json")])
    assert result.exit_code != 0
    assert "nowhere" in result.output


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_full_disk_is_one_clear_line():
    result = CliRunner().invoke(main, ["export", "-o", "/dev/full"])
    assert result.exit_code == 1
    assert result.output.splitlines()[-1] == "Error: --output /dev/full: cannot be written: No space left on device"
