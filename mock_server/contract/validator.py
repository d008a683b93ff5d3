"""The contract's verdict on requests and answers.

There are two validators. A compiled one accepts most requests fast. What it does not accept goes to openapi-core, which
decides, and explains the violations. No text contains a value, because a value may be a credential.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import jsonschema_rs

from mock_server.contract import tables as contracts
from mock_server.contract.tables import Contract, Operation
from mock_server.golang import timestamps

if TYPE_CHECKING:
    from collections.abc import Callable

    from openapi_core import OpenAPI
    from openapi_core.datatypes import RequestParameters

HOST = "http://mock-central"
_NO_BODY = ("MissingRequestBody", "MissingRequiredRequestBody")
"""Errors of openapi-core, which is imported late."""
UNKNOWN_FIELD = "is not a field of the contract"
"""Start of the reason if a newer Central may accept the field."""
_LONGEST_NAME = 64
"""Greatest length of a field name from a client in the path of a violation, which is logged."""
_PLAIN_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z")
_JSON_TYPES = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}


class Violation(NamedTuple):
    """One violation of the contract: a JSON path and the reason."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(slots=True)
class _Request:
    """openapi-core's Request protocol."""

    method: str
    path: str
    body: bytes | None
    parameters: RequestParameters
    content_type: str = "application/json"
    host_url: str = HOST


class Validator:
    """Validates against one contract; several apps can share it."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self._accepts: dict[tuple[str, bool], Callable[[Any], bool]] = {}

    # -- the compiled validator -----------------------------------------------------------------------

    def accepts(self, schema: str, value: Any, *, answer: bool = False) -> bool:
        """Return whether the compiled validator accepts `value`; if not, openapi-core decides."""
        try:
            compiled = self._accepts.get((schema, answer)) or self._compiled(schema, answer)
            return compiled(value)
        except (ValueError, TypeError, OverflowError, UnicodeError):
            return False  # the validator cannot read the value, such as half a surrogate pair

    def _compiled(self, schema: str, answer: bool) -> Callable[[Any], bool]:
        document = self.answers_document if answer else self.contract.document
        compiled = jsonschema_rs.Draft202012Validator(
            {"$ref": f"#/components/schemas/{schema}", "components": document["components"]},
            formats={"date-time": _is_plain_time},
            validate_formats=True,
        )
        self._accepts[schema, answer] = compiled.is_valid
        return compiled.is_valid

    @cached_property
    def answers_document(self) -> Mapping[str, Any]:
        """The document for answers, where an open enum may also be a number without a name."""
        document = deepcopy(dict(self.contract.document))
        schemas = document["components"]["schemas"]
        for name, schema in list(schemas.items()):
            if schema.get("x-open-enum"):
                closed = {key: value for key, value in schema.items() if key != "x-open-enum"}
                schemas[name] = {"anyOf": [closed, {"type": "integer", "format": "int32"}]}
        return document

    # -- openapi-core ------------------------------------------------------------------

    @cached_property
    def _requests(self) -> OpenAPI:
        return _openapi(self.contract.document)

    @cached_property
    def _answers(self) -> OpenAPI:
        return _openapi(self.answers_document)

    def prepare(self) -> None:
        """Build openapi-core's validator now, so that no request waits a fifth of a second for it."""
        _ = self._requests

    def request_violations(
        self, operation: Operation, body: bytes, query: Sequence[tuple[str, str]] = ()
    ) -> list[Violation]:
        """List the violations of a request, apart from its path, content type and credentials.

        `body` is one JSON value or empty. `query`: its names and values.
        """
        request = _Request(operation.method.lower(), operation.path, body or None, _parameters(query))
        return list(_explained(self._requests.request_validator.iter_errors(request)))

    def answer_violations(self, operation: Operation, status: int, body: bytes) -> list[Violation]:
        """List the violations of an answer."""
        request = _Request(operation.method.lower(), operation.path, None, _parameters())
        return list(_explained(self._answers.response_validator.iter_errors(request, _Answer(status, body))))


@lru_cache(maxsize=8)
def of(contract: Contract) -> Validator:
    """Return the validator of a contract, compiled once."""
    return Validator(contract)


def shared() -> Validator:
    """Return the validator of the shipped contract."""
    return of(contracts.load())


@dataclass(frozen=True, slots=True)
class _Answer:
    """openapi-core's Response protocol."""

    status_code: int
    data: bytes
    content_type: str = "application/json"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Content-Type": self.content_type}


def _is_plain_time(text: str) -> bool:
    """Accept only times that every validator accepts."""
    if not _PLAIN_TIME.fullmatch(text):
        return False
    try:
        timestamps.normalise(text)
    except ValueError:
        return False
    return True


def _openapi(document: Mapping[str, Any]) -> OpenAPI:
    # Half a second of imports that most runs never need.
    from openapi_core import Config, OpenAPI

    # `auth` checks credentials, and the mock can have any address.
    open_document = {**document, "security": [], "servers": [{"url": HOST}]}
    # The document itself is checked by the tests, not at each start.
    return OpenAPI.from_dict(open_document, config=Config(spec_validator_cls=None))  # type: ignore[arg-type]


def _parameters(query: Sequence[tuple[str, str]] = ()) -> RequestParameters:
    from openapi_core.datatypes import RequestParameters
    from werkzeug.datastructures import ImmutableMultiDict

    return RequestParameters(query=ImmutableMultiDict(query), path={"id": "any"})


def _explained(errors: Iterator[Any]) -> Iterator[Violation]:
    for error in errors:
        schema_errors = getattr(error.__cause__, "schema_errors", None)
        if schema_errors:
            for schema_error in schema_errors:
                yield from _schema_violations(schema_error)
        else:
            yield Violation("$", _reason(error))


def _reason(error: Exception) -> str:
    """Return the reason of an error outside of schemas. openapi-core's own text may contain the body."""
    if any(type(each).__name__ in _NO_BODY for each in (error, error.__cause__)):
        return "the body is missing"
    return f"violates the contract ({type(error.__cause__ or error).__name__})"


def _schema_violations(error: Any, base: str = "$") -> Iterator[Violation]:
    path = base + "".join(_step(part) for part in error.path)
    validator, wanted = error.validator, error.validator_value
    if validator == "anyOf" and error.context:
        # "anyOf a schema or null": report only the violations of the schema.
        branches = [inner for inner in error.context if inner.validator_value != "null"]
        for inner in branches:
            yield from _schema_violations(inner, path)
    elif validator == "additionalProperties":
        properties = error.schema.get("properties", {})
        spellings = {entry.get("x-proto-name"): name for name, entry in properties.items()}
        for name in sorted(set(error.instance) - set(properties)):
            hint = f"; the contract calls it {spellings[name]}" if name in spellings else ""
            yield Violation(path + _step(name), f"{UNKNOWN_FIELD}{hint}")
    elif validator == "required":
        for name in wanted:
            if name not in error.instance and f"'{name}'" in error.message:
                yield Violation(path + _step(name), "is required")
    elif validator == "not":
        yield Violation(path, "is a second config member; at most one may be set")
    elif validator == "type":
        types = " or ".join([wanted] if isinstance(wanted, str) else wanted)
        yield Violation(path, f"is {_JSON_TYPES.get(type(error.instance), 'a number')}, not of type {types}")
    elif validator == "enum":
        yield Violation(path, f"is not one of {', '.join(map(str, wanted))}")
    else:
        yield Violation(path, f"does not meet {validator} {json.dumps(wanted)}")


def _step(part: object) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    name = str(part)[:_LONGEST_NAME]
    return f".{name}" if name.isidentifier() else f"[{json.dumps(name)}]"
