"""Releases of Central as an option of a command."""

from __future__ import annotations

from typing import Any

import click

from mock_server.contract import tables as contracts


def newest() -> str:
    """Return the minor of the newest release."""
    return contracts.load().releases.newest.line


class ReleaseType(click.ParamType[str]):
    """A release that the contract knows, such as 4.11 or 4.11.0."""

    name = "release"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse an unknown release, with a suggestion."""
        try:
            contracts.load().releases.find(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return str(value)


RELEASE = ReleaseType()
