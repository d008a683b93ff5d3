"""What hypothesis found in one run, kept in a Redis so that other runs begin with it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from contract_tests.engine.central import Central
from contract_tests.engine.failures import HarnessError

if TYPE_CHECKING:
    from hypothesis.database import ExampleDatabase

_SECONDS = 5.0
"""How long the server may take to answer."""


def check_store(url: str) -> None:
    """Check that examples can be kept there.

    Raises:
        HarnessError: the client library is missing, the URL is none, or the server does not answer.
    """
    try:
        import redis
    except ImportError:
        raise HarnessError(
            "--examples: the client library is missing; install it from a checkout: pip install '.[redis]'"
        ) from None
    try:
        with redis.Redis.from_url(url, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS) as client:
            client.ping()
    except (redis.RedisError, ValueError, TypeError) as error:
        server = urlsplit(url).netloc.rpartition("@")[2]  # what comes before may be a password
        raise HarnessError(f"--examples {server}: {error}") from None


def database(central: Central) -> ExampleDatabase | None:
    """Return where a check keeps its examples, apart from other checks and releases."""
    url = central.options.examples
    if url is None:
        return None
    import redis
    from hypothesis.extra.redis import RedisExampleDatabase

    client = redis.Redis.from_url(url, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS)
    return RedisExampleDatabase(client, key_prefix=f"central-contract:{central.version}:{central.check}:".encode())
