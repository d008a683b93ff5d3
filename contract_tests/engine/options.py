"""What can be chosen about one run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROFILES = ("quick", "default", "deep")

NAME_PREFIX = "central-contract"
"""Every integration that a run creates is named with this, the run's id and a number."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Authorization headers by the part they play; never shown anywhere."""

    admin: str | None = field(default=None, repr=False)
    read_only: str | None = field(default=None, repr=False)
    no_access: str | None = field(default=None, repr=False)
    no_role: str | None = field(default=None, repr=False)

    @property
    def by_role(self) -> dict[str, str | None]:
        """The headers by the role of a request that is sent with one."""
        return {
            "admin": self.admin,
            "read-only": self.read_only,
            "no-access": self.no_access,
            "no-role": self.no_role,
        }


def is_secret_header(name: str) -> bool:
    """Return whether a header may hold a secret, by its name."""
    return bool(re.search("auth|cookie|key|pass|secret|session|signature|token", name, re.IGNORECASE))


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one run.

    `rate` is requests a second, `time_budget` and the timeouts are seconds, `max_live` is how many
    integrations of the run may exist at once. `central_version` None means: ask the target.
    `managed`: the target is the managed service.
    """

    url: str
    profile: str = "default"
    seed: int = 0
    credentials: Credentials = field(default_factory=Credentials)
    ca_file: Path | None = None
    insecure: bool = False
    timeout: float = 30.0
    rate: float | None = None
    time_budget: float | None = None
    max_requests: int | None = None
    max_response_time: float = 5.0
    max_live: int = 150
    workers: int = 1
    strict: bool = False
    """A check that is skipped is a failure, unless the release does not have what it looks at."""
    require_rules: float = 0.0
    """Per cent of the rules that a run has to cover."""
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    fail_fast: bool = False
    central_version: str | None = None
    managed: bool = False
    allow_writes: bool = False
    allow_registry_tests: bool = False
    allow_load: bool = False
    disposable: bool = False
    """The target may be ruined: what is Central's own may be deleted there, too."""
    state_dir: Path = Path(".central-contract")
    known: tuple[Path, ...] = ()
    no_known: tuple[str, ...] = ()
    """Checks whose shipped known differences count as failures; "all" stands for each."""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Headers of every request."""
    client_cert: Path | None = None
    client_key: Path | None = None
    target_words: tuple[str, ...] = ()
    """Words of a command line that reach the same target in the same way; no secret is among them."""
    own_mock: Mapping[str, Any] | None = None
    """Settings of the mock that the run has started for itself, None where the target is another's."""
    examples: str | None = field(default=None, repr=False)
    """URL of the Redis that keeps what hypothesis finds; it may hold a password."""
