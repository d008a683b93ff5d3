"""Servers that lie about ids but know the truth: who owns each integration.

A target plays the mock, and a user beside the harness who creates and deletes integrations. It tells the harness
lies, and notes every write of the harness that would have reached something that is not the harness's.
"""

from __future__ import annotations

import json
import random
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import unquote

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from contract_tests.engine.exchange import COLLECTION
from contract_tests.engine.options import NAME_PREFIX
from mock_server.settings import Settings
from mock_server.web import wsgi
from mock_server.web.app import create_app

WRITES = ("PUT", "PATCH", "DELETE")
Json = dict[str, Any]
Lie = Callable[["Target", "Asked", wsgi.Answer], wsgi.Answer]


class Asked:
    """A request of the harness."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self.path: str = unquote(environ.get("RAW_URI", environ["PATH_INFO"]).partition("?")[0])
        self.body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))

    @property
    def is_create(self) -> bool:
        """Whether it is a POST to the collection."""
        return self.method == "POST" and self.path == COLLECTION

    @property
    def id(self) -> str:
        """The id in the path, or ""."""
        return self.path.removeprefix(f"{COLLECTION}/") if self.path.startswith(f"{COLLECTION}/") else ""


class Target:
    """The mock with a user besides the harness, and a lie. From request `since`, one in `often` answers is a lie."""

    def __init__(self, lie: Lie, *, seed: int = 0, since: int = 0, often: int = 1, user: bool = True) -> None:
        self.lie = lie
        self.draw = random.Random(seed)
        self.seed = seed
        self.since, self.often = since, often
        self.has_user = user
        self.requests = 0
        self.writes = 0
        self.lies = 0
        self.violations: list[str] = []
        """Writes of the harness to foreign integrations."""
        self.first: list[str] = []
        """Ids that existed before the harness started."""
        self.of_others: dict[str, Json] = {}
        """The user's integrations as created."""
        self.of_harness: dict[str, None] = {}
        self.cache: dict[str, wsgi.Answer] = {}
        self.generation = 0
        self._names = 0
        self._lock = threading.RLock()
        self.start()

    def start(self) -> None:
        """Start or restart the server: it forgets everything, and assigns the same ids again."""
        self.app = create_app(Settings(seed=self.seed, control=False))
        self.of_others = {each["id"]: each for each in self.stored()}
        self.first = list(self.of_others)
        self.of_harness.clear()
        for _ in range(3):
            self.user_creates()

    def restart_for_user(self) -> None:
        """Restart, break all connections, and give the harness's ids to a user."""
        self.generation += 1
        self.start()
        for _ in range(60):
            self.user_creates()

    # -- the truth --------------------------------------------------------------------------------

    def ask(self, method: str, path: str, value: Any = None) -> wsgi.Answer:
        """Ask the mock itself."""
        body = b"" if value is None else json.dumps(value).encode()
        return wsgi.ask(self.app, wsgi.environ(method, path, body, {"Accept": "application/json"}))

    def stored(self) -> list[Json]:
        """Return all integrations."""
        found: list[Json] = json.loads(self.ask("GET", COLLECTION).body)["integrations"]
        return found

    def user_creates(self) -> str:
        """Let the user create an integration."""
        self._names += 1
        body = {"name": f"user-{self._names}", "type": "docker", "categories": ["REGISTRY"],
                "docker": {"endpoint": "registry.example.com"}, "skipTestIntegration": True}  # fmt: skip
        id: str = json.loads(self.ask("POST", COLLECTION, body).body)["id"]
        self.of_others[id] = json.loads(self.ask("GET", f"{COLLECTION}/{id}").body)
        self.of_harness.pop(id, None)
        return id

    @property
    def foreign(self) -> set[str]:
        """Ids of existing integrations that the harness does not own."""
        return {each["id"] for each in self.stored()} - self.of_harness.keys()

    def damage(self) -> list[str]:
        """Return what the harness did to foreign integrations: writes, changes, losses."""
        there = {each["id"]: each for each in self.stored()}
        changed = [each["name"] for id, each in self.of_others.items() if there.get(id) != each]
        return [*self.violations, *(f"{name} is changed or gone" for name in changed)]

    def left(self) -> list[str]:
        """Return the names of the harness's leftovers."""
        return [each["name"] for each in self.stored() if each["id"] in self.of_harness]

    # -- answering --------------------------------------------------------------------------------

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        """Answer a request of the harness."""
        environ.pop("HTTP_ACCEPT_ENCODING", None)
        with self._lock:
            answer = self._answer(Asked(environ))
        headers = [(name, value) for name, value in answer.headers.items() if name != "content-length"]
        start_response(f"{answer.status} x", [*headers, ("Content-Length", str(len(answer.body)))])
        return [answer.body]

    def _answer(self, asked: Asked) -> wsgi.Answer:
        self.requests += 1
        if self.has_user and self.draw.random() < 0.05:
            self.user_creates()
        self._see_to_write(asked)
        asked.environ["wsgi.input"] = wsgi.environ(asked.method, "/", asked.body)["wsgi.input"]
        answer = wsgi.ask(self.app, asked.environ)
        if asked.is_create and answer.status == 200 and (id := json.loads(answer.body).get("id")):
            self.of_harness[id] = None
        if self.requests > self.since and self.draw.randrange(self.often) == 0:
            lied = self.lie(self, asked, answer)
            self.lies += lied is not answer
            return lied
        return answer

    def _see_to_write(self, asked: Asked) -> None:
        method = asked.environ.get("HTTP_X_HTTP_METHOD_OVERRIDE", asked.method).upper()
        is_write = method in WRITES or asked.method in WRITES
        self.writes += is_write
        foreign = {id.casefold() for id in self.foreign} if is_write else set()
        if asked.id.casefold() in foreign:
            self.violations.append(f"{asked.method} {asked.path} ({method})")


# -- lies --------------------------------------------------------------------------------------------


def _changed(answer: wsgi.Answer, change: Callable[[Json], Json]) -> wsgi.Answer:
    try:
        value = json.loads(answer.body)
    except ValueError:
        return answer
    return answer._replace(body=json.dumps(change(value)).encode()) if isinstance(value, dict) else answer


def honest(_target: Target, _asked: Asked, answer: wsgi.Answer) -> wsgi.Answer:
    """Tell the truth."""
    return answer


def creates_answer_first_ids(target: Target, asked: Asked, answer: wsgi.Answer) -> wsgi.Answer:
    """Answer a create with the id of an older integration."""
    if not asked.is_create or answer.status != 200:
        return answer
    return _changed(answer, lambda value: value | {"id": target.draw.choice(target.first)})


def creates_answer_user_ids(target: Target, asked: Asked, answer: wsgi.Answer) -> wsgi.Answer:
    """Answer a create with the id of an integration that a user has just created."""
    if not asked.is_create or answer.status != 200:
        return answer
    return _changed(answer, lambda value: value | {"id": target.user_creates()})


def creates_answer_paths(target: Target, asked: Asked, answer: wsgi.Answer) -> wsgi.Answer:
    """Answer a create with an id that leads to a foreign integration when used in a path."""
    id = target.draw.choice(target.first)
    odd = target.draw.choice(
        (f"x/../{id}", f"{id}?x=1", f"{id}#x", id.upper(), f"%{ord(id[0]):02x}{id[1:]}", f"./{id}")
    )
    return _changed(answer, lambda value: value | {"id": odd}) if asked.is_create and answer.status == 200 else answer


def lists_under_prefix(target: Target, asked: Asked, answer: wsgi.Answer) -> wsgi.Answer:
    """List foreign integrations with a name of the run."""
    run = _run_of(target)
    if asked.path != COLLECTION or asked.method != "GET" or run is None:
        return answer
    return _changed(answer, partial(_renamed, target, run))


def reads_under_prefix(target: Target, asked: Asked, answer: wsgi.Answer) -> wsgi.Answer:
    """Show older integrations in lists and reads with a name of the run."""
    run = _run_of(target)
    if asked.method != "GET" or not asked.path.startswith(COLLECTION) or run is None:
        return answer
    return _changed(answer, partial(_renamed, target, run, only=set(target.first)))


def reads_new_ones_under_prefix(target: Target, asked: Asked, answer: wsgi.Answer) -> wsgi.Answer:
    """Answer creates with an integration that a user has just created; reads, but not lists, show it as the run's."""
    run = _run_of(target)
    if asked.method == "GET" and asked.id in target.foreign and run is not None:
        return _changed(answer, lambda value: value | {"name": f"{run}mine"})
    return creates_answer_user_ids(target, asked, answer)


def _run_of(target: Target) -> str | None:
    names = [each["name"] for each in target.stored() if each["id"] in target.of_harness]
    found = re.match(rf"{NAME_PREFIX}-[0-9a-z]+-", names[-1].strip().lower()) if names else None
    return found[0] if found else None


def _renamed(target: Target, run: str, value: Json, only: set[str] | None = None) -> Json:
    def change(item: Json) -> Json:
        foreign = item.get("id") in (only if only is not None else target.foreign)
        return item | {"name": f"{run}create-{target.draw.randrange(99)}"} if foreign else item

    if isinstance(value.get("integrations"), list):
        return {"integrations": [change(item) for item in value["integrations"]]}
    return change(value)


def swaps_ids(target: Target, asked: Asked, answer: wsgi.Answer) -> wsgi.Answer:
    """Swap the ids of an integration of the harness and a foreign one in every read."""
    foreign = target.foreign
    if asked.method != "GET" or not target.of_harness or not foreign:
        return answer
    mine, other = next(reversed(target.of_harness)), min(foreign)
    swapped = {mine: other, other: mine}
    if asked.id in swapped:
        answer = target.ask("GET", f"{COLLECTION}/{swapped[asked.id]}")
    body = answer.body.decode()
    return answer._replace(body=re.sub(f"{mine}|{other}", lambda found: swapped[found[0]], body).encode())


def answers_from_cache(target: Target, asked: Asked, answer: wsgi.Answer) -> wsgi.Answer:
    """Answer reads and creates from a cache that ignores the request."""
    key = f"{asked.method} {asked.path if asked.method == 'GET' else COLLECTION}"
    if asked.method not in ("GET", "POST") or (asked.method == "POST" and not asked.is_create):
        return answer
    before = target.cache.get(key)
    if answer.status == 200 and target.draw.random() < 0.5:
        target.cache[key] = answer
    if asked.is_create and target.draw.random() < 0.3:
        created = target.ask("GET", f"{COLLECTION}/{target.user_creates()}")
        target.cache[key] = created
    return before or answer


def hides_reads(target: Target, asked: Asked, answer: wsgi.Answer) -> wsgi.Answer:
    """Answer creates with a foreign id, and reads of it with 404."""
    if asked.is_create and answer.status == 200:
        return _changed(answer, lambda value: value | {"id": target.user_creates()})
    missing = target.ask("GET", f"{COLLECTION}/00000000-0000-4000-8000-000000000000")
    return missing if asked.method == "GET" and asked.id in target.foreign else answer


def restarts(target: Target, asked: Asked, answer: wsgi.Answer) -> wsgi.Answer:
    """Restart with the ids of the first start, which a user then gets."""
    if asked.method == "GET" and target.draw.random() < 0.02:
        target.restart_for_user()
        return target.ask("GET", asked.path)
    return answer


def lists_a_page(_target: Target, asked: Asked, answer: wsgi.Answer) -> wsgi.Answer:
    """List only the first five integrations."""
    return _listing(asked, answer, lambda items: items[:5])


def lists_some(target: Target, asked: Asked, answer: wsgi.Answer) -> wsgi.Answer:
    """Sometimes omit integrations from lists, and reorder the others."""
    return _listing(asked, answer, lambda items: target.draw.sample(items, len(items) - len(items) // 4))


def _listing(asked: Asked, answer: wsgi.Answer, change: Callable[[list[Json]], list[Json]]) -> wsgi.Answer:
    if asked.method != "GET" or asked.path != COLLECTION or answer.status != 200:
        return answer
    return _changed(answer, lambda value: value | {"integrations": change(value["integrations"])})


def reads_another(target: Target, asked: Asked, answer: wsgi.Answer) -> wsgi.Answer:
    """Answer a read of the harness's integration with a foreign one, under either id."""
    if asked.method != "GET" or asked.id not in target.of_harness or answer.status != 200:
        return answer
    other = target.ask("GET", f"{COLLECTION}/{target.draw.choice(sorted(target.foreign))}")
    return target.draw.choice((other, _changed(other, lambda value: value | {"id": asked.id})))


def names_in_capitals(_target: Target, asked: Asked, answer: wsgi.Answer) -> wsgi.Answer:
    """Show every name in upper case."""
    if asked.method != "GET" or answer.status != 200:
        return answer

    def capitals(item: Json) -> Json:
        return item | {"name": item["name"].upper()} if "name" in item else item

    def change(value: Json) -> Json:
        return (
            {"integrations": [capitals(each) for each in value["integrations"]]}
            if asked.path == COLLECTION
            else (capitals(value))
        )

    return _changed(answer, change)


def ids_are_numbers(_target: Target, asked: Asked, answer: wsgi.Answer) -> wsgi.Answer:
    """Answer a create with a number or a list as the id."""
    if not asked.is_create or answer.status != 200:
        return answer
    return _changed(answer, lambda value: value | {"id": int(value["id"][0], 16) or [value["id"]]})


def redirects(target: Target, asked: Asked, answer: wsgi.Answer) -> wsgi.Answer:
    """Redirect a client to a foreign integration, with the same method and body."""
    if not asked.id:
        return answer
    there = f"{COLLECTION}/{target.draw.choice(target.first)}"
    return answer._replace(status=307, headers={**answer.headers, "Location": there}, body=b"{}")


LIES: dict[str, tuple[Lie, tuple[int, int]]] = {
    "honest": (honest, (1, 1)),
    "foreign ids": (creates_answer_first_ids, (1, 1)),
    "foreign ids, now and then": (creates_answer_first_ids, (60, 3)),
    "ids of new ones of a user": (creates_answer_user_ids, (1, 1)),
    "ids of new ones of a user, now and then": (creates_answer_user_ids, (60, 3)),
    "ids that are paths": (creates_answer_paths, (30, 5)),
    "lists foreign ones under the run's prefix": (lists_under_prefix, (30, 1)),
    "reads foreign ones under the run's prefix": (reads_under_prefix, (30, 2)),
    "reads new ones of a user under the run's prefix": (reads_new_ones_under_prefix, (1, 1)),
    "swaps two ids": (swaps_ids, (30, 2)),
    "swaps two ids, always": (swaps_ids, (1, 1)),
    "answers from a cache": (answers_from_cache, (60, 3)),
    "hides what it answers": (hides_reads, (60, 5)),
    "starts again": (restarts, (200, 1)),
    "lists a page": (lists_a_page, (1, 1)),
    "lists some": (lists_some, (30, 2)),
    "reads another for the one asked for": (reads_another, (30, 3)),
    "shows names in capitals": (names_in_capitals, (30, 1)),
    "numbers for ids": (ids_are_numbers, (30, 4)),
    "redirects to foreign ones": (redirects, (30, 4)),
}
"""The lies by name, each with the request that starts it and how often it is repeated."""


def target_of(name: str, seed: int) -> Target:
    """Return a target with this lie."""
    lie, (since, often) = LIES[name]
    draw = random.Random(seed)
    return Target(lie, seed=seed, since=draw.randrange(since) if since > 1 else 0, often=often)


@contextmanager
def answering(target: Target) -> Iterator[str]:
    """Serve a target on a free port while the block runs."""

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            """Remember the server of the connection."""
            super().setup()
            self.generation = target.generation

        def run_wsgi(self) -> None:
            """Answer, unless the server has restarted since the connection was opened."""
            if self.generation == target.generation:
                super().run_wsgi()
            self.close_connection = self.close_connection or self.generation != target.generation

        def log(self, *_: Any) -> None:
            """Say nothing."""

    with running(ThreadedWSGIServer("127.0.0.1", 0, target, Handler)) as url:
        yield url


@contextmanager
def running(server: ThreadedWSGIServer) -> Iterator[str]:
    """Run a server in a thread while the block runs; yield its URL."""
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
