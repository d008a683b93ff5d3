"""Refusals: the errors that Central answers.

Texts come from the rules of the contract. They are wrapped as Central's error library does (pkg/errox/errors.go,
pkg/errorhelpers/errorhelpers.go).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from mock_server.contract.tables import Contract

INVALID = ": invalid arguments"
MISSING = ": not found"

_SUFFIX = {"invalid": INVALID, "missing": MISSING}


class Problem(NamedTuple):
    """One broken rule, before it is wrapped into a refusal."""

    rule: str
    text: str


@dataclass(unsafe_hash=True, slots=True)  # not frozen: contextlib sets tracebacks
class Refusal(Exception):  # noqa: N818 (Central refuses; nothing is in error)
    """An answer in Central's error shape.

    `rule` is the id of the broken rule, `status` the HTTP status, `code` the gRPC code.
    """

    rule: str
    status: int
    code: int
    message: str
    form: str = "status"
    """`status` for errors of the gateway, `pair` for those of pkg/httputil/error.go, `text` for plain text."""

    def body(self) -> dict[str, object]:
        """Return the body that Central answers with (pkg/grpc/server_error_handler.go)."""
        if self.form == "pair":
            return {"code": self.code, "message": self.message}
        return {"code": self.code, "message": self.message, "details": [], "error": self.message}


class Rules:
    """The texts of the rules of one release. `values` fill their placeholders."""

    def __init__(self, contract: Contract) -> None:
        self._rules = contract.rules

    def refusal(self, id: str, /, **values: object) -> Refusal:
        """Return the refusal of a rule that every release has."""
        rule = self._rules[id]
        text = rule.message.format(**values) + _SUFFIX.get(rule.kind, "")
        return Refusal(rule.id, rule.status, rule.code, text)

    def refuse(self, id: str, /, **values: object) -> None:
        """Raise the refusal of a rule, if the release has it."""
        if id in self._rules:
            raise self.refusal(id, **values)

    def problem(self, id: str, /, **values: object) -> Problem | None:
        """Return the problem of a rule, or None if the release does not have it."""
        return Problem(id, self._rules[id].message.format(**values)) if id in self._rules else None


def listed(start: str, problems: list[Problem]) -> Problem:
    """Join problems (one or more) as Central's error list does; the first one names the rule."""
    if len(problems) == 1:
        return Problem(problems[0].rule, f"{start} error: {problems[0].text}")
    return Problem(problems[0].rule, f"{start} errors: [{', '.join(each.text for each in problems)}]")


def invalid_arguments(found: Problem, times: int = 1) -> Refusal:
    """Refuse with 400; each layer of Central that wraps the text adds one suffix."""
    return Refusal(found.rule, 400, 3, found.text + INVALID * times)


def internal(found: Problem) -> Refusal:
    """Refuse with 500, as Central does with an error that carries no class."""
    return Refusal(found.rule, 500, 13, found.text)
