"""The gateway of one server: what every request passes, whatever sandbox it is for."""

from __future__ import annotations

import difflib

from mock_server.gateway.exchange import Exchange, Layer, stacked
from mock_server.gateway.faults import InjectFaults, shaped
from mock_server.gateway.hosts import RequireHost
from mock_server.gateway.http_rules import refuse_malformed
from mock_server.gateway.instance import Instance
from mock_server.gateway.journal import keep_in_journal
from mock_server.gateway.limits import limit_body
from mock_server.gateway.messages import Request, Response
from mock_server.gateway.sandbox import ChooseSandbox
from mock_server.gateway.usage import CountUsage
from mock_server.sandboxes.sandboxes import MakeInstance, Sandboxes
from mock_server.simulation.faults import FaultError
from mock_server.simulation.usage import Usage


class Gateway:
    """From a request to its answer. The layers below these are those of the sandbox's instance.

    Attributes:
        layers: From the outside in.
        hosts: The layer of names, which a server tells its own.
        faults: The layer of injected faults, whose `connections` a server may replace.
        usage: What clients met, over resets and in all sandboxes; None until `record_usage` is called.
    """

    def __init__(self, home: Instance, make: MakeInstance[Instance]) -> None:
        """`home` answers control calls, and requests of sandboxes that have no instance of their own."""
        self.sandboxes = Sandboxes(home, make)
        self.hosts = RequireHost(self.sandboxes)
        self.faults = InjectFaults()
        self.usage: Usage | None = None
        self.layers: list[Layer] = [
            refuse_malformed,
            limit_body,
            self.hosts,
            ChooseSandbox(self.sandboxes),
            self.faults,
            keep_in_journal,
        ]
        self._answer = stacked(self.layers, _answer_in_sandbox)

    def __call__(self, request: Request) -> Response:
        """Answer one request."""
        return self._answer(Exchange(request, self.sandboxes.default))

    def add_layer(self, layer: Layer) -> None:
        """Add a layer outside of all: it sees every request first and every answer last."""
        self.layers.insert(0, layer)
        self._answer = stacked(self.layers, _answer_in_sandbox)

    def record_usage(self) -> Usage:
        """Count from now on what clients meet, and return the counts."""
        if self.usage is None:
            central = self.home.central
            self.usage = Usage(str(central.contract.release), as_deployed=self.home.settings.as_deployed)
            self.layers.insert(self.layers.index(self.faults) + 1, CountUsage(self.usage))
            self._answer = stacked(self.layers, _answer_in_sandbox)
        return self.usage

    @property
    def home(self) -> Instance:
        """The instance that answers control calls, and for sandboxes without mutants of their own."""
        return self.sandboxes.home

    def renew(self, other: Gateway, *, keep_state: bool) -> None:
        """Answer as another gateway does; without `keep_state` sandboxes begin anew, with its first state."""
        self.sandboxes.renew(other.home, other.sandboxes.make, keep_state=keep_state)

    def require_operation(self, name: str) -> None:
        """Check that something answers under this name; "" is any.

        Raises:
            FaultError: nothing does; the text names what is close.
        """
        known = self.home.known_endpoints
        if name and name not in known:
            close = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
            hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(sorted(known))}"
            raise FaultError(f"operation={name}: is no operation; {hint}")


def _answer_in_sandbox(exchange: Exchange) -> Response:
    """Answer, and let the fault shape the answer here, where the request journal still sees what comes of it."""
    response, fault = exchange.sandbox.instance.answer(exchange), exchange.fault
    return response if fault is None else shaped(response, fault, exchange)
