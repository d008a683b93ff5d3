"""The report as JUnit XML: one test case per check, with the id of the check as its name.

The first test case, `verdict`, is an error if the run is incomplete, as no other test case shows that.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from contract_tests.engine.text import printable
from contract_tests.reports.curl import sequence
from contract_tests.reports.failures import differences, replays, title, what
from contract_tests.reports.sources import links
from contract_tests.runner.report import ERROR, FAILED, INCOMPLETE, KNOWN, SKIPPED, UNABLE, Report, Result


def render(report: Report) -> str:
    """Return the report as XML text."""
    suites = ET.Element("testsuites", name="central-contract")
    _verdict(suites, report)
    for group in dict.fromkeys(result.group for result in report.results):
        results = [result for result in report.results if result.group == group]
        suite = ET.SubElement(suites, "testsuite", name=f"central-contract.{group}")
        for result in results:
            _case(suite, result, report)
        suite.set("time", f"{sum(result.seconds for result in results):.3f}")
    _count(suites)
    for suite in suites:
        suite.set("timestamp", report.started.isoformat(timespec="seconds"))
    suites.set("time", f"{report.seconds:.3f}")
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _verdict(suites: ET.Element, report: Report) -> None:
    suite = ET.SubElement(suites, "testsuite", name="central-contract.verdict", time="0.000")
    case = ET.SubElement(suite, "testcase", classname="central-contract", name="verdict", time="0.000")
    text = printable("\n".join(report.verdict_lines))
    if report.verdict in (INCOMPLETE, UNABLE):
        ET.SubElement(case, "error", message=printable(report.headline), type=report.verdict).text = text
    else:
        ET.SubElement(case, "system-out").text = text


def _case(suite: ET.Element, result: Result, report: Report) -> None:
    case = ET.SubElement(
        suite, "testcase", classname=f"central-contract.{result.group}", name=result.check, time=f"{result.seconds:.3f}"
    )
    if result.outcome == FAILED:
        text = [f"It fails with the same answers as {result.like}.", ""] if result.like else []
        for failure in result.failures:
            text += [what(failure), *differences(failure), *sequence(failure.exchanges, report.options), ""]
        text += [*replays(report, result), f"seed {report.options.seed}"]
        text += [result.source, *links(result.source, report.version)]
        element = ET.SubElement(case, "failure", message=title(result), type=result.check)
        element.text = printable("\n".join(text))
    elif result.outcome == ERROR:
        ET.SubElement(case, "error", message="the harness failed", type="error").text = printable(result.reason)
    elif result.outcome in (SKIPPED, KNOWN):
        ET.SubElement(case, "skipped", message=printable(f"{result.outcome}: {result.reason}"))


def _count(suites: ET.Element) -> None:
    """Set the totals of each suite and of the whole report."""
    for element in (suites, *suites):
        for name, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            element.set(name, str(sum(1 for _ in element.iter(tag))))
