"""The contract of one release: the document without the parts of other releases.

`x-since` and `x-until` mark nodes of OpenAPI, `since` and `until` entries of the tables (`x-rules`, ...), and
`x-enum-releases` an enum with values that not every release has. Fields and values of other releases are also removed
from examples and defaults, and references to removed parts are removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mock_server.contract.releases import Release, Span

_ENUM_RELEASES = "x-enum-releases"
_GONE = object()

Node = dict[str, Any]


def span_of(node: Mapping[str, Any], *, table: bool) -> Span:
    """Return the releases that have a node of OpenAPI or of a table.

    Raises:
        ValueError: a value is not a release.
    """
    since, until = _marks(table=table)
    return Span.of(node.get(since), node.get(until))


def view(document: Mapping[str, Any], release: Release) -> Node:
    """Return the document of one release.

    Raises:
        ValueError: a release in it is invalid.
    """
    cut = {name: _cut(part, release, table=name.startswith("x-")) for name, part in document.items()}
    del cut["x-releases"]
    cut["info"]["version"] = str(release)
    cut["paths"] = {path: item for path, item in cut["paths"].items() if item.keys() - {"parameters"}}
    for schema in cut["components"]["schemas"].values():
        _cut_names(schema)
    for rule in cut["x-rules"].values():
        if "messages" in rule:
            rule["message"] = rule.pop("messages")[-1]["text"]
    _cut_references(cut)
    _cut_values(cut, Values(document["components"]["schemas"], cut["components"]["schemas"]))
    return cut


def _cut(node: Any, release: Release, *, table: bool) -> Any:
    """Return a copy of a node with only the parts of the release."""
    if isinstance(node, list):
        items = (_cut(each, release, table=table) for each in node)
        return [each for each in items if each is not _GONE]
    if not isinstance(node, dict):
        return node
    # A field may be named "since"; its value is a schema then.
    marks = {key for key in _marks(table=table) if key in node and not isinstance(node[key], dict)}
    if marks and not span_of(node, table=table).has(release):
        return _GONE
    found = {key: _cut(value, release, table=table) for key, value in node.items() if key not in marks}
    found = {key: value for key, value in found.items() if value is not _GONE}
    if _ENUM_RELEASES in node:
        del found[_ENUM_RELEASES]
        _cut_enum(found, node[_ENUM_RELEASES], release)
    return found


def _marks(*, table: bool) -> tuple[str, str]:
    return ("since", "until") if table else ("x-since", "x-until")


def _cut_enum(schema: Node, releases: Mapping[str, Mapping[str, Any]], release: Release) -> None:
    for value, node in releases.items():
        if not span_of(node, table=True).has(release):
            schema["enum"].remove(value)
            schema["x-proto-numbers"].pop(value)


def _cut_names(schema: Node) -> None:
    """Remove the names of removed fields from the rest of a schema."""
    fields = schema.get("properties", {})
    if "required" in schema:
        schema["required"] = [name for name in schema["required"] if name in fields]
    if "dependentSchemas" in schema:
        schema["dependentSchemas"] = {
            name: {"properties": {other: node for other, node in each["properties"].items() if other in fields}}
            for name, each in schema["dependentSchemas"].items()
            if name in fields
        }


def _cut_references(document: Node) -> None:
    """Remove examples and links that refer to removed parts."""
    examples = document["components"]["examples"]
    operations = {
        operation["operationId"]
        for item in document["paths"].values()
        for method, operation in item.items()
        if method != "parameters"
    }
    for node in _objects(document):
        if isinstance(node.get("examples"), dict) and node is not document["components"]:
            node["examples"] = {
                name: each
                for name, each in node["examples"].items()
                if "$ref" not in each or each["$ref"].rpartition("/")[2] in examples
            }
        if "links" in node:
            node["links"] = {name: each for name, each in node["links"].items() if each["operationId"] in operations}


def _objects(node: Any) -> Iterator[Node]:
    if isinstance(node, dict):
        yield node
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _objects(each)


def _cut_values(document: Node, values: Values) -> None:
    """Remove the values of other releases from examples, defaults and the categories of types."""
    types = document["x-types"]
    for known in types.values():
        known["categories"] = values.of_field("StorageImageIntegration", "categories", known["categories"])
    document["x-defaults"] = [
        values.of_schema("StorageImageIntegration", each) for each in document["x-defaults"] if each["type"] in types
    ]
    for name, schema in document["components"]["schemas"].items():
        for field, node in schema.get("properties", {}).items():
            if "examples" in node:
                node["examples"] = [values.of_field(name, field, each) for each in node["examples"]]
    named = document["components"]["examples"]
    schema_of: dict[str, str] = {}
    for node in _objects(document):
        for example in node.get("examples", {}).values() if "schema" in node and "in" not in node else ():
            schema = node["schema"]["$ref"].rpartition("/")[2]
            if "$ref" in example:
                schema_of[example["$ref"].rpartition("/")[2]] = schema
            else:
                example["value"] = values.of_schema(schema, example["value"])
    for name, schema in schema_of.items():
        named[name]["value"] = values.of_schema(schema, named[name]["value"])


class Values:
    """Removes the fields and values of other releases from JSON."""

    def __init__(self, whole: Mapping[str, Any], schemas: Mapping[str, Any]) -> None:
        """`whole`: the schemas of all releases; `schemas`: those of the one."""
        self.whole = whole
        self.schemas = schemas

    def of_schema(self, schema: str, value: Any) -> Any:
        """Return a value of a schema without fields and enum values of other releases."""
        whole, node = self.whole[schema], self.schemas[schema]
        if "enum" in whole:
            return _GONE if value in whole["enum"] and value not in node["enum"] else value
        if not isinstance(value, dict):
            return value
        gone = whole.get("properties", {}).keys() - node.get("properties", {}).keys()
        return {name: self.of_field(schema, name, each) for name, each in value.items() if name not in gone}

    def of_field(self, schema: str, field: str, value: Any) -> Any:
        """Return the value of a field as `of_schema` does."""
        node = self.schemas[schema].get("properties", {}).get(field, {})
        shapes = [node.get("items", node), *node.get("anyOf", ())]
        target = next((each["$ref"].rpartition("/")[2] for each in shapes if "$ref" in each), None)
        if target is None:
            return value
        if isinstance(value, list):
            return [each for each in (self.of_schema(target, each) for each in value) if each is not _GONE]
        return self.of_schema(target, value)
