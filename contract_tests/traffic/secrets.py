"""Stand-ins for credentials, so that verdicts, reports and files contain no real ones.

A credential has the same stand-in wherever it occurs, even encoded. So a leak stays visible, and recorded traffic gets
the same verdict as the original.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

from contract_tests.engine import redaction
from contract_tests.traffic.exchanges import Headers, Seen, headers_of, json_of
from mock_server.contract.tables import MASK, Contract
from mock_server.simulation.redaction import Redaction, omitted

RUN = "credential"
"""Run id in the stand-ins, which look like a run's credentials, so that observers recognise them."""
_STAND_IN = re.compile(rf"canary-{RUN}-[0-9]+")
_MOST = 100
"""Number of credentials that are searched for; the oldest are forgotten."""
_SHORTEST = 8
"""Minimum length, in characters, of a credential that is searched for everywhere."""
_LONGEST_TEXT = 2_000
"""Bytes up to which a body that is not JSON is kept."""
_SAYS_CREDENTIAL = re.compile(r"pass|secret|token|credential|key|auth", re.IGNORECASE)
"""A text with one of these words is kept only if it is JSON."""


class Secrets:
    """Replaces the credentials in exchanges."""

    def __init__(self, contract: Contract) -> None:
        self._redaction = Redaction(contract.credential_names)
        self._message_names = contract.message_names
        self._stand_ins: dict[str, str] = {}
        self._sought: dict[str, tuple[tuple[bytes, ...], redaction.Redaction]] = {}
        self._hide_header = lru_cache(maxsize=1_000)(self._redaction.header)
        self._texts: dict[str, str] = {}
        self._keys: dict[str, bool] = {}
        self._last: tuple[tuple[bytes | None, int], bytes | None] = ((None, -1), None)
        """The last answer, the number of credentials known then, and the result, because pages poll the same list."""

    def hide(self, seen: Seen) -> Seen:
        """Return an exchange with stand-ins for its credentials."""
        body = self._body(seen.body, learn=True)
        if token := _scheme_and_secret(seen.headers.get("Authorization", ""))[1]:
            self._search_for(token, self._stand_in(token))
        reply, reply_headers = self._answer(seen.reply, seen.reply_headers)
        return dataclasses.replace(
            seen,
            target=self._target(seen.target),
            headers=headers_of((name, self._header(name, value)) for name, value in seen.headers.items()),
            body=body,
            reply_headers=headers_of((name, self._header(name, value)) for name, value in reply_headers.items()),
            reply=reply,
        )

    def _answer(self, reply: bytes | None, headers: Headers) -> tuple[bytes | None, Headers]:
        """Replace the credentials in an answer; repeated answers are cached, because pages poll the same list."""
        texts = [text for header in headers.items() for text in header]
        if shown := self._redactions_for(b"\n".join([reply or b"", *map(_bytes, texts)])):
            reply = _with_stand_ins(reply, shown) if reply else reply
            safe = [_with_stand_ins(_bytes(text), shown).decode("utf-8", "replace") for text in texts]
            headers = headers_of(zip(safe[::2], safe[1::2], strict=True))
        key = reply, len(self._stand_ins)
        if self._last[0] != key:
            self._last = key, self._body(reply, learn=False)
        return self._last[1], headers

    def _header(self, name: str, value: str) -> str:
        if name.lower() == "authorization":
            scheme, secret = _scheme_and_secret(value)
            return f"{scheme}{self._stand_in(secret)}" if secret else value
        return value if _STAND_IN.search(value) else self._hide_header(name.lower(), value)

    def _target(self, target: str) -> str:
        path, mark, query = target.partition("?")
        return path + mark + self._redaction.query(query)

    def _body(self, content: bytes | None, *, learn: bool) -> bytes | None:
        """Return JSON with stand-ins for credentials; drop other content that may contain one."""
        if not content:
            return content
        value = json_of(content)
        found: list[str] = []
        try:
            hidden = self._hidden(value, found)
        except RecursionError:
            value = hidden = None
        if value is None:
            return self._hide_text(content, is_request=learn)
        if learn:
            rest = json.dumps(hidden)
            for secret in found:
                if secret not in rest:  # a user name equal to its password is not a leak
                    self._search_for(secret, self._stand_in(secret))
        return content if hidden == value else json.dumps(hidden, ensure_ascii=False).encode("utf-8", "surrogatepass")

    def _hide_text(self, content: bytes, *, is_request: bool) -> bytes:
        """Return text that is not JSON if it is an answer without credentials, otherwise a note of its size."""
        text = self._redaction.text(content[:_LONGEST_TEXT].decode("utf-8", "replace"))
        is_shown = not is_request and not _SAYS_CREDENTIAL.search(text) and json_of(text.encode()) is None
        return text.encode() if is_shown else omitted(len(content)).encode()

    def _hidden(self, value: Any, found: list[str], *, secret: bool = False) -> Any:
        """Return a value with stand-ins for its credentials; `secret`: the whole value is one."""
        if isinstance(value, list):
            return [self._hidden(each, found, secret=secret) for each in value]
        if isinstance(value, dict):
            return {
                key: self._hidden(each, found, secret=secret or self._is_secret(key)) for key, each in value.items()
            }
        if isinstance(value, str):
            return self._hide_credential(value, found) if secret else self._hide_in_text(value)
        return 0 if secret and value and not isinstance(value, bool) else value

    def _hide_in_text(self, text: str) -> str:
        """Replace credentials inside a text, such as a password in a URL; equal texts stay equal."""
        shown = self._redaction.text(text)
        if shown == text:
            return text
        return self._texts.setdefault(text, shown.replace(MASK, f"hidden-{len(self._texts) + 1}"))

    def _is_secret(self, key: str) -> bool:
        if key not in self._keys:
            # registryRobotCredentials also holds a user name.
            self._keys[key] = key.lower() not in self._message_names and self._redaction.is_secret(key)
        return self._keys[key]

    def _hide_credential(self, value: str, found: list[str]) -> str:
        if value in ("", MASK):
            return value
        found.append(value)
        stand_in = self._stand_in(value)
        is_account = isinstance(json_of(value.encode("utf-8", "surrogatepass")), dict)
        return json.dumps({"credential": stand_in}) if is_account else stand_in

    def _stand_in(self, secret: str) -> str:
        """Return the stand-in of a credential; a stand-in is returned unchanged."""
        if known := _STAND_IN.search(secret):
            return known[0]
        return self._stand_ins.setdefault(secret, f"canary-{RUN}-{len(self._stand_ins) + 1}")

    def _search_for(self, secret: str, stand_in: str) -> None:
        if (
            len(secret) < _SHORTEST
            or secret == stand_in
            or stand_in in self._sought
            or redaction.is_of_contract(secret)
        ):
            return
        forms = tuple({form.lower() for form in redaction.forms(secret)})
        self._sought[stand_in] = forms, redaction.Redaction([f"Bearer {secret}"])
        if len(self._sought) > _MOST:
            del self._sought[next(iter(self._sought))]

    def _redactions_for(self, content: bytes) -> dict[str, redaction.Redaction]:
        """Return the redactions of known credentials that content contains, also encoded, by stand-in."""
        lowered = content.lower()
        return {
            stand_in: each for stand_in, (forms, each) in self._sought.items() if any(form in lowered for form in forms)
        }


def _with_stand_ins(content: bytes, shown: Mapping[str, redaction.Redaction]) -> bytes:
    """Return content with stand-ins for the credentials that occur in it."""
    for stand_in, each in shown.items():
        content = each.content(content).replace(redaction.REDACTED.encode(), stand_in.encode())
    return content


def _scheme_and_secret(authorization: str) -> tuple[str, str]:
    scheme, blank, secret = authorization.partition(" ")
    return (scheme + blank, secret) if secret else ("", scheme)


def path_of(target: str) -> str:
    """Return the decoded path of a request target."""
    return unquote(urlsplit(target).path if not target.startswith("//") else target.partition("?")[0])


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
