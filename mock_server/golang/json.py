"""A JSON scanner with the errors of Go's ``encoding/json`` (``scanner.go``, ``stream.go``).

Central's gateway reads one JSON value from the body with this package, before protojson decodes it. So the errors of
malformed JSON are those of this package.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from mock_server.golang.text import quote_byte

MAX_DEPTH = 10_000
"""Levels of nesting that Go's scanner accepts."""

_SPACE = re.compile(rb"[ \t\r\n]*")
_DIGITS = re.compile(rb"[0-9]*")
_CHARACTERS = re.compile(rb'(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+')
_COMMA = re.compile(rb"[ \t\r\n]*,[ \t\r\n]*")
_KEY = re.compile(rb'"%s"[ \t\r\n]*:[ \t\r\n]*' % _CHARACTERS.pattern)
_HEX = frozenset(b"0123456789abcdefABCDEF")
_LITERALS = {ord("t"): b"true", ord("f"): b"false", ord("n"): b"null"}
_OPENERS = {ord("{"): "object", ord("["): "list"}


class JsonSyntaxError(ValueError):
    """The bytes are not JSON; the text is Go's."""


class JsonTruncatedError(JsonSyntaxError):
    """The bytes end before the value does."""


class JsonDepthError(JsonSyntaxError):
    """The value nests too deep for Go."""


def first_value(data: bytes) -> tuple[int, int] | None:
    """Return start and end of the first JSON value in `data`, or None if there are only blanks.

    Raises:
        JsonTruncatedError: `data` ends inside the value.
        JsonDepthError: more than `MAX_DEPTH` levels.
        JsonSyntaxError: anything else that is not JSON.
    """
    start = _behind(_SPACE, data, 0)
    if start == len(data):
        return None
    return start, _Scanner(data).value_end(start)


def check_document(text: bytes) -> None:
    """Raise the error of Go's ``json.Unmarshal`` unless `text` is exactly one JSON value."""
    try:
        # Go appends a blank to the text, and its error may be about this blank.
        found = first_value(text + b" ")
    except JsonTruncatedError:
        found = None
    if found is None:
        raise JsonSyntaxError("unexpected end of JSON input")
    rest = _behind(_SPACE, text, found[1])
    if rest < len(text):
        raise _invalid(text[rest], "after top-level value")


def members(document: bytes) -> Iterator[tuple[str, bytes]]:
    """Return the values of a valid object or list as raw JSON, with their names; in a list these are empty."""
    scanner = _Scanner(document)
    at = _behind(_SPACE, document, 1)
    while document[at] not in b"}]":
        if document[at] == ord(","):
            at = _behind(_SPACE, document, at + 1)
        name, start = "", at
        if document.startswith(b"{"):
            name, start = json.loads(document[at : scanner.string_end(at)]), scanner.key_end(at)
        end = scanner.value_end(start)
        yield name, document[start:end]
        at = _behind(_SPACE, document, end)


def _behind(pattern: re.Pattern[bytes], data: bytes, at: int) -> int:
    """Return the offset behind what a pattern matches, which may be nothing."""
    match = pattern.match(data, at)
    assert match is not None  # each of these patterns matches the empty string
    return match.end()


def _invalid(byte: int, where: str) -> JsonSyntaxError:
    return JsonSyntaxError(f"invalid character {quote_byte(byte)} {where}")


class _Scanner:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.open: list[str] = []

    def byte(self, at: int) -> int:
        if at >= len(self.data):
            raise JsonTruncatedError("unexpected EOF")
        return self.data[at]

    def value_end(self, at: int) -> int:
        """Return the end of the value at `at`; a loop, so that Python does not limit the depth."""
        while True:
            first = self.byte(at)
            kind = _OPENERS.get(first)
            if kind is None:
                at = self.scalar_end(at, first)
            else:
                self.push(kind, first)
                at = _behind(_SPACE, self.data, at + 1)
                if self.byte(at) != first + 2:  # "}" and "]" stand two behind "{" and "["
                    if kind == "object":
                        at = self.key_end(at)
                    continue
                self.open.pop()
                at += 1
            while self.open:
                in_object = self.open[-1] == "object"
                if comma := _COMMA.match(self.data, at):
                    at = self.key_end(comma.end()) if in_object else comma.end()
                    break
                at = _behind(_SPACE, self.data, at)
                byte = self.byte(at)
                if byte != (ord("}") if in_object else ord("]")):
                    raise _invalid(byte, "after object key:value pair" if in_object else "after array element")
                self.open.pop()
                at += 1
            else:
                return at

    def push(self, kind: str, opener: int) -> None:
        self.open.append(kind)
        if len(self.open) > MAX_DEPTH:
            raise JsonDepthError(f"invalid character {quote_byte(opener)} exceeded max depth")

    def key_end(self, at: int) -> int:
        """Return the start of the value after ``"key" :``."""
        if match := _KEY.match(self.data, at):
            return match.end()
        if self.byte(at) != ord('"'):
            raise _invalid(self.data[at], "looking for beginning of object key string")
        at = _behind(_SPACE, self.data, self.string_end(at))
        raise _invalid(self.byte(at), "after object key")

    def scalar_end(self, at: int, first: int) -> int:
        if first == ord('"'):
            return self.string_end(at)
        if first == ord("-") or first in b"0123456789":
            return self.number_end(at, first)
        literal = _LITERALS.get(first)
        if literal is None:
            raise _invalid(first, "looking for beginning of value")
        for offset in range(1, len(literal)):
            byte = self.byte(at + offset)
            if byte != literal[offset]:
                expected = quote_byte(literal[offset])
                raise _invalid(byte, f"in literal {literal.decode()} (expecting {expected})")
        return at + len(literal)

    def string_end(self, at: int) -> int:
        at = _behind(_CHARACTERS, self.data, at + 1)
        byte = self.byte(at)
        if byte == ord('"'):
            return at + 1
        if byte != ord("\\"):
            raise _invalid(byte, "in string literal")
        escape = self.byte(at + 1)
        if escape != ord("u"):
            raise _invalid(escape, "in string escape code")
        while self.byte(at + 2) in _HEX:
            at += 1
        raise _invalid(self.data[at + 2], "in \\u hexadecimal character escape")

    def number_end(self, at: int, first: int) -> int:
        if first == ord("-"):
            at += 1
            first = self.byte(at)
            if first not in b"0123456789":
                raise _invalid(first, "in numeric literal")
        at = at + 1 if first == ord("0") else _behind(_DIGITS, self.data, at)
        if self.data[at : at + 1] == b".":
            if self.byte(at + 1) not in b"0123456789":
                raise _invalid(self.data[at + 1], "after decimal point in numeric literal")
            at = _behind(_DIGITS, self.data, at + 1)
        if self.data[at : at + 1] in (b"e", b"E"):
            at += 1
            if self.byte(at) in b"+-":
                at += 1
            if self.byte(at) not in b"0123456789":
                raise _invalid(self.data[at], "in exponent of numeric literal")
            at = _behind(_DIGITS, self.data, at)
        return at
