"""The integrations of a Central that several replicas share, in Redis or Valkey.

A sandbox is one hash, so a server that evicts keys evicts whole sandboxes, and each call is atomic. The lock is another
key, in the same slot due to the braces of ``{PREFIX:SANDBOX}:``. Writes hold the lock. It expires, and a write without
it is refused, so nothing changes between the check of a caller and its write.
"""

from __future__ import annotations

import copy
import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

import redis

from mock_server.central.errors import Refusal
from mock_server.central.integration import Integration
from mock_server.central.store import Store, Stored
from mock_server.state.memory import joined
from mock_server.state.redis_connection import ENCODING_ERRORS, Connection, unavailable

LOCK_SECONDS = 5.0
"""Seconds until the lock of a crashed replica expires; a write takes milliseconds."""
WAIT_SECONDS = 10.0
"""Seconds that a write waits for the lock."""
MOST_RENDERED = 16_384
"""Number of answers in the cache of a replica."""

_POLL = 0.002
_BEGINNINGS = 5
"""Attempts to create a sandbox that the server evicts before it can be read."""

# The fields of a sandbox: `changes`, `count`, `ids` (how many a seed gave), `n:NAME` (an id) and `i:ID` (the number of
# the change that made the integration, a blank, its JSON).
# Every write checks lock and sandbox, because they may have expired since the caller checked.
_HEAD = """
local sandbox, lock = unpack(KEYS)
local function forget_name(id)
  local old = redis.call('HGET', sandbox, 'i:' .. id)
  if not old then return end
  local order, integration = string.match(old, '^(%d+) (.*)$')
  local name = 'n:' .. cjson.decode(integration)['name']
  if redis.call('HGET', sandbox, name) == id then redis.call('HDEL', sandbox, name) end
  return order
end
local function keep_for(milliseconds)
  if milliseconds ~= '0' then redis.call('PEXPIRE', sandbox, milliseconds) end
end
"""
_PUT = f"""{_HEAD}
local token, milliseconds, id, name, integration = unpack(ARGV)
if redis.call('GET', lock) ~= token or redis.call('HEXISTS', sandbox, 'changes') == 0 then return 0 end
local order = forget_name(id)
local changes = redis.call('HINCRBY', sandbox, 'changes', 1)
if not order then
  order = string.format('%.0f', changes)
  redis.call('HINCRBY', sandbox, 'count', 1)
end
redis.call('HSET', sandbox, 'i:' .. id, order .. ' ' .. integration, 'n:' .. name, id)
keep_for(milliseconds)
return 1
"""
_REMOVE = f"""{_HEAD}
local token, milliseconds, id = unpack(ARGV)
if redis.call('GET', lock) ~= token or redis.call('HEXISTS', sandbox, 'changes') == 0 then return 0 end
if forget_name(id) then
  redis.call('HDEL', sandbox, 'i:' .. id)
  redis.call('HINCRBY', sandbox, 'count', -1)
end
redis.call('HINCRBY', sandbox, 'changes', 1)
keep_for(milliseconds)
return 1
"""
# Without a token it creates a sandbox, once. Changes are counted from the current time, so that no number repeats, even
# if the server has lost everything in between.
_REPLACE = f"""{_HEAD}
local token, milliseconds, now, reset = unpack(ARGV, 1, 4)
local held = redis.pcall('HMGET', sandbox, 'changes', 'ids')
if held.err then held = {{}} end
local last, ids = unpack(held)
if token == '' then
  if last then return 0 end
elseif redis.call('GET', lock) ~= token then
  return 0
end
redis.call('DEL', sandbox)
if ids and tonumber(ids) and reset == '0' then redis.call('HSET', sandbox, 'ids', ids) end
local changes, count = tonumber(last) or tonumber(now), 0
for at = 5, #ARGV, 3 do
  changes = changes + 1
  local integration = string.format('%.0f ', changes) .. ARGV[at + 2]
  count = count + redis.call('HSET', sandbox, 'i:' .. ARGV[at], integration)
  redis.call('HSET', sandbox, 'n:' .. ARGV[at + 1], ARGV[at])
end
redis.call('HSET', sandbox, 'changes', string.format('%.0f', changes + 1), 'count', count)
keep_for(milliseconds)
return 1
"""
_NAMED = """
local changes, id = unpack(redis.call('HMGET', KEYS[1], 'changes', 'n:' .. ARGV[1]))
return {changes, id and redis.call('HGET', KEYS[1], 'i:' .. id)}
"""


class _Lock:
    """Re-entrant lock of one thread of one replica."""

    def __init__(self, connection: Connection, key: str) -> None:
        self._connection = connection
        self._key = key
        self._threads = threading.RLock()
        self._depth = 0
        self.token = ""
        """What the key holds while this replica has the lock."""

    def __enter__(self) -> None:
        until = time.monotonic() + WAIT_SECONDS
        if not self._threads.acquire(timeout=WAIT_SECONDS):
            raise self._taken()
        try:
            if self._depth == 0:
                self._acquire(until)
        except BaseException:
            self._threads.release()
            raise
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        try:
            # The write is done; a lock that cannot be released expires.
            if self._depth == 0 and not self._connection.silent:
                with suppress(redis.RedisError):
                    self._held.release()
        finally:
            self._threads.release()

    def _acquire(self, until: float) -> None:
        with self._connection as client:
            self._held = client.lock(self._key, timeout=LOCK_SECONDS, sleep=_POLL, thread_local=False)
            self.token = uuid.uuid4().hex
            got = self._held.acquire(blocking_timeout=max(0.0, until - time.monotonic()), token=self.token)
        if not got:
            raise self._taken()

    def _taken(self) -> Refusal:
        return unavailable(f"the store {self._connection.address} was locked for {WAIT_SECONDS:g} seconds")


class RedisStore:
    """A store on a server, shared by all replicas with the same URL and prefix."""

    def __init__(
        self,
        url: str,
        initial_state: Iterable[Integration],
        answer: Callable[[Integration], bytes],
        *,
        prefix: str,
        sandbox_seconds: float,
        seed: int | None = None,
        shuffled: bool = False,
    ) -> None:
        """`sandbox_seconds`: the server deletes a sandbox after this idle time. For the rest see `MemoryStore`."""
        self._connection = Connection(url)
        self._answer = answer
        self._initial_state = list(initial_state)
        self._prefix = prefix
        self._sandbox_seconds = sandbox_seconds
        self._seed = seed
        self._shuffled = shuffled
        self.problem = ""
        script = self._connection.client.register_script
        self._put, self._remove, self._replace, self._named = map(script, (_PUT, _REMOVE, _REPLACE, _NAMED))
        # Shared by all sandboxes, because rendering does not depend on them.
        self._stored = lru_cache(MOST_RENDERED)(self._read)
        self.bind("")

    def _read(self, text: bytes) -> Stored:
        integration = json.loads(text)
        return Stored(integration, self._answer(integration))

    def fork(self) -> RedisStore:
        """Return a store for another sandbox; `bind` it before use."""
        return copy.copy(self)

    def bind(self, sandbox: str) -> None:
        """Use the server's state of this sandbox."""
        self.sandbox = sandbox
        self._key, lock = self._keys = [f"{{{self._prefix}:{sandbox}}}:{key}" for key in ("state", "lock")]
        self.lock = _Lock(self._connection, lock)
        self._milliseconds = int(self._sandbox_seconds * 1000) if sandbox else 0
        self._kept_until = 0.0
        self._listed: tuple[int, tuple[bytes, ...], bytes] | None = None
        self._ids = _SeededIds(self._seed)

    def adopt(self, other: Store) -> None:
        """Use the server's state of the other store's sandbox."""
        assert isinstance(other, RedisStore)
        self.bind(other.sandbox)

    def free(self) -> None:
        """Delete the sandbox on the server."""
        with self.lock, self._connection as client:
            client.delete(self._key)

    # -- reading ----------------------------------------------------------------------------------

    def _asked(self, ask: Callable[[redis.Redis], Sequence[Any]]) -> Sequence[Any]:
        """Return the result of a script, the number of changes first; create the sandbox if it is missing."""
        for _ in range(_BEGINNINGS):
            with self._connection as client:
                found = ask(client)
                self._keep_longer(client)
            if found[0] is not None:
                return found
            self._begin()
        raise unavailable(f"the store {self._connection.address} evicts a sandbox as soon as it is written")

    def _fields(self, *names: str) -> Sequence[Any]:
        """Return the number of changes and these fields, read atomically."""
        return self._asked(lambda client: client.hmget(self._key, ["changes", *names]))

    def _keep_longer(self, client: redis.Redis) -> None:
        """Renew the expiry of a sandbox in use."""
        now = time.monotonic()
        if self._milliseconds and now >= self._kept_until:
            self._kept_until = now + self._sandbox_seconds / 10
            client.pexpire(self._key, self._milliseconds)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Raise a refusal for data that no mock has written."""
        try:
            yield
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise unavailable(
                f"the store {self._connection.address} holds invalid data under {self._key} "
                f"({type(error).__name__}); POST /__admin/reset starts over"
            ) from None

    @property
    def changes(self) -> int:
        """Number of changes by all replicas so far."""
        fields = self._fields()
        with self._reading():
            return int(fields[0])

    def integrations(self) -> list[Integration]:
        """List the stored integrations, credentials in clear text, in the order of creation."""
        return [stored.integration for stored in self._all()[1]]

    def _all(self) -> tuple[int, list[Stored]]:
        changes, held = self._asked(self._everything)
        found = (text.partition(b" ") for field, text in held.items() if field.startswith(b"i:"))
        with self._reading():
            return int(changes), [self._stored(text) for _, _, text in sorted(found, key=lambda parts: int(parts[0]))]

    def _everything(self, client: redis.Redis) -> tuple[bytes | None, dict[bytes, bytes]]:
        held: Any = client.hgetall(self._key)
        return held.get(b"changes"), held

    def get(self, id: str) -> Stored | None:
        """Return the integration with exactly this id."""
        return self._found(self._fields(f"i:{id}")[1])

    def _found(self, text: bytes | None) -> Stored | None:
        if text is None:
            return None
        with self._reading():
            return self._stored(text.partition(b" ")[2])

    def id_of_name(self, name: str) -> str | None:
        """Return the id of the integration with exactly this name."""
        id: bytes | None = self._fields(f"n:{name}")[1]
        return None if id is None else id.decode(errors=ENCODING_ERRORS)

    def list_named(self, name: str) -> bytes:
        """Render the list of the integration with exactly this name."""
        found = self._found(self._asked(lambda _: self._named([self._key], (name,)))[1])
        return joined([found.answer] if found else [])

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
        fields = self._fields("count")
        with self._reading():
            return int(fields[1])

    # -- writing ----------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Write the initial state, unless another replica already did."""
        self._write(self._replace, "", self._milliseconds, *self._state(self._initial_state, reset=True))

    def _state(self, integrations: Iterable[Integration], *, reset: bool) -> Iterator[str | int]:
        yield time.time_ns() // 1000
        yield int(reset)
        for each in integrations:
            yield from (each["id"], each["name"], _text(each))

    def _changed(self, script: Any, *arguments: str | int) -> None:
        with self.lock:
            if not self._write(script, self.lock.token, self._milliseconds, *arguments):
                raise unavailable(
                    f"the store {self._connection.address} released an expired lock after {LOCK_SECONDS:g} seconds; "
                    f"nothing was stored"
                )

    def _write(self, script: Any, *arguments: str | int) -> bool:
        with self._connection:
            return bool(script(self._keys, arguments))

    def reset(self) -> None:
        """Restore the initial state, and restart the seeded ids."""
        self._changed(self._replace, *self._state(self._initial_state, reset=True))

    def replace(self, integrations: Iterable[Integration]) -> None:
        """Replace all integrations with these; a reset still restores the initial state."""
        self._changed(self._replace, *self._state(integrations, reset=False))

    def new_id(self) -> str:
        """Return a UUID of version 4; seeded ones come in the same order as from a store in memory."""
        if self._seed is None:
            return str(uuid.uuid4())
        with self.lock, self._connection as client:
            return self._ids.at(int(client.hincrby(self._key, "ids", 1)))

    def put(self, integration: Integration) -> Stored:
        """Store an integration under its id, replacing the previous one."""
        stored = Stored(integration, self._answer(integration))
        self._changed(self._put, integration["id"], integration["name"], _text(integration))
        return stored

    def remove(self, id: str) -> None:
        """Remove the integration with this id, if there is one."""
        self._changed(self._remove, id)


def _text(integration: Integration) -> str:
    return json.dumps(integration, ensure_ascii=False, separators=(",", ":"))


class _SeededIds:
    """The seeded ids by number, because other replicas may have used some."""

    def __init__(self, seed: int | None) -> None:
        self._random = random.Random(seed)
        self._ids: list[str] = []

    def at(self, number: int) -> str:
        """Return the id with this number, from 1; after a reset the numbers start again."""
        while len(self._ids) < number:
            self._ids.append(str(uuid.UUID(int=self._random.getrandbits(128), version=4)))
        return self._ids[number - 1]
