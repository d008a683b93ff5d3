"""The report as JUnit XML: a test case a check, its name the id of the check."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from contract_tests.engine.options import Options
from contract_tests.engine.text import diff, printable
from contract_tests.reports.curl import access, sequence
from contract_tests.runner.run import ERROR, FAILED, KNOWN, SKIPPED, Report


def render(report: Report, options: Options) -> str:
    """Write the report as XML text."""
    way = access(options)
    suites = ET.Element("testsuites", name="central-contract", time=f"{report.seconds:.3f}")
    groups = dict.fromkeys(result.group for result in report.results)
    for group in groups:
        results = [result for result in report.results if result.group == group]
        suite = ET.SubElement(
            suites,
            "testsuite",
            name=f"central-contract.{group}",
            tests=str(len(results)),
            failures=str(sum(result.outcome == FAILED for result in results)),
            errors=str(sum(result.outcome == ERROR for result in results)),
            skipped=str(sum(result.outcome in (SKIPPED, KNOWN) for result in results)),
            time=f"{sum(result.seconds for result in results):.3f}",
            timestamp=report.started.isoformat(timespec="seconds"),
        )
        for result in results:
            case = ET.SubElement(
                suite,
                "testcase",
                classname=f"central-contract.{group}",
                name=result.check,
                time=f"{result.seconds:.3f}",
            )
            if result.outcome == FAILED:
                text = [f"Its answers show the same as that of {result.like}.", ""] if result.like else []
                for failure in result.failures:
                    text += [failure.what, *diff(failure.expected, failure.got), *sequence(failure.exchanges, way), ""]
                element = ET.SubElement(case, "failure", message=printable(result.failures[0].what), type=result.check)
                element.text = printable("\n".join([*text, f"seed {report.seed}", result.source]))
            elif result.outcome == ERROR:
                ET.SubElement(case, "error", message="the harness failed", type="error").text = printable(result.reason)
            elif result.outcome in (SKIPPED, KNOWN):
                ET.SubElement(case, "skipped", message=printable(f"{result.outcome}: {result.reason}"))
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"
