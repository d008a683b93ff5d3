"""What happens to method and path before they are routed (Go net/http ServeMux, grpc-gateway)."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import quote as percent_encoded

from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.messages import NO_BODY, Response

OVERRIDE = "x-http-method-override"
FORM = "application/x-www-form-urlencoded"

_UNCLEAN = re.compile(r"//|/\.\.?(?:/|$)")
_SAFE = "/$&+,:;=@!'()*~"


def clean_path(proceed: Proceed) -> Proceed:
    """Send a client to the path as Go's mux writes it; the method stays what it is."""

    def answer(exchange: Exchange) -> Response:
        request = exchange.request
        path = request.path
        if ("//" not in path and "/." not in path) or _UNCLEAN.search(path) is None or (clean := _clean(path)) is None:
            return proceed(exchange)
        target = percent_encoded((request.prefix + clean).encode("latin-1"), safe=_SAFE)
        return Response(307, (("Location", f"{target}?{request.query}" if request.query else target),), is_final=True)

    return answer


def _clean(path: str) -> str | None:
    """Return a path without its doubled slashes and dots, or None where that does not lead below /v1/."""
    clean = posixpath.normpath("/" + path.lstrip("/"))
    if path.endswith("/") and clean != "/":
        clean += "/"
    return clean if clean.startswith("/v1/") else None


def override_method(exchange: Exchange) -> None:
    """Give a form POST the method that it names in a header; its fields become the query."""
    request = exchange.request
    override = request.headers.get(OVERRIDE)
    if not override or request.method != "POST" or request.headers.get("content-type") != FORM:
        return
    query = "&".join(part for part in (request.body.read().decode("latin-1"), request.query) if part)
    exchange.request = request._replace(method=override.upper(), query=query, body=NO_BODY)
    exchange.body = b""
