"""Incomplete request bodies: how many requests may wait for one, and for how long.

Reading a body occupies a thread of the server until the body is complete, and WSGI has no timeout for it. So only some
of the threads may wait for bodies, and the connection of an overdue body is closed.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mock_server.central.errors import Refusal
from mock_server.serving.connection_faults import stop_reading
from mock_server.web.threads import BODIES as MOST_WAITING
from mock_server.web.threads import Places

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

TIMEOUT = 60.0
"""Default timeout of a body in seconds; granian has closed idle connections by then."""

_INTERVAL = 0.5


class Bodies:
    """A WSGI app in front of another that limits the waiting for request bodies."""

    def __init__(self, app: WSGIApplication, seconds: float) -> None:
        """`seconds`: the timeout of a body."""
        self._app = app
        self._seconds = seconds
        self._waiting = Places[_Body](MOST_WAITING)
        threading.Thread(target=self._look_at_times, daemon=True).start()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if environ.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in environ:
            environ["wsgi.input"] = _Body(environ, self._waiting, self._seconds)
        return self._app(environ, start_response)

    def _look_at_times(self) -> None:
        while True:
            time.sleep(_INTERVAL)
            self._end_overdue()

    def _end_overdue(self) -> None:
        now = time.monotonic()
        found: defaultdict[tuple[str, str], list[_Body]] = defaultdict(list)
        for each in self._waiting.holders():
            if now - each.since > self._seconds:
                found[each.ends].append(each)
        for (address, port), bodies in found.items():
            refusal = Refusal("http", 408, 4, f"the body did not arrive within {self._seconds:g} seconds")
            for each in bodies:
                each.refusal = refusal
            stop_reading(address, int(port), min(now - each.since for each in bodies), most=len(bodies))


class _Body:
    """The body of one request."""

    __slots__ = ("_places", "_read", "_seconds", "ends", "refusal", "since")

    def __init__(self, environ: WSGIEnvironment, places: Places[_Body], seconds: float) -> None:
        self._read = environ["wsgi.input"].read
        self._places = places
        self._seconds = seconds
        self.ends: tuple[str, str] = environ["REMOTE_ADDR"], environ["SERVER_PORT"]
        self.since = 0.0
        """Start of reading, in monotonic seconds."""
        self.refusal: Refusal | None = None

    def read(self, *size: int) -> bytes:
        """Read so many bytes, or all.

        Raises:
            Refusal: they did not arrive in time, or too many requests wait for bodies.
        """
        self.since = self.since or time.monotonic()
        if not self._places.take(self):  # an unread rest closes the connection
            text = (
                f"the maximum of {MOST_WAITING} requests are waiting for incomplete bodies; "
                f"they have {self._seconds:g} seconds, and requests without a body are still answered"
            )
            raise Refusal("http", 503, 14, text)
        try:
            found: bytes = self._read(*size)
        finally:
            self._places.release(self)
        if self.refusal is not None:
            raise self.refusal
        return found
