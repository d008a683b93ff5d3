"""Read JSON into the fields of a Go struct (Go ``encoding/json``: ``Unmarshal``).

Names are case-insensitive, unknown ones are ignored, and null changes nothing. The first value of a wrong JSON type is
reported, but the other fields are still filled.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from mock_server.golang import json as gojson

Values = dict[str, Any]
"""The values of the fields that are set, by their JSON names."""


class Struct(NamedTuple):
    """A struct: the name of its type in Go, and the types of its fields."""

    go_type: str
    fields: Mapping[str, str | Struct]
    """``string``, ``bool``, ``int``, ``[]string``, ``map[string]string``, ``raw`` or a struct."""

    @property
    def name(self) -> str:
        """The name without its package."""
        return self.go_type.rpartition(".")[2]


_KINDS = {ord('"'): "string", ord("{"): "object", ord("["): "array", ord("t"): "bool", ord("f"): "bool"}
_ASKED = {"string": "string", "bool": "bool", "int": "number", "[]string": "array", "map[string]string": "object"}
_INTEGER = re.compile(rb"-?[0-9]{1,19}")


class Unmarshalled(NamedTuple):
    """The values of a document, and the error for the first one of a wrong type."""

    values: Values
    error: str | None


def unmarshal(text: bytes, struct: Struct) -> Unmarshalled:
    """Read a document.

    Raises:
        JsonSyntaxError: it is not JSON.
    """
    reader = _Reader(struct)
    values = reader.read(_checked(text))
    return Unmarshalled(values, reader.error)


@lru_cache(maxsize=4)  # a text is read into several structs
def _checked(text: bytes) -> bytes:
    gojson.check_document(text)
    return text.strip(b" \t\r\n")


@lru_cache(maxsize=16)
def _members(document: bytes) -> tuple[tuple[str, bytes], ...]:
    return tuple((key.casefold(), value) for key, value in gojson.members(document))


class _Reader:
    def __init__(self, struct: Struct) -> None:
        self.struct = struct
        self.error: str | None = None

    def read(self, document: bytes) -> Values:
        if document == b"null":
            return {}
        if not document.startswith(b"{"):
            self._wrong(f"{_kind(document)} into Go value of type {self.struct.go_type}")
            return {}
        return self._object(document, self.struct, (), {})

    def _wrong(self, what: str) -> None:
        self.error = self.error or f"json: cannot unmarshal {what}"

    def _object(self, document: bytes, struct: Struct, path: tuple[str, ...], values: Values) -> Values:
        for name, value in _members(document):
            asked = struct.fields.get(name)
            if asked is None:
                continue
            if asked == "raw":
                values[name] = value
            elif value == b"null":
                if not isinstance(asked, str) or (asked.endswith("string") and asked != "string"):
                    values.pop(name, None)  # a pointer, a list or a map
            else:
                self._field(values, name, value, asked, struct, (*path, name))
        return values

    def _field(
        self, values: Values, name: str, value: bytes, asked: str | Struct, struct: Struct, path: tuple[str, ...]
    ) -> None:
        kind = _kind(value)
        place = f"into Go struct field {struct.name}.{'.'.join(path)} of type"
        if isinstance(asked, Struct):
            if kind == "object":
                self._object(value, asked, path, values.setdefault(name, {}))
            else:
                self._wrong(f"{kind} {place} {asked.go_type}")
        elif kind != _ASKED[asked]:
            self._wrong(f"{kind} {place} {asked}")
        elif asked == "int" and not _INTEGER.fullmatch(value):
            self._wrong(f"number {value.decode()} {place} int")
        else:
            values[name] = json.loads(value)
            if asked in ("[]string", "map[string]string"):
                self._texts(value, place)

    def _texts(self, value: bytes, place: str) -> None:
        for _, item in gojson.members(value):
            if _kind(item) != "string" and item != b"null":
                self._wrong(f"{_kind(item)} {place} string")


def _kind(value: bytes) -> str:
    return _KINDS.get(value[0], "number")
