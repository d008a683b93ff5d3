"""The matcher from a method and a path to an operation of the contract."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import NamedTuple

from mock_server.contract.tables import Contract, Operation

ID = "{id}"


class Match(NamedTuple):
    """An operation and the id in the path, empty if the path has none."""

    operation: Operation
    id: str


class Routes:
    """The paths of one contract. A path without an id wins over one with an id (`/test` over `/{id}`)."""

    def __init__(self, contract: Contract) -> None:
        self.collection = contract.operations["GetImageIntegrations"].path
        self._below = f"{self.collection}/"
        self._methods = {each.method for each in contract.operations.values()}
        self._whole: dict[tuple[str, str], Match] = {}
        self._with_id: defaultdict[str, list[tuple[re.Pattern[str], Operation]]] = defaultdict(list)
        for each in contract.operations.values():
            if ID in each.path:
                pattern = re.compile(re.escape(each.path).replace(re.escape(ID), "([^/]*)"))
                self._with_id[each.method].append((pattern, each))
            else:
                self._whole[each.method, each.path] = Match(each, "")

    def match(self, method: str, path: str) -> Match | None:
        """Return the operation of a request; `path` is decoded and without its query.

        A path with a trailing slash is an item with an empty id, not the collection.
        """
        if (whole := self._whole.get((method, path))) is not None:
            return whole
        for pattern, operation in self._with_id.get(method, ()):
            if found := pattern.fullmatch(path):
                return Match(operation, found[1])
        return None

    def has_path(self, path: str) -> bool:
        """Return whether the path has an operation, with any method."""
        return any(self.match(method, path) for method in self._methods)

    def is_below(self, path: str) -> bool:
        """Return whether a path is the collection or below it."""
        return path == self.collection or path.startswith(self._below)
