"""The ways in which mutants are applied: each changes one app, and nothing beyond it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import Response, request

from mock_server.central import protojson
from mock_server.central.errors import Refusal
from mock_server.contract import tables as contracts
from mock_server.contract.tables import Message

if TYPE_CHECKING:
    from mock_server.gateway.operations import Call, Handler
    from mock_server.sandboxes.central import Central
    from mock_server.web.app import MockCentral

LIST, GET = "GetImageIntegrations", "GetImageIntegration"
CREATE, PUT, PATCH = "PostImageIntegration", "PutImageIntegration", "UpdateImageIntegration"
DELETE, TEST, TEST_UPDATED = "DeleteImageIntegration", "TestImageIntegration", "TestUpdatedImageIntegration"
EVERY = tuple(contracts.load().operations)

Json = dict[str, Any]


PACE = 1.0
"""What a second of waiting takes; tests are in a hurry."""


def wait(seconds: float) -> None:
    """Let time pass."""
    if seconds:
        time.sleep(seconds * PACE)


# -- parts of Central --------------------------------------------------------------------------------


def replace_method(part: object, method: str, other: Callable[..., Any]) -> None:
    """Put another function in the place of a method of one part."""
    assert callable(getattr(part, method))
    setattr(part, method, other)


def around(part: object, method: str, wrapper: Callable[..., Any]) -> None:
    """Let `wrapper(original, *arguments)` answer for a method of one part."""
    replace_method(part, method, partial(wrapper, getattr(part, method)))


def never(part: object, *methods: str) -> None:
    """Let rules refuse nothing."""
    for method in methods:
        replace_method(part, method, lambda *_arguments, **_named: None)


def suppress_rule(part: object, method: str, rule: str, answer: Any = None) -> None:
    """Return `answer` where a method refuses by `rule`."""

    def swallow(original: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        try:
            return original(*arguments, **named)
        except Refusal as refusal:
            if refusal.rule != rule:
                raise
            return answer

    around(part, method, swallow)


def stored(app: MockCentral, change: Callable[[Json], Mapping[str, Any]]) -> None:
    """Change what is stored of an integration."""
    store = app.central.store
    around(store, "put", lambda put, integration: put({**integration, **change(dict(integration))}))


def stored_config(app: MockCentral, change: Callable[[Json], Mapping[str, Any]]) -> None:
    """Change what is stored of a config member."""
    members = [field.name for field in app.central.contract.integration.members]
    stored(app, lambda sent: {name: {**sent[name], **change(sent[name])} for name in members if name in sent})


# -- answers -----------------------------------------------------------------------------------------


def handled(app: MockCentral, operations: tuple[str, ...], wrapper: Callable[[Handler, Central, Call], bytes]) -> None:
    """Let `wrapper(handler, central, call)` answer for operations."""
    for operation in operations:
        view: Any = app.view_functions[operation]
        known, handler = view.args
        app.view_functions[operation] = partial(app.answer, known, partial(wrapper, handler))


def answers(app: MockCentral, operations: tuple[str, ...], change: Callable[[Json], Any]) -> None:
    """Change the JSON of successful answers."""
    handled(
        app,
        operations,
        lambda handler, central, call: protojson.render(change(json.loads(handler(central, call)))),
    )


def shown(app: MockCentral, change: Callable[[Json], Any], operations: tuple[str, ...] = (LIST, GET, CREATE)) -> None:
    """Change how each integration is shown; the contract is no longer looked at then."""

    def changed(answer: Json) -> Any:
        if "integrations" in answer:
            return {"integrations": [change(each) for each in answer["integrations"]]}
        return change(answer)

    answers(app, operations, changed)


def responses(
    app: MockCentral, operations: tuple[str, ...], wrapper: Callable[[Callable[[], Response]], Response]
) -> None:
    """Let `wrapper(view)` give the HTTP response of operations."""

    def dispatched(original: Callable[..., Response], *arguments: Any) -> Response:
        view = partial(original, *arguments)
        return wrapper(view) if request.endpoint in operations else view()

    around(app, "dispatch_request", dispatched)


def errors(app: MockCentral, change: Callable[[Json], Any]) -> None:
    """Change the JSON of errors."""
    around(
        app.central,
        "error_answer",
        lambda original, refusal: protojson.render(change(json.loads(original(refusal)))),
    )


def refusals(app: MockCentral, rule: str, **changes: Any) -> None:
    """Change the refusals of a rule: `status`, `code` or `message`; `body` is sent as it is."""
    body = changes.pop("body", None)

    def refused(original: Callable[..., Any], refusal: Refusal) -> Any:
        if refusal.rule != rule:
            return original(refusal)
        told, status, headers = original(replace(refusal, **changes))
        return told if body is None else body, status, headers

    around(app, "_refused", refused)


def after(app: MockCentral, change: Callable[[Response], Any]) -> None:
    """Change every HTTP response."""

    @app.after_request
    def changed(response: Response) -> Response:
        change(response)
        return response


def environs(app: MockCentral, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change every request before the app sees it."""

    def asked(original: Callable[..., Any], environ: dict[str, Any], start_response: Any) -> Any:
        change(environ)
        return original(environ, start_response)

    around(app, "wsgi_app", asked)


# -- bodies ------------------------------------------------------------------------------------------


def readings(app: MockCentral, reading: type[protojson.Reading]) -> None:
    """Read every body with `reading`, also those that the contract promises."""
    decoder = app.central.decoder
    replace_method(app.central, "completed", lambda *_: None)
    replace_method(decoder, "reading", partial(reading, decoder))


def bodies(app: MockCentral, change: Callable[[bytes], bytes]) -> None:
    """Change the bytes of every body before they are read."""
    around(
        app.central,
        "decode",
        lambda original, operation, body, *more: original(operation, change(body), *more),
    )


def refused(status: int, message: str, code: int = 3) -> Refusal:
    """Make a refusal that no rule of Central has."""
    return Refusal("mutant", status, code, message)


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
