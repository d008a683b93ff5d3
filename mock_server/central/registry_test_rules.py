"""Rules of registry tests: the outcome for each host."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from mock_server.central.delays import distribution
from mock_server.central.numbers import whole
from mock_server.central.registry_outcomes import OUTCOMES, PASSES

_MORE_THAN_A_HOST = re.compile(r"(?:\w+://)?(?:\[(?P<ipv6>[^/\]]*:[^/\]]*)\]|(?P<host>[^/:]+))(?::[0-9]+)?(?:/.*)?")


@dataclass(frozen=True, slots=True)
class RegistryTestRule:
    """Registry tests of hosts that match `host` (a shell pattern) end with `outcome`.

    `reason` replaces the error of the client. The test waits `delay` first (seconds, or a distribution). After so many
    `times` the rule no longer applies.
    """

    host: str
    outcome: str
    reason: str = ""
    times: int | None = None
    delay: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for an invalid rule."""
        found = _MORE_THAN_A_HOST.fullmatch(self.host)
        if found and (host := found["ipv6"] or found["host"]) != self.host:
            raise ValueError(f"{self.host}={self.outcome}: is not just a host name; write {host}")
        if self.outcome not in OUTCOMES:
            raise ValueError(f"{self.host}={self.outcome}: the outcome is not one of {', '.join(OUTCOMES)}")
        if self.reason and self.outcome == PASSES:
            raise ValueError(f"{self.host}={self.outcome}: a passing test has no reason; choose another outcome")
        if self.times is not None and self.times < 1:
            raise ValueError(f"times={self.times}: is not a number above 0")
        if self.delay:
            distribution(self.delay)

    def shown(self) -> dict[str, Any]:
        """Return the fields that are set, as a control call takes them."""
        return {
            each.name: getattr(self, each.name) for each in fields(self) if getattr(self, each.name) != each.default
        }


DEFAULT_RULES = (
    RegistryTestRule("*.invalid", "unreachable"),  # RFC 2606: never resolves
    RegistryTestRule("unreachable.*", "unreachable"),
    RegistryTestRule("unreachable", "unreachable"),
    RegistryTestRule("unauthorized.*", "unauthorized"),
    RegistryTestRule("unauthorized", "unauthorized"),
)

_FIELDS = [each.name for each in fields(RegistryTestRule)]


def parse(text: str) -> RegistryTestRule:
    """Read ``HOST=OUTCOME KEY=VALUE …`` or ``host=HOST outcome=OUTCOME KEY=VALUE …``, as options give it.

    Raises:
        ValueError: the text is not a rule.
    """
    if len(words := _words(text)) > 1:
        (first, outcome), *rest = words
        return of(dict(words) if first in _FIELDS else {"host": first, "outcome": outcome, **dict(rest)})
    host, _, outcome = text.rpartition("=")
    if not host or outcome not in OUTCOMES:
        raise ValueError(f"{text!r} is not HOST=OUTCOME; the outcome is one of {', '.join(OUTCOMES)}")
    return RegistryTestRule(host, outcome)


def _words(text: str) -> list[tuple[str, str]]:
    try:
        found = [word.partition("=") for word in shlex.split(text)]
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from None
    return [(key, value) for key, _, value in found]


def of(values: Mapping[str, Any]) -> RegistryTestRule:
    """Make a rule of values by their field: texts, or what JSON has for them.

    Raises:
        ValueError: a field is unknown or missing, or its value has the wrong type.
    """
    if unknown := [key for key in values if key not in _FIELDS]:
        raise ValueError(f"{unknown[0]}: is not one of {', '.join(_FIELDS)}")
    if missing := [key for key in ("host", "outcome") if not values.get(key)]:
        raise ValueError(f"{missing[0]}: is missing; a rule is such as host=*.example.com outcome=timeout times=2")
    times = values.get("times")
    texts = {key: str(value) for key, value in values.items() if key != "times"}
    return RegistryTestRule(**texts, times=None if times is None else whole("times", times))
