"""Create a state from the list of a live Central, with invented credentials, because answers do not show them."""

from __future__ import annotations

import json
import ssl
import urllib.request
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3

from mock_server import bounded_http
from mock_server.central.clients import Clients
from mock_server.central.releases import Build
from mock_server.contract.tables import MASK, Contract, Message
from mock_server.contract.validator import Validator
from mock_server.settings import server_url
from mock_server.state import files as states

PATH = "/v1/imageintegrations"
_TIMEOUT = 30.0
_TEXT = "invented-by-mock-central"
_JSON_TEXT = json.dumps(
    {"type": "authorized_user", **dict.fromkeys(("client_id", "client_secret", "refresh_token"), _TEXT)},
    separators=(",", ":"),
)
"""A kind of account without a private key, because a scanner would reject an invented key."""

Place = tuple[str, ...]
"""The path of a field in an integration."""


class RecordError(Exception):
    """The list cannot be read; the text says why."""


def fetched(url: str, *, token: str = "", ca: Path | None = None, insecure: bool = False) -> Any:
    """Return the list of a Central.

    Raises:
        RecordError: it does not answer a list.
    """
    status, content = asked(url, PATH, token=token, ca=ca, insecure=insecure)
    if status != 200:
        hint = "; --token-file FILE names a token that may read integrations" if status in (401, 403) else ""
        raise RecordError(f"{url}: answered {status}{hint}")
    try:
        found = None if bounded_http.is_expensive(content) else states.read_json(content)
    except states.StateError as error:
        raise RecordError(f"{url}: did not answer JSON; is it a Central? ({error})") from None
    if not isinstance(found, dict) or not isinstance(found.get("integrations"), list):
        raise RecordError(f"{url}: did not answer a list of integrations; is it a Central?")
    return found["integrations"]


def asked(url: str, path: str, *, token: str, ca: Path | None, insecure: bool) -> tuple[int, bytes]:
    """Return status and body of a server's answer.

    Raises:
        RecordError: it does not answer.
    """
    _require_url(url)
    headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        context = ssl.create_default_context(cafile=str(ca) if ca else None)
    except OSError as error:
        raise RecordError(f"{ca}: contains no certificates that can be read (PEM): {error}") from None
    if insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # as the option says
    try:
        with bounded_http.deadline(_TIMEOUT):
            # Redirects are not followed: the token is for this host only.
            answer = _connections(url, context).request(
                "GET", url.rstrip("/") + path, headers=headers, preload_content=False, redirect=False, retries=False,
                timeout=_TIMEOUT,
            )  # fmt: skip
            content = bounded_http.read(answer)
    except (urllib3.exceptions.HTTPError, OSError, bounded_http.BodyTooLongError) as error:
        reason = _reason(error)
        is_untrusted = "CERTIFICATE_VERIFY_FAILED" in f"{error} {reason}"
        hint = "; --ca-file trusts its certificate, --insecure any" if is_untrusted else ""
        raise RecordError(f"{url}: {_harmless(reason, token)}{hint}") from None
    return answer.status, content


def _require_url(url: str) -> None:
    """Raise RecordError unless this is the URL of a server; the text omits user and query, which may be secret."""
    shown = f"…@{url.rpartition('@')[2]}" if "@" in url else url
    for mark in "?#":
        shown = f"{shown.partition(mark)[0]}{mark}…" if mark in shown else shown
    if server_url(url, "http", "https") is None or shown != url:
        hint = "; give credentials with --token-file" if shown != url else ""
        raise RecordError(f"{shown}: is not the URL of a Central, such as https://central.example.com{hint}")


def _connections(url: str, context: ssl.SSLContext) -> urllib3.PoolManager:
    """Return the connections to a server, through the proxy of the environment if there is one."""
    parts = urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy is None or urllib.request.proxy_bypass(parts.hostname or ""):
        return bounded_http.bounded(urllib3.PoolManager(ssl_context=context))
    return bounded_http.bounded(urllib3.ProxyManager(proxy, ssl_context=context))


def _reason(error: BaseException) -> str:
    """Return the text of the root cause."""
    while (cause := error.__cause__ or error.__context__ or getattr(error, "reason", None)) is not None:
        if not isinstance(cause, BaseException):
            break
        error = cause
    return str(error) or type(error).__name__


def _harmless(text: str, token: str) -> str:
    """Return a server's text for a message: short, without the token and control characters."""
    text = text.replace(token, "[credential]") if token else text
    shown = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text[:300])
    return shown.replace("##[", r"\x23#[")


def recorded(listed: list[Any], contract: Contract, validator: Validator) -> dict[str, Any]:
    """Create a state from a list. `invented` lists, by id, the places of the invented credentials.

    Raises:
        states.StateError: an entry is not an integration.
    """
    found = states.checked(states.document(listed), contract, validator)
    clients = Clients(contract, Build(contract.release))
    invented: dict[str, list[str]] = {}
    integrations = []
    for each in found:
        masked = list(_masked(contract.integration, each))
        chosen = next(_that_build(each, masked, clients), ())
        integrations.append(_with(each, masked, chosen))
        if masked:
            invented[each["id"]] = [".".join(place) for place in masked]
    return states.document(integrations, invented=invented)


def _masked(message: Message, value: Mapping[str, Any], *path: str) -> Iterator[Place]:
    for field in message.fields:
        found = value.get(field.name)
        if field.scrub == "always" and found == MASK:
            yield (*path, field.name)
        elif field.message is not None and found is not None:
            yield from _masked(field.message, found, *path, field.name)


def _that_build(integration: Mapping[str, Any], masked: list[Place], clients: Clients) -> Iterator[tuple[Place, ...]]:
    """Yield sets of credentials, the largest first, with which a client can be built: empty ones are masked, too."""
    for number in range(len(masked), -1, -1):
        for chosen in combinations(masked, number):
            if clients.activation(_with(integration, masked, chosen)) is None:
                yield chosen
    yield tuple(masked)  # Central cannot build a client either


def _with(integration: Mapping[str, Any], masked: list[Place], chosen: tuple[Place, ...]) -> dict[str, Any]:
    """Return the integration with invented credentials in the chosen places, and empty ones in the others."""
    changed = dict(integration)
    for place in masked:
        text = (_JSON_TEXT if "google" in place else _TEXT) if place in chosen else ""
        changed = _set(changed, place, text)
    return changed


def _set(value: Mapping[str, Any], place: Place, text: str) -> dict[str, Any]:
    first, *rest = place
    return {**value, first: _set(value[first], tuple(rest), text) if rest else text}
