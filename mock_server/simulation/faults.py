"""Trouble on demand: what happens to a request besides, or instead of, what Central would do.

A trouble refuses (`code`), waits (`delay`) or spoils the answer (`fault`). Refused requests do nothing; a
spoilt answer is one to a request that was carried out. Planted faults (`mock_server.mutants`) are another
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

RULE = "trouble"
"""What `Mock-Central-Rule` says where a trouble refuses."""

FAULTS = {
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


def _lognormal(median: str, sigma: str) -> float:
    return float(median) * random.lognormvariate(0, float(sigma))


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


class TroubleError(ValueError):
    """A trouble that makes no sense; the text names the value and what would be one."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One trouble and the requests that meet it.

    `operation` is an operation's id; `path` and `name` (of the integration that a request is about) are
    shell patterns; empty ones match all. Of the requests that match, each `every`-th meets the trouble,
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
            raise TroubleError("a trouble has a code, a delay or a fault")
        if self.code is not None and not 400 <= self.code <= 599:
            raise TroubleError(f"code={self.code}: is not a status between 400 and 599")
        if self.code is not None and self.fault:
            raise TroubleError("code and fault do not go together: what is refused has no answer to spoil")
        if self.fault and self.fault not in FAULTS:
            raise TroubleError(f"fault={self.fault}: is not one of {', '.join(FAULTS)}")
        if self.delay:
            _distribution(self.delay)
        for limit in ("times", "every"):
            value = getattr(self, limit)
            if value is not None and value < 1:
                raise TroubleError(f"{limit}={value}: is not a number above 0")

    def __str__(self) -> str:
        """Write it as `parse` reads it."""
        shown = [f"{key}={_quoted(value)}" for key, value in self.json().items() if key != "operation"]
        return " ".join([self.operation, *shown] if self.operation else shown)

    def json(self) -> dict[str, Any]:
        """Give the fields that are set."""
        return {
            each.name: getattr(self, each.name) for each in fields(self) if getattr(self, each.name) != each.default
        }

    def refusal(self) -> Refusal | None:
        """Give the refusal of a code, in the error shape of Central."""
        if self.code is None:
            return None
        phrase = next((each.phrase for each in HTTPStatus if each.value == self.code), f"status {self.code}")
        return Refusal(RULE, self.code, _GRPC_CODES.get(self.code, _UNKNOWN), f"{phrase}, as was asked for")


def drawn(delay: str) -> float:
    """Draw the seconds of a delay.

    Raises:
        TroubleError: the text is no delay.
    """
    return min(max(_distribution(delay)(), 0.0), LONGEST_DELAY)


def _distribution(delay: str) -> Callable[[], float]:
    for pattern, draw in _DISTRIBUTIONS.items():
        if found := re.fullmatch(pattern, delay):
            return partial(draw, *found.groups())
    raise TroubleError(f"delay={delay}: is not {DELAYS}")


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text) if re.search(r"""[\s'"\\]""", text) else text


def of_words(words: Mapping[str, str]) -> Trouble:
    """Make a trouble of texts by their field.

    Raises:
        TroubleError: a field is unknown or its text is no number where one has to be.
    """
    known = {each.name for each in fields(Trouble)}
    values: dict[str, Any] = {}
    for key, text in words.items():
        if key not in known:
            raise TroubleError(f"{key}: is not one of {', '.join(sorted(known))}")
        values[key] = _whole(key, text) if key in ("code", "times", "every") else text
    return Trouble(**values)


def _whole(key: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise TroubleError(f"{key}={text}: is not a whole number")
    return int(text)


def parse(text: str) -> Trouble:
    """Read ``[OPERATION] KEY=VALUE …``, as options give it; a value with blanks stands in quotes.

    Raises:
        TroubleError: what cannot be read.
    """
    import shlex

    try:
        first, *rest = shlex.split(text) or [""]
    except ValueError as error:
        raise TroubleError(f"{text!r}: {error}") from None
    words = {}
    for word in [first, *rest] if "=" in first else [f"operation={first}", *rest]:
        key, equals, value = word.partition("=")
        if not equals:
            raise TroubleError(f"{word!r}: is not KEY=VALUE")
        words[key] = value
    return of_words(words)


_PREFERENCE = re.compile(
    r"""\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)"""  # a token
    r"""\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^",;]*))?\s*"""  # its value, a word or a quoted text
    r"""(?:;[^,]*)?(?:,|$)"""  # parameters, which none of ours has
)
OURS = ("code", "delay", "fault")
"""The preferences that the mock knows."""


class Preferences(NamedTuple):
    """What the header `Prefer` asks for."""

    trouble: Trouble | None
    unknown: tuple[str, ...]
    """Preferences that the mock does not know: ignored, as RFC 7240 says."""


def preferences(header: str) -> Preferences:
    """Read the header `Prefer` (RFC 7240); of a preference that stands twice, the first counts.

    Raises:
        TroubleError: a value of one of ours.
    """
    found: dict[str, str] = {}
    at = 0
    while at < len(header) and (match := _PREFERENCE.match(header, at)):
        value = (match[2] or "").strip()
        found.setdefault(match[1].lower(), re.sub(r"\\(.)", r"\1", value[1:-1]) if value[:1] == '"' else value)
        at = match.end()
    ours = {key: found[key] for key in OURS if key in found}
    return Preferences(of_words(ours) if ours else None, tuple(key for key in found if key not in OURS))


def applied(trouble: Trouble) -> str:
    """Write the preferences of a trouble for the header `Preference-Applied`."""
    found = ((key, str(value)) for key, value in trouble.json().items())
    return ", ".join(f'{key}="{value}"' if re.search(r"[^\w.]", value) else f"{key}={value}" for key, value in found)


class Asked(NamedTuple):
    """What a trouble can be limited by; `name` is asked for only where a trouble wants to know it."""

    operation: str
    path: str
    name: Callable[[], str]


@dataclass(slots=True)
class Listed:
    """A trouble of a world, and how many requests matched and met it."""

    id: int
    trouble: Trouble
    matched: int = 0
    met: int = 0

    def json(self) -> dict[str, Any]:
        """Show it."""
        return {"id": self.id, **self.trouble.json(), "matched": self.matched, "met": self.met}


class Troubles:
    """The troubles of one world; the first one that a request meets counts."""

    def __init__(self, first: Iterable[Trouble] = ()) -> None:
        self._first = tuple(first)
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Go back to the troubles of the start, as if nothing had met them."""
        with self._lock:
            self._ids = count(1)
            self.listed = [Listed(next(self._ids), each) for each in self._first]

    def add(self, trouble: Trouble) -> Listed:
        """Add a trouble, behind those that are there."""
        with self._lock:
            added = Listed(next(self._ids), trouble)
            self.listed = [*self.listed, added]
            return added

    def remove(self, id: int | None = None) -> int:
        """Remove the trouble with this id, or all; give how many there were."""
        with self._lock:
            kept = [each for each in self.listed if id is not None and each.id != id]
            removed = len(self.listed) - len(kept)
            self.listed = kept
            return removed

    def met_by(self, asked: Asked) -> Trouble | None:
        """Count a request, and give the trouble that it meets."""
        with self._lock:
            for each in self.listed:
                if each.trouble.times is not None and each.met >= each.trouble.times:
                    continue
                if not _matches(each.trouble, asked):
                    continue
                each.matched += 1
                if each.matched % each.trouble.every == 0:
                    each.met += 1
                    return each.trouble
        return None


def _matches(trouble: Trouble, asked: Asked) -> bool:
    return (
        (not trouble.operation or trouble.operation == asked.operation)
        and (not trouble.path or fnmatchcase(asked.path, trouble.path))
        and (not trouble.name or fnmatchcase(asked.name(), trouble.name))
    )
