"""Releases of Central, their order, and spans of them.

A release is a minor and a patch, such as 4.11.2. The contract lists the minors and the newest patch of each
(`x-releases`). A minor alone, such as 4.11, means its newest patch; in `since` its first one, in `until` its last one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

_FORM = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
_EVERY_PATCH = 10**9
"""Greater than any patch number, because `until: "4.10"` includes all patches of 4.10."""


class Release(NamedTuple):
    """One release of Central, compared by its numbers."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.line}.{self.patch}"

    @property
    def line(self) -> str:
        """The minor that the release is a patch of, such as 4.11."""
        return f"{self.major}.{self.minor}"

    def is_named(self, text: str) -> bool:
        """Return whether `text` is this release or its minor."""
        return text in (str(self), self.line)


def _numbers(text: Any, patch: int) -> Release:
    match = _FORM.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f'{text!r} is not a release; write it in quotes, such as "4.11" or "4.11.2"')
    return Release(int(match[1]), int(match[2]), patch if match[3] is None else int(match[3]))


@dataclass(frozen=True, slots=True)
class Span:
    """The releases that have a part of the contract.

    Without entries `since` means the first release. All releases from the last entry on have the part; the other
    entries are patches of older minors that got it, too.
    """

    since: tuple[str, ...] = ()
    until: str | None = None

    @classmethod
    def of(cls, since: Any, until: Any) -> Span:
        """Read the values of `since` (a release or a list of them) and `until`.

        Raises:
            ValueError: a value is not a release, or they are not in order.
        """
        entries = () if since is None else tuple(since) if isinstance(since, list) else (since,)
        first = [_numbers(each, 0) for each in entries]
        if first != sorted(first):
            raise ValueError(f"since: {', '.join(entries)} are not in order")
        if until is not None and first and _numbers(until, _EVERY_PATCH) < first[0]:
            raise ValueError(f"until: {until} comes before since: {entries[0]}")
        return cls(entries, until)

    def has(self, release: Release) -> bool:
        """Return whether the release has it."""
        if self.until is not None and release > _numbers(self.until, _EVERY_PATCH):
            return False
        if not self.since:
            return True
        *patched, first = (_numbers(each, 0) for each in self.since)
        return release >= first or any(each.line == release.line and release >= each for each in patched)

    @property
    def everywhere(self) -> bool:
        """Whether every release has it."""
        return not self.since and self.until is None

    def __str__(self) -> str:
        if self.everywhere:
            return "all"
        since = f"since {', '.join(self.since)}" if self.since else ""
        until = f"until {self.until}" if self.until else ""
        return " ".join(filter(None, (since, until)))


class Releases:
    """The releases that the contract knows."""

    def __init__(self, newest_patches: Mapping[str, str]) -> None:
        """`newest_patches`: the newest patch of each minor (`x-releases`).

        Raises:
            ValueError: one is not a release, not a patch of its minor, or they are not in order.
        """
        self._newest = {line: _numbers(patch, 0) for line, patch in newest_patches.items()}
        for line, patch in self._newest.items():
            if patch.line != line:
                raise ValueError(f"x-releases: {patch} is not a patch of {line}")
        if list(self._newest.values()) != sorted(self._newest.values()):
            raise ValueError("x-releases: the releases are not in order")

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The minors, oldest first, such as 4.11."""
        return tuple(self._newest)

    @property
    def known(self) -> tuple[Release, ...]:
        """The newest patch of each minor, oldest first."""
        return tuple(self._newest.values())

    @property
    def newest(self) -> Release:
        """The newest of all."""
        return self.known[-1]

    def find(self, text: str) -> Release:
        """Return the release with this name; a minor means its newest patch.

        Raises:
            ValueError: the release is unknown; the text suggests others.
        """
        match = _FORM.fullmatch(text)
        newest = self._newest.get(f"{match[1]}.{match[2]}") if match else None
        if match is None or newest is None:
            close = [self.nearest(text).line] if match else difflib.get_close_matches(text, self.lines, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise ValueError(f"{text!r} is not a release of Central; {hint}known: {', '.join(self.lines)}")
        release = newest if match[3] is None else newest._replace(patch=int(match[3]))
        if release > newest:
            raise ValueError(f"{text!r} is not a release of Central; the newest patch of {newest.line} is {newest}")
        return release

    def nearest(self, reported: str) -> Release:
        """Return the known release that is closest to the one that a server reports.

        A build of a known minor (4.11.2, 4.11.0-rc.1, 4.10.x-123-gabc) is that patch, or the newest known one.
        For an unknown minor it is the next known one; for a newer one, or no version, the newest.
        """
        match = _FORM.match(reported)
        if match is None:
            return self.newest
        line = f"{match[1]}.{match[2]}"
        newest = self._newest.get(line)
        if newest is None:
            later = (each for each in self.known if (each.major, each.minor) > (int(match[1]), int(match[2])))
            return next(later, self.newest)
        return newest if match[3] is None else min(newest, newest._replace(patch=int(match[3])))
