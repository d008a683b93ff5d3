"""What the harness sees to on every answer, as checks of plain schemathesis.

    SCHEMATHESIS_HOOKS=contract_tests.plugins.schemathesis_checks schemathesis run openapi.yaml --url URL

Schemathesis writes to ids that it has seen in a list. With these hooks it changes only what it created
itself, and what it created is deleted when it ends. Its bodies for `/test` may name any registry: leave
those paths out (`--exclude-path-regex /test`) where the target must not contact one.
"""

from __future__ import annotations

import atexit
import threading
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import requests
import schemathesis

from contract_tests.engine.central import Shared
from contract_tests.engine.exchange import COLLECTION, Exchange, Reply
from contract_tests.engine.failures import Failure
from contract_tests.engine.text import diff
from contract_tests.oracle.observers import OBSERVED, Observers
from mock_server.contract import tables as contracts

Case = schemathesis.Case[Any]

_TIMEOUT = 10
NEEDS_A_RUN = ("every-request-answered", "credential-leak")
"""Observed checks that need the harness's own requests."""


@dataclass(slots=True)
class _Created:
    """What was created: the URL that deletes it, the headers of its create, and the names that it was given."""

    url: str
    headers: Mapping[str, str]
    names: set[str]

    def is_shown(self) -> bool:
        """Return whether a read shows it under one of its names; what an answer told as its id may be somebody's."""
        with suppress(requests.RequestException, ValueError, AttributeError):
            answer = requests.get(self.url, headers=self.headers, timeout=_TIMEOUT, allow_redirects=False)
            return answer.status_code == 200 and answer.json().get("name") in self.names
        return False


_created: dict[str, _Created] = {}
"""What was created, by its id; only what a read has shown under the name that was sent."""


_looked_at = threading.local()
"""The last answer of each thread and what the observers said of it: every check asks for the same."""


def findings(response: schemathesis.Response) -> list[Failure]:
    """Return what the observers say of one answer."""
    if getattr(_looked_at, "response", None) is not response:
        _looked_at.failures = _observed(response)
        _looked_at.response = response
    failures: list[Failure] = _looked_at.failures
    return failures


def _observed(response: schemathesis.Response) -> list[Failure]:
    request = response.request
    path = urlsplit(str(request.url))
    body = request.body if isinstance(request.body, bytes) else str(request.body or "").encode()
    headers = {name: ", ".join(values) for name, values in response.headers.items()}
    exchange = Exchange(0, "", str(request.method), path.path + (f"?{path.query}" if path.query else ""), "admin")
    exchange.headers, exchange.body = dict(request.headers), body
    reply = Reply(response.status_code, requests.structures.CaseInsensitiveDict(headers), response.content, 0.0)
    observers = Observers(Shared("schemathesis", str(contracts.load().release)))
    observers(exchange, reply)
    return observers.findings.failures


def _register(id: str) -> None:
    def see(_context: schemathesis.CheckContext, response: schemathesis.Response, _case: Case) -> None:
        for failure in findings(response):
            if failure.check == id:
                raise AssertionError("\n".join([f"{id}: {failure.what}", *diff(failure.expected, failure.got)]))

    see.__name__ = id.replace("-", "_")
    see.__doc__ = OBSERVED[id]
    schemathesis.check(see)


for _id in OBSERVED:
    if _id not in NEEDS_A_RUN:
        _register(_id)


# -- ownership ----------------------------------------------------------------------------------------


@schemathesis.hook
def before_call(_context: schemathesis.HookContext, case: Case, _kwargs: dict[str, Any]) -> None:
    """Write to what was created here, and to no other integration."""
    id = case.path_parameters.get("id")
    if case.method.upper() not in ("GET", "HEAD", "OPTIONS") and id is not None and id not in _created:
        case.path_parameters["id"] = str(uuid.uuid4())
    for integration in (case.body, case.body.get("config") if isinstance(case.body, dict) else None):
        if isinstance(integration, dict) and integration.get("skipTestIntegration") in (None, False):
            integration["skipTestIntegration"] = True


@schemathesis.hook
def after_call(_context: schemathesis.HookContext, case: Case, response: schemathesis.Response) -> None:
    """Remember what was created, to delete it at the end, and how it is named since."""
    body = case.body if isinstance(case.body, dict) else {}
    sent = body.get("config", body)
    name = sent.get("name") if isinstance(sent, dict) else None
    known = _created.get((case.path_parameters or {}).get("id", ""))
    if known is not None and case.method.upper() in ("PUT", "PATCH") and isinstance(name, str):
        known.names.add(name)
    if case.method.upper() != "POST" or case.path != COLLECTION or response.status_code != 200:
        return
    with suppress(ValueError, AttributeError, KeyError):
        id = response.json()["id"]
        kept = {each: value for each, value in response.request.headers.items() if each.lower() == "authorization"}
        collection = str(response.request.url).partition("?")[0]
        made = _Created(f"{collection}/{quote(str(id), safe='')}", kept, {str(name)})
        if made.is_shown():
            _created[str(id)] = made


@atexit.register
def delete_created() -> None:
    """Delete what schemathesis has created and what still carries its name."""
    for each in _created.values():
        if each.is_shown():
            with suppress(requests.RequestException):
                requests.delete(each.url, headers=each.headers, timeout=_TIMEOUT)
    _created.clear()
