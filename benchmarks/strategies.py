"""Measure what our strategies and schemathesis find of the mock's mutants, with as many requests.

Schemathesis runs once with all its phases, valid and invalid data; its requests are kept, and the strategies draw as
many. Both are sent to each mutant, which is found if it answers one of them otherwise than the mock.
`--write` puts the table into docs/how-to/property-tests.md.
"""

from __future__ import annotations

import argparse
import logging
import random
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import strategies as st
from werkzeug.serving import make_server

from benchmarks.page import PAGE, table, write
from contract_tests import strategies
from contract_tests.engine.exchange import COLLECTION
from contract_tests.fixtures.cases import Case
from contract_tests.fixtures.mutation import mutants
from contract_tests.fixtures.record import Answer, Mock, record
from contract_tests.fixtures.scene import Step
from mock_server.contract import tables as contracts
from mock_server.mutants import Mutant

SEED = 1
_CASE = Case("drawn", lambda _: None, "", group="conversations")
_VERSION = contracts.load().releases.newest.line
_OF_HTTP = ("host", "connection", "content-length", "user-agent", "accept-encoding", "x-schemathesis-testcaseid")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.strategies", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/how-to/property-tests.md")
    chosen = parser.parse_args()
    recorded, planted = of_schemathesis(), mutants()
    theirs, ours = {*caught([recorded], planted)}, {*caught(drawn(len(recorded)), planted)}
    print("only schemathesis:", *sorted(theirs - ours), "\nonly our strategies:", *sorted(ours - theirs))
    found = (("our strategies", ours, ours - theirs), ("schemathesis", theirs, theirs - ours))
    figures = [(name, *(str(len(each)) for each in sets)) for name, *sets in found]
    text = table((f"{len(recorded):,} requests each", f"found of {len(planted)} mutants", "found alone"), figures)
    print(text)
    if chosen.write:
        write("strategies", text, page=PAGE.parents[1] / "how-to/property-tests.md")
    return 0


def caught(sequences: Sequence[Sequence[Step]], planted: Iterable[Mutant]) -> Iterator[str]:
    """Return the names of the mutants that answer a sequence otherwise than the mock."""
    usual: dict[str, list[list[Answer]]] = {}
    for mutant in planted:
        settings = str(mutant.settings)
        if settings not in usual:
            usual[settings] = [answers(each, Mock(**mutant.settings)) for each in sequences]
        mutated = Mock(mutants=(mutant.name,), **mutant.settings)
        if any(answers(each, mutated) != wanted for each, wanted in zip(sequences, usual[settings], strict=True)):
            yield mutant.name


def answers(steps: Iterable[Step], mock: Mock) -> list[Answer]:
    """Return the answers of a fresh mock, with placeholders for the ids that it chooses."""
    saving = [replace(each, saves=each.saves or f"ID9{number}") for number, each in enumerate(steps)]
    return [each.answer for each in record(_CASE, saving, mock, version=_VERSION).exchanges]


def drawn(most: int) -> list[list[Step]]:
    """Draw as many requests, alone and in sequences, from the strategies that find faults of a server."""
    found: list[list[Step]] = []
    alone = strategies.requests().map(lambda each: [Step(*each)])
    breach = st.sampled_from(strategies.BREAKABLE).flatmap(strategies.broken)
    created = breach.map(lambda each: [Step("POST", COLLECTION, each[0])])
    whole = strategies.conversations().map(lambda each: each[1])

    @hypothesis.seed(SEED)
    @hypothesis.settings(max_examples=most, database=None, deadline=None, phases=[hypothesis.Phase.generate],
                         suppress_health_check=[*hypothesis.HealthCheck])  # fmt: skip
    @hypothesis.given(alone | created | whole | strategies.sessions())
    def draw(steps: list[Step]) -> None:
        found.append(steps)

    draw()
    random.Random(SEED).shuffle(found)  # hypothesis begins with small ones
    return [steps for steps, total in zip(found, accumulate(map(len, found)), strict=True) if total <= most]


def of_schemathesis() -> list[Step]:
    """Run schemathesis against a mock, and return its requests with placeholders for ids."""
    mock, steps, known = Mock(), list[Step](), dict[str, str]()

    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        sent = {key[5:].replace("_", "-").lower(): text for key, text in environ.items() if key[:5] == "HTTP_"}
        headers = {name: text for name, text in sent.items() if name not in _OF_HTTP}
        if "CONTENT_TYPE" in environ:
            headers["Content-Type"] = environ["CONTENT_TYPE"]
        method, path = environ["REQUEST_METHOD"], environ["REQUEST_URI"]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)) or None
        answer = mock.ask(method, path, body, headers)
        name, is_create = f"ID9{len(steps)}", (method, path, answer.status) == ("POST", COLLECTION, 200)
        for id, placeholder in known.items():
            path, body = path.replace(id, placeholder), body and body.replace(id.encode(), placeholder.encode())
        steps.append(Step(method, path, body, headers, name))
        known.update({answer.json["id"]: f"{{{name}}}"} if is_create else {})
        start(f"{answer.status} OK", [*answer.headers.items()])
        return [answer.text.encode()]

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, app)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    program, document = Path(sys.executable).with_name("schemathesis"), PAGE.parents[2] / "openapi.yaml"
    words = ["--url", f"http://127.0.0.1:{server.server_port}", "--mode", "all", "--seed", str(SEED)]
    subprocess.run([program, "run", document, *words], check=False, stdout=subprocess.DEVNULL)
    server.shutdown()
    return steps


if __name__ == "__main__":
    sys.exit(main())
