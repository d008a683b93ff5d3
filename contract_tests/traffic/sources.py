"""Recorded traffic: HAR files, the mock's request journal, and fixtures in JSON Lines."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from contract_tests.engine.exchange import COLLECTION
from contract_tests.engine.failures import HarnessError
from contract_tests.fixtures.lines import Line, content_of, exchanges_of
from contract_tests.traffic import har
from contract_tests.traffic.exchanges import Seen, headers_of, json_of
from mock_server.contract import tables as contracts
from mock_server.simulation.har import har as har_of

SOME = "http://central.example.com"
"""Placeholder address for a recording without the Central's address."""
METADATA = "/v1/metadata"
"""The path that returns Central's release; the web UI asks for it every ten seconds."""
_FORMS = "HAR, request journal or JSON Lines of fixtures"
_USUAL_PORTS = {"http": ":80", "https": ":443"}
_NOTES: dict[str, Any] = {"operation": "", "rule": "", "warnings": [], "fault": ""}
"""What an entry of a journal may lack, because it tells nothing about the request."""
_ROUNDING = 0.002
"""Uncertainty, in seconds, of the journal's times, which have milliseconds."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Conversations, each with one Central, by address; and the release, if an answer shows it."""

    conversations: dict[str, list[Seen]]
    version: str = ""

    @property
    def origin(self) -> str:
        """The address for reports."""
        return next(iter(self.conversations), SOME)


def read(path: Path) -> Recording:
    """Read a file in any known format.

    Raises:
        HarnessError: it cannot be read, or has no known format.
    """
    try:
        content = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        text = content.decode(json.detect_encoding(content)).removeprefix("\ufeff")
    except OSError as error:
        raise HarnessError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeError:
        raise HarnessError(f"{path}: is not UTF-8 or UTF-16 text; give a {_FORMS}") from None
    try:
        return _read(text)
    except HarnessError as error:
        raise HarnessError(f"{path}: {error}") from None
    except json.JSONDecodeError as error:
        raise HarnessError(f"{path}: is not a {_FORMS}, or is incomplete: {error}") from None
    except RecursionError:
        raise HarnessError(f"{path}: is nested too deeply for a {_FORMS}") from None
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        raise HarnessError(f"{path}: is not a {_FORMS}") from None


def _read(text: str) -> Recording:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, dict) and isinstance(value.get("log"), dict):
        return _from_har(value["log"])
    if isinstance(value, dict) and isinstance(value.get("requests"), list):
        return Recording({SOME: journal(value["requests"])})
    if isinstance(value, list):
        return Recording({SOME: journal(value)})
    lines = [json.loads(line) for line in text.splitlines() if line.strip()]
    if not lines:
        raise HarnessError(f"is empty; give a {_FORMS}")
    if "expect" in lines[0]:
        releases = {str(each["central"]) for each in lines}
        fixtures = {f"http://central-{at}.example.com": list(_fixture(each)) for at, each in enumerate(lines, 1)}
        return Recording(fixtures, releases.pop() if len(releases) == 1 else "")
    return Recording({SOME: journal(lines)})


def _from_har(log: Mapping[str, Any]) -> Recording:
    found = list(har.read(log))
    version = str(log.get("_centralVersion") or "") or next(filter(None, map(version_in, found)), "")
    if har.is_mock_journal(log):
        found = _in_order(found)
    conversations: dict[str, list[Seen]] = {}
    for entry, seen in zip(log.get("entries") or (), found, strict=True):
        url = urlsplit(entry["request"]["url"])
        if COLLECTION in unquote(url.path):
            host = url.netloc.rpartition("@")[2].lower().removesuffix(_USUAL_PORTS.get(url.scheme, ""))
            conversations.setdefault(f"{url.scheme}://{host}", []).append(seen)
    return Recording(conversations, version)


def version_in(seen: Seen) -> str:
    """Return the release of Central that an answer shows, or ""."""
    if seen.target.partition("?")[0] != METADATA or seen.status != 200:
        return ""
    answer = json_of(seen.reply)
    version = str(answer.get("version", "")) if isinstance(answer, dict) else ""
    try:
        return contracts.load().releases.find(version).line if version else ""
    except ValueError:
        return ""


# -- the mock's request journal ------------------------------------------------------------------------


def journal(entries: list[Mapping[str, Any]]) -> list[Seen]:
    """Return the requests of a journal in the form of `GET /__admin/requests`."""
    in_turn = sorted(entries, key=lambda each: int(each["number"]))
    return _in_order(har.read(har_of([_NOTES | dict(each) for each in in_turn], SOME)["log"]))


def _in_order(entries: Iterable[Seen]) -> list[Seen]:
    """Return requests in the order of the mock's numbers, without overlaps that only come from rounding."""
    found: list[Seen] = []
    for seen in entries:
        began = seen.began
        if found and found[-1].ended - _ROUNDING < began < found[-1].ended:
            began = found[-1].ended
        found.append(replace(seen, began=began, ended=max(began, seen.ended)))
    return found


# -- fixtures ------------------------------------------------------------------------------------------


def _fixture(line: Line) -> Iterator[Seen]:
    """Yield the requests of one fixture; a fixture starts with a fresh Central."""
    for number, (request, answer) in enumerate(exchanges_of(line)):
        yield Seen(
            method=request["method"],
            target=request["path"],
            status=answer.get("status", 200),
            began=float(number),
            ended=number + 0.5,
            headers=headers_of((name, value) for name, value in request.get("headers", {}).items() if value),
            body=None if "body_repeat" in request else content_of(request) or b"",
            reply=_stated_answer(request, answer),
            whole=False,
            headers_kept=False,
        )


def _stated_answer(request: Mapping[str, Any], answer: Mapping[str, Any]) -> bytes | None:
    """Return the body that a fixture states for an answer, as far as it can be judged, or None."""
    value = answer.get("json")
    if answer.get("status", 200) != 200:
        if not isinstance(value, dict):
            return None
        return json.dumps(
            value | ({"error": value.get("message")} if answer.get("error_equals_message") else {})
        ).encode()
    if request["method"] == "POST" and request["path"] == COLLECTION:
        return json.dumps({"id": "{" + str(request.get("save_id_as", "A")) + "}"}).encode()
    return json.dumps(value).encode() if value == {} else None
