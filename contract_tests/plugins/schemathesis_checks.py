"""The observed checks of the harness, as schemathesis checks.

    SCHEMATHESIS_HOOKS=contract_tests.plugins.schemathesis_checks schemathesis run openapi.yaml --url URL

Schemathesis writes to ids that it has seen in a list. With these hooks it changes only integrations that it created,
and deletes them at the end. Its bodies for `/test` may name any registry: exclude those paths
(`--exclude-path-regex /test`) if the target must not contact registries.
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
    """A created integration: its URL, the Authorization header of its create, and the names that were sent for it."""

    url: str
    headers: Mapping[str, str]
    names: set[str]

    def is_ours(self) -> bool:
        """Return whether a read shows one of its names; the id in the answer to a create may be somebody else's."""
        with suppress(requests.RequestException, ValueError, AttributeError):
            answer = requests.get(self.url, headers=self.headers, timeout=_TIMEOUT, allow_redirects=False)
            return answer.status_code == 200 and answer.json().get("name") in self.names
        return False


_created: dict[str, _Created] = {}
"""Created integrations by id; only those that a read has shown under the name that was sent."""


_last_observed = threading.local()
"""The last answer of each thread and its failures, because every check judges the same answer."""


def findings(response: schemathesis.Response) -> list[Failure]:
    """Return the failures that the observers find in one answer."""
    if getattr(_last_observed, "response", None) is not response:
        _last_observed.failures = _observed(response)
        _last_observed.response = response
    failures: list[Failure] = _last_observed.failures
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
    def observed_check(_context: schemathesis.CheckContext, response: schemathesis.Response, _case: Case) -> None:
        for failure in findings(response):
            if failure.check == id:
                raise AssertionError("\n".join([f"{id}: {failure.what}", *diff(failure.expected, failure.got)]))

    observed_check.__name__ = id.replace("-", "_")
    observed_check.__doc__ = OBSERVED[id]
    schemathesis.check(observed_check)


for _id in OBSERVED:
    if _id not in NEEDS_A_RUN:
        _register(_id)


# -- ownership ----------------------------------------------------------------------------------------


@schemathesis.hook
def before_call(_context: schemathesis.HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """Change ids that schemathesis did not create to random ones in writes, and skip tests of registries."""
    if case.method.upper() in ("GET", "HEAD", "OPTIONS"):
        return
    kwargs["max_redirects"] = 0  # a redirect may lead a write to any integration
    body = case.body if isinstance(case.body, dict) else {}
    for holder in (case.path_parameters, body, body.get("config")):
        if isinstance(holder, dict) and isinstance(id := holder.get("id"), str) and id and not _is_ours(id):
            holder["id"] = str(uuid.uuid4())
    for integration in (body, body.get("config")):
        if isinstance(integration, dict) and integration.get("skipTestIntegration") in (None, False):
            integration["skipTestIntegration"] = True


def _is_ours(id: str) -> bool:
    return id in _created and _created[id].is_ours()


@schemathesis.hook
def after_call(_context: schemathesis.HookContext, case: Case, response: schemathesis.Response) -> None:
    """Record created integrations and their later names, to delete them at the end."""
    body = case.body if isinstance(case.body, dict) else {}
    sent = body.get("config", body)
    sent_name = sent.get("name") if isinstance(sent, dict) else None
    known = _created.get((case.path_parameters or {}).get("id", ""))
    if known is not None and case.method.upper() in ("PUT", "PATCH") and isinstance(sent_name, str):
        known.names.add(sent_name)
    if case.method.upper() != "POST" or case.path != COLLECTION or response.status_code != 200:
        return
    with suppress(ValueError, AttributeError, KeyError):
        id = response.json()["id"]
        headers = {name: value for name, value in response.request.headers.items() if name.lower() == "authorization"}
        collection = str(response.request.url).partition("?")[0]
        created = _Created(f"{collection}/{quote(str(id), safe='')}", headers, {str(sent_name)})
        if created.is_ours():
            _created[str(id)] = created


@atexit.register
def delete_created() -> None:
    """Delete the integrations that schemathesis created and that still have one of their names."""
    for integration in _created.values():
        if integration.is_ours():
            with suppress(requests.RequestException):
                requests.delete(integration.url, headers=integration.headers, timeout=_TIMEOUT, allow_redirects=False)
    _created.clear()
