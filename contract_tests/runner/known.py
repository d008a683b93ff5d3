"""Known differences: expected failures with their reasons, read from TOML files."""

from __future__ import annotations

import dataclasses
import datetime as dt
import tomllib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract_tests.engine.failures import Failure, HarnessError
from mock_server.contract import tables as contracts

SHIPPED = Path(__file__).with_name("known_differences.toml")


@dataclass(frozen=True, slots=True)
class KnownDifference:
    """An expected failure of `check` on the releases `versions`, until the day `expires`.

    `versions` are releases such as 4.11.0, or minors such as 4.11 for all their patches; empty means every
    release. Only failures whose text contains `contains` are expected.
    """

    check: str
    reason: str
    link: str = ""
    versions: tuple[str, ...] = ()
    contains: str = ""
    expires: dt.date | None = None

    def covers(self, failure: Failure, version: str, today: dt.date) -> bool:
        """Return whether a failure is an instance of this difference."""
        return (
            failure.check == self.check
            and self.is_of(version)
            and self.contains in failure.what
            and (self.expires is None or today <= self.expires)
        )

    def is_of(self, version: str) -> bool:
        """Return whether the difference applies to a release."""
        release = contracts.load().releases.find(version)
        return not self.versions or any(map(release.is_named, self.versions))


@dataclass(frozen=True, slots=True)
class InForce:
    """The known differences that apply to one release on one day."""

    differences: Sequence[KnownDifference]
    version: str
    today: dt.date

    def reason(self, failure: Failure) -> str | None:
        """Return the reason of the known difference that covers a failure, or None if it is new."""
        for each in self.differences:
            if each.covers(failure, self.version, self.today):
                return f"{each.reason} ({each.link})" if each.link else each.reason
        return None


def given(paths: Iterable[Path], without: Collection[str] = ()) -> list[KnownDifference]:
    """Return the shipped differences, without those of the checks in `without` ("all": of every check), and the user's.

    Raises:
        HarnessError: a file is invalid; see `read`.
    """
    kept = [each for each in read([SHIPPED]) if not {each.check, "all"} & set(without)]
    return [*kept, *read(paths)]


def read(paths: Iterable[Path]) -> list[KnownDifference]:
    """Read files of `[[difference]]` tables.

    Raises:
        HarnessError: a file cannot be read, or an entry has no check or reason, an unknown key or a wrong value.
    """
    differences = []
    for path in paths:
        try:
            content = tomllib.loads(path.read_text("utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise HarnessError(f"{path}: {error}") from None
        for key, entries in content.items():
            if key != "difference" or not isinstance(entries, list):
                raise HarnessError(f"{path}: {key}: is not a [[difference]] table")
            for number, entry in enumerate(entries, 1):
                if problem := _problem(entry):
                    raise HarnessError(f"{path}: difference {number}: {problem}")
                differences.append(KnownDifference(**entry | {"versions": tuple(entry.get("versions", ()))}))
    return differences


def _problem(entry: Any) -> str:
    """Return the error in an entry of a file, or "" if it is valid."""
    if not isinstance(entry, dict):
        return f"{entry!r} is not a table"
    known = [each.name for each in dataclasses.fields(KnownDifference)]
    if unknown := [key for key in entry if key not in known]:
        return f"unknown key {unknown[0]!r}; known: {', '.join(known)}"
    for key in ("check", "reason"):
        if not entry.get(key):
            return f"it has no {key}"
    if not all(isinstance(entry.get(key, ""), str) for key in ("check", "reason", "link", "contains")):
        return "check, reason, link and contains must be strings"
    versions = entry.get("versions", [])
    if not isinstance(versions, list) or not all(isinstance(each, str) for each in versions):
        return f"versions: {versions!r} is not a list of releases"
    for each in versions:
        try:
            contracts.load().releases.find(each)
        except ValueError as error:
            return f"versions: {error}"
    expires = entry.get("expires", dt.date.max)
    if not isinstance(expires, dt.date) or isinstance(expires, dt.datetime):
        return f"expires: {str(expires)!r} is not a date such as 2027-06-30, without quotes"
    return ""
