"""Injected faults, which change or replace Central's answer to a request.

A fault answers in Central's place (`code`), changes the answer (`headers`, a body), waits (`delay`) or breaks the
answer (`fault`). Mutants (`mock_server.mutants`) are different: they make the mock deviate from Central, while a fault
simulates an unreliable network or server.
"""

from __future__ import annotations

import json
import mimetypes
import random
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from http import HTTPMethod, HTTPStatus
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from mock_server.central.delays import distribution
from mock_server.central.errors import Refusal
from mock_server.simulation.redaction import is_secret_header, masked_header

RULE = "fault"
"""Value of `Mock-Central-Rule` if a fault refuses."""

ANSWER_FAULTS = {
    "reset": "the connection is reset before a byte of the answer",
    "empty": "the answer has no body",
    "truncated": "the connection ends after half of the body",
    "garbage": "the body is not JSON",
    "slow": "the body arrives in small pieces, over two seconds",
}
"""Ways to break an answer."""

OK = "ok"
"""A step of a sequence: the answer of Central."""

BODILESS = (204, 205, 304)
"""Statuses of answers that have no body."""

# Inverse of grpc-gateway's runtime/errors.go; "unknown" for statuses that it never answers.
_GRPC_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 412: 9, 429: 8, 499: 1, 500: 13, 501: 12, 503: 14, 504: 4}
_UNKNOWN = 2

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FRAMING = ("connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade")
"""Headers that the server sets."""
_BODIES = {"json": "application/json", "html": "text/html; charset=utf-8", "text": "text/plain; charset=utf-8"}
_JSON_PATH = re.compile(r"""\$(?:\.[\w-]+|\[[0-9]{1,9}\]|\['[^']*'\]|\["[^"]*"\])*""")
_JSON_STEP = re.compile(r"""\.([\w-]+)|\[([0-9]+)\]|\[['"](.*?)['"]\]""")

Pairs = tuple[tuple[str, str], ...]


class FaultError(ValueError):
    """An invalid fault; the text names the value, and valid ones."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault and the conditions for requests that it affects; docs/reference/faults.md describes the fields."""

    code: int | None = None
    message: str = ""
    json: str = ""
    html: str = ""
    text: str = ""
    file: str = ""
    headers: Pairs = ()
    execute: bool = False
    delay: str = ""
    fault: str = ""
    sequence: tuple[str, ...] = ()
    operation: str = ""
    method: str = ""
    path: str = ""
    name: str = ""
    match_headers: Pairs = ()
    match_query: Pairs = ()
    match_json: Pairs = ()
    times: int | None = None
    every: int = 1
    probability: float = 1.0
    seed: int | None = None
    _content: bytes = field(default=b"", init=False, repr=False)

    def __post_init__(self) -> None:
        """Raise FaultError if the fields contradict each other, and read the file of the body."""
        if not (self.code or self.sequence or self.delay or self.fault or self.headers or self.body_kind):
            raise FaultError("a fault needs a code, delay, fault, sequence, headers or a body")
        if self.fault and self.fault not in ANSWER_FAULTS:
            raise FaultError(f"fault={self.fault}: is not one of {', '.join(ANSWER_FAULTS)}")
        if self.delay:
            try:
                distribution(self.delay)
            except ValueError as error:
                raise FaultError(str(error)) from None
        self._check_answer()
        self._check_limits()
        try:
            str(self).encode()
        except UnicodeEncodeError:
            raise FaultError("a fault cannot contain invalid UTF-8 or half a surrogate pair") from None
        if self.file:
            try:
                object.__setattr__(self, "_content", Path(self.file).read_bytes())
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                raise FaultError(f"file={self.file}: {reason}; give a file that can be read") from None

    def _check_answer(self) -> None:
        code = self.code
        if code is not None and not 200 <= code <= 599:
            raise FaultError(f"code={code}: is not a status between 200 and 599")
        bodies = [name for name in (*_BODIES, "file") if getattr(self, name)]
        if len(bodies) > 1:
            raise FaultError(f"{' and '.join(bodies)}: an answer has only one body; choose one of them")
        spoiled = "" if self.fault in ("", "reset") else f"fault={self.fault}"
        if (needs_body := bodies[0] if bodies else spoiled) and code in BODILESS:
            raise FaultError(f"{needs_body}: an answer with code={code} has no body; leave out one of them")
        if self.json:
            try:
                json.dumps(json.loads(self.json), allow_nan=False, ensure_ascii=False).encode()
            except (ValueError, RecursionError):
                hint = r"""put it in quotes: json='{"a":1}' in --fault, json="{\"a\":1}" in Prefer"""
                raise FaultError(f"json={self.json}: is not JSON; {hint}") from None
        if self.message and (bodies or not (self.sequence or (code or 0) >= 400)):
            raise FaultError(
                f"message={self.message}: is the text of Central's error; it needs a code of 400 or more and no body"
            )
        if self.execute and not (code or self.sequence):
            raise FaultError("execute=true: needs a code; without one every request is carried out")
        for name, value in self.headers:
            if not _TOKEN.fullmatch(name):
                raise FaultError(f"headers: {name!r} is not the name of a header, such as Retry-After")
            if name.lower() in _FRAMING:
                raise FaultError(f"headers: the server sets {name} itself; use fault= to break an answer")
            if not re.fullmatch(r"[\t\x20-\x7e\xa0-\xff]*", value):
                raise FaultError(f"headers: {name}: {value!r} is not one line of Latin-1")

    def _check_limits(self) -> None:
        if self.sequence and (self.code is not None or self.times is not None):
            raise FaultError("sequence: cannot be combined with code or times, because each step is one answer")
        for at in range(len(self.sequence)):
            self.step(at)
        for limit in ("times", "every"):
            value = getattr(self, limit)
            if value is not None and value < 1:
                raise FaultError(f"{limit}={value}: is not a number above 0")
        if not 0 < self.probability <= 1:
            raise FaultError(f"probability={self.probability:g}: is not above 0 and at most 1, such as 0.2")
        if self.method and self.method.upper() not in HTTPMethod.__members__:
            raise FaultError(f"method: {self.method!r} is not an HTTP method; known: {', '.join(HTTPMethod)}")
        if self.path and self.path[0] not in "/*?[":
            raise FaultError(f"path: {self.path!r} matches no path: they begin with /, such as /v1/imageintegrations*")
        for name, _ in self.match_headers:
            if not _TOKEN.fullmatch(name):
                raise FaultError(f"match-headers: {name!r} is not the name of a header, such as User-Agent")
        for path, _ in self.match_json:
            if not _JSON_PATH.fullmatch(path):
                raise FaultError(f"match-json: {path!r} is not a path such as $.docker.endpoint or $.categories[0]")

    def __str__(self) -> str:
        """Return the text that `parse` reads, with credentials in headers masked, because it is logged."""
        words = [] if not self.operation else [self.operation]
        for key, value in self.shown().items():
            if key == "json":
                words.append(f"json={_quoted(self.json)}")
            elif key.endswith("headers"):
                pairs = ((name, _masked(name, text)) for name, text in getattr(self, key.replace("-", "_")))
                words += [f"{key.removesuffix('s')}={_quoted(f'{name}: {text}')}" for name, text in pairs]
            elif isinstance(value, dict):
                words += [f"{key}={_quoted(f'{name}={text}')}" for name, text in getattr(self, key.replace("-", "_"))]
            elif key != "operation":
                text = ",".join(value) if isinstance(value, list) else "true" if value is True else str(value)
                words.append(f"{key}={_quoted(text)}")
        return " ".join(words)

    def shown(self) -> dict[str, Any]:
        """Return the fields that are set, in the form of a control call."""
        found: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if not each.init or value == each.default:
                continue
            if each.name in PAIRS:
                value = _by_name(value)
            elif isinstance(value, tuple):
                value = list(value)
            found[each.name.replace("_", "-")] = json.loads(value) if each.name == "json" else value
        return found

    def step(self, number: int) -> Fault | None:
        """Return the fault for one step of the sequence, or None for Central's answer.

        Raises:
            FaultError: the step is invalid.
        """
        word = self.sequence[number]
        if word == OK:
            return None
        if word in ANSWER_FAULTS:
            return replace(self, sequence=(), fault=word, message="", execute=False)
        if not re.fullmatch(r"[0-9]{3}", word):
            raise FaultError(f"sequence: {word!r} is neither a status, {OK} nor one of {', '.join(ANSWER_FAULTS)}")
        return replace(self, sequence=(), code=int(word), message=self.message if int(word) >= 400 else "")

    @property
    def most(self) -> int | None:
        """The number of requests that it can affect, or None without a limit."""
        return len(self.sequence) or self.times

    def refusal(self) -> Refusal | None:
        """Return the error that answers in Central's place."""
        return self.error() if self.code is not None and not self.execute else None

    def error(self) -> Refusal:
        """Return the error with the fault's code, in Central's shape."""
        code = self.code or 200
        phrase = next((each.phrase for each in HTTPStatus if each.value == code), f"status {code}")
        return Refusal(RULE, code, _GRPC_CODES.get(code, _UNKNOWN), self.message or f"{phrase} (injected fault)")

    @property
    def body_kind(self) -> str:
        """The field that defines a custom body, or ""."""
        return next((name for name in (*_BODIES, "file") if getattr(self, name)), "")

    def body(self) -> tuple[str, bytes]:
        """Return media type and bytes of the custom body."""
        if self.file:
            return mimetypes.guess_type(self.file)[0] or "application/octet-stream", self._content
        kind = self.body_kind
        return _BODIES[kind], str(getattr(self, kind)).encode("utf-8", "replace")


PAIRS = {"headers": ":", "match_headers": ":", "match_query": "=", "match_json": "="}
"""Fields that hold pairs, with the separator between name and value in a text."""


def _by_name(pairs: Pairs) -> dict[str, str | list[str]]:
    """Return values by name, as a list if a name occurs more than once."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _masked(name: str, value: str) -> str:
    return masked_header(name.lower(), value) if is_secret_header(name.lower()) else value


def _quoted(text: str) -> str:
    # A shell's double quotes have the same escapes, except control characters, which must not reach a log line.
    return json.dumps(text, ensure_ascii=False) if re.search(r"""[\s'"\\]""", text) or not text else text


class RequestFacts(NamedTuple):
    """The properties of a request that faults can depend on.

    `name` and `json` are called only if a fault needs them. `json` returns the body, or None if it is not JSON.
    """

    operation: str
    path: str
    name: Callable[[], str]
    method: str = ""
    headers: Mapping[str, str] = {}
    query: str = ""
    json: Callable[[], Any] = lambda: None


class ActiveFault:
    """A fault of a sandbox, with the numbers of requests that matched it and were affected."""

    __slots__ = ("_random", "_steps", "fault", "id", "matched", "met")

    def __init__(self, id: int, fault: Fault) -> None:
        self.id = id
        self.fault = fault
        self.matched = self.met = 0
        self._random = random.Random(fault.seed)
        self._steps = [fault.step(at) for at in range(len(fault.sequence))]

    def json(self) -> dict[str, Any]:
        """Return the fault as JSON data."""
        return {"id": self.id, **self.fault.shown(), "matched": self.matched, "met": self.met}

    @property
    def is_used_up(self) -> bool:
        """Whether it cannot affect further requests."""
        return self.fault.most is not None and self.met >= self.fault.most

    @property
    def current(self) -> Fault | None:
        """The step for the last affected request, or None for Central's answer."""
        return self._steps[self.met - 1] if self._steps else self.fault

    def meets(self) -> bool:
        """Count a matching request, and return whether the fault affects it."""
        self.matched += 1
        met = not self.matched % self.fault.every and self._random.random() < self.fault.probability
        self.met += met
        return met


class Faults:
    """The faults of one sandbox; only the first that affects a request applies."""

    def __init__(self, first: Iterable[Fault] = ()) -> None:
        self._first = tuple(first)
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Restore the initial faults, with fresh counters."""
        with self._lock:
            self._ids = count(1)
            self.listed = [ActiveFault(next(self._ids), each) for each in self._first]

    def add(self, fault: Fault) -> ActiveFault:
        """Add a fault after the existing ones."""
        with self._lock:
            added = ActiveFault(next(self._ids), fault)
            self.listed = [*self.listed, added]
            return added

    def remove(self, id: int | None = None) -> int:
        """Remove the fault with this id, or all; return the number of removed faults."""
        with self._lock:
            kept = [each for each in self.listed if id is not None and each.id != id]
            removed = len(self.listed) - len(kept)
            self.listed = kept
            return removed

    def match(self, asked: RequestFacts) -> Fault | None:
        """Count a request, and return the fault that affects it, or None."""
        for each in self.listed:
            # Outside of the lock, because a body may arrive slowly.
            if each.is_used_up or not _matches(each.fault, asked):
                continue
            with self._lock:
                if not each.is_used_up and each.meets():
                    return each.current
        return None


def _matches(fault: Fault, asked: RequestFacts) -> bool:
    return (
        (not fault.operation or fault.operation == asked.operation)
        and (not fault.method or fault.method.upper() == asked.method)
        and (not fault.path or fnmatchcase(asked.path, fault.path))
        and all(_fits(asked.headers.get(name.lower()), pattern) for name, pattern in fault.match_headers)
        and (not fault.match_query or _query_matches(fault.match_query, asked.query))
        and (not fault.name or fnmatchcase(asked.name(), fault.name))
        and (not fault.match_json or _json_matches(fault.match_json, asked.json()))
    )


def _fits(text: str | None, pattern: str) -> bool:
    return text is not None and fnmatchcase(text, pattern)


def _query_matches(wanted: Pairs, query: str) -> bool:
    sent = parse_qs(query, keep_blank_values=True)
    return all(any(_fits(each, pattern) for each in sent.get(name, ())) for name, pattern in wanted)


def _json_matches(wanted: Pairs, body: Any) -> bool:
    return all(_fits(_found(body, path), pattern) for path, pattern in wanted)


def _found(body: Any, path: str) -> str | None:
    """Return the text at a path, other values as JSON, or None if there is none."""
    for member, index, quoted in _JSON_STEP.findall(path):
        try:
            body = body[int(index)] if index and isinstance(body, list) else body[member or quoted or index]
        except (KeyError, IndexError, TypeError):
            return None
    if body is None and path == "$":
        return None
    if isinstance(body, str):
        return body
    try:
        return json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    except RecursionError:
        return None
