"""A model of Central's store that learns from every answer, and knows what is uncertain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from contract_tests.engine.integrations import Body, read_answer, with_masks
from contract_tests.oracle.model import Model
from mock_server.contract.tables import Contract

READ = "reads-repeat"
"""The check that fails on a difference if nothing was written since the last read."""


@dataclass(slots=True)
class Known:
    """The history of an integration.

    `blame` is the check that fails on a difference. `at` is the number of writes seen when it was last read or written.
    `first` is the time of the first answer that showed it. `created` is the time at which the create was answered, None
    if that was not seen. `doubt` says why the content is unknown; empty if it is known.
    """

    blame: str
    at: int
    first: float
    created: float | None = None
    doubt: str = ""


@dataclass(slots=True)
class Follower:
    """The integrations that the next read must show, as far as the traffic determines them."""

    contract: Contract
    model: Model = field(init=False)
    known: dict[str, Known] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    """Ids whose DELETE was answered 200."""
    refused: set[str] = field(default_factory=set)
    """Names whose create was refused although no integration had them, and that no integration has had since."""
    complete: bool = False
    """Whether a list has shown every integration, and all later writes are known."""
    now: float = 0.0
    """Time of the answer that is being judged."""
    changes: int = 0
    """Number of changes to the model."""
    _writes: int = 0
    _last: str = READ

    def __post_init__(self) -> None:
        """Start without integrations."""
        self.model = Model(self.contract)

    # -- queries ------------------------------------------------------------------------------------

    def sure(self, id: str) -> Body | None:
        """Return the integration that a read must show, or None if it is unknown."""
        known = self.known.get(id)
        return self.model.stored[id] if known is not None and not known.doubt else None

    def is_absent(self, id: str) -> bool:
        """Return whether no integration with this id can exist."""
        return id in self.gone or (self.complete and id not in self.known)

    def owner(self, name: str) -> str | None:
        """Return the id of the integration that certainly has this name, or None."""
        sure = (id for id, known in self.known.items() if not known.doubt)
        return next((id for id in sure if self.model.stored[id]["name"] == name), None)

    def is_free(self, name: str) -> bool:
        """Return whether certainly no integration has this name."""
        doubted = any(known.doubt for known in self.known.values())
        return self.complete and not doubted and self.owner(name) is None

    def blame(self, id: str) -> str:
        """Return the check that fails if a read does not show the expected integration."""
        known = self.known[id]
        return known.blame if known.blame != READ or known.at == self._writes else self._last

    # -- updates ------------------------------------------------------------------------------------

    @property
    def state(self) -> tuple[int, bool]:
        """A value that changes whenever the model learns something."""
        return self.changes, self.complete

    def wrote(self, check: str) -> None:
        """Count a write; `check` fails if it changed other integrations."""
        self._writes += 1
        self.changes += 1
        self._last = check

    def show(self, id: str, integration: Mapping[str, Any]) -> None:
        """Learn from an integration that a read shows."""
        known = self.known.get(id)
        if known is not None and not known.doubt and self.model.stored[id] == integration:
            if (known.blame, known.at) != (READ, self._writes):
                known.blame, known.at = READ, self._writes
                self.changes += 1
            return
        if not _is_whole(self.contract, integration):
            self.doubt(id, "the answer that showed it was incomplete")
            return
        created = known.created if known else None
        self._store(id, with_masks(self.contract, dict(integration)))
        self.known[id] = Known(READ, self._writes, known.first if known else self.now, created)
        self._doubt_other_writers(id)

    def write(self, id: str, integration: Body, blame: str, created: float | None = None) -> None:
        """Learn from a create or an update that succeeded."""
        before = self.known.get(id)
        self._store(id, read_answer(self.contract, integration, id))
        first = before.first if before else self.now
        self.known[id] = Known(blame, self._writes, first, before.created if before and created is None else created)
        self._doubt_other_writers(id)
        ecr = integration.get("ecr")
        if ecr and ecr["authorizationData"]:
            self.known[id].doubt = "Central rewrites its time, and may erase it when it builds the client"

    def _doubt_other_writers(self, id: str) -> None:
        integration = self.model.stored[id]
        if integration.get("autogenerated") or integration.get("source"):
            self.known[id].doubt = "a secured cluster also writes it"

    def doubt(self, id: str, why: str) -> None:
        """Mark an integration as unknown: its content, and whether it exists."""
        known = self.known.setdefault(id, Known(READ, self._writes, self.now))
        known.doubt = why
        self.changes += 1
        self.gone.discard(id)

    def remove(self, id: str, *, deleted: bool) -> None:
        """Learn that an integration does not exist (any more)."""
        self.changes += 1
        self.known.pop(id, None)
        self.model.stored.pop(id, None)
        if deleted:
            self.gone.add(id)

    def _store(self, id: str, integration: Body) -> None:
        self.changes += 1
        self.model.stored[id] = integration
        self.gone.discard(id)
        self.refused.discard(integration["name"])

    def expected(self, name: str) -> Iterator[tuple[str, Body]]:
        """Yield id and content of each integration that a list filtered by this name ("": unfiltered) must hold."""
        for id in self.known:
            shown = self.sure(id)
            if shown is not None and name in ("", shown["name"]):
                yield id, shown


def _is_whole(contract: Contract, integration: Mapping[str, Any]) -> bool:
    needed = [each.name for each in contract.integration.fields if not each.oneof]
    return all(name in integration for name in needed) and isinstance(integration.get("categories"), list)
