"""The environment variables of `central-contract`.

Each replaces the file of an option: `CENTRAL_READ_ONLY_TOKEN` that of `--read-only-token-file`. `CENTRAL_EXAMPLES`
is the value of `--examples`.
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
"""Minimum similarity of a misspelt variable. It is high because other tools use this prefix, too."""


def refuse_misspelt(environment: Iterable[str]) -> None:
    """Raise click.UsageError for a variable with almost the name of one of ours, which would be ignored silently."""
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in VARIABLES:
            for close in difflib.get_close_matches(name, VARIABLES, n=1, cutoff=_CLOSE):
                raise click.UsageError(f"unknown environment variable {name}; did you mean {close!r}?")
