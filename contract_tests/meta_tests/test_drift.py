"""Comparison of published documents with the contract."""

import copy
import cProfile
import itertools
import json
import random
import re
import shlex
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from click.testing import CliRunner
from markdown_it import MarkdownIt

from contract_tests.checks.document import published_document
from contract_tests.cli.main import main
from contract_tests.drift import comparison, documents, reports
from contract_tests.drift.description import Description
from contract_tests.engine.exchange import Reply
from contract_tests.engine.failures import CheckFailed, HarnessError, NotApplicable
from mock_server.contract import export
from mock_server.contract import tables as contracts

Node = dict[str, Any]
Edit = Callable[[Node, Node, Node], None]

CONTRACT = contracts.load()
NEWEST = CONTRACT.releases.newest.line
FORMS = {"swagger-2.0": export.swagger_2, "openapi-3.0": export.openapi_3_0, "openapi-3.1": export.openapi_3_1}
COLLECTION, ITEM = "/v1/imageintegrations", "/v1/imageintegrations/{id}"


def published() -> Node:
    """Return a document as grpc-gateway writes it: service names in ids, lower case, few statuses."""
    text = json.dumps(export.swagger_2(CONTRACT)).replace("#/definitions/S", "#/definitions/s")
    document: Node = json.loads(text)
    document["definitions"] = {re.sub("^S", "s", name): node for name, node in document["definitions"].items()}
    return document


def compared(document: Any) -> comparison.Drift:
    return comparison.compare(document, CONTRACT)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("contract", CONTRACT.every_release, ids=lambda each: each.release.line)
def test_contract_equals_itself_in_every_format(form: Any, contract: Any) -> None:
    drift = comparison.compare(FORMS[form](contract), contract)
    assert (drift.differences, drift.gaps, drift.status(strict=True)) == ((), (), 0)
    assert "agree" in drift.headline


def test_grpc_gateway_form_of_the_api_is_equal() -> None:
    """Prefixed ids, another name in the path, and a body without the path's fields."""
    document = published()
    definitions = document["definitions"]
    config = copy.deepcopy(definitions["storageImageIntegration"])
    del config["properties"]["id"]
    definitions["ImageIntegrationServicePutImageIntegrationBody"] = config
    update = copy.deepcopy(definitions["V1UpdateImageIntegrationRequest"])
    update["properties"]["config"] = copy.deepcopy(config)
    for item in document["paths"].values():
        for operation in item.values():
            operation["operationId"] = f"ImageIntegrationService_{operation['operationId']}"
    item = document["paths"][ITEM]
    document["paths"][ITEM.replace("id", "config.id")] = {"patch": item.pop("patch")}
    patch = document["paths"][ITEM.replace("id", "config.id")]["patch"]
    patch["parameters"] = [
        {"name": "config.id", "in": "path", "required": True, "type": "string"},
        {"name": "body", "in": "body", "required": True, "schema": update},
    ]
    item["put"]["parameters"][1]["schema"] = {"$ref": "#/definitions/ImageIntegrationServicePutImageIntegrationBody"}
    document["paths"]["/v1/clusters"] = {"get": {"operationId": "ClustersService_GetClusters", "responses": {}}}
    assert compared(document).differences == ()


def schema(document: Any, name: str) -> Node:
    found: Node = document["definitions"][name]["properties"]
    return found


def body(operation: Any) -> Node:
    found: Node = next(each for each in operation["parameters"] if each.get("in") == "body")
    return found


def edited(document: Any) -> tuple[Node, Node, Node]:
    """Return the parts of a document that edits use."""
    paths, definitions = document["paths"], document["definitions"]
    return paths, definitions, definitions["storageImageIntegration"]["properties"]


EDITS: dict[str, tuple[str, bool, str, Edit]] = {}


def edit(kind: str, breaking: bool, says: str) -> Callable[[Edit], Edit]:
    """Register an edit with the kind of its difference and a part of the reported text."""

    def register(function: Edit) -> Edit:
        EDITS[function.__name__] = kind, breaking, says, function
        return function

    return register


@edit("lost", True, "DELETE /v1/imageintegrations/{id}: is not an operation")
def operation_removed(paths: Node, definitions: Node, fields: Node) -> None:
    del paths[ITEM]["delete"]


@edit("new", False, "POST /v1/imageintegrations/{id}/rotate: is a new operation")
def operation_added(paths: Node, definitions: Node, fields: Node) -> None:
    paths[f"{ITEM}/rotate"] = {"post": copy.deepcopy(paths[ITEM]["get"]) | {"operationId": "Rotate"}}


@edit("new", False, "PUT /v1/imageintegrations: is a new operation")
def method_added(paths: Node, definitions: Node, fields: Node) -> None:
    paths[COLLECTION]["put"] = copy.deepcopy(paths[COLLECTION]["post"]) | {"operationId": "ReplaceAll"}


@edit("lost", True, "/test/updated: is not an operation")
def path_renamed(paths: Node, definitions: Node, fields: Node) -> None:
    paths[f"{COLLECTION}/check"] = paths.pop(f"{COLLECTION}/test/updated")


@edit("changed", False, "operationId")
def operation_id_changed(paths: Node, definitions: Node, fields: Node) -> None:
    paths[ITEM]["get"]["operationId"] = "ReadImageIntegration"


@edit("changed", False, "GET /v1/imageintegrations: is deprecated")
def operation_deprecated(paths: Node, definitions: Node, fields: Node) -> None:
    paths[COLLECTION]["get"]["deprecated"] = True


@edit("lost", True, "the query parameter `cluster` is not")
def parameter_removed(paths: Node, definitions: Node, fields: Node) -> None:
    del paths[COLLECTION]["get"]["parameters"][1]


@edit("new", False, "the query parameter `limit` is new")
def parameter_added(paths: Node, definitions: Node, fields: Node) -> None:
    paths[COLLECTION]["get"]["parameters"].append({"name": "limit", "in": "query", "type": "integer"})


@edit("new", True, "the header parameter `X-Tenant` is new and required")
def required_parameter_added(paths: Node, definitions: Node, fields: Node) -> None:
    paths[COLLECTION]["get"]["parameters"].append(
        {"name": "X-Tenant", "in": "header", "type": "string", "required": True}
    )


@edit("changed", True, "query.name: is array, not string")
def parameter_type_changed(paths: Node, definitions: Node, fields: Node) -> None:
    paths[COLLECTION]["get"]["parameters"][0] |= {"type": "array", "items": {"type": "string"}}


@edit("changed", True, "the query parameter `name` is now required")
def parameter_made_required(paths: Node, definitions: Node, fields: Node) -> None:
    paths[COLLECTION]["get"]["parameters"][0]["required"] = True


@edit("changed", True, "{id} path.id: is string (uuid), not string")
def path_parameter_got_a_format(paths: Node, definitions: Node, fields: Node) -> None:
    paths[ITEM]["get"]["parameters"] = [
        {"name": "id", "in": "path", "required": True, "type": "string", "format": "uuid"}
    ]


@edit("lost", True, "takes no body")
def body_removed(paths: Node, definitions: Node, fields: Node) -> None:
    paths[COLLECTION]["post"]["parameters"].remove(body(paths[COLLECTION]["post"]))


@edit("new", True, "takes a body")
def body_added(paths: Node, definitions: Node, fields: Node) -> None:
    paths[ITEM]["delete"]["parameters"].append(body(paths[COLLECTION]["post"]))


@edit("changed", False, "the body is no longer required")
def body_made_optional(paths: Node, definitions: Node, fields: Node) -> None:
    body(paths[ITEM]["put"])["required"] = False


@edit("changed", True, "the body is not application/json")
def media_type_changed(paths: Node, definitions: Node, fields: Node) -> None:
    paths[COLLECTION]["post"]["consumes"] = ["application/x-protobuf"]


@edit("new", False, "StorageDockerConfig.mirrors: is a new field, array")
def field_added(paths: Node, definitions: Node, fields: Node) -> None:
    definitions["storageDockerConfig"]["properties"]["mirrors"] = {"type": "array", "items": {"type": "string"}}


@edit("new", True, "StorageQuayConfig.organization: is a new field, string and required")
def required_field_added(paths: Node, definitions: Node, fields: Node) -> None:
    definitions["storageQuayConfig"]["properties"]["organization"] = {"type": "string"}
    definitions["storageQuayConfig"]["required"] = ["organization"]


@edit("lost", True, "StorageECRConfig.useIam: is not a field")
def field_removed(paths: Node, definitions: Node, fields: Node) -> None:
    del definitions["storageECRConfig"]["properties"]["useIam"]


@edit("lost", True, "StorageImageIntegration.clusterId: is not a field")
def field_renamed(paths: Node, definitions: Node, fields: Node) -> None:
    fields["clusterID"] = fields.pop("clusterId")


@edit("changed", True, "StorageDockerConfig.insecure: is string, not boolean")
def type_changed(paths: Node, definitions: Node, fields: Node) -> None:
    definitions["storageDockerConfig"]["properties"]["insecure"]["type"] = "string"


@edit("changed", True, "StorageClairifyConfig.numConcurrentScans: is integer (int64), not integer (int32)")
def format_changed(paths: Node, definitions: Node, fields: Node) -> None:
    definitions["storageClairifyConfig"]["properties"]["numConcurrentScans"]["format"] = "int64"


@edit("changed", True, "StorageImageIntegration.categories: is string, not array")
def list_made_single(paths: Node, definitions: Node, fields: Node) -> None:
    fields["categories"] = {"type": "string"}


@edit("changed", True, "StorageImageIntegration.categories[]: is integer, not string")
def items_changed(paths: Node, definitions: Node, fields: Node) -> None:
    fields["categories"] = {"type": "array", "items": {"type": "integer"}}


@edit("changed", True, "StorageAzureConfig.endpoint: may be null")
def field_made_nullable(paths: Node, definitions: Node, fields: Node) -> None:
    definitions["storageAzureConfig"]["properties"]["endpoint"]["x-nullable"] = True


@edit("changed", False, "StorageGoogleConfig.project: is deprecated")
def field_deprecated(paths: Node, definitions: Node, fields: Node) -> None:
    definitions["storageGoogleConfig"]["properties"]["project"]["deprecated"] = True


@edit("changed", True, "StorageDockerConfig.username: has the limit maxLength 64")
def limit_added(paths: Node, definitions: Node, fields: Node) -> None:
    definitions["storageDockerConfig"]["properties"]["username"]["maxLength"] = 64


@edit("new", False, "StorageImageIntegrationCategory: the value VM_SCANNER is new")
def enum_value_added(paths: Node, definitions: Node, fields: Node) -> None:
    definitions["storageImageIntegrationCategory"]["enum"].append("VM_SCANNER")


@edit("lost", True, "StorageImageIntegrationCategory: the value NODE_SCANNER is not")
def enum_value_removed(paths: Node, definitions: Node, fields: Node) -> None:
    definitions["storageImageIntegrationCategory"]["enum"].remove("NODE_SCANNER")


@edit("changed", True, "StorageImageIntegration.type: is one of docker, quay only")
def text_made_an_enum(paths: Node, definitions: Node, fields: Node) -> None:
    fields["type"]["enum"] = ["docker", "quay"]


@edit("changed", True, "StorageImageIntegration.clusterId: is required")
def field_made_required(paths: Node, definitions: Node, fields: Node) -> None:
    definitions["storageImageIntegration"]["required"].append("clusterId")


@edit("unsaid", False, "StorageImageIntegration.name: is required")
def field_made_optional(paths: Node, definitions: Node, fields: Node) -> None:
    definitions["storageImageIntegration"]["required"].remove("name")


@edit("new", False, "can also answer 409")
def error_status_added(paths: Node, definitions: Node, fields: Node) -> None:
    paths[COLLECTION]["post"]["responses"]["409"] = {"description": "The name is taken."}


@edit("new", True, "can also answer 201")
def success_status_added(paths: Node, definitions: Node, fields: Node) -> None:
    paths[COLLECTION]["post"]["responses"]["201"] = paths[COLLECTION]["post"]["responses"]["200"]


@edit("lost", True, "the answer 200 is not")
def success_status_removed(paths: Node, definitions: Node, fields: Node) -> None:
    del paths[ITEM]["delete"]["responses"]["200"]


@edit("unsaid", False, "GET /v1/imageintegrations/{id}: can answer 404")
def error_status_removed(paths: Node, definitions: Node, fields: Node) -> None:
    del paths[ITEM]["get"]["responses"]["404"]


@edit("lost", True, "StorageImageIntegration.name: is not a field")
def answer_is_another_schema(paths: Node, definitions: Node, fields: Node) -> None:
    answer = {"description": "The id.", "schema": {"type": "object", "properties": {"id": {"type": "string"}}}}
    paths[COLLECTION]["post"]["responses"]["200"] = answer


@edit("changed", False, "StorageClairConfig: is called storageClairSettings")
def schema_renamed(paths: Node, definitions: Node, fields: Node) -> None:
    definitions["storageClairSettings"] = definitions.pop("storageClairConfig")
    fields["clair"] = {"$ref": "#/definitions/storageClairSettings"}


@edit("changed", True, "StorageECRConfig.authorizationData: is string, not object")
def message_made_a_text(paths: Node, definitions: Node, fields: Node) -> None:
    definitions["storageECRConfig"]["properties"]["authorizationData"] = {"type": "string", "x-nullable": True}


def test_at_least_thirty_edits_are_tested() -> None:
    assert len(EDITS) >= 30


@pytest.mark.parametrize("name", EDITS)
def test_edit_is_found(name: str) -> None:
    kind, breaking, says, function = EDITS[name]
    document = published()
    function(*edited(document))
    drift = compared(document)
    found = [each for each in drift.differences if says in str(each)]
    assert [(each.kind, each.breaking) for each in found] == [(kind, breaking)], [*map(str, drift.differences)]
    assert all(each.kind == kind or says not in str(each) for each in drift.differences)
    assert drift.status() == (1 if breaking or drift.breaking else 0)
    assert drift.status(strict=True) == (0 if kind == "unsaid" else 1)


def test_schema_difference_is_reported_once_with_its_operations() -> None:
    document = published()
    field_removed(*edited(document))
    (found,) = compared(document).differences
    assert len(found.operations) == 7


def taken_up(patch: str) -> Node:
    """Merge a patch into the contract as a developer would."""
    source = copy.deepcopy(dict(CONTRACT.source))

    def merge(to: Any, more: Any) -> None:
        for key, value in more.items():
            if isinstance(value, dict) and isinstance(to.get(key), dict):
                merge(to[key], value)
            else:
                to[key] = value

    merge(source, yaml.safe_load(patch))
    return source


NEW = [name for name, (kind, *_) in EDITS.items() if kind == "new" and name != "body_added"]


@pytest.mark.parametrize("name", NEW)
def test_patched_contract_has_the_additions(name: str) -> None:
    document = published()
    EDITS[name][-1](*edited(document))
    before = compared(document)
    document_of_the_contract = taken_up(reports.patch(before))
    assert "since" in reports.patch(before)
    theirs, ours = Description(document), Description(document_of_the_contract)
    again = comparison._Comparison(ours, theirs, CONTRACT, NEWEST)
    mine, other = (each.operations(COLLECTION, "") for each in (ours, theirs))
    for route in dict.fromkeys([*mine, *other]):
        again.operations(mine.get(route), other.get(route))
    assert [each for each in again.found.values() if each.kind == "new"] == []


def test_patch_includes_the_messages_of_a_new_field() -> None:
    document = published()
    document["definitions"]["storageMirror"] = {"type": "object", "properties": {"url": {"type": "string"}}}
    schema(document, "storageDockerConfig")["mirrors"] = {
        "type": "array",
        "items": {"$ref": "#/definitions/storageMirror"},
    }
    schemas = yaml.safe_load(reports.patch(compared(document)))["components"]["schemas"]
    assert schemas["StorageMirror"]["properties"] == {"url": {"type": "string"}}
    field = schemas["StorageDockerConfig"]["properties"]["mirrors"]
    assert field == {"type": "array", "items": {"$ref": "#/components/schemas/StorageMirror"}, "x-since": NEWEST}


# -- documents ----------------------------------------------------------------------------------------


def page() -> str:
    """Return the contract in the layout of the published reference: tables in Markdown."""
    lines = []
    for operation in CONTRACT.operations.values():
        lines += [f"# {operation.id}", "", f"`{operation.method} {operation.path}`", "", "## Parameters", ""]
        if "{id}" in operation.path:
            lines += ["### Path Parameters", "", "| Name | Required |", "|---|---|", "| id | X |", ""]
        if operation.id == "GetImageIntegrations":
            lines += [
                "### Query Parameters",
                "",
                "| Name | Required |",
                "|---|---|",
                "| name | \\- |",
                "| cluster |  |",
                "",
            ]
        if operation.request:
            lines += ["### Body Parameter", "", "| Name | Description | Required |", "|---|---|---|"]
            lines += [f"| body | [{operation.request}](objects.md#{operation.request}) | X |", ""]
        lines += ["## Responses", "", "| Code | Message | Datatype |", "|---|---|---|"]
        lines += [
            f"| 200 | Fine. | [{operation.answer}](objects.md) |",
            "| 0 | Not so. | [GooglerpcStatus](o.md) |",
            "",
        ]
    return "\n".join([*lines, *objects()])


def objects() -> Iterator[str]:
    for name, node in CONTRACT.document["components"]["schemas"].items():
        yield f"## {name}"
        yield ""
        if "enum" in node:
            yield from ("| Enum Values |", "|---|", *(f"| {each} |" for each in node["enum"]))
        else:
            yield from (
                "| Field Name | Required | Nullable | Type | Description | Format |",
                "|---|---|---|---|---|---|",
            )
            for field, entry in node.get("properties", {}).items():
                yield f"| {field} |  |  | {type_on_page(entry)} | Some \\| text. | {entry.get('format', '')} |"
        yield ""


def type_on_page(entry: Any) -> str:
    if entry.get("type") == "array":
        return f"List of {type_on_page(entry['items'])}"
    shape = next((each for each in entry.get("anyOf", [entry]) if "$ref" in each), entry)
    if "$ref" in shape:
        return f"[{shape['$ref'].rpartition('/')[2]}](#there)"
    return "Date" if entry.get("format") == "date-time" else str(entry["type"]).title()


def html_of(markdown: str) -> str:
    return f"<!DOCTYPE html>{MarkdownIt('commonmark').enable('table').render(markdown)}"


@pytest.mark.parametrize("form", [str, html_of], ids=["markdown", "html"])
def test_page_of_tables_is_read(form: Any) -> None:
    drift = compared(documents.parse(form(page()).encode(), "page"))
    assert {each.kind for each in drift.differences} == {"unsaid"}
    assert drift.gaps == ()
    changed = page().replace("| insecure |  |  | Boolean |", "| insecure |  |  | String |", 1)
    assert [each.place for each in compared(documents.parse(form(changed).encode(), "page")).breaking] == [
        "StorageDockerConfig.insecure"
    ]


def test_page_of_objects_only_is_an_incomplete_comparison() -> None:
    drift = compared(documents.parse("\n".join(objects()).encode(), "objects"))
    assert drift.status() == 3
    assert drift.gaps == ("the document has no operations",)


@pytest.mark.parametrize("form", FORMS)
def test_schemas_without_operations_are_compared_by_name(form: Any) -> None:
    """A definition that fields may refer to as null is not itself different; no operation is named."""
    document = FORMS[form](CONTRACT) | {"paths": {}}
    drift = compared(document)
    assert (drift.differences, drift.status()) == ((), 3)
    schemas = document["definitions"] if form == "swagger-2.0" else document["components"]["schemas"]
    schemas["StorageDockerConfig"]["properties"]["insecure"] = {"type": "string"}
    (found,) = compared(document).differences
    assert found.operations == ()
    assert "()" not in reports.text(compared(document))


def test_missing_definitions_make_the_comparison_incomplete() -> None:
    document = published()
    del document["definitions"]["storageDockerConfig"]
    drift = compared(document)
    assert drift.status() == 3
    assert drift.gaps == ("#/definitions/storageDockerConfig is not in the document",)


def test_several_documents_are_merged(tmp_path: Path) -> None:
    whole = page()
    middle = whole.index("## StorageImageIntegration\n")
    for name, part in (("operations.md", whole[:middle]), ("objects.md", whole[middle:])):
        (tmp_path / name).write_text(part)
    ran = CliRunner().invoke(main, ["drift", f"{tmp_path}/operations.md", f"{tmp_path}/objects.md"])
    assert ran.exit_code == 0, ran.output


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\x80", "is not UTF-8 or UTF-16 text"),
        (b'{"swagger": ', "cannot be read: Expecting value"),
        (b"a: [b,\n c: }", "cannot be read: line 2, column 5: "),
        (b"hello", "is not Swagger 2.0"),
        (b"<html><p>Log in</p></html>", "is not Swagger 2.0"),
        (b"[]", "is not Swagger 2.0"),
        (b'{"swagger": "2.0", "paths": {"/v1/clusters": {"get": {}}}}', "does not describe /v1/imageintegrations"),
        (b'{"openapi": "3.0.3", "paths": null, "components": null}', "does not describe /v1/imageintegrations"),
    ],
)
def test_other_content_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "document"
    file.write_bytes(content)
    ran = CliRunner().invoke(main, ["drift", str(file)])
    assert ran.exit_code == 2
    assert says in ran.output


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_yaml_with_comments_is_not_a_page(encoding: str) -> None:
    text = f"# Written by a generator.\n{yaml.safe_dump(json.loads(json.dumps(CONTRACT.document)))}"
    found = compared(documents.parse(text.encode(encoding), "openapi.yaml"))
    assert found.headline.endswith(" agree")


def test_recursive_schemas_end() -> None:
    document = published()
    schema(document, "storageDockerConfig")["password"] = {"$ref": "#/definitions/loop"}
    document["definitions"]["loop"] = {"$ref": "#/definitions/loop"}
    schema(document, "storageQuayConfig")["endpoint"] = {"$ref": "#/definitions/storageQuayConfig"}
    assert {each.place for each in compared(document).breaking} == {"StorageQuayConfig.endpoint"}


def test_deeply_nested_schema_is_refused() -> None:
    document = published()
    deep: Node = {"type": "string"}
    for _ in range(400):
        deep = {"type": "object", "properties": {"a": deep}}
    schema(document, "storageDockerConfig")["deep"] = deep
    with pytest.raises(HarnessError, match="nested too deeply"):
        compared(document)


@pytest.mark.heavy
def test_cost_is_linear_in_the_number_of_fields() -> None:
    def calls(fields: int) -> int:
        document = published()
        schema(document, "storageDockerConfig").update({f"f{each}": {"type": "string"} for each in range(fields)})
        with cProfile.Profile() as profile:
            assert len(compared(document).differences) == fields
        return sum(each.callcount for each in profile.getstats())

    calls(10)
    assert calls(2000) < 10 * calls(250)


def test_url_of_the_document_itself_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fetch(options: Any, path: str, _most: int) -> Any:
        asked.append(options.url + path)
        raise HarnessError("enough")

    monkeypatch.setattr("contract_tests.engine.http.fetch", fetch)
    CliRunner().invoke(main, ["drift", "https://central.example.com/api/docs/swagger"])
    assert asked == ["https://central.example.com/api/docs/swagger"]


def test_since_must_be_a_release(tmp_path: Path) -> None:
    ran = CliRunner().invoke(main, ["drift", str(tmp_path / "any"), "--as-contract-patch", "--since", "next"])
    assert ran.exit_code == 2
    assert "'next' is not a release such as 5.1" in ran.output


def test_exponentially_growing_schemas_end() -> None:
    document = published()
    for number in range(29):
        more = {"$ref": f"#/definitions/d{number + 1}"}
        document["definitions"][f"d{number}"] = {"allOf": [more, more]}
    schema(document, "storageDockerConfig")["password"] = {"$ref": "#/definitions/d0"}
    (found,) = compared(document).differences
    assert str(found) == "StorageDockerConfig.password: is string; the document specifies no type"


TEXT_OR_NUMBER = "StorageDockerConfig.username: is string or integer, not string"


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ({"type": ["string", "integer"]}, [TEXT_OR_NUMBER]),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, [TEXT_OR_NUMBER]),
        ({"anyOf": [{"$ref": "#/definitions/text"}, {"type": "integer"}, {"type": "null"}]}, [TEXT_OR_NUMBER]),
        ({"oneOf": [{"oneOf": [{"type": "string"}, {"type": "integer"}]}, {"type": "string"}]}, [TEXT_OR_NUMBER]),
        ({"$ref": "#/definitions/either"}, [TEXT_OR_NUMBER]),
        ({"anyOf": [{"type": "string"}, {"type": "string", "format": "uuid"}]}, []),
        (
            {"anyOf": [{"type": "string"}, {"type": "string", "x-nullable": True}]},
            ["StorageDockerConfig.username: may be null"],
        ),
        (
            {"oneOf": [{"type": "string"}, {}]},
            ["StorageDockerConfig.username: is string; the document specifies no type"],
        ),
        (False, ["StorageDockerConfig.username: is not a field of the document"]),
    ],
)
def test_alternatives_are_compared(field: Any, says: list[str]) -> None:
    document = published()
    document["definitions"] |= {
        "text": {"type": "string"},
        "either": {"oneOf": [{"type": "string"}, {"type": "integer"}, {"$ref": "#/definitions/either"}]},
    }
    schema(document, "storageDockerConfig")["username"] = field
    drift = compared(document)
    assert [*map(str, drift.differences)] == says
    assert drift.status() == (1 if says and "no type" not in says[0] else 0)


def test_alternatives_of_an_object_have_its_fields() -> None:
    document = published()
    definitions = document["definitions"]
    fields = definitions["storageDockerConfig"]["properties"]
    first, *_ = fields
    parts = [{first: fields[first]}, {name: node for name, node in fields.items() if name != first}]
    definitions["storageDockerConfig"] = {"oneOf": [{"type": "object", "properties": part} for part in parts]}
    assert compared(document).breaking == []


def test_cost_of_alternatives_is_limited() -> None:
    document = published()
    for number in range(29):
        more = {"$ref": f"#/definitions/d{number + 1}"}
        document["definitions"][f"d{number}"] = {"allOf": [more, more]}
    with cProfile.Profile() as profile:
        either = {"oneOf": [{"$ref": "#/definitions/d0"} for _ in range(200)]}
        Description(document).shape(either)
    assert sum(each.callcount for each in profile.getstats()) < 100_000


def test_exponentially_growing_alternatives_end() -> None:
    document = published()
    for number in range(200):
        more = {"$ref": f"#/definitions/d{number + 1}"}
        document["definitions"][f"d{number}"] = {"oneOf": [more, dict(more)]}
    document["definitions"]["d200"] = {"type": "integer"}
    schema(document, "storageDockerConfig")["password"] = {"$ref": "#/definitions/d100"}
    assert [*map(str, compared(document).breaking)] == ["StorageDockerConfig.password: is integer, not string"]


JUNK: tuple[Any, ...] = (
    None,
    1,
    "x",
    [],
    {},
    [None],
    {"$ref": 1},
    {"$ref": "#/"},
    {"$ref": "http://x/y"},
    {"type": 5},
    {"a": None},
)


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Return the paths of a document, except those of examples."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        if not str(key).startswith(("example", "x-")):
            yield (*path, key)
            yield from places(value, (*path, key))


@pytest.mark.parametrize("seed", range(3))
def test_malformed_document_is_compared_or_refused(seed: int) -> None:
    chosen = random.Random(seed)
    whole = {key: published()[key] for key in ("swagger", "paths", "definitions", "parameters", "responses")}
    every = list(places(whole))
    for _ in range(15):
        document = copy.deepcopy(whole)
        *parents, last = chosen.choice(every)
        node: Any = document
        for each in parents:
            node = node[each]
        node[last] = chosen.choice(JUNK)
        try:
            drift = compared(document)
        except HarnessError:
            continue
        assert reports.text(drift, everything=True)
        assert reports.patch(drift)


def test_base_path_is_part_of_the_paths() -> None:
    document = published()
    document["basePath"] = "/v1"
    document["paths"] = {path.removeprefix("/v1"): item for path, item in document["paths"].items()}
    assert compared(document).differences == ()


@pytest.mark.parametrize(
    "server",
    [
        {"url": "{server}", "variables": {"server": {"default": "https://central.example.com"}}},
        {"url": "https://{host}:{port}/{base}", "variables": {"port": {"default": 8443}, "base": {"default": ""}}},
    ],
)
def test_variables_of_a_server_have_their_defaults(server: Node) -> None:
    assert compared(export.openapi_3_0(CONTRACT) | {"servers": [server]}).differences == ()


@pytest.mark.parametrize(
    ("form", "part", "says"),
    [
        ("openapi-3.1", {"servers": [{"url": "http://[::1"}]}, "servers[0].url is not a URL: http://[::1"),
        ("swagger-2.0", {"basePath": "//[x"}, "basePath is not a URL: //[x"),
    ],
)
def test_invalid_base_is_refused(tmp_path: Path, form: str, part: Node, says: str) -> None:
    file = tmp_path / "document.json"
    file.write_text(json.dumps(FORMS[form](CONTRACT) | part))
    ran = CliRunner().invoke(main, ["drift", str(file)])
    assert ran.exit_code == 2
    assert f"{file}: {says}" in ran.output


# -- the command --------------------------------------------------------------------------------------


def test_reports_contain_every_difference(tmp_path: Path) -> None:
    document = published()
    for name in ("field_added", "type_changed", "field_made_optional"):
        EDITS[name][-1](*edited(document))
    document["definitions"]["storageDockerConfig"]["properties"]["a|<b>\x1b"] = {"type": "string"}
    file = tmp_path / "swagger.json"
    file.write_text(json.dumps(document))
    words = ["drift", str(file)]
    for kind in reports.RENDERERS:
        words += [f"--report-{kind}", f"{tmp_path}/{kind}"]
    ran = CliRunner().invoke(main, words)
    assert ran.exit_code == 1
    assert "BREAKING  StorageDockerConfig.insecure: is string, not boolean" in ran.output
    assert "differ: 1 breaking, 2 harmless; not specified by the document: 1." in ran.output
    assert "StorageImageIntegration.name" not in ran.output
    assert "StorageImageIntegration.name" in CliRunner().invoke(main, [*words, "--all"]).output
    report = json.loads((tmp_path / "json").read_text())
    assert (report["breaking"], report["harmless"], report["unsaid"], report["status"]) == (1, 2, 1, 1)
    assert [each["kind"] for each in report["differences"]] == ["new", "new", "changed", "unsaid"]
    suite = ET.parse(tmp_path / "junit").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("5", "1")
    shown = (tmp_path / "markdown").read_text()
    assert "**breaking**" in shown
    assert "<b>" not in shown
    assert "\x1b" not in ran.output + shown


def test_command_prints_a_patch(tmp_path: Path) -> None:
    document = published()
    field_added(*edited(document))
    file = tmp_path / "swagger.yaml"
    file.write_text(yaml.safe_dump(document))
    ran = CliRunner().invoke(main, ["drift", str(file), "--as-contract-patch", "--since", "5.1"])
    assert ran.exit_code == 0
    field = yaml.safe_load(ran.output)["components"]["schemas"]["StorageDockerConfig"]["properties"]["mirrors"]
    assert field == {"type": "array", "items": {"type": "string"}, "x-since": "5.1"}


def deep() -> Node:
    node: Node = {"type": "string"}
    for _ in range(400):
        node = {"type": "array", "items": node}
    return node


@pytest.mark.parametrize(
    ("field", "says"),
    [
        (deep(), "the patch is nested too deeply to be printed"),
        ({"enum": [*range(reports.MOST_VALUES)]}, "the patch is too large to be printed"),
    ],
)
def test_patch_that_cannot_be_printed_is_refused(tmp_path: Path, field: Node, says: str) -> None:
    document = published()
    schema(document, "storageDockerConfig")["more"] = field
    file = tmp_path / "swagger.json"
    file.write_text(json.dumps(document))
    assert CliRunner().invoke(main, ["drift", str(file)]).exit_code == 0
    ran = CliRunner().invoke(main, ["drift", str(file), "--as-contract-patch"])
    assert ran.exit_code == 2
    assert says in ran.output


@pytest.mark.parametrize("levels", ["", "&z [*z, *z]", "!!pairs [x: &z [*z, *z]]"])
def test_yaml_whose_aliases_multiply_is_refused(levels: str) -> None:
    names = "abcdefg"
    text = "swagger: '2.0'\na: &a [x, x, x, x, x, x, x, x, x]\n"
    for before, name in itertools.pairwise(names):
        text += f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    with pytest.raises(HarnessError, match=r"bomb\.yaml: contains itself, or has more than"):
        documents.parse((f"swagger: '2.0'\nz: {levels}\n" if levels else text).encode(), "bomb.yaml")


def test_line_ends_of_a_document_add_no_line(tmp_path: Path) -> None:
    document = published()
    document["paths"][f"{COLLECTION}/a\nforged: path"] = copy.deepcopy(document["paths"][COLLECTION])
    fields = schema(document, "storageDockerConfig")
    fields["b\nforged: name"] = {"type": "string"}
    fields["username"]["pattern"] = "c\nforged: value"
    fields["password"] = {"$ref": "#/definitions/d\nforged: gap"}
    file = tmp_path / "e\nforged: file.json"
    file.write_text(json.dumps(document))
    junit = tmp_path / "junit.xml"
    words = ["drift", str(file), "--report-junit", str(junit)]
    shown = CliRunner().invoke(main, words).output
    patch = CliRunner().invoke(main, [*words, "--as-contract-patch"]).output
    for name in ("path", "name", "value", "gap", "file"):
        assert f"\\nforged: {name}" in shown
    for text in (shown, patch, junit.read_text()):
        assert "\nforged" not in text


def test_patch_has_every_new_parameter_of_an_operation(tmp_path: Path) -> None:
    document = published()
    parameter_added(*edited(document))
    required_parameter_added(*edited(document))
    file = tmp_path / "swagger.yaml"
    file.write_text(yaml.safe_dump(document))
    ran = CliRunner().invoke(main, ["drift", str(file), "--as-contract-patch", "--since", "5.1"])
    parameters = yaml.safe_load(ran.output)["paths"][COLLECTION]["get"]["parameters"]
    assert [each["name"] for each in parameters][-2:] == ["limit", "X-Tenant"]


def test_server_without_a_document_cannot_be_compared() -> None:
    ran = CliRunner().invoke(main, ["drift", "http://127.0.0.1:1"])
    assert ran.exit_code == 2
    assert "http://127.0.0.1:1 does not answer: ConnectionRefusedError: " in ran.output


def test_token_in_a_document_is_not_shown(tmp_path: Path) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            content = json.dumps(
                published() | {"paths": {f"/v1/imageintegrations/{token}": {"get": {"operationId": token}}}}
            ).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    (tmp_path / "token").write_text("a-token-of-somebody")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        ran = CliRunner().invoke(main, ["drift", url, "--token-file", str(tmp_path / "token")])
        server.shutdown()
    assert ran.exit_code == 1
    assert "[credential]" in ran.output
    assert "a-token-of-somebody" not in ran.output


def test_self_containing_document_is_not_merged(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("openapi: 3.0.0\npaths: &a {x: *a}\n")
    (tmp_path / "two").write_text("openapi: 3.0.0\npaths: {}\n")
    ran = CliRunner().invoke(main, ["drift", str(tmp_path / "one"), str(tmp_path / "two")])
    assert (ran.exit_code, "contains itself" in ran.output) == (2, True), ran.output


def test_invalid_document_raises() -> None:
    with pytest.raises(HarnessError, match="is not Swagger"):
        documents.parse(b"1", "one")


def test_commands_of_the_docs_print_what_the_docs_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    document = published()
    for name in ("field_added", "field_removed", "format_changed", "field_made_optional"):
        EDITS[name][-1](*edited(document))
    Path("swagger.json").write_text(json.dumps(document))
    page = (Path(__file__).parents[2] / "docs/how-to/watch-drift.md").read_text("utf-8")
    shown = re.findall(r"```console\n\$ central-contract (.*)\n((?:.*\n)*?)```", page)
    assert len(shown) == 2
    for command, output in shown:
        assert CliRunner().invoke(main, shlex.split(command)).output == output


# -- the check ----------------------------------------------------------------------------------------


class Publishing:
    """A target that publishes a document."""

    contract = CONTRACT

    def __init__(self, status: int, content: bytes) -> None:
        self.reply = Reply(status, {}, content, 0.0)
        self.notes: list[str] = []
        self.note = self.notes.append

    def send(self, method: str, path: str) -> Reply:
        assert (method, path) == ("GET", "/api/docs/swagger")
        return self.reply


def checked(document: Node | None, content: bytes = b"", status: int = 200) -> list[str]:
    target = Publishing(status, content if document is None else json.dumps(document).encode())
    published_document(target)  # type: ignore[arg-type]
    return target.notes


def test_check_passes_without_breaking_differences() -> None:
    assert checked(published()) == []
    document = published()
    field_added(*edited(document))
    (note,) = checked(document)
    assert "0 breaking, 1 harmless" in note


def test_check_fails_for_breaking_and_unreadable_documents() -> None:
    document = published()
    type_changed(*edited(document))
    with pytest.raises(CheckFailed, match="contradicts the contract") as failed:
        checked(document)
    assert failed.value.got == ["StorageDockerConfig.insecure: is string, not boolean"]
    with pytest.raises(CheckFailed, match="is not Swagger"):
        checked(None, b"{}")


def test_check_does_not_apply_without_a_document() -> None:
    for content, status in ((b"{}", 404), (b"<!doctype html><p>Log in</p>", 200)):
        with pytest.raises(NotApplicable, match="publishes no document"):
            checked(None, content, status)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs /dev/zero")
def test_endless_document_is_refused() -> None:
    result = CliRunner().invoke(main, ["drift", "/dev/zero"])
    assert (result.exit_code, "is longer than 32 MiB" in result.output) == (2, True), result.output
