"""The store that Central's rules need, as a protocol; its implementations live in `mock_server.state`."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from mock_server.central.integration import Integration


class Stored(NamedTuple):
    """An integration and the bytes that reads of it answer."""

    integration: Integration
    answer: bytes


class Store(Protocol):
    """The integrations of one sandbox by id, names unique. A read of one takes no lock; writes and reads of more do.

    A caller that checks before it writes holds `lock` around both. What is stored is never
    changed in place, so a reader may keep what it got.
    """

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """What a caller holds from check to write; the thread that has it may take it again."""

    @property
    def changes(self) -> int:
        """A number that grows with each change: who keeps a copy sees by it that the copy is old."""

    problem: str
    """Why what is stored may be lost; empty where it is kept as it should be."""

    def fork(self) -> Store:
        """Return a store of another sandbox, with the same first state."""

    def bind(self, sandbox: str) -> None:
        """Use the state of the sandbox of this name from now on."""

    def adopt(self, other: Store) -> None:
        """Take over the integrations of another store of the same sandbox."""

    def free(self) -> None:
        """Forget the state: nobody goes on with this sandbox."""

    def reset(self) -> None:
        """Go back to the first state; seeded ids start again too."""

    def replace(self, integrations: Iterable[Integration]) -> None:
        """Replace all integrations with these; a reset still goes back to the first state."""

    def integrations(self) -> list[Integration]:
        """List the stored integrations, credentials in clear, in the order of creation."""

    def new_id(self) -> str:
        """central/imageintegration/datastore/datastore_impl.go: a lower-case UUID of version 4."""

    def get(self, id: str) -> Stored | None:
        """Return the integration with exactly this id; an id is no more than a text here."""

    def id_of_name(self, name: str) -> str | None:
        """Return the id of the integration with exactly this name."""

    def put(self, integration: Integration) -> Stored:
        """Store an integration under its id, in the place of the one that has it."""

    def remove(self, id: str) -> None:
        """Remove the integration with this id, if there is one."""

    def list_answer(self, ids: Iterable[str] | None = None) -> bytes:
        """Render the list of all integrations, or of those with the given ids."""

    def list_named(self, name: str) -> bytes:
        """Render the list of the integration with exactly this name, as it is at one moment."""

    def __len__(self) -> int: ...
