"""Differences between a document and the contract in their image-integration operations and schemas.

Only the meaning counts, not names of schemas, order, references or descriptions. But a different name that generated
clients use is a harmless difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from contract_tests.drift.description import Content, Description, Node, Operation, Parameter, Shape
from contract_tests.engine.failures import HarnessError
from mock_server.contract.routes import Routes
from mock_server.contract.tables import Contract

NEW, LOST, CHANGED, UNSAID = "new", "lost", "changed", "unsaid"
"""Kinds: only in the document; only in the contract; different; or in the contract while the document is silent."""
KINDS: Mapping[str, str] = {
    NEW: "New in the document",
    LOST: "Missing in the document",
    CHANGED: "Different in the document",
    UNSAID: "Not specified by the document",
}

REQUEST, ANSWER = "request", "answer"
_TAG = "ImageIntegrationService"
_LIMITS = (
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "pattern", "minItems", "maxItems", "uniqueItems"),
)
_OF_INT32 = {"minimum": -(2**31), "maximum": 2**31 - 1}
_DEEPEST = 20
"""Maximum nesting of messages."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference; `contract` and `document` are the two statements, `patch` the addition to the contract."""

    place: str
    """An operation, or a contract schema with a field, such as `StorageDockerConfig.password`."""
    kind: str
    text: str
    breaking: bool = False
    contract: str = ""
    document: str = ""
    operations: tuple[str, ...] = ()
    patch: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"

    def json(self) -> dict[str, Any]:
        """Return the difference as JSON data for a report."""
        shown = {"place": self.place, "kind": self.kind, "breaking": self.breaking, "text": self.text}
        values = {"contract": self.contract, "document": self.document, "operations": list(self.operations)}
        return shown | {key: value for key, value in values.items() if value}


@dataclass(frozen=True, slots=True)
class Drift:
    """All differences of a document; `gaps` lists references and parts that the document lacks."""

    name: str
    release: str
    differences: tuple[Difference, ...]
    gaps: tuple[str, ...]

    def of(self, kind: str) -> list[Difference]:
        """Return the differences of a kind, breaking ones first."""
        found = [each for each in self.differences if each.kind == kind]
        return sorted(found, key=lambda each: (not each.breaking, each.place))

    @property
    def breaking(self) -> list[Difference]:
        """Return the differences that break clients which follow the contract."""
        return [each for each in self.differences if each.breaking]

    @property
    def harmless(self) -> list[Difference]:
        """Return the other differences, except where the document is silent."""
        return [each for each in self.differences if not each.breaking and each.kind != UNSAID]

    @property
    def headline(self) -> str:
        """The verdict in one line."""
        said = f"{self.name} and the contract of {self.release}"
        if self.breaking or self.harmless:
            what = f"differ: {len(self.breaking)} breaking, {len(self.harmless)} harmless"
        elif self.gaps:
            what = "agree as far as they could be compared"
        else:
            what = "agree"
        silent = len(self.of(UNSAID))
        return f"{said} {what}{f'; not specified by the document: {silent}' if silent else ''}"

    def status(self, *, strict: bool = False) -> int:
        """Return the exit status: 1 for breaking differences (`strict`: for any), 3 if not all could be compared."""
        return 1 if self.breaking or (strict and self.harmless) else 3 if self.gaps else 0


def compare(document: Node, contract: Contract, name: str = "the document", since: str = "") -> Drift:
    """Compare a document with the contract of a release; patches mark additions with `since`.

    Raises:
        HarnessError: the document has no image integrations, is nested too deeply, or its base is not a URL.
    """
    theirs, ours = Description(document, name), Description(contract.document)
    comparison = _Comparison(ours, theirs, contract, since or contract.releases.newest.line)
    collection = Routes(contract).collection
    mine, other = ours.operations(collection, _TAG), theirs.operations(collection, _TAG)
    try:
        if other:
            for route in dict.fromkeys([*mine, *other]):
                comparison.operations(mine.get(route), other.get(route))
        elif not comparison.schemas_by_name():
            raise HarnessError(f"{name}: does not describe {collection}; is it the document of a Central?")
    except RecursionError:
        raise HarnessError(f"{name}: is nested too deeply to be compared") from None
    gaps = [f"{each} is not in the document" for each in sorted(theirs.gaps)]
    gaps += [] if other else ["the document has no operations"]
    return Drift(name, str(contract.release), tuple(comparison.found.values()), tuple(gaps))


class _Comparison:
    """Collects differences; a schema that several operations use is compared once."""

    def __init__(self, ours: Description, theirs: Description, contract: Contract, since: str) -> None:
        self.ours, self.theirs, self.contract, self.since = ours, theirs, contract, since
        self.found: dict[tuple[str, str, str], Difference] = {}
        self.operation = ""

    def add(self, place: str, kind: str, text: str, **more: Any) -> None:
        """Record a difference."""
        operations = (self.operation,) if self.operation not in ("", place) else ()
        new = Difference(place, kind, text, **more, operations=operations)
        old = self.found.setdefault((place, kind, text), new)
        self.found[place, kind, text] = replace(
            old,
            breaking=old.breaking or new.breaking,
            operations=tuple(dict.fromkeys((*old.operations, *new.operations))),
        )

    # -- operations -------------------------------------------------------------------------------

    def operations(self, ours: Operation | None, theirs: Operation | None) -> None:
        """Compare two operations of one route."""
        self.operation = str(ours or theirs)
        if ours is None:
            assert theirs is not None
            patch = {"paths": {theirs.path: {theirs.method: self._operation_patch(theirs)}}}
            self.add(self.operation, NEW, f"is a new operation, {theirs.id or 'without an id'}", patch=patch)
        elif theirs is None:
            self.add(self.operation, LOST, "is not an operation of the document", breaking=True)
        else:
            self._ids(ours, theirs)
            self._parameters(ours, theirs)
            self._bodies(ours, theirs)
            self._responses(ours, theirs)

    def _ids(self, ours: Operation, theirs: Operation) -> None:
        if theirs.id and theirs.id != ours.id:
            text = "has another operationId, which generated clients use"
            self.add(self.operation, CHANGED, text, contract=ours.id, document=theirs.id)
        if theirs.deprecated and not ours.deprecated:
            self.add(self.operation, CHANGED, "is deprecated")

    def _parameters(self, ours: Operation, theirs: Operation) -> None:
        # Match path parameters by position: Central's `config.id` is `id` in other documents.
        names = dict(zip(theirs.path_parameters, ours.path_parameters, strict=True))
        other = {
            (place, names.get(name, name) if place == "path" else name): each
            for (place, name), each in theirs.parameters.items()
        }
        new = [each for key, each in other.items() if key not in ours.parameters]
        for key in dict.fromkeys([*ours.parameters, *other]):
            self._parameter(ours, ours.parameters.get(key), other.get(key), new)

    def _parameter(
        self, operation: Operation, ours: Parameter | None, theirs: Parameter | None, new: Sequence[Parameter]
    ) -> None:
        what = f"the {(ours or theirs).place} parameter `{(ours or theirs).name}`"  # type: ignore[union-attr]
        if ours is None:
            assert theirs is not None
            known = self.contract.document["paths"][operation.path][operation.method].get("parameters", [])
            added = [self._parameter_patch(each) | self._mark() for each in new]
            patch = self._at(operation, {"parameters": [*known, *added]})  # a patch replaces a list as a whole
            needed = " and required" if theirs.required else ""
            self.add(self.operation, NEW, f"{what} is new{needed}", breaking=theirs.required, patch=patch)
        elif theirs is None:
            if ours.place != "path":  # the path itself shows its parameters
                self.add(self.operation, LOST, f"{what} is not in the document", breaking=True)
        else:
            if theirs.required != ours.required:
                text = f"{what} is {'now required' if theirs.required else 'no longer required'}"
                self.add(self.operation, CHANGED, text, breaking=theirs.required)
            if theirs.schema:  # a documentation page does not give types
                place = f"{self.operation} {ours.place}.{ours.name}"
                self.shapes(place, ours.schema, theirs.schema, REQUEST)

    def _bodies(self, ours: Operation, theirs: Operation) -> None:
        if ours.body is None or theirs.body is None:
            if theirs.body is not None:
                self.add(self.operation, NEW, "takes a body", breaking=theirs.body.required)
            elif ours.body is not None:
                self.add(self.operation, LOST, "takes no body", breaking=True)
            return
        if theirs.body.required != ours.body.required:
            text = f"the body is {'now required' if theirs.body.required else 'no longer required'}"
            self.add(self.operation, CHANGED, text, breaking=theirs.body.required)
        self._media(ours.body, theirs.body, "the body", breaking=True)
        # grpc-gateway removes path parameters from the body, and so repeats the message without them.
        bound = theirs.path_parameters
        self.shapes(self.operation, ours.body.schema, theirs.body.schema, REQUEST, bound=bound, names=not bound)

    def _responses(self, ours: Operation, theirs: Operation) -> None:
        silent = []
        for status in dict.fromkeys([*ours.responses, *theirs.responses]):
            mine, other = ours.responses.get(status), theirs.responses.get(status)
            success = status.startswith("2")
            if mine is None:
                assert other is not None
                patch = self._at(ours, {"responses": {status: self._answer_patch(status, other) | self._mark()}})
                self.add(self.operation, NEW, f"can also answer {status}", breaking=success, patch=patch)
            elif other is None:
                if status == "default" or ("default" in theirs.responses and not success):
                    silent.append(status)
                else:
                    self.add(self.operation, LOST, f"the answer {status} is not in the document", breaking=success)
            else:
                self._media(mine, other, f"the answer {status}", breaking=success)
                self.shapes(f"{self.operation} {status}", mine.schema, other.schema, ANSWER)
        if silent:
            self.add(self.operation, UNSAID, f"can answer {', '.join(silent)}; the document has no entry for it")

    def _media(self, ours: Content, theirs: Content, what: str, *, breaking: bool) -> None:
        lost = [each for each in ours.media if each not in theirs.media]
        if lost and theirs.media:
            text = f"{what} is not {', '.join(lost)}"
            values = {"contract": ", ".join(ours.media), "document": ", ".join(theirs.media)}
            self.add(self.operation, CHANGED, text, breaking=breaking, **values)

    # -- schemas ----------------------------------------------------------------------------------

    def schemas_by_name(self) -> bool:
        """Compare the schemas that have the contract's names; return whether there are any.

        Whether a schema may be null depends on the field that refers to it, so both are compared as references.
        """
        other = {name.casefold(): name for name in self.theirs.schemas}
        found = [(name, other[name.casefold()]) for name in self.ours.schemas if name.casefold() in other]
        for name, theirs in found:
            self.shapes(name, self.ours.reference(name), self.theirs.reference(theirs), ANSWER)
        return bool(found)

    def shapes(
        self,
        place: str,
        mine: Node | None,
        other: Node | None,
        side: str,
        *,
        bound: Iterable[str] = (),
        names: bool = True,
        depth: int = 0,
    ) -> None:
        """Compare two schemas; `bound` are the fields, such as `config.id`, that the document has in the path."""
        ours, theirs = self.ours.shape(mine), self.theirs.shape(other)
        if theirs.is_missing or depth > _DEEPEST:
            return  # a schema that the document lacks cannot be compared
        if other is None:
            if ours.type:
                self.add(place, UNSAID, "the document does not specify its schema")
            return
        if names and ours.name and theirs.name and ours.name.casefold() != theirs.name.casefold():
            self.add(ours.name, CHANGED, f"is called {theirs.name}, which generated clients use")
        if not self._types(place, ours, theirs, side):
            return
        self._limits(place, ours, theirs, side)
        if ours.type == "array":
            mine, other = ours.node.get("items"), theirs.node.get("items")
            self.shapes(f"{place}[]", mine, other, side, names=names, depth=depth + 1)
        elif ours.type == "object":
            self._fields(ours.name or place, ours, theirs, side, bound, depth, names=names)

    def _types(self, place: str, ours: Shape, theirs: Shape, side: str) -> bool:
        """Compare the types; return whether the contents can be compared, too."""
        if ours.enum or theirs.enum:
            self._enums(ours.name or place, ours, theirs, side)
        kinds = [_kind(ours), _kind(theirs)]
        if kinds[0] != kinds[1]:
            if not kinds[1] and not theirs.node:
                self.add(place, UNSAID, f"is {kinds[0]}; the document specifies no type")
            elif not (ours.enum and theirs.enum):
                self.add(place, CHANGED, f"is {kinds[1] or 'anything'}, not {kinds[0] or 'anything'}", breaking=True,
                         contract=kinds[0], document=kinds[1])  # fmt: skip
            return False
        if theirs.nullable and not ours.nullable:
            self.add(place, CHANGED, "may be null", breaking=side == ANSWER)
        elif ours.nullable and not theirs.nullable:
            self.add(place, UNSAID, "may be null; the document does not specify this")
        if theirs.node.get("deprecated") and not ours.node.get("deprecated"):
            self.add(place, CHANGED, "is deprecated")
        return True

    def _enums(self, place: str, ours: Shape, theirs: Shape, side: str) -> None:
        if not theirs.enum:
            self.add(place, UNSAID, f"is one of {', '.join(ours.enum)}; the document does not specify this")
            return
        if not ours.enum:
            self.add(place, CHANGED, f"is one of {', '.join(theirs.enum)} only", breaking=side == REQUEST)
            return
        for value in theirs.enum:
            if value not in ours.enum:
                known = self.contract.document["components"]["schemas"].get(ours.name, {}).get("enum", [])
                marks = {"x-enum-releases": {value: {"since": self.since}}}
                more = [each for each in theirs.enum if each not in known]
                patch = {"components": {"schemas": {ours.name: {"enum": [*known, *more], **marks}}}}
                self.add(place, NEW, f"the value {value} is new", patch=patch)
        for value in ours.enum:
            if value not in theirs.enum:
                self.add(place, LOST, f"the value {value} is not in the document", breaking=side == REQUEST)

    def _limits(self, place: str, ours: Shape, theirs: Shape, side: str) -> None:
        for key in _LIMITS:
            mine, other = ours.node.get(key), theirs.node.get(key)
            if other is not None and other != mine:
                values = {"contract": "" if mine is None else str(mine), "document": str(other)}
                self.add(place, CHANGED, f"has the limit {key} {other}", breaking=side == REQUEST, **values)
            elif mine is not None and other is None and mine != _OF_INT32.get(key):
                self.add(place, UNSAID, f"has the limit {key} {mine}; the document does not specify this")

    def _fields(
        self, place: str, ours: Shape, theirs: Shape, side: str, bound: Iterable[str], depth: int, *, names: bool
    ) -> None:
        mine, others = ours.fields, theirs.fields
        in_path = {each for each in bound if "." not in each}
        for name in dict.fromkeys([*mine, *others]):
            at = f"{place}.{name}"
            needed = name in theirs.required
            if name not in mine:
                patch = self._field_patch(ours.name, name, others[name])
                shown = _kind(self.theirs.shape(others[name])) or "anything"
                text = f"is a new field, {shown}{' and required' if needed else ''}"
                self.add(at, NEW, text, breaking=needed and side == REQUEST, document=shown, patch=patch)
            elif name not in others:
                if name not in in_path:
                    old = bool(mine[name].get("deprecated"))
                    text = f"is not a field of the document{'; the contract calls it deprecated' if old else ''}"
                    self.add(at, LOST, text, breaking=not old, contract=_kind(self.ours.shape(mine[name])))
            else:
                if needed and name not in ours.required:
                    self.add(at, CHANGED, "is required", breaking=side == REQUEST)
                elif name in ours.required and not needed:
                    self.add(at, UNSAID, "is required; the document does not specify this")
                deeper = [rest for each in bound for first, _, rest in (each.partition("."),) if first == name and rest]
                self.shapes(at, mine[name], others[name], side, bound=deeper,
                            names=names and not deeper, depth=depth + 1)  # fmt: skip

    # -- patches ----------------------------------------------------------------------------------

    def _mark(self) -> dict[str, str]:
        return {"x-since": self.since}

    def _at(self, operation: Operation, part: Mapping[str, Any]) -> dict[str, Any]:
        return {"paths": {operation.path: {operation.method: part}}}

    def _field_patch(self, schema: str, field: str, node: Node) -> dict[str, Any]:
        if not schema:
            return {}
        schemas = {schema: {"properties": {field: self._contract_schema(node) | self._mark()}}}
        return {"components": {"schemas": {**self._new_schemas(node), **schemas}}}

    def _operation_patch(self, operation: Operation) -> dict[str, Any]:
        answers = operation.responses.items()
        body = operation.body
        return {
            "operationId": operation.id,
            "tags": [_TAG],
            "summary": str(operation.node.get("summary", "")),
            "parameters": [self._parameter_patch(each) for each in operation.parameters.values()],
            **({"requestBody": self._content_patch(body) | {"required": body.required}} if body else {}),
            "responses": {status: self._answer_patch(status, each) for status, each in answers},
        } | self._mark()

    def _parameter_patch(self, parameter: Parameter) -> dict[str, Any]:
        required = {"required": True} if parameter.required else {}
        schema = self._contract_schema(parameter.schema)
        return {"name": parameter.name, "in": parameter.place, **required, "schema": schema}

    def _answer_patch(self, status: str, content: Content) -> dict[str, Any]:
        return {"description": f"Status {status}.", **self._content_patch(content)}

    def _content_patch(self, content: Content) -> dict[str, Any]:
        if content.schema is None:
            return {}
        return {"content": {media: {"schema": self._contract_schema(content.schema)} for media in content.media}}

    def _contract_schema(self, node: Any) -> Any:
        """Return a schema of the document in the contract's form: its names and style of references."""
        if isinstance(node, list):
            return [self._contract_schema(each) for each in node]
        if not isinstance(node, Mapping):
            return node
        if isinstance(reference := node.get("$ref"), str):
            return {"$ref": f"#/components/schemas/{self._contract_name(reference)}"}
        kept = {
            key: self._contract_schema(value) for key, value in node.items() if key not in ("nullable", "x-nullable")
        }
        if (node.get("nullable") or node.get("x-nullable")) and isinstance(node.get("type"), str):
            kept["type"] = [node["type"], "null"]
        return kept

    def _contract_name(self, reference: str) -> str:
        name = reference.rpartition("/")[2]
        known = {each.casefold(): each for each in self.ours.schemas}
        return known.get(name.casefold(), name[:1].upper() + name[1:])

    def _new_schemas(self, node: Node) -> dict[str, Any]:
        """Return the schemas that a new field refers to and that the contract does not have."""
        found: dict[str, Any] = {}
        pending = [node]
        while pending:
            each = pending.pop()
            for reference in _references(each):
                name = self._contract_name(reference)
                target = self.theirs.schemas.get(reference.rpartition("/")[2])
                if target is not None and name not in self.ours.schemas and name not in found:
                    found[name] = self._contract_schema(target) | self._mark()
                    pending.append(target)
        return found


def _references(node: Any) -> Iterable[str]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
                yield value
            else:
                yield from _references(value)
    elif isinstance(node, list):
        for each in node:
            yield from _references(each)


def _kind(shape: Shape) -> str:
    """Return the type with its format."""
    if shape.type == "object" and not shape.fields and isinstance(shape.node.get("additionalProperties"), Mapping):
        return "map"
    return f"{shape.type} ({shape.format})" if shape.format else shape.type
