"""What is known of one request while it is answered, and how layers are stacked."""

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
    """One request on its way, and what each layer found out about it.

    Attributes:
        request: As the layers so far left it.
        sandbox: The one that answers.
        operation: The operation of the contract, None for any other path.
        id: The id of the path.
        body: The bytes of the body, empty until they are read.
        deadline: When the caller's time is up, by `time.perf_counter`.
        message: What the body means, decoded.
        filters: What the query of a list means.
        violations: Where the request leaves the contract.
        refusal: Decided early; raised once the operation is known.
        rule: The id of the rule that refused.
        fault: The injected fault that the request meets.
        started: When the request came in, by `time.perf_counter`.
        is_logged: Whether the access log has a line of it.
        is_streamed: Whether the answer goes out as it comes.
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


Proceed = Callable[[Exchange], Response]
"""Answers with what is below a layer."""

Layer = Callable[[Proceed], Proceed]
"""Given what is below it, returns what answers: with the answer from below, changed or not, or with one of its own."""


def stacked(layers: Sequence[Layer], innermost: Proceed) -> Proceed:
    """Put layers over each other, the first one outside."""
    proceed = innermost
    for layer in reversed(layers):
        proceed = layer(proceed)
    return proceed
