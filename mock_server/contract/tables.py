"""The contract: `openapi.yaml`, read once and offered as tables.

Everything that is a *list* of something (operations, messages and their fields, types, rules,
credentials, differences) is read from the document here, and nowhere written a second time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

MASK = "******"
"""What Central writes in the place of a credential (pkg/secrets/scrub.go)."""

VERSIONS = ("4.8", "4.9", "4.10", "4.11", "4.12")
"""The releases of Central that can be played, oldest first."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message."""

    name: str
    proto_name: str
    number: int
    kind: str
    """string, bool, int32, enum, timestamp or message."""
    message: Message | None
    repeated: bool
    oneof: bool
    scrub: str | None
    """"always" for a credential, "dependent" for what a credential is sent to."""
    validate: str | None
    default: Any = field(init=False)
    """What Central answers for the field when it is not set; for a repeated one a new list each time."""

    def __post_init__(self) -> None:
        """Derive the default once: it is asked for with every message."""
        defaults = {"string": "", "enum": "", "bool": False, "int32": 0}
        object.__setattr__(self, "default", None if self.repeated else defaults.get(self.kind))

    @property
    def go_name(self) -> str:
        """The name of the field in Central's Go struct."""
        return self.name[0].upper() + self.name[1:]


@dataclass(frozen=True, slots=True)
class Message:
    """One protobuf message, its fields in the order in which Central writes them."""

    name: str
    proto: str
    fields: tuple[Field, ...]
    by_name: Mapping[str, Field]
    """Both spellings of each field."""
    members: tuple[Field, ...] = field(init=False)
    """The fields of which at most one is set: the config members of an integration."""

    def __post_init__(self) -> None:
        """Pick the members once: rules ask for them with every integration."""
        object.__setattr__(self, "members", tuple(each for each in self.fields if each.oneof))

    @property
    def go_name(self) -> str:
        """The name of the message's struct in Central's Go code."""
        return self.proto.partition(".")[2].replace(".", "_")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the API."""

    id: str
    method: str
    path: str
    permission: str
    request: str | None
    """Name of the schema of the body."""
    answer: str
    """Name of the schema of the answer 200."""
    summary: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of Central; `kind` is explained above `x-rules` in the document."""

    id: str
    title: str
    kind: str
    source: str
    status: int = 0
    code: int = 0
    message: str = ""
    since: str = VERSIONS[0]
    until: str = VERSIONS[-1]

    def in_force(self, version: str) -> bool:
        """Return whether Central of that version has the rule."""
        return VERSIONS.index(self.since) <= VERSIONS.index(version) <= VERSIONS.index(self.until)


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where the published document and deployed Central disagree."""

    id: str
    document: str
    deployment: str
    source: str


@dataclass(frozen=True, slots=True)
class IntegrationType:
    """One type of integration: its config member, the categories it can have, and whether it can be created."""

    type: str
    member: str
    categories: tuple[str, ...]
    legacy_member: str | None = None
    creatable: bool = True


class Contract:
    """The tables of one document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self._schemas: Mapping[str, Any] = document["components"]["schemas"]
        self._messages: dict[str, Message] = {}

    @cached_property
    def operations(self) -> Mapping[str, Operation]:
        """The operations by their id."""
        return {operation.id: operation for operation in self._operations()}

    def _operations(self) -> Iterator[Operation]:
        for path, item in self.document["paths"].items():
            for method, entry in item.items():
                if method == "parameters":
                    continue
                body = entry.get("requestBody")
                yield Operation(
                    id=entry["operationId"],
                    method=method.upper(),
                    path=path,
                    permission=entry["x-permission"],
                    request=_schema_name(self._resolve(body)) if body else None,
                    answer=_schema_name(self._resolve(entry["responses"]["200"])),
                    summary=entry["summary"],
                )

    def _resolve(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in node:
            target: Any = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            node = target
        return node

    @cached_property
    def rules(self) -> Mapping[str, Rule]:
        """The rules by their id, in Central's order."""
        return {entry["id"]: Rule(**entry) for entry in self.document["x-rules"]}

    @cached_property
    def differences(self) -> Mapping[str, Difference]:
        """The known differences between document and deployment by their id."""
        return {entry["id"]: Difference(**entry) for entry in self.document["x-differences"]}

    @cached_property
    def types(self) -> Mapping[str, IntegrationType]:
        """The types of integration by their name."""
        return {
            entry["type"]: IntegrationType(
                entry["type"],
                entry["member"],
                tuple(entry["categories"]),
                entry.get("legacyMember"),
                entry["creatable"],
            )
            for entry in self.document["x-types"]
        }

    @property
    def defaults(self) -> list[dict[str, Any]]:
        """The integrations of a fresh Central, with the fields that are set."""
        return list(self.document["x-defaults"])

    def example(self, type: str) -> dict[str, Any]:
        """Return the document's example of a request that creates an integration of a type."""
        return dict(self.document["components"]["examples"][f"{type}-request"]["value"])

    @cached_property
    def credential_names(self) -> frozenset[str]:
        """The names of all fields that hold credentials, both spellings, in small letters."""
        messages = [
            self.message(name)
            for name, node in self._schemas.items()
            if "x-proto-message" in node and "enum" not in node
        ]
        return frozenset(
            name.lower()
            for message in messages
            for each in message.fields
            if each.scrub == "always"
            for name in (each.name, each.proto_name)
        )

    @cached_property
    def categories(self) -> Mapping[str, int]:
        """The numbers of the categories by their names."""
        numbers: Mapping[str, int] = self._schemas["StorageImageIntegrationCategory"]["x-proto-numbers"]
        return numbers

    @cached_property
    def proto_types(self) -> Mapping[str, str]:
        """The protobuf types of the contract by their full names: "message" or "enum"."""
        known = {"google.protobuf.Timestamp": "message"}
        for schema in self._schemas.values():
            if "x-proto-message" in schema:
                known[schema["x-proto-message"]] = "enum" if "enum" in schema else "message"
        return known

    @cached_property
    def integration(self) -> Message:
        """The message that everything is about."""
        return self.message("StorageImageIntegration")

    def message(self, schema: str) -> Message:
        """Return the message that the schema of that name describes."""
        if schema not in self._messages:
            self._messages[schema] = self._read_message(schema)
        return self._messages[schema]

    def _read_message(self, schema: str) -> Message:
        node = self._schemas[schema]
        fields = tuple(self._read_field(name, entry) for name, entry in node.get("properties", {}).items())
        by_name = {name: each for each in fields for name in (each.proto_name, each.name)}
        return Message(schema, node["x-proto-message"], fields, by_name)

    def _read_field(self, name: str, entry: Mapping[str, Any]) -> Field:
        repeated = entry.get("type") == "array"
        shape = entry["items"] if repeated else entry
        for choice in shape.get("anyOf", ()):
            if "$ref" in choice:
                shape = choice
        kind, message = _scalar_kind(shape), None
        if "$ref" in shape:
            target = shape["$ref"].rpartition("/")[2]
            kind = "enum" if "enum" in self._schemas[target] else "message"
            message = self.message(target) if kind == "message" else None
        return Field(
            name=name,
            proto_name=entry.get("x-proto-name", name),
            number=entry["x-proto-number"],
            kind=kind,
            message=message,
            repeated=repeated,
            oneof="x-proto-oneof" in entry,
            scrub=entry.get("x-scrub"),
            validate=entry.get("x-validate"),
        )


def _scalar_kind(shape: Mapping[str, Any]) -> str:
    if shape.get("format") == "date-time":
        return "timestamp"
    return {"boolean": "bool", "integer": "int32"}.get(str(shape.get("type")), "string")


def _schema_name(node: Mapping[str, Any]) -> str:
    reference: str = node["content"]["application/json"]["schema"]["$ref"]
    return reference.rpartition("/")[2]


def find() -> Path:
    """Return the path of `openapi.yaml`: inside the package in a wheel, at the top in a checkout."""
    package = Path(__file__).parent.parent
    return next(path for folder in (package, package.parent) if (path := folder / "openapi.yaml").exists())


@cache
def load() -> Contract:
    """Read the document that comes with the package; every call gives the same contract."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return Contract(yaml.load(find().read_bytes(), loader))  # noqa: S506 (a safe loader)
