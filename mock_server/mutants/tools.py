"""Building blocks of mutants. Each changes only one instance.

Most take the instance and what to change, and are registered with their other arguments: `_state(name, summary)(stored,
change)`. Those that return a `Mutate` are decorators, between the function that they take and the registration.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import Any, Concatenate, TypeVar

from mock_server.central import protojson
from mock_server.central.errors import Refusal
from mock_server.contract import tables as contracts
from mock_server.contract.tables import Message
from mock_server.gateway.exchange import Exchange, Layer, Proceed
from mock_server.gateway.instance import Instance
from mock_server.gateway.messages import Request, Response
from mock_server.gateway.paths import clean_path
from mock_server.mutants import Arguments, Mutate

LIST, GET = "GetImageIntegrations", "GetImageIntegration"
CREATE, PUT, PATCH = "PostImageIntegration", "PutImageIntegration", "UpdateImageIntegration"
DELETE, TEST, TEST_UPDATED = "DeleteImageIntegration", "TestImageIntegration", "TestUpdatedImageIntegration"
EVERY = tuple(contracts.load().operations)

Json = dict[str, Any]


PACE = 1.0
"""Scale of `wait`: actual seconds per simulated second. Tests make it small."""


def wait(seconds: float) -> None:
    """Sleep for this many simulated seconds."""
    if seconds:
        time.sleep(seconds * PACE)


Part = TypeVar("Part")


def given_to(
    tool: Callable[Concatenate[Instance, Part, Arguments], None], *more: Arguments.args, **named: Arguments.kwargs
) -> Callable[[Part], Mutate]:
    """Make a mutant of a function that is the first argument of one of these tools; `more` follows it."""
    return lambda function: lambda mock: tool(mock, function, *more, **named)


Original = Callable[..., Any]
"""The original of a method that a mutant replaces."""


# -- parts of Central --------------------------------------------------------------------------------


def around(root: object, method: str, wrapper: Callable[..., Any]) -> None:
    """Wrap a method, such as `central.service.create` of an instance, in `wrapper(original, *arguments)`."""
    path, _, name = method.rpartition(".")
    part = attrgetter(path)(root) if path else root
    original = getattr(part, name)
    assert callable(original)
    setattr(part, name, partial(wrapper, original))


def instead_of(method: str) -> Callable[[Callable[..., Any]], Mutate]:
    """Make a mutant of a function `(mock, original, *arguments)`, which wraps a method of the instance."""

    def decorate(function: Callable[..., Any]) -> Mutate:
        return lambda mock: around(mock, method, partial(function, mock))

    return decorate


def replace_method(root: object, method: str, other: Callable[..., Any]) -> None:
    """Replace a method, named as in `around`."""
    around(root, method, lambda _original, *arguments, **named: other(*arguments, **named))


def never(root: object, *methods: str) -> None:
    """Disable rules: their methods return None."""
    for method in methods:
        replace_method(root, method, lambda *_arguments, **_named: None)


def suppress_rule(root: object, method: str, rule: str, answer: Any = None) -> None:
    """Return `answer` where a method refuses by `rule`."""

    def swallow(original: Original, *arguments: Any, **named: Any) -> Any:
        try:
            return original(*arguments, **named)
        except Refusal as refusal:
            if refusal.rule != rule:
                raise
            return answer

    around(root, method, swallow)


def add_to_refusals(root: object, method: str, more: Callable[[Any], str], *, rule: str = "") -> None:
    """Append `more(first argument)` to the texts of a method's refusals, or only of those by `rule`."""

    def appended(original: Original, sent: Any, **named: Any) -> Any:
        try:
            return original(sent, **named)
        except Refusal as refusal:
            if rule not in ("", refusal.rule):
                raise
            raise replace(refusal, message=refusal.message + more(sent)) from None

    around(root, method, appended)


def stored(mock: Instance, change: Callable[[Json], Mapping[str, Any]]) -> None:
    """Change an integration when it is stored."""
    store = mock.central.store
    around(store, "put", lambda put, integration: put({**integration, **change(dict(integration))}))


def config_members(mock: Instance) -> list[str]:
    """List the names of the config members."""
    return [field.name for field in mock.central.contract.integration.members]


def field_stored(mock: Instance, field: str, change: Callable[[Any], Any]) -> None:
    """Change a field of an integration, or of its config member, when it is stored."""

    def changed(message: Json) -> Json:
        return {**message, field: change(message[field])} if field in message else message

    names = config_members(mock)
    stored(mock, lambda sent: changed(sent) | {name: changed(sent[name]) for name in names if name in sent})


def updated(mock: Instance, change: Callable[[Json, Json], Mapping[str, Any]]) -> None:
    """Make updates store `change(old, sent)`."""
    store = mock.central.store

    def update(original: Callable[..., None], sent: Mapping[str, Any], *, update_password: bool) -> None:
        found = store.get(sent["id"])
        original(change(dict(found.integration), dict(sent)) if found else sent, update_password=update_password)

    around(mock, "central.service.update", update)


def dependent(mock: Instance, name: str) -> None:
    """Make credentials depend on one more field."""
    around(
        mock,
        "central.reconcile.reconcile_dependent_unchanged",
        lambda check, field, *more: check(replace(field, scrub="dependent") if field.name == name else field, *more),
    )


def one_name(mock: Instance, fold: Callable[[str], str]) -> None:
    """Refuse a name that equals another one after both are folded."""

    def check(original: Callable[[Mapping[str, Any]], Any], sent: Mapping[str, Any]) -> Any:
        names = {each["name"] for each in mock.central.store.integrations() if each["id"] != sent["id"]}
        taken = next((name for name in names if fold(name) == fold(sent["name"])), sent["name"])
        return original({**sent, "name": taken})

    around(mock, "central.validation.name_unique", check)


def filtered(mock: Instance, keeps: Callable[[str, str], bool]) -> None:
    """Make the filter by name return the integrations with `keeps(name, wanted)`."""
    store = mock.central.store
    replace_method(
        mock,
        "central.service.list_by_name",
        lambda wanted: store.list_answer([each["id"] for each in store.integrations() if keeps(each["name"], wanted)]),
    )


# -- layers ------------------------------------------------------------------------------------------


Wrapper = Callable[[Proceed, Exchange], Response]
"""Answers a request, given the layers below."""


def answering(*operations: str) -> Callable[[Wrapper], Mutate]:
    """Make a mutant of a wrapper around operations."""
    return lambda wrapper: lambda mock: handled(mock, operations, wrapper)


def wrapped(mock: Instance, wrapper: Wrapper, *, behind: Layer | None) -> None:
    """Add `wrapper` as a layer."""
    mock.insert(lambda proceed: partial(wrapper, proceed), behind=behind)


def handled(mock: Instance, operations: tuple[str, ...], wrapper: Wrapper) -> None:
    """Wrap operations in `wrapper`, which runs before anything but the path of a request is read."""

    def limited(proceed: Proceed, exchange: Exchange) -> Response:
        is_limited_to = exchange.operation is not None and exchange.operation.id in operations
        return wrapper(proceed, exchange) if is_limited_to else proceed(exchange)

    wrapped(mock, limited, behind=mock.route)


def refused(status: int, message: str, code: int = 3) -> Refusal:
    """Return a refusal that no rule of Central has."""
    return Refusal("mutant", status, code, message)


def refused_where(
    mock: Instance, operations: tuple[str, ...], wrong: Callable[[Exchange], bool], refusal: Refusal
) -> None:
    """Refuse requests of operations before their bodies are read."""

    def looked_at(proceed: Proceed, exchange: Exchange) -> Response:
        if wrong(exchange):
            raise refusal
        return proceed(exchange)

    handled(mock, operations, looked_at)


def during(mock: Instance, operation: str) -> Callable[[], bool]:
    """Return a function that returns whether this thread is running an operation."""
    here = threading.local()

    def noted(proceed: Proceed, exchange: Exchange) -> Response:
        here.is_running = True
        try:
            return proceed(exchange)
        finally:
            here.is_running = False

    handled(mock, (operation,), noted)
    return lambda: getattr(here, "is_running", False)


def requests(mock: Instance, change: Callable[[Request], Request]) -> None:
    """Change every request before any other layer sees it."""

    def changed(proceed: Proceed, exchange: Exchange) -> Response:
        exchange.request = change(exchange.request)
        return proceed(exchange)

    wrapped(mock, changed, behind=None)


def without(request: Request, header: str) -> Request:
    """Return a request without a header."""
    return request._replace(headers={name: value for name, value in request.headers.items() if name != header})


def responses(
    mock: Instance, change: Callable[[Response], Response], operations: tuple[str, ...] | None = None
) -> None:
    """Change every outgoing answer, or only those of some operations; refusals included."""

    def changed(proceed: Proceed, exchange: Exchange) -> Response:
        before = proceed(exchange)
        if operations is not None and (exchange.operation is None or exchange.operation.id not in operations):
            return before
        after = change(before)
        return after.sized() if isinstance(after.body, bytes) and after.body != before.body else after

    wrapped(mock, changed, behind=clean_path)


def answers(mock: Instance, operations: tuple[str, ...], change: Callable[[Json], Any]) -> None:
    """Change the JSON of successful answers."""

    def changed(proceed: Proceed, exchange: Exchange) -> Response:
        response = proceed(exchange)
        return response._replace(body=protojson.render(change(json.loads(response.bytes))))

    handled(mock, operations, changed)


def each_changed(answer: Json, change: Callable[[Json], Any]) -> Any:
    """Return an answer with its integrations changed."""
    if "integrations" in answer:
        return {"integrations": [change(each) for each in answer["integrations"]]}
    return change(answer)


def shown(mock: Instance, change: Callable[[Json], Any], operations: tuple[str, ...] = (LIST, GET, CREATE)) -> None:
    """Change each integration in answers, which are then no longer checked against the contract."""
    answers(mock, operations, lambda answer: each_changed(answer, change))


def listed_items(mock: Instance, keep: Callable[[list[Json]], list[Json]]) -> None:
    """Change which integrations the list shows."""
    answers(mock, (LIST,), lambda answer: {"integrations": keep(answer["integrations"])})


def masked_as(mock: Instance, mask: Callable[[str], Any]) -> None:
    """Show another mask for each credential."""
    message = mock.central.contract.integration
    replace_method(
        mock.central.rendering, "credentials_masked", lambda integration: credentials(message, integration, mask)
    )


def errors(mock: Instance, change: Callable[[Json], Any]) -> None:
    """Change the JSON of errors; refusals of gRPC are plain text."""

    def changed(original: Callable[[Refusal], bytes], refusal: Refusal) -> bytes:
        answer = original(refusal)
        return protojson.render(change(json.loads(answer))) if answer.startswith(b"{") else answer

    around(mock.central.rendering, "error_answer", changed)


def error_texts(mock: Instance, change: Callable[[str], str]) -> None:
    """Change the texts of errors."""
    errors(mock, lambda body: body | dict.fromkeys(("message", "error"), change(body["message"])))


def refusals(mock: Instance, /, rule: str, **changes: Any) -> None:
    """Change the refusals of a rule: `status`, `code` or `message`; `body` is sent as it is."""
    body = changes.pop("body", None)

    def answered(original: Callable[[Refusal], Response], refusal: Refusal) -> Response:
        if refusal.rule != rule:
            return original(refusal)
        response = original(replace(refusal, **changes))
        return response if body is None else response._replace(body=body)

    around(mock.errors, "answer", answered)


# -- bodies ------------------------------------------------------------------------------------------


def readings(mock: Instance, reading: type[protojson.Reading]) -> None:
    """Read every body with `reading`, even those that conform to the contract."""
    decoder = mock.central.decoding.decoder
    mock.central.decoding.is_exact = True
    replace_method(decoder, "reading", partial(reading, decoder))


def reader(reading: type[protojson.Reading]) -> Mutate:
    """Make a mutant of a class that reads every body."""
    return lambda mock: readings(mock, reading)


def bodies_refused(mock: Instance, wrong: Callable[[bytes], object], refusal: Refusal) -> None:
    """Refuse bodies before they are read."""

    def looked_at(body: bytes) -> bytes:
        if wrong(body):
            raise refusal
        return body

    bodies(mock, looked_at)


def bodies(mock: Instance, change: Callable[[bytes], bytes]) -> None:
    """Change the bytes of every body before they are read."""
    around(
        mock.central.decoding, "body", lambda original, operation, body, *more: original(operation, change(body), *more)
    )


def credentials(message: Message, value: Mapping[str, Any], change: Callable[[str], Any]) -> Json:
    """Return a message with each of its credentials changed."""
    changed = dict(value)
    for field in message.fields:
        if changed.get(field.name) is None:
            continue
        if field.scrub == "always":
            changed[field.name] = change(changed[field.name])
        elif field.message is not None:
            changed[field.name] = credentials(field.message, changed[field.name], change)
    return changed
