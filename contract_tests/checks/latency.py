"""Time: no answer and no kind of request is slow, and cost does not grow with the number of integrations.

The checks judge everything that the run has recorded, even without budget, relative to the target itself: an answer is
slow compared with those before and after it, because a busy machine slows these down, too. If the budget allows, a
request that looks slow is sent again between requests that cost nothing.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from contract_tests.checks.concurrency import CLIENTS, Clients, Send
from contract_tests.checks.registry import all_checks, check
from contract_tests.engine.central import Central
from contract_tests.engine.exchange import COLLECTION, Exchange, read_json
from contract_tests.engine.failures import BudgetSpent, CheckFailed
from contract_tests.engine.integrations import Body
from contract_tests.oracle.observers import operation_of

SLOW = 0.8
"""Answers that took fewer seconds than this are never slow."""
_TIMES_USUAL = 8
"""A slow answer takes at least this many times as long as the others."""
_BESIDE = 4
"""An answer is slow by itself if it takes at least this many times as long as its neighbours."""
_NEIGHBOURS = 3
"""Number of requests before, and of requests after, that show how busy the machine was."""
_NEAR = 12
"""Greatest distance of these neighbours, in requests."""
_ALIKE = 1.25
"""Slow answers whose times differ by less than this factor have the same cause."""
_SHARE = 3
"""If at least one in this many requests of a kind is too slow, that is not a coincidence."""
_MOST_KINDS = 5
"""Number of kinds of requests that are sent again."""
_LONG_BODY = 1_000_000
_AGAIN = 3
"""Number of times to repeat a request that was slow once."""
_AGAIN_OFTEN = 9
"""Number of times to repeat a request of a kind that was often slow; it need not be slow each time."""
_CONFIRMED = 2
"""Number of slow repetitions that confirm a slow answer."""
_FEWEST = 3
"""Number of slow answers of one kind that suffice as evidence if none can be sent again."""
_ENOUGH = 4
"""Number of single slow answers of one kind that suffice even if similar requests are not slow again."""
_MOST_AGAIN = 300
_LONG_TEXT = 0.25
"""Seconds that reading a long text may take longer than reading a short one."""
_LONGEST = 30.0
"""Seconds that repeated measurements may take."""

ASKS_AWS = "Creates and updates of type ecr take {seconds:.1f} s: Central waits for AWS if it cannot reach it."


@check("slow-input", "latency", "A long text makes an answer slow", alone=True)
def slow_input(central: Central) -> None:
    def seconds(length: int) -> float:
        with central.case():
            id, _ = central.created(name=central.name("x" * length))
            central.get(id)
            return max(exchange.elapsed for exchange in central.history)

    if seconds(5000) < _LONG_TEXT:
        return
    # Alternate, because a busy machine makes short texts slow, too.
    times = [(seconds(10), seconds(5000)) for _ in range(_AGAIN)]
    short, long = max(short for short, _ in times), min(long for _, long in times)
    if long - short > _LONG_TEXT:
        raise CheckFailed(
            "a create with a name of 5,000 characters is slow",
            expected=f"about {short * 1000:.0f} ms",
            got=f"{long:.2f} s",
        )


@check("response-time", "latency", "An operation or a type is slow, always or sometimes", alone=True)
def response_time(central: Central) -> None:
    if len(_measured(central)) < 4 * _NEIGHBOURS:
        _send_mixed_requests(central, 40, 0)
    recorded = Recorded(_measured(central))
    for exchange in recorded.asking_aws:
        if recorded.is_single(exchange):
            central.note(ASKS_AWS.format(seconds=exchange.elapsed))
            break
    _check_none_above(central, recorded, central.options.max_response_time)
    _check_no_kind_slow(central, recorded)
    _check_none_regular(central, recorded)


class Recorded:
    """The exchanges that the run has measured so far."""

    def __init__(self, exchanges: Sequence[Exchange]) -> None:
        self.asking_aws = [each for each in exchanges if _asks_aws(each)]
        self.exchanges = [each for each in exchanges if not _asks_aws(each)]
        self.usual = median(each.elapsed for each in self.exchanges)
        self.slow = max(SLOW, _TIMES_USUAL * self.usual)
        self._by_number = {each.number: each for each in exchanges}
        self._place = {each.number: place for place, each in enumerate(self.exchanges)}
        self._at_once = {each.id for each in all_checks().values() if each.group == "concurrency"}
        self.one_by_one = [each for each in self.exchanges if not self.is_at_once(each)]

    def slow_for(self, operation: str) -> float:
        """Return the seconds from which an operation is slow, compared with the other operations."""
        others = [each.elapsed for each in self.exchanges if _operation(each) != operation]
        return max(SLOW, _TIMES_USUAL * min(self.usual, median(others))) if others else self.slow

    def beside(self, exchange: Exchange) -> float:
        """Return the seconds that requests of other kinds took just before or just after one, whichever is slower.

        A request that is slow by itself has quick neighbours on both sides; on a busy machine, one side is slow, too.
        """
        place = self._place[exchange.number]
        before = self.exchanges[max(0, place - _NEAR) : place][::-1]
        after = self.exchanges[place + 1 : place + 1 + _NEAR]
        kind = operation_of(exchange)
        sides = ([each.elapsed for each in side if operation_of(each) != kind] for side in (before, after))
        return max((median(side[:_NEIGHBOURS]) for side in sides if side), default=self.usual)

    def is_even(self, group: Sequence[Exchange]) -> bool:
        """Return whether the answers took the same time through half of the run, which a busy machine does not cause.

        Their neighbours may be slow by themselves.
        """
        times = [each.elapsed for each in group]
        reach = self._place[group[-1].number] - self._place[group[0].number]
        return len(times) >= _ENOUGH and max(times) < _ALIKE * min(times) and reach > len(self.exchanges) / 2

    def is_at_once(self, exchange: Exchange) -> bool:
        """Return whether a request was sent together with others."""
        return exchange.check in self._at_once

    def group(self, exchange: Exchange) -> str:
        """Return the similar requests: those of the same kind, or those sent at the same moment."""
        return exchange.check if self.is_at_once(exchange) else _kind(exchange)

    def stands_out(self, exchange: Exchange) -> bool:
        """Return whether an answer was slow while others were not."""
        return exchange.elapsed > _BESIDE * self.beside(exchange)

    def is_single(self, exchange: Exchange) -> bool:
        """Return whether an answer was slow, but neither the one before nor the one after it."""
        beside = [self._by_number.get(exchange.number + step) for step in (-1, 1)]
        return exchange.elapsed > self.slow and all(
            exchange.elapsed > _BESIDE * each.elapsed for each in beside if each is not None
        )


def _asks_aws(exchange: Exchange) -> bool:
    """Return whether Central may build an ECR client for a request, which asks AWS for a token."""
    return exchange.method in ("POST", "PUT", "PATCH") and _type_of(exchange) == "ecr"


def _measured(central: Central) -> list[Exchange]:
    exchanges = central.transport.exchanges
    # A test of a registry that does not exist waits for the network.
    return [each for each in exchanges if len(each.body) < _LONG_BODY and each.check != "registry-reachable"]


def _operation(exchange: Exchange) -> str:
    operation = operation_of(exchange)
    return operation.id if operation else f"{exchange.method} {urlsplit(exchange.path).path}"


def _kind(exchange: Exchange) -> str:
    name = _operation(exchange)
    type = _type_of(exchange)
    return f"{name} ({type}, {exchange.status})" if type else f"{name} ({exchange.status})"


def _type_of(exchange: Exchange) -> str | None:
    for content in (exchange.body, exchange.reply):
        value = read_json(content)
        value = value.get("config", value) if isinstance(value, dict) else None
        if isinstance(value, dict) and isinstance(value.get("type"), str):
            return str(value["type"])
    return None


# -- the limit ------------------------------------------------------------------------------------


def _check_none_above(central: Central, recorded: Recorded, limit: float) -> None:
    """Check that no answer exceeded the limit while others were quick.

    A late answer counts if similar requests are late again, or if many of its kind were.
    """
    late: dict[str, list[Exchange]] = defaultdict(list)
    for each in recorded.exchanges:
        if each.elapsed > limit and recorded.stands_out(each):
            late[recorded.group(each)].append(each)
    for group, some in sorted(late.items(), key=lambda each: -len(each[1]))[:_MOST_KINDS]:
        all_of_it = [each for each in recorded.exchanges if recorded.group(each) == group]
        often = len(some) > 1 and len(some) * _SHARE >= len(all_of_it)
        clients = CLIENTS if recorded.is_at_once(some[-1]) else 1
        again = _slow_again(central, some[-1], limit, _AGAIN_OFTEN if often else _AGAIN, clients)
        certain = often and (again is None or sum(map(recorded.is_single, some)) >= _ENOUGH)
        if not again and not certain:
            continue
        central.history = some[:3]
        worst = max(some, key=lambda each: each.elapsed)
        raise CheckFailed(
            f"{_kind(worst)} took longer than {limit:g} s",
            expected=f"at most {limit:g} s; other requests take about {recorded.usual * 1000:.0f} ms",
            got=[f"{each.method} {urlsplit(each.path).path}: {each.elapsed:.1f} s" for each in some[:5]],
            intermittent=len(some) < len(all_of_it),
        )


# -- slow beside others ---------------------------------------------------------------------------


def _check_no_kind_slow(central: Central, recorded: Recorded) -> None:
    """Check that no operation, and no kind of request to one, is always slow."""
    started = time.monotonic()
    suspects = []
    for kind, group in _by_kind(recorded.one_by_one).items():
        seconds = median(each.elapsed for each in group)
        beside = median(recorded.beside(each) for each in group)
        stands_out = seconds > _BESIDE * beside or recorded.is_even(group)
        if seconds > SLOW and seconds > recorded.slow_for(kind[0]) and stands_out:
            suspects.append((kind, group, seconds))
    # The broadest kind first: if an operation is slow, so is each of its types.
    for kind, group, seconds in sorted(suspects, key=lambda each: (len(each[0]), -each[2]))[:_MOST_KINDS]:
        slow = recorded.slow_for(kind[0])
        again = _slow_again(central, max(group, key=lambda each: each.number), slow, _AGAIN)
        if again or (again is None and len(group) >= _FEWEST):
            central.history = central.history or list(group[-1:])
            if again is None:
                central.history = list(group[:2])
            raise CheckFailed(
                f"{_named(kind)} is slow",
                expected=f"about {recorded.usual * 1000:.0f} ms, like other requests",
                got=f"{seconds:.2f} s",
            )
        if time.monotonic() - started > _LONGEST:
            return


def _by_kind(exchanges: Sequence[Exchange]) -> dict[tuple[str, ...], list[Exchange]]:
    """Return requests by operation, by operation and status, and by operation, status and type."""
    found: dict[tuple[str, ...], list[Exchange]] = defaultdict(list)
    for exchange in exchanges:
        name = _operation(exchange)
        type = _type_of(exchange)
        for kind in ((name,), (name, str(exchange.status)), (name, str(exchange.status), type or "")):
            if kind[-1]:
                found[kind].append(exchange)
    return found


def _named(kind: tuple[str, ...]) -> str:
    return f"{kind[0]} ({', '.join(kind[1:])})" if kind[1:] else kind[0]


def _slow_again(central: Central, exchange: Exchange, limit: float, times: int, clients: int = 1) -> bool | None:
    """Return whether similar requests are slow again, at least twice, or None if the budget has no room for them.

    Each is sent by `clients` at once. Cheap requests before and after it show whether the machine is busy.
    """
    slow, cheap = 0, [_cheap(central)] * clients
    try:
        before = _seconds(central, cheap)
        for _ in central.cases(range(times)):
            found = _seconds(central, [_similar(central, exchange) for _ in range(clients)])
            after = _seconds(central, cheap)
            slow += found > max(limit, _BESIDE * max(before, after))
            if slow == _CONFIRMED:
                return True
            before = after
    except BudgetSpent:
        return None
    return False


def _seconds(central: Central, sends: Sequence[Send]) -> float:
    """Send requests at once and return the seconds of the slowest."""
    if len(sends) == 1:
        return sends[0]().elapsed
    with Clients(central) as clients:
        return max(reply.elapsed for reply in clients.at_once(sends))


def _cheap(central: Central) -> Send:
    """Return a request for which Central does no work."""
    return partial(central.transport.send, "GET", "/v1/nothing", check=central.check)


def _similar(central: Central, exchange: Exchange) -> Send:
    """Return a similar request; create the integration that it needs."""
    value = _renamed(central, exchange)
    path = _path_to_repeat(central, exchange, value)
    sent: dict[str, Any] = {"body": exchange.body} if value is None and exchange.body else {"value": value}
    if exchange.method == "POST" and path == COLLECTION:
        return partial(central.create, **sent)
    return partial(central.send, exchange.method, path, role=exchange.role, **sent)


def _path_to_repeat(central: Central, exchange: Exchange, value: Any) -> str:
    """Return the path for a similar request; create the integration that it needs."""
    if b"already exists" in exchange.reply and isinstance(value, dict):
        value.get("config", value)["name"] = central.created()[1]["name"]
    is_of_one = exchange.path.startswith(f"{COLLECTION}/") and "/test" not in exchange.path
    if is_of_one and exchange.status in (200, 500):
        type = _type_of(exchange)
        id, _ = central.created(type if type in central.creatable_types else "docker")
        return f"{COLLECTION}/{id}"
    if is_of_one and exchange.status == 404:
        return f"{COLLECTION}/{central.unknown_id()}"
    return exchange.path


def _renamed(central: Central, exchange: Exchange) -> Any:
    """Return the body with a new name of the same length, or None if it is not a JSON object."""
    value = read_json(exchange.body)
    if not isinstance(value, dict):
        return None
    inner = value.get("config", value)
    if isinstance(inner, dict) and isinstance(inner.get("name"), str) and inner["name"]:
        inner["name"] = central.name().ljust(len(inner["name"]), "x")
    if isinstance(inner, dict) and inner.get("id"):
        inner["id"] = ""
    return value


# -- slow now and then ----------------------------------------------------------------------------


def _check_none_regular(central: Central, recorded: Recorded) -> None:
    """Check that not every n-th request is slow: if two were equally slow, send as many as lie between them."""
    alike = _similarly_slow([each for each in recorded.one_by_one if recorded.is_single(each)])
    if len(alike) < 2:
        return
    numbers = sorted(each.number for each in alike)
    gap = max(after - before for before, after in pairwise(numbers))
    mark = len(central.transport.exchanges)
    try:
        _send_mixed_requests(central, min(_MOST_AGAIN, 3 * gap + 10), mark)
    except BudgetSpent:
        again = alike if len(alike) >= _ENOUGH else []
    else:
        later = Recorded([*recorded.exchanges[-10:], *central.transport.exchanges[mark:]])
        again = [each for each in later.exchanges if later.is_single(each) and each.number > mark]
        of_one_kind = len({_kind(each) for each in alike}) == 1
        if len(_similarly_slow(again)) < 2:
            again = alike if len(alike) >= _ENOUGH and of_one_kind else []
    if not again:
        return
    central.history = again[:3]
    raise CheckFailed(
        f"{len(again)} answers were slow by nearly the same time",
        expected=f"about {recorded.usual * 1000:.0f} ms, like other requests",
        got=[f"request {each.number}, {_kind(each)}: {each.elapsed:.2f} s" for each in again[:5]],
        intermittent=True,
    )


def _similarly_slow(exchanges: Sequence[Exchange]) -> list[Exchange]:
    """Return the greatest number of answers that took nearly the same time."""
    ordered = sorted(exchanges, key=lambda each: each.elapsed)
    groups = (
        [each for each in ordered[start:] if each.elapsed < _ALIKE * ordered[start].elapsed]
        for start in range(len(ordered))
    )
    return max(groups, key=len, default=[])


def _send_mixed_requests(central: Central, requests: int, mark: int) -> None:
    """Send requests of every kind, at least `requests` since the place `mark` in the run's exchanges."""
    started = time.monotonic()
    taken: Body | None = None
    while True:
        for type in central.creatable_types:
            with central.case():
                id, sent = central.created(type)
                central.get(id)
                central.put(id, sent)
                central.patch(id, sent, update_password=True)
                central.list()
                central.list(f"?name={sent['name']}")
                central.test(central.integration("scannerv4"))
                central.test_updated(central.integration("scannerv4"), update_password=True)
                central.get(central.unknown_id())
                if taken is not None:
                    central.create(central.integration(categories=[]))
                taken = sent
            if len(central.transport.exchanges) - mark >= requests or time.monotonic() - started > _LONGEST:
                return


# -- cost -----------------------------------------------------------------------------------------


@check("cost-growth", "latency", "A request gets slower as the number of integrations grows", alone=True)
def cost_growth(central: Central) -> None:
    """Compare the times with few and with many integrations; a quick run repeats only requests that became slower."""
    more = min({"quick": 20, "default": 60, "deep": 150}[central.options.profile], central.options.max_live - 10)
    if central.quick and not list(_slower_requests(*_costs_so_far(central.transport.exchanges), _MANY)):
        return
    try:
        found = _measured_growth(central, more)
    except BudgetSpent:
        if (found := _recorded_growth(central)) is None:
            raise
    if found is not None:
        what, number, few, many = found
        raise CheckFailed(
            f"{what} is slower with {number} more integrations",
            expected=f"about {few * 1000:.0f} ms",
            got=f"{many * 1000:.0f} ms",
        )


Growth = tuple[str, int, float, float]
"""A request that became slower, the number of additional integrations, and its seconds with few and with many."""


def _measured_growth(central: Central, more: int) -> Growth | None:
    """Measure with few and with many integrations, and confirm a difference by measuring once more."""
    few = _costs(central)
    with central.case():
        for _ in range(more):
            central.created()
        many = _costs(central)
        grown = list(_slower_requests(few, many, more))
        again = _costs(central) if grown else many
    few_again = _costs(central) if grown else few
    still = set(_slower_requests(few_again, again, more))
    return next(((what, more, few_again[what], again[what]) for what in grown if what in still), None)


_CERTAIN = 3
"""Factor by which a recorded growth must exceed the limit if it cannot be measured again."""


def _recorded_growth(central: Central) -> Growth | None:
    """Judge the recorded exchanges if the budget has no room for more."""
    few, many = _costs_so_far(central.transport.exchanges)
    for what in _slower_requests(few, many, _CERTAIN * _MANY):
        if many[what] > _CERTAIN * few[what]:
            return what, _MANY - _FEW, few[what], many[what]
    return None


_FEW, _MANY = 6, 12
"""Few integrations are at most the first number, many at least the second."""


def _costs_so_far(exchanges: Sequence[Exchange]) -> tuple[dict[str, float], dict[str, float]]:
    """Return the seconds that operations took while few and while many integrations of the run were stored."""
    few: dict[str, list[float]] = defaultdict(list)
    many: dict[str, list[float]] = defaultdict(list)
    stored = 0
    for exchange in exchanges:
        operation = operation_of(exchange)
        if operation is None or exchange.status != 200:
            continue
        if stored <= _FEW or stored >= _MANY:
            (few if stored <= _FEW else many)[_cost_key(exchange)].append(exchange.elapsed)
        stored += {"PostImageIntegration": 1, "DeleteImageIntegration": -1}.get(operation.id, 0)
    return {what: median(each) for what, each in few.items()}, {what: median(each) for what, each in many.items()}


def _cost_key(exchange: Exchange) -> str:
    what = _operation(exchange)
    return f"{what} by name" if "?name=" in exchange.path else what


def _slower_requests(few: dict[str, float], many: dict[str, float], more: int) -> Iterator[str]:
    """Name each request that became slower by half, by 50 ms, and by 2 ms for each additional integration."""
    for what, cost in many.items():
        growth = cost - few.get(what, cost)
        if growth > max(0.05, 0.5 * few.get(what, cost), 0.002 * more):
            yield what


def _costs(central: Central) -> dict[str, float]:
    """Return the least seconds that each operation takes in five rounds."""
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(5):
        mark = len(central.transport.exchanges)
        id, sent = central.created()
        central.get(id)
        central.list()
        central.list(f"?name={sent['name']}")
        central.put(id, sent)
        central.remove(id)
        for exchange in central.transport.exchanges[mark:]:
            found[_cost_key(exchange)].append(exchange.elapsed)
    return {what: min(each) for what, each in found.items()}  # a busy machine only adds to it
