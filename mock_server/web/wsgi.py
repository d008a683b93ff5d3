"""Calls to WSGI apps without a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from io import BytesIO, StringIO
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Answer(NamedTuple):
    """The answer of an app; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def environ(method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the WSGI environment of a request; `target` is the encoded path with its query."""
    path, _, query = target.partition("?")
    found: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(body),
        "wsgi.errors": StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in (headers or {}).items():
        key = name.upper().replace("-", "_")
        found[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    return found


def ask(app: App, request: dict[str, Any]) -> Answer:
    """Send a request to an app, and read the whole answer."""
    started: list[Any] = []
    answer = app(request, lambda *given: started.extend(given))
    try:
        whole = b"".join(answer)
    finally:
        getattr(answer, "close", lambda: None)()
    return Answer(int(started[0].split()[0]), {name.lower(): value for name, value in started[1]}, whole)
