"""A reverse proxy in front of a Central: it forwards everything and observes the requests of the API.

The mock's `--upstream` does the forwarding (`mock_server.web.upstream`): bodies are streamed and stay compressed,
redirects are not followed, TLS is verified. This module only records the exchanges.
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
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeAlias

from flask import Response
from urllib3.exceptions import HTTPError, ProtocolError
from werkzeug import Request

from contract_tests.engine.failures import Failure, HarnessError
from contract_tests.traffic.exchanges import Seen, headers_of, plain
from contract_tests.traffic.judge import Judge
from contract_tests.traffic.sources import METADATA, version_in
from mock_server.contract import tables as contracts
from mock_server.contract.routes import Routes
from mock_server.serving.addresses import when_listening
from mock_server.serving.tls import Tls
from mock_server.serving.worker import granian, leave_signals_to_supervisor
from mock_server.settings import Settings
from mock_server.web.upstream import NoAnswerError, Upstream

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue as SharedQueue

    from _typeshed.wsgi import WSGIApplication
    from urllib3 import BaseHTTPResponse

_GZIP = b"\x1f\x8b"
THREADS = 64
"""Maximum number of concurrent requests, including streams."""
_LONGEST_BODY = 4 * 2**20
"""Maximum size in bytes of a body that is judged; a longer one is only forwarded."""

_WATCH = "central_contract.watch"
"""WSGI key of the watch of a request."""

Pipe: TypeAlias = "SharedQueue[tuple[Seen, float] | None]"
Give = Callable[[Seen, float], object]
"""Receives an exchange that has ended, and the time at which the oldest pending request began."""


class _Kept:
    """The bytes of a forwarded body, up to a limit."""

    def __init__(self, readable: Any = None) -> None:
        self._readable = readable
        self._pieces: list[bytes] = []
        self._size = 0
        self.is_whole = readable is None

    def read(self, size: int = -1) -> bytes:
        """Read from the body that is passed on; urllib3 calls this."""
        piece: bytes = self._readable.read(size)
        self.is_whole = not piece
        self.add(piece)
        return piece

    def add(self, piece: bytes) -> None:
        """Keep a piece, unless the body is too long."""
        self._size += len(piece)
        if self._size <= _LONGEST_BODY:
            self._pieces.append(piece)
        else:
            self._pieces.clear()

    @property
    def content(self) -> bytes | None:
        """The whole body, or None if it is too long or has not ended."""
        return b"".join(self._pieces) if self.is_whole and self._size <= _LONGEST_BODY else None


class _Watch:
    """A pending request of the API."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.body = _Kept()
        self.reply = _Kept()
        self.status = 0
        self.reply_headers: list[tuple[str, str]] = []
        self.dropped = False
        self.answered = 0.0
        """Time of the last byte of the answer: Central has finished by then, whenever the client reads it."""


class Tap(Upstream):
    """The upstream behind the proxy; calls `give` with each exchange of the API."""

    def __init__(self, settings: Settings, give: Give) -> None:
        super().__init__(settings, most=THREADS - 4)
        self._give = give
        self._routes = Routes(contracts.load())
        self._lock = threading.Lock()
        self._under_way: dict[int, float] = {}
        self._start = time.time() - time.perf_counter()

    def _now(self) -> float:
        """Return the time of a monotonic clock in seconds, to the microsecond that a HAR holds."""
        return round(self._start + time.perf_counter(), 6)

    def answer(self, request: Request) -> Response:
        """Pass the request on, and return the answer."""
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
        assert response is not None  # the proxy answers nothing itself
        return response

    def _end(self, watch: _Watch, seen: Seen) -> None:
        headers = headers_of(watch.reply_headers)
        content = watch.reply.content
        encoding = headers.get("Content-Encoding", "")
        with self._lock:
            if self._under_way.pop(id(watch), None) is None:
                return  # closed a second time
            seen = dataclasses.replace(
                seen,
                status=watch.status,
                began=watch.began,
                ended=max(watch.answered or self._now(), round(watch.began + 1e-6, 6)),
                body=watch.body.content,
                reply_headers=headers,
                reply=None if content is None else plain(content, encoding),
                # An answer that is wrongly declared as compressed is unreadable for clients, too.
                dropped=watch.dropped or (encoding == "gzip" and not (content or _GZIP).startswith(_GZIP)),
            )
            self._give(seen, min(self._under_way.values(), default=self._now()))

    def _let_stream(self, streams: bool) -> None:
        """Do nothing: the proxy streams every answer."""

    def _body(self, request: Request) -> Any:
        if watch := request.environ.get(_WATCH):
            watch.body = _Kept(request.stream)
            return watch.body
        return request.stream

    def _passed_back(self, request: Request, answer: BaseHTTPResponse) -> Response:
        if watch := request.environ.get(_WATCH):
            watch.status = answer.status
            watch.reply_headers = list(answer.headers.items())
            watch.reply.is_whole = request.method == "HEAD" or answer.status in (204, 304)  # the answer has no body
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
    """Return the WSGI app that passes everything on to `settings.upstream`."""
    tap = Tap(settings, give)

    @Request.application
    def answer(request: Request) -> Response:
        try:
            return tap.answer(request)
        except NoAnswerError as refusal:
            return Response(json.dumps(refusal.body()), refusal.status, mimetype="application/json")

    return answer


class JudgeThread(threading.Thread):
    """Judges exchanges in a thread, so that no request waits for a verdict."""

    def __init__(
        self, new_judge: Callable[[str], Judge], keep: Callable[[Seen], object], show: Callable[[Failure], object]
    ) -> None:
        """Start judging with the first request of the API.

        Args:
            new_judge: Returns the judge for a release of Central; "" if the release is unknown.
            keep: Called with each exchange, without credentials.
            show: Called with each kind of fault when it first occurs.
        """
        super().__init__(daemon=True)
        self._queue: SimpleQueue[tuple[Seen, float] | None] = SimpleQueue()
        self._new_judge = new_judge
        self._keep = keep
        self._show = show
        self._version = ""
        self._judge: Judge | None = None
        self._reported = 0
        self.error = ""
        """Why an exchange could not be judged or kept, so that the run cannot pass; "" if all were."""

    def take(self, seen: Seen, oldest: float) -> None:
        """Queue an exchange to be judged; matches `Give`."""
        self._queue.put((seen, oldest))

    def run(self) -> None:
        """Judge exchanges until the end of the queue."""
        while (taken := self._queue.get()) is not None:
            seen, oldest = taken
            if seen.target.partition("?")[0] == METADATA:
                self._version = self._version or version_in(seen)
                continue
            with self._recording_errors():
                self._keep(self.judge.add(seen))
                self._settle(oldest)

    @contextmanager
    def _recording_errors(self) -> Iterator[None]:
        """Record an error instead of raising it, so that later requests are still forwarded and judged."""
        try:
            yield
        except HarnessError as error:
            self.error = str(error)
        except Exception:  # noqa: BLE001 (a bug of the judge)
            self.error = traceback.format_exc(limit=-4)

    def _settle(self, oldest: float) -> None:
        self.judge.settle(oldest)
        found = self.judge.findings.failures
        for failure in found[self._reported :]:
            self._show(failure)
        self._reported = len(found)

    @property
    def judge(self) -> Judge:
        """The judge, after the first request."""
        if self._judge is None:
            self._judge = self._new_judge(self._version)
        return self._judge

    def close(self) -> Judge:
        """Judge all remaining exchanges, and return the judge."""
        self._queue.put(None)
        self.join()
        with self._recording_errors():
            self._settle(math.inf)
        return self.judge


def _load_app(settings: Settings, host: str, port: int, announce: Callable[[], None], pipe: Pipe) -> WSGIApplication:
    """Return the app, in the worker process."""
    leave_signals_to_supervisor()
    threading.Thread(target=when_listening, args=(host, port, announce), daemon=True).start()
    return make_app(settings, lambda seen, oldest: pipe.put((seen, oldest)))


def serve(
    settings: Settings, host: str, port: int, give: Give, *, tls: Tls | None, announce: Callable[[], None]
) -> None:
    """Forward requests until a signal arrives, in a separate process; `give` is called in this process."""
    pipe: Pipe = multiprocessing.SimpleQueue()

    def drain() -> None:
        """Empty the pipe, which is small, so that no request waits for a verdict."""
        while (taken := pipe.get()) is not None:
            give(*taken)

    draining = threading.Thread(target=drain, daemon=True)
    draining.start()
    server = granian(host, port, THREADS, tls=tls)
    load = partial(_load_app, settings, host, port, announce, pipe)
    server.serve(target_loader=load, wrap_loader=False)
    pipe.put(None)
    draining.join()
