"""Conversations: create, change, test, read and delete a few integrations, with many mistakes."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from contract_tests.differential.classes import Classes, comparable, shape, short, where
from contract_tests.differential.targets import Reply, Target
from contract_tests.engine.exchange import COLLECTION
from mock_server.contract import tables as contracts
from mock_server.contract.tables import Contract, Field, Message

MISSING = "00000000-0000-4000-8000-000000000000"
_ENDPOINTS = (
    "r.invalid", "https://r.invalid", "http://r.invalid:5000", "r.invalid/", "", "localhost", "127.0.0.1",
    "127.0.0.2:5000", "[::1]:443", "::1", "169.254.169.254", "metadata.google.internal", "LOCALHOST",
    "http://localhost", "https://http://localhost", "a b", "r.invalid:a", "r.invalid/%zz", "u:p@r.invalid",
    "r.invalid/ü", "?x", "#f", "//x", "bücher.invalid", "tcp://r.invalid", "r.invalid:", "r.invalid:99999", "[1.2.3.4]",
    "10.0.0.1", "x" * 300,
)  # fmt: skip
_TEXTS = ("", "a", "A", "ü", "a b", "******", "<&>", "\0", "\u2028", "null", "x" * 200)
_ACCOUNTS = (
    "", "{}", "not json", "******", '{"type":"service_account"}', '{"type":"x"}', '{"type":"authorized_user"}',
    '{"type":"service_account","private_key":"not-a-real-key"}',
    '{"type":"authorized_user","client_id":"i","client_secret":"s","refresh_token":"r","token_uri":"https://r.invalid/"}',
    '{"type":"external_account"}',
)  # fmt: skip
_NUMBERS = (0, 1, -1, 2**31 - 1, 2**31, 5.0, 5.5, "5", "5 6", "1e1", "", None, True)
_CATEGORIES = ("REGISTRY", "SCANNER", "NODE_SCANNER", 0, 1, 2, 7, "registry", "BOGUS", None)
_WRONG: tuple[Any, ...] = (None, True, 5, "x", [], {}, [None], {"a": 1})


class Step(NamedTuple):
    """A request of a conversation; `{0}` in it is the id of the first integration created."""

    operation: str
    method: str
    path: str
    body: Any

    def __str__(self) -> str:
        body = "" if self.body is None else f" {json.dumps(self.body, ensure_ascii=True)[:600]}"
        return f"{self.method} {self.path}{body}"


class Generator:
    """Draws conversations; equal seeds draw equal conversations."""

    def __init__(self, contract: Contract, seed: object, prefix: str) -> None:
        """`prefix` starts the name of every integration."""
        self.contract = contract
        self.random = random.Random(str(seed))
        self.prefix = prefix
        self.types = list(contract.types)

    def steps(self) -> list[Step]:
        """Draw one conversation."""
        names = [f"{self.prefix}{self.random.getrandbits(40):x}" for _ in range(3)]
        steps = [self._create(names)]
        steps += [self._step(names) for _ in range(self.random.randint(1, 5))]
        return steps

    def _step(self, names: Sequence[str]) -> Step:
        makers: tuple[Callable[[Sequence[str]], Step], ...] = (
            *(self._create, self._put, self._put, self._patch, self._patch, self._patch),
            *(self._test, self._test_updated, self._get, self._list, self._delete),
        )
        return self.random.choice(makers)(names)

    def _id(self) -> str:
        return self.random.choice(("{0}", "{0}", "{0}", "{0}", "{1}", MISSING, "a", "%00", "A%2DB"))

    def _create(self, names: Sequence[str]) -> Step:
        return Step("create", "POST", "", self._integration(names))

    def _put(self, names: Sequence[str]) -> Step:
        return Step("replace", "PUT", f"/{self._id()}", self._integration(names))

    def _patch(self, names: Sequence[str]) -> Step:
        return Step("update", "PATCH", f"/{self._id()}", self._update(names))

    def _test(self, names: Sequence[str]) -> Step:
        return Step("test", "POST", "/test", self._integration(names))

    def _test_updated(self, names: Sequence[str]) -> Step:
        body = self._update(names)
        if isinstance(body.get("config"), dict) and self.random.random() < 0.8:
            body["config"]["id"] = self._id()
        return Step("test updated", "POST", "/test/updated", body)

    def _get(self, _names: Sequence[str]) -> Step:
        return Step("get", "GET", f"/{self._id()}", None)

    def _delete(self, _names: Sequence[str]) -> Step:
        return Step("delete", "DELETE", f"/{self._id()}", None)

    def _list(self, names: Sequence[str]) -> Step:
        tail = self.random.choice(("", "&cluster=", "&cluster=x", "&name=x", "&x=1", "&%zz", "&a;b", "&pretty"))
        return Step("list", "GET", f"?name={self.random.choice(names)}{tail}", None)

    def _update(self, names: Sequence[str]) -> dict[str, Any]:
        body: dict[str, Any] = {"config": self._integration(names)}
        if self.random.random() < 0.7:
            body["updatePassword"] = self.random.choice((False, False, True))
        if self.random.random() < 0.03:
            body.pop("config")
        return body

    # -- bodies -------------------------------------------------------------------------------------

    def _integration(self, names: Sequence[str]) -> dict[str, Any]:
        """Draw an integration: mostly valid, with mistakes here and there."""
        type = self.random.choice(self.types)
        known = self.contract.types[type]
        body: dict[str, Any] = {
            "name": self.random.choice(names),
            "type": type,
            "categories": list(known.categories),
            known.member: self._config(self.contract.config_message(type)),
            "skipTestIntegration": self.random.random() < 0.8,
        }
        for _ in range(self.random.choice((0, 0, 0, 1, 1, 2))):
            self._spoil(body, names)
        return body

    def _config(self, message: Message) -> dict[str, Any]:
        return {field.name: self._value(field) for field in message.fields if self.random.random() < 0.75}

    def _value(self, field: Field) -> Any:
        if field.message is not None:
            return self.random.choice((None, self._config(field.message)))
        if field.kind == "bool":
            return self.random.random() < 0.3
        if field.kind == "int32":
            return self.random.choice((0, 1, 5, 30, *_NUMBERS[:2]))
        if field.kind == "timestamp":
            return self.random.choice(("2030-01-02T03:04:05Z", "2030-01-02T03:04:05.5+01:00", None))
        if field.name == "serviceAccount":
            return self.random.choice(_ACCOUNTS)
        if field.validate:
            return "r.invalid" if self.random.random() < 0.6 else self.random.choice(_ENDPOINTS)
        return self.random.choice(("u", "v", "p", "******", "", self.random.choice(_TEXTS)))

    def _spoil(self, body: dict[str, Any], names: Sequence[str]) -> None:
        """Change one thing in a way that Central may refuse.

        A name that may be accepted is one of this conversation, because others run at the same time.
        """
        name = self.random.choice(names)
        ways: tuple[Callable[[], Mapping[str, Any]], ...] = (
            lambda: {"name": self.random.choice(("", f" {name}", f"{name}\0b", f"{name}ü"))},
            lambda: {"type": self.random.choice(("", "Docker", "x", *self.types))},
            lambda: {"categories": [self.random.choice(_CATEGORIES) for _ in range(self.random.randint(0, 3))]},
            lambda: {"id": self.random.choice((MISSING, "{0}", "x"))},
            lambda: {self.random.choice(list(body)): self.random.choice(_WRONG)},
            lambda: {"clusterId": self.random.choice(_TEXTS), "autogenerated": True},
            lambda: {"source": {"clusterId": "c", "namespace": "n", "imagePullSecretName": "s"}},
            lambda: {"unknown": self.random.choice(_WRONG)},
            self._other_member,
        )
        body.update(self.random.choice(ways)())
        if body.get("name") == "x":
            body["name"] = f"{name}x"

    def _other_member(self) -> dict[str, Any]:
        field = self.random.choice(self.contract.integration.members)
        assert field.message is not None  # a config member is a message
        return {field.name: self.random.choice((None, {}, self._config(field.message)))}


class _Found(NamedTuple):
    at: int
    key: tuple[str, ...]
    answers: tuple[str, str]


def play(first: Target, second: Target, classes: Classes, seeds: Sequence[object], prefix: str) -> int:
    """Run the conversation of each seed; return the number of requests sent to each target."""
    contract = contracts.load()
    sent = 0
    for seed in seeds:
        steps = Generator(contract, seed, prefix).steps()
        sent += len(steps)
        found = _difference((first, second), steps, prefix)
        if found is not None:
            steps, found = _shortened((first, second), steps[: found.at + 1], found, prefix)
            classes.add(found.key, [str(step) for step in steps], found.answers)
    return sent


def _shortened(
    targets: tuple[Target, Target], steps: list[Step], found: _Found, prefix: str
) -> tuple[list[Step], _Found]:
    """Remove steps as long as the difference remains."""
    for index in range(len(steps) - 2, -1, -1):
        fewer = [*steps[:index], *steps[index + 1 :]]
        again = _difference(targets, fewer, prefix)
        if again is not None and again.key == found.key:
            steps, found = fewer[: again.at + 1], again
    return steps, found


def _difference(targets: tuple[Target, Target], steps: Sequence[Step], prefix: str) -> _Found | None:
    """Run a conversation up to the first difference; names of integrations begin with `prefix`."""
    ids: tuple[list[str], list[str]] = ([], [])
    try:
        for at, step in enumerate(steps):
            replies = [_ask(target, step, own) for target, own in zip(targets, ids, strict=True)]
            values = []
            for target, reply, own in zip(targets, replies, ids, strict=True):
                if step.operation == "create" and reply.status == 200 and isinstance(reply.json, dict):
                    id = str(reply.json.get("id"))
                    own.extend([id] if target.has(id, prefix) else [])
                values.append(comparable(reply, {id: f"{{{number}}}" for number, id in enumerate(own)}))
            if values[0] != values[1] or not replies[0].status:
                return _Found(at, _key(step, replies, values), (short(replies[0]), short(replies[1])))
    finally:
        for target, own in zip(targets, ids, strict=True):
            target.delete(own)
    return None


def _ask(target: Target, step: Step, ids: Sequence[str]) -> Reply:
    path, body = COLLECTION + step.path, step.body
    for number, id in enumerate([*ids, MISSING, MISSING][:2]):
        path = path.replace(f"{{{number}}}", id)
        if body is not None and f"{{{number}}}" in str(body):
            body = json.loads(json.dumps(body).replace(f"{{{number}}}", id))
    return target.ask(step.method, path, body)


def _key(step: Step, replies: Sequence[Reply], values: Sequence[Any]) -> tuple[str, ...]:
    statuses = f"{replies[0].status} / {replies[1].status}"
    shapes = [shape(reply) for reply in replies]
    if shapes[0] == shapes[1]:
        shapes[1] = f"differs at {where(values[0][2], values[1][2])}"
        if values[0][1] != values[1][1]:
            shapes[1] = f"headers differ at {where(values[0][1], values[1][1])}"
    return (step.operation, statuses, *shapes)
