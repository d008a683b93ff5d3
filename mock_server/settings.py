"""The settings of one mock. Only `cli` reads the environment and files of settings.

The text below a field is its documentation everywhere: in Python, in `serve --help` and in docs/reference/options.md.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from mock_server.central.auth import Credentials
from mock_server.central.registry_test_rules import DEFAULT_RULES, RegistryTestRule
from mock_server.central.registry_test_rules import of as registry_test_of
from mock_server.central.registry_test_rules import parse as parse_registry_test
from mock_server.contract import tables as contracts
from mock_server.simulation.fault_forms import from_json
from mock_server.simulation.fault_forms import parse as parse_fault
from mock_server.simulation.faults import Fault
from mock_server.simulation.redaction import without_userinfo
from mock_server.state import scenarios
from mock_server.state.memory import MEMORY

VALIDATION_MODES = ("fast", "full", "none")

RESOURCES = (
    *("Access", "Administration", "Alert", "CVE", "Cluster", "Compliance", "Deployment", "DeploymentExtension"),
    *("Detection", "Image", "Integration", "K8sRole", "K8sRoleBinding", "K8sSubject", "Namespace", "NetworkGraph"),
    *("NetworkPolicy", "Node", "Secret", "ServiceAccount", "VulnerabilityManagementApprovals"),
    *("VulnerabilityManagementRequests", "WatchedImage", "WorkflowAdministration"),
)
"""Central's resources (pkg/sac/resources/list.go)."""
ACCESSES = ("NO_ACCESS", "READ_ACCESS", "READ_WRITE_ACCESS")
EVERY_RESOURCE = "all"
_STORE_PREFIX = "mock-central"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one app.

    Files can be strings. Lists of faults, registry tests and mutants can have the strings that the options accept:
    ``Settings(load="state.json", faults=["PostImageIntegration code=503 times=2"])``.

    Raises:
        ValueError: a value cannot be used. The text begins with the name of the field.
    """

    central_version: str = field(default_factory=lambda: contracts.load().releases.newest.line)
    """Release of Central to simulate, such as 4.11 (its newest patch) or 4.11.0."""
    as_deployed: bool = False
    """Follow deployed Central where it differs from the published document (see `differences`)."""
    managed: bool = False
    """Simulate the managed service, which refuses IAM for ECR."""
    namespace: str = "stackrox"
    """Namespace that Central runs in."""
    strict: bool = False
    """Refuse requests that violate the contract. By default the mock answers as Central does, with a warning."""
    validation: str = VALIDATION_MODES[0]
    """What openapi-core validates: everything (full), what a compiled validator rejects (fast), or nothing (none).

    With none, no request causes a warning.
    """
    fatal_answers: bool = False
    """Raise an error when an answer of the mock breaks the contract. By default it is logged."""

    scenario: str = scenarios.DEFAULT
    """Start with a named state (see `scenarios`), such as one-of-each or many:1000."""
    empty: bool = False
    """Start without the integrations of a fresh Central."""
    seed: int | None = None
    """Create the same ids at each start."""
    load: Path | None = None
    """Start with the state in this file, which --save or `record` wrote."""
    store: str = field(default=MEMORY, repr=False)  # the URL may hold a password
    """Keep integrations in memory, or in a Redis or Valkey that several replicas share."""
    store_prefix: str = _STORE_PREFIX
    """Prefix of the keys in the Redis. Each deployment needs its own."""

    auth: bool = False
    """Require credentials, as Central does."""
    credentials: Credentials = field(default_factory=Credentials)
    """Tokens and basic credentials that `auth` accepts."""

    faults: tuple[Fault, ...] = ()
    """Inject a fault, such as 'PostImageIntegration code=503 times=2' or 'delay=1..3'."""
    mutants: tuple[str, ...] = ()
    """Apply a mutant (see `mutants`): break one of Central's rules, to see if tests notice."""

    registry_tests: tuple[RegistryTestRule, ...] = DEFAULT_RULES
    """Make registry tests of a host (a shell pattern) end with this outcome. The first matching rule applies.

    The option adds rules before the built-in ones (`DEFAULT_RULES`); the field replaces them.
    """

    sandbox_ttl: float = 600.0
    """Delete a sandbox after it has been idle for this many seconds."""
    max_sandboxes: int = 10_000
    """Allow this many sandboxes at once."""

    allow_hosts: tuple[str, ...] = ()
    """Also accept this Host header: a name, or a pattern such as *.example.com.

    A server on loopback accepts localhost, addresses and the name of --host, and for the API names without a dot, so
    that no web page can point its own name at it (DNS rebinding). * accepts every name. Other servers accept every
    name unless you set this option.
    """
    control: bool = True
    """Offer the control calls under /__admin. The health check is always offered."""
    control_token: str | None = field(default=None, repr=False)
    """Require this bearer token for control calls."""
    journal: int = 1000
    """Keep this many requests in the request journal of each sandbox. 0 turns it off."""
    tls_ca: str | None = field(default=None, repr=False)
    """Certificate authority (PEM) that /__admin/ca.pem offers to clients. `serve --tls` sets it."""

    cors: str | None = None
    """Allow cross-origin requests from pages of this one origin (* allows any)."""
    companions: bool = True
    """Answer the other paths that the web UI and scripts need, such as login and version (see `companions`)."""
    permissions: tuple[str, ...] = ()
    """Grant this to an admin in /v1/mypermissions, such as Cluster=READ_ACCESS or all=READ_WRITE_ACCESS."""
    ui: Path | None = None
    """Serve the production build of the web UI in this folder."""
    upstream: str | None = None
    """Forward requests for all other paths to the Central at this URL.

    If it answers 404 or 501, a companion answers instead.
    """
    upstream_paths: tuple[str, ...] = ()
    """Forward only paths like '/v1/clusters*' (a shell pattern). The mock answers the others itself."""
    upstream_ca: Path | None = None
    """Trust the certificates in this file (PEM) for --upstream."""
    upstream_insecure: bool = False
    """Trust any certificate of --upstream."""

    def __post_init__(self) -> None:
        """Parse texts, and raise ValueError for invalid values."""
        for each in fields(self):
            _check_type(each.name, str(each.type), getattr(self, each.name))
        for name in ("load", "ui", "upstream_ca"):
            if isinstance(path := getattr(self, name), str):
                object.__setattr__(self, name, Path(path))
        self._read_list("faults", parse_fault, Fault, from_json)
        self._read_list("registry_tests", parse_registry_test, RegistryTestRule, registry_test_of)
        self._read_list("mutants", str)
        self._read_list("permissions", _permission)
        self._read_list("upstream_paths", _path_pattern)
        self._read_list("allow_hosts", _host_name)
        _check_release(self.central_version)
        if self.validation not in VALIDATION_MODES:
            known = ", ".join(VALIDATION_MODES)
            raise ValueError(f"validation: {self.validation!r} is unknown; use one of {known}")
        _check_scenario(self)
        _check_store(self)
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", self.namespace):
            raise ValueError(f"namespace: {self.namespace!a} is not the name of a namespace, such as stackrox")
        if self.cors is not None:
            _check_origin(self.cors)
        if not 0 < self.sandbox_ttl <= _LONGEST_TTL:  # a NaN is not, either
            raise ValueError(
                f"sandbox_ttl: {self.sandbox_ttl} is out of range; give seconds above 0 and up to {_LONGEST_TTL}"
            )
        for name in ("journal", "max_sandboxes"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: {getattr(self, name)} is below 0; give 0 or more")
        if self.ui is not None:
            _check_build(self.ui)
        _check_needs(self)
        if self.upstream_ca is not None:
            _check_certificates(self.upstream_ca)

    def _read_list(
        self,
        name: str,
        parse: Callable[[str], Any],
        kind: type[Any] = str,
        of: Callable[[Mapping[str, Any]], Any] | None = None,
    ) -> None:
        """Parse the texts of a list, and its mappings with `of`; other values must be of the kind."""
        values: Iterable[Any] = getattr(self, name)
        if isinstance(values, str):
            raise ValueError(f"{name}: {values!r} is a single string; give a list, such as [{values!r}]")  # noqa: TRY004 (all errors of settings are ValueError)
        if not isinstance(values, Iterable):
            raise ValueError(f"{name}: {values!r} is not a list")  # noqa: TRY004
        found = [
            _read(name, each, of if of and isinstance(each, Mapping) else parse if isinstance(each, str) else None)
            for each in values
        ]
        if wrong := [each for each in found if not isinstance(each, kind)]:
            raise ValueError(f"{name}: {wrong[0]!r} is not a string{' or a mapping' if of else ''}")
        object.__setattr__(self, name, tuple(found))


def _check_type(name: str, annotation: str, value: Any) -> None:
    """Raise ValueError unless a value is of its type, if that is a plain one: `auth="no"` would be true."""
    wanted = annotation.removesuffix(" | None")
    types = {"bool": bool, "str": str, "int": int, "float": int | float, "Path": str | PathLike}.get(wanted)
    if types is None or (value is None and wanted != annotation):
        return
    if not isinstance(value, types) or (isinstance(value, bool) and types is not bool):
        kind = {"bool": "true or false", "str": "a string", "Path": "a path"}.get(wanted, "a number")
        raise ValueError(f"{name}: {value!r} is not {kind}")


def _read(name: str, value: Any, parse: Callable[[Any], Any] | None) -> Any:
    try:
        return parse(value) if parse else value
    except ValueError as error:
        shown = "" if str(error).startswith(repr(value)) else f"{value!r}: "
        raise ValueError(f"{name}: {shown}{error}") from None


def _host_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9*._-]+", text):
        raise ValueError("is not the name of a host; give one such as central.example.com, without scheme and port")
    return text


def documentation(of: type[Any] = Settings) -> dict[str, str]:
    """Return the first paragraph of the text below each field in the source."""
    found: dict[str, str] = {}
    (defined,) = ast.parse(inspect.getsource(of)).body
    assert isinstance(defined, ast.ClassDef)
    for statement, following in zip(defined.body, defined.body[1:], strict=False):
        match statement, following:
            case ast.AnnAssign(target=ast.Name(name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = " ".join(text.partition("\n\n")[0].split())
    return found


def from_names(**chosen: Any) -> Settings:
    """Return settings from names that a person wrote, such as those of a pytest marker.

    Raises:
        ValueError: a name is unknown, or a value is invalid.
    """
    known = [each.name for each in fields(Settings)]
    if unknown := [name for name in chosen if name not in known]:
        raise ValueError(f"unknown setting {unknown[0]!r}; {suggestion(unknown[0], known)}")
    return Settings(**chosen)


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return a hint with the known name that is most similar to an unknown one, or with all names."""
    known = list(known)
    close = [each for each in known if name in each.split("_")] or difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"


def _permission(text: str) -> str:
    resource, _, access = text.partition("=")
    if resource not in (*RESOURCES, EVERY_RESOURCE):
        raise ValueError(f"{resource!r} is not a resource; {suggestion(resource, (*RESOURCES, EVERY_RESOURCE))}")
    if access not in ACCESSES:
        raise ValueError(f"{access!r} is not an access level of {resource}; use one of {', '.join(ACCESSES)}")
    return text


def _path_pattern(text: str) -> str:
    if not text.startswith(("/", "*")):
        raise ValueError("is not a path pattern; begin it with a slash, such as '/v1/clusters*'")
    return text


_LONGEST_TTL = 10**9
_SCRIPT = re.compile(r"""<script\b[^>]*\bsrc\s*=\s*["']?([^"'\s>]+)""", re.IGNORECASE)
_COMMENT = re.compile("<!--.*?-->", re.DOTALL)
_SOURCE = (".ts", ".tsx", ".jsx", ".mts")
_HOST = re.compile(r"[\w.:%-]+")
DEFAULT_PORTS = {"http": 80, "https": 443}
"""Port of a URL without one, by scheme; browsers leave it out of an origin."""


def _check_build(folder: Path) -> None:
    """Raise ValueError unless a folder is a production build of a UI."""
    advice = "give the folder of a production build of the UI (`npm run build` makes one)"
    page = folder / "index.html"
    if not page.is_file():
        raise ValueError(f"ui: {folder} has no index.html; {advice}")
    text = _COMMENT.sub("", page.read_text("utf-8", "replace"))
    if "%PUBLIC_URL%" in text:
        raise ValueError(f"ui: {page} is a template (it says %PUBLIC_URL%); {advice}")
    for script in _SCRIPT.findall(text):
        path = script.partition("?")[0]
        if path.endswith(_SOURCE):
            raise ValueError(f"ui: {page} loads {script}, which is source code; {advice}")
        if "//" not in path and not (folder / path.lstrip("/")).is_file():
            raise ValueError(f"ui: {page} loads {script}, which is not in the folder; {advice}")


def server_url(text: str, *schemes: str) -> SplitResult | None:
    """Return the parts of the URL of a server, or None if it is invalid or has a scheme other than these (if any)."""
    try:
        parts = urlsplit(text)
        is_usable = bool(parts.scheme and _HOST.fullmatch(parts.hostname or "")) and parts.port != 0
    except ValueError:
        return None
    return parts if is_usable and (not schemes or parts.scheme in schemes) else None


def _check_store(settings: Settings) -> None:
    if settings.store == MEMORY:
        if settings.store_prefix != _STORE_PREFIX:
            raise ValueError(f"store_prefix: {settings.store_prefix!r} needs a Redis as the store; give its URL, too")
        return
    parts = server_url(settings.store, "redis", "rediss")
    if parts is not None:
        try:
            (parts.hostname or "").encode("idna")  # as the look-up of the host does
        except UnicodeError:
            parts = None
    # What comes before an @ may be a password, which is shown nowhere.
    if parts is None or not re.fullmatch(r"(/\d*)?", parts.path) or "@" in parts.query or parts.fragment:
        raise ValueError(
            f"store: is neither {MEMORY} nor a URL such as redis://redis.example.com:6379/0 "
            f"(in a password, / ? # @ % are written %2F %3F %23 %40 %25)"
        )
    if not re.fullmatch(r"[A-Za-z0-9._~-]{1,100}", settings.store_prefix):
        raise ValueError(f"store_prefix: {settings.store_prefix!r} is not 1 to 100 letters, digits or any of . _ ~ -")
    if settings.mutants:
        raise ValueError("mutants: need a store in memory; leave out mutants or the store")


def _check_origin(origin: str) -> None:
    """Raise ValueError unless this is an origin as browsers send it: scheme, host and perhaps port."""
    if origin in ("*", "null"):
        return
    parts = server_url(origin)
    whole = ""
    if parts is not None and parts.hostname and "@" not in origin and origin.isascii():
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        port = "" if parts.port in (None, DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
        whole = f"{parts.scheme}://{host}{port}"
    if not whole or whole != origin:
        hint = f"give {whole}" if whole else "give one such as http://localhost:5173, or * for any"
        raise ValueError(f"cors: {without_userinfo(origin)!r} is not an origin as browsers send it; {hint}")


def _check_upstream(url: str) -> None:
    parts = server_url(url, "http", "https")
    if parts is None:
        raise ValueError(
            f"upstream: {without_userinfo(url.partition('?')[0])!r} is not the URL of a server; "
            f"give one such as https://central.example.com"
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("upstream: the URL has credentials, a query or a fragment; clients send their own credentials")


def _check_certificates(file: Path) -> None:
    import ssl

    try:
        ssl.create_default_context(cafile=file)
    except OSError as error:
        raise ValueError(f"upstream_ca: {file} holds no certificates that can be read: {error}") from None


def _check_release(release: str) -> None:
    try:
        contracts.load().releases.find(release)
    except ValueError as error:
        raise ValueError(f"central_version: {error}") from None


def _check_needs(settings: Settings) -> None:
    """Raise ValueError if a setting does nothing without another one."""
    if settings.upstream is not None:
        _check_upstream(settings.upstream)
    elif settings.upstream_paths:
        raise ValueError(f"upstream_paths: {settings.upstream_paths[0]} needs an upstream; give its URL, too")
    elif settings.upstream_ca is not None:
        raise ValueError(f"upstream_ca: {settings.upstream_ca} needs an upstream; give its URL, too")
    elif settings.upstream_insecure:
        raise ValueError("upstream_insecure: needs an upstream; give its URL, too")
    if settings.strict and settings.validation == "none":
        raise ValueError("strict: needs validation; choose the validation fast or full")
    if settings.permissions and not settings.companions:
        raise ValueError(f"permissions: {settings.permissions[0]} needs the companions; do not turn them off")


def _check_scenario(settings: Settings) -> None:
    try:
        scenarios.parse(settings.scenario)
    except ValueError as error:
        raise ValueError(f"scenario: {error}") from None
    if settings.empty and settings.scenario not in (scenarios.DEFAULT, "empty"):
        raise ValueError(f"empty: cannot be combined with the scenario {settings.scenario!r}; choose one of them")
