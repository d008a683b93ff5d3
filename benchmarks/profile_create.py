"""Where the time of a create goes: each stage alone, in process, without a socket.

``python -m benchmarks.profile_create`` prints CPU microseconds, the best of several runs.
"""

from __future__ import annotations

import io
import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from flask import Flask, Response

from benchmarks.bare import PATH, bare
from benchmarks.load import integration
from mock_server import Settings, create_app, protojson
from mock_server.central import _plain_json

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


def wsgi(app: Flask, bodies: Iterator[bytes]) -> Callable[[], object]:
    """Give a step that sends one create to a WSGI app."""

    def step() -> object:
        body = next(bodies)
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": PATH,
            "QUERY_STRING": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "wsgi.url_scheme": "http",
        }
        return b"".join(app(environ, _start))

    return step


def _start(*_: object) -> Callable[[bytes], object]:
    return lambda _: None


def constant() -> Flask:
    """Flask that does nothing."""
    app = Flask("constant")
    app.post(PATH)(lambda: Response(b"{}", 200, content_type="application/json"))
    return app


def bodies() -> Iterator[bytes]:
    """Give bodies, each with a name of its own."""
    return (json.dumps(integration(number)).encode() for number in itertools.count())


def stages() -> Iterator[tuple[str, Callable[[], object]]]:
    """Give the stages of a create by name; indented ones are parts of the one above."""
    central = create_app(Settings(empty=True)).central
    operation = central.contract.operations["PostImageIntegration"]
    message = central.contract.integration
    names = itertools.count()
    body = next(bodies())
    sent: Any = json.loads(body)
    decoded = central.decode(operation, body, "application/json").message
    stored = {**decoded, "id": central.store.new_id()}
    shown = central.masking.credentials_masked(stored)

    yield "  read the body: whole", lambda: central.decode(operation, body, "application/json")
    yield "    strict json.loads", lambda: _plain_json(body)
    yield "    compiled accept of the request", lambda: central.judge.accepts("StorageImageIntegration", sent)
    yield "    fill the gaps", lambda: protojson.complete(message, sent)
    yield "    (instead, the exact decoder)", lambda: central.decoder.decode(message, body)
    yield "  service.create: whole", lambda: central.service.create({**decoded, "name": str(next(names))})
    yield "    common rules", lambda: central.validation.problems(decoded)
    yield "      of it the endpoint", lambda: central.validation.endpoint(decoded)
    yield "    new id", central.store.new_id
    yield "    client rules", lambda: central.clients.activation(decoded)
    yield "    store and render", lambda: central.store.put(stored)
    yield "      mask", lambda: central.masking.credentials_masked(stored)
    yield "      compiled accept of the answer", lambda: central.check_answer("StorageImageIntegration", shown)
    yield "      render", lambda: protojson.render(shown)


def main() -> None:
    print(f"{'CPU microseconds':44} each")
    for name, app in (
        ("Flask with a constant view", constant()),
        ("bare Flask create", bare()),
        ("the mock's create", create_app(Settings(empty=True))),
    ):
        print(f"{name:44} {microseconds(wsgi(app, bodies())):6.1f}", flush=True)
    for name, step in stages():
        print(f"{name:44} {microseconds(step):6.1f}", flush=True)
    print(f"{'(making the body and its environ)':44} {microseconds(lambda: next(_spare)):6.1f}")


_spare = bodies()

if __name__ == "__main__":
    main()
