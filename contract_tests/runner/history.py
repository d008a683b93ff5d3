"""Complete request sequences of failures, which reproduce them from an empty start."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from contract_tests.engine.exchange import COLLECTION, Exchange
from contract_tests.engine.failures import Failure
from contract_tests.engine.options import NAME_PREFIX
from contract_tests.engine.text import plain

_WRITES = ("POST", "PUT", "PATCH", "DELETE")


def created_id(exchange: Exchange) -> str | None:
    """Return the id of the integration that a request created, or None."""
    if exchange.method != "POST" or exchange.path.partition("?")[0] != COLLECTION:
        return None
    if not 200 <= exchange.status < 300:
        return None
    match = re.search(rb'"id": *"([^"\\]+)"', exchange.reply)
    return match[1].decode("utf-8", "replace") if match else None


class Log:
    """The exchanges of a run, searchable by the integrations that they created."""

    def __init__(self, exchanges: Iterable[Exchange], run: str) -> None:
        self._exchanges = list(exchanges)
        self._created = {id: each for each in self._exchanges if (id := created_id(each)) is not None}
        self._of_run = re.compile(rf"(?:{NAME_PREFIX}|canary)-{re.escape(run)}-[a-z0-9-]*[a-z0-9]")
        self._makers: dict[str, list[str]] = {}
        """Ids by the names and credentials that their creates sent."""
        for id, each in self._created.items():
            for text in set(self._of_run.findall(_sent(each))):
                self._makers.setdefault(text, []).append(id)

    def complete(self, failure: Failure) -> list[Exchange]:
        """Return the requests of a failure in order, preceded by those that created the integrations it involves.

        A failure of a check has all requests of its case. For an integration that another check created, or for a
        failure that an observer found in the middle of a check, the create and the accepted updates are added.
        """
        exchanges: list[Exchange] = failure.exchanges
        if not exchanges:
            return []
        last = max(each.number for each in exchanges)
        complete = {id(each): each for each in exchanges}
        created = {created for each in exchanges if (created := created_id(each))}
        for needed in self._needed(failure, last) - created:
            complete |= {id(each): each for each in self._writes_before(needed, last)}
        return sorted(complete.values(), key=lambda each: each.number)

    def _needed(self, failure: Failure, last: int) -> set[str]:
        """Return the ids of earlier integrations that the requests or the text of a failure mention."""
        texts = [_sent(each) for each in failure.exchanges]
        texts += [json.dumps(plain(failure.got)), *failure.about]
        reply = failure.exchanges[-1].reply
        if b'"integrations"' not in reply:  # a list also contains unrelated integrations
            texts.append(reply.decode("utf-8", "replace"))
        text = "\n".join(texts)
        named = {maker for word in set(self._of_run.findall(text)) for maker in self._makers.get(word, ())}
        named |= {id for id in self._created if id in text}
        first = min(each.number for each in failure.exchanges)
        alone = len(failure.exchanges) == 1
        return {
            id
            for id in named
            if self._created[id].number < last and (alone or self._created[id].number < first) and self._lives(id, last)
        }

    def _lives(self, id: str, until: int) -> bool:
        """Return whether an integration still existed at request `until`, or that request mentions its id."""
        deleted = (each.number for each in self._successful_writes(id) if each.method == "DELETE")
        return next(deleted, until + 1) >= until or id in _sent(self._exchanges[until - 1])

    def _writes_before(self, id: str, until: int) -> list[Exchange]:
        """Return the create of an integration and its successful writes before request `until`."""
        return [self._created[id], *(each for each in self._successful_writes(id) if each.number < until)]

    def _successful_writes(self, id: str) -> Iterator[Exchange]:
        for each in self._exchanges:
            if each.status == 200 and each.method in _WRITES and each.path.partition("?")[0] == f"{COLLECTION}/{id}":
                yield each


def _sent(exchange: Exchange) -> str:
    return exchange.path + "\n" + exchange.body.decode("utf-8", "replace")


def at_once(exchanges: Sequence[Exchange]) -> bool:
    """Return whether some of these requests were sent concurrently."""
    return any(after.at - after.elapsed < before.at for before, after in pairwise(exchanges))
