"""The command `central-contract drift`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from contract_tests.engine.failures import HarnessError
from contract_tests.reports import requested, write_text
from contract_tests.runner.arguments import data_report_options, options_of, target_options
from mock_server.cli.release import RELEASE
from mock_server.contract import tables as contracts

if TYPE_CHECKING:
    from contract_tests.drift.documents import Node


@click.command(
    short_help="Compare a published document with the contract.",
    epilog="""\b
Exit status: 0 no breaking difference, 1 a breaking one (--strict: any),
2 there is no document to compare, 3 incomplete: definitions are missing.
\b
Examples:
  central-contract drift https://central.example.com --token-file token
  central-contract drift image_integration_service.swagger.json
  central-contract drift ImageIntegrationService.html CommonObjectReference.html
  central-contract drift swagger.json --as-contract-patch --since 5.1
""",
)
@click.argument("sources", nargs=-1, required=True, metavar="URL|FILE...")
@target_options
@click.option(
    "--central-version", type=RELEASE, help="Release to compare with  [default: ask the URL; the newest for a file]"
)
@click.option("--strict", is_flag=True, help="Also fail for harmless differences.")
@click.option("--all", "everything", is_flag=True, help="Also list what the document does not specify.")
@click.option("--as-contract-patch", is_flag=True, help="Print YAML that adds the new parts to the contract.")
@click.option("--since", metavar="RELEASE", help="Release that the patch names  [default: the one compared with]")
@data_report_options
def drift(sources: tuple[str, ...], *, strict: bool, everything: bool, as_contract_patch: bool, **chosen: Any) -> None:
    """Compare a published document of Central's API with the contract.

    The document is that of the Central at URL (/api/docs/swagger), or of a FILE: Swagger 2.0, OpenAPI 3.0 or 3.1, or
    the tables of the published reference as HTML or Markdown. Several files are merged into one document.
    """
    from contract_tests.drift import comparison, reports

    if chosen["since"] and not re.fullmatch(r"[0-9]+\.[0-9]+", chosen["since"]):
        raise click.BadParameter(f"{chosen['since']!r} is not a release such as 5.1", param_hint="--since")
    files = requested(chosen)
    since, version = chosen.pop("since") or "", chosen.pop("central_version")
    document, reported = _document(sources, chosen)
    contract = contracts.load().at(version or reported or contracts.load().release)
    result = comparison.compare(document, contract, " and ".join(sources), since or contract.release.line)
    for kind, path in files.items():
        write_text(path, reports.RENDERERS[kind](result, strict=strict))
    click.echo(
        reports.patch(result) if as_contract_patch else reports.text(result, everything=everything),
        nl=not as_contract_patch,
    )
    sys.exit(result.status(strict=strict))


def _document(sources: tuple[str, ...], chosen: dict[str, Any]) -> tuple[Node, str]:
    """Return the merged document of all sources, and the release that a Central among them reports, or ""."""
    from contract_tests.drift import documents
    from contract_tests.engine.http import fetch

    release, parts = "", []
    for source in sources:
        if "://" not in source:
            parts.append(documents.parse(_read(source), source))
            continue
        url = source.rstrip("/").removesuffix(documents.PUBLISHED)
        options = options_of(url, **chosen)
        answer = fetch(options, documents.PUBLISHED, documents.MOST)
        if answer.status != 200:
            hint = "; give credentials with --token-file" if answer.status in (401, 403) else ""
            raise HarnessError(f"{url}{documents.PUBLISHED}: answered {answer.status}{hint}")
        parts.append(documents.parse(answer.content, f"{url}{documents.PUBLISHED}"))
        reported = fetch(options, "/v1/metadata").object.get("version", "")
        release = release or str(contracts.load().releases.nearest(str(reported)))
    return documents.merged(parts), release


def _read(name: str) -> bytes:
    from contract_tests.drift import documents

    try:
        with Path(name).open("rb") as file:
            content = file.read(documents.MOST + 1)
    except OSError as error:
        raise HarnessError(f"{name}: cannot be read: {error.strerror}; a URL begins with https://") from None
    if len(content) > documents.MOST:
        raise HarnessError(f"{name}: is longer than {documents.MOST >> 20} MiB")
    return content
