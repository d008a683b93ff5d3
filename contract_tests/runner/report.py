"""The report on a run: the result of each check, and the verdict for a pipeline."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contract_tests.engine.exchange import Exchange
from contract_tests.engine.failures import Failure
from contract_tests.engine.options import Options
from contract_tests.runner.known import KnownDifference
from mock_server.contract import tables as contracts

PASSED, FAILED, KNOWN, SKIPPED, ERROR = "passed", "failed", "known difference", "skipped", "error"
OUTCOMES = (PASSED, FAILED, KNOWN, SKIPPED, ERROR)
INCOMPLETE, UNABLE = "incomplete", "could not be checked"
"""Verdicts besides passed and failed."""
JUDGED = (PASSED, FAILED, KNOWN)
"""Outcomes of a check that ran to a result."""

NOT_APPLICABLE = "not applicable"
"""Skipped: the release or the kind of target does not have the behaviour."""
NOT_CHOSEN = "not chosen"
"""Skipped: the check needs an option that was not given."""
CUT_OFF = "cut off"
"""Skipped, or run only in its quick form: the budget was used up, or the run was stopped."""
BLOCKED = "blocked"
"""Skipped: the target or the credentials do not let the check run."""
WAITING = "waiting"
"""Skipped: a prerequisite failed."""

STATUS = {PASSED: 0, FAILED: 1, UNABLE: 2, INCOMPLETE: 3}
"""Exit statuses by verdict."""
INTERRUPTED = {"SIGINT": 130, "SIGTERM": 143}
"""Exit statuses of a run that a signal ended."""

TRAFFIC = "traffic"
"""The profile of a report on recorded or live traffic."""

GIVEN, REPORTED, ASSUMED = "given", "reported by the target", "assumed"
"""Origins of the release that a run checks against."""


@dataclass(slots=True)
class Result:
    """The result of one check.

    `profile` is the profile in which it ran, `skip` the kind of a skip. `cut` is the reason why only the quick form
    ran, or "" if the check ran completely.
    """

    check: str
    title: str
    group: str
    source: str
    outcome: str
    reason: str = ""
    failures: list[Failure] = field(default_factory=list)
    requests: int = 0
    seconds: float = 0.0
    profile: str = ""
    skip: str = ""
    cut: str = ""

    def skipped(self, kind: str, reason: str) -> None:
        """Mark the check as skipped."""
        self.outcome, self.skip, self.reason = SKIPPED, kind, reason

    @property
    def like(self) -> str:
        """The check that reports the same symptom in detail, or "" if any failure has another symptom."""
        return self.failures[0].like if self.failures and all(each.like for each in self.failures) else ""

    @property
    def is_news(self) -> bool:
        """True if the check has failed with a failure that is not a known difference."""
        return self.outcome == FAILED and any(each.known is None for each in self.failures)

    @property
    def failed_by_skip(self) -> bool:
        """True if the check failed because it was skipped (--strict)."""
        return self.outcome == FAILED and bool(self.skip)


@dataclass(slots=True)
class Report:
    """The results of a run and the verdict on them."""

    options: Options
    target: str
    version: str
    version_from: str
    """GIVEN, REPORTED or ASSUMED."""
    started: dt.datetime
    run: str = ""
    seconds: float = 0.0
    requests: int = 0
    results: list[Result] = field(default_factory=list)
    gone: list[KnownDifference] = field(default_factory=list)
    """Known differences of the release that the target does not have, because their checks passed."""
    left_behind: list[str] = field(default_factory=list)
    covered: Mapping[tuple[str, str, int], int] = field(default_factory=dict)
    """Number of answers by operation, sent type and status."""
    exchanges: list[Exchange] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Remarks for the user, in sentences."""
    interrupted: str = ""
    """The signal that ended the run early, or ""."""
    error: str = ""
    """Why the target could not be checked at all, or ""."""
    kept: Path | None = None
    """File of the JSON report, for `replay`."""
    traffic: Sequence[Any] = ()
    """Counts by operation and rule, for a report on traffic."""

    def count(self, outcome: str) -> int:
        """Return the number of checks with an outcome."""
        return sum(result.outcome == outcome for result in self.results)

    @property
    def failures(self) -> list[Failure]:
        """The failures that are not known differences."""
        return [failure for result in self.results for failure in result.failures if failure.known is None]

    def answers_by(self, part: int) -> dict[str, dict[int, int]]:
        """Count the answers by operation (part 0) or type (part 1), each by status."""
        counts: dict[str, dict[int, int]] = {}
        for key, count in sorted(self.covered.items()):
            by_status = counts.setdefault(str(key[part]), {})
            by_status[key[2]] = by_status.get(key[2], 0) + count
        return counts

    def by_group(self) -> dict[str, dict[str, int]]:
        """Count the outcomes of each kind of check."""
        counts: dict[str, dict[str, int]] = {}
        for result in self.results:
            outcomes = counts.setdefault(result.group, dict.fromkeys(OUTCOMES, 0))
            outcomes[result.outcome] += 1
        return counts

    # -- coverage ---------------------------------------------------------------------------------

    @property
    def rules(self) -> list[str]:
        """The rules in force."""
        return list(contracts.load().at(self.version).rules)

    @property
    def not_covered(self) -> list[str]:
        """Rules in force that no check covered."""
        ran = {result.check for result in self.results if result.outcome in JUDGED and not result.failed_by_skip}
        return [rule for rule in self.rules if rule not in ran]

    @property
    def checks_run(self) -> int:
        """The number of checks that ran."""
        return sum(result.outcome in JUDGED and not result.failed_by_skip for result in self.results)

    # -- the verdict ------------------------------------------------------------------------------

    @property
    def incomplete(self) -> list[str]:
        """Reasons why a run without failures counts as incomplete."""
        return list(self._incomplete())

    def _incomplete(self) -> Iterator[str]:
        if self.interrupted:
            yield f"{self.interrupted} ended the run"
        if not self.checks_run:
            yield "no check ran"
        skipped = [each for each in self.results if each.outcome == SKIPPED]
        for result in skipped:
            if result.check in self.options.only and result.skip not in (CUT_OFF, BLOCKED, WAITING):
                yield f"{result.check} was selected by --only but skipped: {result.reason}"
        # A failed check already explains the checks that wait for it.
        for kind in (CUT_OFF, BLOCKED, *(() if self.count(FAILED) else (WAITING,))):
            some = [each for each in skipped if each.skip == kind]
            for reason in dict.fromkeys(each.reason for each in some):
                yield f"{_checks(sum(each.reason == reason for each in some))} skipped: {reason}"
        short = [each for each in self.results if each.cut and each.outcome in JUDGED]
        for cut in dict.fromkeys(each.cut for each in short):
            yield f"{_checks(sum(each.cut == cut for each in short))} run only in their quick form: {cut}"
        rules = len(self.rules)
        share = 100 * (rules - len(self.not_covered)) / rules
        if share < (required := self.options.require_rules):
            yield f"{share:.1f} % of the rules were covered; --require-rules demands {required:g} %"
        if self.left_behind:
            yield f"{len(self.left_behind)} of the integrations that the run created could not be deleted"

    @property
    def verdict(self) -> str:
        """PASSED, FAILED, UNABLE or INCOMPLETE."""
        if self.count(FAILED):
            return FAILED
        if self.error or self.count(ERROR):
            return UNABLE
        return INCOMPLETE if self.incomplete else PASSED

    @property
    def exit_code(self) -> int:
        """The exit status: that of the signal if one ended the run, else that of the verdict."""
        return INTERRUPTED.get(self.interrupted, STATUS[self.verdict])

    @property
    def headline(self) -> str:
        """The first line of the verdict: the verdict and the coverage."""
        if self.error:
            return f"{self.target} {UNABLE}: {self.error}"
        ended = {
            PASSED: "passed",
            FAILED: "failed",
            INCOMPLETE: "is incomplete",
            UNABLE: "could not be completed because the harness failed",
        }[self.verdict]
        checks = f"{self.checks_run} of {len(self.results)} checks ran"
        covered = f"covering {len(self.rules) - len(self.not_covered)} of {len(self.rules)} rules"
        return f"The check of {self.target} {ended}: {checks}, {covered}."

    @property
    def verdict_lines(self) -> Sequence[str]:
        """The verdict in lines: headline, reasons for incompleteness, counts, and facts of the run."""
        if self.error:
            return (self.headline,)
        counts = ", ".join(f"{self.count(outcome)} {outcome}" for outcome in OUTCOMES if self.count(outcome))
        why = [f"Incomplete: {each}." for each in self.incomplete]
        profile, seed = self.options.profile, self.options.seed
        chosen = "" if profile == TRAFFIC else f" profile {profile}, seed {seed}, run {self.run};"
        requests = "1 request" if self.requests == 1 else f"{self.requests} requests"
        advice = " (set it with --central-version)" if self.version_from == ASSUMED else ""
        run = f"Central {self.version}, {self.version_from}{advice};{chosen} {requests} in {self.seconds:.1f} s."
        return (self.headline, *why, f"{counts}." if counts else "No check ran.", run)


def _checks(count: int) -> str:
    return "1 check was" if count == 1 else f"{count} checks were"


def unable(options: Options, run: str, error: str) -> Report:
    """Return the report of a run that could not begin."""
    return Report(
        options,
        target=options.base,
        version=options.central_version or contracts.load().releases.newest.line,
        version_from=GIVEN if options.central_version else ASSUMED,
        run=run,
        started=dt.datetime.now(dt.UTC),
        error=error,
    )
