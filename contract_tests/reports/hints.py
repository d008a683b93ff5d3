"""Hints about the run itself rather than the target, such as a wrong URL."""

from __future__ import annotations

from collections.abc import Iterator

from contract_tests.engine.exchange import COLLECTION, Exchange
from contract_tests.engine.text import middle_out, printable
from contract_tests.runner.report import FAILED, Report


def hints(report: Report) -> Iterator[str]:
    """Yield the notes of a run, and a sentence on a URL that seems not to be a Central."""
    for result in report.results:
        listed = result.failures[0].exchanges[-1:] if result.check == "list" and result.outcome == FAILED else []
        if listed and not isinstance(listed[0].answer.json, dict):
            yield (
                f"Is {report.target} a Central? GET {COLLECTION} answered {_described(listed[0])}. "
                f"Give the URL without /v1, and make sure that no login page answers instead."
            )
    yield from report.notes


def _described(exchange: Exchange) -> str:
    headers = exchange.reply_headers
    where = f" to {headers['Location']}" if "Location" in headers else ""
    what = f" with {headers.get('Content-Type', 'no content type')}" if exchange.reply else " without a body"
    return printable(middle_out(f"{exchange.status}{where}{what}", 200))
