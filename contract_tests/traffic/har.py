"""HTTP archives (HAR 1.2), as browsers, proxies and Charles write them, and as we do, without secrets."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from contract_tests.engine.failures import HarnessError
from contract_tests.traffic.exchanges import Seen, headers_of, plain

_START = '{"log": {"version": "1.2", "creator": {"name": "central-contract", "version": "1"}, "entries": [\n'


def read(log: Mapping[str, Any]) -> Iterator[Seen]:
    """Yield the exchanges of an archive.

    Raises:
        HarnessError: an entry is not one of HAR 1.2.
    """
    for number, entry in enumerate(log.get("entries", ())):
        try:
            yield _seen(entry)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise HarnessError(f"$.log.entries[{number}]: is no entry of HAR 1.2: {error!r}") from None


def _seen(entry: Mapping[str, Any]) -> Seen:
    request, response = entry["request"], entry["response"]
    began = _micros(entry["startedDateTime"])
    url = urlsplit(request["url"])
    posted, content = request.get("postData") or {}, response.get("content") or {}
    reply_headers = headers_of((each["name"], each["value"]) for each in response.get("headers", ()))
    body = _content(posted)
    if body is None and not posted and request.get("bodySize", 0) in (0, -1):
        body = b""
    return Seen(
        method=str(request["method"]).upper(),
        target=url.path + (f"?{url.query}" if url.query else ""),
        status=int(response["status"]),
        began=began / 1e6,
        ended=(began + round(1000 * max(float(entry["time"]), 0))) / 1e6,
        headers=headers_of((each["name"], each["value"]) for each in request.get("headers", ())),
        body=body,
        reply_headers=reply_headers,
        reply=_reply(content, reply_headers),
        dropped=bool(entry.get("_dropped")),
        blind=bool(entry.get("_blind")),
        whole=not entry.get("_partial"),
        headers_kept=bool(response.get("headers")) and not entry.get("_blind"),
    )


def _micros(time: str) -> int:
    found = datetime.fromisoformat(time)
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    return int(found.timestamp()) * 1_000_000 + found.microsecond


def _content(part: Mapping[str, Any]) -> bytes | None:
    text = part.get("text")
    if text is None:
        return None
    return base64.b64decode(text) if part.get("encoding") == "base64" else text.encode("utf-8", "surrogatepass")


def _reply(content: Mapping[str, Any], headers: Mapping[str, str]) -> bytes | None:
    """Return the body of an answer; some programs write it unpacked, some packed in base64."""
    found = _content(content)
    if found is None:
        return b"" if content.get("size") == 0 else None
    return plain(found, headers.get("Content-Encoding", "")) if found.startswith(b"\x1f\x8b") else found


class Writer:
    """Writes an archive entry by entry, so that it may be longer than the memory."""

    version = ""
    """The release that the traffic was judged by."""

    def __init__(self, path: Path, origin: str) -> None:
        """`origin`: the scheme and the host in front of every path.

        Raises:
            HarnessError: the file cannot be written.
        """
        self._origin = origin.rstrip("/")
        self._between = ""
        try:
            self._file = path.open("w", encoding="utf-8")
        except OSError as error:
            raise HarnessError(f"{path} cannot be written: {error.strerror}") from None
        self._file.write(_START)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.write(f'\n], "_centralVersion": {json.dumps(self.version)}}}}}\n')
        self._file.close()

    def add(self, seen: Seen) -> None:
        """Write an exchange that has lost its secrets."""
        self._file.write(self._between + json.dumps(_entry(seen, self._origin), ensure_ascii=True))
        self._between = ",\n"


def _entry(seen: Seen, origin: str) -> dict[str, Any]:
    milliseconds = round((seen.ended - seen.began) * 1000, 3)
    return {
        "startedDateTime": datetime.fromtimestamp(seen.began, UTC).isoformat(timespec="microseconds"),
        "time": milliseconds,
        "request": {
            "method": seen.method,
            "url": origin + seen.target,
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": [{"name": name, "value": value} for name, value in seen.headers.items()],
            "queryString": [],
            "headersSize": -1,
            "bodySize": -1 if seen.body is None else len(seen.body),
            **(
                {"postData": {"mimeType": seen.headers.get("Content-Type", ""), **_text(seen.body)}}
                if seen.body
                else {}
            ),
        },
        "response": {
            "status": seen.status,
            "statusText": "",
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": [{"name": name, "value": value} for name, value in seen.reply_headers.items()],
            "content": {
                "size": -1 if seen.reply is None else len(seen.reply),
                "mimeType": seen.reply_headers.get("Content-Type", ""),
                **({} if seen.reply is None else _text(seen.reply)),
            },
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": -1,
        },
        "cache": {},
        "timings": {"send": 0, "wait": milliseconds, "receive": 0},
        **({"_dropped": True} if seen.dropped else {}),
        **({"_blind": True} if seen.blind else {}),
        **({"_partial": True} if not seen.whole else {}),
    }


def _text(body: bytes) -> dict[str, str]:
    try:
        return {"text": body.decode()}
    except UnicodeDecodeError:
        return {"text": base64.b64encode(body).decode(), "encoding": "base64"}
