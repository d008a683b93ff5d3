"""Crash reports of the web UI, made fit for the log: one line, not too long, no credentials."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from mock_server.contract.tables import MASK, Contract, Message

LONGEST = 4000
"""Bytes of a report that the log shows."""

_OTHER_SECRETS = {"token", "access_token", "external_token", "authorization"}
_HEADER = re.compile(r"\b(bearer|basic)\s+[^\"\\\s,;]+", re.IGNORECASE)


def loggable(contract: Contract, report: bytes) -> str:
    """Return a report as the log may show it."""
    text = report[:LONGEST].decode("utf-8", "replace")
    in_json, in_form = _patterns(frozenset({*_credentials(contract.integration), *_OTHER_SECRETS}))
    text = in_json.sub(rf"\1{MASK}", text)
    text = in_form.sub(rf"\1={MASK}", text)
    text = _HEADER.sub(rf"\1 {MASK}", text)
    return "".join(char if char.isprintable() else " " for char in text)


@cache
def _patterns(names: frozenset[str]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Match the value of each name in JSON, in JSON inside a text of any depth, and in a form.

    The value ends at a quote behind as many backslashes as the one it began with, or where the report was cut.
    """
    any_name = "|".join(map(re.escape, sorted(names)))
    in_json = rf"""((?:{any_name})(\\*)"\s*:\s*\2")(?:(?!(?<!\\)\2").)*"""
    return re.compile(in_json, re.IGNORECASE | re.DOTALL), re.compile(rf"\b({any_name})=[^&\"\\\s]+", re.IGNORECASE)


def _credentials(message: Message) -> Iterator[str]:
    for field in message.fields:
        if field.scrub == "always":
            yield field.name
        elif field.message is not None:
            yield from _credentials(field.message)
