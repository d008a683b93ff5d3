"""The one matcher: which operation of the contract a method and a path name."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from mock_server.contract.tables import Contract, Operation

ID = "{id}"


class Match(NamedTuple):
    """An operation and the id that stands in the path, empty where the path has none."""

    operation: Operation
    id: str


class _Item(NamedTuple):
    """A path with an id in the middle, as what stands before and after the id."""

    before: str
    after: str
    operation: Operation

    def id_in(self, path: str) -> str | None:
        """Return the id that stands in a path, None where the path is another."""
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
        """Return the operation that a request names; `path` is decoded and without its query.

        A trailing slash is an item with an empty id, never the collection.
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
        """Return whether some method of a path is an operation."""
        return any(self.match(method, path) for method in self._methods)

    def is_below(self, path: str) -> bool:
        """Return whether a path is the collection or below it."""
        return path == self.collection or path.startswith(self._below)
