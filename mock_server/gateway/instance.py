"""One mock of a Central: its parts, and the layers in front of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from mock_server.central.errors import Rules
from mock_server.contract.routes import Routes
from mock_server.gateway.cors import allow_origin
from mock_server.gateway.encoding import encode
from mock_server.gateway.errors import AnswerErrors
from mock_server.gateway.exchange import Layer, Proceed, stacked
from mock_server.gateway.messages import Request
from mock_server.gateway.metadata import annotate
from mock_server.gateway.operations import HANDLERS, check_complete, decode, serve
from mock_server.gateway.paths import clean_path
from mock_server.gateway.routing import route
from mock_server.gateway.validation import validate_answer, validate_request
from mock_server.sandboxes.central import Central
from mock_server.settings import Settings


class Endpoint(NamedTuple):
    """The operation or companion of a request ("" if none), and the id in the path."""

    name: str
    id: str = ""


class Instance:
    """Answers as one Central. Its layers and parts can be replaced without affecting other instances.

    Attributes:
        layers: From the outside in.
        answer: Answers a request, with all layers.
        endpoints: Names of the companions, by method and path.
    """

    def __init__(self, central: Central, elsewhere: Proceed, endpoints: Mapping[tuple[str, str], str]) -> None:
        """`elsewhere` answers the paths outside of the collection."""
        check_complete(central.contract, HANDLERS)
        self.central = central
        self.settings: Settings = central.settings
        self.endpoints = endpoints
        self.routes = Routes(central.contract)
        rules = Rules(central.contract)
        self.errors = AnswerErrors(central.rendering, rules, explain_preflights=self.settings.cors is None)
        is_full = self.settings.validation == "full"
        self.route = partial(route, self.routes, rules, elsewhere)
        self.layers: list[Layer] = [
            clean_path,
            *([partial(allow_origin, self.settings.cors)] if self.settings.cors is not None else ()),
            encode,
            *([partial(validate_answer, central)] if is_full else ()),
            self.errors,
            self.route,
            annotate,
            decode,
            *([partial(validate_request, central)] if is_full else ()),
        ]
        self._stack()

    def _stack(self) -> None:
        self.answer: Proceed = stacked(self.layers, serve)

    def insert(self, layer: Layer, *, behind: Layer | None = None) -> None:
        """Add a layer after another one, or outermost."""
        self.layers.insert(0 if behind is None else self.layers.index(behind) + 1, layer)
        self._stack()

    def endpoint(self, request: Request) -> Endpoint:
        """Return the name of the operation or companion of a request."""
        if found := self.routes.match(request.method, request.path):
            return Endpoint(found.operation.id, found.id)
        return Endpoint(self.endpoints.get((request.method, request.path), ""))

    @property
    def known_endpoints(self) -> list[str]:
        """The names of all operations and companions."""
        return [*self.central.contract.operations, *self.endpoints.values()]
