"""Known differences: failures that are expected, with their reasons, from files."""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from contract_tests.failures import Failure, HarnessError
from mock_server.contract import VERSIONS

SHIPPED = Path(__file__).with_name("known_differences.toml")


@dataclass(frozen=True, slots=True)
class KnownDifference:
    """A failure of `check` that is no news on these releases of Central, until `expires`.

    With `contains` only failures whose text contains it.
    """

    check: str
    reason: str
    link: str = ""
    versions: tuple[str, ...] = VERSIONS
    contains: str = ""
    expires: dt.date | None = None

    def covers(self, failure: Failure, version: str, today: dt.date) -> bool:
        """Tell whether a failure is this difference."""
        return (
            failure.check == self.check
            and version in self.versions
            and self.contains in failure.what
            and (self.expires is None or today <= self.expires)
        )


def read(paths: Iterable[Path]) -> list[KnownDifference]:
    """Read files of `[[difference]]` tables.

    Raises:
        HarnessError: a file cannot be read, or an entry has no reason or an unknown key.
    """
    found = []
    for path in paths:
        try:
            entries = tomllib.loads(path.read_text("utf-8")).get("difference", [])
            for entry in entries:
                if not entry.get("reason"):
                    raise ValueError(f"the difference {entry.get('check')!r} has no reason")
                found.append(KnownDifference(**entry | {"versions": tuple(entry.get("versions", VERSIONS))}))
        except (OSError, ValueError, TypeError) as error:
            raise HarnessError(f"{path}: {error}") from None
    return found
