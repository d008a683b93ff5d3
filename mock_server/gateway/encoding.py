"""How JSON answers are written: headers, warnings, the indent and the compression that were asked for."""

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
_PRETTY = "application/json+pretty"
_PRETTY_TYPE = re.compile(
    r"\s*application/json\+pretty\s*(?:;\s*[\w.-]+=(?:[\w.-]+|\"[^\"]*\")\s*)*;?\s*", re.IGNORECASE
)


def encode(proceed: Proceed) -> Proceed:
    """Answer in the form that was asked for, with the warnings that the request earned and the length of the body."""

    def answer(exchange: Exchange) -> Response:
        query = exchange.request.query  # of the URL: the fields of a form ask for no indent
        response = proceed(exchange)
        if response.is_final:
            return response
        request, headers, body = exchange.request, response.headers, response.body
        assert isinstance(body, bytes)  # only what is final comes in pieces
        if exchange.violations:
            headers += ((WARNING_HEADER, header_text("; ".join(map(str, exchange.violations)))),)
        is_json = headers[:1] == JSON_HEADERS[:1]
        if body and is_json and _is_indent_wanted(query, request.headers):
            body = protojson.indented(body)
        size = len(body)
        if size >= GZIP_FROM and _accepts_gzip(request.headers.get("accept-encoding", "")):
            body = gzip.compress(body, compresslevel=1, mtime=0)  # without a time of day equal answers are equal bytes
            headers, size = (*headers, ("Content-Encoding", "gzip")), len(body)
        body = b"" if request.method == "HEAD" else body
        return Response(response.status, (*headers, ("Content-Length", str(size))), body)

    return answer


def _is_indent_wanted(query: str, headers: Mapping[str, str]) -> bool:
    """Return what pkg/grpc/server.go and grpc-gateway do: a query key, or Accept, or the type of the body."""
    if query and "pretty" in gourl.query_keys(query):
        return True
    accepted = headers.get("accept")
    return accepted == _PRETTY or (
        accepted != "*" and _PRETTY_TYPE.fullmatch(headers.get("content-type", "")) is not None
    )


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
