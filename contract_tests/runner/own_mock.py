"""Mocks that commands start themselves if the user gives no URL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from contract_tests.engine.options import Credentials


@dataclass(frozen=True, slots=True)
class OwnMock:
    """A running mock: its URL, its settings, and the credentials that it accepts."""

    url: str
    settings: Mapping[str, Any]
    credentials: Credentials = field(repr=False)


@contextmanager
def own_mock(*, auth: bool = True, **settings: Any) -> Iterator[OwnMock]:
    """Serve a mock; with `auth` it requires credentials, so that permissions can be checked, too."""
    from mock_server.serving.server import serving
    from mock_server.settings import Settings

    chosen = Settings(auth=auth, **settings)
    tokens = chosen.credentials
    credentials = Credentials(
        admin=f"Bearer {tokens.admin_token}",
        read_only=f"Bearer {tokens.read_only_token}",
        no_access=f"Bearer {tokens.no_access_token}",
        no_role=f"Bearer {tokens.no_role_token}",
    )
    with serving(chosen) as mock:
        yield OwnMock(mock.url, settings, credentials if auth else Credentials())
