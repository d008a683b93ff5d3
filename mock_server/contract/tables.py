"""The contract: `openapi.yaml`, read once and offered as tables, one set for each release of Central.

All lists (releases, operations, messages and their fields, types, rules, credentials, differences) are read from the
document here, and exist nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from mock_server.contract import yaml_files
from mock_server.contract.releases import Release, Releases, Span
from mock_server.contract.view import Values, span_of, view

MASK = "******"
"""Central's mask of credentials (pkg/secrets/scrub.go)."""


@dataclass(frozen=True)
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
    """"always" for a credential, "dependent" for a field that determines where it is sent."""
    validate: str | None

    @cached_property
    def default(self) -> Any:
        """The value that Central answers for an unset field; None for a list, which has to be new each time."""
        return None if self.repeated else {"string": "", "enum": "", "bool": False, "int32": 0}.get(self.kind)

    @property
    def go_name(self) -> str:
        """The name of the field in Central's Go struct."""
        return self.name[0].upper() + self.name[1:]


@dataclass(frozen=True)
class Message:
    """One protobuf message, its fields in the order in which Central writes them."""

    name: str
    proto: str
    fields: tuple[Field, ...]
    by_name: Mapping[str, Field]
    """Both spellings of each field."""

    @cached_property
    def members(self) -> tuple[Field, ...]:
        """The fields of which at most one is set: the config members of an integration."""
        return tuple(each for each in self.fields if each.oneof)

    @property
    def go_name(self) -> str:
        """The name of the message's struct in Central's Go code."""
        return self.proto.partition(".")[2].replace(".", "_")


_WELL_KNOWN = (
    *("Any", "BoolValue", "BytesValue", "DescriptorProto", "DoubleValue", "Duration", "Empty", "FieldDescriptorProto"),
    *("FieldMask", "FieldOptions", "FileDescriptorProto", "FloatValue", "Int32Value", "Int64Value", "ListValue"),
    *("MessageOptions", "StringValue", "Struct", "Timestamp", "UInt32Value", "UInt64Value", "Value"),
)
_OTHER_TYPES = {
    "google.protobuf.NullValue": "enum",
    "google.api.HttpRule": "message",
    "google.rpc.Status": "message",
    "v1.GetImageIntegrationsRequest": "message",
    "v1.ResourceByID": "message",
    "google.api.field_behavior": "extension",
    "google.api.http": "extension",
}


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
    """One rule of Central; `kind` is explained above `x-rules` in the document.

    `broken`: the behaviour of a server that breaks the rule, if its title does not say that.
    """

    id: str
    title: str
    kind: str
    source: str
    status: int = 0
    code: int = 0
    message: str = ""
    broken: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """One text of a rule, and the releases that have it."""

    text: str
    releases: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleHistory(Rule):
    """A rule through all releases: those that have it, and its texts in their order.

    `message` has all texts in a line, with their releases if not all have them.
    """

    texts: tuple[Text, ...]
    releases: Span


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where the published document and deployed Central disagree."""

    id: str
    document: str
    deployment: str
    source: str


@dataclass(frozen=True, slots=True)
class IntegrationType:
    """One type of integration.

    `member`: its config member. `categories`: those it can have. `refused_by`: the rule against creating one, if the
    release has such a rule. `test_path`: the path that its client requests in a registry test.
    """

    type: str
    member: str
    categories: tuple[str, ...]
    refused_by: str | None
    test_path: str | None

    @property
    def creatable(self) -> bool:
        """Whether the release accepts a create of this type."""
        return self.refused_by is None


class Contract:
    """The tables of one document as one release of Central has it."""

    def __init__(self, source: Mapping[str, Any], release: Release | None = None) -> None:
        """`source`: the document of all releases. `release`: by default the newest.

        Raises:
            ValueError: a release in the document is invalid.
        """
        self.source = source
        self.releases = Releases(source["x-releases"])
        self.release = release or self.releases.newest
        self.document: Mapping[str, Any] = view(source, self.release)
        self._schemas: Mapping[str, Any] = self.document["components"]["schemas"]
        self._messages: dict[str, Message] = {}
        self._views: dict[Release, Contract] = {self.release: self}

    def at(self, release: str | Release) -> Contract:
        """Return the contract of another release, built once.

        Raises:
            ValueError: the release is unknown.
        """
        found = self.releases.find(str(release))
        if found not in self._views:
            other = Contract(self.source, found)
            other._views = self._views
            self._views[found] = other
        return self._views[found]

    @cached_property
    def every_release(self) -> Sequence[Contract]:
        """The contract of the newest patch of each minor, oldest first."""
        return [self.at(release) for release in self.releases.known]

    def config_message(self, type: str) -> Message:
        """Return the message of a type's config member."""
        message = self.integration.by_name[self.types[type].member].message
        assert message is not None  # a config member is a message
        return message

    @cached_property
    def operations(self) -> Mapping[str, Operation]:
        """The operations by their id."""
        return {operation.id: operation for operation in self._operations()}

    def _operations(self) -> Iterator[Operation]:
        for path, item in self.document["paths"].items():
            for method, entry in item.items():
                if method != "parameters":
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
        """The rules that the release has by their id, in Central's order."""
        return {id: Rule(id, **entry) for id, entry in self.document["x-rules"].items()}

    @cached_property
    def history(self) -> Mapping[str, RuleHistory]:
        """The rules of all releases by their id, in Central's order."""
        return {id: _history(id, entry) for id, entry in self.source["x-rules"].items()}

    @cached_property
    def differences(self) -> Mapping[str, Difference]:
        """The known differences between document and deployment by their id."""
        return {entry["id"]: Difference(**entry) for entry in self.document["x-differences"]}

    @cached_property
    def types(self) -> Mapping[str, IntegrationType]:
        """The types of integration by their name."""
        return {type: self._read_type(type, entry) for type, entry in self.document["x-types"].items()}

    def _read_type(self, type: str, entry: Mapping[str, Any]) -> IntegrationType:
        refused_by = entry.get("createRefusedBy")
        paths = [each["path"] for each in entry.get("testPaths", ())]
        return IntegrationType(
            type,
            entry["member"],
            tuple(entry["categories"]),
            refused_by if refused_by in self.rules else None,
            paths[-1] if paths else None,
        )

    def types_of(self, member: str) -> tuple[str, ...]:
        """Return the types of a config member."""
        return tuple(each.type for each in self.types.values() if each.member == member)

    @property
    def creatable_types(self) -> list[str]:
        """The types that the release accepts in a create."""
        return [each.type for each in self.types.values() if each.creatable]

    @property
    def defaults(self) -> list[dict[str, Any]]:
        """The integrations of a fresh Central, without unset fields."""
        return list(self.document["x-defaults"])

    def later_fields(self, message: Message) -> tuple[Field, ...]:
        """Return the fields of a message that the oldest release does not have."""
        oldest = self.every_release[0].message(message.name).by_name
        return tuple(each for each in message.fields if each.name not in oldest)

    def example_of(self, message: Message, field: Field) -> Any:
        """Return the example of a field, or its default."""
        examples = self._schemas[message.name]["properties"][field.name].get("examples")
        return examples[0] if examples else field.default

    def fitting(self, message: Message, value: Any) -> Any:
        """Return the JSON of a message without fields and enum values of other releases."""
        return Values(self.source["components"]["schemas"], self._schemas).of_schema(message.name, value)

    def example(self, type: str) -> dict[str, Any]:
        """Return the document's example of a create of a type."""
        return dict(self.document["components"]["examples"][f"{type}-request"]["value"])

    @cached_property
    def _fields(self) -> tuple[Field, ...]:
        names = [name for name, node in self._schemas.items() if "x-proto-message" in node and "enum" not in node]
        return tuple(field for name in names for field in self.message(name).fields)

    @cached_property
    def credential_names(self) -> frozenset[str]:
        """The names of all fields that hold credentials, both spellings, in lower case."""
        held = (each for each in self._fields if each.scrub == "always")
        return frozenset(name.lower() for each in held for name in (each.name, each.proto_name))

    @cached_property
    def message_names(self) -> frozenset[str]:
        """The names of all fields that hold messages, both spellings, in lower case."""
        held = (each for each in self._fields if each.message is not None)
        return frozenset(name.lower() for each in held for name in (each.name, each.proto_name))

    @cached_property
    def categories(self) -> Mapping[str, int]:
        """The numbers of the categories by their names."""
        numbers: Mapping[str, int] = self._schemas["StorageImageIntegrationCategory"]["x-proto-numbers"]
        return numbers

    @cached_property
    def proto_types(self) -> Mapping[str, str]:
        """The protobuf types of the contract, and well-known others of Central, by full name."""
        known = {f"google.protobuf.{name}": "message" for name in _WELL_KNOWN} | _OTHER_TYPES
        for schema in self._schemas.values():
            if "x-proto-message" in schema:
                known[schema["x-proto-message"]] = "enum" if "enum" in schema else "message"
        return known

    @cached_property
    def integration(self) -> Message:
        """The message of an image integration."""
        return self.message("StorageImageIntegration")

    def message(self, schema: str) -> Message:
        """Return the message of a schema."""
        if schema not in self._messages:
            node = self._schemas[schema]
            fields = tuple(self._read_field(name, entry) for name, entry in node.get("properties", {}).items())
            by_name = {name: each for each in fields for name in (each.proto_name, each.name)}
            self._messages[schema] = Message(schema, node["x-proto-message"], fields, by_name)
        return self._messages[schema]

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


def _history(id: str, entry: Mapping[str, Any]) -> RuleHistory:
    written = entry.get("messages") or [{"text": entry["message"]}] if entry["kind"] != "behaviour" else []
    texts = tuple(Text(each["text"], span_of(each, table=True)) for each in written)
    shown = (each.text if each.releases.everywhere else f"{each.releases}: {each.text}" for each in texts)
    same = {key: value for key, value in entry.items() if key not in ("message", "messages", "since", "until")}
    return RuleHistory(
        id,
        **{"broken": entry["title"], **same},
        message=" / ".join(shown),
        texts=texts,
        releases=span_of(entry, table=True),
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
    """Return the contract of the newest release in the shipped document, always the same object."""
    return Contract(yaml_files.read(find()))
