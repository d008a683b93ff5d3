"""Removal of credentials from requests and answers before they are shown.

A value is hidden because of its place, never because of its text: its key in JSON, in a query or in a form, its header,
or its position before the host of a URL. So a short password neither shows nor changes other texts that contain it.
JSON inside of text is searched, too, however deep.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from mock_server.central.decoding import unique
from mock_server.contract.tables import MASK

_SECRET_HEADER = re.compile(
    r"(?:.*[-_])?(?:(?:api|access|secret|private|shared)?key|\w*token|auth|oauth\w*|auth\w*ation|\w*secret|"
    r"pass(?:w(?:or)?d|phrase)?|pwd|credentials?|cookie2?|session|sig|signature|assertion|jwt|bearer|t?otp)(?:[-_].*)?"
)
_ALSO_SECRET = ("token", "auth", "authorization", "passwd", "passphrase", "pwd", "secret", "privatekey")
"""Endings of secret keys besides those of the contract, from the web UI, clients, Docker and Google's accounts."""
_SHOWN = ("updatepassword",)
"""Keys with such an ending that do not hold a credential."""
_USERINFO = re.compile(
    r"""(?<=//)(?:[^\s/?#"'<>]*|[^\s/@:]+:(?!\d+(?:/|$))[^\s@]*)@"""
    # Endpoints may have no scheme. The text after the @ of an image is a digest.
    r"""|[^\s/\\?#"'<>@:]+:(?!//|\d+(?:/|$))[^\s?#"'<>@]+@(?!sha\d+:)(?=[\w-]+\.[\w-]|localhost|\[|[\w-]+:\d)"""
)
_LOGIN = ("code", "state")
"""Keys in the URL of a login that hold a credential, and that elsewhere have other meanings."""
_URL_HEADERS = ("location", "content-location", "referer")
_QUERY = re.compile("(?<=[?#])[^?#]+")
"""The query of a URL, or its fragment."""
_CHALLENGES = ("www-authenticate", "proxy-authenticate")
_PARAMETER = re.compile(r"""([\w-]+)(\s*=\s*)"(?:[^"\\]|\\.)*(?:"|\\?$)""")
_SHOWN_PARAMETERS = ("realm", "charset", "error", "error_description", "scope", "title")
"""Parameters of a challenge that hold no credential."""
_GIVEN_USERINFO = re.compile(r"""(?<=//)[^\s'"]+@|[^\s'"/=:]+:(?!//)[^\s'"]*@""")
_SCHEME = re.compile(r"""\b(bearer|basic)\s+(?=[^\s"']*\d)[^\s"'\\,;]+""", re.IGNORECASE)
"""A digit distinguishes a token from a word."""
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_SEPARATORS = re.compile(r"[^a-z0-9_-]+")
_DECODINGS = 5
"""Number of URL encodings that are decoded."""


def without_userinfo(url: str) -> str:
    """Replace the credentials before the host of a URL, even of an invalid one."""
    before, at, after = url.rpartition("@")
    if not at:
        return url
    scheme, slashes, _ = before.partition("//")
    return f"{scheme if slashes else ''}{slashes}{MASK}@{after}"


def without_any_userinfo(text: str) -> str:
    """Replace everything before hosts in a text that quotes input, even if it is not a credential."""
    return _GIVEN_USERINFO.sub(f"{MASK}@", text)


def with_hidden_userinfo(text: str) -> str:
    """Replace the credentials before hosts in a text, and keep the rest."""
    return _USERINFO.sub(f"{MASK}@", text)


def _unquoted(text: str) -> str:
    for _ in range(_DECODINGS):
        plain = unquote_plus(text)
        if plain == text:
            break
        text = plain
    return text


class Redaction:
    """Hides the values of keys that name credentials."""

    def __init__(self, credential_names: Collection[str]) -> None:
        names = "|".join(sorted(map(re.escape, {*credential_names, *_ALSO_SECRET}), key=len, reverse=True))
        self._ends = tuple(each.replace("_", "") for each in (*credential_names, *_ALSO_SECRET))
        shown = "|".join(_SHOWN)
        self._pairs = re.compile(rf"""(\b(?!(?:{shown})=)\w*(?:{names})=)[^&"'\\\s]+""", re.IGNORECASE)
        key = rf"""(?:{names})\s*\\*["']\s*:(?! invalid arguments$)"""  # the end of an error that quotes a field's name
        self._keys = re.compile(rf"""^\s*[{{\[].*["']\s*:|{key}""", re.IGNORECASE | re.DOTALL)
        self._wrong_values = re.compile(rf"(\bfield (?:{names}): ).*", re.IGNORECASE | re.DOTALL)

    def is_secret(self, key: str) -> bool:
        """Return whether a key, or the last part of a path such as ``docker.password``, names a credential."""
        for part in _SEPARATORS.split(key.lower()):
            word = part.replace("_", "").replace("-", "")
            if word.endswith(self._ends) and word not in _SHOWN:
                return True
            if _SECRET_HEADER.fullmatch(part):
                return True
        return False

    def value(self, value: Any) -> Any:
        """Return a JSON value without its credentials.

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
        """Return a text without its credentials, in URLs, headers and JSON."""
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
        """Return the text of an error, which may quote a value of the wrong type, or JSON."""
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
        """Return a query without its credentials, however their keys are encoded."""
        return "&".join(self._parameter(part) for part in query.split("&"))

    def _parameter(self, part: str) -> str:
        key, equals, value = part.partition("=")
        name = _unquoted(key)
        if equals and value and (name.lower() in _LOGIN or self.is_secret(name)):
            return f"{key}={MASK}"
        plain = _unquoted(value if equals else key)
        shown = self.text(plain)
        return part if shown == plain else f"{key if equals else ''}{equals}{quote_plus(shown, safe='*/:@=')}"

    def header(self, name: str, value: str) -> str:
        """Return the value of a header without its credentials; of a secret one only the scheme."""
        if is_secret_header(name):
            return masked_header(name, value)
        if name in _CHALLENGES:
            value = _PARAMETER.sub(_challenge_parameter, value)
        text = self.text(value)
        if name not in _URL_HEADERS:
            return text
        return _QUERY.sub(lambda found: self.query(found[0]), text)


def _challenge_parameter(found: re.Match[str]) -> str:
    name, equals = found.groups()
    return found[0] if name.lower() in _SHOWN_PARAMETERS else f'{name}{equals}"{MASK}"'


def is_secret_header(name: str) -> bool:
    """Return whether a header holds credentials; names are in lower case."""
    return _SECRET_HEADER.fullmatch(name) is not None


def masked_header(name: str, value: str) -> str:
    """Return the value of a secret header masked except for the scheme."""
    scheme, blank, _ = value.partition(" ")
    return f"{scheme} {MASK}" if blank and "auth" in name else MASK


def read(text: str | bytes) -> Any:
    """Decode JSON in UTF-8 without duplicate keys.

    Raises:
        ValueError: it is not such JSON.
        RecursionError: it is nested too deeply.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogatepass")
    return json.loads(text, object_pairs_hook=unique)  # a repeated key would hide one of its values from the redaction


def omitted(size: int) -> str:
    """Return a placeholder for content that cannot be read, so no credential in it can be masked."""
    return f"({size} bytes, not shown)"
