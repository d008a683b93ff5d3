"""How JSON answers are written: headers, warnings, the indent and the compression that were asked for."""

from __future__ import annotations

import contextlib
import gzip
import re
from urllib.parse import quote as percent_encoded

from mock_server.central import protojson
from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.messages import Headers, Response

RULE_HEADER = "Mock-Central-Rule"
WARNING_HEADER = "Mock-Central-Warning"

GZIP_FROM = 1400
"""Bytes from which an answer is compressed (the default of Central's gzip handler)."""

JSON_HEADERS: Headers = (
    ("Content-Type", "application/json"),
    ("Cache-Control", "no-store, no-cache"),
    ("Vary", "Accept-Encoding"),
)
TEXT_HEADERS: Headers = (("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff"))
"""Of Go's http.Error, for what is refused before the gateway."""
GATEWAY_HEADERS: Headers = (*JSON_HEADERS, ("Grpc-Metadata-Content-Type", "application/grpc"))
"""Of what Central's gRPC gateway answers when all went well."""

_LONGEST_HEADER = 2000
_PRETTY_KEY = re.compile(r"(?:^|&)pretty(?:=|&|$)")


def encode(proceed: Proceed) -> Proceed:
    """Answer in the form that was asked for, with the warnings that the request earned and the length of the body."""

    def answer(exchange: Exchange) -> Response:
        response = proceed(exchange)
        if response.is_final:
            return response
        request, headers, body = exchange.request, response.headers, response.body
        assert isinstance(body, bytes)  # only what is final comes in pieces
        if exchange.violations:
            headers += ((WARNING_HEADER, header_text("; ".join(map(str, exchange.violations)))),)
        is_json = headers[:1] == JSON_HEADERS[:1]
        is_pretty = is_json and request.query and _PRETTY_KEY.search(request.query)
        if body and is_json and (is_pretty or request.headers.get("accept") == "application/json+pretty"):
            body = protojson.indented(body)
        size = len(body)
        if size >= GZIP_FROM and _accepts_gzip(request.headers.get("accept-encoding", "")):
            body = gzip.compress(body, compresslevel=1, mtime=0)  # without a time of day equal answers are equal bytes
            headers, size = (*headers, ("Content-Encoding", "gzip")), len(body)
        body = b"" if request.method == "HEAD" else body
        return Response(response.status, (*headers, ("Content-Length", str(size))), body)

    return answer


def _accepts_gzip(header: str) -> bool:
    """Return whether gzip has a weight above zero, as Central's gzip handler reads it."""
    weight = 0.0
    for each in header.split(",") if header else ():
        coding, *parameters = (part.strip() for part in each.split(";"))
        if coding.lower() == "gzip":
            with contextlib.suppress(ValueError):  # what is no number does not count
                weight = next((float(part[2:]) for part in reversed(parameters) if part.startswith("q=")), 1.0)
    return weight > 0


def header_text(text: str) -> str:
    """Make a text fit for a header: one line of printable ASCII, not too long."""
    safe = percent_encoded(text, safe=" !\"#$&'()*+,/:;<=>?@[\\]^`{|}~-._")
    return safe if len(safe) <= _LONGEST_HEADER else safe[:_LONGEST_HEADER] + "..."
