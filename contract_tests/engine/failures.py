"""What a check can end with besides passing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class CheckFailed(AssertionError):  # noqa: N818 (reads as the outcome)
    """The server does not do what the check asks.

    `expected` and `got` are shown as a diff; `check` names another check when the fault that
    showed is that one's matter; `intermittent` says that the same request also went well.
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
    """The check could not come to its matter, because what check `need` sees to does not hold.

    It counts as skipped when `need` failed, and as a failure of its own when nothing else did.
    """

    def __init__(self, need: str, what: str) -> None:
        super().__init__(what)
        self.need = need
        self.what = what


class Skip(Exception):  # noqa: N818
    """The check does not apply to this run; the text is the reason."""


class NotApplicable(Skip):
    """The release or the kind of the target does not have what the check looks at: nobody could look at it there."""


class Busy(Skip):
    """The target limits requests, and answers so also when asked again."""


class OwnershipError(Exception):
    """A request would have changed something that this run did not create. It was not sent."""


class NoRoomError(OwnershipError):
    """More integrations of the run would exist at once than the options let. The request was not sent."""


class BudgetSpent(Exception):  # noqa: N818
    """The time or the number of requests given to the run is used up."""


class Interrupted(KeyboardInterrupt):
    """A signal is to end the run."""

    def __init__(self, signal: str) -> None:
        super().__init__(signal)
        self.signal = signal


class HarnessError(Exception):
    """The harness cannot do its work: the target is not reachable, or refuses the credentials."""


@dataclass(slots=True)
class Failure:
    """One fault, as reported: the check that names it and the requests that show it."""

    check: str
    what: str
    expected: Any = None
    got: Any = None
    exchanges: list[Any] = field(default_factory=list)
    intermittent: bool = False
    known: str | None = None
    """Why it is known, when it is a known difference."""
    also: int = 0
    """How many more times the same fault showed."""
    about: tuple[str, ...] = ()
    """Ids of integrations in a list that it is about."""
    like: str = ""
    """The check whose failure shows the same, when many do."""
