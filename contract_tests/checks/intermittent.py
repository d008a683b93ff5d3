"""Faults that show now and then: the same request often, every answer counted."""

from __future__ import annotations

from collections.abc import Callable

from contract_tests.central import Central
from contract_tests.failures import CheckFailed
from contract_tests.integrations import read_answer
from contract_tests.registry import check


def repeated(what: str, times: int, once: Callable[[], str | None]) -> None:
    """Do something often; `once` gives what was wrong. Some wrong is intermittent, all wrong is not."""
    wrong = [found for _ in range(times) if (found := once())]
    if wrong:
        raise CheckFailed(
            f"{what}: {len(wrong)} of {times} went wrong",
            expected="each the same",
            got=wrong[0],
            intermittent=len(wrong) < times,
        )


def rounds(central: Central, quick: int, default: int) -> int:
    """Give how often to repeat."""
    return {"quick": quick, "default": default, "deep": default * 3}[central.options.profile]


@check("creates-repeat", "lifecycle", needs=("read-after-create",), title="Every create stores, every time")
def creates_repeat(central: Central) -> None:
    def once() -> str | None:
        body = central.integration()
        reply = central.create(body)
        id = str(reply.object.get("id"))
        read = central.get(id)
        wrong = None
        if reply.status != 200 or read.json != read_answer(central.contract, body, id):
            wrong = f"create {reply.status}, then GET {read.status}: {read.text[:200]}"
        if reply.status == 200:
            deleted = central.delete(id)
            if deleted.status != 200:
                wrong = wrong or f"delete {deleted.status}: {deleted.text[:200]}"
        return wrong

    with central.case():
        repeated("create, read, delete", rounds(central, 8, 40), once)


@check("updates-repeat", "lifecycle", needs=("update-read-back",), title="Every update stores, every time")
def updates_repeat(central: Central) -> None:
    with central.case():
        id, sent = central.created()
        serial = 0

        def once() -> str | None:
            nonlocal serial
            serial += 1
            body = sent | {"docker": sent["docker"] | {"username": f"robot-{serial}"}}
            reply = central.put(id, body)
            got = central.get(id).json
            if reply.status == 200 and got == read_answer(central.contract, body, id):
                return None
            return f"PUT {reply.status}, then {str(got)[:200]}"

        repeated("update, read", rounds(central, 5, 30), once)


@check("reads-steady", "lifecycle", needs=("list",), writes=False, title="Every read answers, every time")
def reads_steady(central: Central) -> None:
    def once() -> str | None:
        reply = central.list()
        return None if reply.status == 200 and isinstance(reply.json, dict) else f"{reply.status}: {reply.text[:200]}"

    repeated("the list", rounds(central, 6, 60), once)
