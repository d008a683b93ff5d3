"""What a run says about itself rather than about the target: a wrong URL, credentials that cannot write."""

from __future__ import annotations

from collections.abc import Iterator

from contract_tests.engine.text import middle_out, printable
from contract_tests.engine.transport import COLLECTION, Exchange, read_json
from contract_tests.runner.run import FAILED, SKIPPED, Report


def hints(report: Report) -> Iterator[str]:
    """Return sentences on what may have to be put right before the failures mean something."""
    failed = {result.check: result for result in report.results if result.outcome == FAILED}
    listed = _last(failed["list"].failures[0].exchanges) if "list" in failed else None
    if listed is not None and not isinstance(read_json(listed.reply), dict):
        yield (
            f"Is {report.target} a Central? GET {COLLECTION} answered {_told(listed)}. "
            f"The URL is what stands before /v1, without a login page in front."
        )
    made = _last(failed["create"].failures[0].exchanges) if "create" in failed else None
    if made is not None and made.status in (401, 403):
        yield (
            f"The credentials of this run may not write (a create was answered {made.status}): "
            f"give those of a role that may, or leave --allow-writes away where the target is not loopback."
        )
    given_up = [
        result for result in report.results if result.outcome == SKIPPED and "without an answer" in result.reason
    ]
    if given_up:
        yield f"The target no longer answered, so {len(given_up)} checks were given up."
    yield from report.notes


def _last(exchanges: list[Exchange]) -> Exchange | None:
    return exchanges[-1] if exchanges else None


def _told(exchange: Exchange) -> str:
    headers = exchange.reply_headers
    where = f" to {headers['Location']}" if "Location" in headers else ""
    what = f" with {headers.get('Content-Type', 'no content type')}" if exchange.reply else " without a body"
    return printable(middle_out(f"{exchange.status}{where}{what}", 200))
