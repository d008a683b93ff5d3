"""Several processes, as of `gunicorn -w 2`: each would answer from a state of its own."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from mock_server.central import protojson
from mock_server.central.errors import Refusal

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

log = logging.getLogger("mock_central")

RULE = "several-processes"
_TEXT = (
    "the server runs several processes (wsgi.multiprocess), and each would keep a state of its own in memory; run one "
    "process with threads, such as `gunicorn --workers 1 --threads 32`, or share the state: "
    "Settings(store='redis://...')"
)


def refuse_divided_state(start_response: StartResponse) -> Iterable[bytes]:
    """Answer 500, in Central's error shape, and log why."""
    _log_once()
    body = protojson.render(Refusal(RULE, 500, 13, _TEXT).body())
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Mock-Central-Rule", RULE),
    ]
    start_response("500 INTERNAL SERVER ERROR", headers)
    return [body]


@cache
def _log_once() -> None:
    log.error("every request is refused: %s", _TEXT)
