"""Input formats of a fault: JSON of a control call, the text of an option, the header `Prefer`."""

from __future__ import annotations

import difflib
import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from mock_server.central.numbers import whole
from mock_server.simulation.faults import PAIRS, Fault, FaultError, Pairs

_FIELDS = [each.name for each in fields(Fault) if each.init]
_SINGULAR = {name.removesuffix("s"): name for name in PAIRS if name.endswith("headers")}
"""In a text, each header is a separate item."""
_TEXTS = ("message", "html", "text", "file", "delay", "fault")
_FILTERS = ("operation", "method", "path", "name")
"""Keys that limit a fault to some requests."""


def from_values(values: Mapping[str, Any]) -> Fault:
    """Return a fault from values by field: texts, or the types that JSON has for them.

    Raises:
        FaultError: a field is unknown, or its value has a wrong type.
    """
    return Fault(**{name: _READ[name](_shown(name), value) for name, value in _named(values).items()})


def from_json(fault: Mapping[str, Any]) -> Fault:
    """Return a fault from the JSON of a control call; a text as its `json` is a JSON string.

    Raises:
        FaultError: as `from_values`.
    """
    body = {"json": json.dumps(fault["json"], separators=(",", ":"))} if "json" in fault else {}
    return from_values({**fault, **body})


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        name = _SINGULAR.get(name, name)
        if name not in _FIELDS:
            raise FaultError(f"{key}: {_suggestion(key)}")
        found[name] = value
    return found


def _suggestion(key: str) -> str:
    known = [_shown(name) for name in _FIELDS]
    close = difflib.get_close_matches(key, known, n=1)
    return f"is not a field of a fault; did you mean {close[0]}?" if close else f"is not one of {', '.join(known)}"


def _shown(name: str) -> str:
    return name.replace("_", "-")


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise FaultError(f"{name}={value}: is not a string")
    return str(value)


def _filter(name: str, value: Any) -> str:
    """Return a filter; refuse an empty one, perhaps from an unset variable, which would affect every request."""
    text = _text(name, value)
    if not text:
        raise FaultError(f"{name}: is empty; leave it out to match every request")
    return text


def _whole(name: str, value: Any) -> int:
    try:
        return whole(name, value)
    except ValueError as error:
        raise FaultError(str(error)) from None


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", str(value)):
        raise FaultError(f"{name}={value}: is not a number such as 0.2")
    return float(value)


def _flag(name: str, value: Any) -> bool:
    if value in (True, "true", "True"):
        return True
    if value in (False, "false", "False"):
        return False
    raise FaultError(f"{name}={value}: is not true or false")


def _json(_name: str, value: Any) -> str:
    """Return a JSON value; texts are JSON already, as in options and `Prefer`, while a control call wraps strings."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _steps(name: str, value: Any) -> tuple[str, ...]:
    found = re.split(r"[\s,]+", value.strip(" ,")) if isinstance(value, str) else value
    if not isinstance(found, list | tuple) or not found:
        raise FaultError(f"{name}={value}: is not a list such as 503,503,ok")
    return tuple(str(each) for each in found)


def _pairs(name: str, value: Any) -> Pairs:
    if isinstance(value, Mapping):
        return tuple(
            (str(key), each if isinstance(each, str) else json.dumps(each))
            for key, found in value.items()
            for each in (found if isinstance(found, list | tuple) else [found])
        )
    mark = PAIRS[name.replace("-", "_")]
    found = []
    if not isinstance(value, str | list | tuple):
        raise FaultError(f"{name}={value}: is not an object such as {{NAME: VALUE}}")
    for each in [value] if isinstance(value, str) else value:
        if isinstance(each, str):
            key, between, text = each.partition(mark)
            if not between:
                example = "'Retry-After: 5'" if mark == ":" else "'NAME=PATTERN'"
                raise FaultError(f"{name}={each}: is not NAME{mark}VALUE, such as {example}")
            found.append((key.strip(), text.strip() if mark == ":" else text))
        elif isinstance(each, list | tuple) and len(each) == 2 and all(isinstance(part, str) for part in each):
            found.append(tuple(each))
        else:
            raise FaultError(f"{name}={each}: is not a name and a value")
    return tuple(found)


_READ: Mapping[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(_TEXTS, _text),
    **dict.fromkeys(_FILTERS, _filter),
    **dict.fromkeys(("code", "times", "every", "seed"), _whole),
    **dict.fromkeys(PAIRS, _pairs),
    "probability": _number,
    "execute": _flag,
    "json": _json,
    "sequence": _steps,
}


def parse(text: str) -> Fault:
    """Parse ``[OPERATION] KEY=VALUE …``, as in options, or JSON; quote a value that contains blanks.

    Raises:
        FaultError: the text is invalid.
    """
    if text.startswith("{"):
        try:
            return from_json(json.loads(text))
        except (json.JSONDecodeError, RecursionError) as error:
            raise FaultError(f"{text}: is not JSON: {error}") from None
    try:
        first, *rest = shlex.split(text) or [""]
    except ValueError as error:
        raise FaultError(f"{text!r}: {error}") from None
    words: dict[str, Any] = {}
    for word in [first, *rest] if "=" in first or not first else [f"operation={first}", *rest]:
        key, equals, value = word.partition("=")
        if not equals:
            raise FaultError(f"{word!r}: is not KEY=VALUE; put a value with spaces in quotes")
        name = key.replace("-", "_")
        if _SINGULAR.get(name, name) in PAIRS:
            words[key] = [*words.get(key, ()), value]
        elif key in words:
            raise FaultError(f"{key}={value}: {key} is given twice; remove one")
        else:
            words[key] = value
    return from_values(words)


# -- Prefer ------------------------------------------------------------------------------------------

_PREFERENCE = re.compile(
    r"""\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)"""  # a token
    r"""\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^",;]*))?\s*"""  # its value, a word or a quoted text
    r"""(?:;[^,]*)?(?:,|$)"""  # parameters, which no known preference has
)
SUPPORTED = ("code", "message", "json", "html", "text", "header", "execute", "delay", "fault")
"""The names of known preferences."""


class Preferences(NamedTuple):
    """The content of the header `Prefer`."""

    fault: Fault | None
    unknown: tuple[str, ...]
    """Unknown preferences: ignored, as RFC 7240 says."""


def preferences(header: str) -> Preferences:
    """Parse the header `Prefer` (RFC 7240); of a repeated preference the first counts, but headers accumulate.

    Raises:
        FaultError: the value of a known preference is invalid.
    """
    found: dict[str, str] = {}
    headers: list[str] = []
    unreadable: list[str] = []
    at = 0
    while at < len(header):
        match = _PREFERENCE.match(header, at)
        if match is None:
            part = header[at:].partition(",")[0]
            at += len(part) + 1
            unreadable += [_unreadable(part.strip())] if part.strip() else []
            continue
        at = match.end()
        key, value = match[1].lower(), (match[2] or "").strip()
        value = re.sub(r"\\(.)", r"\1", value[1:-1]) if value[:1] == '"' else value
        if key == "header":
            headers.append(value)
        found.setdefault(key, value)
    ours: dict[str, Any] = {key: found[key] for key in SUPPORTED if key in found}
    if headers:
        ours["header"] = headers
    unknown = (*(key for key in found if key not in SUPPORTED), *unreadable)
    return Preferences(from_values(ours) if ours else None, unknown)


def _unreadable(part: str) -> str:
    """Return a part of `Prefer` that is not a preference, to be ignored.

    Raises:
        FaultError: it begins like a known preference.
    """
    if re.split(r"[^\w-]", part, maxsplit=1)[0].lower() in SUPPORTED:
        raise FaultError(
            f"{part}: is not KEY=VALUE; put a value with characters other than letters and digits in double quotes, "
            r'such as json="{\"a\":1}"'
        )
    return part


def applied(fault: Fault) -> str:
    """Return the preferences of a fault for the header `Preference-Applied`."""
    shown = fault.shown()
    found = [("header", f"{name}: {text}") for name, text in fault.headers]
    shown.pop("headers", None)
    if "json" in shown:
        shown["json"] = fault.json
    found = [(key, "true" if value is True else str(value)) for key, value in shown.items()] + found
    return ", ".join(
        f"{key}={json.dumps(each)}" if re.search(r"[^\w.]", each) else f"{key}={each}" for key, each in found
    )
