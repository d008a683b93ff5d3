"""The target's own API document, compared with the contract; `central-contract drift` shows every difference."""

from __future__ import annotations

from contract_tests.checks.registry import check
from contract_tests.drift import documents
from contract_tests.drift.comparison import compare
from contract_tests.engine.central import Central
from contract_tests.engine.failures import CheckFailed, HarnessError, NotApplicable


@check(
    "published-document",
    "schema",
    "The document that the target publishes contradicts the contract",
    source="image/rhel/static-data/docs/api",
    writes=False,
)
def published_document(central: Central) -> None:
    reply = central.send("GET", documents.PUBLISHED)
    if reply.status != 200 or reply.content.lstrip().startswith(b"<"):  # a web UI may answer every unknown path
        raise NotApplicable(f"the target publishes no document of its API at {documents.PUBLISHED}")
    try:
        drift = compare(documents.parse(reply.content, "the published document"), central.contract)
    except HarnessError as error:
        raise CheckFailed(str(error)) from None
    if drift.breaking:
        raise CheckFailed(
            "the published document contradicts the contract", expected=[], got=[*map(str, drift.breaking)]
        )
    if drift.harmless or drift.gaps:
        central.note(f"{drift.headline}; `central-contract drift` lists the differences")
