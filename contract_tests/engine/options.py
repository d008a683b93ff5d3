"""The options of one run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PROFILES = ("quick", "default", "deep")

NAME_PREFIX = "central-contract"
"""Prefix of the name of every integration that a run creates; the run's id follows."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Authorization headers by role; no report shows them."""

    admin: str | None = field(default=None, repr=False)
    read_only: str | None = field(default=None, repr=False)
    no_access: str | None = field(default=None, repr=False)
    no_role: str | None = field(default=None, repr=False)

    @property
    def by_role(self) -> dict[str, str | None]:
        """The headers by the role of a request."""
        return {
            "admin": self.admin,
            "read-only": self.read_only,
            "no-access": self.no_access,
            "no-role": self.no_role,
        }


def is_secret_header(name: str, value: str) -> bool:
    """Return whether the name of a header suggests that its value is secret, or the value has the form of a token."""
    is_named = re.search("auth|cookie|key|pass|secret|session|signature|token", name, re.IGNORECASE)
    return bool(is_named or re.match(r"(?:basic|bearer|token)\s|eyJ", value, re.IGNORECASE))  # eyJ begins a JWT


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one run.

    `rate` is in requests per second; `time_budget`, `timeout` and `max_response_time` are in seconds.
    `max_live` limits how many integrations of the run exist at once. If `central_version` is None,
    the target reports it. `managed` means that the target is the managed service.
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
    """A skipped check counts as failed, unless it does not apply to the release."""
    require_rules: float = 0.0
    """Percentage of the rules that a run must cover."""
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    fail_fast: bool = False
    central_version: str | None = None
    managed: bool = False
    allow_writes: bool = False
    allow_registry_tests: bool = False
    allow_load: bool = False
    disposable: bool = False
    """The target may be damaged: checks may try to delete Central's built-in integrations."""
    state_dir: Path = Path(".central-contract")
    known: tuple[Path, ...] = ()
    no_known: tuple[str, ...] = ()
    """Checks whose shipped known differences count as failures; "all" means every check."""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Headers to send with every request."""
    client_cert: Path | None = None
    client_key: Path | None = None
    target_words: tuple[str, ...] = ()
    """Command-line arguments that reach the same target in the same way, without secrets."""
    own_mock: Mapping[str, Any] | None = None
    """Settings of the mock that the run started itself, or None if the user gave a URL."""
    examples: str | None = field(default=None, repr=False)
    """URL of the Redis that stores hypothesis's failing examples; it may contain a password."""

    @property
    def base(self) -> str:
        """The URL of the target without a slash at its end."""
        return self.url.rstrip("/")

    @property
    def may_write(self) -> bool:
        """True if the run may write to the target: with --allow-writes, or on loopback."""
        return self.allow_writes or is_loopback(self.base)


_LOOPBACK = re.compile(r"127(?:\.[0-9]{1,3}){1,3}", re.ASCII)  # 127.example.com is somebody's host


def is_loopback(url: str) -> bool:
    """Return whether a URL leads to this machine."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or _LOOPBACK.fullmatch(host) is not None
