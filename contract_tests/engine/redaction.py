"""Removal of the run's credentials from answers, before a report can quote them."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable
from functools import cache
from urllib.parse import quote

from mock_server.contract import tables as contracts

REDACTED = "[credential]"
"""Replacement for a credential in a report."""
_SHORTEST = 6
"""Length of the shortest secret that is searched for; a shorter text occurs by chance."""
_PIECE = 12
"""Length of the pieces of a long token, because an answer may quote only a part of it."""
_STEP = 4
"""Distance between the beginnings of two pieces."""
_SEPARABLE = 16
"""Letters and digits of the shortest secret that is also searched for with something between its characters."""
_CODE = rb"(?:(?:\x1b|\\{1,4}(?:u00|x)1b)\[[0-9;]*[a-z]|\\{1,4}(?:[nrtbf]|u[0-9a-f]{4}))"
"""A code that a text may have between the characters of a secret: an escaped line end, or a terminal escape."""
_CODES = re.compile(_CODE, re.IGNORECASE)
_OTHERS = bytes(each for each in range(256) if not (chr(each).isascii() and chr(each).isalnum()))
_WORD = re.compile(rb"[\w+/=.~-]{%d,}" % _PIECE)
_LAYERS = 3
"""Number of times that a text may be escaped."""
_ESCAPE = re.compile(
    rb"\\(?:u00([0-9a-f]{2})|x([0-9a-f]{2})|(/)|\\(?:\\\\)*)|%([0-9a-f]{2})|&#0*([0-9]{2,3});|&#x0*([0-9a-f]{2});|&(lt|gt|amp);",
    re.IGNORECASE,
)
"""A character that is escaped as in JSON, a URL or HTML."""
_NAMED = {b"lt": "<", b"gt": ">", b"amp": "&"}


class Redaction:
    """Finds the credentials of Authorization headers: verbatim, escaped, in base64, in hexadecimal, reversed.

    Pieces of long tokens are found, too. A password that occurs in the contract, such as `password`, is searched
    for only together with its user name.
    """

    def __init__(self, headers: Iterable[str | None]) -> None:
        spellings: set[bytes] = set()
        separable: set[bytes] = set()
        self._pieces: set[bytes] = set()
        self.secrets: set[str] = set()
        """The secrets in lower case."""
        for header in filter(None, headers):
            spellings.add(header.encode())
            for secret in _secrets(header):
                self.secrets.add(secret.lower())
                spellings |= forms(secret)
                separable |= {secret.encode("utf-8", "surrogateescape")} | in_base64(
                    secret.encode("utf-8", "surrogateescape")
                )
            self._pieces |= _pieces(header)
        ordered = sorted(spellings, key=lambda spelling: (-len(spelling), spelling))
        self._forms = {spelling.lower() for spelling in spellings}
        self._pattern = re.compile(b"|".join(map(re.escape, ordered)), re.IGNORECASE)
        letters = {form.lower().translate(None, _OTHERS) for form in separable}
        self._letters = {each for each in letters if len(each) >= _SEPARABLE}

    def content(self, content: bytes) -> bytes:
        """Return a body without the credentials. If escapes hide one, the body is returned unescaped."""
        redacted = escaped = self._replaced(content)
        for _ in range(_LAYERS if self._forms else 0):
            if not re.search(rb"[\\%&]", escaped):
                break
            unescaped = _ESCAPE.sub(_character, escaped)
            replaced = self._replaced(unescaped)
            if replaced is not unescaped:
                redacted = replaced
            escaped = replaced.replace(b"\\\\", b"\\")
        return redacted

    def _replaced(self, content: bytes) -> bytes:
        """Return a text without the credentials; the same object if it contains none."""
        # Searching for each form is far faster than one pattern for all.
        if _has_any(self._forms, content.lower()):
            content = self._pattern.sub(REDACTED.encode(), content)
        if _has_any(self._pieces, content.lower()):
            content = _WORD.sub(
                lambda word: REDACTED.encode() if _has_any(self._pieces, word[0].lower()) else word[0], content
            )
        found = _CODES.sub(b"", content.lower()).translate(None, _OTHERS) if self._letters else b""
        for letters in self._letters:
            if letters in found:
                content = _separated(letters).sub(REDACTED.encode(), content)
        return content

    def text(self, text: str) -> str:
        """Return a text without the credentials."""
        return self.content(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def _has_any(parts: Iterable[bytes], lower: bytes) -> bool:
    return any(part in lower for part in parts)


@cache
def _separated(letters: bytes) -> re.Pattern[bytes]:
    """Return a pattern for letters with anything but letters and digits between them."""
    between = rb"(?>%s|[^0-9a-z])*+" % _CODE
    return re.compile(between.join(bytes([each]) for each in letters), re.IGNORECASE)


def _secrets(header: str) -> list[str]:
    """Return the secrets in an Authorization header: the token, or the password and the pair with its user name."""
    scheme, _, value = header.partition(" ")
    secrets = [value]
    if scheme.lower() == "basic":
        try:
            pair = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            pair = ""
        password = pair.partition(":")[2]
        secrets += [pair, password] if not is_of_contract(password) else [pair]
    return [secret for secret in secrets if len(secret) >= _SHORTEST]


def is_of_contract(text: str) -> bool:
    """Return whether a text occurs in the contract, so that answers may contain it legitimately."""
    return text.lower().encode() in _contract()


@cache
def _contract() -> bytes:
    return contracts.find().read_bytes().lower()


def _pieces(header: str) -> set[bytes]:
    """Return the pieces of a long bearer token that do not occur elsewhere by chance."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "bearer" or len(value) < 2 * _PIECE:
        return set()
    pieces = [value[start : start + _PIECE] for start in range(0, len(value) - _PIECE + 1, _STEP)]
    return {each.lower().encode() for each in pieces if re.search(r"\d", each) and not is_of_contract(each)}


def _character(escape: re.Match[bytes]) -> bytes:
    """Decode an escape; keep one that would change the structure of JSON text, such as an escaped quote."""
    unicode, byte, slash, percent, decimal, hexadecimal, named = escape.groups()
    if slash:
        return slash
    if percent:
        character = bytes([int(percent, 16)])
    elif code := unicode or byte or hexadecimal:
        character = chr(int(code, 16)).encode()
    elif decimal:
        character = chr(int(decimal)).encode()
    else:
        character = _NAMED.get((named or b"").lower(), "").encode()
    return character if character and character >= b" " and character not in b'"\\' else escape[0]


def forms(secret: str) -> set[bytes]:
    """Return the encodings in which an answer may contain a secret."""
    data = secret.encode("utf-8", "surrogateescape")
    encoded = {data, json.dumps(secret)[1:-1].encode(), quote(data, safe="").encode(), data.hex().encode()}
    encoded |= {data.hex(separator).encode() for separator in " :-"}
    encoded |= {secret[::-1].encode("utf-8", "surrogateescape"), base64.b32encode(data).rstrip(b"=")[:-1]}
    encoded |= in_base64(data) | in_base64(base64.b64encode(data))
    return encoded


def in_base64(data: bytes) -> set[bytes]:
    """Return the parts of base64 text that encode `data` at each of the three alignments."""
    encoded = set()
    for offset in range(3):
        # The characters at both ends depend on the neighbouring bytes.
        part = base64.b64encode(b" " * offset + data).rstrip(b"=")[(0, 2, 3)[offset] : -1]
        encoded |= {part, part.translate(bytes.maketrans(b"+/", b"-_"))}
    return encoded
