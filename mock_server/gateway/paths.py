"""Cleaning of paths, and method overrides (Go net/http ServeMux, grpc-gateway)."""

from __future__ import annotations

import html
import posixpath
import re
from urllib.parse import quote as percent_encoded

from mock_server.central.errors import Refusal
from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.hosts import OWN
from mock_server.gateway.messages import NO_BODY, Response

OVERRIDE = "x-http-method-override"
FORM = "application/x-www-form-urlencoded"

_UNCLEAN = re.compile(r"//|/\.\.?(?:/|$)")
_SAFE = "/$&+,:;=@!'()*~"

_ROOTS = ("/v1", "/v2")
"""Roots of the APIs; a root redirects to the path with a slash."""
_GATEWAY = tuple(f"{root}/" for root in _ROOTS)
_LONGEST_FORM = 10 << 20
"""Greatest size in bytes of a form that Go reads (net/http parsePostForm)."""


def clean_path(proceed: Proceed) -> Proceed:
    """Redirect to the cleaned path, as Go's mux does."""

    def answer(exchange: Exchange) -> Response:
        request = exchange.request
        path = request.path
        if path not in _ROOTS:
            if ("//" not in path and "/." not in path) or _UNCLEAN.search(path) is None:
                return proceed(exchange)
            sent = request.target.partition("?")[0]
            if sent.startswith("/") and _UNCLEAN.search(sent) is None:  # only escaped dots or slashes, which stay
                return proceed(exchange)
            path = _clean(path)
        if path in _ROOTS:
            path += "/"
        if path.startswith(OWN):  # the mock's own paths have no redirects
            return proceed(exchange)
        target = percent_encoded((request.prefix + path).encode("latin-1"), safe=_SAFE)
        target = f"{target}?{request.query}" if request.query else target
        return _redirect(target, request.method, keeps_method=exchange.sandbox.central.build.keeps_method)

    return answer


def _redirect(target: str, method: str, *, keeps_method: bool) -> Response:
    """Return the answer of Go's http.Redirect, which has a body only for GET."""
    status, text = (307, "Temporary Redirect") if keeps_method else (301, "Moved Permanently")
    headers: tuple[tuple[str, str], ...] = (("Location", target),)
    if method in ("GET", "HEAD"):
        headers = (("Content-Type", "text/html; charset=utf-8"), *headers)
    body = f'<a href="{html.escape(target)}">{text}</a>.\n\n' if method == "GET" else ""
    return Response(status, headers, body.encode("latin-1"))


def _clean(path: str) -> str:
    """Return a path without its doubled slashes and dots."""
    clean = posixpath.normpath("/" + path.lstrip("/"))
    if path.endswith("/") and clean != "/":
        clean += "/"
    return clean


def override_method(exchange: Exchange) -> None:
    """Change a form POST to the gateway to the method in its header; its fields become the query.

    A form or a query that cannot be decoded is an early refusal, because Go reads them before the method changes.
    """
    request = exchange.request
    override = request.headers.get(OVERRIDE)
    if not override or request.method != "POST" or request.headers.get("content-type") != FORM:
        return
    if not request.path.startswith(_GATEWAY):
        return
    form = request.body.read().decode("latin-1")
    decoding = exchange.sandbox.central.decoding
    try:
        if len(form) > _LONGEST_FORM:
            raise decoding.rules.refusal("query-encoding", reason="http: POST too large")
        for each in (form, request.query):
            decoding.parsed_query(each)
    except Refusal as refusal:
        exchange.refusal = exchange.refusal or refusal
    query = "&".join(part for part in (form, request.query) if part)
    exchange.request = request._replace(method=override.upper(), query=query, body=NO_BODY)
    exchange.is_overridden = True
    exchange.body = b""
