"""The group of commands that both programs build on."""

from __future__ import annotations

import errno
import os
import sys
from typing import Any

import click


class Commands(click.Group):
    """Commands that end with one line instead of a traceback if the disk of standard output is full."""

    unable = 1
    """Exit status of a command that cannot proceed."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the program."""
        try:
            return super().main(*args, **options)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # otherwise the flush at exit would fail again
            click.echo(f"Error: standard output cannot be written: {error.strerror}", err=True)
            sys.exit(self.unable)
