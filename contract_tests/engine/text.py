"""Values as lines of text, for every report and comparison."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any


def plain(value: Any) -> Any:
    """Convert a value to one that JSON can represent."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(each) for each in value), key=repr)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    return str(value)


def middle_out(text: str, limit: int) -> str:
    """Shorten a text to `limit` characters plus a note in its middle that counts the characters left out."""
    if len(text) <= limit:
        return text
    head = limit * 2 // 3
    tail = limit - head
    return f"{text[:head]} … {len(text) - limit} characters left out … {text[-tail:]}"


def printable(text: str) -> str:
    r"""Escape the parts of a target's text that a terminal or a CI service would act on.

    These are control characters, terminal escapes, invisible characters and lone surrogates (`\x1b`, `\u202e`), and
    the commands of CI services: `::` at the start of a line, even after spaces, and `##[` anywhere.
    """
    escaped = "".join(
        each if each in "\n\t" or (each.isprintable() and not 0xFFFE <= ord(each) <= 0xFFFF) else _escaped(each)
        for each in text
    )
    return without_commands(escaped)


def without_commands(text: str) -> str:
    r"""Escape the log commands of GitHub, Azure and TeamCity, as `\x3a:` and `\x23#[`."""
    return _ANYWHERE.sub(r"\\x23", _AT_LINE_START.sub(r"\1\\x3a", text))


def one_line(text: str, limit: int = 500) -> str:
    """Return a target's text as one safe line of a message."""
    return printable(middle_out(text, limit).replace("\n", "\\n").replace("\t", " "))


def markdown(text: str) -> str:
    """Return a target's text for a paragraph of Markdown, with all markup, HTML, links and mentions escaped."""
    return _MARKUP.sub(lambda match: f"&#{ord(match[0])};", one_line(text, 2_000))


def clean(value: Any) -> Any:
    """Apply `printable` to every text in a JSON value, including keys."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {clean(key): clean(each) for key, each in value.items()}
    return [clean(each) for each in value] if isinstance(value, list) else value


def harmless_json(json_text: str) -> str:
    r"""Escape in JSON text what a terminal or a CI service would act on (`\u009b`, `\u0023#[`); its value stays."""
    escaped = "".join(each if each == "\n" or each.isprintable() else json.dumps(each)[1:-1] for each in json_text)
    return _ANYWHERE.sub(r"\\u0023", escaped)


_AT_LINE_START = re.compile(r"(?:(?<=\n)|^)([^\S\n]*):(?=:)")
_ANYWHERE = re.compile(r"#(?=#(?:\[|vso\[|teamcity\[))")
_MARKUP = re.compile(r"[!#$%&*+\-./:<=>?@\[\\\]^_`{|}~]")


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_VALUE = re.compile(r'("(?:[^"\\]|\\.)*":)|"(?:[^"\\]|\\.)*"|[0-9a-f]{8}-[0-9a-f-]{27}|\d+')
_LONGEST_LINE = 400
_MOST_LINES = 120


def diff(expected: Any, got: Any) -> list[str]:
    """Return the lines that differ, marked `-` (expected) and `+` (got), with two lines of context."""
    if expected is None and got is None:
        return []
    expected_lines, got_lines = _lines(_matched(expected, got)), _lines(got)
    if expected is None:
        lines = [f"+ {line}" for line in got_lines]
    elif got is None:
        lines = [f"- {line}" for line in expected_lines]
    elif expected_lines == got_lines:  # such as 1 and 1.0
        lines = [f"- {expected!r}", f"+ {got!r}"]
    else:
        lines = [
            "  …" if line.startswith("@@") else f"{line[0]} {line[1:]}"
            for line in list(difflib.unified_diff(expected_lines, got_lines, lineterm="", n=2))[2:]
        ]
        if lines[0] == "  …" and expected_lines[:1] == got_lines[:1]:
            lines = lines[1:]
    lines = [middle_out(printable(line), _LONGEST_LINE) for line in lines]
    if len(lines) > _MOST_LINES:
        half = _MOST_LINES // 2
        lines = [*lines[:half], f"  … {len(lines) - 2 * half} lines left out …", *lines[-half:]]
    return lines


def changed(lines: Iterable[str]) -> tuple[str, ...]:
    """Return the differing lines of a diff without their values, for comparing the symptoms of failures."""
    return tuple(without_values(line).rstrip(",") for line in lines if line[0] in "-+")


def without_values(text: str) -> str:
    """Replace each quoted text, id and number with an ellipsis; keys stay."""
    return _VALUE.sub(lambda found: found[1] or "…", text)


def _matched(expected: Any, got: Any) -> Any:
    """Return `expected` with the message that was answered if it contains all expected texts, so that no diff shows."""
    if not isinstance(expected, Mapping) or not isinstance(got, Mapping) or "message contains" not in expected:
        return expected
    texts, message = expected["message contains"], got.get("message")
    if isinstance(message, str) and all(text in message for text in texts):
        return {**{key: each for key, each in expected.items() if key != "message contains"}, "message": message}
    return expected


def _lines(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.splitlines() or ['""']
    return json.dumps(plain(value), indent=2, sort_keys=True, ensure_ascii=False).splitlines()


def without_secrets(url: str) -> str:
    """Return a URL without the parts that may be secret: those before an @ and after a ? or #."""
    address, mark, _ = re.sub(r"^([^/]*//)?[^/?#]*@", r"\1…@", url).partition("?")
    address, other_mark, _ = address.partition("#")
    return address + (f"{mark or other_mark}…" if mark or other_mark else "")
