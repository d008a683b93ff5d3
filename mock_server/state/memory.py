"""Integrations in the memory of this process."""

from __future__ import annotations

import copy
import random
import threading
import uuid
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from mock_server.central.integration import Integration
from mock_server.central.store import Store, Stored

MEMORY = "memory"
"""The setting `store` of stores in memory."""


class MemoryStore:
    """A store in the memory of this process."""

    def __init__(
        self,
        initial_state: Iterable[Integration],
        answer: Callable[[Integration], bytes],
        *,
        seed: int | None,
        shuffled: bool,
    ) -> None:
        """`answer` renders an integration for reads; `shuffled`: each list has another order."""
        self.lock = threading.RLock()
        self.changes = 0
        """Number of changes so far; a copy with a smaller number is outdated."""
        self.problem = ""
        """Why `--save` failed; empty if it did not."""
        self._answer = answer
        self._initial_state = self._rendered(initial_state)
        self._seed = seed
        self._shuffled = shuffled
        self.reset()

    def fork(self) -> MemoryStore:
        """Return another store with the same initial state; they share its rendered answers."""
        other = copy.copy(self)
        other.lock = threading.RLock()
        other.problem = ""
        other.reset()
        return other

    def bind(self, sandbox: str) -> None:
        """Do nothing: every sandbox has its own store in memory."""

    def adopt(self, other: Store) -> None:
        """Take over the integrations of another store of the same sandbox."""
        self.replace(other.integrations())

    def free(self) -> None:
        """Do nothing: garbage collection frees the state."""

    def reset(self) -> None:
        """Restore the initial state, and restart the seeded ids."""
        with self.lock:
            self._random: random.Random | None = None  # created with the first id, which many sandboxes never need
            self._replace(self._initial_state)

    def _rendered(self, integrations: Iterable[Integration]) -> tuple[Stored, ...]:
        return tuple(Stored(each, self._answer(each)) for each in integrations)

    def replace(self, integrations: Iterable[Integration]) -> None:
        """Replace all integrations with these; a reset still restores the initial state."""
        self._replace(self._rendered(integrations))

    def _replace(self, state: tuple[Stored, ...]) -> None:
        by_id = {each.integration["id"]: each for each in state}
        ids_by_name = {each.integration["name"]: each.integration["id"] for each in state}
        with self.lock:
            self._by_id = by_id
            self._ids_by_name = ids_by_name
            self._joined: bytes | None = None
            self.changes += 1

    def integrations(self) -> list[Integration]:
        """List the stored integrations, credentials in clear text, in the order of creation."""
        with self.lock:
            return [stored.integration for stored in self._by_id.values()]

    def new_id(self) -> str:
        """central/imageintegration/datastore/datastore_impl.go: a lower-case UUID of version 4."""
        with self.lock:
            self._random = self._random or random.Random(self._seed)
            while True:
                id = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
                if id not in self._by_id:  # the seed restarts while the state stays: --load, --reload, mutants
                    return id

    def get(self, id: str) -> Stored | None:
        """Return the integration with exactly this id; an id can be any text."""
        return self._by_id.get(id)

    def id_of_name(self, name: str) -> str | None:
        """Return the id of the integration with exactly this name."""
        return self._ids_by_name.get(name)

    def put(self, integration: Integration) -> Stored:
        """Store an integration under its id, replacing the previous one."""
        stored = Stored(integration, self._answer(integration))
        with self.lock:
            if integration["id"] in self._by_id:
                self._forget_name(integration["id"])
            self._by_id[integration["id"]] = stored
            self._ids_by_name[integration["name"]] = integration["id"]
            self._joined = None
            self.changes += 1
        return stored

    def remove(self, id: str) -> None:
        """Remove the integration with this id, if there is one."""
        with self.lock:
            self._forget_name(id)
            self._by_id.pop(id, None)
            self._joined = None
            self.changes += 1

    def _forget_name(self, id: str) -> None:
        old = self._by_id.get(id)
        if old is not None and self._ids_by_name.get(old.integration["name"]) == id:
            del self._ids_by_name[old.integration["name"]]

    def list_answer(self, ids: Iterable[str] | None = None) -> bytes:
        """Render the list of all integrations, or of those with the given ids."""
        if ids is not None:
            return joined(stored.answer for id in ids if (stored := self._by_id.get(id)))
        with self.lock:
            if self._shuffled:
                answers = [stored.answer for stored in self._by_id.values()]
                random.shuffle(answers)  # not the generator of the ids: a read must not change the next ids
                return joined(answers)
            if self._joined is None:
                self._joined = joined(stored.answer for stored in self._by_id.values())
            return self._joined

    def list_named(self, name: str) -> bytes:
        """Render the list of the integration with exactly this name."""
        with self.lock:  # during a write, name and integration may disagree
            id = self.id_of_name(name)
            return self.list_answer([id] if id else [])

    def __len__(self) -> int:
        return len(self._by_id)


def joined(answers: Iterable[bytes]) -> bytes:
    """Render a list from the answers of its integrations."""
    return b'{"integrations":[' + b",".join(answers) + b"]}"


def address(url: str) -> str:
    """Return the URL of a store without credentials and options."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
