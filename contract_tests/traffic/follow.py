"""A model of Central's store that follows along: it learns from every answer and says how sure it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from contract_tests.engine.integrations import Body, read_answer, with_masks
from contract_tests.oracle.model import Model
from mock_server.contract.tables import Contract

READ = "reads-repeat"
"""What a difference breaks where nothing was written since the last read."""


@dataclass(slots=True)
class Known:
    """What is known of one integration besides its content.

    `blame` is the check that a difference breaks, `at` the number of the last write that was known then, `first` when
    the answer came that showed it first. `created` is when the create was answered, None where it was not seen. `doubt`
    says why its content is not known.
    """

    blame: str
    at: int
    first: float
    created: float | None = None
    doubt: str = ""


@dataclass(slots=True)
class Follower:
    """The integrations as the next read must show them, as far as the traffic tells."""

    contract: Contract
    model: Model = field(init=False)
    known: dict[str, Known] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    """Ids whose DELETE was answered 200."""
    refused: set[str] = field(default_factory=set)
    """Names of creates that were refused when nobody had them, and that nobody has had since."""
    complete: bool = False
    """A list has shown everything, and whatever came since is known."""
    now: float = 0.0
    """When the answer came that is judged now."""
    changes: int = 0
    """How often something was learnt that was not known."""
    _writes: int = 0
    _last: str = READ

    def __post_init__(self) -> None:
        """Start without integrations."""
        self.model = Model(self.contract)

    # -- what is known ------------------------------------------------------------------------------

    def sure(self, id: str) -> Body | None:
        """Return what a read of an integration must show, None where that is not known."""
        known = self.known.get(id)
        return self.model.stored[id] if known is not None and not known.doubt else None

    def is_absent(self, id: str) -> bool:
        """Return whether there can be no integration of that id."""
        return id in self.gone or (self.complete and id not in self.known)

    def owner(self, name: str) -> str | None:
        """Return the id of the integration that surely has a name."""
        sure = (id for id, known in self.known.items() if not known.doubt)
        return next((id for id in sure if self.model.stored[id]["name"] == name), None)

    def is_free(self, name: str) -> bool:
        """Return whether surely nobody has a name."""
        doubted = any(known.doubt for known in self.known.values())
        return self.complete and not doubted and self.owner(name) is None

    def blame(self, id: str) -> str:
        """Return the check that is broken if an integration is not as it must be."""
        known = self.known[id]
        return known.blame if known.blame != READ or known.at == self._writes else self._last

    # -- what is learnt -----------------------------------------------------------------------------

    @property
    def state(self) -> tuple[int, bool]:
        """What is the same as long as nothing was learnt."""
        return self.changes, self.complete

    def wrote(self, check: str) -> None:
        """Note that something was written; `check` is the one that this must not touch others."""
        self._writes += 1
        self.changes += 1
        self._last = check

    def show(self, id: str, integration: Mapping[str, Any]) -> None:
        """Learn what a read shows."""
        known = self.known.get(id)
        if known is not None and not known.doubt and self.model.stored[id] == integration:
            if (known.blame, known.at) != (READ, self._writes):
                known.blame, known.at = READ, self._writes
                self.changes += 1
            return
        if not _is_whole(self.contract, integration):
            self.doubt(id, "the answer that showed it was not whole")
            return
        created = known.created if known else None
        self._store(id, with_masks(self.contract, dict(integration)))
        self.known[id] = Known(READ, self._writes, known.first if known else self.now, created)
        self._see_to_writers(id)

    def write(self, id: str, integration: Body, blame: str, created: float | None = None) -> None:
        """Learn what a create or an update has stored, as it was sent."""
        before = self.known.get(id)
        self._store(id, read_answer(self.contract, integration, id))
        first = before.first if before else self.now
        self.known[id] = Known(blame, self._writes, first, before.created if before and created is None else created)
        self._see_to_writers(id)
        ecr = integration.get("ecr")
        if ecr and ecr["authorizationData"]:
            self.known[id].doubt = "Central writes its time anew, and may erase it when it builds the client"

    def _see_to_writers(self, id: str) -> None:
        integration = self.model.stored[id]
        if integration.get("autogenerated") or integration.get("source"):
            self.known[id].doubt = "a secured cluster writes it, too"

    def doubt(self, id: str, why: str) -> None:
        """Forget what an integration holds; that it exists is not known, either."""
        known = self.known.setdefault(id, Known(READ, self._writes, self.now))
        known.doubt = why
        self.changes += 1
        self.gone.discard(id)

    def remove(self, id: str, *, deleted: bool) -> None:
        """Learn that an integration is not there (any more)."""
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
        """Yield the id and the content of each integration that a list of that name (or "") must hold."""
        for id in self.known:
            shown = self.sure(id)
            if shown is not None and name in ("", shown["name"]):
                yield id, shown


def _is_whole(contract: Contract, integration: Mapping[str, Any]) -> bool:
    needed = [each.name for each in contract.integration.fields if not each.oneof]
    return all(name in integration for name in needed) and isinstance(integration.get("categories"), list)
