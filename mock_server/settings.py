"""What can be chosen about one mock. `cli` is the only reader of the environment."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from mock_server.central.auth import Credentials
from mock_server.central.registry_tests import DEFAULT_RULES, RegistryTestRule
from mock_server.contract import tables as contracts
from mock_server.simulation.faults import Fault
from mock_server.state import scenarios
from mock_server.state.memory import MEMORY

VALIDATION_MODES = ("fast", "full")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one app.

    `version`: the release of Central to play; a minor such as 4.11 stands for its newest patch.
    `as_deployed`: where the published document and deployed Central disagree, follow Central.
    `auth`: ask for credentials. `managed`: play the
    managed service. `empty`: start without the integrations of a fresh Central. `strict`: refuse
    what the contract does not promise. `validation`: "full" lets openapi-core validate every request
    and answer, "fast" only those that a compiled validator does not accept. `seed`: the same ids
    at each start. `cors`: the origin that browsers may call from. `namespace`: where Central runs.
    `registry_tests`: how registry tests end, by host. `fatal_answers`: raise when an answer breaks
    the contract, instead of logging it. `mutants`: names of mutants to apply. `companions`: answer
    the paths beside the image integrations that the web UI and scripts ask for. `ui`: folder of a
    production build of the web UI to serve. `upstream`: a Central that everything else is passed
    to; `upstream_ca`: file of the certificates to trust there, `upstream_insecure`: trust any.

    `scenario`: the named state to start with; `load`: a file to start from instead. `faults`: what
    requests meet from the start. `journal`: how many requests each sandbox remembers. `sandbox_ttl`: seconds
    after which a sandbox that nobody uses is freed; `max_sandboxes`: how many there can be. `control`: offer
    the control calls; `control_token`: the bearer token that they ask for.

    `store`: where integrations are kept, "memory" or the URL of a Redis or Valkey that replicas share;
    `store_prefix`: what its keys begin with, another for each deployment.
    """

    version: str = field(default_factory=lambda: contracts.load().releases.newest.line)
    as_deployed: bool = False
    auth: bool = False
    credentials: Credentials = field(default_factory=Credentials)
    managed: bool = False
    empty: bool = False
    strict: bool = False
    validation: str = "fast"
    seed: int | None = None
    cors: str | None = None
    namespace: str = "stackrox"
    registry_tests: tuple[RegistryTestRule, ...] = DEFAULT_RULES
    fatal_answers: bool = False
    mutants: tuple[str, ...] = ()
    scenario: str = scenarios.DEFAULT
    load: Path | None = None
    faults: tuple[Fault, ...] = ()
    journal: int = 1000
    sandbox_ttl: float = 600.0
    max_sandboxes: int = 10_000
    control: bool = True
    control_token: str | None = None
    store: str = field(default=MEMORY, repr=False)  # the URL may hold a password
    store_prefix: str = "mock-central"
    companions: bool = True
    ui: Path | None = None
    upstream: str | None = None
    upstream_ca: Path | None = None
    upstream_insecure: bool = False

    def __post_init__(self) -> None:
        """Refuse values that no mock can be made of."""
        _check_release("version", self.version)
        _one_of("validation", self.validation, VALIDATION_MODES)
        scenarios.parse(self.scenario)
        if self.empty and self.scenario not in (scenarios.DEFAULT, "empty"):
            raise ValueError(f"empty and the scenario {self.scenario!r} do not go together")
        _check_store(self)
        if self.cors is not None:
            _check_origin(self.cors)
        if not self.sandbox_ttl > 0:  # a NaN is not, either
            raise ValueError(f"sandbox_ttl: {self.sandbox_ttl} is not a time above 0")
        if self.ui is not None and not (self.ui / "index.html").is_file():
            raise ValueError(f"ui: {self.ui} has no index.html; give the folder of a production build of the UI")
        if self.upstream is not None:
            _check_address("upstream", self.upstream)
        elif self.upstream_ca is not None or self.upstream_insecure:
            raise ValueError("upstream: there is none whose certificate could be trusted; give its URL")
        if self.upstream_ca is not None:
            _check_certificates("upstream_ca", self.upstream_ca)


def _check_store(settings: Settings) -> None:
    if settings.store == MEMORY:
        return
    try:
        parts = urlsplit(settings.store)
        usable = parts.scheme in ("redis", "rediss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    # What comes before an @ may be a password, which is shown nowhere.
    if not usable or not re.fullmatch(r"(/\d*)?", parts.path) or "@" in parts.query or parts.fragment:
        raise ValueError(
            f"store: is neither {MEMORY} nor a URL such as redis://redis.example.com:6379/0 "
            f"(in a password, / ? # @ % are written %2F %3F %23 %40 %25)"
        )
    if not re.fullmatch(r"[A-Za-z0-9._~-]{1,100}", settings.store_prefix):
        raise ValueError(f"store_prefix: {settings.store_prefix!r} is not 1 to 100 letters, digits or any of . _ ~ -")
    if settings.mutants:
        raise ValueError(
            "mutants are applied in a store in memory: mutants and a store that is shared do not go together"
        )


def _check_origin(origin: str) -> None:
    """See that a browser may send this origin, which it does as scheme, host and perhaps port."""
    if origin in ("*", "null"):
        return
    try:
        parts = urlsplit(origin)
        usable = (
            bool(parts.scheme) and "//" in origin and bool(parts.hostname) and parts.port != 0 and "@" not in origin
        )
    except ValueError:
        usable = False
    whole = f"{parts.scheme}://{parts.netloc}".lower() if usable else ""
    if not usable or whole != origin:
        hint = f"give {whole}" if usable else "give one such as http://localhost:5173, or * for any"
        raise ValueError(f"cors: {origin!r} is not an origin as browsers send it; {hint}")


def _check_address(name: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"{name}: {url!r} is not the URL of a server; give one such as https://central.example.com")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError(f"{name}: the URL has credentials, a query or a fragment; clients send their own credentials")


def _check_certificates(name: str, file: Path) -> None:
    import ssl

    try:
        ssl.create_default_context(cafile=file)
    except OSError as error:
        raise ValueError(f"{name}: {file} holds no certificates that can be read: {error}") from None


def _check_release(name: str, release: str) -> None:
    try:
        contracts.load().releases.find(release)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name}: unknown value {value!r}; known: {', '.join(known)}")
