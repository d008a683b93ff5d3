"""Leaked credentials, incomplete security rules, callers with too many permissions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from mock_server.central.auth import READ, WRITE
from mock_server.central.errors import Problem, Refusal
from mock_server.central.integration import Integration
from mock_server.contract import tables as contracts
from mock_server.contract.tables import MASK, Field, Message
from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.instance import Instance
from mock_server.gateway.messages import Response
from mock_server.mutants import mutant, tools
from mock_server.mutants.tools import CREATE, DELETE, GET, LIST, PATCH, PUT, TEST, TEST_UPDATED, Json, Original

_security = partial(mutant, kind="security")


_masking = partial(_security, check="credentials-masked", also=("credential-leak", "read-after-create"))


def _tagged(message: Message, scrub: str, *path: str) -> Iterator[tuple[str, ...]]:
    """Return the path of each field with this tag."""
    for field in message.fields:
        if field.scrub == scrub:
            yield (*path, field.name)
        elif field.message is not None:
            yield from _tagged(field.message, scrub, *path, field.name)


def _copied(path: tuple[str, ...], source: Json, target: Json) -> Json:
    """Copy one field of `source` over that of `target`."""
    name, *rest = path
    if source.get(name) is None:
        return target
    return target | {name: _copied(tuple(rest), source[name], target[name]) if rest else source[name]}


# -- masking ---------------------------------------------------------------------------------------------


def _unmasked(mock: Instance, path: tuple[str, ...]) -> None:
    tools.around(
        mock,
        "central.rendering.credentials_masked",
        lambda masked, integration: _copied(path, dict(integration), masked(integration)),
    )


for _path in _tagged(contracts.load().integration, "always"):
    _masking(f"shown-{'-'.join(_path)}", f"Reads show {'.'.join(_path)}")(_unmasked, _path)


def _in_clear(mock: Instance, operation: str) -> None:
    store = mock.central.store

    def unmasked(each: Json) -> Json:
        found = store.get(each["id"])
        return dict(found.integration) if found else each

    tools.shown(mock, unmasked, (operation,))


_masking("list-in-clear", "Only the list shows credentials")(_in_clear, LIST)
_masking("get-in-clear", "Only GET shows credentials")(_in_clear, GET)


_masking("mask-when-set", "Shows an empty credential as an empty string")(
    tools.masked_as, lambda credential: MASK if credential else ""
)
_masking("mask-length", "The mask is as long as the credential")(
    tools.masked_as, lambda credential: "*" * len(credential)
)
_masking("mask-eight", "The mask has eight asterisks")(tools.masked_as, lambda _: "********")
_masking("mask-last-four", "The mask shows the last four characters")(
    tools.masked_as, lambda credential: MASK + credential[-4:]
)
_masking("mask-empty", "Shows credentials as empty strings")(tools.masked_as, lambda _: "")


@_masking("mask-forgotten-after-update", "Reads show credentials after an update")
def mask_forgotten_after_update(mock: Instance) -> None:
    updated = set[str]()

    def update(original: Original, sent: Integration, *, update_password: bool) -> None:
        updated.add(sent["id"])
        original(sent, update_password=update_password)

    tools.around(mock, "central.service.update", update)
    tools.around(
        mock,
        "central.rendering.credentials_masked",
        lambda masked, sent: dict(sent) if sent["id"] in updated else masked(sent),
    )


_security("username-masked", "The user name of docker is also masked", "read-after-create")(
    tools.shown, lambda each: each | {"docker": each["docker"] | {"username": MASK}} if "docker" in each else each
)


# -- leaks -----------------------------------------------------------------------------------------------


_leak = partial(_security, check="credential-leak")


def _found(value: Any, message: Message) -> list[str]:
    seen: list[str] = []
    tools.credentials(message, value, seen.append)
    return [each for each in seen if each]


_leak("credential-leak", "A validation error shows the request")(
    tools.add_to_refusals, "central.validation.check", lambda sent: f": {json.dumps(sent)}"
)


@_leak("leak-in-reconcile", "The error for a refused credential shows it")
@tools.instead_of("central.reconcile.reconcile_credential_masked")
def leak_in_reconcile(mock: Instance, original: Original, field: Field, sent: Any, path: tuple[str, ...]) -> None:
    try:
        original(field, sent, path)
    except Refusal as refusal:
        raise replace(refusal, message=f"{refusal.message} ({sent})") from None


@_leak("leak-in-header", "A header shows the credential of a new integration")
@tools.answering(CREATE)
def leak_in_header(proceed: Proceed, exchange: Exchange) -> Response:
    response, message = proceed(exchange), exchange.sandbox.central.contract.integration
    return response.with_header("X-Debug", ",".join(_found(exchange.message, message)))


@_leak("leak-in-build-error", "The error for a client that cannot be built shows the config")
@tools.instead_of("central.clients.activation")
def leak_in_build_error(mock: Instance, original: Original, sent: Integration) -> Any:
    found = original(sent)
    return found and Problem(found.rule, f"{found.text}: {json.dumps(sent)}")


_leak("leak-in-not-found", "The error for a missing integration shows the request", also=("update-missing",))(
    tools.add_to_refusals, "central.service._reconciled", lambda sent: f" {json.dumps(sent)}", rule="update-missing"
)


# -- reconcile -------------------------------------------------------------------------------------------


def _may_change(mock: Instance, path: tuple[str, ...]) -> None:
    def check(original: Original, field: Field, sent: Any, stored: Any, at: tuple[str, ...]) -> None:
        member = mock.central.contract.integration.by_name[path[0]].go_name
        if not (field.name == path[-1] and any(step.endswith(f"_{member}") for step in at)):
            original(field, sent, stored, at)

    tools.around(mock, "central.reconcile.reconcile_dependent_unchanged", check)


for _path in _tagged(contracts.load().integration, "dependent"):
    _security(
        f"change-{'-'.join(_path)}",
        f"Keeps a stored credential although {'.'.join(_path)} changes",
        "reconcile-dependent-unchanged",
    )(_may_change, _path)


@_security(
    "change-endpoint-case",
    "Keeps a stored credential although an endpoint changes its case, slash or scheme",
    "reconcile-dependent-unchanged",
)
def change_endpoint_case(mock: Instance) -> None:
    def plain(value: Any) -> Any:
        return re.sub("^https?://|/$", "", value.lower()) if isinstance(value, str) else value

    tools.around(
        mock,
        "central.reconcile.reconcile_dependent_unchanged",
        lambda check, field, sent, stored, path: check(field, plain(sent), plain(stored), path),
    )


@_security("change-when-masked", "Accepts a masked credential with any endpoint", "reconcile-credential-masked")
@tools.instead_of("central.reconcile.with_stored")
def change_when_masked(mock: Instance, original: Original, sent: Integration, stored: Integration | None) -> Any:
    message = mock.central.contract.integration
    if stored is not None and MASK in _found(sent, message):
        return mock.central.reconcile.stored_credentials_kept(message, sent, stored)
    return original(sent, stored)


@_security(
    "right-credential", "An update without updatePassword accepts the right credential", "reconcile-credential-masked"
)
@tools.instead_of("central.reconcile.with_stored")
def right_credential(mock: Instance, original: Original, sent: Integration, stored: Integration | None) -> Any:
    message = mock.central.contract.integration
    same = stored is not None and _found(sent, message) == _found(stored, message)
    return original(tools.credentials(message, sent, lambda _: MASK) if same else sent, stored)


def _unless(mock: Instance, operation: str, *methods: str) -> None:
    """Let rules refuse nothing in one operation."""
    is_running = tools.during(mock, operation)
    for method in methods:
        tools.around(mock, method, lambda original, *arguments: None if is_running() else original(*arguments))


_RECONCILING = ("central.reconcile.reconcile_dependent_unchanged", "central.reconcile.reconcile_same_member")

_security("reconcile-on-test", "test/updated sends a stored credential to any endpoint")(
    _unless, TEST_UPDATED, *_RECONCILING
)
_security("update-not-reconciled", "PATCH sends a stored credential to any endpoint", "reconcile-dependent-unchanged")(
    _unless, PATCH, *_RECONCILING
)


# -- endpoints -------------------------------------------------------------------------------------------


_endpoint = partial(_security, check="endpoint-not-local")

for _name, _operation in (("put", PUT), ("patch", PATCH), ("test", TEST), ("test-updated", TEST_UPDATED)):
    _endpoint(f"endpoint-{_name}", f"{_operation} does not check endpoints")(
        _unless, _operation, "central.validation.endpoint"
    )


def _not_looked_at(mock: Instance, member: str, field: str) -> None:
    tools.around(
        mock,
        "central.validation.endpoint",
        lambda check, sent: check({**sent, member: {**sent[member], field: ""}} if member in sent else sent),
    )


for _member, _field in (("clairify", "grpcEndpoint"), ("quay", "endpoint"), ("azure", "endpoint"), ("ecr", "endpoint")):
    _endpoint(f"endpoint-{_member}-{_field}", f"Does not check {_field} of {_member}")(_not_looked_at, _member, _field)


def _form_taken(mock: Instance, pattern: str) -> None:
    tools.around(
        mock,
        "central.validation._endpoint",
        lambda check, endpoint: None if re.search(pattern, endpoint) else check(endpoint),
    )


for _name, _summary, _pattern, _check in (
    ("ipv6", "Accepts [::1] as an endpoint", r"\[[0:]*1\]", "endpoint-not-local"),
    ("mapped", "Accepts IPv4 addresses mapped to IPv6 as endpoints", r"\[::ffff:", "endpoint-not-local"),
    ("range", "Refuses only 127.0.0.1 of 127.0.0.0/8", r"127\.(?!0\.0\.1\b)", "endpoint-not-local"),
    ("port", "Accepts localhost with a port as an endpoint", r"localhost:\d", "endpoint-not-local"),
    ("userinfo", "Accepts localhost after a user name as an endpoint", "@", "endpoint-not-local"),
    ("scheme", "Accepts localhost after https:// as an endpoint", "^https://", "endpoint-not-local"),
    ("google", "Accepts the metadata host of Google as an endpoint", "metadata.google", "endpoint-not-metadata"),
    ("path", "Accepts the metadata address with a path as an endpoint", r"254\.169\.254.*/", "endpoint-not-metadata"),
    ("metadata", "Accepts the metadata address as an endpoint", r"169\.254\.169\.254", "endpoint-not-metadata"),
):
    _security(f"endpoint-{_name}", _summary, _check)(_form_taken, _pattern)


_endpoint("endpoint-when-skipped", "Checks endpoints only if the integration is tested")(
    tools.around,
    "central.validation.endpoint",
    lambda check, sent: None if sent["skipTestIntegration"] else check(sent),
)


@_endpoint("endpoint-by-type", "Checks only the endpoints of the type's own config member")
@tools.instead_of("central.validation.endpoint")
def endpoint_by_type(mock: Instance, original: Original, sent: Integration) -> Any:
    types = mock.central.contract.types
    known = types.get(sent["type"])
    return original(sent) if known is None or known.member in sent else None


# -- callers ---------------------------------------------------------------------------------------------


def _open(mock: Instance, operation: str) -> None:
    tools.around(
        mock, "central.auth.check", lambda check, known, header: None if known.id == operation else check(known, header)
    )


def _read_is_enough(mock: Instance, operation: str) -> None:
    def check(original: Original, known: Any, header: str | None) -> None:
        try:
            original(known, header)
        except Refusal as refusal:
            if known.id != operation or refusal.rule != "write-permission":
                raise

    tools.around(mock, "central.auth.check", check)


for _operation, _known in contracts.load().operations.items():
    _rule = "read-permission" if _known.permission == READ else "credentials-missing"
    _security(f"open-{_operation}", f"{_operation} does not require credentials", _rule, auth=True)(_open, _operation)

for _operation in (CREATE, PUT, DELETE, TEST):
    _security(f"read-only-{_operation}", f"A read-only token may call {_operation}", "write-permission", auth=True)(
        _read_is_enough, _operation
    )


_security("no-access-reads", "A token without the permission may read", "read-permission", auth=True)(
    tools.around, "central.auth.token_permission", lambda original, token: {WRITE: WRITE}.get(original(token), READ)
)


@_security("any-bearer", "Accepts any bearer token", "token-invalid", auth=True)
@tools.instead_of("central.auth.token_permission")
def any_bearer(mock: Instance, original: Original, token: str) -> Any:
    try:
        return original(token)
    except Refusal:
        return WRITE


_security("any-password", "Accepts any password", "basic-invalid", auth=True)(tools.never, "central.auth.check_basic")


@_security("identity-before-lookup", "Reports an unknown id before it authenticates the caller", auth=True)
@tools.answering(GET, DELETE)
def missing_before_credentials(proceed: Proceed, exchange: Exchange) -> Response:
    central, id = exchange.sandbox.central, exchange.id
    if id and central.store.get(id) is None:
        service = central.service
        (service.delete_missing if exchange.request.method == "DELETE" else service.get_missing)(id)
    return proceed(exchange)


@_security("decoded-before-identity", "Checks the caller before it decodes the body", auth=True)
@tools.answering(CREATE, PUT, PATCH, TEST, TEST_UPDATED)
def credentials_before_body(proceed: Proceed, exchange: Exchange) -> Response:
    operation, auth = exchange.operation, exchange.sandbox.central.auth
    assert operation is not None
    if auth.enforced:
        auth.check(operation, exchange.request.headers.get("authorization"))
    return proceed(exchange)


_security(
    "token-in-refusal", "The error for a token shows the token", "credential-leak", also=("token-silent",), auth=True
)(tools.add_to_refusals, "central.auth.token_permission", lambda token: f": {token}")
_security("scheme-case", "The scheme `Bearer` is case-sensitive", auth=True)(
    tools.around,
    "central.auth.permission",
    lambda original, header: original("" if header[:6] == header[:6].lower() else header),
)
