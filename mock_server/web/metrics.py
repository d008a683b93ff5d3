"""Request counts of a server in the Prometheus format (extra `metrics`)."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.instance import Instance
from mock_server.gateway.messages import Response
from mock_server.gateway.sandbox import CONTROL
from mock_server.sandboxes.sandboxes import Sandboxes


class Metrics:
    """Counts requests by operation and status in all sandboxes; control calls are not counted."""

    def __init__(self, sandboxes: Sandboxes[Instance], endpoints: Mapping[tuple[str, str], str]) -> None:
        """`endpoints`: the names of the paths that are not operations, by method and path."""
        self.sandboxes = sandboxes
        self._endpoints = endpoints
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str]] = Counter()
        self._seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._rules: Counter[str] = Counter()
        self._faults = 0
        self._warnings = 0

    def count(self, proceed: Proceed) -> Proceed:
        """Answer a request and count it."""

        def answer(exchange: Exchange) -> Response:
            response = proceed(exchange)
            request, operation = exchange.request, exchange.operation
            if request.path.startswith(CONTROL):
                return response
            name = operation.id if operation else self._endpoints.get((request.method, request.path), "")
            key = (name, str(response.status))
            with self._lock:
                self._requests[key] += 1
                self._seconds[key] += time.perf_counter() - exchange.started
                if exchange.rule:
                    self._rules[exchange.rule] += 1
                self._faults += exchange.fault is not None
                self._warnings += bool(exchange.violations)
            return response

        return answer

    def exposition(self) -> tuple[bytes, str]:
        """Return the metrics in the Prometheus text format, and its media type.

        Raises:
            ModuleNotFoundError: the client library of Prometheus is not installed.
        """
        library = import_module("prometheus_client")
        registry = library.CollectorRegistry()
        registry.register(self)
        return library.generate_latest(registry), library.CONTENT_TYPE_LATEST

    def collect(self) -> Iterator[Any]:
        """Yield the metrics, as `prometheus_client` asks a collector for them."""
        core = import_module("prometheus_client.core")
        with self._lock:
            requests, seconds, rules = self._requests.copy(), self._seconds.copy(), self._rules.copy()
            faults, warnings = self._faults, self._warnings
        labels = ("operation", "status")
        times = core.SummaryMetricFamily("mock_central_request_seconds", "Requests and their seconds", labels=labels)
        for key, number in sorted(requests.items()):
            times.add_metric(key, number, seconds[key])
        yield times
        refused = core.CounterMetricFamily("mock_central_refusals", "Requests that a rule refused", labels=("rule",))
        for rule, number in sorted(rules.items()):
            refused.add_metric((rule,), number)
        yield refused
        yield core.CounterMetricFamily("mock_central_faults", "Requests that met a fault", faults)
        text = "Requests that violated the contract"
        yield core.CounterMetricFamily("mock_central_contract_warnings", text, warnings)
        held = len(self.sandboxes.default.central.store)
        yield core.GaugeMetricFamily("mock_central_integrations", "Integrations in the default sandbox", held)
        others = len(self.sandboxes.listed()) - 1
        yield core.GaugeMetricFamily("mock_central_sandboxes", "Sandboxes beside the default one", others)
