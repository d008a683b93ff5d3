"""The error of a command that cannot do its work."""

from __future__ import annotations

import click

from contract_tests.engine.text import printable


class Unable(click.ClickException):
    """The command cannot do its work; the text may quote a target, a server or a file."""

    exit_code = 2

    def format_message(self) -> str:
        """Return the text with unprintable parts escaped."""
        return printable(self.message)
