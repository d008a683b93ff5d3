"""Differences grouped by the request, the two statuses, and the shapes of the two texts."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from contract_tests.differential.targets import Reply

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'')
_NUMBER = re.compile(r"\d+")
_SPACE = re.compile("proto:[ \N{NO-BREAK SPACE}]")
HEADERS = ("content-type", "location", "grpc-metadata-content-type", "www-authenticate", "cache-control", "vary")
"""Headers that are compared; others depend on the server rather than on the API."""


@dataclass
class Difference:
    """A class of differences: how often it occurred, and the shortest example so far."""

    key: tuple[str, ...]
    count: int = 0
    example: list[str] = field(default_factory=list)
    answers: tuple[str, str] = ("", "")


class Classes:
    """All classes found so far."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, ...], Difference] = {}

    def add(self, key: tuple[str, ...], example: Sequence[str], answers: tuple[str, str]) -> None:
        """Count a difference; keep the shortest example."""
        known = self.found.setdefault(key, Difference(key))
        known.count += 1
        if not known.example or sum(map(len, example)) < sum(map(len, known.example)):
            known.example, known.answers = list(example), answers

    def lines(self) -> list[str]:
        """Return the classes as lines, the most frequent first."""
        written = []
        for each in sorted(self.found.values(), key=lambda each: (-each.count, each.key)):
            written += [f"{each.count} x {' | '.join(each.key)}", *(f"    {step}" for step in each.example)]
            written += [f"      first:  {each.answers[0]}", f"      second: {each.answers[1]}"]
        return written


def shape(reply: Reply) -> str:
    """Return the shape of an answer: the text of an error without variable parts, otherwise the keys."""
    value = reply.json
    if isinstance(value, dict) and "message" in value:
        return masked(str(value["message"]))
    if isinstance(value, dict):
        return "{" + ",".join(sorted(value)) + "}"
    return masked(reply.body[:200].decode("utf-8", "replace"))


def masked(text: str) -> str:
    """Replace the parts of a text that differ from request to request."""
    return _NUMBER.sub("N", _QUOTED.sub('"..."', _UUID.sub("ID", _SPACE.sub("proto: ", text))))


def comparable(reply: Reply, names: dict[str, str]) -> Any:
    """Return the parts of an answer that must be equal; `names` maps the ids of either side to common words."""
    text = reply.body.decode("utf-8", "replace")
    for id, word in names.items():
        text = text.replace(id, word)
    text = _SPACE.sub("proto: ", text)
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if isinstance(value, dict) and isinstance(value.get("integrations"), list):  # the order is not defined
        value["integrations"] = sorted(value["integrations"], key=lambda each: json.dumps(each, sort_keys=True))
    headers = {name: reply.headers[name] for name in HEADERS if name in reply.headers}
    return reply.status, headers, value


def short(reply: Reply) -> str:
    """Return an answer in one line."""
    return f"{reply.status} {reply.body[:300].decode('utf-8', 'replace')!r}"


def where(first: Any, second: Any, path: str = "$") -> str:
    """Return the path of the first difference between two JSON values."""
    if isinstance(first, dict) and isinstance(second, dict):
        for key in sorted({*first, *second}):
            if first.get(key) != second.get(key) or (key in first) != (key in second):
                return where(first.get(key), second.get(key), f"{path}.{key}")
    if isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        for one, other in zip(first, second, strict=True):
            if one != other:
                return where(one, other, f"{path}[]")
    return path
