"""A production build of the web UI, served under the same origin as the API (central/ui/mux.go)."""

from __future__ import annotations

import mimetypes
import re
from pathlib import Path

from flask import Blueprint, Response, request, send_from_directory
from werkzeug.security import safe_join

from mock_server.gateway.sandbox import NOT_PAGES

_ASSETS = "static"
_HASHED = re.compile(rf"^{_ASSETS}/.*-[\w-]{{8}}\.\w+$")
_FOR_EVER = 365 * 24 * 3600
_TYPES = mimetypes.MimeTypes()  # only the built-in types: those of the machine may map scripts to plain text


def blueprint(folder: Path) -> Blueprint:
    """Return the blueprint that answers before the API does."""
    made = Blueprint("ui", __name__)
    made.before_app_request(Ui(folder).answer)
    return made


class Ui:
    """Serves the files of a folder, and its index.html for every other page path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def answer(self) -> Response | None:
        """Return the answer for the requested path, or None to leave it to the API.

        An unknown path that is never a page is a 404, which shows the UI that something failed.
        """
        path = request.path.removeprefix("/")
        first = path.partition("/")[0]
        if first in NOT_PAGES or request.method not in ("GET", "HEAD"):
            return None
        if self._holds(path):
            return self._file(path, _FOR_EVER if _HASHED.search(path) else None)
        return None if first == _ASSETS else self._page()

    def _holds(self, path: str) -> bool:
        """Return whether a path is a file in the folder; hidden files and links to the outside are not."""
        inside = safe_join(str(self.folder), path)
        if inside is None or any(each.startswith(".") for each in path.split("/") if each != ".well-known"):
            return False
        try:
            file = Path(inside).resolve()
            return file.is_relative_to(self.folder) and file.is_file()
        except (OSError, ValueError):  # a name that is too long or contains NUL
            return False

    def _page(self) -> Response:
        page = self._file("index.html", None)
        page.headers["Cache-Control"] = "no-store, no-cache"
        page.headers["Content-Security-Policy"] = "frame-ancestors 'self'"
        return page

    def _file(self, path: str, max_age: int | None) -> Response:
        mimetype, _ = _TYPES.guess_type(path)
        sent = send_from_directory(self.folder, path, mimetype=mimetype, max_age=max_age)
        sent.headers["X-Content-Type-Options"] = "nosniff"
        return sent
