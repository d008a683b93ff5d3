"""Hypothesis's failing examples, shared between runs in Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from contract_tests.engine.central import Central
from contract_tests.engine.failures import HarnessError

if TYPE_CHECKING:
    from hypothesis.database import ExampleDatabase

_SECONDS = 5.0
"""Timeout for the Redis server."""


def check_store(url: str) -> None:
    """Check that the Redis at `url` answers.

    Raises:
        HarnessError: the client library is missing, the URL is invalid, or the server does not answer.
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
        server = urlsplit(url).netloc.rpartition("@")[2]  # the part before @ may be a password
        raise HarnessError(f"--examples {server}: {error}") from None


def database(central: Central) -> ExampleDatabase | None:
    """Return the example database of one check and release, or None without --examples."""
    url = central.options.examples
    if url is None:
        return None
    import redis
    from hypothesis.extra.redis import RedisExampleDatabase

    client = redis.Redis.from_url(url, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS)
    return RedisExampleDatabase(client, key_prefix=f"central-contract:{central.version}:{central.check}:".encode())
