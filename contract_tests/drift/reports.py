"""Reports of differences as text, JSON, JUnit XML and Markdown, and additions as a patch of the contract."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

from contract_tests.drift.comparison import KINDS, UNSAID, Difference, Drift
from contract_tests.drift.documents import has_more_values
from contract_tests.engine.failures import HarnessError
from contract_tests.engine.text import clean, markdown, one_line, printable

MOST_VALUES = 100_000
"""Maximum number of values in a patch."""
_LONGEST = 2_000
"""Maximum length of a line."""


def text(drift: Drift, *, everything: bool = False) -> str:
    """Return the report for a terminal; without `everything`, only count what the document does not specify."""
    lines: list[str] = []
    for kind, title in KINDS.items():
        found = drift.of(kind)
        if not found or (kind == UNSAID and not everything):
            continue
        lines.append(f"{title}:")
        lines += [f"  {'BREAKING  ' if each.breaking else ''}{_line(f'{each}{_places(each)}')}" for each in found]
        lines.append("")
    lines += [f"Not compared: {_line(each)}." for each in drift.gaps]
    return printable("\n".join([*lines, f"{_line(drift.headline)}."]))


def _line(text: str) -> str:
    return one_line(text, _LONGEST)


def _places(difference: Difference) -> str:
    operations = difference.operations
    return (
        f" ({', '.join(operations) if len(operations) < 3 else f'{len(operations)} operations'})" if operations else ""
    )


def render_json(drift: Drift, *, strict: bool) -> str:
    """Return the report as JSON."""
    document = {
        "document": drift.name,
        "contract": drift.release,
        "status": drift.status(strict=strict),
        "verdict": drift.headline,
        "breaking": len(drift.breaking),
        "harmless": len(drift.harmless),
        "unsaid": len(drift.of(UNSAID)),
        "notCompared": list(drift.gaps),
        "differences": [each.json() for kind in KINDS for each in drift.of(kind)],
    }
    return json.dumps(clean(document), indent=2) + "\n"


def render_markdown(drift: Drift, *, strict: bool) -> str:
    """Return the report as Markdown, for the summary of a CI job."""
    lines = [f"## {'Failed: ' if drift.status(strict=strict) == 1 else ''}{markdown(drift.headline)}"]
    for kind, title in KINDS.items():
        if found := drift.of(kind):
            lines += ["", f"### {title}", "", "| place | difference | |", "|---|---|---|"]
            lines += [
                f"| {markdown(each.place)} | {markdown(each.text)} | {'**breaking**' if each.breaking else ''} |"
                for each in found
            ]
    if drift.gaps:
        lines += ["", "### Not compared", "", *(f"- {markdown(each)}" for each in drift.gaps)]
    return "\n".join(lines) + "\n"


def render_junit(drift: Drift, *, strict: bool) -> str:
    """Return the report as JUnit XML: a test case for each difference, and one for the verdict."""
    suite = ET.Element("testsuite", name="central-contract.drift")
    verdict = ET.SubElement(suite, "testcase", classname="central-contract.drift", name="verdict")
    if drift.gaps:
        ET.SubElement(verdict, "error", message="incomplete").text = "\n".join(map(_line, drift.gaps))
    else:
        ET.SubElement(verdict, "system-out").text = _line(drift.headline)
    for kind in KINDS:
        for each in drift.of(kind):
            case = ET.SubElement(suite, "testcase", classname=f"central-contract.drift.{kind}", name=_line(str(each)))
            if each.breaking or (strict and kind != UNSAID):
                lines = [f"contract: {each.contract or '-'}", f"document: {each.document or '-'}", *each.operations]
                ET.SubElement(case, "failure", message=_line(each.text), type=kind).text = "\n".join(map(_line, lines))
    for name, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error")):
        suite.set(name, str(sum(1 for _ in suite.iter(tag))))
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


RENDERERS = {"json": render_json, "junit": render_junit, "markdown": render_markdown}


def patch(drift: Drift) -> str:
    """Return the additions of the document as YAML to be merged into `openapi.yaml`; a list replaces the one there.

    Raises:
        HarnessError: the patch is nested too deeply, or has more than `MOST_VALUES` values.
    """
    try:
        return _patch(drift)
    except RecursionError:
        raise HarnessError(f"{drift.name}: the patch is nested too deeply to be printed") from None


def _patch(drift: Drift) -> str:
    import yaml

    whole: dict[str, Any] = {}
    for each in drift.differences:
        _merge(whole, each.patch)
    if has_more_values(whole, MOST_VALUES):
        raise HarnessError(f"{drift.name}: the patch is too large to be printed: more than {MOST_VALUES} values")
    if not whole:
        return "# The document adds nothing to the contract.\n"
    head = [f"# Additions of {_line(drift.name)} to the contract of {drift.release}."]
    if whole.get("components"):
        head.append("# Add what no document specifies: field numbers (`x-proto-number`) and credentials (`x-scrub`).")
    return "\n".join(head) + "\n" + yaml.safe_dump(clean(whole), sort_keys=False, width=120, allow_unicode=True)


def _merge(to: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, Mapping):
            _merge(to.setdefault(key, {}), value)
        else:
            to[key] = value
