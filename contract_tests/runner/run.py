"""One run against a target: set-up, the checks in their order, clean-up, and the report."""

from __future__ import annotations

import datetime as dt
import re
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import groupby

from contract_tests.checks.registry import Check, all_checks
from contract_tests.engine import examples
from contract_tests.engine.central import Central, Shared
from contract_tests.engine.exchange import COLLECTION, Exchange
from contract_tests.engine.failures import (
    BudgetSpent,
    Busy,
    CheckFailed,
    Failure,
    HarnessError,
    NoRoomError,
    NotApplicable,
    OwnershipError,
    PreconditionFailed,
    Skip,
)
from contract_tests.engine.http import credentials_refused
from contract_tests.engine.ledger import Ledger
from contract_tests.engine.options import Options
from contract_tests.engine.ownership import FOREIGN_ID, OWN_ID, new_run_id
from contract_tests.engine.text import one_line
from contract_tests.engine.transport import Transport
from contract_tests.oracle.observers import OBSERVED, Observers
from contract_tests.runner import bystanders, known, verdict
from contract_tests.runner.bystanders import Snapshot, notes_on_orphans
from contract_tests.runner.history import Log
from contract_tests.runner.known import InForce
from contract_tests.runner.leftovers import clean_leftovers, describe, remove_owned
from contract_tests.runner.report import (
    ASSUMED,
    BLOCKED,
    CUT_OFF,
    ERROR,
    FAILED,
    GIVEN,
    NOT_APPLICABLE,
    NOT_CHOSEN,
    PASSED,
    REPORTED,
    SKIPPED,
    WAITING,
    Report,
    Result,
)
from mock_server.contract import tables as contracts

USUAL_REQUESTS = 5_000
"""Approximate number of requests of a run with the default profile."""
_SHOWN = 5
"""Number of integrations that a note names."""
_REFUSED = (401, 403)
"""Central answers 401 to writes without valid credentials, and 403 to reads."""
_WOULD_WRITE = "would write; allow it with --allow-writes"
_IN_ORDER = ("base", "generated")
"""Groups of checks that never run in parallel. The generator parses source code, which can fail in several threads
on Python 3.11 (gh-106905)."""


Progress = Callable[[Result, int, int], None]


class Run:
    """A run against one target."""

    def __init__(self, options: Options, progress: Progress = lambda *_: None, run_id: str | None = None) -> None:
        """Open the ledger and the transport.

        Raises:
            HarnessError: the ledger, the example store or a file of known differences is unusable.
        """
        if options.examples is not None:
            examples.check_store(options.examples)
        self._differences = known.given(options.known, options.no_known)
        self.options = options
        self.progress = progress
        self.id = run_id or new_run_id()
        self.ledger = Ledger(options.state_dir, self.id, options.base)
        self.transport = Transport(options, self.id, self.ledger)
        self.failed_outside: list[Failure] = []
        """Failures of requests outside of the checks."""
        self.notes: list[str] = []
        self._is_parallel = False
        """Several checks are running."""
        self.skips_dependents = True
        """Checks whose prerequisites failed are skipped, so that one fault is reported once."""
        self.over = False
        """A new failure has ended the run (--fail-fast)."""
        self.interrupted = ""
        """The signal that ended the run early, or ""."""
        self.shows_list = False
        """The target returned its list before the checks."""
        self.cannot_write = ""
        """Why the credentials of the run cannot write, or "" if they can or nothing was written yet."""
        self.locked_out = ""
        """Why the target no longer accepts the credentials of the run, or "" if it does."""

    def __call__(self) -> Report:
        """Run the checks and clean up. After Ctrl-C, clean up and report the results so far.

        Raises:
            HarnessError: the target is unreachable or refuses the credentials.
            KeyboardInterrupt: interrupted before the first check or during the clean-up.
        """
        started = dt.datetime.now(dt.UTC)
        self._clean_leftovers()
        left: list[str] = []
        results: list[Result] = []
        cleaned = True  # nothing has been written yet
        try:
            version, version_from = self._version()
            self.shared = Shared(self.id, version)
            self.known = InForce(self._differences, version, started.date())
            self.observers = Observers(self.shared)
            before = self._snapshot("set-up")
            self.shows_list = before is not None
            self.notes += notes_on_orphans((before or {}).values(), self.options)
            self.transport.observers.append(self.observers)
            cleaned = False
            try:
                results = self._checks()
            finally:
                self.transport.pace.close()
                self.transport.observers.clear()
                left = remove_owned(self.transport)
                cleaned = True
            results += self._observed()
            self._report_foreign_ids(results)
            results.append(bystanders.compare(before, self._snapshot("clean-up"), self.transport.ownership))
        except Busy as error:
            raise HarnessError(str(error)) from None
        finally:
            self.ledger.close(keep=bool(left) or not cleaned)
        return self._report(results, left, started, version, version_from)

    def _report(
        self, results: list[Result], left: list[str], started: dt.datetime, version: str, version_from: str
    ) -> Report:
        """Draw the verdict from the results, complete the requests of failures, and return the report."""
        results = verdict.conclude(results, self.known, self.observers.findings.shown_by)
        if self.options.strict:
            verdict.fail_skipped(results, self.options.only)
        log = Log(self.transport.exchanges, self.id)
        for failure in (failure for result in results for failure in result.failures):
            failure.exchanges = log.complete(failure)
        return Report(
            self.options,
            target=self.transport.base,
            version=version,
            version_from=version_from,
            run=self.id,
            started=started,
            seconds=self.transport.pace.elapsed,
            requests=self.transport.count,
            results=results,
            gone=verdict.gone(results, self.known),
            left_behind=left,
            covered=self.observers.covered,
            exchanges=self.transport.exchanges,
            interrupted=self.interrupted,
            notes=[*self.notes, *self._remarks()],
        )

    # -- before the checks ------------------------------------------------------------------------

    def _clean_leftovers(self) -> None:
        cleaned = clean_leftovers(self.options)
        self.notes += [f"Left by an earlier run: {each}." for each in cleaned.left]
        self.notes += [f"Not deleted, because it no longer has its run's name: {each}." for each in cleaned.not_ours]

    def _remarks(self) -> Iterable[str]:
        """Yield notes on integrations left because the run may not own them, and on a rate limit."""
        if refused := self.transport.ownership.refused:
            shown = [describe(id, name) for id, name in list(refused.items())[:_SHOWN]]
            more = f" and {len(refused) - _SHOWN} more" if len(refused) > _SHOWN else ""
            yield f"Not deleted, because the target does not show them under the run's name: {', '.join(shown)}{more}."
        pace = self.transport.pace
        if pace.limited:
            yield (
                f"The target answered {pace.limited} requests with 429 (too many requests), so the run slowed down. "
                f"Use `--rate {pace.rate}/s` to stay below its limit from the start."
            )

    def _version(self) -> tuple[str, str]:
        """Return the release to check against, and its origin: GIVEN, REPORTED or ASSUMED (the newest or nearest)."""
        releases = contracts.load().releases
        if self.options.central_version:
            return str(releases.find(self.options.central_version)), GIVEN
        try:
            reply = self.transport.send("GET", "/v1/metadata", check="set-up")
        except CheckFailed as error:
            self._note_failed_request(error)
            return str(releases.newest), ASSUMED
        release = releases.nearest(reported := str(reply.object.get("version", "")))
        is_known = re.match(rf"{re.escape(release.line)}(?![0-9])", reported)
        return str(release), REPORTED if is_known else ASSUMED

    def _snapshot(self, when: str) -> Snapshot | None:
        """Return the integrations of the target, or None if it does not return its list."""
        try:
            reply = self.transport.send("GET", COLLECTION, check=when)
        except CheckFailed as error:
            self._note_failed_request(error)
            return None
        except (BudgetSpent, Busy):
            if when == "clean-up":
                return None
            raise
        if reply.status in _REFUSED and when == "set-up":
            what = credentials_refused(self.options.credentials)
            raise HarnessError(f"{self.transport.base} {what}: {one_line(reply.message) or reply.status}")
        items = reply.integrations
        return None if items is None else {str(item.get("id")): item for item in items}

    def _note_failed_request(self, error: CheckFailed) -> None:
        self.failed_outside.append(Failure(error.check or "list", error.what, error.expected, error.got))

    # -- the checks -------------------------------------------------------------------------------

    def chosen(self, profile: str) -> list[Check]:
        """Return the checks of a profile that --only and --skip select, in order."""
        return [
            each
            for each in all_checks().values()
            if (not self.options.only or each.id in self.options.only)
            and each.id not in self.options.skip
            and profile in each.profiles
        ]

    def passes(self) -> list[str]:
        """Return the profiles to run: first the quick one if the budget may be too small for the chosen one."""
        options = self.options
        if options.profile == "quick" or (options.time_budget is None and options.max_requests is None):
            return [options.profile]
        seconds = min((each.elapsed for each in self.transport.exchanges), default=0.0)
        seconds = max(seconds, 1 / options.rate if options.rate else 0.0)
        enough_time = options.time_budget is None or seconds * USUAL_REQUESTS < options.time_budget
        enough_requests = options.max_requests is None or options.max_requests > USUAL_REQUESTS
        return [options.profile] if enough_time and enough_requests else ["quick", options.profile]

    def _checks(self) -> list[Result]:
        passes = [(profile, self.chosen(profile)) for profile in self.passes()]
        results: dict[str, Result] = {}
        complete: set[str] = set()
        """Checks that were tried with the chosen profile, not only with the quick one before it."""
        done, total = 0, sum(len(checks) for _, checks in passes)

        def run_and_record(check: Check, profile: str) -> None:
            nonlocal done
            run = self._repeat_check if check.id in results else self._run_check
            results[check.id] = run(check, results, profile)
            self.over = self.over or (self.options.fail_fast and self._has_news(results[check.id]))
            complete.update([check.id] if profile == passes[-1][0] else [])
            done += 1
            self.progress(results[check.id], done, total)

        try:
            for profile, checks in passes:
                self._discard_spare()
                for batch in _batches(checks, self.options.workers):
                    if len(batch) == 1:
                        run_and_record(batch[0], profile)
                    else:
                        self._in_parallel(batch, partial(run_and_record, profile=profile))
        except KeyboardInterrupt as stop:
            self.interrupted = getattr(stop, "signal", "SIGINT")
        for check in passes[-1][1]:
            if check.id not in results:
                results[check.id] = _skipped(check, CUT_OFF, self._interruption)
            elif check.id not in complete:
                results[check.id].cut = self._interruption
        return [results[check.id] for check in passes[-1][1]]

    def _discard_spare(self) -> None:
        """Delete the integration that the quick pass overwrites: it has the name of the check that used it last."""
        if self.shared.spare is not None:
            (id, _), self.shared.spare = self.shared.spare, None
            with suppress(CheckFailed, BudgetSpent):  # the end of the run tries again
                self.transport.send("DELETE", f"{COLLECTION}/{id}", check="clean-up")

    @property
    def _interruption(self) -> str:
        return f"{self.interrupted} ended the run"

    def _in_parallel(self, checks: Iterable[Check], run: Callable[[Check], None]) -> None:
        """Run checks in parallel; then run alone those that would have exceeded --max-live."""
        postponed: list[Check] = []

        def run_or_postpone(check: Check) -> None:
            try:
                run(check)
            except NoRoomError:
                postponed.append(check)

        self._is_parallel = True
        with ThreadPoolExecutor(self.options.workers) as pool:
            try:
                list(pool.map(run_or_postpone, checks))
            except KeyboardInterrupt as stop:
                self.interrupted = getattr(stop, "signal", "SIGINT")
                self.transport.pace.stopped = True  # the other threads send nothing more
                pool.shutdown(cancel_futures=True)
                raise
        self._is_parallel = False
        for check in postponed:
            run(check)

    def _has_news(self, result: Result) -> bool:
        """Return whether a check or an observer has found a failure that is not a known difference."""
        failures = [*result.failures, *self.observers.findings.failures]
        return any(self.known.reason(failure) is None for failure in failures)

    def _repeat_check(self, check: Check, results: dict[str, Result], profile: str) -> Result:
        """Run a check again after the quick pass; a failure of the quick pass stays."""
        before = results[check.id]
        if before.outcome in (FAILED, ERROR) or before.failures:
            return before
        after = self._run_check(check, results, profile)
        if after.outcome == SKIPPED and not after.failures:
            before.cut = after.reason if after.skip in (CUT_OFF, BLOCKED) else ""
            return before
        after.requests += before.requests
        after.seconds += before.seconds
        return after

    def _skip_before_run(self, check: Check, results: dict[str, Result]) -> Result | None:
        """Return the result of a check that must be skipped, or None if it can run."""
        failed = [need for need in check.needs if need in results and results[need].outcome == FAILED]
        if failed and self.skips_dependents:
            return _skipped(check, WAITING, f"needs {failed[0]}, which failed")
        if self.locked_out:
            return _skipped(check, BLOCKED, self.locked_out)
        if check.writes and not self.options.may_write:
            return _skipped(check, BLOCKED, _WOULD_WRITE)
        if check.writes and self.cannot_write:
            return _skipped(check, BLOCKED, self.cannot_write)
        if check.is_of_rule and check.id not in self.shared.contract.rules:
            return _skipped(check, NOT_APPLICABLE, f"Central {self.shared.version} does not have this rule")
        if self.over:
            return _skipped(check, CUT_OFF, "an earlier check failed (--fail-fast)")
        return None

    def _run_check(self, check: Check, results: dict[str, Result], profile: str) -> Result:
        """Run a check, or skip it if it cannot run, and return its result.

        Raises:
            NoRoomError: checks run in parallel, and this one would exceed --max-live.
            HarnessError: the target does not answer at all.
        """
        if skipped := self._skip_before_run(check, results):
            return skipped
        result = _passed(check, profile)
        central = Central(self.transport, check.id, self.shared, profile)
        started, count = time.monotonic(), self.transport.count
        self._record_outcome(check, central, result)
        if result.failures:
            self.locked_out = self.locked_out or self._lost_access(central.history)
            self.cannot_write = self.cannot_write or self._may_not_write(central.history)
            if reason := self.locked_out or self.cannot_write:
                result.failures = []
                result.skipped(BLOCKED, reason)
        result.seconds = time.monotonic() - started
        result.requests = self.transport.count - count
        return result

    def _execute(self, check: Check, central: Central) -> None:
        """Run a check and delete its integrations."""
        if check.group != "latency":  # these checks judge the answers so far and send nothing
            self.transport.pace.check_budget()  # before the check's own preparations, which can be slow
        try:
            check.run(central)
        except BaseException:
            with suppress(CheckFailed, Skip):  # the check's own failure takes precedence
                central.clean()
            raise
        central.clean()

    def _record_outcome(self, check: Check, central: Central, result: Result) -> None:
        """Run a check and record in `result` how it ended."""
        try:
            self._execute(check, central)
            result.reason = " ".join(central.notes)
        except CheckFailed as error:
            history = list(central.history)
            failure = Failure(
                error.check or check.id, error.what, error.expected, error.got, history, error.intermittent
            )
            failure.known = self.known.reason(failure)
            result.outcome, result.failures = FAILED, [failure]
        except PreconditionFailed as error:
            result.skipped(WAITING, f"needs {error.need}, which failed: {error.what}")
            result.failures = [Failure(error.need, error.what, exchanges=list(central.history))]
        except Busy as error:
            result.skipped(BLOCKED, str(error))
        except Skip as error:
            result.skipped(NOT_APPLICABLE if isinstance(error, NotApplicable) else NOT_CHOSEN, str(error))
        except BudgetSpent as error:
            result.skipped(*self._skip_without_budget(error))
        except NoRoomError as error:
            if self._is_parallel:
                raise
            result.skipped(BLOCKED, f"{error}; raise --max-live")
        except OwnershipError as error:
            if self.options.may_write:
                result.outcome, result.reason = ERROR, str(error)
            else:
                result.skipped(BLOCKED, _WOULD_WRITE)
        except HarnessError:
            raise
        except Exception:  # noqa: BLE001 (a bug of the harness must not hide as one of the target)
            result.outcome, result.reason = ERROR, traceback.format_exc(limit=-4)

    def _skip_without_budget(self, error: BudgetSpent) -> tuple[str, str]:
        """Return the kind and the reason of the skip of a check that was cut off."""
        if self.interrupted:
            return CUT_OFF, self._interruption
        if "without an answer" in str(error):
            return BLOCKED, f"the target no longer answers ({error})"
        return CUT_OFF, f"the budget of {error} was used up"

    def _lost_access(self, history: Sequence[Exchange]) -> str:
        """Return a message if the target refuses the run's credentials by now, such as an expired token, else ""."""
        if not any(each.status in _REFUSED and _is_of_run(each) for each in history):
            return ""
        with suppress(CheckFailed, BudgetSpent, Busy):
            status = self.transport.send("GET", COLLECTION, check="set-up").status
            if status in _REFUSED:
                return f"the target refuses the credentials by now ({status}); use a token that is valid for longer"
        return ""

    def _may_not_write(self, history: Sequence[Exchange]) -> str:
        """Return a message if the target has refused all writes with the run's credentials, else ""."""
        if not history or not _is_write_of_run(history[-1]) or history[-1].status not in _REFUSED:
            return ""
        if any(each.status == 200 and _is_write_of_run(each) for each in self.transport.exchanges):
            return ""
        refused = history[-1]
        return f"the credentials cannot write ({refused.method} {refused.path} was answered {refused.status})"

    # -- after the checks -------------------------------------------------------------------------

    def _observed(self) -> list[Result]:
        """Return the results of the observed checks."""
        by_check: dict[str, list[Failure]] = {id: [] for id in OBSERVED}
        for failure in self.observers.findings.failures:
            by_check[failure.check].append(failure)
        for failure in self.failed_outside:
            by_check[failure.check if failure.check in by_check else "every-request-answered"].append(failure)
        if dropped := self.transport.dropped:
            exchange, reason = dropped[0]
            what, also = "a request was answered only when it was repeated", len(dropped) - 1
            failure = Failure(
                "every-request-answered", what, got=reason, exchanges=[exchange], intermittent=True, also=also
            )
            by_check[failure.check].append(failure)
        results = []
        for id, failures in by_check.items():
            result = Result(id, OBSERVED[id], "observed", "", FAILED if failures else PASSED, failures=failures)
            if not failures and id not in self.observers.seen:
                result.skipped(NOT_APPLICABLE if self.options.only else BLOCKED, "no answer could show this fault")
            results.append(result)
        return [each for each in results if each.check not in self.options.skip]

    def _report_foreign_ids(self, results: list[Result]) -> None:
        """Report a create that was answered with a foreign id, unless a check has reported it."""
        refused = self.transport.ownership.refused
        reported = any(failure.check == OWN_ID for result in results for failure in result.failures)
        if not refused or reported:
            return
        id, name = next(iter(refused.items()))
        creation = self.transport.guard.creations.get(id)
        failure = Failure(
            OWN_ID,
            FOREIGN_ID,
            expected={"name": f"{self.transport.name_prefix}…"},
            got={"id": id, "name": name},
            exchanges=[creation] if creation else [],
            also=len(refused) - 1,
        )
        own = next((each for each in results if each.check == OWN_ID), None)
        if own is None:
            results.append(own := _passed(all_checks()[OWN_ID]))
        own.outcome, own.reason, own.failures = FAILED, "", [failure]


def _passed(check: Check, profile: str = "") -> Result:
    return Result(check.id, check.title, check.group, check.source, PASSED, profile=profile)


def _skipped(check: Check, kind: str, reason: str) -> Result:
    return Result(check.id, check.title, check.group, check.source, SKIPPED, reason, skip=kind)


def _is_of_run(exchange: Exchange) -> bool:
    """Return whether a request has the run's credentials."""
    return exchange.role == "admin" and "Authorization" not in exchange.headers


def _is_write_of_run(exchange: Exchange) -> bool:
    return _is_of_run(exchange) and exchange.method in ("POST", "PUT", "PATCH", "DELETE")


def _batches(checks: Iterable[Check], workers: int) -> Iterable[list[Check]]:
    """Return the checks in batches that may run in parallel."""

    def group_of(check: Check) -> str:
        return check.id if check.alone or check.group in _IN_ORDER or workers == 1 else ""

    return (list(batch) for _, batch in groupby(checks, group_of))
