"""Fault on demand: what happens to a request besides, or instead of, what Central would do.

A fault refuses (`code`), waits (`delay`) or spoils the answer (`fault`). Refused requests do nothing; a
spoilt answer is one to a request that was carried out. Mutants (`mock_server.mutants`) are another
matter: there the mock is wrong about Central, here the network or the server gives out.
"""

from __future__ import annotations

import json
import random
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from functools import partial
from http import HTTPStatus
from itertools import count
from typing import Any, NamedTuple

from mock_server.central.errors import Refusal

RULE = "fault"
"""What `Mock-Central-Rule` says where a fault refuses."""

ANSWER_FAULTS = {
    "reset": "the connection is reset before a byte of the answer",
    "empty": "the answer has no body",
    "truncated": "the connection ends after half of the body",
    "garbage": "the body is bytes that are no JSON",
    "slow": "the body comes in small pieces, over two seconds",
}
"""How an answer can be spoilt."""

LONGEST_DELAY = 300.0
"""Seconds; a drawn delay is cut to it."""

# grpc-gateway runtime/errors.go, the other way round; what it never answers is "unknown".
_GRPC_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 412: 9, 429: 8, 499: 1, 500: 13, 501: 12, 503: 14, 504: 4}
_UNKNOWN = 2

_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"


_DISTRIBUTIONS: Mapping[str, Callable[..., float]] = {
    _NUMBER: float,
    rf"{_NUMBER}\.\.{_NUMBER}": lambda low, high: random.uniform(float(low), float(high)),
    rf"exponential\({_NUMBER}\)": lambda mean: random.expovariate(1 / max(float(mean), 1e-9)),
    rf"normal\({_NUMBER}, *{_NUMBER}\)": lambda mean, sd: random.gauss(float(mean), float(sd)),
    rf"lognormal\({_NUMBER}, *{_NUMBER}\)": lambda median, sigma: (
        float(median) * random.lognormvariate(0, float(sigma))
    ),
}
DELAYS = "seconds, LOW..HIGH, exponential(MEAN), normal(MEAN,DEVIATION) or lognormal(MEDIAN,SIGMA)"


class FaultError(ValueError):
    """A fault that makes no sense; the text names the value and what would be one."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault and the requests that meet it.

    `operation` is an operation's id; `path` and `name` (of the integration that a request is about) are
    shell patterns; empty ones match all. Of the requests that match, each `every`-th meets the fault,
    until `times` have; None is no limit.
    """

    code: int | None = None
    delay: str = ""
    fault: str = ""
    operation: str = ""
    path: str = ""
    name: str = ""
    times: int | None = None
    every: int = 1

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if self.code is None and not self.delay and not self.fault:
            raise FaultError("a fault has a code, a delay or a fault")
        if self.code is not None and not 400 <= self.code <= 599:
            raise FaultError(f"code={self.code}: is not a status between 400 and 599")
        if self.code is not None and self.fault:
            raise FaultError("code and fault do not go together: what is refused has no answer to spoil")
        if self.fault and self.fault not in ANSWER_FAULTS:
            raise FaultError(f"fault={self.fault}: is not one of {', '.join(ANSWER_FAULTS)}")
        if self.delay:
            _distribution(self.delay)
        for limit in ("times", "every"):
            value = getattr(self, limit)
            if value is not None and value < 1:
                raise FaultError(f"{limit}={value}: is not a number above 0")

    def __str__(self) -> str:
        """Write it as `parse` reads it."""
        shown = [f"{key}={_quoted(value)}" for key, value in self.json().items() if key != "operation"]
        return " ".join([self.operation, *shown] if self.operation else shown)

    def json(self) -> dict[str, Any]:
        """Return the fields that are set."""
        return {
            each.name: getattr(self, each.name) for each in fields(self) if getattr(self, each.name) != each.default
        }

    def refusal(self) -> Refusal | None:
        """Return the refusal of a code, in the error shape of Central."""
        if self.code is None:
            return None
        phrase = next((each.phrase for each in HTTPStatus if each.value == self.code), f"status {self.code}")
        return Refusal(RULE, self.code, _GRPC_CODES.get(self.code, _UNKNOWN), f"{phrase} (injected fault)")


def drawn(delay: str) -> float:
    """Draw the seconds of a delay.

    Raises:
        FaultError: the text is no delay.
    """
    return min(max(_distribution(delay)(), 0.0), LONGEST_DELAY)


def _distribution(delay: str) -> Callable[[], float]:
    for pattern, draw in _DISTRIBUTIONS.items():
        if found := re.fullmatch(pattern, delay):
            return partial(draw, *found.groups())
    raise FaultError(f"delay={delay}: is not {DELAYS}")


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text) if re.search(r"""[\s'"\\]""", text) else text


def from_strings(words: Mapping[str, str]) -> Fault:
    """Make a fault of texts by their field.

    Raises:
        FaultError: a field is unknown or its text is no number where one has to be.
    """
    known = {each.name for each in fields(Fault)}
    values: dict[str, Any] = {}
    for key, text in words.items():
        if key not in known:
            raise FaultError(f"{key}: is not one of {', '.join(sorted(known))}")
        values[key] = _whole(key, text) if key in ("code", "times", "every") else text
    return Fault(**values)


def _whole(key: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise FaultError(f"{key}={text}: is not a whole number")
    return int(text)


def parse(text: str) -> Fault:
    """Read ``[OPERATION] KEY=VALUE …``, as options give it; a value with blanks stands in quotes.

    Raises:
        FaultError: what cannot be read.
    """
    import shlex

    try:
        first, *rest = shlex.split(text) or [""]
    except ValueError as error:
        raise FaultError(f"{text!r}: {error}") from None
    words = {}
    for word in [first, *rest] if "=" in first else [f"operation={first}", *rest]:
        key, equals, value = word.partition("=")
        if not equals:
            raise FaultError(f"{word!r}: is not KEY=VALUE")
        words[key] = value
    return from_strings(words)


_PREFERENCE = re.compile(
    r"""\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)"""  # a token
    r"""\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^",;]*))?\s*"""  # its value, a word or a quoted text
    r"""(?:;[^,]*)?(?:,|$)"""  # parameters, which none of ours has
)
SUPPORTED = ("code", "delay", "fault")
"""The preferences that the mock knows."""


class Preferences(NamedTuple):
    """What the header `Prefer` asks for."""

    fault: Fault | None
    unknown: tuple[str, ...]
    """Preferences that the mock does not know: ignored, as RFC 7240 says."""


def preferences(header: str) -> Preferences:
    """Read the header `Prefer` (RFC 7240); of a preference that stands twice, the first counts.

    Raises:
        FaultError: a value of one of ours.
    """
    found: dict[str, str] = {}
    at = 0
    while at < len(header) and (match := _PREFERENCE.match(header, at)):
        value = (match[2] or "").strip()
        found.setdefault(match[1].lower(), re.sub(r"\\(.)", r"\1", value[1:-1]) if value[:1] == '"' else value)
        at = match.end()
    ours = {key: found[key] for key in SUPPORTED if key in found}
    return Preferences(from_strings(ours) if ours else None, tuple(key for key in found if key not in SUPPORTED))


def applied(fault: Fault) -> str:
    """Write the preferences of a fault for the header `Preference-Applied`."""
    found = ((key, str(value)) for key, value in fault.json().items())
    return ", ".join(f'{key}="{value}"' if re.search(r"[^\w.]", value) else f"{key}={value}" for key, value in found)


class RequestFacts(NamedTuple):
    """What a fault can be limited by; `name` is asked for only where a fault wants to know it."""

    operation: str
    path: str
    name: Callable[[], str]


@dataclass(slots=True)
class ActiveFault:
    """A fault of a sandbox, and how many requests matched and met it."""

    id: int
    fault: Fault
    matched: int = 0
    met: int = 0

    def json(self) -> dict[str, Any]:
        """Show it."""
        return {"id": self.id, **self.fault.json(), "matched": self.matched, "met": self.met}


class Faults:
    """The faults of one sandbox; the first one that a request meets counts."""

    def __init__(self, first: Iterable[Fault] = ()) -> None:
        self._first = tuple(first)
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Go back to the faults of the start, as if nothing had met them."""
        with self._lock:
            self._ids = count(1)
            self.listed = [ActiveFault(next(self._ids), each) for each in self._first]

    def add(self, fault: Fault) -> ActiveFault:
        """Add a fault, behind those that are there."""
        with self._lock:
            added = ActiveFault(next(self._ids), fault)
            self.listed = [*self.listed, added]
            return added

    def remove(self, id: int | None = None) -> int:
        """Remove the fault with this id, or all; give how many there were."""
        with self._lock:
            kept = [each for each in self.listed if id is not None and each.id != id]
            removed = len(self.listed) - len(kept)
            self.listed = kept
            return removed

    def match(self, asked: RequestFacts) -> Fault | None:
        """Count a request, and give the fault that it meets."""
        with self._lock:
            for each in self.listed:
                if each.fault.times is not None and each.met >= each.fault.times:
                    continue
                if not _matches(each.fault, asked):
                    continue
                each.matched += 1
                if each.matched % each.fault.every == 0:
                    each.met += 1
                    return each.fault
        return None


def _matches(fault: Fault, asked: RequestFacts) -> bool:
    return (
        (not fault.operation or fault.operation == asked.operation)
        and (not fault.path or fnmatchcase(asked.path, fault.path))
        and (not fault.name or fnmatchcase(asked.name(), fault.name))
    )
