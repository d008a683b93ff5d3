"""The connection to the Redis or Valkey that replicas share: time-outs and failures."""

from __future__ import annotations

import logging
import re
import time
import uuid
from contextlib import suppress
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from mock_server.central.errors import Refusal
from mock_server.state.memory import address

log = logging.getLogger("mock_central")

ANSWER_SECONDS = 5.0
"""Seconds to connect, and to wait for an answer."""
PAUSE_SECONDS = 1.0
"""Seconds before a server that did not answer is tried again."""
QUIET_SECONDS = 60.0
"""Seconds before the same failure is logged again."""
ENCODING_ERRORS = "surrogatepass"  # an id may hold anything


class StoreError(ValueError):
    """The store cannot be used; the text names it, without its password, and the reason."""


def unavailable(text: str) -> Refusal:
    """Return the refusal of a request while the store fails. The text is the mock's own: Central has no such rule."""
    return Refusal("store", 503, 14, text)


class Connection:
    """The connection to one server, shared by all sandboxes."""

    def __init__(self, url: str) -> None:
        """Prepare the connection; it opens with the first command.

        Raises:
            StoreError: the client library rejects the URL.
        """
        self.address = address(url)
        self._lost = False
        self._ask_again_at = 0.0
        self._logged, self._log_again_at = "", 0.0
        try:
            self.client = redis.Redis.from_url(
                url,
                encoding_errors=ENCODING_ERRORS,
                socket_timeout=ANSWER_SECONDS,
                socket_connect_timeout=ANSWER_SECONDS,
                # Retry once if the connection was closed, but never after a time-out.
                retry=Retry(NoBackoff(), 1, (redis.ConnectionError,)),
            )
            self.client.connection_pool.make_connection()
        except TypeError as error:
            name = str(error).rpartition(" ")[2]
            raise StoreError(f"{self.address}: has no option {name}; those of TLS are for rediss://") from None
        except (ValueError, redis.RedisError) as error:
            raise StoreError(f"{self.address}: {error}") from None
        options = self.client.connection_pool.connection_kwargs
        hidden = [re.escape(options[each]) for each in ("username", "password") if options.get(each)]
        self._hidden = re.compile(rf"(?<!\w)(?:{'|'.join(hidden) or '(?!)'})(?!\w)")

    def words(self, error: redis.RedisError) -> str:
        """Return the text of an error without user and password."""
        text = str(error)
        if isinstance(error, redis.exceptions.MovedError):
            text = f"is a node of a cluster, and the key is on another node, {error.host}:{error.port}"
        return self._hidden.sub("******", text)

    @property
    def silent(self) -> bool:
        """Whether the last command got no answer."""
        return self._ask_again_at > 0

    def __enter__(self) -> redis.Redis:
        """Begin to use the connection.

        Raises:
            Refusal: the server did not answer a moment ago, or another request is trying it again. If all waited, they
                would occupy every thread.
        """
        if self._ask_again_at:
            now = time.monotonic()
            if now < self._ask_again_at:
                raise self._unavailable(self._logged)
            self._ask_again_at = now + ANSWER_SECONDS
        return self.client

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        """Log when the server begins to fail, and when it works again.

        Raises:
            Refusal: the server failed; the next request tries again.
        """
        if isinstance(error, redis.RedisError):
            words = self.words(error)
            self._fail(error, words)
            raise self._unavailable(words) from None
        if error is None and (self._lost or self._ask_again_at):
            self._lost, self._ask_again_at, self._logged = False, 0.0, ""
            log.info("the store %s works again", self.address)

    def _fail(self, error: redis.RedisError, words: str) -> None:
        now = time.monotonic()
        if words != self._logged or now > self._log_again_at:
            log.error("the store %s fails, requests are refused until it works again: %s", self.address, words)
        self._logged, self._log_again_at = words, now + QUIET_SECONDS
        # A server that refuses a command may accept the next one; one that does not answer is lost for all.
        self._lost = self._lost or isinstance(error, redis.ConnectionError | redis.TimeoutError)
        self._ask_again_at = now + PAUSE_SECONDS if isinstance(error, redis.TimeoutError) else 0.0
        if isinstance(error, redis.ReadOnlyError):
            # Another server may have taken over under this name; only a new connection finds it.
            self.client.connection_pool.disconnect(inuse_connections=False)

    def _unavailable(self, words: str) -> Refusal:
        return unavailable(f"the store {self.address} fails: {words}")


def check(url: str, prefix: str) -> None:
    """Check that the server can store a state with this prefix of its keys.

    Raises:
        StoreError: it cannot be reached, refuses the login or writes, or is one of several cluster nodes.
    """
    connection = Connection(url)
    client = connection.client
    _require_readable_files(connection)
    try:
        if (nodes := _nodes(client)) > 1:
            raise StoreError(
                f"{connection.address}: is one of {nodes} nodes of a cluster, each with only some of the sandboxes; "
                f"use a single server or a cluster of one node"
            )
        with client.lock(f"{{{prefix}:}}:start-{uuid.uuid4().hex}", timeout=ANSWER_SECONDS):  # needs writes and scripts
            pass
    except redis.RedisError as error:
        raise StoreError(f"{connection.address}: {connection.words(error)}") from None


def _require_readable_files(connection: Connection) -> None:
    """Raise StoreError for an unreadable file; the client library does not name it."""
    options = connection.client.connection_pool.connection_kwargs
    for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"):
        try:
            if name in options:
                Path(options[name]).read_bytes()
        except OSError as error:
            raise StoreError(f"{connection.address}: {name}: {options[name]}: {error.strerror}") from None


def _nodes(client: redis.Redis) -> int:
    """Return the number of nodes that have keys, as far as the server reports it."""
    with suppress(redis.ResponseError):
        if client.info("cluster").get("cluster_enabled"):
            return int(client.cluster("INFO")["cluster_size"])
    return 1
