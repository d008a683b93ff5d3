"""Registry tests without a network: the host name decides how a test ends.

No registry is ever contacted. A rule of the settings says which hosts fail, and how; the
texts are those that Central's clients give (pkg/registries, pkg/scanners).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any

from mock_server.central.errors import Problem, problem
from mock_server.central.integration import Integration
from mock_server.central.validation import config_member
from mock_server.contract.tables import Contract
from mock_server.golang import url as gourl

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
class RegistryTestRule:
    """Registry tests of hosts that match `host` (a shell pattern) end with `outcome`."""

    host: str
    outcome: str

    def __post_init__(self) -> None:
        """Refuse an outcome that is none."""
        if self.outcome not in OUTCOMES:
            raise ValueError(f"{self.host}={self.outcome}: the outcome is not one of {', '.join(OUTCOMES)}")


DEFAULT_RULES = (
    RegistryTestRule("*.invalid", "unreachable"),  # RFC 2606: never resolves
    RegistryTestRule("unreachable.*", "unreachable"),
    RegistryTestRule("unreachable", "unreachable"),
    RegistryTestRule("unauthorized.*", "unauthorized"),
    RegistryTestRule("unauthorized", "unauthorized"),
)


def parse(text: str) -> RegistryTestRule:
    """Read ``HOST=OUTCOME``, as options give it.

    Raises:
        ValueError: the text is no rule.
    """
    host, _, outcome = text.rpartition("=")
    if not host or outcome not in OUTCOMES:
        raise ValueError(f"{text!r} is not HOST=OUTCOME; the outcome is one of {', '.join(OUTCOMES)}")
    return RegistryTestRule(host, outcome)


class RegistryTests:
    """Answers what ``Test()`` of a registry or scanner client would."""

    def __init__(self, contract: Contract, rules: Sequence[RegistryTestRule] = DEFAULT_RULES) -> None:
        """The first matching rule counts; a host without one passes."""
        self.contract = contract
        self.rules = rules

    def registry_reachable(self, integration: Integration) -> Problem | None:
        """Play the network part of a test; None when it passes."""
        endpoint = self._endpoint(integration)
        if integration["type"] == "scannerv4" or endpoint is None:
            return None
        asked = _asked(integration["type"], endpoint, self._path(integration["type"]))
        outcome = self._outcome(endpoint)
        if _MISADDRESSED.match(asked) is None and outcome == "pass":
            return None
        reason = _reason(integration, asked, endpoint, outcome)
        return problem(self.contract.rules["registry-reachable"], reason=reason)

    def _path(self, type: str) -> str:
        known = self.contract.types.get(type)
        return known.test_path if known and known.test_path else "/v2/"

    def _endpoint(self, integration: Integration) -> str | None:
        member = config_member(self.contract.integration, integration)
        config: Mapping[str, Any] = integration[member] if member else {}
        endpoint: str | None = config.get("endpoint")
        if member == "ecr" and endpoint == "":
            return f"{config['registryId']}.dkr.ecr.{config['region']}.amazonaws.com"
        return endpoint

    def _outcome(self, endpoint: str) -> str:
        host = _host(endpoint).lower()
        return next((rule.outcome for rule in self.rules if fnmatchcase(host, rule.host)), "pass")


_MISADDRESSED = re.compile(r"(?!https?://[^/?#])(?:https?:|(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):)?")
"""What Go's HTTP client sends to nobody: a URL without a host, or of another scheme."""


_PASSWORD = re.compile(r"^(https?://[^/?#:]*):[^/?#]*@")


def _asked(kind: str, endpoint: str, path: str) -> str:
    """Return the URL that a client asks, as pkg/urlfmt writes it: whatever starts with "http" has a scheme already."""
    scheme = "http" if kind == "clairify" else "https"
    url = endpoint if endpoint.startswith("http") else f"{scheme}://{endpoint}"
    return _PASSWORD.sub(r"\1:***@", url.rstrip("/") + path)


def _host(endpoint: str) -> str:
    try:
        return gourl.host_name("http://" + endpoint.removeprefix("https://").removeprefix("http://"))
    except gourl.UrlError:
        return ""


def _reason(integration: Integration, asked: str, endpoint: str, outcome: str) -> str:
    kind, status = integration["type"], _STATUSES.get(outcome)
    misaddressed = _MISADDRESSED.match(asked)
    if misaddressed is not None:
        status = None
    if kind == "quay" and not integration.get("quay", {}).get("oauthToken"):
        received = "error" if status is None else f"http status code {status}"
        return f"received {received} from Quay; check Central logs for the full error"
    if status is not None:
        return _answered(kind, asked, status)
    if misaddressed is None:
        failure = _NETWORK[outcome].format(host=_host(endpoint))
    elif asked.startswith(("http:", "https:")):
        failure = "http: no Host in request URL"
    else:
        failure = f'unsupported protocol scheme "{misaddressed["scheme"] or ""}"'
    start = "test request could not be completed: " if kind == "clairV4" else ""
    return f'{start}Get "{asked}": {failure}'


def _answered(kind: str, asked: str, status: int) -> str:
    """Return the words of a client for an answer with a status of failure and without a body."""
    if kind == "clair":
        return f"Received status code {status}, but expected 200"
    if kind == "clairV4":
        return f"received status code {status}"
    if kind == "clairify":
        phrase = HTTPStatus(status).phrase
        return (
            "error scan not found" if status == 404 else f"Expected status code 2XX. Received {status} {phrase}. Body: "
        )
    return f'Get "{asked}": http: non-successful response (status={status} body="")'
