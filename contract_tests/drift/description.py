"""Uniform view of the operations in a document, for Swagger 2.0, OpenAPI 3.0 and 3.1."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from contract_tests.engine.failures import HarnessError
from contract_tests.engine.text import one_line

Node = Mapping[str, Any]

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_SHAPE_OF_A_PARAMETER = ("type", "format", "enum", "items", "schema")
_DEEPEST = 30
"""Maximum length of a chain of references."""

_MISSING = "$missing"
"""Keyword of this module for a reference to a missing part."""

_MOST_PARTS = 1000
"""Maximum number of schemas combined into one; with `allOf` their number can double with each reference."""

Route = tuple[str, str]
"""A method, and a path whose parameters have no names."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The set of valid values; `node` has the keywords of all referenced schemas, `name` is that of a schema."""

    name: str
    type: str
    format: str
    enum: tuple[str, ...]
    nullable: bool
    node: Node

    @property
    def fields(self) -> Mapping[str, Node]:
        """The schemas of the fields that an object may have; `false` is the schema of one that it never has."""
        return {str(name): _map(each) for name, each in _map(self.node.get("properties")).items() if each is not False}

    @property
    def is_missing(self) -> bool:
        """Whether the schema refers to a missing part of the document."""
        return _MISSING in self.node

    @property
    def required(self) -> Collection[str]:
        """The names of the fields that are always present."""
        return _list(self.node.get("required"))


@dataclass(frozen=True, slots=True)
class Content:
    """A body: its schema, None if it has none, and its media types."""

    schema: Node | None
    media: Collection[str] = ("application/json",)
    required: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter outside of the body."""

    name: str
    place: str
    required: bool
    schema: Node


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation; `node` is its part of the document."""

    id: str
    method: str
    path: str
    parameters: Mapping[tuple[str, str], Parameter]
    body: Content | None
    responses: Mapping[str, Content]
    deprecated: bool
    node: Node = field(repr=False)

    @property
    def route(self) -> Route:
        """The method, and the path without parameter names."""
        return self.method, re.sub(r"\{[^}]*\}", "{}", self.path)

    @property
    def path_parameters(self) -> list[str]:
        """The names in the path, such as `config.id`."""
        return re.findall(r"\{([^}]*)\}", self.path)

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"


class Description:
    """The operations and schemas of one document; `name` is its origin, for messages."""

    def __init__(self, document: Node, name: str = "the document") -> None:
        self.document, self.name = document, name
        self.gaps: set[str] = set()
        """References to missing parts."""

    @cached_property
    def schemas(self) -> Mapping[str, Node]:
        """The schemas by their names."""
        components = _map(self.document.get("components"))
        return _map(self.document.get("definitions")) or _map(components.get("schemas"))

    def reference(self, name: str) -> Node:
        """Return a reference to one of the schemas."""
        return {"$ref": f"#/{'definitions' if _map(self.document.get('definitions')) else 'components/schemas'}/{name}"}

    def operations(self, collection: str, tag: str) -> dict[Route, Operation]:
        """Return the operations at and below a path, and those with a tag.

        Raises:
            HarnessError: the base of the paths is not a URL.
        """
        found = {}
        base = self._base
        for path, each in _map(self.document.get("paths")).items():
            whole = f"{base}{path}"
            ours = whole == collection or whole.startswith(f"{collection}/")
            item = self._resolved(each)
            for method in METHODS:
                node = _map(item.get(method))
                if node and (ours or tag in _list(node.get("tags"))):
                    operation = self._operation(method, whole, node, _list(item.get("parameters")))
                    found[operation.route] = operation
        return found

    @property
    def _base(self) -> str:
        """The prefix of all paths."""
        place, url = "basePath", self.document.get("basePath")
        if not url:
            server = _map(next(iter(_list(self.document.get("servers"))), None))
            place, url = "servers[0].url", str(server.get("url") or "")
            for name, each in _map(server.get("variables")).items():
                url = url.replace(f"{{{name}}}", str(_map(each).get("default", f"{{{name}}}")))
        try:
            return urlsplit(str(url)).path.rstrip("/")
        except ValueError:
            raise HarnessError(f"{self.name}: {place} is not a URL: {one_line(str(url))}") from None

    def _operation(self, method: str, path: str, node: Node, shared: list[Any]) -> Operation:
        parameters: dict[tuple[str, str], Parameter] = {}
        body: Content | None = None
        for each in map(self._resolved, (*shared, *_list(node.get("parameters")))):
            place, name, required = str(each.get("in")), str(each.get("name")), bool(each.get("required"))
            if place == "body":
                body = Content(_schema(each), self._media(node, "consumes"), required)
            else:
                inline = {key: each[key] for key in _SHAPE_OF_A_PARAMETER if key in each}
                parameters[place, name] = Parameter(name, place, required, _map(inline.pop("schema", inline)))
        if "requestBody" in node:
            sent = self._resolved(node["requestBody"])
            body = self._content(sent, required=bool(sent.get("required")))
        responses = {}
        for status, entry in _map(node.get("responses")).items():
            answer = self._resolved(entry)
            swagger = Content(_schema(answer), self._media(node, "produces"))
            responses[str(status)] = swagger if "swagger" in self.document else self._content(answer)
        id = str(node.get("operationId", "")).rpartition("_")[2]
        return Operation(id, method, path, parameters, body, responses, bool(node.get("deprecated")), node)

    def _media(self, operation: Node, key: str) -> list[str]:
        return _list(operation.get(key)) or _list(self.document.get(key)) or ["application/json"]

    def _content(self, node: Node, *, required: bool = False) -> Content:
        content = _map(node.get("content"))
        chosen = _map(content.get("application/json") or next(iter(content.values()), None))
        return Content(_schema(chosen), list(content), required)

    def _resolved(self, node: Any) -> Node:
        """Return the target of a reference, or an empty object if it is missing."""
        for _ in range(_DEEPEST):
            if not isinstance(node, Mapping):
                return {}
            if not isinstance(node.get("$ref"), str):
                return node
            node = self._target(node["$ref"])
        return {}

    def _target(self, reference: str) -> Any:
        node: Any = self.document if reference.startswith("#/") else None
        for part in reference.removeprefix("#/").split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            node = node.get(key) if isinstance(node, Mapping) else None
        if node is None:
            self.gaps.add(reference)
        return node

    def shape(self, schema: Node | None) -> Shape:
        """Return the keywords of a schema and of all schemas that it refers to, and the types of its alternatives."""
        return self._shape(schema, set(), iter(range(_MOST_PARTS))) or Shape("", "", "", (), False, {})

    def _shape(self, schema: Node | None, seen: set[int], budget: Iterator[int]) -> Shape | None:
        """Return the shape, or None if it has only alternatives that are in `seen`, the schemas by their identity.

        Every part takes one number of `budget`; parts for which none is left do not count.
        """
        node: dict[str, Any] = {}
        names: list[str] = []
        parts = [part for _, part in zip(budget, self._parts(schema or {}, 0), strict=False)]
        for name, part in parts:
            names += [name] if name else []
            own = {key: value for key, value in part.items() if key not in ("$ref", "allOf", "anyOf", "oneOf")}
            for key in ("properties", "required"):  # combined from all parts
                if key in node and key in own:
                    both = node[key], own[key]
                    own[key] = _map(both[0]) | _map(both[1]) if key == "properties" else _list(both[0]) + _list(both[1])
            node |= own
        types = [node["type"]] if isinstance(node.get("type"), str) else _list(node.get("type"))
        nullable = "null" in types or bool((schema or {}).get("nullable") or (schema or {}).get("x-nullable"))
        nullable = nullable or any(each.get("type") == "null" for each in _choices(schema or {}))
        types = [str(each) for each in types if each != "null"]
        several = [part for _, part in parts if len(_alternatives(part)) > 1]
        if several and not types and not _implied(node):
            others = list(self._alternative_shapes(several, seen, budget))
            if not others:
                return None
            nullable = nullable or any(each.nullable for each in others)
            if all(each.type for each in others):
                types = list(dict.fromkeys(type for each in others for type in each.type.split(" or ")))
            if types == ["object"]:
                node["properties"] = {key: value for each in others for key, value in each.fields.items()}
        values = [node["const"]] if "const" in node else _list(node.get("enum"))
        return Shape(
            name=names[0] if names else "",
            type=" or ".join(types) or _implied(node),
            format=str(node.get("format") or ""),
            enum=tuple(str(each) for each in values if each is not None),
            nullable=nullable,
            node=node,
        )

    def _alternative_shapes(self, schemas: list[Node], seen: set[int], budget: Iterator[int]) -> Iterator[Shape]:
        """Yield the shapes of the alternatives of schemas that are not in `seen` yet."""
        new = {id(schema): schema for schema in schemas if id(schema) not in seen}
        seen.update(new)
        for schema in new.values():
            for each in _alternatives(schema)[:_MOST_PARTS]:
                if shape := self._shape(each, seen, budget):
                    yield shape

    def _parts(self, schema: Node, depth: int) -> Iterator[tuple[str, Node]]:
        """Return all schemas that a schema consists of, the decisive one last, and the name it is referred to by."""
        if depth > _DEEPEST:
            return
        if isinstance(reference := schema.get("$ref"), str):
            target = self._target(reference)
            yield reference.rpartition("/")[2], {} if isinstance(target, Mapping) else {_MISSING: True}
            if isinstance(target, Mapping):
                yield from self._parts(target, depth + 1)
        choices = _alternatives(schema)
        for each in (*_list(schema.get("allOf")), *(choices if len(choices) == 1 else ())):
            yield from self._parts(_map(each), depth + 1)
        yield "", schema


def _choices(schema: Node) -> list[Node]:
    return [_map(each) for key in ("anyOf", "oneOf") for each in _list(schema.get(key))]


def _alternatives(schema: Node) -> list[Node]:
    """Return the alternatives other than null."""
    return [each for each in _choices(schema) if each.get("type") != "null"]


def _schema(node: Node) -> Node | None:
    return _map(node["schema"]) if "schema" in node else None


def _map(value: Any) -> dict[str, Any]:
    """Return a value that should be an object, or an empty object if it is not: the document may be malformed."""
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _implied(node: Node) -> str:
    """Return the type that the keywords of a schema without a type imply."""
    for keyword, type in (("properties", "object"), ("items", "array"), ("enum", "string"), ("const", "string")):
        if keyword in node:
            return type
    return ""
