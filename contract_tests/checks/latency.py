"""Time: no answer is slow, no kind of request is, and cost does not grow with what is stored."""

from __future__ import annotations

import time
from collections import defaultdict
from statistics import median

from contract_tests.central import Central
from contract_tests.failures import CheckFailed
from contract_tests.observers import operation_of
from contract_tests.registry import check

SLOW = 0.8
"""Seconds from which an answer is slow where others take less than `QUICK`."""

QUICK = 0.1


@check(
    "response-time",
    "latency",
    needs=("create",),
    alone=True,
    title="No operation and no type is slow, always or now and then",
)
def response_time(central: Central) -> None:
    limit = central.options.max_response_time
    for exchange in list(central.transport.exchanges):
        if exchange.elapsed > limit and len(exchange.body) < 1_000_000:
            raise CheckFailed(
                f"{exchange.method} {exchange.path.split('?')[0]} took longer than {limit:g} s",
                expected=f"at most {limit:g} s",
                got=f"{exchange.elapsed:.1f} s",
            )
    usual = median([each.elapsed for each in central.transport.exchanges] or [0.0])
    if usual > QUICK:
        return  # a slow way to the target hides what this looks for
    slow: dict[str, list[float]] = defaultdict(list)
    for exchange in central.transport.exchanges:
        if exchange.elapsed > SLOW and len(exchange.body) < 1_000_000:
            operation = operation_of(exchange)
            slow[operation.id if operation else exchange.path].append(exchange.elapsed)
    if slow:
        _confirm(central, usual)


def _confirm(central: Central, usual: float) -> None:
    """Measure again: what is slow twice is slow, what is slow once was the machine."""
    started = time.monotonic()
    times: dict[str, list[float]] = defaultdict(list)
    for _ in range(3):
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
                for exchange in central.history:
                    operation = operation_of(exchange)
                    times[f"{operation.id if operation else exchange.path} ({type})"].append(exchange.elapsed)
        if time.monotonic() - started > 30:
            break
    outliers = [seconds for each in times.values() for seconds in each if seconds > SLOW]
    always = {what: each for what, each in times.items() if median(each) > SLOW}
    if always:
        what, each = max(always.items(), key=lambda item: median(item[1]))
        raise CheckFailed(
            f"{what} is slow", expected=f"about {usual * 1000:.0f} ms, as others", got=f"{median(each):.2f} s"
        )
    if len(outliers) >= 2 and max(outliers) < 1.25 * min(outliers):
        raise CheckFailed(
            f"{len(outliers)} answers took nearly the same long time",
            expected=f"about {usual * 1000:.0f} ms, as others",
            got=[f"{seconds:.2f} s" for seconds in outliers[:5]],
            intermittent=True,
        )


@check(
    "cost-growth",
    "latency",
    needs=("create",),
    alone=True,
    title="A request costs the same with many integrations as with few",
)
def cost_growth(central: Central) -> None:
    more = {"quick": 8, "default": 60, "deep": 150}[central.options.profile]

    def costs() -> dict[str, float]:
        found: dict[str, list[float]] = defaultdict(list)
        for _ in range(2 if central.options.profile == "quick" else 3):
            mark = len(central.transport.exchanges)
            id, sent = central.created()
            central.get(id)
            central.list()
            central.list(f"?name={sent['name']}")
            central.put(id, sent)
            central.remove(id)
            for exchange in central.transport.exchanges[mark:]:
                operation = operation_of(exchange)
                found[operation.id if operation else exchange.path].append(exchange.elapsed)
        return {what: median(each) for what, each in found.items()}

    with central.case():
        few = costs()
        for _ in range(more):
            central.created()
        many = costs()
        grown = [what for what in few if many[what] > 5 * few[what] and many[what] - few[what] > 0.05]
        if grown:
            again = costs()  # a busy machine does not stay so busy
            grown = [what for what in grown if again[what] > 5 * few[what] and again[what] - few[what] > 0.05]
        if grown:
            raise CheckFailed(
                f"{grown[0]} is slower with {more} more integrations",
                expected=f"about {few[grown[0]] * 1000:.0f} ms",
                got=f"{many[grown[0]] * 1000:.0f} ms",
            )


@check(
    "slow-input", "latency", needs=("create",), alone=True, title="A long text costs no more time than reading it takes"
)
def slow_input(central: Central) -> None:
    def seconds(length: int) -> float:
        with central.case():
            id, _ = central.created(name=central.name("x" * length))
            central.get(id)
            return max(exchange.elapsed for exchange in central.history)

    short, long = seconds(10), seconds(5000)
    if long - short > 0.25 and min(long, seconds(5000)) - short > 0.25:
        raise CheckFailed(
            "a create with a name of 5,000 characters is slow",
            expected=f"about {short * 1000:.0f} ms",
            got=f"{long:.2f} s",
        )
