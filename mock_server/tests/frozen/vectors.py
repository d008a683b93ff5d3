"""The golden vectors, cases and payloads (../data) as groups of requests."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from . import names
from .conversation import Ask, Group, Json, ask

_DATA = Path(__file__).parents[1] / "data"
_TOKENS = {
    "{{ADMIN}}": "mock-admin-token",
    "{{ADMIN_BASIC}}": base64.b64encode(b"admin:mock-password").decode(),
    "{{READ_ONLY}}": "mock-read-only-token",
    "{{NO_INTEGRATION}}": "mock-no-access-token",
    "{{INVALID}}": "not-a-token",
}
_SWITCHES = {"auth": "auth", "managed_central": "managed"}
_RESET = Ask("POST", names.RESET, recorded=False)


def _lines(name: str) -> list[Json]:
    return [json.loads(line) for line in (_DATA / f"{name}.jsonl").read_text("utf-8").splitlines()]


def _sent(note: str, method: str, path: str, step: Json, save: str = "") -> Ask:
    headers = {"Authorization": "Bearer {{ADMIN}}"} | step.get("headers", {})
    for placeholder, token in _TOKENS.items():
        headers = {name: value and value.replace(placeholder, token) for name, value in headers.items()}
    body: Any = step.get("body")
    if repeat := step.get("body_repeat"):
        body = (repeat["prefix"] + repeat["repeat"] * repeat["times"] + repeat["suffix"]).encode()
    elif "raw_base64" in step:
        body = base64.b64decode(step["raw_base64"])
    elif (raw := step.get("raw", step.get("raw_body"))) is not None:
        body = raw.encode("utf-8", "surrogatepass")
    sent = [(name, value) for name, value in headers.items() if value is not None]
    return ask(method, path, body, *sent, note=note, save=save)


def _vector(line: Json) -> Iterator[Ask]:
    yield _RESET
    for step in [*line["setup"], line["request"]]:
        yield _sent(line["id"], step["method"], step["path"], step)


def _case(line: Json) -> Iterator[Ask]:
    yield _RESET
    for step in line["steps"]:
        method, path = step["request"].split(" ", 1)
        yield _sent(line["id"], method, path, step, save=step.get("save_id_as", ""))


def _payload(line: Json) -> Iterator[Ask]:
    expected = line["expected_by_real_server"]
    yield _RESET
    if "setup" in expected:
        yield ask("POST", names.COLLECTION, expected["setup"]["create_first"], note=line["id"], save="id")
    method, path = expected["request"].split(" ")
    yield ask(method, path, line["body"], note=line["id"])


def _by_switches(title: str, lines: list[Json], asks: Callable[[Json], Iterator[Ask]], **words: Any) -> Iterator[Group]:
    """Group lines by the switches of Central that they need."""
    found: dict[tuple[str, ...], list[Json]] = {}
    for line in lines:
        needed = tuple(ours for theirs, ours in _SWITCHES.items() if line.get("env", {}).get(theirs) is True)
        found.setdefault(needed, []).append(line)
    for needed, those in found.items():
        sent = tuple(each for line in those for each in asks(line))
        name = ", ".join([title, *needed])
        yield Group(name, sent, {**words, **dict.fromkeys(needed, True)})


def groups() -> Iterator[Group]:
    """Return the groups."""
    vectors, cases, payloads = _lines("vectors"), _lines("cases"), _lines("payloads")
    yield from _by_switches("vectors as deployed", vectors, _vector, deployed=True)
    yield from _by_switches("vectors", vectors[::4], _vector)
    yield from _by_switches("vectors judged fully", vectors[1::9], _vector, validation="full")
    yield from _by_switches("cases as deployed", cases, _case, deployed=True)
    yield from _by_switches("cases judged fully", cases[1::6], _case, validation="full", deployed=True)
    yield from _by_switches("payloads", payloads, _payload)
    for title, key, words in (
        ("payloads without a registry", "condition", {"registry_tests": {"*": "unreachable"}}),
        ("payloads of release 4.11", "versions", {"release": "4.11"}),
        ("payloads of the managed service", "managed_service", {"managed": True}),
    ):
        those = [line for line in payloads if key in line["expected_by_real_server"]]
        yield from _by_switches(title, those, _payload, deployed=True, **words)
