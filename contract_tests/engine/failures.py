"""The ways in which a check or a run can end other than passing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class CheckFailed(AssertionError):  # noqa: N818 (reads as the outcome)
    """The server does not behave as the check requires.

    `expected` and `got` are shown as a diff. `check` names another check if that one covers the
    fault. `intermittent` means that the same request also succeeded.
    """

    def __init__(
        self, what: str, *, expected: Any = None, got: Any = None, check: str | None = None, intermittent: bool = False
    ) -> None:
        super().__init__(what)
        self.what = what
        self.expected = expected
        self.got = got
        self.check = check
        self.intermittent = intermittent


class PreconditionFailed(Exception):  # noqa: N818
    """The check could not begin, because behaviour that the check `need` covers is broken.

    The check counts as skipped if `need` has failed, too; otherwise as failed.
    """

    def __init__(self, need: str, what: str) -> None:
        super().__init__(what)
        self.need = need
        self.what = what


class Skip(Exception):  # noqa: N818
    """The check does not apply to this run; the text is the reason."""


class NotApplicable(Skip):
    """This release or kind of target does not have the behaviour that the check covers."""


class Busy(Skip):
    """The target limits requests (429) and still does after several attempts."""


class OwnershipError(Exception):
    """A request was not sent because it could change something that this run did not create."""


class NoRoomError(OwnershipError):
    """A create was not sent because it would exceed --max-live."""


class BudgetSpent(Exception):  # noqa: N818
    """The run has used up its time or its number of requests; the text names the budget."""


class Interrupted(KeyboardInterrupt):
    """A signal asks the run to end."""

    def __init__(self, signal: str) -> None:
        super().__init__(signal)
        self.signal = signal


class HarnessError(Exception):
    """The harness cannot work: the target is unreachable, refuses the credentials, or a file or option is unusable."""


@dataclass(slots=True)
class Failure:
    """One fault, as reported: the check that covers it and the requests that show it."""

    check: str
    what: str
    expected: Any = None
    got: Any = None
    exchanges: list[Any] = field(default_factory=list)
    intermittent: bool = False
    known: str | None = None
    """Reason of the known difference, or None if the failure is new."""
    also: int = 0
    """Number of further occurrences of the same fault."""
    about: tuple[str, ...] = ()
    """Ids of the list items that show the fault."""
    like: str = ""
    """The check that reports the same symptom in detail, or "" if this failure is not grouped."""
