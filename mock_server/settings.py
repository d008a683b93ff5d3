"""What can be chosen about one mock. `cli` is the only reader of the environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mock_server.auth import Credentials
from mock_server.contract import VERSIONS
from mock_server.probe import DEFAULT_RULES, ProbeRule

VALIDATION_MODES = ("fast", "full")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one app.

    `version`: the release of Central to play. `as_deployed`: where the published document and
    deployed Central disagree, follow Central. `auth`: ask for credentials. `managed`: play the
    managed service. `empty`: start without the integrations of a fresh Central. `strict`: refuse
    what the contract does not promise. `validation`: "full" lets openapi-core judge every request
    and answer, "fast" only those that a compiled validator does not accept. `seed`: the same ids
    at each start. `cors`: the origin that browsers may call from. `namespace`: where Central runs.
    `probe_rules`: how registry tests end, by host. `fatal_answers`: raise when an answer breaks
    the contract, instead of logging it. `faults`: names of faults to plant. `companions`: answer
    the paths beside the image integrations that the web UI and scripts ask for. `ui`: folder of a
    production build of the web UI to serve.
    """

    version: str = VERSIONS[-1]
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
    probe_rules: tuple[ProbeRule, ...] = DEFAULT_RULES
    fatal_answers: bool = False
    faults: tuple[str, ...] = ()
    companions: bool = True
    ui: Path | None = None

    def __post_init__(self) -> None:
        """Refuse values that no mock can be made of."""
        _one_of("version", self.version, VERSIONS)
        _one_of("validation", self.validation, VALIDATION_MODES)
        if self.ui is not None and not (self.ui / "index.html").is_file():
            raise ValueError(f"ui: {self.ui} has no index.html; give the folder of a production build of the UI")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name}: unknown value {value!r}; known: {', '.join(known)}")
