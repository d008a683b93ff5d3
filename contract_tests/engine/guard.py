"""The guard in front of every write: a run changes only integrations that it owns."""

from __future__ import annotations

import posixpath
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote

from requests.structures import CaseInsensitiveDict

from contract_tests.engine.exchange import COLLECTION, Exchange, Reply, read_json
from contract_tests.engine.failures import CheckFailed, NoRoomError, OwnershipError
from contract_tests.engine.options import Options
from contract_tests.engine.ownership import FOREIGN_ID, OWN_ID, Ownership, texts_in

PROOF = "ownership"
"""In place of a check's id: reads that prove ownership."""
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")
_TEST_ROUTES = (f"{COLLECTION}/test", f"{COLLECTION}/test/updated")
_LONG_BODY = 1_000_000
"""Size in bytes of the smallest body that is not parsed."""


class WriteGuard:
    """Refuses requests that could change integrations which the run does not own.

    `send` sends a request of the guard itself, `exchanges` are those of the run, and `on_delete` is called after each
    confirmed DELETE.
    """

    def __init__(
        self,
        options: Options,
        ownership: Ownership,
        *,
        send: Callable[..., Reply],
        exchanges: Sequence[Exchange],
        on_delete: Callable[[], None],
    ) -> None:
        self.options = options
        self.ownership = ownership
        self.invented: set[str] = set()
        """Ids that the run made up and no integration has."""
        self.expendable: set[str] = set()
        """Ids of built-in integrations that the run may write to, because the target is disposable."""
        self.creations: dict[str, Exchange] = {}
        """Creates by the id in their answer."""
        self.has_lost_create = False
        """A create was answered without an id, so it may have created something."""
        self._send = send
        self._exchanges = exchanges
        self._on_delete = on_delete
        self._first_create = threading.Lock()

    # -- before a request -------------------------------------------------------------------------

    def check(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> list[str]:
        """Check that a request can change only the run's integrations; return the ids to `prove` before it is sent.

        A server may parse paths leniently, for example with doubled slashes or in another case, so such readings
        count, too. `headers` are all that will be sent, as one of them can change the method.

        Raises:
            OwnershipError: it could change something else, or the run may not write at all.
            NoRoomError: it would create more integrations than the run may have.
            CheckFailed: it names an id from a create that the target shows as somebody else's.
        """
        override = CaseInsensitiveDict(headers).get("X-HTTP-Method-Override", method)
        if {method.upper(), override.upper()} <= set(_SAFE_METHODS):
            return []
        request = f"{method} {path}"
        if not self.options.may_write:
            raise OwnershipError(f"{request}: writing to {self.options.base} was not allowed")
        encoded, _, query = path.partition("?")
        route = unquote(encoded)
        if route == COLLECTION and method == "POST":
            self._prepare_create()
        is_test = method.upper() == override.upper() == "POST" and route in _TEST_ROUTES
        written = set() if is_test else ids_written(path)
        for id in written - self.invented - self.expendable:
            if not self.ownership.owns(id):
                self._refuse(id, request)
        value = read_json(body) if len(body) < _LONG_BODY else None
        in_query = parse_qs(query)
        mentioned = {*written, *texts_in(value, "id"), *in_query.get("id", ()), *in_query.get("config.id", ())}
        for id in mentioned - self.expendable:
            if self.ownership.is_foreign(id):
                self._refuse(id, request)
        for name in texts_in(value, "name") if not is_test else ():
            self.ownership.ledger.record_name(name)
        variants = {own for id in mentioned for own in self.ownership.same_but_for_case(id)}
        self.ownership.expire_proofs(variants)  # a lenient server may apply the write to any of them
        return sorted(variants | {id for id in mentioned if self.ownership.owns(id)})

    def _prepare_create(self) -> None:
        """Read the list before the first create, because the integrations in it are not the run's."""
        if len(self.ownership.live) >= self.options.max_live:
            raise NoRoomError(f"more than {self.options.max_live} integrations of this run would exist")
        with self._first_create:
            if not self.ownership.has_baseline:
                self._send("GET", COLLECTION, check=PROOF)
                self.ownership.has_baseline = True  # even if the list failed: it is not read again

    def _refuse(self, id: str, request: str) -> None:
        if id not in self.ownership.refused:
            raise OwnershipError(f"{request}: integration {id!r} was not created by this run")
        raise CheckFailed(
            FOREIGN_ID,
            expected={"name": f"{self.ownership.prefix}…"},
            got={"id": id, "name": self.ownership.refused[id]},
            check=OWN_ID,
        )

    # -- proofs -----------------------------------------------------------------------------------

    def prove(self, ids: Iterable[str], check: str) -> None:
        """Read ids until the target shows them under a name of the run; one list may prove many.

        Raises:
            CheckFailed: the target does not show one of them, or shows it as somebody else's.
        """
        for id in ids:
            if not self.ownership.is_proven(id):
                self._prove(id, check)

    def prove_all(self) -> None:
        """Read the list if any proof has expired, so that the next writes need no reads of their own.

        Raises:
            CheckFailed: the list gives no answer.
        """
        if self.ownership.count_unproven():
            self._send("GET", COLLECTION, check=PROOF)

    def _prove(self, id: str, check: str) -> None:
        item = f"{COLLECTION}/{id}"
        first_read = len(self._exchanges)
        for path in (COLLECTION, item) if self.ownership.count_unproven() > 1 else (item, COLLECTION):
            self._send("GET", path, check=PROOF)
            if self.ownership.is_proven(id):
                return
        for exchange in self._exchanges[first_read:]:
            if exchange.check == PROOF and exchange.path in (COLLECTION, item):
                exchange.check = check  # so that the failure shows the reads that disprove ownership
        if self.ownership.foreign_name(id) is not None:
            self.ownership.disown(id)
            self._refuse(id, item)
        raise CheckFailed(
            "a created integration cannot be read, so the run does not write to it",
            expected={"id": id, "name": f"{self.ownership.prefix}…"},
            check="read-after-create",
        )

    def adopt(self, id: str, name: Any) -> bool:
        """Own an integration that the list shows under a name that the run has sent; return whether the run owns it.

        This finds integrations whose create was not answered. A read of the item must agree with the list. If the
        target's reads contradict its answers, the integration is not adopted but reported as left behind.
        """
        ownership = self.ownership
        if ownership.owns(id):
            return True
        if not ownership.may_own(id) or not ownership.is_name_without_id(name) or ownership.is_contradicted():
            return False
        read = self._send("GET", f"{COLLECTION}/{id}", check=PROOF)
        agrees = read.status == 200 and (str(read.object.get("id")), read.object.get("name")) == (id, name)
        return agrees and ownership.record_created(id)

    # -- after a request --------------------------------------------------------------------------

    def learn(self, exchange: Exchange, reply: Reply) -> None:
        """Record what an answer says about the ownership of integrations."""
        path, _, query = exchange.path.partition("?")
        method, id = exchange.method, _id_in(unquote(path))
        if method == "POST" and path == COLLECTION and not 300 <= reply.status < 500:
            created = reply.object.get("id")
            if reply.status < 300 and isinstance(created, str) and created:
                self.creations[created] = exchange
                self.ownership.record_created(created)
            else:
                self.has_lost_create = True
        elif method == "DELETE" and id and (reply.status < 300 or reply.status == 404):
            # Central answers 404 to the DELETE of a very new integration, and still deletes it.
            self.ownership.record_deleted(id)
            self._on_delete()
        elif method == "GET" and path == COLLECTION and reply.status == 200:
            self._learn_from_list(reply, is_filtered=bool(query))
        elif method == "GET" and id and exchange.role == "admin":
            if reply.status == 404:
                self.ownership.record_absent(id)
            elif reply.status == 200 and str(reply.object.get("id")) == id:
                self.ownership.record_read(id, reply.object.get("name"))

    def _learn_from_list(self, reply: Reply, *, is_filtered: bool) -> None:
        items = reply.integrations
        if not is_filtered and items is not None and not self.ownership.has_baseline:
            self.ownership.record_baseline(str(item.get("id")) for item in items)
        for item in items or ():
            self.ownership.record_read(str(item.get("id")), item.get("name"), kind="list")


def ids_written(path: str) -> set[str]:
    """Return the ids that a write to a path may change, as a strict or a lenient server reads it."""
    route = unquote(path.partition("?")[0])
    return {_id_in(route), _id_in(_normalised(route))} - {""}


def _id_in(route: str) -> str:
    """Return the id in a path, or "" if it has none."""
    return route.removeprefix(f"{COLLECTION}/") if route.startswith(f"{COLLECTION}/") else ""


def _normalised(route: str) -> str:
    """Return a path as a lenient server may read it.

    That is without doubled slashes and dots, without parameters (`;x`) before the id, and with the collection in lower
    case.
    """
    path = posixpath.normpath(re.sub(r"(?:;[^/\\]*)?[/\\]+", "/", route))
    return COLLECTION + path[len(COLLECTION) :] if path.casefold().startswith(COLLECTION) else path
