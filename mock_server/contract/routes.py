"""The matcher from a method and a path to an operation of the contract."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from mock_server.contract.tables import Contract, Operation

ID = "{id}"


class Match(NamedTuple):
    """An operation and the id in the path, empty if the path has none."""

    operation: Operation
    id: str


class _Item(NamedTuple):
    """The parts of a path before and after an id in the middle."""

    before: str
    after: str
    operation: Operation

    def id_in(self, path: str) -> str | None:
        """Return the id in a path, or None if the path does not match."""
        end = len(path) - len(self.after)
        if end < len(self.before) or not path.startswith(self.before) or not path.endswith(self.after):
            return None
        id = path[len(self.before) : end]
        return None if "/" in id else id


class Routes:
    """The paths of one contract. A path without an id wins over one with an id (`/test` over `/{id}`)."""

    def __init__(self, contract: Contract) -> None:
        self.collection = contract.operations["GetImageIntegrations"].path
        self._below = f"{self.collection}/"
        self._methods = {each.method for each in contract.operations.values()}
        self._whole: dict[tuple[str, str], Match] = {}
        self._items: dict[tuple[str, str], Operation] = {}
        self._below_items: defaultdict[str, list[_Item]] = defaultdict(list)
        for each in contract.operations.values():
            before, found, after = each.path.partition(ID)
            if not found:
                self._whole[each.method, each.path] = Match(each, "")
            elif not after:
                self._items[each.method, before.removesuffix("/")] = each
            else:
                self._below_items[each.method].append(_Item(before, after, each))

    def match(self, method: str, path: str) -> Match | None:
        """Return the operation of a request; `path` is decoded and without its query.

        A path with a trailing slash is an item with an empty id, not the collection.
        """
        found = self._whole.get((method, path))
        if found is not None:
            return found
        parent, _, id = path.rpartition("/")
        operation = self._items.get((method, parent))
        if operation is not None:
            return Match(operation, id)
        for item in self._below_items.get(method, ()):
            if (id_in := item.id_in(path)) is not None:
                return Match(item.operation, id_in)
        return None

    def has_path(self, path: str) -> bool:
        """Return whether the path has an operation, with any method."""
        return any(self.match(method, path) for method in self._methods)

    def is_below(self, path: str) -> bool:
        """Return whether a path is the collection or below it."""
        return path == self.collection or path.startswith(self._below)
