"""HTTP archives (HAR 1.2): reading those of browsers, proxies and Charles, and writing them without credentials."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from contract_tests.engine.failures import HarnessError
from contract_tests.engine.text import without_secrets
from contract_tests.traffic.exchanges import NOT_SHOWN, Seen, headers_of, json_of, plain
from mock_server.simulation.har import har_entry, pairs

_START = '{"log": {"version": "1.2", "creator": {"name": "central-contract", "version": "1"}, "entries": [\n'
_MILLISECONDS = re.compile(r"T[0-9:]+(?:\.[0-9]{1,3})?(?![.0-9:])")


def read(log: Mapping[str, Any]) -> Iterator[Seen]:
    """Yield the exchanges of an archive.

    Raises:
        HarnessError: an entry is not one of HAR 1.2.
    """
    by_mock = is_mock_journal(log)
    entries = log.get("entries") or []
    if not isinstance(entries, list):
        raise HarnessError("$.log.entries: is not a list, so this is not HAR 1.2")
    for number, entry in enumerate(entries):
        try:
            seen = _seen(entry)
        except KeyError as error:
            raise HarnessError(f"$.log.entries[{number}]: has no {error}, which HAR 1.2 requires") from None
        except HarnessError as error:
            raise HarnessError(f"$.log.entries[{number}].{error}") from None
        except (TypeError, ValueError, AttributeError, OverflowError):
            raise HarnessError(f"$.log.entries[{number}]: is not a HAR 1.2 entry; save the recording again") from None
        yield from_mock(seen, entry.get("_fault")) if by_mock else seen


def is_mock_journal(log: Mapping[str, Any]) -> bool:
    """Return whether an archive was exported from the mock's request journal."""
    creator = log.get("creator")
    return isinstance(creator, dict) and creator.get("name") == "mock-central"


def from_mock(seen: Seen, fault: str | None) -> Seen:
    """Return an exchange from the mock's journal: credentials are masked, headers missing, some bodies omitted.

    The answer of a simulated failure does not count as Central's.
    """
    body, reply = (
        None if NOT_SHOWN.fullmatch((each or b"").decode("utf-8", "replace")) else each
        for each in (seen.body, seen.reply)
    )
    status = 0 if fault else seen.status
    return replace(seen, status=status, body=body, reply=reply, blind=True, headers_kept=False)


def _seen(entry: Mapping[str, Any]) -> Seen:
    request, response = entry["request"], entry.get("response") or {"status": 0}
    began = _micros(entry["startedDateTime"])
    # Programs that round to milliseconds hide the order of requests within a millisecond.
    least = 1000 if _MILLISECONDS.search(entry["startedDateTime"]) else 0
    try:
        url = urlsplit(request["url"])
        url.netloc.encode()  # half of a surrogate pair is in no name of a host
    except ValueError:
        raise HarnessError(f"request.url: {without_secrets(str(request['url']))!r:.200} is not a URL") from None
    posted, content = request.get("postData") or {}, response.get("content") or {}
    kept = [(each["name"], each["value"]) for each in response.get("headers") or ()]
    reply_headers = headers_of(kept or [("Content-Type", content.get("mimeType") or "")])
    body = _content(posted)
    if body is None and not posted and request.get("bodySize", 0) in (0, -1):
        body = b""
    return Seen(
        method=str(request["method"]).upper().encode("ascii", "backslashreplace").decode(),
        target=url.path + (f"?{url.query}" if url.query else ""),
        status=max(int(response["status"] or 0), 0),  # some programs write -1 if there was no answer
        began=began / 1e6,
        ended=(began + max(round(1000 * float(entry.get("time") or 0)), least)) / 1e6,
        headers=headers_of((each["name"], each["value"]) for each in request.get("headers") or ()),
        body=body,
        reply_headers=reply_headers,
        reply=_reply(content, reply_headers),
        dropped=bool(entry.get("_dropped")),
        blind=bool(entry.get("_blind")),
        whole=not entry.get("_partial"),
        headers_kept=bool(kept) and not entry.get("_blind"),
    )


def _micros(time: str) -> int:
    try:
        found = datetime.fromisoformat(time)
    except (TypeError, ValueError):
        raise HarnessError(f"startedDateTime: {time!r:.60} is not a time such as 2026-08-22T10:00:00.000Z") from None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    return int(found.timestamp()) * 1_000_000 + found.microsecond


def _content(part: Mapping[str, Any]) -> bytes | None:
    text = part.get("text")
    if text is None:
        return None
    if part.get("encoding") != "base64":
        return text.encode("utf-8", "surrogatepass")  # type: ignore[no-any-return]
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        return None  # the body was not kept unchanged


def _reply(content: Mapping[str, Any], headers: Mapping[str, str]) -> bytes | None:
    """Return the body of an answer; some programs store it decompressed, some in base64."""
    found = _content(content)
    if found is None:
        return b"" if content.get("size") == 0 else None
    encoding = headers.get("Content-Encoding", "")
    if found.startswith(b"\x1f\x8b"):
        return plain(found, encoding)
    # Other encodings cannot be read, unless the program has decoded them.
    return found if json_of(found) is not None else plain(found, "" if encoding == "gzip" else encoding)


class Writer:
    """Writes an archive entry by entry, so that it need not fit in memory."""

    version = ""
    """The release of Central that the traffic was compared with."""

    def __init__(self, path: Path, origin: str) -> None:
        """`origin`: the scheme and the host in front of every path; it may change between entries.

        Raises:
            HarnessError: the file cannot be written.
        """
        self.origin = origin
        self._path = path
        self._began = False
        with self._writing():
            self._file = path.open("a", encoding="utf-8")  # keeps an older recording until there is something to write

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        with self._writing(), self._file:
            if error is None:
                self._begin()
            if self._began:
                self._file.write(f'\n], "_centralVersion": {json.dumps(self.version)}}}}}\n')

    def add(self, seen: Seen) -> None:
        """Write an exchange whose credentials have been replaced.

        Raises:
            HarnessError: the file cannot be written.
        """
        entry = json.dumps(_entry(seen, self.origin.rstrip("/")), ensure_ascii=True)
        with self._writing():
            if self._began:
                self._file.write(",\n")
            self._begin()
            self._file.write(entry)

    def _begin(self) -> None:
        """Replace what the file held, once."""
        if not self._began:
            self._began = True
            if self._path.is_file():  # a pipe cannot be cut
                self._file.truncate(0)
            self._file.write(_START)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise HarnessError(f"{self._path} cannot be written: {error.strerror}") from None


def _entry(seen: Seen, origin: str) -> dict[str, Any]:
    began = datetime.fromtimestamp(seen.began, UTC).isoformat(timespec="microseconds")
    sent, reply = seen.headers, seen.reply
    request = {
        "method": seen.method,
        "url": origin + seen.target,
        "headers": pairs(sent.items()),
        "bodySize": -1 if seen.body is None else len(seen.body),
    }
    if seen.body:
        request["postData"] = {"mimeType": sent.get("Content-Type", ""), **_text(seen.body)}
    content = {
        "size": -1 if reply is None else len(reply),
        "mimeType": seen.reply_headers.get("Content-Type", ""),
        **({} if reply is None else _text(reply)),
    }
    response = {"status": seen.status, "headers": pairs(seen.reply_headers.items()), "content": content}
    marks = {"_dropped": seen.dropped, "_blind": seen.blind, "_partial": not seen.whole}
    more = {name: True for name, is_set in marks.items() if is_set}
    return har_entry(began, round((seen.ended - seen.began) * 1000, 3), request, response, **more)


def _text(body: bytes) -> dict[str, str]:
    try:
        return {"text": body.decode()}
    except UnicodeDecodeError:
        return {"text": base64.b64encode(body).decode(), "encoding": "base64"}
