"""Time: no answer is slow, no kind of request is, and cost does not grow with what is stored.

What the whole run has measured is looked at first. Only what looks slow there is measured again, and
only what is slow again is a fault: a busy machine is slow once.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from contract_tests.checks.registry import all_checks, check
from contract_tests.engine.central import Central
from contract_tests.engine.failures import CheckFailed
from contract_tests.engine.integrations import Body
from contract_tests.engine.transport import COLLECTION, Exchange, read_json
from contract_tests.oracle.observers import operation_of

SLOW = 0.8
"""Seconds from which an answer is slow where others take less than `QUICK`."""
QUICK = 0.1
_ALIKE = 1.25
"""Slow answers whose lengths differ by less than this factor were made slow by one thing."""
_APART = 10
"""Requests that lie between two stalls of a machine; what is closer is one stall."""
_LONG_BODY = 1_000_000
_AGAIN = 3
_ENOUGH = 4
"""Answers to one kind of request, alike slow, that need not be seen again."""
_MOST_AGAIN = 300
_LONG_TEXT = 0.25
"""Seconds that reading a long text may take more than reading a short one."""
_LONGEST = 30.0
"""Seconds that measuring again may take."""


@check(
    "response-time",
    "latency",
    needs=("create",),
    alone=True,
    title="No operation and no type is slow, always or now and then",
)
def response_time(central: Central) -> None:
    measured = _measured(central)
    if not measured:
        _play(central, 40, 0)
        measured = _measured(central)
    limit = central.options.max_response_time
    _see_none_above(central, [each for each in measured if each.elapsed > limit], limit)
    usual = median(each.elapsed for each in measured)
    if usual > QUICK:
        return  # a slow way to the target hides what this looks for
    at_once = {each.id for each in all_checks().values() if each.group == "concurrency"}
    slow = [each for each in measured if each.elapsed > SLOW and each.check not in at_once]
    if slow:
        _see_no_kind_slow(central, slow, usual)
        _see_none_regular(central, slow, usual)


def _measured(central: Central) -> list[Exchange]:
    return [each for each in central.transport.exchanges if len(each.body) < _LONG_BODY]


def _kind(exchange: Exchange) -> str:
    operation = operation_of(exchange)
    name = operation.id if operation else f"{exchange.method} {urlsplit(exchange.path).path}"
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


def _see_none_above(central: Central, late: Sequence[Exchange], limit: float) -> None:
    """See that no answer took longer than the limit: twice at different moments, or again."""
    stalls = [each for index, each in enumerate(late) if not index or each.number - late[index - 1].number > _APART]
    if not late or (len(stalls) < 2 and max(_times_again(central, late[0], 1)) <= limit):
        return
    worst = max(late, key=lambda each: each.elapsed)
    central.history = list(late[:3])
    raise CheckFailed(
        f"{_kind(worst)} took longer than {limit:g} s",
        expected=f"at most {limit:g} s",
        got=[f"{each.method} {urlsplit(each.path).path}: {each.elapsed:.1f} s" for each in late[:5]],
        intermittent=len(late) < sum(_kind(each) == _kind(worst) for each in _measured(central)),
    )


# -- slow beside others ---------------------------------------------------------------------------


def _see_no_kind_slow(central: Central, slow: Sequence[Exchange], usual: float) -> None:
    """See that no kind of request is slow each time: three like it are sent again."""
    kinds = {_kind(each): each for each in slow}
    started = time.monotonic()
    for kind, exchange in sorted(kinds.items(), key=lambda item: -item[1].elapsed)[:5]:
        times = _times_again(central, exchange, _AGAIN)
        if median(times) > SLOW:
            raise CheckFailed(
                f"{kind} is slow", expected=f"about {usual * 1000:.0f} ms, as others", got=f"{median(times):.2f} s"
            )
        if time.monotonic() - started > _LONGEST:
            return


def _times_again(central: Central, exchange: Exchange, times: int) -> list[float]:
    """Send requests like one of the run, each with a name and an id of its own, and give the seconds they take."""
    found = []
    for _ in range(times):
        with central.case():
            value = _renamed(central, exchange)
            path = _path_again(central, exchange, value)
            sent: dict[str, Any] = {"body": exchange.body} if value is None and exchange.body else {"value": value}
            prepared = len(central.history)
            if exchange.method == "POST" and path == COLLECTION:
                central.create(**sent)
            else:
                central.send(exchange.method, path, role=exchange.role, **sent)
            found.append(max(each.elapsed for each in central.history[prepared:]))
    return found


def _path_again(central: Central, exchange: Exchange, value: Any) -> str:
    """Return the path of a request like one of the run; what it needs is created."""
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
    """Return what was sent, under a new name that is as long; None where it was no JSON object."""
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


def _see_none_regular(central: Central, slow: Sequence[Exchange], usual: float) -> None:
    """See that not every n-th request is slow: where two took alike long, as many are sent as lie between."""
    alike = _alike(slow)
    if len(alike) < 2:
        return
    numbers = sorted(each.number for each in alike)
    gap = max(after - before for before, after in pairwise(numbers))
    mark = len(central.transport.exchanges)
    _play(central, min(_MOST_AGAIN, 3 * gap + 10), mark)
    again = [each for each in central.transport.exchanges[mark:] if each.elapsed > SLOW]
    if len(_alike(again)) < 2:
        of_one_kind = len({_kind(each) for each in alike}) == 1
        if len(alike) < _ENOUGH or not of_one_kind:
            return
        again = alike
    central.history = again[:3]
    raise CheckFailed(
        f"{len(again)} answers took nearly the same long time",
        expected=f"about {usual * 1000:.0f} ms, as others",
        got=[f"request {each.number}, {_kind(each)}: {each.elapsed:.2f} s" for each in again[:5]],
        intermittent=True,
    )


def _alike(exchanges: Sequence[Exchange]) -> list[Exchange]:
    """Return the most answers that took nearly the same time."""
    ordered = sorted(exchanges, key=lambda each: each.elapsed)
    groups = (
        [each for each in ordered[start:] if each.elapsed < _ALIKE * ordered[start].elapsed]
        for start in range(len(ordered))
    )
    return max(groups, key=len, default=[])


def _play(central: Central, requests: int, mark: int) -> None:
    """Send requests of every kind, at least as many as given, counted from a place in the run's exchanges."""
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


@check(
    "cost-growth",
    "latency",
    needs=("create",),
    alone=True,
    title="A request costs the same with many integrations as with few",
)
def cost_growth(central: Central) -> None:
    """A quick run measures only what was slower when more was stored."""
    more = min({"quick": 20, "default": 60, "deep": 150}[central.options.profile], central.options.max_live - 10)
    if central.quick and not list(_grown(*_costs_so_far(central.transport.exchanges), _MANY)):
        return
    few = _costs(central)
    with central.case():
        for _ in range(more):
            central.created()
        many = _costs(central)
        grown = list(_grown(few, many, more))
        again = _costs(central) if grown else many
    if not grown:
        return
    few_again = _costs(central)
    for what in grown:
        if {what} <= set(_grown(few_again, again, more)):
            raise CheckFailed(
                f"{what} is slower with {more} more integrations",
                expected=f"about {few_again[what] * 1000:.0f} ms",
                got=f"{again[what] * 1000:.0f} ms",
            )


_FEW, _MANY = 6, 12
"""Integrations of a run up to which, and from which on, a request tells what more of them cost."""


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
            (few if stored <= _FEW else many)[_costing(exchange)].append(exchange.elapsed)
        stored += {"PostImageIntegration": 1, "DeleteImageIntegration": -1}.get(operation.id, 0)
    return {what: median(each) for what, each in few.items()}, {what: median(each) for what, each in many.items()}


def _costing(exchange: Exchange) -> str:
    operation = operation_of(exchange)
    what = operation.id if operation else exchange.path
    return f"{what} by name" if "?name=" in exchange.path else what


def _grown(few: dict[str, float], many: dict[str, float], more: int) -> Iterator[str]:
    """Name what costs more by at least a half and 50 ms, and by 2 ms for each integration more."""
    for what, cost in many.items():
        growth = cost - few.get(what, cost)
        if growth > max(0.05, 0.5 * few.get(what, cost), 0.002 * more):
            yield what


def _costs(central: Central) -> dict[str, float]:
    """Return the seconds that each operation takes."""
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
            found[_costing(exchange)].append(exchange.elapsed)
    return {what: median(each) for what, each in found.items()}


@check(
    "slow-input", "latency", needs=("create",), alone=True, title="A long text costs no more time than reading it takes"
)
def slow_input(central: Central) -> None:
    def seconds(length: int) -> float:
        with central.case():
            id, _ = central.created(name=central.name("x" * length))
            central.get(id)
            return max(exchange.elapsed for exchange in central.history)

    long = seconds(5000)
    if long < _LONG_TEXT:
        return
    short = seconds(10)
    if long - short > _LONG_TEXT and min(long, seconds(5000)) - short > _LONG_TEXT:
        raise CheckFailed(
            "a create with a name of 5,000 characters is slow",
            expected=f"about {short * 1000:.0f} ms",
            got=f"{long:.2f} s",
        )
