"""One run of the harness against a mock in this process, and its result for a mutant."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from contract_tests.checks import latency
from contract_tests.checks.registry import Check, all_checks
from contract_tests.engine.options import Credentials, Options
from contract_tests.oracle.observers import OBSERVED, UNTOUCHED
from contract_tests.runner.report import Report
from contract_tests.runner.run import Run
from mock_server import mutants
from mock_server.central.auth import Credentials as Known
from mock_server.gateway.instance import Instance
from mock_server.mutants import Mutant, tools
from mock_server.serving.server import serving
from mock_server.settings import Settings

ALWAYS_THERE = (*OBSERVED, UNTOUCHED)
"""Checks that every run reports, whatever --only selects."""

RUN_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "create-answer-in-clear": {"no_known": ("create-answer-in-clear",)},
    "list-order": {"no_known": ("list-order",)},
    "registry-reachable": {"allow_registry_tests": True},
    "message-size": {"allow_load": True},
    "scanner-v4-not-deleted": {"disposable": True},
    "scanner-v4-stays": {"disposable": True},
}
"""Options that a check needs to run."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a run for a mutant."""

    named: bool
    """Whether the mutant's check failed."""
    others: tuple[str, ...]
    """Other failed checks that the mutant should not affect."""
    touched: tuple[str, ...]
    """Other failed checks that the mutant may affect."""
    requests: int
    """Number of requests until the mutant was found; all of them if no request shows it."""
    seconds: float
    """Seconds until then."""
    errors: tuple[str, ...] = ()
    """Checks that ended in an error of the harness."""
    detailed: tuple[str, ...] = ()
    """Checks whose failures a report details, in its order."""

    @property
    def first(self) -> str:
        """The check that a report names first, or "" if the run passed."""
        return self.detailed[0] if self.detailed else ""

    @property
    def found(self) -> bool:
        """Whether the run failed."""
        return bool(self.named or self.others or self.touched)


def credentials_of(settings: Settings) -> Credentials:
    """Return credentials of every role for a mock that requires them, otherwise none."""
    known = settings.credentials
    return (
        Credentials(
            admin=f"Bearer {known.admin_token}",
            read_only=f"Bearer {known.read_only_token}",
            no_access=f"Bearer {known.no_access_token}",
            no_role=f"Bearer {known.no_role_token}",
        )
        if settings.auth
        else Credentials()
    )


_CHANGE = "a-change-of-a-test"


@contextmanager
def _changed(settings: Settings, change: Callable[[Instance], None] | None) -> Iterator[Settings]:
    """Make a change to the mock available as a mutant, with its settings."""
    if change is None:
        yield settings
        return
    mutant = Mutant(_CHANGE, "state", "", "", change)
    find = mutants.find
    with patch.object(mutants, "find", lambda name: mutant if name == _CHANGE else find(name)):
        yield replace(settings, mutants=(*settings.mutants, _CHANGE))


ROLES = ("admin", "read_only", "no_access", "no_role")


def report_on(
    settings: Settings,
    change: Callable[[Instance], None] | None = None,
    *,
    roles: Sequence[str] = ROLES,
    **options: Any,
) -> Report:
    """Run the harness against a new mock with a change.

    `roles` are those that the harness has a token of.
    """
    known = Known()
    tokens = {role: f"Bearer {getattr(known, f'{role}_token')}" for role in roles}
    with _changed(settings, change) as changed, serving(changed) as mock, tempfile.TemporaryDirectory() as state:
        return Run(
            Options(
                url=mock.url,
                managed=settings.managed,
                state_dir=Path(state),
                central_version=settings.central_version,
                credentials=Credentials(**tokens) if settings.auth else Credentials(),
                **options,
            )
        )()


def verdict_on(
    mutant: Mutant, *, only: Iterable[str] = (), profile: str = "default", seed: int = 0, **options: Any
) -> Verdict:
    """Run the harness against a mock with the mutant applied."""
    settings = Settings(seed=seed, mutants=(mutant.name,), **mutant.settings)
    options = {"timeout": 15, **RUN_OPTIONS.get(mutant.check, {}), **options}
    report = report_on(settings, only=tuple(only), profile=profile, seed=seed, **options)
    failed = dict.fromkeys(failure.check for failure in report.failures)
    telling = [each for each in report.failures if each.check == mutant.check] or report.failures
    shown = min((each.exchanges[-1] for each in telling if each.exchanges), key=lambda one: one.at, default=None)
    allowed = {mutant.check, *mutant.also, *ALWAYS_THERE}
    return Verdict(
        mutant.check in failed,
        tuple(each for each in failed if each not in allowed),
        tuple(each for each in failed if each in allowed and each != mutant.check),
        shown.number if shown else report.requests,
        round(shown.at if shown else report.seconds, 2),
        tuple(result.check for result in report.results if result.outcome == "error"),
        tuple(result.check for result in report.results if result.outcome == "failed" and not result.like),
    )


TIMED = ("list", "update-read-back", "test-stores-nothing", "name-unique", "long-values-kept")
"""Checks whose requests are sufficient to find slow operations."""

_HURRY = 1 / 30
"""Real seconds per simulated second of a slow mutant, so that tests are fast."""


def check_of(mutant: Mutant) -> Check | None:
    """Return the check that finds a mutant, or None if any answer may show it."""
    return all_checks().get(mutant.name if mutant.check in ALWAYS_THERE else mutant.check)


def tried(mutant: Mutant) -> Verdict:
    """Run what is sufficient to find a mutant: its check with its prerequisites, or a quick run."""
    check = check_of(mutant)
    if check is None:
        return verdict_on(mutant, profile="quick")
    profile = "default" if "default" in check.profiles else check.profiles[-1]
    more = (*TIMED, *mutant.also) if mutant.check == "response-time" else ()
    with hurried(mutant) as options:
        return verdict_on(mutant, only=(*check.needs, *more, check.id), profile=profile, **options)


@contextmanager
def hurried(mutant: Mutant) -> Iterator[dict[str, Any]]:
    """Scale down the delays of a slow mutant; yield options with equally scaled limits."""
    if mutant.check != "response-time":
        yield {}
        return
    with patch.object(tools, "PACE", _HURRY), patch.object(latency, "SLOW", latency.SLOW * _HURRY):
        yield {"max_response_time": 4 * _HURRY}
