"""A mutant for each rule of the contract, with the rule's name: it breaks the rule."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import yaml

from mock_server.central import protojson
from mock_server.central.auth import WRITE
from mock_server.central.errors import Refusal
from mock_server.central.store import Stored
from mock_server.central.validation import config_member
from mock_server.contract import tables as contracts
from mock_server.contract.tables import MASK, Field, Message
from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.instance import Instance
from mock_server.gateway.messages import Request, Response
from mock_server.golang import timestamps
from mock_server.mutants import Register, mutant, tools
from mock_server.mutants.tools import PATCH, PUT, Json, Original

_RULES = contracts.load().history


# Summaries for rules that a server can break in two ways: what the mutant does.
_ONE_OF_TWO = {
    "name-required": "Accepts an integration without a name",
    "name-unique": "Accepts a name that another integration has",
    "google-not-created": "Creates an integration of type google",
    "ecr-authorization-erased": "Keeps authorization data although IAM, a key or AssumeRole is used",
    "basic-malformed": "Accepts basic credentials that cannot be decoded",
    "read-permission": "Lets callers read without identity or permission",
}


def _rule(id: str, summary: str = "", also: tuple[str, ...] = (), **settings: Any) -> Register:
    return mutant(id, summary or _ONE_OF_TWO.get(id, _RULES[id].broken), also=also, kind="rule", **settings)


# -- refusals that a method of the rule's name decides ---------------------------------------------------


_METHODS = {
    "validation": """endpoint-not-local endpoint-not-metadata endpoint-parses category-required name-required
        name-unique""",
    "service": """id-empty-on-create scanner-v4-not-created google-not-created create-rolled-back id-required
        update-missing delete-missing scanner-v4-not-deleted scanner-v4-type-fixed""",
    "reconcile": """reconcile-needs-id reconcile-same-member reconcile-dependent-unchanged reconcile-credential-masked
        reconcile-message-kept reconcile-message-not-added""",
    "clients": """category-implemented registry-type-known scanner-type-known node-scanner-type-known
        google-service-account-json""",
    "registry_tests": "registry-reachable",
}
_PARTS = {rule: part for part, rules in _METHODS.items() for rule in rules.split()}
"""The parts of Central that refuse, by the rule."""


for _id, _part in _PARTS.items():
    _rule(_id)(tools.never, f"central.{_part}.{_id.replace('-', '_')}")

_rule("ecr-iam-managed", managed=True)(tools.never, "central.validation.ecr_iam_managed")
_rule("write-permission", auth=True)(tools.never, "central.auth.write_permission")


# -- what the client of a type asks for ------------------------------------------------------------------


_CLIENT_RULES = [rule.id for rule in _RULES.values() if rule.kind == "build" and rule.id not in _PARTS]


def _not_asked(mock: Instance, rule: str) -> None:
    tools.around(
        mock,
        "central.clients.problem_if",
        lambda original, wrong, id, **values: original(wrong and id != rule, id, **values),
    )


for _id in _CLIENT_RULES:
    _rule(_id)(_not_asked, _id)


_rule("type-defined")(
    tools.around, "central.clients.activation", lambda original, sent: original(sent) if sent["type"] else None
)
_rule("ecr-authorization-erased")(
    tools.replace_method, "central.clients.ecr_authorization_erased", lambda integration: integration
)


# -- credentials of the caller ---------------------------------------------------------------------------


for _id in ("credentials-missing", "token-invalid", "basic-invalid", "basic-malformed", "role-missing"):
    _rule(_id, auth=True)(tools.suppress_rule, "central.auth.permission", _id, answer=WRITE)


_rule("read-permission", auth=True)(
    tools.around,
    "central.auth.check",
    lambda check, operation, header: check(operation, header) if operation.permission == WRITE else None,
)


# -- routing and headers ---------------------------------------------------------------------------------


_rule("unknown-route", "An unknown path answers 200 with an empty object")(
    tools.refusals, "unknown-route", status=200, body=b"{}"
)
_rule("method-not-allowed", "A method that a path does not have answers 200 with an empty object")(
    tools.refusals, "method-not-allowed", status=200, body=b"{}"
)
_rule("method-override")(tools.requests, lambda request: tools.without(request, "x-http-method-override"))


@_rule("pretty-answer")
@tools.given_to(tools.requests)
def pretty_answer(request: Request) -> Request:
    return tools.without(request, "accept")._replace(query=re.sub("(^|&)pretty(=[^&]*)?", "", request.query))


_rule("answer-headers", "Answers may be cached")(
    tools.responses, lambda response: response.without_header("Cache-Control")
)
_rule("error-shape", "An error has no `error`")(
    tools.errors, lambda body: {key: value for key, value in body.items() if key != "error"}
)


# -- the query -------------------------------------------------------------------------------------------


@_rule("query-value-once", "Accepts a repeated query key, and uses the last one")
@tools.instead_of("central.decoding.query")
def query_value_once(mock: Instance, original: Original, operation: Any, query: str) -> Any:
    return original(operation, "&".join({part.partition("=")[0]: part for part in query.split("&")}.values()))


_rule("query-encoding", "Ignores a query that cannot be decoded")(
    tools.suppress_rule, "central.decoding.parsed_query", "query-encoding", answer={}
)


# -- the body: JSON --------------------------------------------------------------------------------------


def _read_as(mock: Instance, other: Callable[[bytes], bytes], rule: str) -> None:
    """Read `other(body)` if this rule refuses the body."""
    first_value = mock.central.decoding.decoder.first_value

    def changed(body: bytes) -> bytes:
        try:
            first_value(body)
        except Refusal as refusal:
            return other(body) if refusal.rule == rule else body
        return body

    tools.bodies(mock, changed)


@_rule("body-truncated", "Completes a body that ends inside its JSON value")
@tools.given_to(_read_as, "body-truncated")
def body_truncated(body: bytes) -> bytes:
    for ending in (b"}", b"}}", b'"}', b'"}}', b"]}", b'"]}', b"null}", b":null}", b'":null}', b'"a":0}'):
        with suppress(ValueError):
            json.loads(body + ending)
            return body + ending
    return b""


@_rule("body-syntax", "Reads a body that is not JSON as YAML")
@tools.given_to(_read_as, "body-syntax")
def body_syntax(body: bytes) -> bytes:
    try:
        value = yaml.safe_load(body)
    except (yaml.YAMLError, UnicodeError):
        return b""
    return json.dumps(value).encode() if isinstance(value, dict) else b""


@_rule("string-encoding", "Replaces invalid UTF-8 and half surrogate pairs with question marks")
def string_encoding(mock: Instance) -> None:
    half = re.compile(rb"\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]..")
    tools.bodies(mock, lambda body: half.sub(b"?", body.decode("utf-8", "replace").encode()))


_rule("nesting-depth", "Deep nesting answers 500")(
    tools.refusals, "nesting-depth", status=500, code=13, message="maximum recursion depth exceeded"
)
_rule("message-size")(tools.never, "central.decoding.message_size")


@_rule("trailing-data-ignored", "Refuses data after the first JSON value")
@tools.instead_of("central.decoding.decoder.first_value")
def trailing_data_ignored(mock: Instance, original: Original, data: bytes) -> Any:
    value = original(data)
    if data.strip() != value:
        raise tools.refused(400, "invalid character after top-level value")
    return value


@_rule("empty-body", "Refuses an empty body as JSON that ends too early")
@tools.instead_of("central.decoding.decoder.first_value")
def empty_body(mock: Instance, original: Original, data: bytes) -> Any:
    if not data.strip():
        raise tools.refused(400, "EOF")
    return original(data)


@_rule("content-type-ignored", "Refuses a body that is not sent as application/json with 415")
@tools.instead_of("central.decoding.body")
def content_type_ignored(
    mock: Instance, original: Original, operation: Any, body: bytes, content_type: str, id: str
) -> Any:
    if "json" not in content_type:
        raise tools.refused(415, "Unsupported Media Type")
    return original(operation, body, content_type, id)


# -- the body: fields ------------------------------------------------------------------------------------


@_rule("unexpected-token", "Accepts a single value for a list, and ignores other values of the wrong kind")
@tools.reader
class _UnexpectedToken(protojson.Reading):
    def value(self, field: Field) -> Any:
        opener = self.peek().raw
        if field.repeated and opener != b"[":
            return [self.scalar(field)]
        if field.message is not None and opener != b"{":
            return self.skip()
        return super().value(field)


_rule("extension-name", "A field name in brackets that names a type answers 500")(
    tools.refusals, "extension-name", status=500, code=13, message="extension registry is nil"
)


@_rule("duplicate-field", "Accepts a repeated field, and uses the last one")
@tools.reader
class _DuplicateField(protojson.Reading):
    def duplicate_field(self, *_: Any) -> None: ...


@_rule("one-config-member", "Accepts two config members, and uses the last one")
@tools.reader
class _OneConfigMember(protojson.Reading):
    def one_config_member(self, *_: Any) -> None: ...

    def message(self, message: Message) -> dict[str, Any]:
        values = super().message(message)
        members = [name for name in values if message.by_name[name].oneof]
        return {name: value for name, value in values.items() if name not in members[:-1]}


@_rule("field-value", "Converts a value that does not fit its field")
@tools.reader
class _FieldValue(protojson.Reading):
    def scalar(self, field: Field) -> Any:
        token = self.peek()
        if token.raw in (b"{", b"["):
            return self.skip()
        try:
            return super().scalar(field)
        except Refusal:
            text = token.raw.decode("utf-8", "replace").strip('"')
            return {"string": text, "bool": text not in ("", "0", "false"), "int32": 0}.get(field.kind)


def _time_instead(mock: Instance, rule: str, time: str) -> None:
    class Reading(protojson.Reading):
        def timestamp(self) -> str:
            try:
                return super().timestamp()
            except Refusal as refusal:
                if refusal.rule != rule:
                    raise
                return time

    tools.readings(mock, Reading)


_rule("timestamp-format", "Accepts an invalid time and stores another")(
    _time_instead, "timestamp-format", "2030-01-01T00:00:00Z"
)
_rule("timestamp-range", "Stores the latest possible time for a time out of range")(
    _time_instead, "timestamp-range", "9999-12-31T23:59:59Z"
)


@_rule("timestamp-normalised", "Drops the offset of a time instead of applying it")
@tools.reader
class _TimestampNormalised(protojson.Reading):
    def timestamp(self) -> str:
        text = self.text(self.peek())
        super().timestamp()
        return timestamps.normalise(re.sub(r"[+-]\d\d:\d\d$", "Z", text))


@_rule("unknown-field-dropped", "Refuses unknown fields")
@tools.reader
class _UnknownFieldDropped(protojson.Reading):
    def skip(self) -> None:
        raise tools.refused(400, f"proto: ({self.position(self.peek())}): unknown field")


@_rule("both-spellings", "Reads only the JSON name of a field")
@tools.reader
class _BothSpellings(protojson.Reading):
    def text(self, token: Any) -> str:
        text = super().text(token)
        return f"({text})" if re.fullmatch("[a-z0-9]+(_[a-z0-9]+)+", text) else text


@_rule("null-is-absent", "Refuses null")
@tools.reader
class _NullIsAbsent(protojson.Reading):
    def read(self) -> Any:
        token = super().read()
        if token.raw == b"null":
            raise self.unexpected(token)
        return token


@_rule("unknown-category-dropped", "Refuses an unknown category name")
@tools.reader
class _UnknownCategoryDropped(protojson.Reading):
    def scalar(self, field: Field) -> Any:
        token = self.peek()
        item = super().scalar(field)
        if item is None:
            raise self.unexpected(token)
        return item


@_rule("category-by-number", "Refuses a category that is a number")
@tools.reader
class _CategoryByNumber(protojson.Reading):
    def scalar(self, field: Field) -> Any:
        if field.kind == "enum" and self.peek().is_number:
            raise self.unexpected(self.peek())
        return super().scalar(field)


@_rule("number-forms", "Refuses a number that is not written in digits")
@tools.reader
class _NumberForms(protojson.Reading):
    def scalar(self, field: Field) -> Any:
        if field.kind == "int32" and not re.fullmatch(rb"-?\d+", self.peek().raw):
            raise self.unexpected(self.peek())
        return super().scalar(field)


@_rule("zero-values-emitted", "Answers omit unset fields")
def zero_values_emitted(mock: Instance) -> None:
    kept = ("name", "type", "categories")
    tools.shown(mock, lambda each: {name: value for name, value in each.items() if value or name in kept})


# -- creating --------------------------------------------------------------------------------------------


_rule("create-assigns-id", "Creates ids as UUIDs of version 1: time and machine")(
    tools.replace_method, "central.store.new_id", lambda: str(uuid.uuid1())
)
_rule("integration-required", "Passes a test without a config")(
    tools.suppress_rule, "central.service.test", "integration-required"
)


@_rule("mask-taken-literally", "Refuses a create or a PUT that sends the mask as a credential")
def mask_taken_literally(mock: Instance) -> None:
    message = mock.central.contract.integration

    def seen(credential: str) -> str:
        if credential == MASK:
            raise tools.refused(400, "a credential is masked")
        return credential

    def create(original: Original, integration: Mapping[str, Any]) -> Any:
        tools.credentials(message, integration, seen)
        return original(integration)

    def update(original: Original, integration: Mapping[str, Any], *, update_password: bool) -> None:
        if update_password:
            tools.credentials(message, integration, seen)
        original(integration, update_password=update_password)

    tools.around(mock, "central.service.create", create)
    tools.around(mock, "central.service.update", update)


# -- reading ---------------------------------------------------------------------------------------------


@_rule("get-missing", "GET of an unknown id answers with an empty integration")
def get_missing(mock: Instance) -> None:
    integration = mock.central.decoding.empty_integration()
    empty = Stored(integration, protojson.render(integration))
    tools.suppress_rule(mock, "central.service.get", "get-missing", answer=empty)


def _unfiltered(mock: Instance, method: str) -> None:
    tools.replace_method(mock, method, lambda _wanted: mock.central.store.list_answer())


_rule("list-by-name", "Ignores the filter by name")(_unfiltered, "central.service.list_by_name")
_rule("list-by-cluster", "Ignores the filter by cluster")(_unfiltered, "central.service.list_by_cluster")


_rule("credentials-masked", "Reads show the credentials", also=("credential-leak",))(
    tools.replace_method, "central.rendering.credentials_masked", dict
)


# -- updating --------------------------------------------------------------------------------------------


_rule("database-error", "PUT and PATCH with an empty id answer 200")(
    tools.suppress_rule, "central.service.update", "database-error"
)


@_rule("path-id-wins", "Uses the id in the body instead of the one in the path")
@tools.answering(PUT, PATCH)
def path_id_wins(proceed: Proceed, exchange: Exchange) -> Response:
    with suppress(ValueError, AttributeError):
        sent = json.loads(exchange.request.body.read())
        id = (sent.get("config") or sent).get("id")
        exchange.id = id if id and isinstance(id, str) else exchange.id
    return proceed(exchange)


@_rule("update-replaces", "PUT and PATCH keep fields that are not sent")
def update_replaces(mock: Instance) -> None:
    members = tools.config_members(mock)

    def merged(old: Json, sent: Json) -> Json:
        both = old | {name: value for name, value in sent.items() if value or name not in old}
        gone = [name for name in members if name in old and any(other in sent for other in members)]
        return {name: value for name, value in both.items() if name in sent or name not in gone}

    tools.updated(mock, merged)


@_rule("update-not-rolled-back", "Rolls back an update whose client cannot be built")
def update_not_rolled_back(mock: Instance) -> None:
    store = mock.central.store
    tools.replace_method(
        mock, "central.service.update_not_rolled_back", lambda previous: store.put(previous.integration)
    )


_rule("categories-sorted", "Categories keep the order in which they were sent")(
    tools.replace_method, "central.service.categories_sorted", lambda integration: integration
)


@_rule("test-stores-nothing", "A test of a new integration stores it")
@tools.instead_of("central.service.test")
def test_stores_nothing(
    mock: Instance, original: Original, integration: Mapping[str, Any], *, update_password: bool
) -> None:
    original(integration, update_password=update_password)
    store = mock.central.store
    store.put({**integration, "id": integration["id"] or store.new_id()})


_rule("stored-credentials-kept", "An update without credentials erases the stored ones")(
    tools.replace_method,
    "central.reconcile.stored_credentials_kept",
    lambda message, sent, _stored: tools.credentials(message, sent, lambda _: ""),
)


@_rule("reconcile-needs-config")
@tools.instead_of("central.reconcile.with_stored")
def reconcile_needs_config(
    mock: Instance, original: Original, sent: Mapping[str, Any], stored: Mapping[str, Any] | None
) -> Any:
    if sent["id"] and config_member(mock.central.contract.integration, sent) is None:
        return dict(sent)
    return original(sent, stored)


_rule("azure-member-converted", "Keeps a stored docker member when type azure is sent")(
    tools.replace_method, "central.service.azure_member_converted", lambda _sent, stored: stored
)
