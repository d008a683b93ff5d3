"""Taking the credentials of a run out of what a target answers, before anything can quote it."""

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
"""What stands in a report for a credential of the user."""
_SHORTEST = 6
"""Characters of a text that is looked for wherever it stands; a shorter one also stands there by chance."""
_PIECE = 12
"""Characters of a piece of a long token, which is looked for too: an answer may quote a token in part."""
_ESCAPE = re.compile(
    rb"\\(?:u00([0-9a-f]{2})|x([0-9a-f]{2})|(/)|\\)|%([0-9a-f]{2})|&#0*([0-9]{2,3});|&#x0*([0-9a-f]{2});|&(lt|gt|amp);",
    re.IGNORECASE,
)
"""A character written as an escape of JSON, of a URL, or of HTML."""
_NAMED = {b"lt": "<", b"gt": ">", b"amp": "&"}


class Redaction:
    """Finds the credentials in Authorization headers: as they are, escaped, in base64, in hexadecimal, backwards.

    Long tokens are found in part, too. A password that is a word of the contract, such as `password`, is looked for
    only together with its user.
    """

    def __init__(self, headers: Iterable[str | None]) -> None:
        found: set[bytes] = set()
        self.secrets: set[str] = set()
        """The texts that are looked for, in small letters."""
        for header in filter(None, headers):
            found.add(header.encode())
            for secret in _secrets(header):
                self.secrets.add(secret.lower())
                found |= forms(secret)
            found |= _pieces(header)
        ordered = sorted(found, key=lambda each: (-len(each), each))
        self._forms = {each.lower() for each in found}
        self._pattern = re.compile(b"|".join(map(re.escape, ordered)), re.IGNORECASE)

    def content(self, content: bytes) -> bytes:
        """Return a body without the credentials. Where escapes hide one, the other escapes are read, too."""
        shown = self._replaced(content)
        if self._forms and re.search(rb"[\\%&]", shown):
            read = _ESCAPE.sub(_character, shown)
            replaced = self._replaced(read)
            return shown if replaced is read else replaced
        return shown

    def _replaced(self, content: bytes) -> bytes:
        lower = content.lower()
        # To look for each is far faster than a pattern of them all.
        return self._pattern.sub(REDACTED.encode(), content) if any(form in lower for form in self._forms) else content

    def text(self, text: str) -> str:
        """Return a text without the credentials."""
        return self.content(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def _secrets(header: str) -> list[str]:
    """Return what is secret in an Authorization header."""
    scheme, _, value = header.partition(" ")
    found = [value]
    if scheme.lower() == "basic":
        try:
            pair = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            pair = ""
        password = pair.partition(":")[2]
        found += [pair, password] if not is_of_contract(password) else [pair]
    return [each for each in found if len(each) >= _SHORTEST]


def is_of_contract(text: str) -> bool:
    """Return whether a text stands in the contract, so that it stands in answers by right."""
    return text.lower().encode() in _contract()


@cache
def _contract() -> bytes:
    return contracts.find().read_bytes().lower()


def _pieces(header: str) -> set[bytes]:
    """Return the pieces of a long bearer token that no other text holds by chance."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "bearer" or len(value) < 2 * _PIECE:
        return set()
    pieces = [value[start : start + _PIECE] for start in range(0, len(value) - _PIECE + 1, _PIECE)]
    return {each.encode() for each in pieces if re.search(r"\d", each) and not is_of_contract(each)}


def _character(escape: re.Match[bytes]) -> bytes:
    """Return the character that an escape stands for; the escape where JSON text would be another one with it."""
    unicode, byte, slash, percent, decimal, hexadecimal, named = escape.groups()
    if slash:
        return slash
    if percent:
        found = bytes([int(percent, 16)])
    elif code := unicode or byte or hexadecimal:
        found = chr(int(code, 16)).encode()
    elif decimal:
        found = chr(int(decimal)).encode()
    else:
        found = _NAMED.get((named or b"").lower(), "").encode()
    return found if found and found >= b" " and found not in b'"\\' else escape[0]


def forms(secret: str) -> set[bytes]:
    """Return the ways in which a text may be written."""
    data = secret.encode("utf-8", "surrogateescape")
    found = {data, json.dumps(secret)[1:-1].encode(), quote(data, safe="").encode(), data.hex().encode()}
    found |= {data.hex(separator).encode() for separator in " :-"}
    found |= {secret[::-1].encode("utf-8", "surrogateescape"), base64.b32encode(data).rstrip(b"=")[:-1]}
    found |= _in_base64(data) | _in_base64(base64.b64encode(data))
    return found


def _in_base64(data: bytes) -> set[bytes]:
    found = set()
    for before in range(3):
        # The characters at both ends depend on what stands beside the text.
        coded = base64.b64encode(b" " * before + data).rstrip(b"=")[(0, 2, 3)[before] : -1]
        found |= {coded, coded.translate(bytes.maketrans(b"+/", b"-_"))}
    return found
