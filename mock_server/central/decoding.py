"""Decoding of bodies and queries (grpc-gateway runtime).

There are two equivalent decoders. A conforming body only needs its defaults filled in; any other goes
through the exact decoder. Violations of the contract are listed, and refused only with `strict`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from mock_server.central import protojson
from mock_server.central.errors import Refusal, Rules
from mock_server.central.integration import Integration, UpdateRequest, Values
from mock_server.central.releases import Build
from mock_server.contract.tables import Contract, Message, Operation
from mock_server.contract.validator import Validator, Violation
from mock_server.golang import json as gojson
from mock_server.golang import url as gourl

MAX_MESSAGE = 24 * 1024 * 1024
"""Bytes of the largest message Central receives (pkg/env/grpc_max_message_size.go)."""

LARGEST_GROWTH = 4
"""Greatest ratio of the binary form to the JSON: ``-1,`` in a list of categories takes ten bytes."""
_BOUND = 16
"""Greatest number of bytes around the id of the path, in protobuf's binary form."""
_LONGEST_EXPLAINED = 16 * 1024
"""Greatest size in bytes of a body whose violations are listed one by one; a long list takes seconds."""


class Decoded(NamedTuple):
    """A decoded body, and its violations of the contract."""

    message: Integration | UpdateRequest
    violations: Sequence[Violation] = ()


class Filters(NamedTuple):
    """The filters of a list, empty if not set, and the violations of the query."""

    name: str = ""
    cluster: str = ""
    violations: Sequence[Violation] = ()


class Decoding:
    """Decodes requests for one contract."""

    def __init__(
        self,
        contract: Contract,
        validator: Validator,
        build: Build,
        *,
        strict: bool,
        explains: bool,
        show_credentials: bool,
    ) -> None:
        """`strict`: refuse violations of the contract. `explains`: look for them.

        `show_credentials`: see `protojson.Decoder`.
        """
        self.contract = contract
        self.rules = Rules(contract)
        self.validator = validator
        self.strict = strict
        self.explains = explains
        self.is_exact = False
        """Read every body with the exact decoder."""
        self._messages = {
            each.id: contract.message(each.request) for each in contract.operations.values() if each.request
        }
        self.decoder = protojson.Decoder(contract, show_credentials=show_credentials, whole_numbers=build.whole_numbers)
        self._most_parameters = gourl.MOST_PARAMETERS if build.bounded_query else None

    def body(self, operation: Operation, body: bytes, content_type: str, id: str = "") -> Decoded:
        """Decode the body of an operation as Central does; the `id` of the path counts for the size of the message.

        Raises:
            Refusal: Central cannot read it, or (only with `strict`) it violates the contract.
        """
        assert operation.request is not None  # operations without a body do not decode
        message = self._messages[operation.id]
        # Counting is expensive, and hardly any body is long enough to need it.
        is_long = LARGEST_GROWTH * len(body) + 4 * len(id) + _BOUND > MAX_MESSAGE
        plain = self._plain(body, content_type)
        is_accepted = plain is not None and self.validator.accepts(operation.request, plain)
        if is_accepted:
            decoded = protojson.complete(message, plain)
        else:
            decoded = self.decoder.decode(message, body, is_json=plain is not None)
        if is_long:
            self.message_size(message, decoded, id)
        if is_accepted or not self.explains:
            return Decoded(decoded)
        return Decoded(decoded, self.violations(operation, body, content_type))

    def _plain(self, body: bytes, content_type: str) -> Any:
        """Return the JSON value of a body if every JSON decoder reads it alike, else None."""
        if self.is_exact or not (content_type == "application/json" or _is_json(content_type)):
            return None
        if _SURROGATE.search(body):  # Python accepts half a surrogate pair, Go does not
            return None
        try:
            return _PLAIN.decode(body.decode())
        except (ValueError, RecursionError):
            return None

    def empty_integration(self) -> Integration:
        """Return an integration with no field set."""
        return protojson.complete(self.contract.integration, {})

    def message_size(self, message: Message, decoded: Values, id: str) -> None:
        """Refuse a message whose binary form is too long."""
        if id and "config" in message.by_name:
            decoded = {**decoded, "config": {**(decoded["config"] or {}), "id": id}}
        elif id:
            decoded = {**decoded, "id": id}
        size = protojson.size(message, decoded, self.contract.categories)
        if size > MAX_MESSAGE:
            raise self.rules.refusal("message-size", size=size)

    def violations(self, operation: Operation, body: bytes, content_type: str) -> list[Violation]:
        """List the violations of a body, as openapi-core reports them.

        Raises:
            Refusal: there are violations, and `strict` is on.
        """
        found: list[Violation] = []
        value = body.strip(protojson.BLANKS)
        if not _is_json(content_type):
            found.append(Violation("$", "the content type is not application/json"))
        _, end = gojson.first_value(value) or (0, 0)
        if end < len(value):
            found.append(Violation("$", "data follows the JSON value"))
        try:
            if end <= _LONGEST_EXPLAINED:
                found += self.validator.request_violations(operation, value[:end])
            elif not self.validator.accepts(str(operation.request), self._plain(value[:end], "application/json")):
                found.append(Violation("$", f"violates the contract; a body of {end} bytes is too long to say where"))
        except (RecursionError, UnicodeError):
            found.append(Violation("$", "nests too deep or is not UTF-8"))
        return self._unless_strict(found)

    def query(self, operation: Operation, query: str) -> Filters:
        """Decode the query of a list; it has one character a byte (latin-1).

        Raises:
            Refusal: a filter is repeated, or the query cannot be decoded.
        """
        if not query:
            return Filters()
        known = self._parameters(operation)
        parsed = self.parsed_query(query)
        try:
            values = dict(_query_field(key, values, known) for key, values in parsed.items())
        except gourl.UrlError as error:
            raise self.rules.refusal("query-encoding", reason=error) from None
        for name in known:
            if len(values.get(name, ())) > 1:
                raise self.query_value_once(name, values[name])
        found = [
            Violation(f"?{name}", "is not a parameter of the contract")
            for name in values
            if name not in (*known, "pretty")
        ]
        self._unless_strict(found)
        name, cluster = (values.get(each, [""])[0] for each in ("name", "cluster"))
        return Filters(name, cluster, found)

    def parsed_query(self, query: str) -> dict[str, list[str]]:
        """Return the values of each key of a query.

        Raises:
            Refusal: the query cannot be decoded.
        """
        try:
            return gourl.parse_query(query, self._most_parameters)
        except gourl.UrlError as error:
            raise self.rules.refusal("query-encoding", reason=error) from None

    def query_value_once(self, name: str, values: list[str]) -> Refusal:
        """grpc-gateway runtime/query.go."""
        return self.rules.refusal("query-value-once", field=name, values=", ".join(values))

    def _parameters(self, operation: Operation) -> list[str]:
        entry = self.contract.document["paths"][operation.path][operation.method.lower()]
        return [each["name"] for each in entry.get("parameters", []) if each["in"] == "query"]

    def _unless_strict(self, found: list[Violation]) -> list[Violation]:
        if found and self.strict:
            text = "; ".join(map(str, found))
            raise Refusal("strict", 400, 3, f"the request violates the contract: {text}")
        return found


_KEYED = re.compile(r"(.*)\[(.*)\]")


def _query_field(key: str, values: list[str], known: list[str]) -> tuple[str, list[str]]:
    """Return the field of a key and its values; brackets in a key add one (grpc-gateway runtime/query.go).

    Raises:
        UrlError: a path leads into a field of `known`, none of which is a message.
    """
    match = _KEYED.fullmatch(key)
    name, values = (match[1], [match[2], *values]) if match else (key, values)
    field, dot, _ = name.partition(".")
    if field not in known:
        return key, values
    if dot:
        raise gourl.UrlError(f'invalid path: "{field}" is not a message')
    return field, values


def _is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/json"


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; raise ValueError if a key is repeated."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is repeated")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_PLAIN = json.JSONDecoder(object_pairs_hook=unique, parse_constant=_no_constant)
