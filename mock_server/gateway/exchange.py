"""The state of a request while it is answered, and the stacking of layers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mock_server.central.decoding import Filters
from mock_server.central.errors import Refusal
from mock_server.central.integration import Integration, UpdateRequest
from mock_server.contract.tables import Operation
from mock_server.contract.validator import Violation
from mock_server.gateway.messages import Request, Response
from mock_server.sandboxes.sandboxes import Sandbox
from mock_server.simulation.faults import Fault

if TYPE_CHECKING:
    from mock_server.gateway.instance import Instance

NO_FILTERS = Filters()


@dataclass(slots=True, eq=False)
class Exchange:
    """One request, and what the layers have learned about it.

    Attributes:
        request: The request, as changed by the layers so far.
        sandbox: The sandbox that answers.
        operation: The operation of the contract, None for any other path.
        id: The id in the path.
        body: The bytes of the body, empty until they are read.
        deadline: End of the caller's time-out, by `time.perf_counter`.
        message: The decoded body.
        filters: The decoded query of a list.
        violations: The violations of the contract.
        refusal: An early refusal, raised once the operation is known.
        rule: The id of the rule that refused.
        fault: The injected fault that affects the request.
        started: Start of the request, by `time.perf_counter`.
        is_logged: Whether the access log gets a line.
        is_streamed: Whether the answer is streamed.
        is_overridden: Whether a header has replaced the method: the answer to an overridden HEAD has a body.
    """

    request: Request
    sandbox: Sandbox[Instance]
    operation: Operation | None = None
    id: str = ""
    body: bytes = b""
    deadline: float = math.inf
    message: Integration | UpdateRequest = field(default_factory=dict)
    filters: Filters = NO_FILTERS
    violations: Sequence[Violation] = ()
    refusal: Refusal | None = None
    rule: str = ""
    fault: Fault | None = None
    started: float = field(default_factory=time.perf_counter)
    is_logged: bool = True
    is_streamed: bool = False
    is_overridden: bool = False


Proceed = Callable[[Exchange], Response]
"""Answers an exchange with the layers below."""

Layer = Callable[[Proceed], Proceed]
"""Takes the layers below, and returns a function that answers an exchange, by calling them or not."""


def stacked(layers: Sequence[Layer], innermost: Proceed) -> Proceed:
    """Return the layers as one function, the first one outermost."""
    proceed = innermost
    for layer in reversed(layers):
        proceed = layer(proceed)
    return proceed
