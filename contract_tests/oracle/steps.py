"""Steps that many checks share: an update, a DELETE, a filtered list."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from contract_tests.engine.central import Central, brief
from contract_tests.engine.exchange import Reply
from contract_tests.engine.integrations import Body

HEALTH_IS_WRITTEN = 0.5
"""Seconds after a create by which Central has written the health record that a DELETE requires."""

EARLY_DELETE = "A DELETE right after the create answers 404 although it deletes, as on deployed Central."


def filtered(central: Central, query: str) -> list[str]:
    """Return the ids in the list for a query that begins with a question mark."""
    reply = central.list(query)
    items = reply.integrations
    central.true(items is not None, f"the list with {query} has no `integrations`", expected="a list", got=brief(reply))
    return [str(item.get("id")) for item in items or ()]


def updates(central: Central) -> list[tuple[str, Callable[[str, Body], Reply]]]:
    """Return the requests that replace an integration with its credentials, by their names."""
    return [("PUT", central.put), ("PATCH", partial(central.patch, update_password=True))]


def tests(central: Central) -> list[tuple[str, Callable[[Body], Reply]]]:
    """Return the requests that test an integration with its credentials, by their names."""
    return [("/test", central.test), ("/test/updated", partial(central.test_updated, update_password=True))]


def updated(central: Central, way: str, id: str, body: Body) -> None:
    """Update an integration by PUT or PATCH (`way`), including its credentials."""
    reply = dict(updates(central))[way](id, body)
    central.ok(reply, f"{way} of type {body['type']}")
    central.same(reply.json, {}, f"the answer to {way}")


def too_early(central: Central, id: str, reply: Reply) -> bool:
    """Return whether a DELETE was answered 404 but deleted, as Central does shortly after the create."""
    early = reply.status == 404 and central.get(id).status == 404
    if early:
        central.note(EARLY_DELETE)
    return early


def deleted(central: Central, id: str, delete: Callable[[str], Reply] | None = None) -> bool:
    """Delete an integration and check that DELETE answers 200 and {}; return whether this DELETE was answered 200.

    Central writes the health record of an integration shortly after the create. An earlier DELETE
    deletes, but is answered 404. In this case the DELETE of an older integration must answer 200.
    """
    reply = (delete or central.delete)(id)
    early = too_early(central, id, reply)
    if early:
        if delete is None and "old-deleted" in central.shared.controls:
            return False
        older, _ = central.created()
        time.sleep(HEALTH_IS_WRITTEN)
        reply = (delete or central.delete)(older)
        if delete is None and reply.status == 200:
            central.shared.controls.add("old-deleted")
    central.ok(reply, "DELETE of an integration")
    central.same(reply.json, {}, "the answer to DELETE")
    if delete is not None and not early:
        central.gone(id)
    return not early
