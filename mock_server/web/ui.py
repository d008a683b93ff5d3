"""A production build of the web UI, served from the origin of the API (central/ui/mux.go)."""

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
_TYPES = mimetypes.MimeTypes()  # as built in: those of the machine may call a script a text


def blueprint(folder: Path) -> Blueprint:
    """Make the blueprint that answers before the API does."""
    made = Blueprint("ui", __name__)
    made.before_app_request(Ui(folder).answer)
    return made


class Ui:
    """Serves files of a folder, and its index.html for every other path of a page."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def answer(self) -> Response | None:
        """Return what stands in the place of the path that is asked for; None leaves it to the API.

        What is never a page is a 404 where it is unknown, which tells the UI of a failure.
        """
        path = request.path.removeprefix("/")
        first = path.partition("/")[0]
        if first in NOT_PAGES or request.method not in ("GET", "HEAD"):
            return None
        if self._holds(path):
            return self._file(path, _FOR_EVER if _HASHED.search(path) else None)
        return None if first == _ASSETS else self._page()

    def _holds(self, path: str) -> bool:
        """Return whether it is a file of the folder. What a link leads to outside is not, nor is a hidden file."""
        inside = safe_join(str(self.folder), path)
        if inside is None or any(each.startswith(".") for each in path.split("/") if each != ".well-known"):
            return False
        try:
            file = Path(inside).resolve()
            return file.is_relative_to(self.folder) and file.is_file()
        except (OSError, ValueError):  # a name that is too long, or has a NUL, is none of a file
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
