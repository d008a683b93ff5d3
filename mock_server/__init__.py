"""A mock of the image-integration API of StackRox Central.

``create_app(Settings(...))`` returns a WSGI app, ``serving(Settings(...))`` of ``mock_server.serving`` serves one while
a block runs, and ``mock-central serve`` serves one until Ctrl-C.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mock_server.settings import Settings
    from mock_server.web.app import create_app

__all__ = ["Settings", "create_app"]


def __getattr__(name: str) -> Any:
    """Import the public names on first use: `--help` needs neither Flask nor the contract."""
    if name == "create_app":
        from mock_server.web.app import create_app

        return create_app
    if name == "Settings":
        from mock_server.settings import Settings

        return Settings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
