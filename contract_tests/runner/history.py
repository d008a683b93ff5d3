"""All requests that lead from an empty start to a broken answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from contract_tests.engine.exchange import COLLECTION, Exchange
from contract_tests.engine.failures import Failure
from contract_tests.engine.options import NAME_PREFIX
from contract_tests.engine.text import plain

_WRITES = ("POST", "PUT", "PATCH", "DELETE")


def created_id(exchange: Exchange) -> str | None:
    """Return the id of what a request created."""
    if exchange.method != "POST" or exchange.path.partition("?")[0] != COLLECTION:
        return None
    if not 200 <= exchange.status < 300:
        return None
    found = re.search(rb'"id": *"([^"\\]+)"', exchange.reply)
    return found[1].decode("utf-8", "replace") if found else None


class Log:
    """All that a run has sent, by what it created."""

    def __init__(self, exchanges: Iterable[Exchange], run: str) -> None:
        self._exchanges = list(exchanges)
        self._created = {id: each for each in self._exchanges if (id := created_id(each)) is not None}
        self._of_run = re.compile(rf"(?:{NAME_PREFIX}|canary)-{re.escape(run)}-[a-z0-9-]*[a-z0-9]")
        self._makers: dict[str, list[str]] = {}
        """Ids by the names and credentials that their creation sent."""
        for id, each in self._created.items():
            for text in set(self._of_run.findall(_sent(each))):
                self._makers.setdefault(text, []).append(id)

    def complete(self, failure: Failure) -> list[Exchange]:
        """Return the requests of a failure in their order, after those that made what it needs.

        A check has its own requests from their beginning. What others created, or an observer saw in the middle of
        a check, has its creation and the updates that were taken put before.
        """
        shown: list[Exchange] = failure.exchanges
        if not shown:
            return []
        last = max(each.number for each in shown)
        found = {id(each): each for each in shown}
        made = {made for each in shown if (made := created_id(each))}
        for needed in self._needed(failure, last) - made:
            found |= {id(each): each for each in self._life(needed, last)}
        return sorted(found.values(), key=lambda each: each.number)

    def _needed(self, failure: Failure, last: int) -> set[str]:
        """Return the ids that the requests of a failure, or what it says, name."""
        texts = [_sent(each) for each in failure.exchanges]
        texts += [json.dumps(plain(failure.got)), *failure.about]
        reply = failure.exchanges[-1].reply
        if b'"integrations"' not in reply:  # a list holds what has nothing to do with the failure, too
            texts.append(reply.decode("utf-8", "replace"))
        whole = "\n".join(texts)
        named = {maker for text in set(self._of_run.findall(whole)) for maker in self._makers.get(text, ())}
        named |= {id for id in self._created if id in whole}
        first = min(each.number for each in failure.exchanges)
        alone = len(failure.exchanges) == 1
        return {
            id
            for id in named
            if self._created[id].number < last and (alone or self._created[id].number < first) and self._lives(id, last)
        }

    def _lives(self, id: str, until: int) -> bool:
        """Return whether an integration was there, or its id was named by the request that ends the failure."""
        deleted = (each.number for each in self._exchanges if each.status == 200 and _is_delete(each, id))
        return next(deleted, until + 1) >= until or id in _sent(self._exchanges[until - 1])

    def _life(self, id: str, until: int) -> list[Exchange]:
        """Return the requests that made an integration what it was at a moment."""
        route = f"{COLLECTION}/{id}"
        writes = (
            each
            for each in self._exchanges
            if each.number < until and each.method in _WRITES and each.path.partition("?")[0] == route
        )
        return [self._created[id], *(each for each in writes if each.status == 200)]


def _is_delete(exchange: Exchange, id: str) -> bool:
    return exchange.method == "DELETE" and exchange.path.partition("?")[0] == f"{COLLECTION}/{id}"


def _sent(exchange: Exchange) -> str:
    return exchange.path + "\n" + exchange.body.decode("utf-8", "replace")


def at_once(exchanges: Sequence[Exchange]) -> bool:
    """Return whether some of these requests were under way at the same moment."""
    return any(after.at - after.elapsed < before.at for before, after in pairwise(exchanges))
