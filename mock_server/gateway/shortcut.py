"""The short way to an operation: most requests need nothing of what Flask does for each.

Only a path that reads one way is taken: what is encoded, spelled otherwise or asked for with another method is left
to Flask, whose answer is the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from mock_server.contract.tables import Contract, Operation
from mock_server.gateway.operations import Handler
from mock_server.sandboxes.central import MAX_MESSAGE

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_ID = "/{id}"
_PLAIN_ID = re.compile(r"[A-Za-z0-9-]+", re.ASCII)


class Found(NamedTuple):
    """What a request is for."""

    operation: Operation
    handler: Handler
    id: str


class Shortcut:
    """Operations by method and path."""

    def __init__(self, contract: Contract, handlers: Mapping[str, Handler]) -> None:
        self._whole: dict[tuple[str, str], Found] = {}
        self._items: dict[tuple[str, str], Found] = {}
        for each in contract.operations.values():
            by_path = self._items if each.path.endswith(_ID) else self._whole
            by_path[each.method, each.path.removesuffix(_ID)] = Found(each, handlers[each.id], "")

    def __call__(self, environ: WSGIEnvironment) -> Found | None:
        """Find the operation that a request is for, or None where that is for Flask to tell."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        found = self._whole.get((method, path))
        if found is None:
            collection, _, id = path.rpartition("/")
            found = self._items.get((method, collection))
            if found is None or _PLAIN_ID.fullmatch(id) is None:
                return None
            found = Found(found.operation, found.handler, id)
        return found if self._is_plain(environ, found.operation) else None

    def _is_plain(self, environ: Mapping[str, Any], operation: Operation) -> bool:
        if "HTTP_X_HTTP_METHOD_OVERRIDE" in environ or "mock_central.refusal" in environ:
            return False
        length = environ.get("CONTENT_LENGTH", "")
        if operation.request is None:  # and nobody reads a body
            return length in ("", "0") and "HTTP_TRANSFER_ENCODING" not in environ
        return length.isdigit() and int(length) <= MAX_MESSAGE
