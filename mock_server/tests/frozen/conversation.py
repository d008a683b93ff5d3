"""Conversations with a server in raw bytes, and their answers in the form in which they are recorded."""

import base64
import gzip
import hashlib
import json
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, BinaryIO, Literal

from mock_server.settings import Settings

from .names import settings

LONGEST_BODY = 1000
"""Bytes of an answer that is recorded as it is; of a longer one the digest is."""
_LONGEST_SHORT = 100
_PATIENCE = 20.0
_UNRECORDED_HEADERS = ("date", "server")

MASKS = {
    "ids": (r"\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b", "(an id)"),
    "times": (r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "(a time)"),
    "milliseconds": (r'"ms":[0-9.e-]+', '"ms":"(some)"'),
    "idle": (r'"idleSeconds":[0-9.]+', '"idleSeconds":"(some)"'),
    "body": (r"(?s).+", "(not recorded)"),
}
"""What differs from one recording to the next, or belongs to another test. A masked answer's length is masked too."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Ask:
    """One request.

    `body`: without one there is no Content-Length, unless `headers` has it. `raw`: the whole request instead of
    its parts. `ending`: "half" closes the write side after the request, "all" reads every answer until the server
    closes. `save`: the name under which later requests find the id of the answer, or of the first listed
    integration: ``{name}`` in their target or body. `masks`: names out of `MASKS`. `recorded`: false for what only
    prepares the next request.
    """

    method: str = "GET"
    target: str = "/"
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    note: str = ""
    raw: bytes | None = None
    ending: Literal["", "half", "all"] = ""
    save: str = ""
    masks: tuple[str, ...] = ()
    recorded: bool = True

    def wire(self, saved: Mapping[str, str]) -> bytes:
        """Write the request as it is sent."""
        if self.raw is not None:
            return self.raw
        target, body = self.target, self.body
        for name, id in saved.items():
            target = target.replace(f"{{{name}}}", id)
            body = body and body.replace(f"{{{name}}}".encode(), id.encode())
        lines = [f"{self.method} {target} HTTP/1.1", "Host: localhost"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        given = {name.lower() for name, _ in self.headers}
        if body is not None and not given & {"content-length", "transfer-encoding"}:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + (body or b"")

    @property
    def short(self) -> str:
        """The request in a line."""
        if self.raw is not None:
            text = repr(self.raw)[2:-1]
        else:
            headers = "".join(f" [{name}: {value}]" for name, value in self.headers)
            body = "" if self.body is None else " " + self.body[: _LONGEST_SHORT * 2].decode("latin-1")
            text = f"{self.method} {self.target}{headers}{body}"
        text = text if len(text) <= _LONGEST_SHORT else f"{text[:_LONGEST_SHORT]}..."
        return f"{self.note}: {text}" if self.note else text


@dataclass(frozen=True)
class Group:
    """Requests that are sent, in order, to a fresh server.

    `server`: "granian" as `mock-central serve` does, "thread" as test suites do. `shuffled`: lists come in any
    order, so they are recorded sorted.
    """

    name: str
    asks: tuple[Ask, ...]
    words: Json = field(default_factory=dict)
    server: Literal["granian", "thread"] = "granian"

    @property
    def settings(self) -> Settings:
        """The settings of its server."""
        return settings(**self.words)

    @property
    def shuffled(self) -> bool:
        """Whether lists come in any order."""
        return bool(self.words.get("deployed"))


def ask(method: str, target: str, body: Any = None, /, *headers: tuple[str, str], **more: Any) -> Ask:
    """Make a request; a body that is not bytes is sent as JSON, with its content type unless `headers` has one."""
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    if body is not None and "content-type" not in {name.lower() for name, _ in headers}:
        headers = (("Content-Type", "application/json"), *headers)
    return Ask(method, target, body, headers, **more)


# -- asking ------------------------------------------------------------------------------------------


@dataclass
class Answer:
    """An answer. `end`: how the connection ended, if that was unusual."""

    status: int | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    interim: list[int] = field(default_factory=list)
    further: list[int] = field(default_factory=list)
    end: str = ""


Send = Callable[[Ask, bytes], Answer]


def send(port: int, ask: Ask, sent: bytes) -> Answer:
    """Send one request over a new connection, and read its answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):  # the server may have closed the connection
            connection.sendall(sent)
            if ask.ending == "half":
                connection.shutdown(socket.SHUT_WR)
        answer = Answer()
        try:
            with connection.makefile("rb") as stream:
                _read(stream, ask.method, answer)
                if ask.ending == "all":
                    _read_further(stream, answer)
        except TimeoutError:
            answer.end = "nothing more comes"
        except OSError:
            answer.end = "ended early"
        return answer


def _read(stream: BinaryIO, method: str, answer: Answer) -> None:
    while True:
        line = stream.readline()
        if not line:
            answer.end = "no answer"
            return
        status = int(line.split()[1])
        headers = list(_headers(stream))
        if status >= 200:
            break
        answer.interim.append(status)
    answer.status, answer.headers = status, headers
    if method == "HEAD" or status in (204, 304):
        return
    values = {name.lower(): value for name, value in headers}
    if values.get("transfer-encoding") == "chunked":
        _read_chunks(stream, answer)
    elif "content-length" in values:
        answer.body = stream.read(int(values["content-length"]))
        if len(answer.body) < int(values["content-length"]):
            answer.end = "ended early"
    else:
        answer.body = stream.read()


def _headers(stream: BinaryIO) -> Iterator[tuple[str, str]]:
    while (line := stream.readline().rstrip(b"\r\n")) != b"":
        name, _, value = line.decode("latin-1").partition(":")
        yield name, value.strip()


def _read_chunks(stream: BinaryIO, answer: Answer) -> None:
    while size := int(stream.readline() or b"0", 16):
        answer.body += stream.read(size)
        stream.readline()
    list(_headers(stream))


def _read_further(stream: BinaryIO, answer: Answer) -> None:
    while True:
        following = Answer()
        _read(stream, "GET", following)
        if following.status is None:
            answer.end = "closed"
            return
        answer.further.append(following.status)


# -- recording ---------------------------------------------------------------------------------------


def play(group: Group, send: Send) -> Iterator[Json]:
    """Send the requests of a group one after another; yield the records of their answers."""
    saved: dict[str, str] = {}
    number = 0
    for each in group.asks:
        answer = send(each, each.wire(saved))
        if each.save:
            saved[each.save] = _id(answer)
        if each.recorded:
            number += 1
            yield {"group": group.name, "number": number, "request": each.short} | _record(
                answer, each, shuffled=group.shuffled
            )
        else:
            assert answer.status == 200, (each.short, answer)


def play_at(port: int, group: Group) -> Iterator[Json]:
    """Send a group to the server at a port."""
    return play(group, partial(send, port))


def _id(answer: Answer) -> str:
    value = json.loads(_plain(answer))
    listed = value.get("integrations")
    return str((listed[0] if listed else value).get("id", "(none)"))


def _plain(answer: Answer) -> bytes:
    zipped = ("content-encoding", "gzip") in [(name.lower(), value) for name, value in answer.headers]
    return gzip.decompress(answer.body) if zipped and answer.body else answer.body


def _record(answer: Answer, ask: Ask, *, shuffled: bool) -> Json:
    body, masks = _plain(answer), ask.masks
    changed = body != answer.body
    if shuffled:
        body = _in_order(body)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        shown: Json = {"base64": base64.b64encode(body).decode()}
    else:
        shown = {"body": text}
    for name in masks:
        pattern, mask = MASKS[name]
        masked = re.sub(pattern, mask, text if "body" in shown and name != "body" else "x")
        changed = changed or masked != shown.get("body")
        shown = {"body": masked}
        text = masked
    if len(body) > LONGEST_BODY and "body" not in masks:
        raw = shown["body"].encode() if "body" in shown else body
        shown = {"sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw)}
    hidden = {"content-length", "etag"} if changed else set()
    more = {"interim": answer.interim, "further": answer.further, "end": answer.end}
    return {
        "status": answer.status,
        "headers": [
            f"{name}: {'*' if name.lower() in hidden else value}"
            for name, value in answer.headers
            if name.lower() not in _UNRECORDED_HEADERS
        ],
        **shown,
        **{name: value for name, value in more.items() if value},
    }


def _in_order(body: bytes) -> bytes:
    """Sort the integrations of a list without changing their bytes."""
    start = re.match(rb'\s*\{\s*"integrations":\s*\[\s*', body)
    if start is None:
        return body
    text, at = body.decode(), start.end()
    found, gaps = [], []
    while text[at] == "{":
        _, end = json.JSONDecoder().raw_decode(text, at)
        found.append(text[at:end])
        gap = re.compile(r"[\s,]*").match(text, end)
        assert gap is not None
        gaps.append(gap[0])
        at = gap.end()
    found.sort()
    pieces: Iterable[str] = (piece for pair in zip(found, gaps, strict=True) for piece in pair)
    return (text[: start.end()] + "".join(pieces) + text[at:]).encode()
