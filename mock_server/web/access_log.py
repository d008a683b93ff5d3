"""Logging: exactly one line per request, written in batches, because each write blocks the other threads."""

from __future__ import annotations

import json
import logging
import logging.handlers
import multiprocessing.util
import sys
import threading
import time
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, NamedTuple

from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.messages import Response
from mock_server.simulation.redaction import with_hidden_userinfo

access_log = logging.getLogger("mock_central.access")

FORMAT = "%(asctime)s %(levelname)-7s %(message)s"
FORMATS = ("text", "json")
INTERVAL = 0.1
"""Seconds that a line may be kept; warnings and errors are written at once."""

_CAPACITY = 1000


class Line(NamedTuple):
    """The log fields of a request; formatted only when it is written."""

    method: str
    path: str
    status: int
    rule: str
    seconds: float
    violations: Collection[object]
    fault: str
    sandbox: str

    def __str__(self) -> str:
        text = f"{_plain(self.method)} {_plain(self.path)} {self.status} {self.seconds * 1000:.1f}ms"
        if self.sandbox:
            text += f" sandbox={self.sandbox}"
        if self.fault:
            text += f" fault=({self.fault})"
        if self.rule:
            text += f" rule={self.rule}"
        if self.violations:
            text += f" contract: {'; '.join(map(str, self.violations))}"
        return one_line(text)

    def json(self) -> dict[str, Any]:
        """Return the fields that are set."""
        found = self._asdict() | {"warnings": [str(each) for each in self.violations]}
        del found["violations"]
        found["ms"] = round(found.pop("seconds") * 1000, 2)
        return {key: value for key, value in found.items() if value not in ("", [])}


def log_access(proceed: Proceed) -> Proceed:
    """Return a layer that logs each request, at a higher level if there are warnings."""

    def answer(exchange: Exchange) -> Response:
        response = proceed(exchange)
        if exchange.is_logged and access_log.isEnabledFor(logging.INFO):
            request, violations = exchange.request, exchange.violations
            fault = str(exchange.fault) if exchange.fault is not None else ""
            seconds = time.perf_counter() - exchange.started
            sandbox = exchange.sandbox.name
            line = Line(
                request.method, request.text, response.status, exchange.rule, seconds, violations, fault, sandbox
            )
            access_log.log(logging.WARNING if violations else logging.INFO, "%s", line)
        return response

    return answer


def _plain(path: str) -> str:
    """Return a path on one line, and without the passwords of URLs in it."""
    if "@" in path:
        path = with_hidden_userinfo(path)
    return path if path.isprintable() else "".join(each if each.isprintable() else "?" for each in path)


def one_line(text: str) -> str:
    """Return text with line ends, escapes and other invisible characters escaped as Python does."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


class _OneLine(logging.Filter):
    """Filter that keeps the message of a record on one line, for every handler."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Escape the message of a record; keep every record."""
        if not _is_access(record):
            record.msg, record.args = one_line(record.getMessage()), ()
        return True


def _is_access(record: logging.LogRecord) -> bool:
    return isinstance(record.args, tuple) and bool(record.args) and isinstance(record.args[0], Line)


for _name in ("mock_central", "mock_central.access"):
    logging.getLogger(_name).addFilter(_OneLine())


class _Text(logging.Formatter):
    """Formats a record as one line; a traceback gets lines that cannot be mistaken for other records."""

    def __init__(self) -> None:
        super().__init__(FORMAT)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the name is that of `logging`)
        """Return the line; other libraries log untrusted text, too."""
        return one_line(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """Return a traceback with a bar before each line."""
        return "\n".join(f"  | {one_line(line)}" for line in super().formatException(ei).split("\n"))


class _Json(logging.Formatter):
    """Formats a record as one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        found: dict[str, Any] = {"time": moment.replace("+00:00", "Z"), "level": record.levelname.lower()}
        if _is_access(record):
            found |= record.args[0].json()  # type: ignore[index, union-attr]
        else:
            found["message"] = record.getMessage()
        if record.exc_info:
            found["error"] = self.formatException(record.exc_info)
        text = json.dumps(found, ensure_ascii=False)
        return text if text.isprintable() else json.dumps(found)


class _Together(logging.handlers.MemoryHandler):
    """Keeps lines briefly and writes them together."""

    def __init__(self) -> None:
        super().__init__(_CAPACITY, logging.WARNING)
        threading.Thread(target=self._write_at_times, daemon=True).start()
        # A worker process ends without the exit hooks of the logging module.
        multiprocessing.util.Finalize(self, self.flush, exitpriority=0)

    def _write_at_times(self) -> None:
        while True:
            time.sleep(INTERVAL)
            self.flush()

    def flush(self) -> None:
        """Write the kept lines in one call; the base class makes one for each line."""
        self.acquire()
        try:
            lines = "".join(f"{self.format(record)}\n" for record in self.buffer)
            self.buffer.clear()
            if lines:
                sys.stderr.write(lines)
                sys.stderr.flush()
        finally:
            self.release()


def configure(level: str, form: str = FORMATS[0]) -> None:
    """Log to standard error from this level (a name of `logging`'s, in either case), in one of `FORMATS`."""
    together = _Together()
    together.setFormatter(_Json() if form == "json" else _Text())
    logging.basicConfig(level=level.upper(), handlers=[together])
