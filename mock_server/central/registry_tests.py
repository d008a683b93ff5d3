"""Registry tests: what Central's clients of registries and scanners ask, and what they say about the reply.

URLs and texts are those of pkg/registries, pkg/scanners and the libraries below them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus

from mock_server.central.errors import Problem, Rules
from mock_server.central.integration import Config, Integration
from mock_server.central.network import GivenReason, Network
from mock_server.central.validation import config_member
from mock_server.contract.tables import Contract
from mock_server.golang import aws, google_credentials, grpc
from mock_server.golang import http as gohttp
from mock_server.golang import url as gourl
from mock_server.golang.text import quote

_CATALOG, _PING = "/v2/_catalog", "/v2/"
_CONTAINER_ANALYSIS = grpc.Target("passthrough", "containeranalysis.googleapis.com:443")

Client = Callable[[Config], str | None]
"""Tests with the config of an integration and returns the error, or None."""


class RegistryTests:
    """Answers what ``Test()`` of a registry or scanner client would."""

    def __init__(self, contract: Contract, network: Network, namespace: str) -> None:
        """`namespace`: the namespace of Central's own scanner."""
        self.contract = contract
        self.network = network
        self.namespace = namespace
        self._texts = Rules(contract)
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
        """Return the problem of the network part of a test, or None if it passes."""
        kind = integration["type"]
        if kind == "scannerv4":
            return None
        client: Client | None
        if category == "NODE_SCANNER":
            client = self._clairify_node
        elif category == "SCANNER":
            client = self._scanners.get(kind)
        else:
            client = self._registries.get(kind, self._ping)
        member = config_member(self.contract.integration, integration)
        if client is None or member is None:
            return None  # only if a mutant builds an impossible client
        reason: str | None
        try:
            reason = client(integration[member])
        except GivenReason as given:
            reason = str(given)
        return None if reason is None else self._texts.problem("registry-reachable", reason=reason)

    # -- registries ---------------------------------------------------------------------------------

    def _ping(self, config: Config) -> str | None:
        """pkg/registries/docker/docker.go, and all types that use it."""
        return self._docker(config["endpoint"], _PING)

    def _catalog(self, config: Config) -> str | None:
        """pkg/registries/artifactory/artifactory.go: a ping may need no credentials."""
        return self._docker(config["endpoint"], _CATALOG)

    def _docker(self, endpoint: str, path: str, credentials: Callable[[], str | None] = lambda: None) -> str | None:
        """Return the error of a request to a registry; `credentials` returns why there are none."""
        try:
            asked = gohttp.asked(_docker_url(endpoint) + path, self.network.syntax)
        except gourl.UrlError as error:
            return str(error)
        if (missing := credentials()) is not None:
            return f"Get {quote(str(asked.url))}: {missing}"
        reply = self.network.reply("Get", asked)
        if reply.error is not None or reply.status == 200:
            return reply.error
        what = f"non-successful response (status={reply.status} body={quote(reply.body)})"
        return f"Get {quote(str(asked.url))}: http: {what}"

    def _quay(self, quay: Config) -> str | None:
        """pkg/registries/quay/quay.go: without a token it requests a public path."""
        if quay["oauthToken"]:
            return self._ping(quay)
        reply = self.network.ask("Get", _url(quay["endpoint"], "https") + "/api/v1/discovery")
        if reply.error is None and reply.status == 200:
            return None
        received = "error" if reply.error is not None else f"http status code {reply.status}"
        return f"received {received} from Quay; check Central logs for the full error"

    def _google(self, google: Config) -> str | None:
        """pkg/registries/google/transport.go: a token comes first, for the account or the workload's identity."""
        account = google["serviceAccount"].encode("utf-8", "surrogatepass")

        def token() -> str | None:
            if google["wifEnabled"]:
                return None
            reason = google_credentials.token_error(account, self.network.ask)
            return reason and f"failed to get access token: {reason}"

        return self._docker(google["endpoint"], _PING, token)

    def _ecr(self, ecr: Config) -> str | None:
        """pkg/registries/ecr/ecr.go: account and region make the host; `endpoint` is that of the AWS API."""
        instance_role, assume_role = ecr["useIam"], ecr["useAssumeRole"]
        has_keys = instance_role or ecr["accessKeyId"] or ecr["secretAccessKey"] or assume_role

        def token() -> str | None:
            if ecr["authorizationData"] is not None and not has_keys:
                return None
            reason = aws.token_error(
                ecr["region"],
                ecr["endpoint"],
                self.network.ask,
                self.network.syntax,
                instance_role=instance_role,
                assume_role=assume_role,
            )
            return reason and f"failed to get authorization token: operation error ECR: GetAuthorizationToken, {reason}"

        return self._docker(f"{ecr['registryId']}.dkr.ecr.{ecr['region']}.amazonaws.com", _CATALOG, token)

    # -- scanners -----------------------------------------------------------------------------------

    def _container_analysis(self, _google: Config) -> str | None:
        """pkg/scanners/google/google.go: a call of Google's API; `endpoint` only selects images."""
        return self.network.call(_CONTAINER_ANALYSIS)

    def _clair(self, clair: Config) -> str | None:
        """pkg/scanners/clair/clair.go: the URL is parsed again, and loses its query."""
        try:
            url = gourl.parse(_url(clair["endpoint"], "https") + "/v1/namespaces", self.network.syntax)
        except gourl.UrlError as error:
            return f"incorrect endpoint format: {error}"
        asked = gohttp.of(url._replace(query=None))
        reply = self.network.reply("Get", asked)
        if reply.error is not None or reply.status == 200:
            return reply.error
        return f"Received status code {reply.status}, but expected 200"

    def _clair_v4(self, clair: Config) -> str | None:
        """pkg/scanners/clairv4/clairv4.go."""
        reply = self.network.ask("Get", _url(clair["endpoint"], "https") + "/indexer/api/v1/index_state")
        if reply.error is None:
            return None if reply.status == 200 else f"received status code {reply.status}"
        unparsed = reply.error.startswith("parse ")
        return (
            "unable to create test request: " if unparsed else "test request could not be completed: "
        ) + reply.error

    def _clairify(self, clairify: Config) -> str | None:
        """stackrox/scanner pkg/clairify/client."""
        reply = self.network.ask("Get", _url(clairify["endpoint"], "http") + "/scanner/ping")
        if reply.error is not None or reply.status == 200:
            return reply.error
        if reply.status == 404:
            return "error scan not found"
        phrase = HTTPStatus(reply.status).phrase
        return f"Expected status code 2XX. Received {reply.status} {phrase}. Body: {reply.body}"

    def _clairify_node(self, clairify: Config) -> str | None:
        """pkg/scanners/clairify/clairify.go TestNodeScanner: over gRPC, and not to `endpoint`."""
        return self.network.call(grpc.target(scanner_target(clairify, self.namespace), self.network.syntax))


def scanner_target(clairify: Config, namespace: str) -> str:
    """Return the gRPC target of a clairify scanner (pkg/scanners/clairify/clairify.go)."""
    target: str = clairify["grpcEndpoint"]
    return target or f"scanner.{namespace}.svc:8443"


def _url(endpoint: str, scheme: str) -> str:
    """pkg/urlfmt FormatURL: a text that starts with "http" is assumed to have a scheme."""
    return (endpoint if endpoint.startswith("http") else f"{scheme}://{endpoint}").rstrip("/")


def _docker_url(endpoint: str) -> str:
    """pkg/registries/docker/config.go: Docker Hub's host differs from its name."""
    hub = endpoint.lower() in ("docker.io", "https://docker.io")
    return _url("registry-1.docker.io" if hub else endpoint, "https")
