"""The gateway of one server: the layers of every request, before its sandbox answers."""

from __future__ import annotations

import difflib
from functools import partial

from mock_server.gateway.exchange import Exchange, Layer, stacked
from mock_server.gateway.faults import InjectFaults
from mock_server.gateway.hosts import require_host
from mock_server.gateway.http_rules import read_short_body, refuse_malformed
from mock_server.gateway.instance import Instance
from mock_server.gateway.journal import answer_in_sandbox
from mock_server.gateway.messages import Request, Response
from mock_server.gateway.sandbox import choose_sandbox
from mock_server.gateway.usage import count_usage
from mock_server.sandboxes.sandboxes import MakeInstance, Sandboxes
from mock_server.simulation.faults import FaultError
from mock_server.simulation.usage import Usage


class Gateway:
    """Answers requests: its own layers first, then those of the sandbox's instance.

    Attributes:
        faults: The layer of injected faults, whose `connections` a server may replace.
        usage: The counts of the consumer report; None until `record_usage` is called.
    """

    def __init__(self, home: Instance, make: MakeInstance[Instance]) -> None:
        """`home` answers control calls, and requests of sandboxes without their own instance."""
        self.sandboxes = Sandboxes(home, make)
        self.faults = InjectFaults()
        self.usage: Usage | None = None
        self._host: tuple[str, ...] = ()
        self._added: list[Layer] = []
        self._stack()

    def _stack(self) -> None:
        hosts = self._host + self.home.settings.allow_hosts
        layers: list[Layer] = [
            *self._added,
            refuse_malformed,
            read_short_body,
            *([partial(require_host, self.sandboxes, hosts)] if hosts else ()),
            partial(choose_sandbox, self.sandboxes),
            self.faults,
            *([partial(count_usage, self.usage)] if self.usage is not None else ()),
        ]
        self._answer = stacked(layers, answer_in_sandbox)

    def __call__(self, request: Request) -> Response:
        """Answer one request."""
        return self._answer(Exchange(request, self.sandboxes.default))

    def add_layer(self, layer: Layer) -> None:
        """Add an outermost layer: it sees every request first and every answer last."""
        self._added.insert(0, layer)
        self._stack()

    def require_host(self, name: str) -> None:
        """On a loopback server, refuse requests for host names other than this one and `allow_hosts`."""
        self._host = (name,)
        self._stack()

    def record_usage(self) -> Usage:
        """Start counting for the consumer report, and return the counts."""
        if self.usage is None:
            central = self.home.central
            self.usage = Usage(str(central.contract.release), as_deployed=self.home.settings.as_deployed)
            self._stack()
        return self.usage

    @property
    def home(self) -> Instance:
        """The instance that answers control calls, and requests of sandboxes without their own mutants."""
        return self.sandboxes.home

    def renew(self, other: Gateway, *, keep_state: bool) -> None:
        """Use the instance of another gateway; without `keep_state` reset every sandbox to its initial state."""
        self.sandboxes.renew(other.home, other.sandboxes.make, keep_state=keep_state)
        self._stack()

    def require_operation(self, name: str) -> None:
        """Check that an operation or a companion has this name; "" is any.

        Raises:
            FaultError: no operation has this name; the text suggests similar ones.
        """
        known = self.home.known_endpoints
        if name and name not in known:
            close = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
            hint = (
                f"did you mean {' or '.join(close)}?" if close else "`mock-central routes` and `companions` list them"
            )
            raise FaultError(f"operation={name}: is not an operation; {hint}")
