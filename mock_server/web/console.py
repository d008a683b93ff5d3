"""The web console at `/__admin/`: static files. Its pages use the control calls."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from flask import Blueprint, Response, redirect, request
from werkzeug import Response as AnyResponse

from mock_server.web.control import PREFIX, refuse

_FOLDER = Path(__file__).with_name("console_pages")
_VIEWER_FILES = ("swagger-ui.css", "swagger-ui-bundle.js")
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_HEADERS = {
    # The viewer's style sheet contains pictures as data URLs.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def blueprint() -> Blueprint:
    """Return the blueprint of the console."""
    result = Blueprint("console", __name__, url_prefix=PREFIX)
    views: dict[str, Callable[..., AnyResponse]] = {
        "": lambda: redirect(f"{PREFIX.lstrip('/')}/", 308),  # relative, so that it stays in the sandbox
        "/": partial(_console_file, "index.html"),
        "/console/<name>": _console_file,
        "/viewer/<name>": _viewer_file,
    }
    for path, view in views.items():
        result.add_url_rule(path, f"console {path}", view, methods=["GET"], provide_automatic_options=False)
    return result


def _console_file(name: str) -> Response:
    """Return a file of the console."""
    return _answer(name, {each.name: each for each in _FOLDER.iterdir()}.get(name))


def _viewer_file(name: str) -> Response:
    """Return a file of Swagger UI."""
    return _answer(name, files("flask_swagger_ui").joinpath("dist", name) if name in _VIEWER_FILES else None)


def _answer(name: str, file: Traversable | None) -> Response:
    if file is None:
        raise refuse(404, f"the console has no file {name!r}")
    response = Response(file.read_bytes(), mimetype=_TYPES[Path(name).suffix], headers=_HEADERS)
    response.add_etag()
    response.make_conditional(request)
    return response
