"""A reverse proxy in front of a Central: everything is passed on, and what is of the API is also seen.

The mock's way to another server does the passing on (`mock_server.web.upstream`): bodies go through piece by piece and
stay compressed, redirects stay redirects, TLS is checked. Here stands only what is kept beside.
"""

from __future__ import annotations

import dataclasses
import json
import math
import multiprocessing
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeAlias

from flask import Response
from urllib3.exceptions import HTTPError, ProtocolError
from werkzeug import Request

from contract_tests.engine.failures import Failure
from contract_tests.traffic.exchanges import Seen, headers_of, plain
from contract_tests.traffic.judge import Judge
from contract_tests.traffic.sources import METADATA, told_version
from mock_server.contract import tables as contracts
from mock_server.contract.routes import Routes
from mock_server.serving.server import Tls, granian, leave_signals_to_supervisor, when_listening
from mock_server.settings import Settings
from mock_server.web.upstream import NoAnswerError, Upstream

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue as SharedQueue

    from _typeshed.wsgi import WSGIApplication
    from urllib3 import BaseHTTPResponse

_GZIP = b"\x1f\x8b"
THREADS = 64
"""Requests that may be under way at once, streams too."""
_LONGEST_BODY = 4 * 2**20
"""Bytes of a body that are kept to be judged; a longer one is passed on and nothing is said of it."""

_WATCH = "central_contract.watch"
"""Key of WSGI under which a request is watched."""

Pipe: TypeAlias = "SharedQueue[tuple[Seen, float] | None]"
Give = Callable[[Seen, float], object]
"""Takes an exchange that has ended, and when the oldest request began that is still under way."""


class _Kept:
    """What passes, as far as it is kept."""

    def __init__(self, readable: Any = None) -> None:
        self._readable = readable
        self._pieces: list[bytes] = []
        self._size = 0
        self.is_whole = readable is None

    def read(self, size: int = -1) -> bytes:
        """Read from what is passed on, as urllib3 does."""
        piece: bytes = self._readable.read(size)
        self.is_whole = not piece
        self.add(piece)
        return piece

    def add(self, piece: bytes) -> None:
        """Keep a piece, unless there is too much."""
        self._size += len(piece)
        if self._size <= _LONGEST_BODY:
            self._pieces.append(piece)
        else:
            self._pieces.clear()

    @property
    def content(self) -> bytes | None:
        """All of it, None where it is too long or has not ended."""
        return b"".join(self._pieces) if self.is_whole and self._size <= _LONGEST_BODY else None


class _Watch:
    """One request of the API, while it is under way."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.body = _Kept()
        self.reply = _Kept()
        self.status = 0
        self.reply_headers: list[tuple[str, str]] = []
        self.dropped = False
        self.answered = 0.0
        """When the last byte of the answer came: Central has done it by then, whenever the client reads it."""


class Tap(Upstream):
    """The server behind the proxy; tells `give` what it sees of the API."""

    def __init__(self, settings: Settings, give: Give) -> None:
        super().__init__(settings, most=THREADS - 4)
        self._give = give
        self._routes = Routes(contracts.load())
        self._lock = threading.Lock()
        self._under_way: dict[int, float] = {}
        self._start = time.time() - time.perf_counter()

    def _now(self) -> float:
        """Return the time by a clock that is never put back, to the microsecond that a HAR holds."""
        return round(self._start + time.perf_counter(), 6)

    def answer(self, request: Request) -> Response:
        """Pass the request on and its answer back."""
        if not self._routes.is_below(request.path) and request.path != METADATA:
            return self._passed(request)
        with self._lock:
            watch = request.environ[_WATCH] = _Watch(self._now())
            self._under_way[id(watch)] = watch.began
        seen = Seen(request.method, self._target(request), 0, 0.0, 0.0, headers_of(request.headers.items()))
        try:
            response = self._passed(request)
        except BaseException:
            self._end(watch, seen)
            raise
        response.call_on_close(lambda: self._end(watch, seen))
        return response

    def _passed(self, request: Request) -> Response:
        response = super().answer(request)
        assert response is not None  # nothing is ours
        return response

    def _end(self, watch: _Watch, seen: Seen) -> None:
        headers = headers_of(watch.reply_headers)
        content = watch.reply.content
        encoding = headers.get("Content-Encoding", "")
        with self._lock:
            if self._under_way.pop(id(watch), None) is None:
                return  # closed twice
            seen = dataclasses.replace(
                seen,
                status=watch.status,
                began=watch.began,
                ended=max(watch.answered or self._now(), round(watch.began + 1e-6, 6)),
                body=watch.body.content,
                reply_headers=headers,
                reply=None if content is None else plain(content, encoding),
                # Nor can a client read what only says that it is packed.
                dropped=watch.dropped or (encoding == "gzip" and not (content or _GZIP).startswith(_GZIP)),
            )
            self._give(seen, min(self._under_way.values(), default=self._now()))

    def _let_stream(self, streams: bool) -> None:
        """Do nothing: every answer of the proxy is sent piece by piece."""

    def _body(self, request: Request) -> Any:
        if watch := request.environ.get(_WATCH):
            watch.body = _Kept(request.stream)
            return watch.body
        return request.stream

    def _passed_back(self, request: Request, answer: BaseHTTPResponse) -> Response:
        if watch := request.environ.get(_WATCH):
            watch.status = answer.status
            watch.reply_headers = list(answer.headers.items())
            watch.reply.is_whole = request.method == "HEAD" or answer.status in (204, 304)  # there is nothing to read
            watch.answered = self._now()
        return super()._passed_back(request, answer)

    def _pieces(self, request: Request, answer: BaseHTTPResponse) -> Iterator[bytes]:
        watch = request.environ.get(_WATCH)
        pieces = super()._pieces(request, answer)
        return pieces if watch is None else self._teed(watch, pieces)

    def _teed(self, watch: _Watch, pieces: Iterator[bytes]) -> Iterator[bytes]:
        try:
            for piece in pieces:
                watch.reply.add(piece)
                watch.answered = self._now()
                yield piece
        except HTTPError:
            watch.dropped = True
            raise
        watch.reply.is_whole = True

    def _unreachable(self, request: Request, reason: str, error: HTTPError | None = None) -> NoAnswerError:
        if watch := request.environ.get(_WATCH):
            watch.dropped = isinstance(error, ProtocolError)
        return NoAnswerError("upstream", 502, 14, f"{self.url} does not answer: {reason}")


def make_app(settings: Settings, give: Give) -> WSGIApplication:
    """Make the WSGI app that passes everything on to `settings.upstream`."""
    tap = Tap(settings, give)

    @Request.application
    def answer(request: Request) -> Response:
        try:
            return tap.answer(request)
        except NoAnswerError as refusal:
            return Response(json.dumps(refusal.body()), refusal.status, mimetype="application/json")

    return answer


class Bench(threading.Thread):
    """The thread that judges, so that no request waits for a verdict."""

    def __init__(
        self, convene: Callable[[str], Judge], keep: Callable[[Seen], object], tell: Callable[[Failure], object]
    ) -> None:
        """Begin when the first request of the API comes.

        Args:
            convene: Make the judge; it is given the release that Central told, "" where it did not.
            keep: Take each exchange without its secrets.
            tell: Take each fault when it shows first.
        """
        super().__init__(daemon=True)
        self._queue: SimpleQueue[tuple[Seen, float] | None] = SimpleQueue()
        self._convene = convene
        self._keep = keep
        self._tell = tell
        self._told = ""
        self._judge: Judge | None = None
        self._reported = 0
        self.trouble = ""
        """What kept an exchange from being judged: a fault of ours, which must not pass for a green verdict."""

    def take(self, seen: Seen, oldest: float) -> None:
        """Judge an exchange when its turn comes; fits `Give`."""
        self._queue.put((seen, oldest))

    def run(self) -> None:
        """Judge until there is nothing more to come."""
        while (taken := self._queue.get()) is not None:
            seen, oldest = taken
            if seen.target.partition("?")[0] == METADATA:
                self._told = self._told or told_version(seen)
                continue
            try:
                self._keep(self.judge.add(seen))
                self._settle(oldest)
            except Exception:  # noqa: BLE001 (what comes next is passed on and judged all the same)
                self.trouble = traceback.format_exc(limit=-4)

    def _settle(self, oldest: float) -> None:
        self.judge.settle(oldest)
        found = self.judge.findings.failures
        for failure in found[self._reported :]:
            self._tell(failure)
        self._reported = len(found)

    @property
    def judge(self) -> Judge:
        """The judge, from the first request on."""
        if self._judge is None:
            self._judge = self._convene(self._told)
        return self._judge

    def close(self) -> Judge:
        """Judge all that has come, and return the judge."""
        self._queue.put(None)
        self.join()
        self._settle(math.inf)
        return self.judge


class _Worker:
    """What the worker process of the server runs; it is pickled where processes are spawned."""

    def __init__(self, settings: Settings, host: str, port: int, announce: Callable[[], None], pipe: Pipe) -> None:
        self._settings = settings
        self._address = host, port
        self._announce = announce
        self._pipe = pipe

    def load(self) -> WSGIApplication:
        """Make the app, in the worker process."""
        leave_signals_to_supervisor()
        threading.Thread(target=when_listening, args=(*self._address, self._announce), daemon=True).start()
        return make_app(self._settings, lambda seen, oldest: self._pipe.put((seen, oldest)))


def serve(
    settings: Settings, host: str, port: int, bench: Bench, *, tls: Tls | None, announce: Callable[[], None]
) -> None:
    """Pass requests on until a signal comes. A process of its own does it; the bench sits in this one."""
    pipe: Pipe = multiprocessing.SimpleQueue()

    def drain() -> None:
        """Empty the pipe, which holds little, so that no request waits for a verdict."""
        while (taken := pipe.get()) is not None:
            bench.take(*taken)

    draining = threading.Thread(target=drain, daemon=True)
    draining.start()
    server = granian(host, port, THREADS, tls=tls)
    worker = _Worker(settings, host, port, announce, pipe)
    server.serve(target_loader=worker.load, wrap_loader=False)
    pipe.put(None)
    draining.join()


@contextmanager
def proxying(settings: Settings, give: Give) -> Iterator[str]:
    """Pass requests on from a thread of this process while the block runs, for tests; give the URL."""
    from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log(self, type: str, message: str, *args: Any) -> None:
            """Say nothing of a request."""

    server = ThreadedWSGIServer("127.0.0.1", 0, make_app(settings, give), Handler)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
