"""The environment variables of `central-contract`.

`CENTRAL_READ_ONLY_TOKEN` holds what the file of `--read-only-token-file` holds; `CENTRAL_EXAMPLES` is `--examples`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import click

PREFIX = "CENTRAL_"
VARIABLES = tuple(
    PREFIX + name
    for name in ("TOKEN", "TOKEN_B", "BASIC", "READ_ONLY_TOKEN", "NO_ACCESS_TOKEN", "NO_ROLE_TOKEN", "EXAMPLES")
)
_CLOSE = 0.9
"""Other tools have variables with this prefix, so only what is almost one of ours is taken for one of ours."""


def refuse_misspelt(environment: Iterable[str]) -> None:
    """Raise click.UsageError if a variable is almost one of ours: a token that is not read would go unnoticed."""
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in VARIABLES:
            for close in difflib.get_close_matches(name, VARIABLES, n=1, cutoff=_CLOSE):
                raise click.UsageError(f"unknown environment variable {name}; did you mean {close!r}?")
