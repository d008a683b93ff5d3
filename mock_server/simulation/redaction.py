"""What is shown of requests and answers, without credentials.

A value is hidden for its place, never for its text: for the key that it has in JSON, in a query or in a form, for the
header that it is, for standing before the host of a URL. So a short password neither shows through nor changes a text
that happens to contain it. JSON inside of a text is looked into, however deep.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from mock_server.contract.tables import MASK

_SECRET_HEADER = re.compile(
    r"(?:.*[-_])?(?:(?:api|access|secret|private|shared)?key|\w*token|auth|oauth\w*|auth\w*ation|\w*secret|"
    r"pass(?:w(?:or)?d|phrase)?|pwd|credentials?|cookie2?|session|sig|signature|assertion|jwt|bearer|t?otp)(?:[-_].*)?"
)
_ALSO_SECRET = ("token", "auth", "authorization", "passwd", "passphrase", "pwd", "secret", "privatekey")
"""Ends of keys beside those of the contract: what the web UI, clients, Docker and Google's accounts hold."""
_SHOWN = ("updatepassword",)
"""Keys that end so and hold no credential."""
_USERINFO = re.compile(
    r"""(?<=//)(?:[^\s/?#"'<>]*|[^\s/@:]+:(?!\d+(?:/|$))[^\s@]*)@"""
    # Endpoints have no scheme. A digest behind an @ is that of an image.
    r"""|[^\s/\\?#"'<>@:]+:(?!//|\d+(?:/|$))[^\s?#"'<>@]+@(?!sha\d+:)(?=[\w-]+\.[\w-]|localhost|\[|[\w-]+:\d)"""
)
_GIVEN_USERINFO = re.compile(r"""(?<=//)[^\s'"]+@|[^\s'"/=:]+:(?!//)[^\s'"]*@""")
_SCHEME = re.compile(r"""\b(bearer|basic)\s+(?=[^\s"']*\d)[^\s"'\\,;]+""", re.IGNORECASE)
"""A digit tells a token from a word."""
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_SEPARATORS = re.compile(r"[^a-z0-9_-]+")
_DECODINGS = 5
"""How often a text may be encoded for URLs and still be read."""


def without_userinfo(url: str) -> str:
    """Hide what stands before the host of a URL, even of one that cannot be parsed."""
    before, at, after = url.rpartition("@")
    if not at:
        return url
    scheme, slashes, _ = before.partition("//")
    return f"{scheme if slashes else ''}{slashes}{MASK}@{after}"


def without_any_userinfo(text: str) -> str:
    """Hide what stands before hosts in a text that quotes what somebody gave: rather too much than too little."""
    return _GIVEN_USERINFO.sub(f"{MASK}@", text)


def with_hidden_userinfo(text: str) -> str:
    """Hide what stands before hosts in a text, and keep the rest of it."""
    return _USERINFO.sub(f"{MASK}@", text)


def _unquoted(text: str) -> str:
    for _ in range(_DECODINGS):
        plain = unquote_plus(text)
        if plain == text:
            break
        text = plain
    return text


class Redaction:
    """Hides what stands under the names of credentials."""

    def __init__(self, credential_names: Collection[str]) -> None:
        names = "|".join(sorted(map(re.escape, {*credential_names, *_ALSO_SECRET}), key=len, reverse=True))
        self._ends = tuple(each.replace("_", "") for each in (*credential_names, *_ALSO_SECRET))
        self._pairs = re.compile(rf"""(\b(?:{names})=)[^&"'\\\s]+""", re.IGNORECASE)
        key = rf"""(?:{names})\s*\\*["']\s*:(?! invalid arguments$)"""  # so ends a refusal that quotes a field's name
        self._keys = re.compile(rf"""^\s*[{{\[].*["']\s*:|{key}""", re.IGNORECASE | re.DOTALL)
        self._wrong_values = re.compile(rf"(\bfield (?:{names}): ).*", re.IGNORECASE | re.DOTALL)

    def is_secret(self, key: str) -> bool:
        """Return whether a key names a credential, perhaps at the end of a path, such as ``docker.password``."""
        for part in _SEPARATORS.split(key.lower()):
            word = part.replace("_", "").replace("-", "")
            if word.endswith(self._ends) and word not in _SHOWN:
                return True
            if _SECRET_HEADER.fullmatch(part):
                return True
        return False

    def value(self, value: Any) -> Any:
        """Copy a JSON value without the credentials in it.

        Raises:
            RecursionError: it nests too deep.
        """
        if isinstance(value, list):
            return [self.value(each) for each in value]
        if isinstance(value, dict):
            return {
                self.text(key): MASK if self.is_secret(key) and each not in ("", None) else self.value(each)
                for key, each in value.items()
            }
        return self.text(value) if isinstance(value, str) else value

    def text(self, text: str) -> str:
        """Copy a text without the credentials in it: those of URLs, of headers and of JSON that it is."""
        if text.lstrip()[:1] in ("{", "[", '"'):
            try:
                value = read(text)
                hidden = self.value(value)
            except ValueError:
                pass
            except RecursionError:
                return omitted(len(text))
            else:
                return text if hidden == value else json.dumps(hidden, ensure_ascii=False)
        if ":" in text and self._keys.search(text):
            return omitted(len(text))
        if "@" in text:
            text = with_hidden_userinfo(text)
        if "=" in text:
            text = self._pairs.sub(rf"\1{MASK}", text)
        return _SCHEME.sub(rf"\1 {MASK}", text)

    def message(self, text: str) -> str:
        """Copy the text of a refusal, which may quote a value of the wrong type, or text that is JSON."""
        text = self._wrong_values.sub(rf"\1{MASK}", text)
        return self.text(_STRING.sub(self._quoted, text))

    def _quoted(self, found: re.Match[str]) -> str:
        try:
            text = json.loads(found[0])
        except ValueError:
            return found[0]
        shown = self.text(text)
        return found[0] if shown == text else json.dumps(shown, ensure_ascii=False)

    def query(self, query: str) -> str:
        """Copy a query without the credentials in it, however their keys are encoded."""
        return "&".join(self._parameter(part) for part in query.split("&"))

    def _parameter(self, part: str) -> str:
        key, equals, value = part.partition("=")
        if equals and value and self.is_secret(_unquoted(key)):
            return f"{key}={MASK}"
        plain = _unquoted(value if equals else key)
        shown = self.text(plain)
        return part if shown == plain else f"{key if equals else ''}{equals}{quote_plus(shown, safe='*/:@=')}"

    def header(self, name: str, value: str) -> str:
        """Return the value of a header, of which only the scheme is shown if it lets somebody in."""
        return masked_header(name, value) if is_secret_header(name) else self.text(value)


def is_secret_header(name: str) -> bool:
    """Return whether a header lets somebody in; names are in small letters."""
    return _SECRET_HEADER.fullmatch(name) is not None


def masked_header(name: str, value: str) -> str:
    """Return the value of a header that lets somebody in, of which only the scheme is shown."""
    scheme, blank, _ = value.partition(" ")
    return f"{scheme} {MASK}" if blank and "auth" in name else MASK


def read(text: str | bytes) -> Any:
    """Read JSON in UTF-8 that has every key once.

    Raises:
        ValueError: it is none.
        RecursionError: it nests too deep.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogatepass")
    return json.loads(text, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice: one of its values would be neither shown nor hidden")
    return found


def omitted(size: int) -> str:
    """Say that something is not shown: what cannot be read cannot be hidden either."""
    return f"({size} bytes, not shown)"
