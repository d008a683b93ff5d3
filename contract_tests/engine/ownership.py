"""Ownership: which integrations a run may write to.

A run owns the integrations that it created, as long as reads show them under a name of the run. The answer to
a create is no proof: a faulty server may answer with the id of somebody else's integration, or reuse an id after
a restart. So before a run writes to an id, the target must show that id under a name of the run.
"""

from __future__ import annotations

import datetime as dt
import re
import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from contract_tests.engine.ledger import Ledger, digest_of
from contract_tests.engine.options import NAME_PREFIX

OWN_ID = "create-answers-its-own"
"""The check that covers the id in the answer to a create."""
FOREIGN_ID = "the answer to a create has the id of something that the run did not create"
PROOF_LASTS = 10.0
"""Seconds for which a read proves ownership; after that, the server may have been replaced."""

_NAME = re.compile(rf"{NAME_PREFIX}-([0-9a-z]{{1,40}})-")
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.:~-]{0,199}")
"""Ids that every server reads in the same way in a path: without spaces, slashes, escapes or queries."""
_TIME = "%Y%m%d%H%M%S"


def new_run_id() -> str:
    """Return a new run id: the current time (UTC), which `age_of` reads, and six hexadecimal digits."""
    return f"{dt.datetime.now(dt.UTC):{_TIME}}{uuid.uuid4().hex[:6]}"


def run_of(name: Any) -> str | None:
    """Return the id of the run in the name of an integration, or None if there is none."""
    match = _NAME.match(name) if isinstance(name, str) else None
    return match[1] if match else None


def age_of(run: str) -> dt.timedelta | None:
    """Return how long ago a run began, or None if its id does not contain the time."""
    if not re.fullmatch(r"20[0-9]{12}[0-9a-f]{6}", run):
        return None
    try:
        began = dt.datetime.strptime(run[:14], _TIME).replace(tzinfo=dt.UTC)
    except ValueError:
        return None
    return max(dt.datetime.now(dt.UTC) - began, dt.timedelta())


class Ownership:
    """The integrations that one run owns, and the reads that prove it."""

    def __init__(self, run: str, ledger: Ledger) -> None:
        self.ledger = ledger
        self.prefix = f"{NAME_PREFIX}-{run}-"
        self.live: set[str] = set(ledger.left)
        """Ids of the run's integrations that are not deleted yet."""
        self.has_baseline = False
        """The list was read before the first create, so that older integrations are known."""
        self.refused: dict[str, Any] = {}
        """Ids from the answers to creates that belong to somebody else, with the name that a read showed."""
        self._foreign: set[str] = set(map(str.casefold, ledger.foreign))
        self._proofs: dict[str, float] = {}
        """Time of the last read of each id that showed a name of the run, or that found it missing afterwards."""
        self._read_kinds: dict[str, set[str]] = {}
        """Kinds of reads ("item", "list") that have shown each id under a name of the run."""
        self._gone: set[str] = set()
        self._foreign_names: dict[str, Any] = {}
        """Last name of each id that is not a name of the run."""
        self._located: set[str] = set()
        """Digests of names whose ids are known from reads."""
        self._lock = threading.Lock()

    def is_named(self, name: Any) -> bool:
        """Return whether a name contains the run's prefix, in any case, or was sent by a run with exact names."""
        if not isinstance(name, str):
            return False
        return digest_of(name) in self.ledger.names if self.ledger.exact else self.prefix in name.casefold()

    def is_foreign(self, id: str) -> bool:
        """Return whether an id existed before the run, or was shown under a name that is not the run's."""
        return id.casefold() in self._foreign

    def may_own(self, id: str) -> bool:
        """Return whether the run can own an id: it is not foreign, and safe in a path."""
        return not self.is_foreign(id) and _ID.fullmatch(id) is not None

    def owns(self, id: str) -> bool:
        """Return whether a create was answered with this id, and no read has contradicted it."""
        return id in self.ledger.ids

    def same_but_for_case(self, id: str) -> list[str]:
        """Return the run's ids that differ from `id` in case only; a lenient server may confuse them."""
        if self.owns(id):
            return []
        return [own for own in list(self.ledger.ids) if own.casefold() == id.casefold()]

    def is_name_without_id(self, name: Any) -> bool:
        """Return whether only the run can have sent this name, and it does not know the id of its integration."""
        if self.ledger.exact or not isinstance(name, str) or not self.is_named(name):
            return False
        digest, names = digest_of(name), self.ledger.names
        # A ledger has no names if the machine stopped before they were on disk.
        return (digest in names or not names) and digest not in self._located

    def is_contradicted(self) -> bool:
        """Return whether the target has shown a created integration under a name that is not the run's.

        Then its reads cannot prove ownership, even if two of them agree.
        """
        return bool(self.refused) or any(map(self.owns, list(self._foreign_names)))

    # -- learning from answers --------------------------------------------------------------------

    def record_baseline(self, ids: Iterable[str]) -> None:
        """Record the ids that exist before the first create."""
        foreign = list(ids)
        with self._lock:
            self.has_baseline = True
            self._foreign.update(map(str.casefold, foreign))
        self.ledger.record_foreign(foreign)

    def record_created(self, id: str) -> bool:
        """Record the id from the answer to a create; return False if the run cannot own it."""
        with self._lock:
            if not self.may_own(id):
                self.refused[id] = self._foreign_names.get(id, "an integration that was there before")
                return False
            if self.owns(id):  # a reused id: the server may have restarted
                self._proofs = dict.fromkeys(self._proofs, -PROOF_LASTS)
            self._gone.discard(id)
            self.live.add(id)
        self.ledger.record_created(id)
        return True

    def record_read(self, id: str, name: Any, *, kind: str = "item") -> None:
        """Record the name under which a read of this kind ("item" or "list") shows an id.

        A name that the run has not sent is no proof until both kinds of reads show it.
        """
        with self._lock:
            if self.is_named(name):
                if self.owns(id):
                    self._read_kinds.setdefault(id, set()).add(kind)
                    sent = not self.ledger.names or digest_of(name) in self.ledger.names
                    if not sent and len(self._read_kinds[id]) == 1:
                        return
                    self._proofs[id] = time.monotonic()
                    self._gone.discard(id)
                    self._located.add(digest_of(name))
                return
            self._proofs.pop(id, None)
            self._read_kinds.pop(id, None)
            self._foreign_names[id] = name
            if not self.owns(id):
                self._foreign.add(id.casefold())

    def expire_proofs(self, ids: Iterable[str] | None = None) -> None:
        """Require a new read of these ids (None: of all) before the next write to them.

        After a broken connection, another server may answer.
        """
        with self._lock:
            self._proofs |= dict.fromkeys(self._proofs if ids is None else self._proofs.keys() & set(ids), -PROOF_LASTS)

    def record_absent(self, id: str) -> None:
        """Record that a read did not find an id. If the run owned it, a write to it is harmless."""
        with self._lock:
            if id in self._proofs or id in self._gone:
                self._gone.add(id)
                self._proofs[id] = time.monotonic()

    def record_deleted(self, id: str) -> None:
        """Record that the target has confirmed a DELETE."""
        with self._lock:
            if id in self.live:
                self.live.remove(id)
                self._gone.add(id)
                self.ledger.record_deleted(id)

    # -- proofs before writes ---------------------------------------------------------------------

    def is_proven(self, id: str) -> bool:
        """Return whether a read within the last `PROOF_LASTS` seconds proves that the run owns an id."""
        return self.owns(id) and time.monotonic() - self._proofs.get(id, -PROOF_LASTS) < PROOF_LASTS

    def is_proven_since(self, id: str, moment: float) -> bool:
        """Return whether a read after `moment` (monotonic seconds) has proven an id."""
        return self._proofs.get(id, -PROOF_LASTS) > moment

    def count_unproven(self) -> int:
        """Return the number of live integrations that must be read before the next write to them."""
        return sum(not self.is_proven(id) for id in list(self.live))

    def foreign_name(self, id: str) -> Any:
        """Return the last name of an id that is not a name of the run, or None."""
        return self._foreign_names.get(id)

    def disown(self, id: str) -> None:
        """Stop owning an id that the target shows under a name of somebody else."""
        with self._lock:
            self.refused[id] = self._foreign_names.get(id)
            self._foreign.add(id.casefold())
            self.live.discard(id)
        self.ledger.disown(id)


def texts_in(value: Any, field: str) -> list[str]:
    """Return the values of `field` ("id" or "name") in the body of a write: at the top, and in `config`."""
    if not isinstance(value, Mapping):
        return []
    config = value.get("config")
    values = [value.get(field), config.get(field) if isinstance(config, Mapping) else None]
    return [text for text in values if isinstance(text, str) and text]
