"""A reader of DER that fails with the errors of Go's ``encoding/asn1``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

_PARAMETERS = (
    "{optional:false explicit:false application:false private:false defaultValue:<nil> tag:<nil> "
    "stringType:0 timeType:0 set:false omitEmpty:false}"
)
"""Go's notation for a field without parameters."""
_LONGEST = 1 << 23
_SEQUENCE = 16


class Asn1Error(ValueError):
    """The bytes are not of the expected kind; the text is Go's."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of value."""

    tag: int
    value: Callable[[bytes], Any]
    """Reads the bytes behind the tag and the length."""
    go_name: str = ""
    """The type that Go reads it into; empty for those that have no name."""


class Field(NamedTuple):
    """One field of a sequence; `explicit` is the number of the tag around it."""

    kind: Kind
    optional: bool = False
    explicit: int | None = None


class Read(NamedTuple):
    """A value, and the offset after it. Missing optional fields are None."""

    value: Any
    end: int


class _Head(NamedTuple):
    group: int
    tag: int
    length: int
    compound: bool

    def __str__(self) -> str:
        compound = "true" if self.compound else "false"
        return f"{{class:{self.group} tag:{self.tag} length:{self.length} isCompound:{compound}}}"


def _syntax(reason: str) -> Asn1Error:
    return Asn1Error(f"asn1: syntax error: {reason}")


def _structure(reason: str) -> Asn1Error:
    return Asn1Error(f"asn1: structure error: {reason}")


def read(data: bytes, kind: Kind) -> Read:
    """Read the value at the start of `data`.

    Raises:
        Asn1Error: it is not of that kind.
    """
    return _field(data, 0, Field(kind))


def _field(data: bytes, start: int, field: Field) -> Read:
    if start == len(data):
        if field.optional:
            return Read(None, start)
        raise _syntax("sequence truncated")
    head, at = _head(data, start)
    kind = field.kind
    if field.explicit is not None:
        if (head.group, head.tag) != (2, field.explicit) or not (head.compound or head.length == 0):
            return Read(None, start)  # each field with such a tag is optional
        if at == len(data):
            raise _structure("explicit tag has no child")
        if head.length == 0:
            raise _structure("zero length explicit tag was not an asn1.Flag")
        head, at = _head(data, at)
    elif kind is RAW:
        return Read(data[start : _end(data, at, head.length)], at + head.length)
    if (head.group, head.tag, head.compound) != (0, kind.tag, kind.tag == _SEQUENCE):
        if field.optional:
            return Read(None, start)
        raise _structure(f"tags don't match ({kind.tag} vs {head}) {_PARAMETERS} {kind.go_name} @{at}")
    end = _end(data, at, head.length)
    return Read(kind.value(data[at:end]), end)


def _end(data: bytes, at: int, length: int) -> int:
    if at + length > len(data):
        raise _syntax("data truncated")
    return at + length


def _members(fields: Sequence[Field], inner: bytes) -> list[Any]:
    values, at = [], 0
    for field in fields:  # more may follow the last one
        value, at = _field(inner, at, field)
        values.append(value)
    return values


def _elements(kind: Kind, inner: bytes) -> list[Any]:
    at = 0
    while at < len(inner):
        head, at = _head(inner, at)
        if (head.group, head.tag, head.compound) != (0, kind.tag, True):
            raise _structure("sequence tag mismatch")
        if at + head.length > len(inner):
            raise _syntax("truncated sequence")
        at += head.length
    values, at = [], 0
    while at < len(inner):
        value, at = _field(inner, at, Field(kind))
        values.append(value)
    return values


def _head(data: bytes, at: int) -> tuple[_Head, int]:
    first = data[at]
    tag, at = first & 0x1F, at + 1
    if tag == 0x1F:
        tag, at = _base_128(data, at)
        if tag < 0x1F:
            raise _syntax("non-minimal tag")
    length, at = _length(data, at)
    return _Head(first >> 6, tag, length, bool(first & 0x20)), at


def _byte(data: bytes, at: int) -> int:
    if at >= len(data):
        raise _syntax("truncated tag or length")
    return data[at]


def _length(data: bytes, at: int) -> tuple[int, int]:
    first = _byte(data, at)
    at += 1
    if first < 0x80:
        return first, at
    if first == 0x80:
        raise _syntax("indefinite length found (not DER)")
    length = 0
    for _ in range(first & 0x7F):
        byte = _byte(data, at)
        at += 1
        if length >= _LONGEST:
            raise _structure("length too large")
        length = length << 8 | byte
        if length == 0:
            raise _structure("superfluous leading zeros in length")
    if length < 0x80:
        raise _structure("non-minimal length")
    return length, at


def _base_128(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for position in range(len(data) - at):
        if position == 5:
            raise _structure("base 128 integer too large")
        byte = data[at + position]
        if position == 0 and byte == 0x80:
            raise _syntax("integer is not minimally encoded")
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            if value >= 1 << 31:
                raise _structure("base 128 integer too large")
            return value, at + position + 1
    raise _syntax("truncated base 128 integer")


def _integer(inner: bytes, *, bounded: bool) -> int:
    if not inner:
        raise _structure("empty integer")
    if len(inner) > 1 and ((inner[0] == 0 and inner[1] < 0x80) or (inner[0] == 0xFF and inner[1] >= 0x80)):
        raise _structure("integer not minimally-encoded")
    if bounded and len(inner) > 8:
        raise _structure("integer too large")
    return int.from_bytes(inner, "big", signed=True)


def _object_identifier(inner: bytes) -> str:
    if not inner:
        raise _syntax("zero length OBJECT IDENTIFIER")
    first, at = _base_128(inner, 0)
    numbers = [*divmod(first, 40)] if first < 80 else [2, first - 80]
    while at < len(inner):
        number, at = _base_128(inner, at)
        numbers.append(number)
    return ".".join(map(str, numbers))


def _bits(inner: bytes) -> bytes:
    if not inner:
        raise _syntax("zero length BIT STRING")
    padding = inner[0]
    if padding > 7 or (len(inner) == 1 and padding > 0) or inner[-1] & ((1 << padding) - 1):
        raise _syntax("invalid padding bits in BIT STRING")
    return inner


INT, BIG = Kind(2, partial(_integer, bounded=True), "int"), Kind(2, partial(_integer, bounded=False))
BITS, OCTETS, OID = Kind(3, _bits, "BitString"), Kind(4, bytes), Kind(6, _object_identifier, "ObjectIdentifier")
RAW = Kind(0, bytes)
"""Takes anything, with its tag and its length."""


def sequence(go_name: str, *fields: Field | Kind) -> Kind:
    """Describe a sequence, which Go reads into a struct of this name."""
    members = [each if isinstance(each, Field) else Field(each) for each in fields]
    return Kind(_SEQUENCE, partial(_members, members), go_name)


def list_of(kind: Kind) -> Kind:
    """Describe a sequence of any number of sequences of one kind."""
    return Kind(_SEQUENCE, partial(_elements, kind))
