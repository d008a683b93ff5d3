"""Replay of a reported failure: does the check still fail?

The check runs again with the same inputs: first with its prerequisites only, then after all checks that preceded it,
because a fault may depend on their effects or be intermittent.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from contract_tests.checks.registry import all_checks
from contract_tests.engine.exchange import Exchange
from contract_tests.engine.failures import BudgetSpent, HarnessError
from contract_tests.engine.options import PROFILES, Options, is_loopback
from contract_tests.engine.text import without_values
from contract_tests.runner.report import FAILED, KNOWN, PASSED, Report, Result
from contract_tests.runner.run import Run
from mock_server.contract import tables as contracts

SHOWS, GONE, UNKNOWN = "still fails", "no longer fails", "could not be judged"
STATUS = {SHOWS: 1, GONE: 0, UNKNOWN: 125}
"""Exit statuses for `git bisect run`, which skips a commit on 125."""

_REQUEST_OPTIONS = (
    "managed", "max_live", "max_response_time", "workers", "allow_registry_tests", "allow_load", "disposable",
)  # fmt: skip
"""Options that influence the requests of a run, besides target, seed, profile and release."""
_MAKE_ONE = "`central-contract check URL --report-json FILE` writes one"
_PERMISSIONS = ("allow_registry_tests", "allow_load", "disposable")
"""Those of them that let a run strain or damage its target."""
_OWN_MOCK = ("as_deployed", "central_version", "managed")
"""Settings of the mock that `check` starts."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A failure from a JSON report: its text, its requests, and the options of its run."""

    check: str
    what: str
    target: str
    run: str
    version: str
    seed: int
    profile: str
    options: Mapping[str, Any]
    own_mock: Mapping[str, Any] | None
    """Settings of the mock that the run started itself."""
    unsteady: bool
    """The failure is intermittent or depends on timing, so every failure of the check counts as the same."""
    checks: tuple[str, ...]
    """The checks of the run, in their order."""
    exchanges: tuple[Exchange, ...]

    def applied(self, options: Options) -> Options:
        """Return `options` changed so that they generate the same requests."""
        kept = dict(self.options)
        if options.base != self.target and not is_loopback(options.base):
            kept |= dict.fromkeys(_PERMISSIONS, False)  # they were given for another target
        return replace(options, central_version=self.version, seed=self.seed, profile=self.profile, **kept)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a replay: SHOWS, GONE or UNKNOWN, the reason, and the check's new result if it fails."""

    verdict: str
    reason: str = ""
    result: Result | None = None
    left_behind: tuple[str, ...] = ()
    """What the replay created and could not delete."""


def request_options(options: Options) -> dict[str, Any]:
    """Return the options that a report must contain so that a replay generates the same requests."""
    return {**{key: getattr(options, key) for key in _REQUEST_OPTIONS}, "own_mock": options.own_mock}


def name_of(check: str, number: int) -> str:
    """Return the name of a failure: `CHECK`, or `CHECK/2` for the second one of that check."""
    return check if number == 1 else f"{check}/{number}"


def read(report: Path, name: str) -> Recorded:
    """Read a failure from a JSON report by its name.

    Raises:
        HarnessError: the file is not a report, or has no such failure.
    """
    try:
        value = _read_json(report)
        failures = {
            name_of(result["check"], number): (result, failure)
            for result in value["results"]
            for number, failure in enumerate(result["failures"], 1)
        }
        if name not in failures:
            known = ", ".join(failures) or "none"
            raise HarnessError(f"{report} has no failure {name!r}; it has: {known}")
        result, failure = failures[name]
        options, own_mock = value["options"], value["options"]["own_mock"]
        recorded = Recorded(
            check=failure["check"],
            what=failure["what"],
            target=value["target"],
            run=value["run"],
            version=value["centralVersion"],
            seed=value["seed"],
            profile=result["profile"] or value["profile"],
            options={key: options[key] for key in _REQUEST_OPTIONS},
            own_mock=None if own_mock is None else {key: own_mock[key] for key in _OWN_MOCK},
            unsteady=failure["intermittent"] or result["group"] in ("concurrency", "latency"),
            checks=tuple(each["check"] for each in value["results"] if each["outcome"] != "skipped"),
            exchanges=tuple(_exchange(each) for each in failure["exchanges"]),
        )
        _require_usable(recorded)
    except OSError as error:
        raise HarnessError(f"{report}: {error.strerror}") from None
    except _ReportError as error:
        raise HarnessError(f"{report} is not a JSON report of a run: {error}; {_MAKE_ONE}") from None
    except KeyError as error:
        raise HarnessError(f"{report} is not a JSON report of a run: it has no {error}; {_MAKE_ONE}") from None
    except (ValueError, TypeError, LookupError, AttributeError):
        raise HarnessError(f"{report} is not a JSON report of a run; {_MAKE_ONE}") from None
    return recorded


class _ReportError(ValueError):
    """The fault of a report, in a user's words."""


def _read_json(report: Path) -> Any:
    try:
        return json.loads(report.read_text("utf-8"))
    except json.JSONDecodeError as error:
        raise _ReportError(f"it is not JSON in line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise _ReportError("it is nested too deeply") from None


def _require_usable(recorded: Recorded) -> None:
    """Raise _ReportError if a value has another type than in a report, or the run cannot be repeated."""
    texts = {"target": recorded.target, "run": recorded.run, "centralVersion": recorded.version}
    values = {**texts, "seed": recorded.seed, **recorded.options}
    defaults = asdict(Options("")) | dict.fromkeys(texts, "")
    for key, value in values.items():
        if not isinstance(value, (int, float) if isinstance(defaults[key], float) else type(defaults[key])):
            raise _ReportError(f"{key} is {value!r}")
    if recorded.profile not in PROFILES:
        raise _ReportError(f"no run with the profile {recorded.profile!r} can be repeated")
    try:
        contracts.load().releases.find(recorded.version)
    except ValueError as error:
        raise _ReportError(f"{error}") from None


def exchange_value(exchange: Exchange) -> dict[str, Any]:
    """Return a request and its answer as a JSON value; bodies that are not UTF-8 are in base64."""
    return {
        "check": exchange.check,
        "method": exchange.method,
        "path": exchange.path,
        "role": exchange.role,
        "headers": {name: str(value) for name, value in exchange.headers.items()},
        **_body("body", exchange.body),
        "status": exchange.status,
        "replyHeaders": dict(exchange.reply_headers),
        **_body("reply", exchange.reply),
        "seconds": round(exchange.elapsed, 4),
        "at": round(exchange.at, 3),
    }


def _body(name: str, content: bytes) -> Mapping[str, str]:
    try:
        return {name: content.decode()}
    except UnicodeDecodeError:
        return {f"{name}Base64": base64.b64encode(content).decode()}


def _exchange(value: Mapping[str, Any]) -> Exchange:
    return Exchange(
        0,
        value["check"],
        value["method"],
        value["path"],
        value["role"],
        dict(value["headers"]),
        _content(value, "body"),
        value["status"],
        dict(value["replyHeaders"]),
        _content(value, "reply"),
        value["seconds"],
        value["at"],
    )


def _content(value: Mapping[str, Any], name: str) -> bytes:
    if name in value:
        return str(value[name]).encode()
    return base64.b64decode(value[f"{name}Base64"])


def run_again(recorded: Recorded, options: Options) -> Outcome:
    """Run the check of a failure again and judge whether it still fails.

    Raises:
        HarnessError: the target does not answer, or refuses the credentials.
    """
    options = recorded.applied(options)
    outcome = Outcome(UNKNOWN, f"the profile {recorded.profile} does not have {recorded.check}")
    for only in _selections(recorded):
        try:
            report = Run(replace(options, only=only))()
        except BudgetSpent as error:
            return Outcome(UNKNOWN, f"the budget of {error} was used up")
        if report.interrupted:
            raise KeyboardInterrupt
        outcome = replace(_outcome_of(recorded, report), left_behind=(*outcome.left_behind, *report.left_behind))
        if outcome.verdict == SHOWS:
            break
    return outcome


def _selections(recorded: Recorded) -> Iterator[tuple[str, ...]]:
    """Yield the checks to run: the failing one with its prerequisites, then with all checks before it.

    The check that sent the requests runs, too: it may have reported the failure as one of another check.
    """
    known = all_checks()
    order = [each for each in recorded.checks if each in known]
    sender = recorded.exchanges[-1].check if recorded.exchanges else ""
    failing = [each for each in (recorded.check, sender) if each in known]
    if failing:
        needs = [need for each in failing for need in known[each].needs]
        yield tuple(dict.fromkeys((*needs, *failing)))
        last = max((order.index(each) for each in failing if each in order), default=len(order))
        yield tuple(dict.fromkeys((*order[:last], *failing)))
    elif order:
        yield tuple(order)


def _outcome_of(recorded: Recorded, report: Report) -> Outcome:
    result = next((each for each in report.results if each.check == recorded.check), None)
    if result is None:
        return Outcome(UNKNOWN, f"{recorded.check} did not run")
    if result.outcome in (FAILED, KNOWN):
        if recorded.unsteady or any(_expectation(each.what) == _expectation(recorded.what) for each in result.failures):
            return Outcome(SHOWS, result=result)
        return Outcome(UNKNOWN, f"{recorded.check} now fails differently: {result.failures[0].what}", result)
    if result.outcome == PASSED:
        return Outcome(GONE)
    return Outcome(UNKNOWN, f"{recorded.check} was skipped: {result.reason}")


_VARYING = re.compile(
    r"[{\[(].*|'[^']*'|(?:canary|central-contract)-[a-z0-9-]+|[0-9a-f]{8}-[0-9a-f-]{27}", re.DOTALL | re.IGNORECASE
)


def _expectation(what: str) -> str:
    """Return the text of a failure without generated and answered values."""
    return without_values(_VARYING.sub("…", what))
