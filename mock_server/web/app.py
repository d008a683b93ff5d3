"""The Flask application for embedding and serving.

The gateway is mounted at its `wsgi_app`, as Flask documents for middleware, and answers every operation. Flask answers
the other paths, in a blueprint each: control calls, console, companions, a built web UI, another Central.
"""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from typing import NoReturn

from flask import Flask, Request, request
from werkzeug.exceptions import HTTPException, NotFound, RequestEntityTooLarge

from mock_server.central.errors import Refusal, Rules
from mock_server.contract.tables import Contract
from mock_server.gateway.exchange import Layer, Proceed
from mock_server.gateway.gateway import Gateway
from mock_server.gateway.instance import Instance
from mock_server.gateway.messages import LONGEST_BODY, BodyTooLongError
from mock_server.sandboxes.central import Central
from mock_server.settings import Settings
from mock_server.state.memory import MEMORY
from mock_server.web import companions, console, control
from mock_server.web.access_log import log_access
from mock_server.web.connections import WsgiConnections
from mock_server.web.edge import Edge, answered_by
from mock_server.web.metrics import Metrics


def create_app(settings: Settings | None = None, contract: Contract | None = None) -> MockCentral:
    """Return a WSGI app with its own state. `contract` replaces the shipped contract.

    Raises:
        ValueError: the document and the handlers disagree, a mutant or an operation is unknown, or the state
            cannot be read.
    """
    if settings is not None and not isinstance(settings, Settings):
        raise TypeError(
            f"settings: a {type(settings).__name__} is not a Settings; give Settings(scenario='one-of-each')"
        )
    return MockCentral(settings or Settings(), contract)


class MockCentral(Flask):
    """A Flask app that answers as Central does.

    Attributes:
        gateway: The layers that every request passes.
        central: The parts that answer in the default sandbox at the start.
    """

    def __init__(self, settings: Settings, contract: Contract | None = None) -> None:
        """Create the parts, the blueprints and the gateway in front of them."""
        super().__init__("mock_server", static_folder=None)
        self.settings = settings
        self.config["MAX_CONTENT_LENGTH"] = LONGEST_BODY
        self.config["PROPAGATE_EXCEPTIONS"] = True  # the gateway answers these
        self.register_error_handler(HTTPException, _refuse)
        self.url_map.merge_slashes = False

        make = partial(_instance, answered_by(self.wsgi_app))
        home = make(settings, contract)
        self.central = home.central
        self.gateway = Gateway(home, make)
        self.gateway.faults.connections = WsgiConnections()
        self.gateway.add_layer(log_access)
        self.metrics = Metrics(self.gateway.sandboxes, home.endpoints)
        if settings.control and find_spec("prometheus_client"):  # without it the counts cannot be read
            self.gateway.add_layer(self.metrics.count)
        for fault in settings.faults:
            self.gateway.require_operation(fault.operation)
        self._register()
        edge = Edge(self.gateway, one_process_only=settings.store == MEMORY)
        self.wsgi_app = edge  # type: ignore[method-assign] # as Flask documents

    def _register(self) -> None:
        settings = self.settings
        self.register_blueprint(control.blueprint(self))
        if settings.control:
            self.register_blueprint(console.blueprint())
        if settings.companions:
            self.register_blueprint(companions.blueprint(self.central.contract))
        if settings.ui is not None:
            from mock_server.web import ui

            self.register_blueprint(ui.blueprint(settings.ui))
        if settings.upstream is not None:
            from mock_server.web import upstream

            self.register_blueprint(upstream.blueprint(settings, self.gateway.home.routes, self.gateway.home.endpoints))

    def add_layer(self, layer: Layer) -> None:
        """Add a layer: ``layer(proceed)`` returns a function that answers an exchange, or calls ``proceed(exchange)``.

        Flask's hooks (`before_request` and so on) see only requests that Flask answers, not operations.
        """
        self.gateway.add_layer(layer)

    def raise_routing_exception(self, request: Request) -> NoReturn:
        """Raise the refusal for an unknown path or method; a redirect counts as an unknown path."""
        unknown = isinstance(request.routing_exception, NotFound)
        if self.settings.control and request.path.startswith(f"{control.PREFIX}/"):
            raise control.unknown_call(request)
        is_json = request.path.startswith(("/v1/", "/v2/", "/__")) or (
            self.settings.ui is not None and request.path.startswith(("/api/", "/sso/", "/docs/"))
        )
        if unknown and not is_json:
            raise Refusal("unknown-route", 404, 5, "404 page not found", "text")  # from Go's mux, not from the gateway
        raise Rules(self.central.contract).refusal("unknown-route" if unknown else "method-not-allowed")


def _instance(elsewhere: Proceed, settings: Settings, contract: Contract | None) -> Instance:
    endpoints = companions.ENDPOINTS if settings.companions else {}
    instance = Instance(Central(settings, contract), elsewhere, endpoints)
    if settings.mutants:
        from mock_server import mutants

        mutants.mutate(instance, settings.mutants)
    return instance


def _refuse(error: HTTPException) -> NoReturn:
    if isinstance(error, RequestEntityTooLarge):
        raise BodyTooLongError(request.content_length or LONGEST_BODY + 1) from None
    raise Refusal("http", error.code or 400, 3, error.description or error.name)
