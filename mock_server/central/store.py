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
    """The integrations of one sandbox by id, with unique names. Reading one takes no lock; writing and listing do.

    A caller that checks before it writes holds `lock` for both. Stored integrations are never changed in place, so
    callers can keep them.
    """

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """Re-entrant write lock."""

    @property
    def changes(self) -> int:
        """Number of changes so far; a copy with a smaller number is outdated."""

    problem: str
    """Why the state may be lost, such as a failed save; otherwise empty."""

    def fork(self) -> Store:
        """Return a store for another sandbox, with the same initial state."""

    def bind(self, sandbox: str) -> None:
        """Use the state of the sandbox with this name."""

    def adopt(self, other: Store) -> None:
        """Take over the integrations of another store of the same sandbox."""

    def free(self) -> None:
        """Delete the state of a sandbox that is no longer used."""

    def reset(self) -> None:
        """Restore the initial state, and restart the seeded ids."""

    def replace(self, integrations: Iterable[Integration]) -> None:
        """Replace all integrations with these; a reset still restores the initial state."""

    def integrations(self) -> list[Integration]:
        """List the stored integrations, credentials in clear text, in the order of creation."""

    def new_id(self) -> str:
        """central/imageintegration/datastore/datastore_impl.go: a lower-case UUID of version 4."""

    def get(self, id: str) -> Stored | None:
        """Return the integration with exactly this id; an id can be any text."""

    def id_of_name(self, name: str) -> str | None:
        """Return the id of the integration with exactly this name."""

    def put(self, integration: Integration) -> Stored:
        """Store an integration under its id, replacing the previous one."""

    def remove(self, id: str) -> None:
        """Remove the integration with this id, if there is one."""

    def list_answer(self, ids: Iterable[str] | None = None) -> bytes:
        """Render the list of all integrations, or of those with the given ids."""

    def list_named(self, name: str) -> bytes:
        """Render the list of the integration with exactly this name, consistent even during a write."""

    def __len__(self) -> int: ...
