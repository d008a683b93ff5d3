"""Encoding of answers: headers, warnings, indent, compression."""

from __future__ import annotations

import contextlib
import gzip
import re
from collections.abc import Mapping
from urllib.parse import quote as percent_encoded

from mock_server.central import protojson
from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.messages import Headers, Response
from mock_server.golang import url as gourl

RULE_HEADER = "Mock-Central-Rule"
WARNING_HEADER = "Mock-Central-Warning"

GZIP_FROM = 1400
"""Size in bytes from which an answer is compressed (the default of Central's gzip handler)."""

JSON_HEADERS: Headers = (
    ("Content-Type", "application/json"),
    ("Cache-Control", "no-store, no-cache"),
    ("Vary", "Accept-Encoding"),
)
TEXT_HEADERS: Headers = (("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff"))
"""Headers of Go's http.Error, for refusals before the gateway."""
GATEWAY_HEADERS: Headers = (*JSON_HEADERS, ("Grpc-Metadata-Content-Type", "application/grpc"))
"""Headers of successful answers of Central's gRPC gateway."""

_LONGEST_HEADER = 2000
_PRETTY = "application/json+pretty"
_PRETTY_TYPE = re.compile(
    r"\s*application/json\+pretty\s*(?:;\s*[\w.-]+=(?:[\w.-]+|\"[^\"]*\")\s*)*;?\s*", re.IGNORECASE
)


def encode(proceed: Proceed) -> Proceed:
    """Add warnings and `Content-Length`; indent and compress the body if the client accepts it."""

    def answer(exchange: Exchange) -> Response:
        query = exchange.request.query  # the URL's, before the fields of a form replace it
        response = proceed(exchange)
        if response.is_final:
            return response
        request, headers, body = exchange.request, response.headers, response.body
        assert isinstance(body, bytes)  # only final bodies are streamed
        if exchange.violations:
            headers += ((WARNING_HEADER, header_text("; ".join(map(str, exchange.violations)))),)
        is_json = headers[:1] == JSON_HEADERS[:1]
        if body and is_json and _is_indent_wanted(query, request.headers):
            body = protojson.indented(body)
        size = len(body)
        if size >= GZIP_FROM and _accepts_gzip(request.headers.get("accept-encoding", "")):
            body = gzip.compress(body, compresslevel=1, mtime=0)  # without a time, equal answers are equal bytes
            headers, size = (*headers, ("Content-Encoding", "gzip")), len(body)
        body = b"" if request.method == "HEAD" and not exchange.is_overridden else body
        return Response(response.status, (*headers, ("Content-Length", str(size))), body)

    return answer


def _is_indent_wanted(query: str, headers: Mapping[str, str]) -> bool:
    """Return whether a query key, `Accept` or `Content-Type` asks for an indent (pkg/grpc/server.go, grpc-gateway)."""
    if query and "pretty" in gourl.query_keys(query):
        return True
    accepted = headers.get("accept")
    return accepted == _PRETTY or (
        accepted != "*" and _PRETTY_TYPE.fullmatch(headers.get("content-type", "")) is not None
    )


def _accepts_gzip(header: str) -> bool:
    """Return whether gzip has a weight above zero, as Central's gzip handler reads it."""
    weight = 0.0
    for each in header.split(","):
        coding, *parameters = (part.strip() for part in each.split(";"))
        if coding.lower() == "gzip":
            with contextlib.suppress(ValueError):  # an invalid weight does not count
                weight = next((float(part[2:]) for part in reversed(parameters) if part.startswith("q=")), 1.0)
    return weight > 0


def header_text(text: str) -> str:
    """Return a text for a header: one line of printable ASCII, shortened if needed."""
    safe = percent_encoded(text, safe=" !\"#$&'()*+,/:;<=>?@[\\]^`{|}~-._")
    return safe if len(safe) <= _LONGEST_HEADER else safe[:_LONGEST_HEADER] + "..."
