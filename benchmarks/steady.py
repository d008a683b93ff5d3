"""Load a mock for long, and check that it stays as it was.

Each client has a sandbox of its own and knows what the mock must answer: creates, reads, updates and deletes, refusals,
faults, mutants and scenario switches that it asked for itself. An answer that differs is an error. Memory and
open files are sampled; they have to end on the level on which they began once everything was warm.

`python -m benchmarks.steady --minutes 30`; status 1 where something is wrong.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from benchmarks.load import integration
from benchmarks.page import table, write
from benchmarks.process import Process, serving
from benchmarks.servers import LIST, QUIET, SUPPORTED

CLIENTS = 6
MIB_ALLOWED, SHARE_ALLOWED = 3.0, 0.05
"""How much memory may grow between the two levels: that many MiB, and that share of the first."""
FILES_ALLOWED = 2
STORED_AT_MOST = 50
CUT = "cut"


class WrongError(Exception):
    """The mock gave a wrong answer."""


class Sample(NamedTuple):
    """The memory and open files of the server at one moment."""

    mebibytes: float
    files: int


class Client:
    """One client with its own sandbox, and the integrations that it stored there."""

    def __init__(self, port: int, number: int, rng: random.Random) -> None:
        self.port = port
        self.headers = {"Mock-Central-Sandbox": f"steady-{number}"}
        self.rng = rng
        self.known: dict[str, str] = {}
        """Names by id."""
        self.made = 0
        self.counts: Counter[str] = Counter()
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.switch_scenario()

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int | str, Any]:
        """Send a request; return the status, or that the connection was cut, and the body."""
        sent = None if body is None else json.dumps(body)
        everything = {**self.headers, **headers, "Content-Type": "application/json"}
        try:
            self.connection.request(method, path, sent, everything)
            answer = self.connection.getresponse()
            whole = answer.read()
        except (http.client.HTTPException, ConnectionError) as error:
            self.connection.close()
            return CUT, f"{type(error).__name__}: {error}"
        try:
            return answer.status, json.loads(whole)
        except ValueError:
            return answer.status, None

    def expect(self, status: int | str, method: str, path: str, body: object = None, **headers: str) -> Any:
        """Send a request whose answer must have this status.

        Raises:
            WrongError: it has another.
        """
        got, value = self.ask(method, path, body, **headers)
        if got != status:
            raise WrongError(f"{method} {path} {headers or ''}: {got} instead of {status}: {value}")
        return value

    # -- what a client does -----------------------------------------------------------------------

    def step(self) -> None:
        """Do one random action."""
        doing = self.rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        doing(self)
        self.counts[doing.__name__] += 1

    def create(self) -> None:
        if len(self.known) >= STORED_AT_MOST:
            return self.delete()
        self.made += 1
        body = integration(self.made)
        created = self.expect(200, "POST", LIST, body)
        self.known[created["id"]] = str(body["name"])
        return None

    def create_twice(self) -> None:
        """Create a name twice; the second create is refused."""
        if self.known:
            taken = self.rng.choice(list(self.known.values()))
            self.expect(400, "POST", LIST, integration(0) | {"name": taken})

    def get(self) -> None:
        if self.known:
            id, name = self.rng.choice(list(self.known.items()))
            found = self.expect(200, "GET", f"{LIST}/{id}")
            self.same(found["name"], name)

    def list(self) -> None:
        found = self.expect(200, "GET", LIST)["integrations"]
        self.same({each["id"]: each["name"] for each in found}, self.known)

    def update(self) -> None:
        if self.known:
            id = self.rng.choice(list(self.known))
            self.made += 1
            body = integration(self.made)
            self.expect(200, "PUT", f"{LIST}/{id}", body)
            self.known[id] = str(body["name"])

    def delete(self) -> None:
        if self.known:
            id = self.rng.choice(list(self.known))
            self.expect(200, "DELETE", f"{LIST}/{id}")
            del self.known[id]
            self.expect(404, "GET", f"{LIST}/{id}")

    def outside_the_contract(self) -> None:
        self.expect(400, "POST", LIST, b"{".decode())
        self.expect(501, "PATCH", LIST, {})

    def refused_on_demand(self) -> None:
        self.expect(503, "GET", LIST, Prefer="code=503")

    def delayed_on_demand(self) -> None:
        self.expect(200, "GET", LIST, Prefer="delay=0.02")

    def spoilt_on_demand(self) -> None:
        fault = self.rng.choice(["reset", "truncated", "garbage", "empty"])
        status, value = self.ask("GET", LIST, Prefer=f"fault={fault}")
        self.same(status, CUT if fault in ("reset", "truncated") else 200)
        if status == 200:
            self.same(value, None)

    def fault(self) -> None:
        """Inject a fault that refuses only the next request."""
        self.expect(200, "POST", "/__admin/faults", {"code": 429, "times": 1})
        self.expect(429, "GET", LIST)
        self.expect(200, "DELETE", "/__admin/faults")
        self.list()

    def mutant(self) -> None:
        """Apply a mutant that accepts a name twice, and remove it."""
        self.create()
        self.expect(200, "PUT", "/__admin/mutants", {"mutants": ["name-unique"]})
        taken = next(iter(self.known.values()))
        doubled = self.expect(200, "POST", LIST, integration(0) | {"name": taken})["id"]
        self.expect(200, "DELETE", f"{LIST}/{doubled}")
        self.expect(200, "PUT", "/__admin/mutants", {"mutants": []})
        self.expect(400, "POST", LIST, integration(0) | {"name": taken})

    def switch_scenario(self) -> None:
        scenario = self.rng.choice(["empty", "fresh", "one-of-each", "many:30"])
        self.expect(200, "PUT", "/__admin/scenario", {"scenario": scenario})
        found = self.expect(200, "GET", LIST)["integrations"]
        # Scanner V4 can neither be deleted nor change its type.
        self.known = {each["id"]: each["name"] for each in found}
        if any(each["type"] == "scannerv4" for each in found):
            self.expect(200, "PUT", "/__admin/scenario", {"scenario": "empty"})
            self.known = {}

    def journal(self) -> None:
        self.expect(200, "GET", "/__admin/requests?limit=5")
        self.expect(200, "GET", "/__admin/requests/count?status=4xx")

    def new_connection(self) -> None:
        self.connection.close()

    def same(self, got: object, known: object) -> None:
        """Check that two values are equal.

        Raises:
            WrongError: it is not.
        """
        if got != known:
            raise WrongError(f"got {got}, not {known}")


WEIGHTS: dict[Callable[[Client], None], int] = {
    Client.create: 20,
    Client.create_twice: 4,
    Client.get: 20,
    Client.list: 10,
    Client.update: 10,
    Client.delete: 10,
    Client.outside_the_contract: 2,
    Client.refused_on_demand: 3,
    Client.delayed_on_demand: 2,
    Client.spoilt_on_demand: 3,
    Client.fault: 2,
    Client.mutant: 1,
    Client.switch_scenario: 2,
    Client.journal: 2,
    Client.new_connection: 2,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.steady", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mutant", default="", help="apply this mutant from the start: the run has to notice it")
    parser.add_argument("--write", action="store_true", help="put the table into docs/reference/measurements.md")
    chosen = parser.parse_args()
    # A short journal is soon full.
    options = ["--journal", "100", *(["--mutant", chosen.mutant] if chosen.mutant else [])]
    with serving(QUIET, [*SUPPORTED[QUIET], *options], LIST) as server:
        samples, counts, wrong = run(server, chosen.minutes * 60, chosen.seed)
    problems = [*wrong, *levels(samples)]
    first, last = _level(samples, 1), _level(samples, 3)
    rows = [
        ("steps", f"{sum(counts.values()):,}"),
        *((name.replace("_", " "), f"{count:,}") for name, count in counts.most_common()),
        ("MiB in the second quarter, then in the last", f"{first.mebibytes:.1f}, {last.mebibytes:.1f}"),
        ("open files in the second quarter, then in the last", f"{first.files}, {last.files}"),
        ("answers that were not asked for", str(len(wrong))),
    ]
    text = table((f"a run of {chosen.minutes:g} minutes", "count"), rows)
    print(text)
    for each in problems:
        print(f"WRONG {each}")
    if chosen.write and not problems:
        write("steady", text)
    return 1 if problems else 0


def run(server: Process, seconds: float, seed: int) -> tuple[list[Sample], Counter[str], list[str]]:
    """Load a server; return samples, the numbers of actions, and errors."""
    until = time.monotonic() + seconds
    clients = [Client(server.port, number, random.Random(f"{seed} {number}")) for number in range(CLIENTS)]
    wrong: list[str] = []

    def work(client: Client) -> None:
        try:
            while time.monotonic() < until and not wrong:
                client.step()
        except Exception as error:  # noqa: BLE001  # reported with the others
            wrong.append(f"{type(error).__name__}: {error}")
        finally:
            client.connection.close()

    threads = [threading.Thread(target=work, args=(client,)) for client in clients]
    for each in threads:
        each.start()
    samples = []
    while any(each.is_alive() for each in threads):
        time.sleep(min(seconds / 40, 5))
        samples.append(Sample(server.memory(), server.descriptors()))
    return samples, sum((each.counts for each in clients), Counter()), wrong


def levels(samples: Sequence[Sample]) -> list[str]:
    """Return what grew between the second quarter of the run and the last; in the first, everything warms up."""
    first, last = _level(samples, 1), _level(samples, 3)
    found = []
    if last.mebibytes > first.mebibytes * (1 + SHARE_ALLOWED) + MIB_ALLOWED:
        found.append(f"memory grew from {first.mebibytes:.1f} to {last.mebibytes:.1f} MiB")
    if last.files > first.files + FILES_ALLOWED:
        found.append(f"open files grew from {first.files} to {last.files}")
    return found


def _level(samples: Sequence[Sample], quarter: int) -> Sample:
    size = max(len(samples) // 4, 1)
    part = samples[quarter * size : (quarter + 1) * size] or samples[-1:]
    return Sample(
        statistics.median(each.mebibytes for each in part), int(statistics.median(each.files for each in part))
    )


if __name__ == "__main__":
    sys.exit(main())
