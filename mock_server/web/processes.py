"""The refusal of several processes, as with `gunicorn -w 2`: each would have a separate state."""

from __future__ import annotations

import logging
from functools import cache

from mock_server.central import protojson
from mock_server.central.errors import Refusal
from mock_server.gateway.encoding import JSON_HEADERS, RULE_HEADER
from mock_server.gateway.messages import Response

log = logging.getLogger("mock_central")

RULE = "several-processes"
_TEXT = (
    "the server runs several processes (wsgi.multiprocess), and each would have its own state in memory; run one "
    "process with threads, such as `gunicorn --workers 1 --threads 32`, or share the state: "
    "Settings(store='redis://...')"
)


def divided_state() -> Response:
    """Return a 500 in Central's error shape, and log why once."""
    _log_once()
    body = protojson.render(Refusal(RULE, 500, 13, _TEXT).body())
    return Response(500, (*JSON_HEADERS, (RULE_HEADER, RULE)), body)


@cache
def _log_once() -> None:
    log.error("every request is refused: %s", _TEXT)
