"""What a document says of the operations of an API, alike for Swagger 2.0, OpenAPI 3.0 and 3.1."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

Node = Mapping[str, Any]

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_SHAPE_OF_A_PARAMETER = ("type", "format", "enum", "items", "schema")
_DEEPEST = 30
"""References that lead to references."""

_MISSING = "$missing"
"""Keyword of ours in the place of what a reference does not lead to."""

Route = tuple[str, str]
"""A method and a path whose parameters have no names."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What values may look like; `node` has the keywords of all that is referred to, `name` is that of a schema."""

    name: str
    type: str
    format: str
    enum: tuple[str, ...]
    nullable: bool
    node: Node

    @property
    def fields(self) -> Mapping[str, Node]:
        """The schemas of the fields of an object."""
        return dict(self.node.get("properties") or {})

    @property
    def is_missing(self) -> bool:
        """Whether the schema refers to what is not in the document."""
        return _MISSING in self.node

    @property
    def required(self) -> Collection[str]:
        """The names of the fields that are always there."""
        return list(self.node.get("required") or ())


@dataclass(frozen=True, slots=True)
class Content:
    """A body: a schema, None where there is none, and its media types."""

    schema: Node | None
    media: Collection[str] = ("application/json",)
    required: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter that is no body."""

    name: str
    place: str
    required: bool
    schema: Node


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; `node` is the one of the document."""

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
        """The method and the path without names."""
        return self.method, re.sub(r"\{[^}]*\}", "{}", self.path)

    @property
    def path_parameters(self) -> list[str]:
        """The names in the path, such as `config.id`."""
        return re.findall(r"\{([^}]*)\}", self.path)

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"


class Description:
    """Reads one document."""

    def __init__(self, document: Node) -> None:
        self.document = document
        self.gaps: set[str] = set()
        """References that lead nowhere."""

    @cached_property
    def schemas(self) -> Mapping[str, Node]:
        """The schemas by their names."""
        components = self.document.get("components") or {}
        found: Mapping[str, Node] = self.document.get("definitions") or components.get("schemas") or {}
        return found

    def operations(self, collection: str, tag: str) -> dict[Route, Operation]:
        """Return the operations at and below a path, and those with a tag."""
        found = {}
        for path, item in (self.document.get("paths") or {}).items():
            whole = f"{self._base}{path}"
            ours = whole == collection or whole.startswith(f"{collection}/")
            for method, node in self._resolved(item).items():
                if method in METHODS and (ours or tag in node.get("tags", ())):
                    operation = self._operation(method, whole, node, item.get("parameters", ()))
                    found[operation.route] = operation
        return found

    @property
    def _base(self) -> str:
        """What all paths begin with."""
        servers = self.document.get("servers") or [{}]
        url = self.document.get("basePath") or servers[0].get("url") or ""
        return urlsplit(str(url)).path.rstrip("/")

    def _operation(self, method: str, path: str, node: Node, shared: Any) -> Operation:
        parameters: dict[tuple[str, str], Parameter] = {}
        body: Content | None = None
        for each in map(self._resolved, (*shared, *(node.get("parameters") or ()))):
            place, name, required = str(each.get("in")), str(each.get("name")), bool(each.get("required"))
            if place == "body":
                media = node.get("consumes") or self.document.get("consumes") or ["application/json"]
                body = Content(each.get("schema"), media, required)
            else:
                inline = {key: each[key] for key in _SHAPE_OF_A_PARAMETER if key in each}
                parameters[place, name] = Parameter(name, place, required, inline.pop("schema", inline))
        if "requestBody" in node:
            sent = self._resolved(node["requestBody"])
            body = self._content(sent, required=bool(sent.get("required")))
        media = node.get("produces") or self.document.get("produces") or ["application/json"]
        responses = {}
        for status, entry in (node.get("responses") or {}).items():
            answer = self._resolved(entry)
            swagger = "swagger" in self.document
            responses[str(status)] = Content(answer.get("schema"), media) if swagger else self._content(answer)
        id = str(node.get("operationId", "")).rpartition("_")[2]
        return Operation(id, method, path, parameters, body, responses, bool(node.get("deprecated")), node)

    def _content(self, node: Node, *, required: bool = False) -> Content:
        content = node.get("content") or {}
        chosen: Node = content.get("application/json") or next(iter(content.values()), {})
        return Content(chosen.get("schema"), list(content), required)

    def _resolved(self, node: Any) -> Node:
        """Return what a node refers to; an empty one where that is not there."""
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
        """Return what a schema says, with all that it refers to."""
        node: dict[str, Any] = {}
        names: list[str] = []
        for name, part in self._parts(schema or {}, 0):
            names += [name] if name else []
            own = {key: value for key, value in part.items() if key not in ("$ref", "allOf", "anyOf", "oneOf")}
            for key in ("properties", "required"):  # of all parts together
                if key in node and key in own:
                    own[key] = {**node[key], **own[key]} if key == "properties" else [*node[key], *own[key]]
            node |= own
        types = node.get("type") or ()
        types = [types] if isinstance(types, str) else list(types)
        nullable = "null" in types or bool((schema or {}).get("nullable") or (schema or {}).get("x-nullable"))
        nullable = nullable or any(each.get("type") == "null" for each in _choices(schema or {}))
        types = [str(each) for each in types if each != "null"]
        values = [node["const"]] if "const" in node else node.get("enum") or ()
        return Shape(
            name=names[0] if names else "",
            type=" or ".join(types) or _implied(node),
            format=str(node.get("format") or ""),
            enum=tuple(str(each) for each in values if each is not None),
            nullable=nullable,
            node=node,
        )

    def _parts(self, schema: Node, depth: int) -> Iterator[tuple[str, Node]]:
        """Return all that a schema consists of, the one that counts last, with the name it is referred to by."""
        if depth > _DEEPEST:
            return
        if isinstance(reference := schema.get("$ref"), str):
            target = self._target(reference)
            yield reference.rpartition("/")[2], {} if isinstance(target, Mapping) else {_MISSING: True}
            if isinstance(target, Mapping):
                yield from self._parts(target, depth + 1)
        choices = [each for each in _choices(schema) if each.get("type") != "null"]
        for each in (*(schema.get("allOf") or ()), *(choices if len(choices) == 1 else ())):
            yield from self._parts(each, depth + 1)
        yield "", schema


def _choices(schema: Node) -> list[Node]:
    return [*(schema.get("anyOf") or ()), *(schema.get("oneOf") or ())]


def _implied(node: Node) -> str:
    """Return the type of a schema that names none."""
    for keyword, type in (("properties", "object"), ("items", "array"), ("enum", "string"), ("const", "string")):
        if keyword in node:
            return type
    return ""
