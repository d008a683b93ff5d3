"""One run of the harness against one mock of this process, and what it says of a planted fault."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract_tests.observers import OBSERVED
from contract_tests.options import Credentials, Options
from contract_tests.registry import all_checks
from contract_tests.run import Report, Run
from mock_server.auth import Credentials as Known
from mock_server.faults import Fault
from mock_server.server import running
from mock_server.settings import Settings

ALWAYS_THERE = (*OBSERVED, "others-untouched")
"""Checks that every run reports, whichever were chosen."""

_RUN_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "registry-reachable": {"allow_registry_tests": True},
    "message-size": {"allow_load": True},
}
"""What a run has to be allowed for a check to be made."""

_WATCHED = ("list", "create", "read-after-create", "error-shape")
"""Checks whose requests show what observers look for."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run says of a fault."""

    named: bool
    """The check that the fault is for has failed."""
    others: tuple[str, ...]
    """Checks that have failed besides, and that the fault does not touch."""
    touched: tuple[str, ...]
    """Checks that have failed besides, and may."""
    requests: int
    seconds: float
    errors: tuple[str, ...] = ()
    """Checks that ended in an error of the harness."""

    @property
    def found(self) -> bool:
        """The run is red."""
        return bool(self.named or self.others or self.touched)


def report_on(settings: Settings, **options: Any) -> Report:
    """Run the harness against a mock of its own."""
    known = Known()
    credentials = Credentials(
        admin=f"Bearer {known.admin_token}",
        read_only=f"Bearer {known.read_only_token}",
        no_access=f"Bearer {known.no_access_token}",
    )
    with running(settings) as mock, tempfile.TemporaryDirectory() as state:
        return Run(
            Options(
                url=mock.url,
                state_dir=Path(state),
                version=settings.version,
                credentials=credentials if settings.auth else Credentials(),
                **options,
            )
        )()


def judged(fault: Fault, *, only: Iterable[str] = (), profile: str = "default", seed: int = 0) -> Verdict:
    """Run the harness against a mock with the fault planted."""
    settings = Settings(seed=seed, faults=(fault.name,), **fault.settings)
    report = report_on(
        settings, only=tuple(only), profile=profile, seed=seed, timeout=15, **_RUN_OPTIONS.get(fault.check, {})
    )
    failed = dict.fromkeys(failure.check for failure in report.failures)
    allowed = {fault.check, *fault.also, *ALWAYS_THERE}
    return Verdict(
        fault.check in failed,
        tuple(each for each in failed if each not in allowed),
        tuple(each for each in failed if each in allowed and each != fault.check),
        report.requests,
        round(report.seconds, 2),
        tuple(result.check for result in report.results if result.outcome == "error"),
    )


def profile_for(fault: Fault) -> str:
    """Name a profile that the check of a fault is part of."""
    check = all_checks().get(fault.check)
    return "default" if check is None or "default" in check.profiles else check.profiles[-1]


def checks_for(fault: Fault) -> tuple[str, ...]:
    """Name the checks that are enough to find a fault: its own and what that one stands on."""
    known = all_checks()
    if fault.check not in known:
        return (*_WATCHED, *(each for each in fault.also if each in known))
    return (*(need for need in known[fault.check].needs if need in known), fault.check)
