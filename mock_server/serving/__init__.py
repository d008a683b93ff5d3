"""Serving an app over sockets: granian behind `mock-central serve`, and `serving(Settings(...))` for tests.

The only package that deals with servers and sockets; it does not decide what is answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mock_server.serving.server import serving

__all__ = ["serving"]


def __getattr__(name: str) -> Any:
    """Import a public name on first use: most modules of this package need no server."""
    if name == "serving":
        from mock_server.serving.server import serving

        return serving
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
