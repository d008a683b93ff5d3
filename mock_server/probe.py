"""Registry tests without a network: the host name decides how a test ends.

No registry is ever contacted. A rule of the settings says which hosts fail, and how; the
texts are those that Central's clients give (pkg/registries, pkg/scanners).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from mock_server import gourl
from mock_server.contract import Contract
from mock_server.errors import Problem, problem
from mock_server.validation import Integration, config_member

_STATUSES = {"unauthorized": 401, "forbidden": 403, "missing": 404, "failing": 500}
"""Outcomes of a registry that answers, by the status it answers with."""
_NETWORK = {
    "unreachable": "dial tcp: lookup {host}: no such host",
    "timeout": "context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
    "certificate": "tls: failed to verify certificate: x509: certificate signed by unknown authority",
}
"""Outcomes of one that does not, in the words of Go's HTTP client."""
OUTCOMES = ("pass", *_NETWORK, *_STATUSES)


@dataclass(frozen=True, slots=True)
class ProbeRule:
    """Registry tests of hosts that match `host` (a shell pattern) end with `outcome`."""

    host: str
    outcome: str

    def __post_init__(self) -> None:
        """Refuse an outcome that is none."""
        if self.outcome not in OUTCOMES:
            raise ValueError(f"{self.host}={self.outcome}: the outcome is not one of {', '.join(OUTCOMES)}")


DEFAULT_RULES = (
    ProbeRule("*.invalid", "unreachable"),  # RFC 2606: never resolves
    ProbeRule("unreachable.*", "unreachable"),
    ProbeRule("unreachable", "unreachable"),
    ProbeRule("unauthorized.*", "unauthorized"),
    ProbeRule("unauthorized", "unauthorized"),
)


class Probe:
    """Answers what ``Test()`` of a registry or scanner client would."""

    def __init__(self, contract: Contract, rules: Sequence[ProbeRule] = DEFAULT_RULES) -> None:
        """The first matching rule counts; a host without one passes."""
        self.contract = contract
        self.probe_rules = rules

    def registry_reachable(self, integration: Integration) -> Problem | None:
        """Play the network part of a test; None when it passes."""
        endpoint = self._endpoint(integration)
        if integration["type"] == "scannerv4" or not endpoint:
            return None
        try:
            host = gourl.host_name("http://" + endpoint.removeprefix("https://").removeprefix("http://"))
        except gourl.UrlError:
            return None
        outcome = next((r.outcome for r in self.probe_rules if fnmatchcase(host.lower(), r.host)), "pass")
        if outcome == "pass":
            return None
        reason = _reason(integration, endpoint, host, outcome)
        return problem(self.contract.rules["registry-reachable"], reason=reason)

    def _endpoint(self, integration: Integration) -> str:
        member = config_member(self.contract.integration, integration)
        endpoint: str = integration[member].get("endpoint", "") if member else ""
        return endpoint


def _reason(integration: Integration, endpoint: str, host: str, outcome: str) -> str:
    kind = integration["type"]
    url = endpoint if "://" in endpoint else "https://" + endpoint
    url = url.rstrip("/")
    if kind == "quay" and not integration.get("quay", {}).get("oauthToken"):
        received = f"http status code {_STATUSES[outcome]}" if outcome in _STATUSES else "error"
        return f"received {received} from Quay; check Central logs for the full error"
    if kind == "clair" and outcome in _STATUSES:
        return f"Received status code {_STATUSES[outcome]}, but expected 200"
    path = {
        "ecr": "/v2/_catalog",
        "artifactory": "/v2/_catalog",
        "clair": "/v1/namespaces",
        "clairV4": "/indexer/api/v1/index_state",
        "clairify": "/scanner/ping",
    }.get(kind, "/v2/")
    if outcome in _NETWORK:
        return f'Get "{url}{path}": {_NETWORK[outcome].format(host=host)}'
    return f'Get "{url}{path}": http: non-successful response (status={_STATUSES[outcome]} body="")'
