"""Where the time of a list, a get and a create goes: each stage alone, in process, without a socket.

It prints CPU microseconds, the best of several runs; `--write` puts them into docs/reference/measurements.md.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from flask import Flask, Response

from benchmarks.bare import PATH, bare
from benchmarks.load import integration
from benchmarks.page import table, write
from mock_server import Settings, create_app
from mock_server.central import protojson
from mock_server.gateway.exchange import Exchange
from mock_server.gateway.journal import answer_in_sandbox
from mock_server.web.edge import request_of

LOOPS, REPEATS = 2000, 7


def microseconds(step: Callable[[], object]) -> float:
    """Time one step."""
    best = float("inf")
    for _ in range(REPEATS):
        started = time.process_time()
        for _ in range(LOOPS):
            step()
        best = min(best, time.process_time() - started)
    return best / LOOPS * 1e6


def environ(method: str, path: str, body: bytes = b"") -> dict[str, Any]:
    """Write a request as a server hands it to an app."""
    found = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
        "HTTP_HOST": "localhost",
    }
    return found | {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body))} if body else found


def create(app: Any, bodies: Iterator[bytes]) -> Callable[[], object]:
    """Return a step that sends one create to a WSGI app."""
    return lambda: b"".join(app(environ("POST", PATH, next(bodies)), _start))


def read(app: Any, path: str) -> Callable[[], object]:
    """Return a step that sends one GET."""
    return lambda: b"".join(app(environ("GET", path), _start))


def _start(*_: object) -> Callable[[bytes], object]:
    return lambda _: None


def constant() -> Flask:
    """Flask that does nothing."""
    app = Flask("constant")
    app.get(PATH)(lambda: Response(b"{}", 200, content_type="application/json"))
    return app


def bodies() -> Iterator[bytes]:
    """Return bodies, each with a name of its own."""
    return (json.dumps(integration(number)).encode() for number in itertools.count())


def stages() -> Iterator[tuple[str, Callable[[], object]]]:
    """Return the stages by name; indented ones are parts of the one above."""
    app = create_app(Settings(empty=True))
    central, decoding = app.central, app.central.decoding
    operation = central.contract.operations["PostImageIntegration"]
    message = central.contract.integration
    names = itertools.count()
    body = next(bodies())
    sent: Any = json.loads(body)
    decoded = central.decoding.body(operation, body, "application/json").message
    stored = {**decoded, "id": central.store.new_id()}
    shown = central.rendering.credentials_masked(stored)
    getting = environ("GET", f"{PATH}/{stored['id']}")
    asked, home, default = request_of(getting), app.gateway.home, app.gateway.sandboxes.default
    central.store.put(stored)

    ten = create_app(Settings())
    yield "list of 12", read(ten, PATH)
    yield "get", read(app, f"{PATH}/{stored['id']}")
    yield "  make a request of it", lambda: request_of(getting)
    yield "  find the operation", partial(home.routes.match, "GET", asked.path)
    yield "  run it and keep it in the journal", lambda: answer_in_sandbox(Exchange(asked, default))
    yield "    run it, headers included", lambda: home.answer(Exchange(asked, default))
    yield "      look the bytes up", lambda: central.service.get(stored["id"]).answer
    yield "create", create(create_app(Settings(empty=True)), bodies())
    yield "  read the body", lambda: central.decoding.body(operation, body, "application/json")
    yield "    strict json.loads and compiled accept", lambda: decoding._accepted(operation, body, "application/json")
    yield "    compiled accept of the request", lambda: central.validator.accepts("StorageImageIntegration", sent)
    yield "    fill the gaps", lambda: protojson.complete(message, sent)
    yield "    (instead, the exact decoder)", lambda: decoding.decoder.decode(message, body)
    yield "  run the service", lambda: central.service.create({**decoded, "name": str(next(names))})
    yield "    common rules", lambda: central.validation.check(decoded)
    yield "      of it the endpoint", lambda: central.validation.endpoint(decoded)
    yield "    new id", central.store.new_id
    yield "    client rules", lambda: central.clients.activation(decoded)
    yield "    store and render", lambda: central.store.put(stored)
    yield "      mask", lambda: central.rendering.credentials_masked(stored)
    yield (
        "      compiled accept of the answer",
        lambda: central.validator.accepts("StorageImageIntegration", shown, answer=True),
    )
    yield "      render", lambda: protojson.render(shown)
    refused = json.dumps({**sent, "name": ""}).encode()
    unknown = json.dumps({**sent, "made_up": 1}).encode()
    yield "create, refused by a rule", create(app, itertools.repeat(refused))
    yield "create, outside the contract", create(app, itertools.repeat(unknown))
    yield "for comparison: Flask with a constant view", read(constant(), PATH)
    yield "for comparison: create of bare Flask", create(bare(), bodies())
    yield "(making a body and its environment)", lambda: environ("POST", PATH, next(_spare))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hot_paths", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/reference/measurements.md")
    chosen = parser.parse_args()
    rows = [(name.replace("  ", "&emsp;"), f"{microseconds(step):.1f}") for name, step in stages()]
    text = table(("stage", "CPU microseconds"), rows)
    print(text)
    if chosen.write:
        write("hot-paths", text)
    return 0


_spare = bodies()

if __name__ == "__main__":
    sys.exit(main())
