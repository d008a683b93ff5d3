"""Making a state from what a live Central lists. No answer shows a credential, so credentials are invented."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

from mock_server.central import protojson, releases
from mock_server.central.clients import Clients
from mock_server.contract.tables import MASK, Contract, Message
from mock_server.contract.validator import Validator
from mock_server.state import files as states

PATH = "/v1/imageintegrations"
_TIMEOUT = 30.0
_TEXT = "invented-by-mock-central"
_JSON_TEXT = json.dumps(
    {"type": "authorized_user", **dict.fromkeys(("client_id", "client_secret", "refresh_token"), _TEXT)},
    separators=(",", ":"),
)
"""Needs no private key, which would have to be a whole one for a scanner."""

Place = tuple[str, ...]
"""The path of a field in an integration."""


class RecordError(Exception):
    """The list cannot be had; the text says why."""


def fetched(url: str, *, token: str = "", ca: Path | None = None, insecure: bool = False) -> Any:
    """Get the list of a Central.

    Raises:
        RecordError: it does not answer, or not with a list.
    """
    if not url.startswith(("http://", "https://")):
        raise RecordError(f"{url}: is no URL of a Central, such as https://central.example.com")
    request = urllib.request.Request(url.rstrip("/") + PATH)  # noqa: S310 (http or https, as seen above)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        context = ssl.create_default_context(cafile=str(ca) if ca else None)
    except OSError as error:
        raise RecordError(f"{ca}: holds no certificates that can be read (PEM): {error}") from None
    if insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _Stay()).open(
            request, timeout=_TIMEOUT
        ) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        error.close()
        raise RecordError(f"{url}: answered {error.code}{_hint(error.code)}") from None
    except (urllib.error.URLError, OSError) as error:
        raise RecordError(f"{url}: {getattr(error, 'reason', None) or error}") from None
    except ValueError:
        raise RecordError(f"{url}: did not answer JSON; is it a Central?") from None
    if not isinstance(found, dict) or not isinstance(found.get("integrations"), list):
        raise RecordError(f"{url}: did not answer a list of integrations; is it a Central?")
    return found["integrations"]


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follow no redirect: the token is for one host."""

    def redirect_request(self, *_: Any) -> None:
        """Answer the redirect itself."""


def _hint(status: int) -> str:
    return "; --token-file FILE names a token that may read integrations" if status in (401, 403) else ""


def recorded(listed: list[Any], contract: Contract, validator: Validator) -> dict[str, Any]:
    """Make a state of a list; its `invented` tells, by id, the places of credentials that are not Central's.

    Raises:
        states.StateError: an entry is no integration.
    """
    found = states.checked(states.document(listed), contract, validator)
    clients = Clients(contract, releases.of(contract.release))
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
    """Try which credentials are set: an empty one is masked too, so the most with which a client can be built."""
    for number in range(len(masked), -1, -1):
        for chosen in combinations(masked, number):
            if clients.activation(_with(integration, masked, chosen)) is None:
                yield chosen
    yield tuple(masked)  # none can be built, in Central neither


def _with(integration: Mapping[str, Any], masked: list[Place], chosen: tuple[Place, ...]) -> dict[str, Any]:
    """Put an invented credential in each place that is chosen, and nothing in the other ones."""
    changed = dict(integration)
    for place in masked:
        text = (_JSON_TEXT if "google" in place else _TEXT) if place in chosen else ""
        changed = _set(changed, place, text)
    return changed


def _set(value: Mapping[str, Any], place: Place, text: str) -> dict[str, Any]:
    first, *rest = place
    return {**value, first: _set(value[first], tuple(rest), text) if rest else text}


def write(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state to a file of its own.

    Raises:
        states.StateError: it cannot be written.
    """
    states.write(path, json.loads(protojson.render(state)))
