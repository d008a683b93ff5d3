"""The requests of a reported failure, sent again: do they get the answers that were recorded?"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from contract_tests.engine.failures import CheckFailed, HarnessError, OwnershipError
from contract_tests.engine.ledger import Ledger
from contract_tests.engine.options import Options
from contract_tests.engine.ownership import new_run_id
from contract_tests.engine.redaction import REDACTED
from contract_tests.engine.text import diff
from contract_tests.engine.transport import COLLECTION, Exchange, Transport, read_json
from contract_tests.reports.curl import created_id
from contract_tests.runner.leftovers import remove_owned


@dataclass(frozen=True, slots=True)
class Recorded:
    """A failure as a report holds it: its check, what it says, its requests with their answers."""

    check: str
    what: str
    target: str
    run: str
    exchanges: tuple[Exchange, ...]


@dataclass(frozen=True, slots=True)
class Played:
    """One request sent again; `differences` are lines of a diff, recorded (-) against now (+)."""

    request: str
    recorded: int
    status: int
    differences: list[str] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """The answer is the one that was recorded, ids and names of the run aside."""
        return self.recorded == self.status and not self.differences


def read(report: Path, name: str) -> Recorded:
    """Find a failure in a JSON report: `CHECK`, or `CHECK/2` for the second one of that check.

    Raises:
        HarnessError: the file is no report, or has no such failure.
    """
    try:
        value = json.loads(report.read_text("utf-8"))
        target, run, results = str(value["target"]), str(value["run"]), value["results"]
        failures = {
            _name(result["check"], number): failure
            for result in results
            for number, failure in enumerate(result["failures"], 1)
        }
        if name not in failures:
            known = ", ".join(failures) or "none"
            raise HarnessError(f"{report} has no failure {name!r}; it has: {known}")
        found = failures[name]
        exchanges = tuple(_exchange(found["check"], each) for each in found["exchanges"])
    except OSError as error:
        raise HarnessError(f"{report}: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else f"{error}"
        raise HarnessError(f"{report} is no JSON report of a run (--report-json): {why}") from None
    if not exchanges:
        raise HarnessError(f"{name}: no requests of it were recorded")
    return Recorded(found["check"], found["what"], target, run, exchanges)


def _name(check: str, number: int) -> str:
    return check if number == 1 else f"{check}/{number}"


def _exchange(check: str, value: Mapping[str, Any]) -> Exchange:
    return Exchange(
        0,
        check,
        value["method"],
        value["path"],
        value["role"],
        dict(value["headers"]),
        _content(value, "body"),
        value["status"],
        dict(value["replyHeaders"]),
        _content(value, "reply"),
    )


def _content(value: Mapping[str, Any], name: str) -> bytes:
    if name in value:
        return str(value[name]).encode()
    return base64.b64decode(value[f"{name}Base64"])


def play(recorded: Recorded, options: Options) -> Iterator[Played]:
    """Send the requests of a failure in their order, and delete what they created.

    Names and credentials get the id of this run in place of the recorded one; ids that the target
    gives out replace the recorded ones.

    Raises:
        HarnessError: the target does not answer, or a request would change what is not this run's.
    """
    run = new_run_id()
    ledger = Ledger(options.state_dir, run, options.url.rstrip("/"))
    transport = Transport(options, run, ledger)
    left: list[str] = []
    try:
        yield from _Replay(transport, recorded)()
    finally:
        transport.pace.close()
        with suppress(HarnessError):
            left = remove_owned(transport)
        ledger.close(keep=bool(left))


class _Replay:
    def __init__(self, transport: Transport, recorded: Recorded) -> None:
        self.transport = transport
        self.recorded = recorded
        self.now = {recorded.run: transport.run}
        """What stands now for what was recorded: the run, and ids that the target gave out."""

    def __call__(self) -> Iterator[Played]:
        for exchange in self.recorded.exchanges:
            yield self._again(exchange)

    def _again(self, then: Exchange) -> Played:
        path, body = _replaced(then.path, self.now), _replaced_bytes(then.body, self.now)
        # A header whose credential was taken out of the report is sent as the role has it.
        headers = {name: text for name, text in then.headers.items() if REDACTED not in text}
        self._may_write(then.method, path)
        request = f"{then.method} {then.path}"
        try:
            reply = self.transport.send(
                then.method,
                path,
                body=body or None,
                headers={"Accept": None, "Content-Type": None, **headers},
                role=then.role,
                check=then.check,
            )
        except CheckFailed as error:
            return Played(request, then.status, 0, [f"+ {error.got}"])
        except OwnershipError as error:
            raise HarnessError(f"not sent: {error}") from None
        made, before = reply.object.get("id"), created_id(then)
        if before and isinstance(made, str) and reply.status < 300:
            self.now[before] = made
        came = self.transport.exchanges[-1].reply
        back = {new: old for old, new in self.now.items()}
        return Played(request, then.status, reply.status, _differences(then.reply, _replaced_bytes(came, back)))

    def _may_write(self, method: str, path: str) -> None:
        """Let the transport write to an id that the target does not have, and to no other."""
        route = unquote(urlsplit(path).path)
        id = route.removeprefix(f"{COLLECTION}/")
        if method in ("GET", "HEAD", "OPTIONS") or id in (route, "test", "test/updated") or id in self.now.values():
            return
        with suppress(CheckFailed):
            if self.transport.send("GET", path).status == 404:
                self.transport.invented.add(id)


def _differences(then: bytes, now: bytes) -> list[str]:
    if then == now:
        return []
    expected, got = read_json(then), read_json(now)
    if expected is None or got is None:
        expected, got = then.decode("utf-8", "backslashreplace"), now.decode("utf-8", "backslashreplace")
    return [] if expected == got else diff(expected, got)


def _replaced(text: str, values: Mapping[str, str]) -> str:
    for old, new in values.items():
        text = text.replace(old, new)
    return text


def _replaced_bytes(content: bytes, values: Mapping[str, str]) -> bytes:
    for old, new in values.items():
        content = content.replace(old.encode(), new.encode())
    return content
