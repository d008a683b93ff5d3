"""The contract in the older formats that generators and Central itself use: OpenAPI 3.0 and Swagger 2.0.

Each is made from the document of one release. What a format cannot express is left out: `dependentSchemas` in both;
links, all examples but the first and `deprecated` of a field in Swagger 2.0. `additionalProperties: false` is left
out, too: a client made from it would refuse the answers of a newer Central. Extensions (`x-`) stay.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from mock_server.contract.tables import Contract

Node = dict[str, Any]

_JSON = "application/json"
_NULL = {"type": "null"}
_VALUES = ("example", "examples", "value")
"""Keys of JSON values, which contain no schemas."""


def openapi_3_1(contract: Contract) -> Node:
    """Return the document of the contract's release."""
    return copy.deepcopy(dict(contract.document))


def openapi_3_0(contract: Contract) -> Node:
    """Return the contract as OpenAPI 3.0."""
    made = openapi_3_1(contract)
    made["openapi"] = "3.0.3"
    del made["info"]["summary"], made["info"]["license"]["identifier"]
    _convert_schemas(made)
    schemas = made["components"]["schemas"]
    for name in _nullable(contract.document["components"]["schemas"]):
        schemas[name]["nullable"] = True  # otherwise `null` is invalid, even if the field allows it
    return made


def _convert_schemas(node: Any) -> None:
    if isinstance(node, list):
        for each in node:
            _convert_schemas(each)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "schema":
                node[key] = _schema_3_0(value)
            elif key == "schemas":
                node[key] = {name: _schema_3_0(each) for name, each in value.items()}
            elif key not in _VALUES and not key.startswith("x-"):
                _convert_schemas(value)


def _schema_3_0(schema: Mapping[str, Any]) -> Node:
    made = {key: value for key, value in schema.items() if key not in ("examples", "dependentSchemas")}
    if made.get("additionalProperties") is False:
        del made["additionalProperties"]
    if examples := schema.get("examples"):
        made["example"] = examples[0]
    if isinstance(types := made.get("type"), list):
        (made["type"],) = (each for each in types if each != "null")
        made["nullable"] = True
    if _NULL in made.get("anyOf", ()):
        (only,) = (each for each in made.pop("anyOf") if each != _NULL)
        made |= {**only, "nullable": True}
    if "properties" in made:
        made["properties"] = {name: _schema_3_0(each) for name, each in made["properties"].items()}
    if "items" in made:
        made["items"] = _schema_3_0(made["items"])
    if "$ref" in made and len(made) > 1:  # a reference cannot have siblings
        made["allOf"] = [{"$ref": made.pop("$ref")}]
    return made


def _nullable(schemas: Mapping[str, Any]) -> set[str]:
    """Return the names of the schemas that fields refer to as an alternative to `null`."""
    return {
        _name(choice["$ref"])
        for schema in schemas.values()
        for each in schema.get("properties", {}).values()
        if _NULL in each.get("anyOf", ())
        for choice in each["anyOf"]
        if "$ref" in choice
    }


def _name(reference: str) -> str:
    return reference.rpartition("/")[2]


def swagger_2(contract: Contract) -> Node:
    """Return the contract as Swagger 2.0, the form in which Central publishes its API."""
    source = openapi_3_0(contract)
    return _Swagger(source["components"]).document(source)


FORMS: Mapping[str, Callable[[Contract], Node]] = {
    "openapi-3.1": openapi_3_1,
    "openapi-3.0": openapi_3_0,
    "swagger-2.0": swagger_2,
}
"""By the names of `mock-central export --format`."""


class _Swagger:
    """Writes an OpenAPI 3.0 document as Swagger 2.0. References to headers and examples are replaced by copies."""

    def __init__(self, components: Node) -> None:
        self.components = components

    def document(self, source: Node) -> Node:
        """Return the whole document."""
        kept = {key: source[key] for key in source if key in ("info", "externalDocs", "tags", "security")}
        return {
            "swagger": "2.0",
            **kept,
            "basePath": "/",
            "consumes": [_JSON],
            "produces": [_JSON],
            "securityDefinitions": {
                name: _security(scheme) for name, scheme in self.components["securitySchemes"].items()
            },
            "paths": {
                path: {method: self._operation(each) for method, each in item.items()}
                for path, item in source["paths"].items()
            },
            "parameters": {name: self._parameter(each) for name, each in self.components["parameters"].items()},
            "responses": {name: self._response(each) for name, each in self.components["responses"].items()},
            "definitions": {name: _schema_2(each) for name, each in self.components["schemas"].items()},
            **{key: value for key, value in source.items() if key.startswith("x-")},
        }

    def _operation(self, operation: Node) -> Node:
        made = {key: value for key, value in operation.items() if key not in ("requestBody", "parameters")}
        made["parameters"] = [self._parameter(each) for each in operation.get("parameters", ())]
        if (body := operation.get("requestBody")) is not None:
            shared = {key: body[key] for key in ("description", "required") if key in body}
            schema = _schema_2(body["content"][_JSON]["schema"])
            made["parameters"].append({"in": "body", "name": "body", **shared, "schema": schema})
        made["responses"] = {status: self._response(each) for status, each in operation["responses"].items()}
        return made

    def _parameter(self, parameter: Node) -> Node:
        if "$ref" in parameter:
            return {"$ref": f"#/parameters/{_name(parameter['$ref'])}"}
        made = {key: value for key, value in parameter.items() if key not in ("schema", "examples")}
        made.update(_schema_2(parameter["schema"]))
        return made

    def _response(self, response: Node) -> Node:
        if "$ref" in response:
            return {"$ref": f"#/responses/{_name(response['$ref'])}"}
        content = response["content"][_JSON]
        made: Node = {"description": response["description"], "schema": _schema_2(content["schema"])}
        if "headers" in response:
            made["headers"] = {name: self._header(each) for name, each in response["headers"].items()}
        for example in content.get("examples", {}).values():
            made.setdefault("examples", {_JSON: self._resolved(example)["value"]})
        return made

    def _header(self, header: Node) -> Node:
        found = self._resolved(header)
        schema = {key: value for key, value in found["schema"].items() if key != "example"}
        return {"description": found["description"], **schema}

    def _resolved(self, node: Node) -> Node:
        while "$ref" in node:
            _, _, kind, name = node["$ref"].split("/")
            node = self.components[kind][name]
        return node


def _security(scheme: Node) -> Node:
    """Return a security scheme; a bearer token is a plain header in Swagger."""
    kept = {key: value for key, value in scheme.items() if key == "description" or key.startswith("x-")}
    if scheme["scheme"] == "basic":
        return {"type": "basic", **kept}
    return {"type": "apiKey", "in": "header", "name": "Authorization", **kept}


def _schema_2(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_schema_2(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made: Node = {}
    for key, value in schema.items():
        if key == "$ref":
            made[key] = f"#/definitions/{_name(value)}"
        elif key == "nullable":
            made["x-nullable"] = value
        elif key == "properties":
            made[key] = {name: _schema_2(each) for name, each in value.items()}
        elif key in _VALUES or key.startswith("x-"):
            made[key] = value
        elif key != "deprecated":
            made[key] = _schema_2(value)
    return made
