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


class Redaction:
    """Finds the credentials in Authorization headers: as they are, escaped, in base64, in hexadecimal.

    A password that is a word of the contract, such as `password`, is looked for only together with its user.
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
        ordered = sorted(found, key=lambda each: (-len(each), each))
        self._pattern = re.compile(b"|".join(map(re.escape, ordered)), re.IGNORECASE) if ordered else None

    def content(self, content: bytes) -> bytes:
        """Return a body without the credentials."""
        return content if self._pattern is None else self._pattern.sub(REDACTED.encode(), content)

    def text(self, text: str) -> str:
        """Return a text without the credentials."""
        if self._pattern is None:
            return text
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


def forms(secret: str) -> set[bytes]:
    """Return the ways in which a text may be written."""
    data = secret.encode("utf-8", "surrogateescape")
    found = {data, json.dumps(secret)[1:-1].encode(), quote(data, safe="").encode(), data.hex().encode()}
    for before in range(3):
        # The characters at both ends depend on what stands beside the text.
        coded = base64.b64encode(b" " * before + data).rstrip(b"=")
        found.add(coded[(0, 2, 3)[before] : -1])
    return found
