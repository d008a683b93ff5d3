"""Bodies that do not come: how many may be waited for at once, and for how long.

Reading a body holds a thread of the server until the body is whole, and WSGI knows no time limit for it. So only some
of the threads may wait for bodies, and a body that is overdue is ended by its connection.
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

PATIENCE = 1.0
"""Seconds after which a body that is not whole is taken for one that does not come."""
TIMEOUT = 60.0
"""Seconds that a body has, unless told otherwise; by then granian has closed the connections that are idle."""

_INTERVAL = 0.5


class Bodies:
    """A WSGI app before another, which sees to the bodies of its requests."""

    def __init__(self, app: WSGIApplication, seconds: float) -> None:
        """`seconds`: the time that a body has to come whole."""
        self._app = app
        self._seconds = seconds
        self._waiting = Places[_Body](MOST_WAITING, PATIENCE)
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
            refusal = Refusal("http", 408, 4, f"the body did not come within {self._seconds:g} seconds")
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
        """When it began to be read, in monotonic seconds."""
        self.refusal: Refusal | None = None

    def read(self, *size: int) -> bytes:
        """Read so many bytes, or all there are.

        Raises:
            Refusal: they did not come in time, or too many bodies are waited for.
        """
        self.since = self.since or time.monotonic()
        if not self._places.take(self):  # left unread it ends the connection
            text = (
                f"{MOST_WAITING} requests wait for bodies that do not come, as many as may; "
                f"they have {self._seconds:g} seconds, and requests without a body are answered meanwhile"
            )
            raise Refusal("http", 503, 14, text)
        try:
            found: bytes = self._read(*size)
        finally:
            self._places.release(self)
        if self.refusal is not None:
            raise self.refusal
        return found
