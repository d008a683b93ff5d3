"""Headers that grpc-gateway converts to gRPC metadata, and the caller's time-out (runtime/context.go)."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping

from mock_server.central.errors import Refusal
from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.messages import Response

_PREFIX = "grpc-metadata-"
_TIMEOUT = re.compile(r"([+-]?[0-9]+)([HMSmun])", re.ASCII)
_NANOSECONDS = {"H": 3600 * 10**9, "M": 60 * 10**9, "S": 10**9, "m": 10**6, "u": 1000, "n": 1}
_LARGEST = 2**63 - 1
_NOT_CARRIED = {
    _PREFIX: "there is an empty key in the header",
    f"{_PREFIX}connection": "stream terminated by RST_STREAM with error code: PROTOCOL_ERROR",
}
"""Headers whose names HTTP/2 does not allow in metadata."""
_CREDENTIALS = ("authorization", f"{_PREFIX}authorization")
_UNPRINTABLE = 'header key "authorization" contains value with non-printable ASCII characters'
_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


def annotate(proceed: Proceed) -> Proceed:
    """Refuse invalid metadata before the body is decoded, and note the deadline."""

    def answer(exchange: Exchange) -> Response:
        headers = exchange.request.headers
        if timeout := headers.get("grpc-timeout"):
            # From the start of the request, so that a time-out of microseconds always expires, as in Central.
            exchange.deadline = exchange.started + _seconds(timeout)
        for name, value in headers.items():
            if name.startswith(_PREFIX) and name.endswith("-bin"):
                _check_binary(name, value)
        return proceed(exchange)

    return answer


def seconds_left(exchange: Exchange) -> float:
    """Return the seconds until the caller's time-out, which are infinite without a valid one."""
    try:
        seconds = _seconds(exchange.request.headers.get("grpc-timeout") or "0S")
    except Refusal:
        return math.inf
    return max(exchange.started + seconds - time.perf_counter(), 0.0)


def check_call(exchange: Exchange) -> None:
    """Raise a refusal if gRPC's client does not make the call."""
    headers = exchange.request.headers
    for name, text in _NOT_CARRIED.items():
        if name in headers:
            raise Refusal("grpc-metadata", 500, 13, text)
    if time.perf_counter() >= exchange.deadline:
        raise Refusal("deadline", 504, 4, "context deadline exceeded")
    for name in _CREDENTIALS:
        sent = headers.get(name, "")
        if not (sent.isascii() and sent.isprintable()):
            raise Refusal("header-text", 500, 13, _UNPRINTABLE)


def _seconds(timeout: str) -> float:
    """Return the seconds of a time-out: 0 is unlimited, and large values overflow as in Go."""
    match = _TIMEOUT.fullmatch(timeout)
    if match is None or abs(int(match[1][:22])) > _LARGEST:
        raise Refusal("grpc-timeout", 400, 3, f"invalid grpc-timeout: {timeout}")
    return ((int(match[1]) * _NANOSECONDS[match[2]] + 2**63) % 2**64 - 2**63) / 1e9 or math.inf


def _check_binary(name: str, value: str) -> None:
    at = _base64_fault(value)
    if at is not None:
        shown = "-".join(part.capitalize() for part in name.split("-"))
        text = f"invalid binary header {shown}: illegal base64 data at input byte {at}"
        raise Refusal("grpc-metadata", 400, 3, text)


def _base64_fault(value: str) -> int | None:
    """Return the offset of Go's error in encoding/base64, or None; padding needs a length divisible by four."""
    if len(value) % 4:
        fault = next((at for at, character in enumerate(value) if character not in _ALPHABET), None)
        return len(value) - 1 if fault is None and len(value) % 4 == 1 else fault
    for at, character in enumerate(value):
        if character in _ALPHABET:
            continue
        if character == "=" and at % 4 == 2 and value[at + 1] == "=":
            return None if at + 2 == len(value) else at + 2
        if character == "=" and at % 4 == 3:
            return None if at + 1 == len(value) else at + 1
        return at
    return None


def credentials(headers: Mapping[str, str]) -> str | None:
    """Return the credentials of a request, from a header or metadata; of two, use the first, if it is basic."""
    sent, as_metadata = map(headers.get, _CREDENTIALS)
    found = as_metadata if sent is None else sent
    if found is None:
        return None
    first, comma, _ = found.partition(",")  # servers join repeated headers
    is_alone = (sent is None or as_metadata is None) and not comma
    return first if is_alone or first.startswith("Basic ") else None
