"""Credentials from files, or from environment variables of `central-contract`.

Each variable replaces the file of an option: `CENTRAL_READ_ONLY_TOKEN` that of `--read-only-token-file`.
`CENTRAL_EXAMPLES` is the value of `--examples`.
"""

from __future__ import annotations

import base64
import difflib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from contract_tests.engine.options import Credentials

PREFIX = "CENTRAL_"
TOKENS = {
    "admin": "CENTRAL_TOKEN",
    "read-only": "CENTRAL_READ_ONLY_TOKEN",
    "no-access": "CENTRAL_NO_ACCESS_TOKEN",
    "no-role": "CENTRAL_NO_ROLE_TOKEN",
}
"""Variables with the tokens, by role."""
BASIC = "CENTRAL_BASIC"
VARIABLES = (*TOKENS.values(), BASIC, "CENTRAL_TOKEN_B", "CENTRAL_EXAMPLES")
CREDENTIAL_FILES = ("token_file", "basic_file", "read_only_token_file", "no_access_token_file", "no_role_token_file")
"""Names of the options for credential files."""
_CLOSE = 0.9
"""Minimum similarity of a misspelt variable. It is high because other tools use this prefix, too."""


def refuse_misspelt(environment: Iterable[str]) -> None:
    """Raise click.UsageError for a misspelt variable of this command, which would be silently ignored."""
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in VARIABLES:
            for close in difflib.get_close_matches(name, VARIABLES, n=1, cutoff=_CLOSE):
                raise click.UsageError(f"unknown environment variable {name}; did you mean {close!r}?")


def take_credentials(chosen: dict[str, Any]) -> Credentials:
    """Remove the credential files from the options, and read the credentials from them or the environment.

    Raises:
        click.UsageError: two options exclude each other, or a file or a variable holds no credentials.
    """
    token_file, basic_file = chosen.pop("token_file"), chosen.pop("basic_file")
    if token_file and basic_file:
        raise click.UsageError("--token-file and --basic-file: use only one of them")
    admin = None if basic_file else bearer(token_file, TOKENS["admin"])
    return Credentials(
        admin=admin or _basic(basic_file),
        read_only=bearer(chosen.pop("read_only_token_file", None), TOKENS["read-only"]),
        no_access=bearer(chosen.pop("no_access_token_file", None), TOKENS["no-access"]),
        no_role=bearer(chosen.pop("no_role_token_file", None), TOKENS["no-role"]),
    )


def _secret(path: Path | None, variable: str) -> str | None:
    if path is None:
        return os.environ.get(variable, "").strip() or None
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeError):
        raise click.UsageError(f"{path} cannot be read as text") from None
    if not text:
        raise click.UsageError(f"{path} is empty")
    return text


def bearer(path: Path | None, variable: str) -> str | None:
    """Return the Authorization header for the token in a file or an environment variable, or None without either.

    Raises:
        click.UsageError: the text is not a token.
    """
    token = _secret(path, variable)
    if token and not re.fullmatch(r"[!-~]+", token):
        raise click.UsageError(f"{path or variable} does not hold a token: one line of ASCII without spaces")
    return f"Bearer {token}" if token else None


def _basic(path: Path | None) -> str | None:
    pair = _secret(path, BASIC)
    if pair and not (":" in pair and pair.isprintable()):
        raise click.UsageError(f"{path or BASIC} does not hold one line USER:PASSWORD")
    return f"Basic {base64.b64encode(pair.encode()).decode()}" if pair else None
