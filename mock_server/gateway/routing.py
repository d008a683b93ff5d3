"""Routing to an operation, for every path and method at and below the collection."""

from __future__ import annotations

import re

from mock_server.central.errors import Refusal, Rules
from mock_server.contract.routes import Routes
from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.messages import Response, utf8
from mock_server.gateway.paths import OVERRIDE, override_method

_GRPC = "application/grpc"
_GRPC_TYPE = re.compile(r"application/grpc(?:-web)?(?:\+.*)?")
"""Central routes these content types to gRPC, which cannot answer over HTTP/1 (golang.stackrox.io/grpc-http1)."""


def route(routes: Routes, rules: Rules, elsewhere: Proceed, proceed: Proceed) -> Proceed:
    """Find the operation, or let `elsewhere` answer other paths.

    Refuse gRPC and unknown operations, and raise an early refusal now that the operation is known.
    """

    def answer(exchange: Exchange) -> Response:
        content_type = exchange.request.headers.get("content-type", "")
        if content_type.startswith(_GRPC) and _GRPC_TYPE.fullmatch(content_type):
            raise Refusal("no-grpc", 500, 13, "Method cannot be downgraded", "text")
        if OVERRIDE in exchange.request.headers:
            override_method(exchange)
        request = exchange.request
        found = routes.match(request.method, request.path)
        if found is not None:
            exchange.operation = found.operation
            exchange.id = utf8(found.id) if found.id else ""
        if exchange.refusal is not None:
            if found is not None and found.operation.request is not None:
                exchange.body = exchange.body or request.body.read()  # for the request journal
            raise exchange.refusal
        if found is not None:
            return proceed(exchange)
        if not routes.is_below(request.path):
            return elsewhere(exchange)
        raise rules.refusal("method-not-allowed" if routes.has_path(request.path) else "unknown-route")

    return answer
