"""The integrations of a Central that several replicas share, in Redis or Valkey.

The keys of a world stand under ``{PREFIX:WORLD}:``, whose braces keep them in one slot, and each call reads or writes
them at one moment. Writes hold a lock that expires, and each write is refused once its lock has: so what a caller saw
under the lock is still so when it writes, even if it was held up meanwhile.
"""

from __future__ import annotations

import copy
import json
import logging
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from mock_server.errors import Refusal
from mock_server.store import Integration, Store, Stored, address, joined

log = logging.getLogger("mock_central")

LOCK_SECONDS = 5.0
"""How long a replica that died may keep the others from writing; a write takes milliseconds."""
WAIT_SECONDS = 10.0
"""How long a write waits for its turn."""
ANSWER_SECONDS = 5.0
"""How long the server may take to answer, or to be reached."""
MOST_RENDERED = 16_384
"""Integrations whose answers a replica keeps."""

_POLL = 0.002
_ENCODING_ERRORS = "surrogatepass"  # an id may hold anything
_KEYS = ("changes", "integrations", "names", "order", "ids", "lock")

# Every write looks at the lock and at the world: one of them may have gone since the caller checked.
_HEAD = """
local changes, integrations, names, order, ids, lock = unpack(KEYS)
local function forget_name(id)
  local old = redis.call('HGET', integrations, id)
  if not old then return end
  local name = cjson.decode(old)['name']
  if redis.call('HGET', names, name) == id then redis.call('HDEL', names, name) end
end
local function keep_for(milliseconds)
  if milliseconds == '0' then return end
  for at = 1, 5 do redis.call('PEXPIRE', KEYS[at], milliseconds) end
end
"""
_PUT = f"""{_HEAD}
local token, milliseconds, id, name, integration = unpack(ARGV)
if redis.call('GET', lock) ~= token or redis.call('EXISTS', changes) == 0 then return 0 end
forget_name(id)
redis.call('HSET', integrations, id, integration)
redis.call('HSET', names, name, id)
redis.call('ZADD', order, 'NX', string.format('%.0f', redis.call('INCR', changes)), id)
keep_for(milliseconds)
return 1
"""
_REMOVE = f"""{_HEAD}
local token, milliseconds, id = unpack(ARGV)
if redis.call('GET', lock) ~= token or redis.call('EXISTS', changes) == 0 then return 0 end
forget_name(id)
redis.call('HDEL', integrations, id)
redis.call('ZREM', order, id)
redis.call('INCR', changes)
keep_for(milliseconds)
return 1
"""
# Without a token it begins a world, once. Counting changes from the time on, none comes twice, not even where the
# server has lost everything in between.
_REPLACE = f"""{_HEAD}
local token, milliseconds, now, reset = unpack(ARGV, 1, 4)
local last = redis.call('GET', changes)
if token == '' then
  if last then return 0 end
elseif redis.call('GET', lock) ~= token then
  return 0
end
redis.call('DEL', integrations, names, order)
if reset == '1' then redis.call('DEL', ids) end
local count = tonumber(last or now)
for at = 5, #ARGV, 3 do
  count = count + 1
  redis.call('HSET', integrations, ARGV[at], ARGV[at + 2])
  redis.call('HSET', names, ARGV[at + 1], ARGV[at])
  redis.call('ZADD', order, string.format('%.0f', count), ARGV[at])
end
redis.call('SET', changes, string.format('%.0f', count + 1))
keep_for(milliseconds)
return 1
"""
_NAMED = """
local id = redis.call('HGET', KEYS[3], ARGV[1])
return {redis.call('GET', KEYS[1]), id and redis.call('HGET', KEYS[2], id)}
"""


class StoreError(ValueError):
    """The store cannot be used; the text names it, without its password, and says why."""


class Connection:
    """The way to one server, for every world."""

    def __init__(self, url: str) -> None:
        """Connect when there is something to ask.

        Raises:
            StoreError: the URL says what the client library does not know.
        """
        self.address = address(url)
        self._lost = False
        try:
            self.client = redis.Redis.from_url(
                url,
                encoding_errors=_ENCODING_ERRORS,
                socket_timeout=ANSWER_SECONDS,
                socket_connect_timeout=ANSWER_SECONDS,
                retry=Retry(NoBackoff(), 1),  # a connection that was closed meanwhile
            )
            self.client.connection_pool.make_connection()
        except (ValueError, TypeError) as error:
            raise StoreError(f"{self.address}: {error}") from None
        script = self.client.register_script
        self.put, self.remove, self.replace, self.named = map(script, (_PUT, _REMOVE, _REPLACE, _NAMED))

    def __enter__(self) -> redis.Redis:
        """Talk to the server."""
        return self.client

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        """Tell when the server begins to fail, and when it works again.

        Raises:
            Refusal: it does not answer, or not as it should; the next request tries again.
        """
        if isinstance(error, redis.RedisError):
            if not self._lost:
                log.error("the store %s fails, requests are refused until it works again: %s", self.address, error)
            self._lost = True
            raise unavailable(f"the store {self.address} fails: {error}") from None
        if error is None and self._lost:
            self._lost = False
            log.info("the store %s works again", self.address)


def unavailable(text: str) -> Refusal:
    """Refuse a request that the store lets nobody answer: no rule of Central's, so not in its words."""
    return Refusal("store", 503, 14, text)


def check(url: str) -> None:
    """See that there is a server to keep the state in.

    Raises:
        StoreError: there is none, or it lets us not in.
    """
    connection = Connection(url)
    try:
        connection.client.ping()
    except redis.RedisError as error:
        raise StoreError(f"{connection.address}: {error}") from None


class _Lock:
    """Held by one thread of one replica; the thread that has it may take it again."""

    def __init__(self, connection: Connection, key: str) -> None:
        self._connection = connection
        self._key = key
        self._threads = threading.RLock()
        self._depth = 0
        self.token = ""
        """What the key holds while this replica has the lock."""

    def __enter__(self) -> None:
        self._threads.acquire()
        try:
            if self._depth == 0:
                self._acquire()
        except BaseException:
            self._threads.release()
            raise
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        try:
            if self._depth == 0:
                # What was written is written; a lock that cannot be given back expires.
                with suppress(redis.RedisError):
                    self._held.release()
        finally:
            self._threads.release()

    def _acquire(self) -> None:
        with self._connection as client:
            self._held = client.lock(self._key, timeout=LOCK_SECONDS, sleep=_POLL, thread_local=False)
            self.token = uuid.uuid4().hex
            got = self._held.acquire(blocking_timeout=WAIT_SECONDS, token=self.token)
        if not got:
            raise unavailable(f"the store {self._connection.address} was locked for {WAIT_SECONDS:g} seconds")


class RedisStore:
    """A store on a server; every replica with the same URL and prefix has the same integrations."""

    def __init__(
        self,
        url: str,
        first_state: Iterable[Integration],
        answer: Callable[[Integration], bytes],
        *,
        prefix: str,
        world_seconds: float,
        seed: int | None = None,
        shuffled: bool = False,
    ) -> None:
        """`world_seconds` is how long the server keeps a world that nobody uses; the others as of `MemoryStore`."""
        self._connection = Connection(url)
        self._answer = answer
        self._first_state = list(first_state)
        self._prefix = prefix
        self._world_seconds = world_seconds
        self._seed = seed
        self._shuffled = shuffled
        # Shared by the stores of all worlds: what an integration looks like does not depend on the world.
        self._stored = lru_cache(MOST_RENDERED)(self._read)
        self.belong_to("")

    def _read(self, text: bytes) -> Stored:
        integration = json.loads(text)
        return Stored(integration, self._answer(integration))

    def apart(self) -> RedisStore:
        """Give a store that is to belong to another world."""
        return copy.copy(self)

    def belong_to(self, world: str) -> None:
        """Hold what the server keeps for this world."""
        self.world = world
        self._keys = [f"{{{self._prefix}:{world}}}:{key}" for key in _KEYS]
        self.lock = _Lock(self._connection, self._keys[-1])
        self._milliseconds = int(self._world_seconds * 1000) if world else 0
        self._kept_until = 0.0
        self._listed: tuple[int, tuple[bytes, ...], bytes] | None = None
        self._ids = _SeededIds(self._seed)

    def go_on_from(self, other: Store) -> None:
        """Hold what the server keeps for the world of the other."""
        assert isinstance(other, RedisStore)
        self.belong_to(other.world)

    def free(self) -> None:
        """Let the server forget the world."""
        with self.lock, self._connection as client:
            client.delete(*self._keys[:-1])

    # -- reading ----------------------------------------------------------------------------------

    def _asked(self, *commands: tuple[str | bytes | int, ...]) -> list[Any]:
        """Give the number of changes and what these commands answer, all of one moment; the world begins if need be."""
        with self._connection as client:
            while True:
                pipe: Any = client.pipeline(transaction=bool(commands))
                pipe.get(self._keys[0])
                for command in commands:
                    pipe.execute_command(*command)
                keeps = self._keep_longer(pipe)
                found: list[Any] = pipe.execute()
                if found[0] is not None:
                    return found[: len(found) - keeps]
                self._begin()

    def _keep_longer(self, pipe: Any) -> int:
        """Put off the end of a world that is used; give the number of commands that this takes."""
        now = time.monotonic()
        if not self._milliseconds or now < self._kept_until:
            return 0
        self._kept_until = now + self._world_seconds / 10
        for key in self._keys[:-1]:
            pipe.pexpire(key, self._milliseconds)
        return len(self._keys) - 1

    @property
    def changes(self) -> int:
        """Grows with each change of any replica."""
        return int(self._asked()[0])

    def integrations(self) -> list[Integration]:
        """List what is stored, credentials in clear, in the order of creation."""
        return [stored.integration for stored in self._all()[1]]

    def _all(self) -> tuple[int, list[Stored]]:
        _, integrations, _, order, *_ = self._keys
        changes, ids, by_id = self._asked(("ZRANGE", order, 0, -1), ("HGETALL", integrations))
        return int(changes), [self._stored(by_id[id]) for id in ids]

    def get(self, id: str) -> Stored | None:
        """Give the integration with exactly this id."""
        text = self._asked(("HGET", self._keys[1], id))[1]
        return None if text is None else self._stored(text)

    def id_of_name(self, name: str) -> str | None:
        """Give the id of the integration with exactly this name."""
        id = self._asked(("HGET", self._keys[2], name))[1]
        return None if id is None else id.decode(errors=_ENCODING_ERRORS)

    def list_named(self, name: str) -> bytes:
        """Render the list of the integration with exactly this name."""
        with self._connection:
            while True:
                changes, text = self._connection.named(self._keys, (name,))
                if changes is not None:
                    return joined([self._stored(text).answer] if text is not None else [])
                self._begin()

    def list_answer(self, ids: Iterable[str] | None = None) -> bytes:
        """Render the list of all integrations, or of those with the given ids."""
        if ids is not None:
            return joined(stored.answer for id in ids if (stored := self.get(id)))
        listed = self._listed
        if listed is None or listed[0] != self.changes:
            changes, all = self._all()
            answers = tuple(stored.answer for stored in all)
            listed = self._listed = (changes, answers, joined(answers))
        return joined(random.sample(listed[1], len(listed[1]))) if self._shuffled else listed[2]

    def __len__(self) -> int:
        return int(self._asked(("HLEN", self._keys[1]))[1])

    # -- writing ----------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Write the first state, unless another replica was faster."""
        self._write(self._connection.replace, "", self._milliseconds, *self._state(self._first_state, reset=True))

    def _state(self, integrations: Iterable[Integration], *, reset: bool) -> Iterator[str | int]:
        yield time.time_ns() // 1000
        yield int(reset)
        for each in integrations:
            yield from (each["id"], each["name"], _text(each))

    def _changed(self, script: Any, *arguments: str | int) -> None:
        with self.lock:
            if not self._write(script, self.lock.token, self._milliseconds, *arguments):
                raise unavailable(
                    f"the store {self._connection.address} took the lock back after {LOCK_SECONDS:g} seconds; "
                    f"nothing was stored"
                )

    def _write(self, script: Any, *arguments: str | int) -> bool:
        with self._connection:
            return bool(script(self._keys, arguments))

    def reset(self) -> None:
        """Go back to the first state; seeded ids start again too."""
        self._changed(self._connection.replace, *self._state(self._first_state, reset=True))

    def replace(self, integrations: Iterable[Integration]) -> None:
        """Hold these integrations and no others; a reset still goes back to the first state."""
        self._changed(self._connection.replace, *self._state(integrations, reset=False))

    def new_id(self) -> str:
        """Give a UUID of version 4; seeded ones come in the same order as from one store in memory."""
        if self._seed is None:
            return str(uuid.uuid4())
        with self.lock, self._connection as client:
            return self._ids.at(int(client.incr(self._keys[4])))

    def put(self, integration: Integration) -> Stored:
        """Store an integration under its id, in the place of the one that has it."""
        stored = Stored(integration, self._answer(integration))
        self._changed(self._connection.put, integration["id"], integration["name"], _text(integration))
        return stored

    def remove(self, id: str) -> None:
        """Remove the integration with this id, if there is one."""
        self._changed(self._connection.remove, id)


def _text(integration: Integration) -> str:
    return json.dumps(integration, ensure_ascii=False, separators=(",", ":"))


class _SeededIds:
    """The ids of a seed, by their number: other replicas may have given some of them."""

    def __init__(self, seed: int | None) -> None:
        self._seed = seed
        self._restart()

    def _restart(self) -> None:
        self._random = random.Random(self._seed)
        self._given = 0

    def at(self, number: int) -> str:
        """Give the id of that number, counted from 1."""
        if number <= self._given:  # after a reset
            self._restart()
        while self._given < number:
            self._given += 1
            bits = self._random.getrandbits(128)
        return str(uuid.UUID(int=bits, version=4))
