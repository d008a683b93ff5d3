"""Registry tests without a network: what a client would ask is worked out, and the host decides how that ends.

No registry is ever contacted. A rule of the settings or of the scenario says which hosts fail, and how; whom a client
asks, and the texts, are those of Central's clients (pkg/registries, pkg/scanners) and of the libraries below them.
"""

from __future__ import annotations

import json
import re
import shlex
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any

from mock_server.central.delays import distribution, drawn
from mock_server.central.errors import Problem, Rules
from mock_server.central.integration import Config, Integration
from mock_server.central.releases import Build
from mock_server.central.validation import config_member
from mock_server.contract.tables import Contract
from mock_server.golang import google_credentials, grpc
from mock_server.golang import http as gohttp
from mock_server.golang import url as gourl
from mock_server.golang.google_credentials import Reply
from mock_server.golang.text import quote

_ANSWERS = {
    "unauthorized": Reply(status=401),
    "forbidden": Reply(status=403),
    "missing": Reply(status=404),
    "failing": Reply(status=500),
}
"""Outcomes of a registry that answers, by what it answers."""


def _aws(error: str, message: str) -> Reply:
    return Reply(status=400, body=json.dumps({"__type": error, "message": message}))


def _oauth(description: str) -> Reply:
    return Reply(status=400, body=f'{{"error":"invalid_grant","error_description":"{description}"}}')


_SERVICES = {
    "ecr-token-expired": Reply(
        status=403,
        body='{"errors":[{"code":"DENIED",'
        '"message":"Your authorization token has expired. Reauthenticate and try again."}]}\n',
    ),
    "aws-key-unknown": _aws("UnrecognizedClientException", "The security token included in the request is invalid."),
    "aws-signature-wrong": _aws(
        "InvalidSignatureException",
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
        "Key and signing method. Consult the service documentation for details.",
    ),
    "aws-session-expired": _aws("ExpiredTokenException", "The security token included in the request is expired"),
    "aws-access-denied": _aws(
        "AccessDeniedException",
        "User: arn:aws:iam::123456789012:user/example is not authorized to perform: ecr:GetAuthorizationToken on "
        "resource: * because no identity-based policy allows the ecr:GetAuthorizationToken action",
    ),
    "aws-throttled": _aws("ThrottlingException", "Rate exceeded"),
    "google-key-revoked": _oauth("Invalid JWT Signature."),
    "google-account-missing": _oauth("Invalid grant: account not found"),
    "quay-token-invalid": Reply(status=401, body='{"error": "Invalid bearer token format"}'),
    "azure-unauthorized": Reply(
        status=401, body='{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":null}]}\n'
    ),
}
"""Outcomes in the words of one service, for hosts of it: of AWS's API, of Google's token server, of a registry."""
_NETWORK = {
    "unreachable": "dial tcp: lookup {host}: no such host",
    "timeout": "context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
    "certificate": "tls: failed to verify certificate: x509: certificate signed by unknown authority",
}
"""Outcomes of one that does not, in the words of Go's HTTP client."""
_NOT_FOUND_AT_AN_ADDRESS = "dial tcp {address}: connect: connection refused"
"""In the place of a look-up that fails: an address is not looked up."""
_DIAL_TIMEOUT = "dial tcp: i/o timeout"
PASSES = "pass"
OUTCOMES = (PASSES, *_NETWORK, *_ANSWERS, *_SERVICES)

_ADDRESS = re.compile(r"[0-9]+(?:\.[0-9]+){3}|.*:.*", re.DOTALL)


_MORE_THAN_A_HOST = re.compile(r"(?:\w+://)?(?P<host>[^/:]+|\[[^/]*\])(?::[0-9]+)?(?:/.*)?")


@dataclass(frozen=True, slots=True)
class RegistryTestRule:
    """Registry tests of hosts that match `host` (a shell pattern) end with `outcome`.

    `reason` stands in the place of what the client would say. After `delay` (seconds, or a distribution) and only so
    many `times`.
    """

    host: str
    outcome: str
    reason: str = ""
    times: int | None = None
    delay: str = ""

    def __post_init__(self) -> None:
        """Refuse what makes no rule."""
        if (found := _MORE_THAN_A_HOST.fullmatch(self.host)) and found["host"] != self.host:
            raise ValueError(f"{self.host}={self.outcome}: is more than the name of a host; write {found['host']}")
        if self.outcome not in OUTCOMES:
            raise ValueError(f"{self.host}={self.outcome}: the outcome is not one of {', '.join(OUTCOMES)}")
        if self.reason and self.outcome == PASSES:
            raise ValueError(f"{self.host}={self.outcome}: a test that passes has no reason; choose another outcome")
        if self.times is not None and self.times < 1:
            raise ValueError(f"times={self.times}: is not a number above 0")
        if self.delay:
            distribution(self.delay)

    def shown(self) -> dict[str, Any]:
        """Return the fields that are set, as a control call takes them."""
        return {
            each.name: getattr(self, each.name) for each in fields(self) if getattr(self, each.name) != each.default
        }


DEFAULT_RULES = (
    RegistryTestRule("*.invalid", "unreachable"),  # RFC 2606: never resolves
    RegistryTestRule("unreachable.*", "unreachable"),
    RegistryTestRule("unreachable", "unreachable"),
    RegistryTestRule("unauthorized.*", "unauthorized"),
    RegistryTestRule("unauthorized", "unauthorized"),
)

_CATALOG, _PING = "/v2/_catalog", "/v2/"
_CONTAINER_ANALYSIS = grpc.Target("passthrough", "containeranalysis.googleapis.com:443")

Client = Callable[[Config], str | None]
"""Tests with the config of an integration and returns the error, or None."""


_FIELDS = [each.name for each in fields(RegistryTestRule)]


def parse(text: str) -> RegistryTestRule:
    """Read ``HOST=OUTCOME KEY=VALUE …`` or ``host=HOST outcome=OUTCOME KEY=VALUE …``, as options give it.

    Raises:
        ValueError: the text is no rule.
    """
    if len(words := _words(text)) > 1:
        (first, outcome), *rest = words
        return of(dict(words) if first in _FIELDS else {"host": first, "outcome": outcome, **dict(rest)})
    host, _, outcome = text.rpartition("=")
    if not host or outcome not in OUTCOMES:
        raise ValueError(f"{text!r} is not HOST=OUTCOME; the outcome is one of {', '.join(OUTCOMES)}")
    return RegistryTestRule(host, outcome)


def _words(text: str) -> list[tuple[str, str]]:
    try:
        found = [word.partition("=") for word in shlex.split(text)]
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from None
    return [(key, value) for key, _, value in found]


def of(values: Mapping[str, Any]) -> RegistryTestRule:
    """Make a rule of values by their field: texts, or what JSON has for them.

    Raises:
        ValueError: a field is unknown or missing, or its value is none of its kind.
    """
    if unknown := [key for key in values if key not in _FIELDS]:
        raise ValueError(f"{unknown[0]}: is not one of {', '.join(_FIELDS)}")
    if missing := [key for key in ("host", "outcome") if not values.get(key)]:
        raise ValueError(f"{missing[0]}: is missing; a rule is such as host=*.example.com outcome=timeout times=2")
    times = values.get("times")
    if times is not None and not re.fullmatch(r"[0-9]{1,9}", str(times)):
        raise ValueError(f"times={times}: is not a whole number")
    texts = {key: str(value) for key, value in values.items() if key != "times"}
    return RegistryTestRule(**texts, times=None if times is None else int(times))


class _Reason(Exception):  # noqa: N818 (a rule has decided, nothing is in error)
    """The reason that a rule gives."""


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
        self._texts = Rules(contract)
        self._lock = threading.Lock()
        self._looking = threading.local()
        self.rules = rules
        self.namespace = namespace
        self.syntax = build.urls
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

    @property
    def rules(self) -> Sequence[RegistryTestRule]:
        """The rules. Setting them lets none have decided yet."""
        return self._rules

    @rules.setter
    def rules(self, rules: Sequence[RegistryTestRule]) -> None:
        with self._lock:
            self._rules = tuple(rules)
            self._decided = [0] * len(self._rules)

    def adopt(self, other: RegistryTests) -> None:
        """Take over the rules of another one, and how often each has decided."""
        with self._lock:
            self._rules, self._decided = other._rules, other._decided

    @contextmanager
    def only_looking(self) -> Iterator[None]:
        """Let tests of this thread use up no rule, and wait for none."""
        self._looking.now = True
        try:
            yield
        finally:
            self._looking.now = False

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
        reason: str | None
        try:
            reason = client(integration[member])
        except _Reason as given:
            reason = str(given)
        return None if reason is None else self._texts.problem("registry-reachable", reason=reason)

    # -- who answers --------------------------------------------------------------------------------

    def _outcome(self, *hosts: str) -> str:
        """Return how asking a host ends.

        Raises:
            _Reason: as the rule says.
        """
        names = {host.lower() for host in hosts}
        is_looking = getattr(self._looking, "now", False)
        with self._lock:
            for at, rule in enumerate(self._rules):
                is_used_up = rule.times is not None and self._decided[at] >= rule.times
                if not is_used_up and any(fnmatchcase(name, rule.host.lower()) for name in names):
                    self._decided[at] += not is_looking
                    break
            else:
                return PASSES
        if rule.delay and not is_looking:
            time.sleep(drawn(rule.delay))
        if rule.reason:
            raise _Reason(rule.reason)
        return rule.outcome

    def _network_failure(self, host: str, address: str, outcome: str) -> str | None:
        if outcome not in _NETWORK:
            return None
        if outcome == "unreachable" and _ADDRESS.fullmatch(host):
            return _NOT_FOUND_AT_AN_ADDRESS.format(address=address)
        return _NETWORK[outcome].format(host=host)

    def _reply(self, method: str, url: str) -> Reply:
        """Return what comes of a request: an error as Go's client tells it, or a status."""
        try:
            asked = gohttp.asked(url, self.syntax)
        except gourl.UrlError as error:
            return Reply(_unparsed(error))
        return self._reply_of(method, asked)

    def _reply_of(self, method: str, asked: gohttp.Asked) -> Reply:
        outcome = PASSES if asked.failure else self._outcome(asked.host, asked.url.host_name.decode("utf-8", "replace"))
        failure = asked.failure or self._network_failure(asked.host, asked.address, outcome)
        if failure is not None:
            return Reply(f"{method} {quote(str(asked.url))}: {failure}")
        return _answer(outcome) or Reply()

    def _call(self, target: grpc.Target) -> str | None:
        """Return what comes of a call by gRPC; None when it is answered."""
        outcome = self._outcome(target.host)
        failure = self._network_failure(target.host, target.address, outcome)
        if outcome == "timeout":
            failure = _DIAL_TIMEOUT
        if found := grpc.unreachable(target, failure or ""):
            return found
        answer = _answer(outcome)
        return grpc.answered(answer.status) if answer else None

    # -- registries ---------------------------------------------------------------------------------

    def _ping(self, config: Config) -> str | None:
        """pkg/registries/docker/docker.go, and all types that use it."""
        return self._docker(config["endpoint"], _PING)

    def _catalog(self, config: Config) -> str | None:
        """pkg/registries/artifactory/artifactory.go: a ping may need no credentials."""
        return self._docker(config["endpoint"], _CATALOG)

    def _docker(self, endpoint: str, path: str, credentials: Callable[[], str | None] = lambda: None) -> str | None:
        """Ask a registry; `credentials` says why there are none, which is known once the URL is read."""
        try:
            asked = gohttp.asked(_docker_url(endpoint) + path, self.syntax)
        except gourl.UrlError as error:
            return _unparsed(error)
        if (missing := credentials()) is not None:
            return f"Get {quote(str(asked.url))}: {missing}"
        reply = self._reply_of("Get", asked)
        if reply.error is not None or reply.status == 200:
            return reply.error
        what = f"non-successful response (status={reply.status} body={quote(reply.body)})"
        return f"Get {quote(str(asked.url))}: http: {what}"

    def _quay(self, quay: Config) -> str | None:
        """pkg/registries/quay/quay.go: only a token is good for a ping."""
        if quay["oauthToken"]:
            return self._ping(quay)
        reply = self._reply("Get", _url(quay["endpoint"], "https") + "/api/v1/discovery")
        if reply.error is None and reply.status == 200:
            return None
        received = "error" if reply.error is not None else f"http status code {reply.status}"
        return f"received {received} from Quay; check Central logs for the full error"

    def _google(self, google: Config) -> str | None:
        """pkg/registries/google/transport.go: a token first, with the service account or the workload's identity."""
        account = google["serviceAccount"].encode("utf-8", "surrogatepass")

        def token() -> str | None:
            if google["wifEnabled"]:
                return None
            reason = google_credentials.token_error(account, self._reply)
            return reason and f"failed to get access token: {reason}"

        return self._docker(google["endpoint"], _PING, token)

    def _ecr(self, ecr: Config) -> str | None:
        """pkg/registries/ecr/ecr.go: the host is made of account and region; `endpoint` is that of the AWS API."""
        uses_data = ecr["authorizationData"] is not None and not (
            ecr["useIam"] or ecr["accessKeyId"] or ecr["secretAccessKey"] or ecr["useAssumeRole"]
        )

        def token() -> str | None:
            reason = None if uses_data else self._aws_token_error(ecr)
            return reason and f"failed to get authorization token: operation error ECR: GetAuthorizationToken, {reason}"

        return self._docker(f"{ecr['registryId']}.dkr.ecr.{ecr['region']}.amazonaws.com", _CATALOG, token)

    def _aws_token_error(self, ecr: Config) -> str | None:
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
            url = gourl.parse(base, self.syntax)
        except gourl.UrlError:
            return f"failed to resolve service endpoint, Failed to parse uri: {base}"
        path = url.path if url.path.startswith(b"/") else b"/" + url.path
        host = url.host.decode("utf-8", "replace")
        return self._aws_call_error((f"{url.scheme}://{host}" if url.scheme else "") + path.decode())

    def _aws_identity_error(self, ecr: Config, region: str) -> str | None:
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
        status, error = _aws_error(reply, "//sts." in url)
        again = _ATTEMPTS if status >= 500 or error.startswith("Throttling") else ""
        return f"{again}https response error StatusCode: {status}, RequestID: , api error {error}"

    def _aws_reply(self, url: str) -> Reply:
        """Ask under a URL that is written as the AWS library puts it together, without userinfo, query and fragment."""
        asked = gohttp.asked(url, self.syntax)
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

    def _container_analysis(self, _google: Config) -> str | None:
        """pkg/scanners/google/google.go: Google's API is asked; `endpoint` only says which images are meant."""
        return self._call(_CONTAINER_ANALYSIS)

    def _clair(self, clair: Config) -> str | None:
        """pkg/scanners/clair/clair.go: the URL is read once more, and loses its query."""
        try:
            url = gourl.parse(_url(clair["endpoint"], "https") + "/v1/namespaces", self.syntax)
        except gourl.UrlError as error:
            return f"incorrect endpoint format: {_unparsed(error)}"
        asked = gohttp.of(url._replace(query=None))
        reply = self._reply_of("Get", asked)
        if reply.error is not None or reply.status == 200:
            return reply.error
        return f"Received status code {reply.status}, but expected 200"

    def _clair_v4(self, clair: Config) -> str | None:
        """pkg/scanners/clairv4/clairv4.go."""
        reply = self._reply("Get", _url(clair["endpoint"], "https") + "/indexer/api/v1/index_state")
        if reply.error is None:
            return None if reply.status == 200 else f"received status code {reply.status}"
        unparsed = reply.error.startswith("parse ")
        return (
            "unable to create test request: " if unparsed else "test request could not be completed: "
        ) + reply.error

    def _clairify(self, clairify: Config) -> str | None:
        """stackrox/scanner pkg/clairify/client."""
        reply = self._reply("Get", _url(clairify["endpoint"], "http") + "/scanner/ping")
        if reply.error is not None or reply.status == 200:
            return reply.error
        if reply.status == 404:
            return "error scan not found"
        phrase = HTTPStatus(reply.status).phrase
        return f"Expected status code 2XX. Received {reply.status} {phrase}. Body: {reply.body}"

    def _clairify_node(self, clairify: Config) -> str | None:
        """pkg/scanners/clairify/clairify.go TestNodeScanner: by gRPC, and not at `endpoint`."""
        return self._call(grpc.target(scanner_target(clairify, self.namespace), self.syntax))


def _answer(outcome: str) -> Reply | None:
    return _ANSWERS.get(outcome) or _SERVICES.get(outcome)


def scanner_target(clairify: Config, namespace: str) -> str:
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
_STS_ERRORS = {
    "UnrecognizedClientException": (403, "InvalidClientTokenId"),
    "InvalidSignatureException": (403, "SignatureDoesNotMatch"),
    "ExpiredTokenException": (403, "ExpiredToken"),
    "AccessDeniedException": (403, "AccessDenied"),
    "ThrottlingException": (400, "Throttling"),
}
"""STS has names of its own for the same errors."""


def _aws_error(reply: Reply, is_sts: bool) -> tuple[int, str]:
    """Return status and text of an error, which the AWS library finds in the body."""
    try:
        found = json.loads(reply.body)
        error, message = found["__type"], found["message"]
    except (ValueError, KeyError, TypeError):
        return reply.status, "UnknownError: UnknownError"
    if not is_sts:
        return reply.status, f"{error}: {message}"
    status, name = _STS_ERRORS[error]
    return status, f"{name}: {message.replace('ecr:GetAuthorizationToken', 'sts:AssumeRole')}"


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
