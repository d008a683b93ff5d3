"""Rewrite the tables of the docs from the contract, the commands and the checks.

A table is between ``<!-- begin: NAME -->`` and ``<!-- end -->``. A test checks that they are up to date.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import click

from mock_server.central.auth import NOTHING, READ, WRITE
from mock_server.cli.main import main
from mock_server.cli.options import OPTIONS
from mock_server.contract import tables as contracts
from mock_server.mutants import all_mutants
from mock_server.state import scenarios
from mock_server.web import control
from mock_server.web.companions import COMPANIONS, NO_ROLE, ROLES

ROOT = Path(__file__).parent.parent
FILES = [
    page.relative_to(ROOT).as_posix()
    for page in sorted((ROOT / "README.md", *ROOT.glob("docs/**/*.md")))
    if "<!-- begin: " in page.read_text("utf-8")
]

_BLOCK = re.compile(r"(<!-- begin: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def differences() -> str:
    """Where the document and deployed Central disagree."""
    rows = [
        (_code(each.id), each.document, each.deployment, each.source) for each in contracts.load().differences.values()
    ]
    return table(("difference", "document (default)", "deployment (`--as-deployed`)", "source"), rows)


def rules() -> str:
    """Every rule of Central."""
    rows = []
    for rule in contracts.load().history.values():
        status = str(rule.status) if rule.status else "400, 500" if rule.kind == "build" else ""
        rows.append((_code(rule.id), rule.title, status, _texts(rule), str(rule.releases), rule.source))
    return table(("rule", "what", "status", "text", "releases", "source"), rows)


def _texts(rule: contracts.RuleHistory) -> str:
    texts = (_code(each.text) + ("" if each.releases.everywhere else f" ({each.releases})") for each in rule.texts)
    return "; ".join(texts)


def releases() -> str:
    """Every release that can be simulated, and how it differs from the newest."""
    contract = contracts.load()
    newest = _parts(contract)
    rows = []
    for each in contract.every_release:
        parts = _parts(each)
        lacks, more = ([name for name in one if name not in other] for one, other in ((newest, parts), (parts, newest)))
        rows.append((each.release.line, str(each.release), ", ".join(map(_code, lacks)), ", ".join(map(_code, more))))
    return table(("release", "newest patch", "missing compared with the newest", "additional"), rows)


def _parts(contract: contracts.Contract) -> list[str]:
    """Name the operations, types, fields, categories and rules that a release has."""
    return [
        *contract.operations,
        *contract.types,
        *_fields(contract.integration),
        *contract.categories,
        *contract.rules,
    ]


def _fields(message: contracts.Message, path: str = "") -> Iterator[str]:
    for field in message.fields:
        yield f"{path}{field.name}"
        if field.message is not None:
            yield from _fields(field.message, f"{path}{field.name}.")


def options(command: click.Command) -> str:
    """Every option of a command."""
    rows = [
        (_code(_names(each)), each.help or "", _default(command, each))
        for each in command.params
        if isinstance(each, click.Option)
    ]
    return table(("option", "what", "default"), rows)


def _names(option: click.Option) -> str:
    return ", ".join((*option.opts, *option.secondary_opts))


def _default(command: click.Command, option: click.Option) -> str:
    default = option.get_default(click.Context(command))
    return _code("" if default in (None, False, (), "") or str(default).startswith("Sentinel") else str(default))


def serve_options() -> str:
    """The options of `mock-central serve`, by their groups."""
    serve = main.commands["serve"]
    text = ""
    for group, members in groupby(OPTIONS, lambda each: each.group):
        rows = []
        for each in members:
            unit = "" if each.is_flag or isinstance(each.type, click.Choice) else f" {each.metavar}"
            rows.append((_code(_names(each) + unit), each.help or "", _default(serve, each), _code(each.variable)))
        text += f"\n## {group}\n\n{table(('option', 'what', 'default', 'variable'), rows)}"
    return f"{text}\n"


def contract_options(command: str) -> str:
    """The options of a command of `central-contract`."""
    from contract_tests.cli.main import main as contract_main

    return options(contract_main.commands[command])


def fixture_line() -> str:
    """Every key of a line of the fixtures, from the schema."""
    from contract_tests.fixtures.lines import SCHEMA

    schema = json.loads(SCHEMA.read_text("utf-8"))
    parts = {name: schema["$defs"][name]["properties"] for name in ("env", "request", "step", "content", "expect")}
    places = {"a line": schema["properties"], "`env`": parts["env"], "`request`, `setup`": parts["request"]}
    places |= {"`steps`": parts["step"], "each request": parts["content"], "`expect`": parts["expect"]}
    headers = schema["$defs"]["headers"]["description"]
    rows = [
        (place, _code(key), each.get("description", headers))
        for place, keys in places.items()
        for key, each in keys.items()
    ]
    return table(("in", "key", "what"), rows)


def checks() -> str:
    """Every check of the harness."""
    from contract_tests.checks.registry import FOUNDATION, all_checks
    from contract_tests.oracle.observers import OBSERVED

    rows = [
        (
            _code(each.id),
            each.group,
            each.title,
            ", ".join(_code(need) for need in each.needs if need not in FOUNDATION),
            each.source,
        )
        for each in all_checks().values()
    ]
    rows += [(_code(id), "observed", title, "", "") for id, title in OBSERVED.items()]
    return table(("check", "group", "what is wrong when it fails", "relies on", "source"), rows)


def mutants() -> str:
    """Every mutant that can be applied."""
    rows = [(_code(each.name), each.kind, _code(each.check), each.summary) for each in all_mutants().values()]
    return table(("mutant", "kind", "check that names it", "what is wrong"), rows)


def known_scenarios() -> str:
    """Every named starting state."""
    rows = []
    for each in scenarios.known().values():
        name = f"{each.name}:NUMBER" if each.number else each.name
        rows.append((_code(name), each.title + (f". Broken on purpose: {each.broken}" if each.broken else "")))
    return table(("scenario", "what it holds"), rows)


def fault_fields() -> str:
    """Every field of a fault."""
    fields = control.document()["components"]["schemas"]["Fault"]["properties"].items()
    return table(("field", "what it does"), [(_code(name), schema["description"]) for name, schema in fields])


def fault_presets() -> str:
    """Every preset of the console."""
    call = control.document()["paths"]["/faults"]["post"]["requestBody"]["content"]["application/json"]
    rows = [(each["summary"], _code(json.dumps(each["value"]))) for each in call["examples"].values()]
    return table(("failure", "fault"), rows)


def control_calls() -> str:
    """Every control call."""
    rows = []
    for path, item in control.document()["paths"].items():
        for method, entry in item.items():
            asked = ", ".join(map(_code, control.query_parameters(entry)))
            rows.append((_code(f"{method.upper()} {control.PREFIX}{path}"), entry["summary"], asked))
    return table(("call", "what it does", "query"), rows)


def control_parameters() -> str:
    """Every query parameter of the control calls."""
    parameters = control.document()["components"]["parameters"].values()
    rows = [(_code(each["name"]), each["description"]) for each in parameters if each["in"] == "query"]
    return table(("parameter", "what"), rows)


def control_bodies() -> str:
    """Every member of the bodies of the control calls, except those of a fault."""
    rows = []
    for path, item in control.document()["paths"].items():
        for method, entry in item.items():
            body = entry.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            if body and path != "/faults":
                call = _code(f"{method.upper()} {control.PREFIX}{path}")
                rows += [(call, _code(member) or "(the body)", what) for member, what in _members(body)]
    return table(("call", "member", "what"), rows)


def _members(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    if reference := schema.get("$ref"):
        schema = control.document()["components"]["schemas"][reference.rpartition("/")[2]]
    if properties := schema.get("properties") or schema.get("items", {}).get("properties"):
        for name, each in properties.items():
            yield from _members(each, f"{path}[].{name}" if "items" in schema else f"{path}.{name}".lstrip("."))
    else:
        yield path, schema.get("description", "")


def python_api() -> str:
    """The public Python names with their docstrings."""
    from mock_server.pytest_plugin import mock_central, mock_central_module, mock_central_session, mock_central_settings
    from mock_server.serving.server import MockServer, Requests, serving
    from mock_server.settings import Settings
    from mock_server.web.app import MockCentral, create_app

    return "".join(
        (
            _section("mock_server.Settings", Settings, bare=True),
            _section("mock_server.create_app", create_app),
            _section("mock_server.web.app.MockCentral.add_layer", MockCentral.add_layer),
            _section("mock_server.serving.serving", serving),
            _section("MockServer: what serving and the pytest fixtures return", MockServer, bare=True),
            _entries("", MockServer),
            _section("MockServer.journal", Requests, bare=True),
            _entries("journal", Requests),
            "\n### Fixtures of pytest\n\n",
            table(
                ("fixture", "what"),
                [
                    (_code(inspect.unwrap(each).__name__), _first(each))
                    for each in (mock_central, mock_central_module, mock_central_session, mock_central_settings)
                ],
            ),
        )
    )


def _section(title: str, thing: Any, *, bare: bool = False) -> str:
    signature = "" if bare else f"\n\n```text\n{title.rpartition('.')[2]}{_signature(thing)}\n```"
    return f"\n### {title}{signature}\n\n{_doc(thing)}\n"


def _entries(name: str, thing: type) -> str:
    """The public members of a class."""
    rows = []
    for member, value in vars(thing).items():
        if isinstance(value, property) and not member.startswith("_"):
            rows.append((_code(member), _first(value)))
        elif inspect.isfunction(value) and (member == "__call__" or not member.startswith("_")):
            call = ".".join(filter(None, (name, member.replace("__call__", ""))))
            rows.append((_code(f"{call}{_signature(value)}"), _first(value)))
    return f"\n{table(('member', 'what'), rows)}"


def _signature(thing: Any) -> str:
    """Write the arguments of a function without annotations."""
    signature = inspect.signature(thing)
    arguments = [
        each.replace(annotation=inspect.Parameter.empty)
        for each in signature.parameters.values()
        if each.name not in {"self", "contract"}
    ]
    return str(signature.replace(parameters=arguments, return_annotation=inspect.Signature.empty))


def _doc(thing: Any) -> str:
    """Return a docstring as Markdown."""
    text = (inspect.getdoc(thing) or "").replace("``", "`")
    return re.sub(r"\n\nRaises:\n {4}(\w+): (.*)", r"\n\nRaises `\1`: \2", text, flags=re.DOTALL)


def _first(thing: Any) -> str:
    """Return the first line of a docstring, and the exceptions."""
    first, _, more = _doc(inspect.unwrap(thing) if callable(thing) else thing).partition("\n\n")
    return " ".join((first, *re.findall(r"^Raises .*", more, re.MULTILINE)))


def fidelity() -> str:
    """The sources that the mock is compared with, and how many items each has."""
    sources = (
        ("answers of a running Central, as deployed", ("data/observed",), "facts", "observed"),
        (
            "requests with their right answers",
            ("data/vectors", "data/cases", "data/payloads"),
            "requests",
            "conformance",
        ),
        (
            "protobuf-go's JSON decoder: verdict, value, text and position",
            ("reference/wire",),
            "bodies",
            "wire_reference",
        ),
        (
            "Go's URL, JSON, query and quoting libraries, Google's key parser",
            tuple(f"reference/{name}" for name in ("endpoints", "json", "queries", "quotes", "google")),
            "inputs",
            "wire_reference",
        ),
        ("the clients of registries and scanners", ("reference/clients/clients",), "calls", "client_reference"),
    )
    tests = ROOT / "mock_server/tests"
    rows = []
    for what, files, unit, test in sources:
        count = sum(len((tests / f"{file}.jsonl").read_bytes().splitlines()) for file in files)
        rows.append((what, f"{count:,} {unit}", _code(f"test_{test}.py")))
    rows.append(("the published API reference", "every schema and field", _code("test_published.py")))
    return table(("compared with", "how much", "test"), rows)


def companions() -> str:
    """Every path outside of the API."""
    rows = [(_code(each.id), each.needed_by, each.access, each.gives) for each in COMPANIONS]
    return table(("request", "needed by", "access with `--auth`", "answer"), rows)


def roles() -> str:
    """The token for each of Central's roles."""
    options = {WRITE: "--admin-token", READ: "--read-only-token", NOTHING: "--no-access-token"}
    rows = [
        (", ".join(role for role, has in ROLES.items() if has == permission), _code(option))
        for permission, option in options.items()
    ]
    return table(("role", "token"), [*rows, (f"{NO_ROLE}, or no role", _code("--no-role-token"))])


TABLES: dict[str, Callable[[], str]] = {
    "differences": differences,
    "releases": releases,
    "rules": rules,
    "serve-options": serve_options,
    "check-options": partial(contract_options, "check"),
    "replay-options": partial(contract_options, "replay"),
    "compare-options": partial(contract_options, "compare"),
    "clean-options": partial(contract_options, "clean"),
    "fixtures-options": partial(contract_options, "fixtures"),
    "fixtures-line": fixture_line,
    "audit-options": partial(contract_options, "audit"),
    "proxy-options": partial(contract_options, "proxy"),
    "drift-options": partial(contract_options, "drift"),
    "report-options": lambda: options(main.commands["report"]),
    "checks": checks,
    "mutants": mutants,
    "scenarios": known_scenarios,
    "fault-fields": fault_fields,
    "fault-presets": fault_presets,
    "control": control_calls,
    "control-parameters": control_parameters,
    "control-bodies": control_bodies,
    "python-api": python_api,
    "companions": companions,
    "fidelity": fidelity,
    "roles": roles,
}


def generated(text: str) -> str:
    """Return a text with its tables regenerated."""
    return _BLOCK.sub(lambda match: f"{match[1]}{TABLES[match[2]]()}{match[3]}", text)


if __name__ == "__main__":
    for name in FILES:
        path = ROOT / name
        path.write_text(generated(path.read_text("utf-8")), "utf-8")
