"""The group of commands that both programs build on."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any

import click


class Commands(click.Group):
    """Commands that end without a traceback if standard output is full or its encoding lacks a character."""

    unable = 1
    """Exit status of a command that cannot proceed."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the program."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
                stream.reconfigure(errors="backslashreplace")  # not every encoding has every character
        try:
            return super().main(*args, **options)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # otherwise the flush at exit would fail again
            click.echo(f"Error: standard output cannot be written: {error.strerror}", err=True)
            sys.exit(self.unable)
