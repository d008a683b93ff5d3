"""The consumer report as text, JSON, JUnit XML, Markdown and one HTML page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

from mock_server.consumer.report import Item, Report, Section

_MOST_NAMES = 8
"""Greatest number of gaps of a section that a terminal shows."""


def text(report: Report, *, everything: bool = False) -> str:
    """Return the report for a terminal; `everything`: all gaps, each with how to reproduce it."""
    lines = [f"{report.requests} requests; the contract of Central {report.release}.", ""]
    for section in report.sections:
        share = f"{len(section.met)}/{len(section.items)} {section.percent:.0f}%"
        bar = ("#" * round(section.percent / 5)).ljust(20, ".")
        lines.append(f"{section.name:<11}{share:>10}  {bar}")
    lines += ["", *_gaps(report.sections, everything=everything)]
    lines += [f"Warning: {operation}: {text} ({_times(count)})" for operation, text, count in report.warnings]
    lines += [f"Survived: {fault} ({_times(count)})" for fault, count in sorted(report.survived.items())]
    lines += [f"Missed: {each}." for each in report.problems]
    return _plain("\n".join(lines).rstrip())


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _gaps(sections: Iterable[Section], *, everything: bool) -> Iterator[str]:
    for section in sections:
        if not section.gaps:
            continue
        if everything or section.name == "situations":
            yield f"Your tests never {section.verb}:"
            yield from (f"  {_words(each, section):<58}  {each.how}" for each in section.gaps)
        else:
            names = [each.name for each in section.gaps[:_MOST_NAMES]]
            more = len(section.gaps) - len(names)
            rest = f" and {more} more (--all)" if more else ""
            yield f"Your tests never {section.verb}: {', '.join(names)}{rest}"
        yield ""


def _words(item: Item, section: Section) -> str:
    return item.title if section.name == "situations" else item.name


def render_json(report: Report) -> str:
    """Return the report as JSON text."""
    document = {
        "centralVersion": report.release,
        "requests": report.requests,
        "sections": [
            {
                "name": section.name,
                "percent": round(section.percent, 1),
                "met": {each.name: each.count for each in section.met},
                "gaps": [{"name": each.name, "title": each.title, "how": each.how} for each in section.gaps],
            }
            for section in report.sections
        ],
        "warnings": [{"operation": one, "text": text, "count": count} for one, text, count in report.warnings],
        "survived": dict(report.survived),
        "problems": list(report.problems),
    }
    return json.dumps(document, indent=2) + "\n"


def render_markdown(report: Report) -> str:
    """Return the report as Markdown, for the summary of a CI job or a docs page."""
    lines = [f"{report.requests} requests; the contract of Central {report.release}.", ""]
    lines += [f"**{_markdown(each)}**" for each in report.problems]
    lines += ["| | covered | share |", "|---|---:|---:|"]
    lines += [
        f"| {each.name} | {len(each.met)} of {len(each.items)} | {each.percent:.0f}% |" for each in report.sections
    ]
    for section in report.sections:
        if section.gaps:
            lines += ["", f"Your tests never {section.verb}", "", "| | how to reproduce it |", "|---|---|"]
            lines += [f"| {_markdown(_words(each, section))} | `{each.how}` |" for each in section.gaps]
    if report.warnings:
        lines += ["", "| violated the contract | | times |", "|---|---|---:|"]
        lines += [f"| {one} | {_markdown(text)} | {count} |" for one, text, count in report.warnings]
    return _plain("\n".join(lines)) + "\n"


def render_junit(report: Report) -> str:
    """Return the report as JUnit XML: a test case for each item, skipped if it is not covered."""
    suites = ET.Element("testsuites", name="mock-central.report")
    for section in report.sections:
        suite = ET.SubElement(suites, "testsuite", name=f"mock-central.{section.name}")
        for each in section.items:
            case = ET.SubElement(suite, "testcase", classname=suite.get("name", ""), name=each.name)
            if not each.count:
                ET.SubElement(case, "skipped", message=f"not covered; {each.how}")
    suite = ET.SubElement(suites, "testsuite", name="mock-central.thresholds")
    for problem in report.problems or ("all thresholds are met",):
        case = ET.SubElement(suite, "testcase", classname="mock-central.thresholds", name=problem.partition(":")[0])
        if report.problems:
            ET.SubElement(case, "failure", message=problem)
    for element in (suites, *suites):
        for name, tag in (("tests", "testcase"), ("failures", "failure"), ("skipped", "skipped")):
            element.set(name, str(sum(1 for _ in element.iter(tag))))
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def render_html(report: Report) -> str:
    """Return the report as a self-contained HTML page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("report.html.jinja").render(report=report)


RENDERERS = {"json": render_json, "junit": render_junit, "markdown": render_markdown, "html": render_html}


def _markdown(text: str) -> str:
    return "".join(f"&#{ord(each)};" if each in "|<>`*_[]&" else each for each in text)


def _plain(text: str) -> str:
    """Escape text from a client, such as a field name in a warning, that could control a terminal."""
    return "".join(each if each.isprintable() or each == "\n" else ascii(each)[1:-1] for each in text)
