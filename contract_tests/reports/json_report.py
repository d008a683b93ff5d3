"""The report as JSON; `report.schema.json` describes it."""

from __future__ import annotations

import json
from typing import Any

from contract_tests.engine.failures import Failure
from contract_tests.engine.text import diff, harmless_json, plain
from contract_tests.reports.curl import sequence
from contract_tests.reports.failures import replays
from contract_tests.reports.sources import links
from contract_tests.runner.replay import exchange_value, request_options
from contract_tests.runner.report import OUTCOMES, TRAFFIC, Report, Result
from contract_tests.runner.traffic_report import as_values


def document(report: Report) -> dict[str, Any]:
    """Return the report as a JSON value."""
    return {
        "target": report.target,
        "verdict": report.verdict,
        "headline": report.headline,
        "incomplete": report.incomplete,
        "lookedAt": {
            "rules": len(report.rules) - len(report.not_covered),
            "ofRules": len(report.rules),
            "checks": report.checks_run,
            "ofChecks": len(report.results),
        },
        "centralVersion": report.version,
        "centralVersionFrom": report.version_from,
        "profile": report.options.profile,
        "seed": report.options.seed,
        "run": report.run,
        "started": report.started.isoformat(),
        "seconds": round(report.seconds, 3),
        "requests": report.requests,
        "exitCode": report.exit_code,
        "interrupted": report.interrupted or None,
        "error": report.error or None,
        "options": request_options(report.options),
        "counts": {outcome: report.count(outcome) for outcome in OUTCOMES},
        "groups": report.by_group(),
        "results": [_result(result, report) for result in report.results],
        "knownDifferencesGone": [each.check for each in report.gone],
        "leftBehind": report.left_behind,
        "notes": report.notes,
        "covered": [
            {"operation": operation, "type": type, "status": status, "requests": count}
            for (operation, type, status), count in sorted(report.covered.items())
        ],
        "notCovered": report.not_covered,
        **({"traffic": as_values(report.traffic)} if report.options.profile == TRAFFIC else {}),
    }


def render(report: Report) -> str:
    """Return the report as JSON text."""
    return harmless_json(json.dumps(document(report), indent=2, ensure_ascii=False)) + "\n"


def _result(result: Result, report: Report) -> dict[str, Any]:
    return {
        "check": result.check,
        "title": result.title,
        "group": result.group,
        "source": result.source,
        "sourceLinks": links(result.source, report.version),
        "outcome": result.outcome,
        "reason": result.reason,
        "skip": result.skip,
        "profile": result.profile,
        "cut": result.cut,
        "like": result.like,
        "requests": result.requests,
        "seconds": round(result.seconds, 3),
        "failures": [_failure(failure, report) for failure in result.failures],
        "replay": list(replays(report, result)),
    }


def _failure(failure: Failure, report: Report) -> dict[str, Any]:
    return {
        "check": failure.check,
        "what": failure.what,
        "expected": plain(failure.expected),
        "got": plain(failure.got),
        "diff": diff(failure.expected, failure.got),
        "intermittent": failure.intermittent,
        "known": failure.known,
        "also": failure.also,
        "curl": sequence(failure.exchanges, report.options),
        "exchanges": [exchange_value(exchange) for exchange in failure.exchanges],
    }
