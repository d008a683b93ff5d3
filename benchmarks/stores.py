"""How long a request takes with each store: in process, without a socket, one client.

``python -m benchmarks.stores redis://127.0.0.1:6379/0`` prints the median wall-clock microseconds as a Markdown table.
The stores take turns, so that a busy moment of the machine meets them alike.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
import uuid
from collections.abc import Callable

from benchmarks.bare import PATH
from benchmarks.load import integration
from mock_server import Settings, create_app
from mock_server.web import wsgi

REQUESTS = 500
STORED = 100

Ask = Callable[..., bytes]


def asking(settings: Settings) -> Ask:
    """Return a function that sends one request to an app of its own."""
    app = create_app(settings)

    def ask(method: str, path: str = PATH, body: bytes = b"") -> bytes:
        return wsgi.ask(app, wsgi.environ(method, path, body, {"Content-Type": "application/json"})).body

    return ask


def steps(ask: Ask, other: Ask) -> dict[str, Callable[[], object]]:
    """Return what is measured by name, and before it what makes it so; `other` asks another replica."""
    numbers = itertools.count()

    def create(through: Ask) -> str:
        made: str = json.loads(through("POST", PATH, json.dumps(integration(next(numbers))).encode()))["id"]
        return made

    ids = [create(ask) for _ in range(STORED)]
    body = json.dumps({**integration(0), "name": "changed"}).encode()

    def list_after_change() -> float:
        other("PUT", f"{PATH}/{ids[-1]}", body)
        started = time.perf_counter()
        ask("GET")
        return time.perf_counter() - started

    def create_and_delete() -> float:
        started = time.perf_counter()
        id = create(ask)
        taken = time.perf_counter() - started
        ask("DELETE", f"{PATH}/{id}")
        return taken

    return {
        "create": create_and_delete,
        "get": lambda: ask("GET", f"{PATH}/{ids[0]}"),
        f"list of {STORED}": lambda: ask("GET"),
        f"list of {STORED}, after a change": list_after_change,
    }


def seconds(step: Callable[[], object]) -> float:
    """Time one step, unless it returns its own time."""
    started = time.perf_counter()
    measured = step()
    return measured if isinstance(measured, float) else time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stores", description=__doc__)
    parser.add_argument("url", help="a Redis or Valkey to measure with")
    url = parser.parse_args().url
    shared = Settings(empty=True, store=url, store_prefix=f"benchmark-{uuid.uuid4()}")
    memory = asking(Settings(empty=True))
    stores = {"memory": steps(memory, memory), "redis": steps(asking(shared), asking(shared))}
    print("| median, µs | memory | redis |\n| --- | --- | --- |")
    for what in stores["memory"]:
        taken: dict[str, list[float]] = {name: [] for name in stores}
        for _ in range(REQUESTS):
            for name, measured in stores.items():
                taken[name].append(seconds(measured[what]))
        cells = [f"{statistics.median(each) * 1e6:.0f}" for each in taken.values()]
        print(f"| {what} | {' | '.join(cells)} |", flush=True)
    create_app(shared).central.store.free()


if __name__ == "__main__":
    main()
