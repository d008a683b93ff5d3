"""Shared parts of the tests: an app without a socket, integrations, and servers of stores."""

import gc
import itertools
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import cache, partial
from typing import Any, NamedTuple

import hypothesis
import pytest
from hypothesis import strategies as st

from mock_server import Settings, create_app
from mock_server.contract import tables as contracts
from mock_server.contract.tables import Contract, Field, Message
from mock_server.state.memory import MEMORY
from mock_server.tests.redis_server import PROGRAMS, RedisServer, missing
from mock_server.web import wsgi

PATH = "/v1/imageintegrations"
IMPATIENT_SECONDS = 0.5
"""How long a test waits for the answer of a server that gives none."""


# The first example includes imports and compiling, so it would exceed a deadline.
hypothesis.settings.register_profile("mock-central", deadline=None)
hypothesis.settings.register_profile("fast", deadline=None, max_examples=20)
# Shrinking takes time, and mutation tests only need to know whether a test fails.
hypothesis.settings.register_profile(
    "mutants",
    deadline=None,
    derandomize=True,
    max_examples=20,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
hypothesis.settings.load_profile("mock-central")


def pytest_collection_finish() -> None:
    """Exclude the collected tests from garbage collection: visiting thousands of them takes a tenth of the CPU."""
    gc.collect()
    gc.freeze()


def more_examples(times: int) -> hypothesis.settings:
    """Draw this many times as many examples as the profile says."""
    return hypothesis.settings(max_examples=times * hypothesis.settings.default.max_examples)


# -- asking ------------------------------------------------------------------------------------------


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    """By lower-case names."""
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return self.json["message"]

    @property
    def rule(self) -> str | None:
        return self.headers.get("mock-central-rule")


def ask(
    app: Callable[..., Any],
    method: str,
    target: str,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send a request to a WSGI app as an HTTP server does; a body that is not bytes is sent as JSON."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    typed = {} if body is None else {"Content-Type": "application/json"}
    return Answer(*wsgi.ask(canonical(app), wsgi.environ(method, target, raw, {**typed, **(headers or {})})))


def canonical(app: Callable[..., Any]) -> Callable[..., Any]:
    """Check that the header names of every answer are written as Go writes them."""

    def answer(environ: Any, start_response: Callable[..., Any]) -> Any:
        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            names = {name for name, _ in headers} - {"WWW-Authenticate", "ETag"}
            assert names == {"-".join(part.capitalize() for part in name.split("-")) for name in names}
            return start_response(status, headers, *error)

        return app(environ, start)

    return answer


class Api:
    """One Central in this process."""

    store = MEMORY
    """Where each keeps its integrations, apart from every other."""
    pages = False
    """Whether each has control calls, console and companions, too; these take most of the time to make."""
    _numbers = itertools.count()

    def __init__(self, **settings: Any) -> None:
        kept = {"store": self.store}
        if self.store != MEMORY:
            kept["store_prefix"] = f"test-{os.getpid()}-{next(self._numbers)}"
        usual = {"fatal_answers": True, "control": self.pages, "companions": self.pages}
        self.app = create_app(Settings(**usual | kept | settings))
        self.central = self.app.central

    def ask(self, method: str, rest: str = "", body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        return ask(self.app, method, PATH + rest, body, headers)

    def list(self, query: str = "") -> list[dict[str, Any]]:
        return self.ask("GET", query).json["integrations"]

    def get(self, id: str) -> Answer:
        return self.ask("GET", f"/{id}")

    def create(self, integration: Mapping[str, Any]) -> Answer:
        return self.ask("POST", "", integration)

    def created(self, integration: Mapping[str, Any]) -> str:
        """Create an integration and return its id."""
        answer = self.create(integration)
        assert answer.status == 200, answer
        return answer.json["id"]

    def put(self, id: str, integration: Mapping[str, Any]) -> Answer:
        return self.ask("PUT", f"/{id}", integration)

    def patch(self, id: str, config: Mapping[str, Any], *, update_password: bool = False) -> Answer:
        return self.ask("PATCH", f"/{id}", {"config": config, "updatePassword": update_password})

    def delete(self, id: str) -> Answer:
        return self.ask("DELETE", f"/{id}")

    def test(self, integration: Mapping[str, Any]) -> Answer:
        return self.ask("POST", "/test", integration)

    def test_updated(self, config: Mapping[str, Any], *, update_password: bool = False) -> Answer:
        return self.ask("POST", "/test/updated", {"config": config, "updatePassword": update_password})

    def stored(self, id: str) -> Mapping[str, Any]:
        """Return the stored integration, credentials in clear text."""
        found = self.central.store.get(id)
        assert found is not None
        return found.integration


@pytest.fixture(scope="session")
def contract() -> Contract:
    return contracts.load()


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make control calls, console and companions part of each `Api` of a test."""
    monkeypatch.setattr(Api, "pages", True)


@pytest.fixture(params=("fast", "full"), scope="module")
def validation(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[str], RedisServer]]:
    """Return a function that starts a server of a kind; tests that do not change it share one of each."""
    with ExitStack() as stack:
        yield cache(lambda kind: stack.enter_context(RedisServer(kind=kind)))


def served(*params: str) -> list[Any]:
    """Return parameters that are marked because each starts a server."""
    return [pytest.param(each, marks=pytest.mark.served) for each in params]


@pytest.fixture(params=served(*PROGRAMS) or [pytest.param("redis", marks=pytest.mark.skip(missing()))])
def kind(request: pytest.FixtureRequest) -> str:
    """Run a test with each installed kind of server."""
    return request.param


@pytest.fixture
def redis_server(kind: str, servers: Callable[[str], RedisServer]) -> RedisServer:
    return servers(kind)


@pytest.fixture
def own_server(kind: str) -> Callable[..., RedisServer]:
    """Return a function that starts a server for one test."""
    return partial(RedisServer, kind=kind)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the timeouts for servers and dead replicas."""
    monkeypatch.setattr("mock_server.state.redis_connection.ANSWER_SECONDS", IMPATIENT_SECONDS)
    monkeypatch.setattr("mock_server.state.redis_connection.PAUSE_SECONDS", 0.2)
    monkeypatch.setattr("mock_server.state.redis_store.LOCK_SECONDS", 0.5)


@pytest.fixture(params=[MEMORY, *served(*PROGRAMS)])
def every_store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test with each kind of store."""
    if request.param != MEMORY:
        monkeypatch.setattr(Api, "store", request.getfixturevalue("servers")(request.param).url)


@pytest.fixture
def replica(redis_server):
    """Return a function that makes replicas of one deployment."""
    prefix = f"test-{uuid.uuid4()}"

    def made(**settings):
        return Api(**{"store": redis_server.url, "store_prefix": prefix} | settings)

    return made


# -- integrations ------------------------------------------------------------------------------------


def example(type: str, /, **changes: Any) -> dict[str, Any]:
    """Return the contract's example of a type with some fields changed; its test is skipped."""
    value = contracts.load().document["components"]["examples"][f"{type}-request"]["value"]
    return {**json.loads(json.dumps(value)), **changes}


def docker(**changes: Any) -> dict[str, Any]:
    return example("docker", **changes)


def fields(message: Message, *path: Field) -> Iterator[tuple[Field, ...]]:
    """Return the path of each field of a message, including nested ones."""
    for field in message.fields:
        yield (*path, field)
        if field.message is not None:
            yield from fields(field.message, *path, field)


def names(path: tuple[Field, ...]) -> str:
    """Return a path of fields as a test id."""
    return ".".join(field.name for field in path)


def changed(value: Mapping[str, Any], path: tuple[str, ...], new: Any) -> dict[str, Any]:
    """Copy a message with one field, at any depth, set."""
    first, *rest = path
    inner = changed(value.get(first) or {}, tuple(rest), new) if rest else new
    return {**value, first: inner}


_TIMES = st.datetimes().map(lambda moment: f"{moment:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + "Z")
_SCALARS = {
    "string": st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    "bool": st.booleans(),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "enum": st.sampled_from(list(contracts.load().categories)),
    "timestamp": _TIMES,
}


def messages(message: Message, *, required: tuple[str, ...] = ()) -> st.SearchStrategy[dict[str, Any]]:
    """Generate conforming messages, some of them sparse, with at most one config member."""
    plain = {field.name: _value(field) for field in message.fields if not field.oneof}
    optional = {name: strategy for name, strategy in plain.items() if name not in required}
    whole = st.fixed_dictionaries({name: plain[name] for name in required}, optional=optional)
    members = [
        messages(field.message).map(lambda value, name=field.name: {name: value})
        for field in message.members
        if field.message
    ]
    if not members:
        return whole
    return st.builds(lambda value, member: value | member, whole, st.one_of(st.just({}), *members))


def _value(field: Field) -> st.SearchStrategy[Any]:
    if field.repeated:
        return st.lists(_SCALARS[field.kind], max_size=3)
    if field.message is None:
        nullable = field.kind == "timestamp"
        return st.none() | _SCALARS[field.kind] if nullable else _SCALARS[field.kind]
    if field.name == "config":
        return messages(field.message, required=("name", "type", "categories"))
    return st.none() | messages(field.message)


integrations = messages(contracts.load().integration, required=("name", "type", "categories"))
"""Integrations that the contract promises."""

updates = messages(contracts.load().message("V1UpdateImageIntegrationRequest"), required=("config",))
"""Bodies of PATCH and test/updated that the contract promises."""
