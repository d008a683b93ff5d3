"""Registry tests without a network: what a client would ask is worked out, and the host decides how that ends.

No registry is ever contacted. A rule of the settings says which hosts fail, and how; whom a client asks, and the texts,
are those of Central's clients (pkg/registries, pkg/scanners) and of the libraries below them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any

from mock_server.central.errors import Problem, problem
from mock_server.central.integration import Integration
from mock_server.central.releases import Build
from mock_server.central.validation import config_member
from mock_server.contract.tables import Contract
from mock_server.golang import google_credentials, grpc
from mock_server.golang import http as gohttp
from mock_server.golang import url as gourl
from mock_server.golang.google_credentials import Reply
from mock_server.golang.text import quote

_STATUSES = {"unauthorized": 401, "forbidden": 403, "missing": 404, "failing": 500}
"""Outcomes of a registry that answers, by the status it answers with."""
_NETWORK = {
    "unreachable": "dial tcp: lookup {host}: no such host",
    "timeout": "context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
    "certificate": "tls: failed to verify certificate: x509: certificate signed by unknown authority",
}
"""Outcomes of one that does not, in the words of Go's HTTP client."""
_NOT_FOUND_AT_AN_ADDRESS = "dial tcp {address}: connect: connection refused"
"""In the place of a look-up that fails: an address is not looked up."""
_DIAL_TIMEOUT = "dial tcp: i/o timeout"
OUTCOMES = ("pass", *_NETWORK, *_STATUSES)

_ADDRESS = re.compile(r"[0-9]+(?:\.[0-9]+){3}|.*:.*", re.DOTALL)


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

_CATALOG, _PING = "/v2/_catalog", "/v2/"
_CONTAINER_ANALYSIS = grpc.Target("passthrough", "containeranalysis.googleapis.com:443")

Client = Callable[[Mapping[str, Any]], str | None]
"""Tests with the config of an integration and returns the error, or None."""


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

    def __init__(
        self,
        contract: Contract,
        build: Build,
        rules: Sequence[RegistryTestRule] = DEFAULT_RULES,
        namespace: str = "stackrox",
    ) -> None:
        """The first matching rule counts; a host without one passes. `namespace`: where Central's own scanner is."""
        self.contract = contract
        self.rules = rules
        self.namespace = namespace
        self.ways = build.urls
        asks_for_catalog = contract.types["artifactory"].test_path == _CATALOG
        self._registries: Mapping[str, Client] = {
            "artifactory": self._catalog if asks_for_catalog else self._ping,
            "quay": self._quay,
            "ecr": self._ecr,
            "artifactregistry": self._google,
            "google": self._google,
        }
        self._scanners: Mapping[str, Client] = {
            "quay": self._quay,
            "google": self._container_analysis,
            "clair": self._clair,
            "clairV4": self._clair_v4,
            "clairify": self._clairify,
        }

    def registry_reachable(self, integration: Integration, category: str) -> Problem | None:
        """Play the network part of the test of a category; None when it passes."""
        kind = integration["type"]
        if kind == "scannerv4":
            return None
        client: Client
        if category == "NODE_SCANNER":
            client = self._clairify_node
        elif category == "SCANNER":
            client = self._scanners[kind]
        else:
            client = self._registries.get(kind, self._ping)
        member = config_member(self.contract.integration, integration)
        assert member is not None  # a client that could be built has one
        reason = client(integration[member])
        return None if reason is None else problem(self.contract.rules["registry-reachable"], reason=reason)

    # -- who answers --------------------------------------------------------------------------------

    def _outcome(self, *hosts: str) -> str:
        names = {host.lower() for host in hosts}
        return next(
            (rule.outcome for rule in self.rules if any(fnmatchcase(name, rule.host) for name in names)), "pass"
        )

    def _network_failure(self, host: str, address: str, outcome: str) -> str | None:
        if outcome not in _NETWORK:
            return None
        if outcome == "unreachable" and _ADDRESS.fullmatch(host):
            return _NOT_FOUND_AT_AN_ADDRESS.format(address=address)
        return _NETWORK[outcome].format(host=host)

    def _reply(self, method: str, url: str) -> Reply:
        """Return what comes of a request: an error as Go's client tells it, or a status."""
        try:
            asked = gohttp.asked(url, self.ways)
        except gourl.UrlError as error:
            return Reply(_unparsed(error))
        return self._reply_of(method, asked)

    def _reply_of(self, method: str, asked: gohttp.Asked) -> Reply:
        outcome = self._outcome(asked.host, asked.url.host_name.decode("utf-8", "replace"))
        failure = asked.failure or self._network_failure(asked.host, asked.address, outcome)
        if failure is not None:
            return Reply(f"{method} {quote(str(asked.url))}: {failure}")
        return Reply(status=_STATUSES.get(outcome, 200))

    def _call(self, target: grpc.Target) -> str | None:
        """Return what comes of a call by gRPC; None when it is answered."""
        outcome = self._outcome(target.host)
        failure = self._network_failure(target.host, target.address, outcome)
        if outcome == "timeout":
            failure = _DIAL_TIMEOUT
        if found := grpc.unreachable(target, failure or ""):
            return found
        return grpc.answered(_STATUSES[outcome]) if outcome in _STATUSES else None

    # -- registries ---------------------------------------------------------------------------------

    def _ping(self, config: Mapping[str, Any]) -> str | None:
        """pkg/registries/docker/docker.go, and all types that use it."""
        return self._docker(config["endpoint"], _PING)

    def _catalog(self, config: Mapping[str, Any]) -> str | None:
        """pkg/registries/artifactory/artifactory.go: a ping may need no credentials."""
        return self._docker(config["endpoint"], _CATALOG)

    def _docker(self, endpoint: str, path: str, credentials: Callable[[], str | None] = lambda: None) -> str | None:
        """Ask a registry; `credentials` says why there are none, which is known once the URL is read."""
        try:
            asked = gohttp.asked(_docker_url(endpoint) + path, self.ways)
        except gourl.UrlError as error:
            return _unparsed(error)
        if (missing := credentials()) is not None:
            return f"Get {quote(str(asked.url))}: {missing}"
        reply = self._reply_of("Get", asked)
        if reply.error is not None or reply.status == 200:
            return reply.error
        return f'Get {quote(str(asked.url))}: http: non-successful response (status={reply.status} body="")'

    def _quay(self, quay: Mapping[str, Any]) -> str | None:
        """pkg/registries/quay/quay.go: only a token is good for a ping."""
        if quay["oauthToken"]:
            return self._ping(quay)
        reply = self._reply("Get", _url(quay["endpoint"], "https") + "/api/v1/discovery")
        if reply.error is None and reply.status == 200:
            return None
        received = "error" if reply.error is not None else f"http status code {reply.status}"
        return f"received {received} from Quay; check Central logs for the full error"

    def _google(self, google: Mapping[str, Any]) -> str | None:
        """pkg/registries/google/transport.go: a token first, with the service account or the workload's identity."""
        account = google["serviceAccount"].encode("utf-8", "surrogatepass")

        def token() -> str | None:
            if google["wifEnabled"]:
                return None
            reason = google_credentials.token_error(account, self._reply)
            return reason and f"failed to get access token: {reason}"

        return self._docker(google["endpoint"], _PING, token)

    def _ecr(self, ecr: Mapping[str, Any]) -> str | None:
        """pkg/registries/ecr/ecr.go: the host is made of account and region; `endpoint` is that of the AWS API."""
        uses_data = ecr["authorizationData"] is not None and not (
            ecr["useIam"] or ecr["accessKeyId"] or ecr["secretAccessKey"] or ecr["useAssumeRole"]
        )

        def token() -> str | None:
            reason = None if uses_data else self._aws_token_error(ecr)
            return reason and f"failed to get authorization token: operation error ECR: GetAuthorizationToken, {reason}"

        return self._docker(f"{ecr['registryId']}.dkr.ecr.{ecr['region']}.amazonaws.com", _CATALOG, token)

    def _aws_token_error(self, ecr: Mapping[str, Any]) -> str | None:
        """Return why the AWS API gives no token (aws-sdk-go-v2 ``service/ecr``)."""
        region, endpoint = ecr["region"], ecr["endpoint"]
        identity = self._aws_identity_error(ecr, region)
        if identity is not None:
            again = _ATTEMPTS if _ATTEMPTS in identity else ""
            return f"{again}get identity: get credentials: {identity}"
        if not _AWS_REGION.fullmatch(region):
            return f"failed to bind endpoint params, invalid input region {region}"
        if not endpoint:
            return self._aws_call_error(f"https://api.ecr.{region}.{_aws_domain(region)}/")
        base = _url(endpoint, "https")
        try:
            url = gourl.parse(base, self.ways)
        except gourl.UrlError:
            return f"failed to resolve service endpoint, Failed to parse uri: {base}"
        path = url.path if url.path.startswith(b"/") else b"/" + url.path
        host = url.host.decode("utf-8", "replace")
        return self._aws_call_error((f"{url.scheme}://{host}" if url.scheme else "") + path.decode())

    def _aws_identity_error(self, ecr: Mapping[str, Any], region: str) -> str | None:
        """Return why there are no keys: the container's role is asked for at the machine, another one at STS."""
        if ecr["useIam"]:
            reply = self._reply("Get", _AWS_METADATA)
            if reply.error is not None or reply.status != 200:
                reason = (
                    f"request send failed, {reply.error}"
                    if reply.error is not None
                    else f"http response error StatusCode: {reply.status}, request to EC2 IMDS failed"
                )
                return (
                    "failed to refresh cached credentials, no EC2 IMDS role found, operation error ec2imds: "
                    f"GetMetadata, {reason}"
                )
        if not ecr["useAssumeRole"]:
            return None
        start = "operation error STS: AssumeRole, "
        if not _AWS_REGION.fullmatch(region):
            return f"{start}failed to bind endpoint params, invalid input region {region}"
        failed = self._aws_call_error(f"https://sts.{region}.{_aws_domain(region)}/")
        return failed and start + failed

    def _aws_call_error(self, url: str) -> str | None:
        reply = self._aws_reply(url)
        if reply.error is not None:
            return f"{_ATTEMPTS}https response error StatusCode: 0, RequestID: , request send failed, {reply.error}"
        if reply.status == 200:
            return None
        again = _ATTEMPTS if reply.status >= 500 else ""
        return (
            f"{again}https response error StatusCode: {reply.status}, RequestID: , api error UnknownError: UnknownError"
        )

    def _aws_reply(self, url: str) -> Reply:
        """Ask under a URL that is written as the AWS library puts it together, without userinfo, query and fragment."""
        asked = gohttp.asked(url, self.ways)
        reply = self._reply_of("Post", asked)
        if reply.error is None:
            return reply
        _, _, reason = reply.error.partition(f"{quote(str(asked.url))}: ")
        scheme, mark, rest = url.partition("://")
        if mark:
            host, slash, path = rest.partition("/")
            url = f"{scheme}://{gourl.escaped_host(host)}{slash}{path}"
        return Reply(f"Post {quote(url)}: {reason}")

    # -- scanners -----------------------------------------------------------------------------------

    def _container_analysis(self, _google: Mapping[str, Any]) -> str | None:
        """pkg/scanners/google/google.go: Google's API is asked; `endpoint` only says which images are meant."""
        return self._call(_CONTAINER_ANALYSIS)

    def _clair(self, clair: Mapping[str, Any]) -> str | None:
        """pkg/scanners/clair/clair.go: the URL is read once more, and loses its query."""
        try:
            url = gourl.parse(_url(clair["endpoint"], "https") + "/v1/namespaces", self.ways)
        except gourl.UrlError as error:
            return f"incorrect endpoint format: {_unparsed(error)}"
        asked = gohttp.of(url._replace(query=None))
        reply = self._reply_of("Get", asked)
        if reply.error is not None or reply.status == 200:
            return reply.error
        return f"Received status code {reply.status}, but expected 200"

    def _clair_v4(self, clair: Mapping[str, Any]) -> str | None:
        """pkg/scanners/clairv4/clairv4.go."""
        reply = self._reply("Get", _url(clair["endpoint"], "https") + "/indexer/api/v1/index_state")
        if reply.error is None:
            return None if reply.status == 200 else f"received status code {reply.status}"
        unparsed = reply.error.startswith("parse ")
        return (
            "unable to create test request: " if unparsed else "test request could not be completed: "
        ) + reply.error

    def _clairify(self, clairify: Mapping[str, Any]) -> str | None:
        """stackrox/scanner pkg/clairify/client."""
        reply = self._reply("Get", _url(clairify["endpoint"], "http") + "/scanner/ping")
        if reply.error is not None or reply.status == 200:
            return reply.error
        if reply.status == 404:
            return "error scan not found"
        return f"Expected status code 2XX. Received {reply.status} {HTTPStatus(reply.status).phrase}. Body: "

    def _clairify_node(self, clairify: Mapping[str, Any]) -> str | None:
        """pkg/scanners/clairify/clairify.go TestNodeScanner: by gRPC, and not at `endpoint`."""
        return self._call(grpc.target(scanner_target(clairify, self.namespace), self.ways))


def scanner_target(clairify: Mapping[str, Any], namespace: str) -> str:
    """Return where the gRPC server of a clairify scanner is (pkg/scanners/clairify/clairify.go)."""
    target: str = clairify["grpcEndpoint"]
    return target or f"scanner.{namespace}.svc:8443"


def _url(endpoint: str, scheme: str) -> str:
    """pkg/urlfmt FormatURL: whatever starts with "http" has a scheme already."""
    return (endpoint if endpoint.startswith("http") else f"{scheme}://{endpoint}").rstrip("/")


def _docker_url(endpoint: str) -> str:
    """pkg/registries/docker/config.go: Docker Hub is at another host than its name says."""
    hub = endpoint.lower() in ("docker.io", "https://docker.io")
    return _url("registry-1.docker.io" if hub else endpoint, "https")


def _unparsed(error: gourl.UrlError) -> str:
    url, reason = error.args
    return f"parse {url}: {reason}"


_ATTEMPTS = "exceeded maximum number of attempts, 3, "
_AWS_METADATA = "http://169.254.169.254/latest/meta-data/iam/security-credentials/"
_AWS_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_AWS_REGION = re.compile(rf"{_AWS_LABEL}(?:\.{_AWS_LABEL})*", re.ASCII)
_AWS_DOMAINS = (
    (r"cn-\w+-\d+|aws-cn-global", "amazonaws.com.cn"),
    (r"us-iso-\w+-\d+", "c2s.ic.gov"),
    (r"us-isob-\w+-\d+", "sc2s.sgov.gov"),
    (r"us-isof-\w+-\d+", "csp.hci.ic.gov"),
    (r"eu-isoe-\w+-\d+", "cloud.adc-e.uk"),
    (r"eusc-de-\w+-\d+", "amazonaws.eu"),
)


def _aws_domain(region: str) -> str:
    """Return where the APIs of a region are; the registries of all are at amazonaws.com for Central."""
    return next((domain for pattern, domain in _AWS_DOMAINS if re.fullmatch(pattern, region)), "amazonaws.com")
