"""Injected faults: refuse, delay or break the answers to requests that match a fault."""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from mock_server.central.decoding import MAX_MESSAGE
from mock_server.central.delays import drawn
from mock_server.central.errors import Refusal
from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.messages import BodyTooLongError, Response
from mock_server.gateway.metadata import seconds_left
from mock_server.simulation.fault_forms import applied, preferences
from mock_server.simulation.faults import BODILESS, RULE, Fault, FaultError, RequestFacts

log = logging.getLogger("mock_central")

_PIECES = 20
_SECONDS_SLOW = 2.0


class Cut(ConnectionError):  # noqa: N818 (not an error: a fault asks for it)
    """A fault closes the connection here."""

    def __init__(self) -> None:
        super().__init__("a fault closes the connection; a test client without sockets gets this exception")


class Connections:
    """Closes connections with bodies that raise `Cut`, which is enough without sockets. `origin`: see `Request`."""

    def refusal_of_reset(self, _origin: Any) -> Refusal | None:
        """Return why the connection of a request cannot be reset, or None if it can."""
        return None

    def reset(self, _origin: Any) -> Response:
        """Return an answer that resets the connection before its first byte."""
        return Response(200, (("Content-Length", "1"),), cut_after(b""))

    def truncated(self, _origin: Any, whole: bytes) -> Iterator[bytes]:
        """Return a body that closes the connection after half of its bytes."""
        return cut_after(whole[: len(whole) // 2])


def cut_after(sent: bytes) -> Iterator[bytes]:
    """Return a body that raises `Cut` after these bytes."""
    if sent:
        yield sent
    raise Cut


class InjectFaults:
    """Applies the faults of the sandbox, or the one of the header `Prefer`.

    `connections` closes connections; a server replaces it according to its sockets.
    """

    def __init__(self, connections: Connections | None = None) -> None:
        self.connections = connections or Connections()

    def __call__(self, proceed: Proceed) -> Proceed:
        """Return a layer that applies faults."""

        def answer(exchange: Exchange) -> Response:
            prefer = exchange.request.headers.get("prefer")
            if prefer is None and not exchange.sandbox.faults.listed:
                return proceed(exchange)
            preferred = _preferred(exchange, prefer)
            fault = exchange.fault = preferred or _met(exchange)
            if fault is None:
                return proceed(exchange)
            if fault.delay:
                time.sleep(_pause(exchange, fault))
            origin = exchange.request.origin
            unable = self.connections.refusal_of_reset(origin) if fault.fault == "reset" else None
            if unable is not None:
                fault = exchange.fault = Fault(fault="reset")
            exchange.refusal = unable or fault.refusal() or exchange.refusal
            response = proceed(exchange)
            if preferred is not None:
                response = response.with_header("Preference-Applied", applied(preferred))
            return self._broken(response, fault.fault, origin) if fault.fault and unable is None else response

        return answer

    def _broken(self, response: Response, fault: str, origin: Any) -> Response:
        """Return the answer, broken as one of `ANSWER_FAULTS`."""
        whole = response.bytes
        if fault == "reset":
            return self.connections.reset(origin)
        if fault == "empty":
            whole = b""
            response = response.without_header("content-encoding")  # an empty body is not valid gzip
        elif fault == "garbage":
            whole = b"\xff\xff" + random.randbytes(max(len(whole) - 2, 14))  # FF FE would begin UTF-16
            response = response.without_header("content-encoding")  # the garbage must reach the client's JSON parser
        response = response._replace(body=whole).sized()
        if fault == "truncated":
            return response._replace(body=self.connections.truncated(origin, whole))
        return response._replace(body=_slowly(whole)) if fault == "slow" else response


def shaped(response: Response, fault: Fault, exchange: Exchange) -> Response:
    """Return the answer with the status, the headers and the body of a fault."""
    if fault.refusal() is not None and exchange.rule != RULE:
        return response  # a redirect came first
    if fault.code is not None:
        response = response._replace(status=fault.code, reason="")
    content = _content(exchange, fault)
    if content is not None:
        response = _with_content(
            response, *content, is_head=exchange.request.method == "HEAD" and not exchange.is_overridden
        )
    for name, _ in fault.headers:
        response = response.without_header(name)
    return response._replace(headers=(*response.headers, *fault.headers))


def _content(exchange: Exchange, fault: Fault) -> tuple[str, bytes] | None:
    """Return media type and bytes of the body of a fault, or None to keep the body."""
    if fault.body_kind:
        return fault.body()
    code = fault.code
    if code is None:
        return None
    if code in BODILESS or (300 <= code < 400 and not fault.execute):
        return "", b""
    if code >= 400 and fault.execute:
        error = exchange.sandbox.instance.errors.answer(fault.error())
        return "application/json", error.bytes
    return ("application/json", b"{}") if code < 300 and not fault.execute else None


def _with_content(response: Response, media_type: str, body: bytes, *, is_head: bool) -> Response:
    for name in ("content-type", "content-encoding", "content-length"):
        response = response.without_header(name)
    if media_type:
        response = response.with_header("Content-Type", media_type).with_header("Content-Length", str(len(body)))
    return response._replace(body=b"" if is_head else body)


def _pause(exchange: Exchange, fault: Fault) -> float:
    """Return the seconds of a delay; the gateway waits for an operation no longer than its caller."""
    seconds, request = drawn(fault.delay), exchange.request
    is_waited_for = fault.refusal() is None and exchange.sandbox.instance.routes.match(request.method, request.path)
    return min(seconds, seconds_left(exchange)) if is_waited_for else seconds


def _preferred(exchange: Exchange, header: str | None) -> Fault | None:
    if header is None:
        return None
    if not header:  # granian empties a header that is not ASCII
        log.warning("ignored Prefer: it is empty or not ASCII; POST /__admin/faults accepts other characters")
    try:
        fault, unknown = preferences(header)
    except FaultError as error:
        exchange.refusal = Refusal("prefer", 400, 3, f"Prefer: {error}")
        return None
    if unknown:
        log.info("ignored unknown preferences of Prefer: %s", ", ".join(unknown))
    return fault


def _met(exchange: Exchange) -> Fault | None:
    if exchange.refusal is not None or exchange.request.is_preflight:
        return None
    request = exchange.request
    endpoint, id = exchange.sandbox.instance.endpoint(request)
    try:
        return exchange.sandbox.faults.match(
            RequestFacts(
                endpoint,
                request.text,
                partial(_name, exchange, id),
                request.method,
                request.headers,
                request.query,
                partial(_sent, exchange),
            )
        )
    except Refusal as unanswered:  # the store failed to return the name, or the body did not arrive
        exchange.refusal = unanswered
        return None


def _name(exchange: Exchange, id: str) -> str:
    """Return the name of the integration of a request: as stored, as sent, or in the query."""
    stored = exchange.sandbox.central.store.get(id)
    if stored is not None:
        return str(stored.integration["name"])
    sent = _sent(exchange)
    try:
        return str(sent.get("name") or sent["config"]["name"])
    except (AttributeError, TypeError, KeyError):
        return parse_qs(exchange.request.query).get("name", [""])[0]


def _sent(exchange: Exchange) -> Any:
    """Return the decoded body of a request, or None if it is not JSON."""
    body = exchange.request.body
    if body.size is not None and body.size > MAX_MESSAGE:
        return None  # longer than any integration that Central accepts
    try:
        return json.loads(body.read())
    except (ValueError, RecursionError, BodyTooLongError):
        return None


def _slowly(body: bytes) -> Iterator[bytes]:
    step = max(-(-len(body) // _PIECES), 1)
    for at in range(0, len(body), step):
        yield body[at : at + step]
        time.sleep(_SECONDS_SLOW / _PIECES)
