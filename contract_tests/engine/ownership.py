"""Whose an integration is. A run owns what it created, and only as long as reads show it under the run's name.

An answer of the target proves nothing by itself: a server may answer a create with the id of somebody's
integration, and give an id again after a restart. So before a run writes to an id, the target has to show it
under the run's name.
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

ITS_OWN = "create-answers-its-own"
"""The check that fails when the answer to a create has the id of something else."""
NOT_ITS_OWN = "the answer to a create has the id of something that the run did not create"
PROOF_LASTS = 10.0
"""Seconds after which an id is read again before the next write: a server may have been replaced meanwhile."""

_NAME = re.compile(rf"{NAME_PREFIX}-([0-9a-z]{{1,40}})-")
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.:~-]{0,199}")
"""Ids that are the same however a path is read: no blank, slash, escape or query is in them."""
_TIME = "%Y%m%d%H%M%S"


def new_run_id() -> str:
    """Return an id for a run: the time of its start (UTC), which tells the age of what it leaves, and six digits."""
    return f"{dt.datetime.now(dt.UTC):{_TIME}}{uuid.uuid4().hex[:6]}"


def run_of(name: Any) -> str | None:
    """Return the id of the run that an integration is named after, None where it is of no run."""
    found = _NAME.match(name) if isinstance(name, str) else None
    return found[1] if found else None


def age_of(run: str) -> dt.timedelta | None:
    """Return how long ago a run began, None where its id does not tell."""
    if not re.fullmatch(r"20[0-9]{12}[0-9a-f]{6}", run):
        return None
    try:
        began = dt.datetime.strptime(run[:14], _TIME).replace(tzinfo=dt.UTC)
    except ValueError:
        return None
    return max(dt.datetime.now(dt.UTC) - began, dt.timedelta())


class Ownership:
    """What one run owns."""

    def __init__(self, run: str, ledger: Ledger) -> None:
        self.ledger = ledger
        self.prefix = f"{NAME_PREFIX}-{run}-"
        self.live: set[str] = set(ledger.left)
        """Ids of the run's integrations that were created and not yet deleted."""
        self.knows_before = False
        """The list was read before the first create."""
        self.refused: dict[str, Any] = {}
        """Ids that creates were answered with and that are not the run's, with what was seen of each."""
        self._foreign: set[str] = set(map(str.casefold, ledger.foreign))
        self._proofs: dict[str, float] = {}
        """By id when it was last read under the run's name, or found missing after that."""
        self._shown: dict[str, set[str]] = {}
        """By id the kinds of reads that have shown it under a name of the run."""
        self._gone: set[str] = set()
        self._last_seen: dict[str, Any] = {}
        self._found: set[str] = set()
        """Digests of names under which what a create was answered with was read."""
        self._lock = threading.Lock()

    def is_named(self, name: Any) -> bool:
        """Return whether a name is one of the run's, also if the target has changed it."""
        return isinstance(name, str) and self.prefix in name.casefold()

    def is_foreign(self, id: str) -> bool:
        """Return whether an id was there before the run, or was shown under a name that is not the run's."""
        return id.casefold() in self._foreign

    def may_own(self, id: str) -> bool:
        """Return whether an id can be that of something new."""
        return not self.is_foreign(id) and _ID.fullmatch(id) is not None

    def owns(self, id: str) -> bool:
        """Return whether a create was answered with this id, and nothing speaks against it."""
        return id in self.ledger.ids

    def alike(self, id: str) -> list[str]:
        """Return the run's ids that differ from an id in capitals only: a server may take it for one of them."""
        if self.owns(id):
            return []
        return [own for own in list(self.ledger.ids) if own.casefold() == id.casefold()]

    def is_missed(self, name: Any) -> bool:
        """Return whether the run has sent a name, and does not know under which id it is stored."""
        if not isinstance(name, str) or not self.is_named(name):
            return False
        digest, names = digest_of(name), self.ledger.names
        # A ledger without names is of a run whose machine stopped before they were on disk.
        return (digest in names or not names) and digest not in self._found

    def is_contradicted(self) -> bool:
        """Return whether the target has shown what it answered a create with under a name that is not the run's.

        Then its reads do not tell whose an integration is, even where two of them agree.
        """
        return bool(self.refused) or any(map(self.owns, list(self._last_seen)))

    # -- what answers tell ------------------------------------------------------------------------

    def existed(self, ids: Iterable[str]) -> None:
        """Note what was there before the first create."""
        found = list(ids)
        with self._lock:
            self.knows_before = True
            self._foreign.update(map(str.casefold, found))
        self.ledger.existed(found)

    def answered(self, id: str) -> bool:
        """Note the id that a create was answered with; False if it cannot be the new integration's."""
        with self._lock:
            if not self.may_own(id):
                self.refused[id] = self._last_seen.get(id, "an integration that was there before")
                return False
            if self.owns(id):  # given again: the server may have started again
                self._proofs = dict.fromkeys(self._proofs, -PROOF_LASTS)
            self._gone.discard(id)
            self.live.add(id)
        self.ledger.created(id)
        return True

    def saw(self, id: str, name: Any, *, by: str = "item") -> None:
        """Note the name under which a read shows an id.

        A name that the run has not sent proves nothing until a read of the item and a list agree.
        """
        with self._lock:
            if self.is_named(name):
                if self.owns(id):
                    self._shown.setdefault(id, set()).add(by)
                    sent = not self.ledger.names or digest_of(name) in self.ledger.names
                    if not sent and len(self._shown[id]) == 1:
                        return
                    self._proofs[id] = time.monotonic()
                    self._gone.discard(id)
                    self._found.add(digest_of(name))
                return
            self._proofs.pop(id, None)
            self._shown.pop(id, None)
            self._last_seen[id] = name
            if not self.owns(id):
                self._foreign.add(id.casefold())

    def doubt(self, ids: Iterable[str] | None = None) -> None:
        """Let these ids, or all, be proven no more: where a connection broke another server may answer now."""
        with self._lock:
            self._proofs |= dict.fromkeys(self._proofs if ids is None else self._proofs.keys() & set(ids), -PROOF_LASTS)

    def is_absent(self, id: str) -> None:
        """Note that a read did not find an id: once it was proven to be the run's, a write to it changes nothing."""
        with self._lock:
            if id in self._proofs or id in self._gone:
                self._gone.add(id)
                self._proofs[id] = time.monotonic()

    def deleted(self, id: str) -> None:
        """Note that a DELETE was answered as done."""
        with self._lock:
            if id in self.live:
                self.live.remove(id)
                self._gone.add(id)
                self.ledger.gone(id)

    # -- whether to write -------------------------------------------------------------------------

    def is_proven(self, id: str) -> bool:
        """Return whether the target has shown an id under the run's name a moment ago."""
        return self.owns(id) and time.monotonic() - self._proofs.get(id, -PROOF_LASTS) < PROOF_LASTS

    def unproven(self) -> int:
        """Count what the run has created and would have to read before it writes to it."""
        return sum(not self.is_proven(id) for id in list(self.live))

    def name_shown(self, id: str) -> Any:
        """Return the last name under which an id was shown that was not the run's, None where there was none."""
        return self._last_seen.get(id)

    def refuse(self, id: str) -> None:
        """Disown an id that the target shows under a name which is not the run's."""
        with self._lock:
            self.refused[id] = self._last_seen.get(id)
            self._foreign.add(id.casefold())
            self.live.discard(id)
        self.ledger.disowned(id)


def texts_in(value: Any, field: str) -> list[str]:
    """Return the id or the name in the body of a write: of an integration, or of one inside an update."""
    if not isinstance(value, Mapping):
        return []
    config = value.get("config")
    found = [value.get(field), config.get(field) if isinstance(config, Mapping) else None]
    return [text for text in found if isinstance(text, str) and text]
