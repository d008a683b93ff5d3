"""Protobuf JSON as Central's gateway decodes and encodes it.

An integration is a `dict` in the shape and order in which Central writes it: JSON names, zero
values present, unset messages None, unset config members absent, categories by name (by
number where Central knows no name). It is never changed in place.

There are two ways to decode. `complete` fills in the defaults of a conforming body. `Decoder` follows
protobuf-go's ``encoding/protojson/decode.go`` token by token, with its errors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from mock_server.central.errors import Refusal, Rules
from mock_server.central.integration import Values
from mock_server.contract.tables import MASK, Contract, Field, Message
from mock_server.golang import json as gojson
from mock_server.golang import timestamps
from mock_server.golang.text import quote

BLANKS = b" \t\r\n"
"""The whitespace of JSON."""
_TOKEN = re.compile(rb'[ \t\r\n]*([-+.0-9A-Za-z]+|[{}\[\],:"])')
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u([dD][89a-fA-F]..)|.)", re.DOTALL)
"""A pair of surrogates, half of one (the group), or any other escape."""
_NUMBER = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")
_UNDELIMITED = re.compile(r"[-+._0-9A-Za-z]")
"""Characters that cannot follow a number."""
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_INT32 = range(-(2**31), 2**31)
_LONGEST_NUMBER = 20
"""Greatest number of digits for which protojson expands an exponent."""


def render(value: object) -> bytes:
    """Encode an answer without blanks and needless escapes."""
    try:
        return _ENCODER.encode(value).encode()
    except UnicodeEncodeError:  # half a surrogate pair, such as in the request journal, needs an escape
        return json.dumps(value, separators=(",", ":")).encode()


def indented(answer: bytes) -> bytes:
    """Return an answer with an indent of two blanks."""
    value = json.loads(answer)
    try:
        return json.dumps(value, ensure_ascii=False, indent=2).encode()
    except UnicodeEncodeError:
        return json.dumps(value, indent=2).encode()


def complete(message: Message, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message that the contract accepts with all its fields, in Central's order."""
    whole: dict[str, Any] = {}
    for field in message.fields:
        value = sent.get(field.name)
        if value is None:
            if not field.oneof:
                whole[field.name] = [] if field.repeated else field.default
        elif field.message is not None and not field.repeated:
            whole[field.name] = complete(field.message, value)
        elif field.kind == "timestamp":
            whole[field.name] = timestamps.normalise(value)
        elif field.kind == "int32":
            whole[field.name] = int(value)
        else:
            whole[field.name] = value
    return whole


def size(message: Message, value: Values, numbers: Mapping[str, int]) -> int:
    """Return the size of a message in protobuf's binary form; `numbers`: the values of the enum."""
    total = 0
    for field in message.fields:
        found = value.get(field.name)
        if found is None or found in (field.default, []):
            continue
        tag = 1 if field.number < 16 else 2
        if field.repeated:
            length = sum(_varint(numbers.get(item, item)) for item in found)
        elif field.message is not None:
            length = size(field.message, found, numbers)
        elif field.kind == "string":
            length = len(found.encode())
        elif field.kind == "timestamp":
            length = _timestamp_size(found)
        else:
            total += tag + _varint(int(found))
            continue
        total += tag + _varint(length) + length
    return total


def _varint(number: int) -> int:
    """Return the size of a varint; a negative one takes 64 bits."""
    return max(1, -(-(number % 2**64).bit_length() // 7))


def _timestamp_size(text: str) -> int:
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    whole = int(datetime.fromisoformat(seconds).replace(tzinfo=UTC).timestamp())
    nanos = int(fraction.ljust(9, "0") or 0)
    return sum(1 + _varint(number) for number in (whole, nanos) if number)


class _Token(NamedTuple):
    start: int
    raw: bytes

    @property
    def is_string(self) -> bool:
        return self.raw[:1] == b'"'

    @property
    def is_number(self) -> bool:
        return self.raw[:1] in b"-0123456789"


class Decoder:
    """Decodes bodies in two steps like Central; each has its own errors."""

    def __init__(self, contract: Contract, *, show_credentials: bool, whole_numbers: bool = True) -> None:
        """`show_credentials`: refusals may quote a credential, as Central's do.

        Without `whole_numbers`, text after a number in quotes is ignored, as in older releases of protobuf-go.
        """
        self.contract = contract
        self.rules = Rules(contract)
        self.whole_numbers = whole_numbers
        self.show_credentials = show_credentials

    def decode(self, message: Message, data: bytes, *, is_json: bool = False) -> dict[str, Any]:
        """Decode a body exactly as Central does; an empty body is an empty message.

        `is_json`: the body is known to be a single JSON value.

        Raises:
            Refusal: the body is invalid; the text is that of protojson or of Go's JSON package.
        """
        value = data.strip(BLANKS) if is_json else self.first_value(data)
        return complete(message, self.reading(value).message(message) if value else {})

    def first_value(self, data: bytes) -> bytes:
        """Return the first JSON value of a body, which ignores the rest; empty if there are only blanks."""
        try:
            found = gojson.first_value(data)
        except gojson.JsonTruncatedError:
            raise self.rules.refusal("body-truncated") from None
        except gojson.JsonDepthError as error:
            raise self.rules.refusal("nesting-depth", reason=error) from None
        except gojson.JsonSyntaxError as error:
            raise self.rules.refusal("body-syntax", reason=error) from None
        return data[found[0] : found[1]] if found else b""

    def reading(self, value: bytes) -> Reading:
        """Return a reading of a JSON value."""
        return Reading(self, value)


class Reading:
    """Decodes one body, which is well-formed JSON."""

    def __init__(self, decoder: Decoder, data: bytes) -> None:
        self.decoder = decoder
        self.rules = decoder.rules
        self.data = data
        self.at = 0
        self.ahead: _Token | None = None
        self.string = ""
        """The text of the last string that was read."""
        self.path: list[Field] = []

    # -- tokens ---------------------------------------------------------------

    def peek(self) -> _Token:
        """Return the next token without consuming it."""
        if self.ahead is not None:
            return self.ahead
        match = _TOKEN.match(self.data, self.at)
        assert match is not None  # the JSON was checked before
        start, raw = match.start(1), match[1]
        if raw == b'"':
            raw = self.data[start : self.string_end(start)]
        self.ahead = _Token(start, raw)
        return self.ahead

    def string_end(self, start: int) -> int:
        """Return the end of a string; finding its quotation mark is much faster than matching the content."""
        end = self.data.find(b'"', start + 1)
        if self.data.find(b"\\", start, end) < 0:
            return end + 1
        match = _STRING.match(self.data, start)
        assert match is not None  # the JSON was checked before
        return match.end()

    def read(self) -> _Token:
        """Consume and return the next token; decode a string."""
        token = self.peek()
        self.at, self.ahead = token.start + len(token.raw), None
        if token.is_string:
            self.string = self.text(token)
        return token

    def text(self, token: _Token) -> str:
        """Decode a string token; the first error from the left counts."""
        text: str | None = None
        try:
            text, end = token.raw.decode(), len(token.raw)
        except UnicodeDecodeError as error:
            end = error.start
        for escape in _ESCAPE.finditer(token.raw, 0, end):
            if escape[1] is not None:
                raise self.half_pair(token, token.start + escape.end())
        if text is None:
            raise self.bad_string(token, "invalid UTF-8 in string")
        return str(json.loads(text))

    def half_pair(self, token: _Token, end: int) -> Refusal:
        """Return the refusal of half a surrogate pair that ends at byte `end` of the body."""
        following = self.data[end : end + 6]
        if len(following) < 6:
            return self.rules.refusal("string-encoding", reason="proto: unexpected EOF")
        return self.bad_string(token, f"invalid escape code {quote(following)} in string")

    def bad_string(self, token: _Token, reason: str) -> Refusal:
        """Return the refusal of an invalid string."""
        return self.rules.refusal("string-encoding", reason=f"proto: syntax error ({self.position(token)}): {reason}")

    def position(self, token: _Token) -> str:
        """Return line and column of a token, both from 1; columns are characters."""
        before = self.data[: token.start]
        line_number = before.count(b"\n") + 1
        line = before.rpartition(b"\n")[2]
        # A byte that is not UTF-8 counts as one character, as in Go.
        column = len(line.decode("utf-8", "surrogateescape"))
        return f"line {line_number}:{column + 1}"

    def shown(self, token: _Token) -> str:
        """Return a token as refusals quote it, or the mask for a credential."""
        credential = bool(self.path) and self.path[-1].scrub == "always"
        if credential and not self.decoder.show_credentials:
            return MASK
        return token.raw.decode("utf-8", "replace")

    def unexpected(self, token: _Token) -> Refusal:
        """Return the refusal of a token at the wrong place."""
        return self.rules.refusal("unexpected-token", position=self.position(token), token=self.shown(token))

    def bad_field(self, rule: str, token: _Token, **values: object) -> Refusal:
        """Return the refusal of a field; the token is its name."""
        shown = token.raw.decode("utf-8", "replace")
        return self.rules.refusal(rule, position=self.position(token), token=shown, **values)

    def extension_name(self, token: _Token, name: str, message: Message) -> None:
        """Refuse a name in brackets, the notation of extensions, unless Central ignores it."""
        found = self.decoder.contract.proto_types.get(name[1:-1]) if name[:1] + name[-1:] == "[]" else None
        if found == "extension":
            text = f"message {message.proto} cannot be extended by {name[1:-1]}"
            raise Refusal("extension-name", 400, 3, f"proto: ({self.position(token)}): {text}")
        if found is not None:
            raise self.bad_field("extension-name", token, found=found)

    def duplicate_field(self, token: _Token, field: Field, seen: set[str]) -> None:
        """Refuse a repeated field, in either spelling, null or not."""
        if field.name in seen:
            raise self.bad_field("duplicate-field", token)

    def one_config_member(self, token: _Token, member: str | None) -> None:
        """Refuse a second member; `member` is the first."""
        if member is not None:
            raise self.bad_field("one-config-member", token)

    # -- values ---------------------------------------------------------------

    def message(self, message: Message) -> dict[str, Any]:
        """Decode an object without its unset fields."""
        token = self.read()
        if token.raw != b"{":
            raise self.unexpected(token)
        values: dict[str, Any] = {}
        seen: set[str] = set()
        member: str | None = None
        while (token := self.read()).raw != b"}":
            if token.raw == b",":
                token = self.read()
            name = self.string
            self.read()  # the colon
            field = message.by_name.get(name)
            if field is None:
                self.extension_name(token, name, message)
                self.skip()
                continue
            self.duplicate_field(token, field, seen)
            seen.add(field.name)
            if self.peek().raw == b"null":
                self.read()
                continue
            if field.oneof:
                self.one_config_member(token, member)
                member = field.name
            self.path.append(field)
            values[field.name] = self.value(field)
            self.path.pop()
        return values

    def value(self, field: Field) -> Any:
        """Decode the value of a field."""
        if field.repeated:
            return self.items(field)
        if field.message is not None:
            return self.message(field.message)
        if field.kind == "timestamp":
            return self.timestamp()
        return self.scalar(field)

    def items(self, field: Field) -> list[Any]:
        """Decode a list without its unknown names of an enum."""
        token = self.read()
        if token.raw != b"[":
            raise self.unexpected(token)
        found = []
        while self.peek().raw != b"]":
            if self.peek().raw == b",":
                self.read()
            item = self.scalar(field)
            if item is not None:
                found.append(item)
        self.read()
        return found

    def scalar(self, field: Field) -> Any:
        """Decode one value; None for an unknown name of an enum."""
        token = self.read()
        if field.kind == "string":
            if token.is_string:
                return self.string
        elif field.kind == "bool":
            if token.raw in (b"true", b"false"):
                return token.raw == b"true"
        elif field.kind == "enum":
            if token.is_string:
                return self.string if self.string in self.decoder.contract.categories else None
            number = _int32(token.raw.decode()) if token.is_number else None
            if number is not None:
                names = {value: name for name, value in self.decoder.contract.categories.items()}
                return names.get(number, number)
        else:
            text = self.quoted_number() if token.is_string else token.raw.decode() if token.is_number else ""
            number = _int32(text)
            if number is not None:
                return number
        raise self.rules.refusal(
            "field-value", position=self.position(token), kind=field.kind, field=field.name, token=self.shown(token)
        )

    def quoted_number(self) -> str:
        """Return the number in the last string."""
        text = self.string
        if self.decoder.whole_numbers or text != text.strip():
            return text
        match = _NUMBER.match(text)
        tail = text[match.end() :] if match else ""
        return text[: match.end()] if match and not _UNDELIMITED.match(tail) else text

    def timestamp(self) -> str:
        """Decode a time to the form of answers."""
        token = self.read()
        if not token.is_string:
            raise self.unexpected(token)
        try:
            return timestamps.normalise(self.string)
        except timestamps.TimestampRangeError:
            rule = "timestamp-range"
        except ValueError:
            rule = "timestamp-format"
        raise self.rules.refusal(rule, position=self.position(token), token=self.shown(token))

    def skip(self) -> None:
        """Skip the value of a field that Central does not know."""
        depth = 0
        while True:
            token = self.read()
            if token.raw in (b"{", b"["):
                depth += 1
            elif token.raw in (b"}", b"]"):
                depth -= 1
            if depth == 0 and token.raw not in (b",", b":"):
                return


def _int32(text: str) -> int | None:
    """Decode a number as protojson does: any notation of a whole number is one."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    sign, whole, fraction = match[1], match[2].lstrip("0"), (match[3] or "").rstrip("0")
    if not whole and not fraction:
        return 0
    shift = int(match[4] or 0)
    if shift not in _INT32:
        return None
    if shift >= 0:
        if len(fraction) > shift or len(whole) + shift > _LONGEST_NUMBER:
            return None
        digits = whole + fraction + "0" * (shift - len(fraction))
    else:
        keep = len(whole) + shift
        if fraction or keep < 0 or whole[keep:].strip("0"):
            return None
        digits = whole[:keep]
    number = int(sign + digits)
    return number if number in _INT32 else None
