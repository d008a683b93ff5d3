"""Reports on judged traffic, in the same form as the reports on runs."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from contract_tests.checks.registry import all_checks
from contract_tests.engine.failures import Failure
from contract_tests.engine.options import Options
from contract_tests.oracle.observers import OBSERVED
from contract_tests.runner.known import InForce, KnownDifference
from contract_tests.runner.report import FAILED, NOT_APPLICABLE, NOT_CHOSEN, PASSED, SKIPPED, Report, Result
from contract_tests.runner.verdict import gone, mark_known
from contract_tests.traffic.judge import Judge
from contract_tests.traffic.record import BROKEN, HELD, UNDECIDABLE

CLIENT = "client-contract"
"""The check that the client's requests conform to the contract."""
_CLIENT_TITLE = "A request violates the contract: an unknown field or a value of the wrong type"


@dataclass(frozen=True, slots=True)
class Row:
    """Counts of judgements of one rule in the requests of one operation."""

    operation: str
    rule: str
    held: int
    broken: int
    undecidable: int

    @property
    def seen(self) -> int:
        """Total number of judgements."""
        return self.held + self.broken + self.undecidable


def rows(judge: Judge) -> list[Row]:
    """Return the counts by operation, in the order of the contract, and by rule."""
    tally = judge.record.tally
    positions = {name: position for position, name in enumerate(judge.contract.operations)}
    keys = sorted({key[:2] for key in tally}, key=lambda key: (positions.get(key[0], len(positions)), key[1]))
    return [Row(*key, *(tally[(*key, outcome)] for outcome in (HELD, BROKEN, UNDECIDABLE))) for key in keys]


def report_on(
    judge: Judge,
    options: Options,
    origin: str,
    differences: Sequence[KnownDifference],
    *,
    version_from: str,
    started: dt.datetime,
    client_fails: bool,
) -> Report:
    """Return the report on judged traffic; with `client_fails`, faults of the client are failures.

    `options` have the file or the URL that was judged, `origin` is the URL of the Central.
    """
    now = dt.datetime.now(dt.UTC)
    known = InForce(differences, judge.version, now.date())
    results = [each for each in _results(judge, client_fails=client_fails) if each.check not in options.skip]
    for result in results:
        mark_known(result, known)
    return Report(
        dataclasses.replace(options, url=origin),
        target=options.url,
        version=judge.version,
        version_from=version_from,
        started=started,
        seconds=(now - started).total_seconds(),
        requests=judge.judged,
        results=results,
        gone=gone(results, known),
        covered=judge.observers.covered,
        notes=[] if client_fails else list(_client_notes(judge)),
        traffic=rows(judge),
    )


def _results(judge: Judge, *, client_fails: bool) -> list[Result]:
    of_central = list(_results_of_central(judge))
    anything_judged = any(each.outcome != SKIPPED for each in of_central)
    return [*of_central, _client_result(judge, client_fails=client_fails, anything_judged=anything_judged)]


def _results_of_central(judge: Judge) -> Iterator[Result]:
    by_rule: dict[str, Counter[str]] = {}
    for (_, rule_id, outcome), number in judge.record.tally.items():
        by_rule.setdefault(rule_id, Counter())[outcome] += number
    failures: dict[str, list[Failure]] = {}
    for failure in judge.findings.failures:
        failures.setdefault(failure.check, []).append(failure)
    checks = all_checks()
    for id in dict.fromkeys((*OBSERVED, *judge.contract.rules, *(each for each in checks if each in by_rule))):
        if check := checks.get(id):
            result = Result(id, check.title, check.group, check.source, PASSED)
        else:
            result = Result(id, OBSERVED[id], "observed", "", PASSED)
        counts = by_rule.get(id, Counter())
        result.requests = counts.total()
        if id in failures:
            result.outcome, result.failures = FAILED, failures[id]
        elif not counts[HELD]:
            kind, reason = (NOT_CHOSEN, UNDECIDED) if counts[UNDECIDABLE] else (NOT_APPLICABLE, NOT_SHOWN)
            result.skipped(kind, reason)
        yield result


def _client_result(judge: Judge, *, client_fails: bool, anything_judged: bool) -> Result:
    client = Result(CLIENT, _CLIENT_TITLE, "client", "", PASSED, requests=judge.judged)
    if not judge.judged:
        client.skipped(NOT_APPLICABLE, NOT_SHOWN)
    elif judge.record.client and not client_fails:
        client.skipped(NOT_CHOSEN, "violations are only notes without --client-fails")
    elif judge.record.client:
        client.outcome = FAILED
        client.failures = [Failure(CLIENT, what, also=number - 1) for what, number in judge.record.client.most_common()]
    elif not anything_judged:
        client.skipped(NOT_APPLICABLE, "no answer in the traffic could be judged")
    return client


UNDECIDED = "undecidable from this traffic"
NOT_SHOWN = "no request in the traffic could break it"


def _client_notes(judge: Judge) -> Iterator[str]:
    for what, number in judge.record.client.most_common(10):
        yield f"The client violated the contract {number} {'time' if number == 1 else 'times'}: {what}"


def as_values(table: Iterable[Row]) -> list[Mapping[str, str | int]]:
    """Return the counts as JSON values."""
    return [{**dataclasses.asdict(each), "seen": each.seen} for each in table]
