"""Wire format: which bodies Central refuses, which deviations it accepts, and how it reads them.

An error is recognised by status, code and the part of protobuf-go's text that is the same in every build. A deviation
that Central accepts is checked by reading the integration back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import quote

from contract_tests.checks.registry import check
from contract_tests.engine.central import Central, brief, created_id
from contract_tests.engine.exchange import COLLECTION, Exchange, Reply
from contract_tests.engine.failures import CheckFailed, PreconditionFailed, Skip
from contract_tests.engine.integrations import NEEDED, UNKNOWN_TYPE, Body, member_of, read_answer
from contract_tests.oracle.steps import deleted
from contract_tests.oracle.variants import FORM
from mock_server.contract.tables import MASK, Message

_ELSEWHERE = ("PUT", "PATCH", "test", "test/updated")
"""Operations with a body, besides create."""


_READ = ("category-required", "name-required")
"""Checks of errors that `check_body_was_read` uses as proof."""


class Flaw(NamedTuple):
    """A way to make a body invalid; `text` is a part of the error."""

    what: str
    spoil: Callable[[bytes], bytes]
    text: str = ""
    anywhere: bool = True
    """Whether it applies to integrations of any type, not only to the body of a create."""


def _substitute(old: str, new: str | bytes) -> Callable[[bytes], bytes]:
    """Return a function that replaces the first match of `old` with `new`."""
    replacement = new if isinstance(new, bytes) else new.encode()

    def spoil(body: bytes) -> bytes:
        spoiled, found = re.subn(old.encode(), lambda _: replacement, body, count=1)
        if not found:
            raise ValueError(f"the body has no {old} to replace")
        return spoiled

    return spoil


def _before_name(new: str) -> Callable[[bytes], bytes]:
    return _substitute('"name":', f'{new}, "name":')


def _whole_body(new: str) -> Callable[[bytes], bytes]:
    return lambda _: new.encode()


def send_harmlessly(central: Central, operation: str, flaw: Flaw) -> Reply:
    """Send an invalid body in a way that does no harm if the target accepts it.

    PUT and PATCH use an id that does not exist; tests use Scanner V4, whose test contacts nothing.
    """
    value: Body = central.integration("docker" if operation in ("PUT", "PATCH") else "scannerv4")
    if operation in ("PATCH", "test/updated"):
        value = {"config": value, "updatePassword": True}
    body = flaw.spoil(json.dumps(value).encode())
    if operation in ("PUT", "PATCH"):
        return central.send(operation, f"{COLLECTION}/{central.unknown_id()}", body=body)
    return central.send("POST", f"{COLLECTION}/{operation}", body=body)


def _check_flaws_refused(
    central: Central,
    rule: str,
    flaws: Iterable[Flaw],
    *,
    text: str = "",
    quick: int = 1,
    likely: int = 0,
    default: int | None = None,
    integration: Callable[[], Body] | None = None,
) -> None:
    """Check that `rule` refuses the flaws in a create, and one of them in each other operation.

    Each error contains `text`, followed by that of its flaw. A quick run tries the first `likely` flaws, or `quick`
    random ones; a default run tries `default` (None: all). `integration` makes the valid integrations to spoil.
    """
    found, flaws, make = central.rules[rule], list(flaws), integration or central.integration
    central.control_of(make()["type"])
    tried = flaws[:likely] if central.quick and likely else central.some(flaws, quick, default)
    for flaw in central.cases(tried):
        reply = central.create(body=flaw.spoil(json.dumps(make()).encode()))
        what = f"a create with {flaw.what}"
        central.refused(reply, what, status=found.status, code=found.code, text=text + flaw.text)
    anywhere = [flaw for flaw in flaws if flaw.anywhere]
    if central.quick:
        anywhere = [flaw for flaw in anywhere if flaw not in tried] or anywhere
    for operation in central.cases(central.some(_ELSEWHERE, 1) if anywhere else ()):
        flaw = central.random.choice(anywhere)
        reply = send_harmlessly(central, operation, flaw)
        what = f"{operation} with {flaw.what}"
        central.refused(reply, what, status=found.status, code=found.code, text=text + flaw.text)


class Stored:
    """An integration that each body replaces. The first body creates it, or replaces the spare one."""

    def __init__(self, central: Central, *, creates: bool = False) -> None:
        """`creates`: the first body creates it even in a quick run."""
        self.central = central
        self.creates = creates
        self.id = ""
        self.shown: Any = None
        self.creation: list[Exchange] = []

    def becomes(self, sent: bytes | Body, meant: Body, what: str, **request: Any) -> None:
        """Send a body that Central must accept, and check that a read returns `meant`."""
        central, body = self.central, sent if isinstance(sent, bytes) else json.dumps(sent).encode()
        if self.id:
            central.history = list(self.creation)  # earlier updates are irrelevant
            reply = central.put(self.id, body=body, **request)
            central.ok(reply, f"a PUT with {what}")
        elif self.creates or not central.reuses_integrations or central.shared.spare is None:
            reply = central.create(body=body, **request)
            central.ok(reply, f"a create with {what}")
            self.id = created_id(reply)
            self.creation = central.history[-1:]
        else:
            self.creation = [central.shared.spare[1]]
            self.id, reply = central.stored(None, body=body, **request)
            central.ok(reply, f"a PUT with {what}")
        self.reads_as(meant, what)

    def reads_as(self, meant: Body, what: str) -> None:
        """Check that a read returns `meant`."""
        central, before = self.central, self.shown
        reply = central.get(self.id)
        central.ok(reply, "GET of an integration", need="read-after-create")
        if before is not None and reply.json == before:
            raise PreconditionFailed("update-replaces", "an accepted update changed nothing")
        self.shown = reply.json
        central.same(self.shown, read_answer(central.contract, meant, self.id), f"an integration after {what}")


def check_body_was_read(central: Central, reply: Reply, what: str) -> None:
    """Check that a body without name and category was read: these are the only problems that Central reports."""
    missing = (central.text("category-required"), central.text("name-required"))
    if reply.status >= 500:
        raise CheckFailed(f"{what} is not refused", expected="a 4xx", got=brief(reply), check="no-server-error")
    if sum(text in reply.message for text in missing) == 1:
        raise PreconditionFailed("problems-listed", f"{what} was answered {brief(reply)}, without both problems")
    central.refused(reply, what, text=missing)


def with_authorization(central: Central, expires: str) -> Body:
    """Return an ECR integration that carries authorization data instead of keys."""
    data = {"username": "AWS", "password": central.secret(), "expiresAt": expires}
    return central.integration("ecr", ecr={"accessKeyId": None, "secretAccessKey": None, "authorizationData": data})


# -- bodies that are not JSON -------------------------------------------------------------------------


@check("body-truncated", "rules")
def body_truncated(central: Central) -> None:
    def cut(body: bytes) -> bytes:
        return body[: central.random.randrange(2, len(body) - 1)]

    flaws = [
        Flaw("only the first byte of its body", lambda body: body[:1]),
        Flaw("only the first half of its body", lambda body: body[: len(body) // 2]),
        Flaw("the last byte of its body missing", lambda body: body[:-1]),
        *(Flaw("the end of its body missing", cut) for _ in range(4)),
    ]
    _check_flaws_refused(central, "body-truncated", flaws, text="unexpected EOF", default=5)


LIKELY = 3
INVALID_JSON = (
    # Many JSON parsers accept the first `LIKELY` of these.
    Flaw("a comma before the last brace", lambda body: body[:-1] + b",}"),
    Flaw("a comment", _substitute('"name":', '/* name */ "name":')),
    Flaw("NaN for an unknown field", _before_name('"unknown": NaN')),
    Flaw("single quotes", _substitute('"name":', "'name':")),
    Flaw("a key without quotes", _substitute('"name":', "name:")),
    Flaw("no comma between two fields", _substitute(', "type":', ' "type":')),
    Flaw("no colon after a key", _substitute('"type":', '"type"')),
    Flaw("Python's False", _substitute("false", "False")),
    Flaw("plain text as the body", _whole_body("a registry")),
    Flaw("a form as the body", _whole_body("name=registry&type=docker")),
    Flaw("XML as the body", _whole_body("<integration/>")),
    Flaw("a byte order mark before its body", lambda body: b"\xef\xbb\xbf" + body),
    Flaw("a line break inside a string", _substitute('"clusterId": ""', '"clusterId": "a\nb"')),
    Flaw("UTF-16 instead of UTF-8", lambda body: body.decode().encode("utf-16")),
)


@check("body-syntax", "rules")
def body_syntax(central: Central) -> None:
    # The rest of the text is Go's and changes with its releases.
    _check_flaws_refused(central, "body-syntax", INVALID_JSON, text="invalid character", likely=LIKELY)


def _as_cluster(text: str | bytes) -> Callable[[bytes], bytes]:
    inside = text.encode() if isinstance(text, str) else text
    return _substitute('"clusterId": ""', b'"clusterId": "cluster ' + inside + b' cluster"')


_NO_UTF8 = (
    Flaw("a byte that is not UTF-8", _as_cluster(b"\xff")),
    Flaw("half a UTF-8 character", _as_cluster(b"\xc3")),
    Flaw("half a surrogate pair in UTF-8", _as_cluster(b"\xed\xa0\x80")),
)
_HALF_PAIRS = (
    Flaw("an escaped high surrogate alone", _as_cluster(r"\ud800")),
    Flaw("an escaped low surrogate alone", _as_cluster(r"\udc00")),
)


@check("string-encoding", "rules", needs=("field-value",))
def string_encoding(central: Central) -> None:
    for flaws in central.some((_NO_UTF8, _HALF_PAIRS), 1):
        _check_flaws_refused(central, "string-encoding", flaws)


@check("nesting-depth", "rules", needs=(*_READ, "unknown-field-dropped", "query-on-write-ignored"))
def nesting_depth(central: Central) -> None:
    flaws = [
        Flaw(f"{what} 20,000 deep", _before_name(f'"unknown": {_deep(20_000, opening, closing)}'), anywhere=False)
        for what, opening, closing in (("lists", "[", "]"), ("objects", '{"a":', "}"))
    ]
    _check_flaws_refused(central, "nesting-depth", flaws)
    with central.case():
        body = f'{{"unknown": {_deep(200, "[", "]")}}}'.encode()
        check_body_was_read(central, central.create(body=body), "a create with lists 200 deep")


def _deep(levels: int, opening: str, closing: str) -> str:
    return opening * levels + "1" + closing * levels


@check("message-size", "rules")
def message_size(central: Central) -> None:
    if not central.options.allow_load:
        raise Skip("would send 25 MiB; allow it with --allow-load")
    central.control_of("docker")
    rule, text = central.rules["message-size"], ("grpc: received message larger than max", "25165824")
    reply = central.create(central.integration("docker", docker={"username": "x" * (25 << 20)}))
    central.refused(reply, "a create of 25 MiB", status=rule.status, code=rule.code, text=text)


# -- JSON that is not an integration ------------------------------------------------------------------

_CATEGORIES = r'"categories": \[[^]]*\]'

_WRONG_KIND = (
    Flaw("null as the body", _whole_body("null"), "unexpected token null"),
    Flaw(
        "a category instead of a list of categories",
        _substitute(_CATEGORIES, '"categories": "REGISTRY"'),
        'unexpected token "REGI',
    ),
    Flaw("a list as the body", _whole_body("[]"), "unexpected token ["),
    Flaw("a string as the body", _whole_body('"x"'), 'unexpected token "x"'),
    Flaw("a string as the source", _before_name('"source": "x"'), 'unexpected token "x"'),
    Flaw("a list as the source", _before_name('"source": []'), "unexpected token ["),
    Flaw("a string as the config", _substitute(r'"docker": \{[^}]*\}', '"docker": "x"'), 'unexpected token "x"', False),
    Flaw("a list as the config", _substitute(r'"docker": \{[^}]*\}', '"docker": []'), "unexpected token [", False),
)


@check("unexpected-token", "rules")
def unexpected_token(central: Central) -> None:
    _check_flaws_refused(central, "unexpected-token", _WRONG_KIND, likely=3)
    if central.quick:
        return
    for value, token in central.cases(((1893553445, "1893553445"), ({"seconds": 1893553445}, "{"))):
        body = with_authorization(central, "")
        body["ecr"]["authorizationData"]["expiresAt"] = value
        text = f"unexpected token {token}"
        central.refused(central.create(body), f"a create with the time {json.dumps(value)}", text=text)


@check("extension-name", "rules")
def extension_name(central: Central) -> None:
    """Central does not document extension names, so a target may treat one as an unknown field."""
    kinds = central.contract.proto_types
    rule = central.rules["extension-name"]
    for name in central.cases(central.some(central.random.sample(sorted(kinds), 3), 1, 1)):
        reply = central.create({f"[{name}]": 1})
        if central.text("name-required") in reply.message:
            central.note("The target ignores a field name in brackets; Central refuses it.")
            continue
        wrong_type = f'unable to resolve "[{name}]": found wrong type'
        text = f"cannot be extended by {name}" if kinds[name] == "extension" else wrong_type
        central.refused(reply, f"a create with a field [{name}]", status=rule.status, code=rule.code, text=text)


_TWICE = (
    Flaw("two names", _before_name('"name": "x"'), 'duplicate field "name"'),
    Flaw("the type twice", _before_name('"type": "docker"'), 'duplicate field "type"'),
    Flaw("the categories twice", _before_name('"categories": []'), 'duplicate field "categories"'),
    Flaw("clusterId and cluster_id", _before_name('"clusterId": "a", "cluster_id": "b"'), "duplicate field"),
    Flaw(
        "cluster_id after clusterId",
        _substitute('"clusterId": ""', '"clusterId": "", "cluster_id": ""'),
        'duplicate field "cluster_id"',
    ),
    Flaw(
        "skipTestIntegration after skip_test_integration",
        _before_name('"skip_test_integration": true'),
        'duplicate field "skipTestIntegration"',
    ),
    Flaw(
        "two endpoints in the config",
        _substitute('"endpoint":', '"endpoint": "registry.example.com", "endpoint":'),
        'duplicate field "endpoint"',
        anywhere=False,
    ),
)


@check("duplicate-field", "rules", needs=("query-on-write-ignored", "both-spellings"))
def duplicate_field(central: Central) -> None:
    _check_flaws_refused(central, "duplicate-field", _TWICE[:-1])
    _check_flaws_refused(central, "duplicate-field", _TWICE[-1:])


@check("one-config-member", "rules")
def one_config_member(central: Central) -> None:
    text = "oneof storage.ImageIntegration.IntegrationConfig is already set"
    flaws = [
        Flaw(f"a second config, {name}", _before_name(f'"{name}": {{}}'), text, anywhere=field.name != "scannerV4")
        for field in central.contract.integration.members
        for name in {field.name, field.proto_name}
        if field.name != "docker"
    ]
    _check_flaws_refused(central, "one-config-member", sorted(flaws), default=3)


# -- values of a wrong type ---------------------------------------------------------------------------

_WRONG_VALUE = (
    *(
        Flaw(f"{value} for a string", _substitute('"clusterId": ""', f'"clusterId": {value}'), "string field clusterId")
        for value in ("5", "true")
    ),
    *(
        Flaw(
            f"{value} for a bool", _substitute('"autogenerated": false', f'"autogenerated": {value}'), "bool field auto"
        )
        for value in ('"true"', "0", "1")
    ),
    Flaw(
        '"true" for skipping the test', _substitute('Integration": true', 'Integration": "true"'), "bool field skipTest"
    ),
    Flaw("null among the categories", _substitute(_CATEGORIES, '"categories": [null]'), "enum field categories: null"),
)

_WRONG_INSIDE = (
    Flaw("5 for a user name", _substitute('"username": "[^"]*"', '"username": 5'), "string field username", False),
    Flaw('"true" in a config', _substitute('"insecure": true', '"insecure": "true"'), "bool field insecure", False),
    Flaw("5 in the source", _before_name('"source": {"namespace": 5}'), "string field namespace"),
)

_INVALID_INT32 = [
    Flaw(
        f"{value} for an int32",
        _substitute('"numConcurrentScans": 7', f'"numConcurrentScans": {value}'),
        "int32 field numConcurrentScans",
        anywhere=False,
    )
    for value in ("5.5", "2147483648", "true", '" 5"', '""', "-2147483649", "{}")
]


@check("field-value", "rules", needs=("null-is-absent", "number-forms"))
def field_value(central: Central) -> None:
    text = "invalid value for "
    strings, bools, enums = _WRONG_VALUE[:2], _WRONG_VALUE[2:6], _WRONG_VALUE[6:]
    each_kind = (
        [central.random.choice(strings), central.random.choice(bools), *enums] if central.quick else _WRONG_VALUE
    )
    _check_flaws_refused(central, "field-value", each_kind, text=text, quick=3)
    _check_flaws_refused(central, "field-value", central.some(_WRONG_INSIDE, 1), text=text)
    clairify = partial(central.integration, "clairify")
    _check_flaws_refused(central, "field-value", _INVALID_INT32, text=text, likely=4, integration=clairify)
    for type in central.some(central.creatable_types, 0, 0):
        _each_field_of_config(central, type)


def _each_field_of_config(central: Central, type: str) -> None:
    """Yield each field of a config, including credentials, with a value of a wrong type."""
    central.control_of(type)
    member = central.contract.types[type].member
    for name, value in central.integration(type)[member].items():
        kind = {str: "string", bool: "bool", int: "int32"}[value.__class__]
        with central.case():
            reply = central.create(central.integration(type, **{member: {name: 5 if kind == "string" else "x"}}))
            text = f"invalid value for {kind} field {name}"
            central.refused(reply, f"a value of the wrong type for {member}.{name}", text=text)


_NO_TIME = (
    "2030-01-02T03:04:05",
    "2030-01-02",
    "2030-01-02 03:04:05Z",
    "2030-01-02t03:04:05Z",
    "2030-01-02T03:04:05z",
    "2030-01-02T03:04:05.1234567891Z",
    "2030-13-02T03:04:05Z",
    "2030-01-02T24:04:05Z",
    "2030-01-02T03:04:60Z",
    "",
)


def _refused_times(central: Central, times: Iterable[str], text: str) -> None:
    if "authorization" not in central.shared.controls:
        central.control(with_authorization(central, "2030-01-02T03:04:05Z"))
        central.shared.controls.add("authorization")
    for time in central.cases(times):
        central.refused(central.create(with_authorization(central, time)), f"the time {time!r}", text=text)


@check("timestamp-format", "rules")
def timestamp_format(central: Central) -> None:
    times = _NO_TIME[:3] if central.quick else _NO_TIME
    _refused_times(central, times, "invalid google.protobuf.Timestamp value")


@check("timestamp-range", "rules")
def timestamp_range(central: Central) -> None:
    times = ["0000-01-01T00:00:00Z", "0000-12-31T23:59:59.999Z"]
    if central.options.profile == "deep":
        times += ["0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"]
    _refused_times(central, central.some(times, 1), "google.protobuf.Timestamp value out of range")


# -- queries ------------------------------------------------------------------------------------------


@check("query-value-once", "rules", writes=False)
def query_value_once(central: Central) -> None:
    name = central.name()
    for key, rule in central.some((("name", "list-by-name"), ("cluster", "list-by-cluster")), 1):
        for other in central.some((name, "other"), 1):
            text = f'too many values for field "{key}": {name}, {other}'
            reply = central.list(f"?{key}={name}&{key}={other}")
            central.refused(reply, f"a list with {key} twice", text=text)
        if not central.quick:
            central.ok(central.list(f"?{key}={name}"), f"a list with {key} once", need=rule)


@check("query-encoding", "rules", writes=False)
def query_encoding(central: Central) -> None:
    # HTTP libraries correct a bad escape in a path, but not in form data, which Central uses as the query.
    headers = {"Content-Type": FORM, "X-HTTP-Method-Override": "GET"}
    for escape in central.some(("%zz", "%", "%4"), 1):
        reply = central.send("POST", COLLECTION, body=f"name={escape}".encode(), headers=headers)
        if reply.status != 400 or not central.quick:
            form = f"name={quote(central.name())}%41".encode()
            control = central.send("POST", COLLECTION, body=form, headers=headers)
            central.ok(control, "a form POST with X-HTTP-Method-Override: GET", need="method-override")
        central.refused(reply, f"a query with {escape}", text=f'invalid URL escape "{escape}"')


_QUERY = "?name=other&name=another&type=quay&categories=REGISTRY&docker.username=other&bogus=1"


@check(
    "query-on-write-ignored",
    "rules",
    "Query parameters change a create, an update, a delete or a test",
    source="grpc-gateway generated handlers",
    needs=_READ,
)
def query_on_write_ignored(central: Central) -> None:
    with central.case():
        check_body_was_read(central, central.send("POST", COLLECTION + _QUERY, value={}), "a create with a query")
    if central.quick:
        return
    with central.case():
        stored, body = Stored(central), central.integration()
        reply = central.send("POST", COLLECTION + _QUERY, value=body)
        central.ok(reply, "a create with a query")
        stored.id = created_id(reply)
        stored.reads_as(body, "a create with a query")
        path, other = f"{COLLECTION}/{stored.id}", central.unknown_id()
        body = central.integration()
        central.ok(central.send("PUT", f"{path}{_QUERY}&id={other}", value=body), "a PUT with a query")
        stored.reads_as(body, "a PUT with a query")
        body = central.integration()
        update = {"config": body, "updatePassword": True}
        reply = central.send("PATCH", f"{path}{_QUERY}&updatePassword=false", value=update)
        central.ok(reply, "a PATCH with a query")
        stored.reads_as(body, "a PATCH with a query")
        reply = central.send("POST", f"{COLLECTION}/test{_QUERY}", value=central.integration("scannerv4"))
        central.ok(reply, "a test with a query")
        deleted(central, stored.id, lambda id: central.delete(id, query=f"?id={other}&name=other"))
        central.same(central.get(stored.id).status, 404, "the status of a GET after a DELETE with a query")


@check(
    "body-on-read-ignored",
    "rules",
    "The body of a GET or DELETE is not ignored",
    source="grpc-gateway generated handlers",
)
def body_on_read_ignored(central: Central) -> None:
    body = b'{"id": "other", "name": }'
    reply = central.list(f"?name={central.name()}", body=body)
    central.ok(reply, "a list with a body")
    central.same(reply.json, {"integrations": []}, "the answer to a list with a body")
    if central.quick:
        return
    id, sent = central.created()
    reply = central.get(id, body=body)
    central.ok(reply, "a GET with a body")
    central.same(reply.json, read_answer(central.contract, sent, id), "the answer to a GET with a body")
    deleted(central, id, lambda id: central.delete(id, body=body))
    central.same(central.get(id).status, 404, "the status of a GET after a DELETE with a body")


# -- tolerated deviations -----------------------------------------------------------------------------

_UNKNOWN_FIELDS: Body = {
    "clusters": [],
    "Name": "another",
    "TYPE": "quay",
    "enabled": True,
    "uiEndpoint": None,
    "labels": {"a": [1, {"b": None}], "name": "another"},
    "IntegrationConfig": {"quay": {"endpoint": "quay.example.com"}},
    "": 5,
    "cluster-id": "another",
    "clusterid": "another",
    "skip-test-integration": False,
    "__proto__": {"name": "another"},
    "constructor": None,
}


@check("unknown-field-dropped", "rules", needs=("null-is-absent",))
def unknown_field_dropped(central: Central) -> None:
    what = "unknown fields"
    for type in central.cases(["quay", *central.some(central.creatable_types, 0, 0)]):
        stored, meant = Stored(central, creates=True), central.integration(type)
        meant["source"] = {"clusterId": "cluster", "namespace": "namespace", "imagePullSecretName": "secret"}
        member = member_of(central.contract, meant) or ""
        sent = meant | _UNKNOWN_FIELDS
        sent |= {key: meant[key] | _UNKNOWN_FIELDS for key in (member, "source")}
        if type == "quay":
            sent[member] |= {"oauth_token": "other"}  # protobuf's name has no underscore
        stored.becomes(sent, meant, what)
        if central.quick:
            continue
        meant = meant | {"name": central.name()}
        update = {"config": meant | _UNKNOWN_FIELDS, "updatePassword": True, "update": 1, "UpdatePassword": False}
        reply = central.send("PATCH", f"{COLLECTION}/{stored.id}", value=update)
        central.ok(reply, f"a PATCH with {what}")
        stored.reads_as(meant, f"a PATCH with {what}")


def in_proto_names(message: Message, value: Mapping[str, Any]) -> Body:
    """Return a message with the protobuf names of its fields."""
    named: Body = {}
    for field in message.fields:
        if field.name in value:
            inner = value[field.name]
            if field.message is not None and isinstance(inner, dict):
                inner = in_proto_names(field.message, inner)
            named[field.proto_name] = inner
    return named


def _in_every_spelling(central: Central) -> dict[str, Body]:
    """Return integrations whose configs together hold every field that has two spellings."""
    ecr = central.integration("ecr", ecr={"useAssumeRole": True, "endpoint": None, "assumeRoleId": "role"})
    ecr["source"] = {"clusterId": "cluster", "namespace": "namespace", "imagePullSecretName": "secret"}
    ecr |= {"clusterId": "cluster", "autogenerated": True}
    robot = {"username": "robot", "password": central.secret()}
    return {
        "ecr": ecr,
        "authorization data": with_authorization(central, "2030-01-02T03:04:05Z"),
        "quay": central.integration("quay", quay={"oauthToken": None, "registryRobotCredentials": robot}),
        "google": central.integration("artifactregistry", google={"wifEnabled": True}),
        "azure": central.integration("azure", azure={"wifEnabled": True}),
        "ibm": central.integration("ibm"),
        "clairify": central.integration("clairify"),
        "clairV4": central.integration("clairV4"),
    }


@check("both-spellings", "rules", needs=("update-password-default", "reconcile-credential-masked"))
def both_spellings(central: Central) -> None:
    bodies = _in_every_spelling(central)
    with central.case():
        stored = Stored(central)
        for name in ["ecr", *central.some(list(bodies)[1:], 1)]:
            central.control_of(bodies[name]["type"])
            sent = in_proto_names(central.contract.integration, bodies[name])
            stored.becomes(sent, bodies[name], f"the proto names of {name}")
    with central.case():
        # Scanner V4 cannot be created, but its test passes only if the config was read.
        sent = in_proto_names(central.contract.integration, central.integration("scannerv4"))
        central.ok(central.test(sent), "a test with the config scanner_v4")
    if central.quick:
        return
    with central.case():
        id, body = central.created()
        update = {"config": body, "update_password": True}
        reply = central.send("PATCH", f"{COLLECTION}/{id}", value=update)
        text = central.text("reconcile-credential-masked", field="").partition("'")[0]
        central.refused(reply, "PATCH with update_password, which is not a name of updatePassword,", text=text)


@check("null-is-absent", "rules", needs=_READ)
def null_is_absent(central: Central) -> None:
    with central.case():
        # In a quick run, docker is among the members that are null.
        like, names = (
            ("quay", ("oauthToken", "insecure", "registryRobotCredentials"))
            if central.quick
            else ("docker", ("username", "password", "insecure"))
        )
        meant = central.integration(like, **{like: dict.fromkeys(names)})
        meant = {key: value for key, value in meant.items() if key not in ("autogenerated", "clusterId")}
        nulls = {field.name: None for field in central.contract.integration.fields}
        sent = nulls | meant | {like: dict.fromkeys(names) | meant[like]}
        Stored(central).becomes(sent, meant, "null for a field of each type")
    with central.case():
        unset: Body = {"name": None, "categories": None, "source": dict.fromkeys(("clusterId", "namespace"))}
        reply = central.create(central.integration() | unset)
        check_body_was_read(central, reply, "a create with null for name and categories")
    if central.quick:
        return
    with central.case():
        stored = Stored(central)
        for type, meant in _minimal_bodies(central).items():
            member = central.contract.types[type].member
            nulls = {field.name: None for field in central.contract.config_message(type).fields}
            stored.becomes(meant | {member: nulls | meant[member]}, meant, f"null for the optional fields of {type}")
    with central.case():
        # Null does not skip the test: this error comes from the test. An unknown type contacts nothing.
        body = central.integration(type=UNKNOWN_TYPE) | {"skipTestIntegration": None}
        text = f"registry with type '{UNKNOWN_TYPE}' does not exist"
        central.refused(central.create(body), "a create with null for skipTestIntegration", text=text)
    with central.case():
        reply = central.send("POST", f"{COLLECTION}/test/updated", value={"config": None, "updatePassword": None})
        central.refused_by(reply, "integration-required", "/test/updated with null for the config")


_UNKNOWN_CATEGORIES = ("BOGUS", "registry", "1", "REGISTRY ", "")


@check("unknown-category-dropped", "rules", needs=_READ)
def unknown_category_dropped(central: Central) -> None:
    with central.case():
        reply = central.create(central.integration(categories=list(_UNKNOWN_CATEGORIES)))
        central.refused_by(reply, "category-required", "a request with unknown categories only")
    if central.quick:
        return
    with central.case():
        meant = central.integration("quay")
        sent = meant | {"categories": [*_UNKNOWN_CATEGORIES[:2], "REGISTRY", *_UNKNOWN_CATEGORIES[2:]]}
        Stored(central).becomes(sent, meant, "unknown categories")


@check("category-by-number", "rules", needs=("categories-sorted", "update-not-rolled-back"))
def category_by_number(central: Central) -> None:
    names = list(central.contract.types["clairify"].categories)
    stored, meant = Stored(central), central.integration("clairify", categories=names)
    numbers = [central.contract.categories[name] for name in names]
    stored.becomes(meant | {"categories": numbers}, meant, "categories by their numbers")
    if central.quick:
        return
    meant = central.integration("quay", categories=["REGISTRY", "SCANNER"])
    stored.becomes(meant | {"categories": ["SCANNER", 0]}, meant, "a category by its number, one by its name")
    reply = central.put(stored.id, meant | {"categories": [0, 7]})
    what = "an unknown category number"
    if reply.status != 500:  # Central stores an update that fails only when the clients are built
        central.not_built(reply, f"an update with {what}", central.text("category-implemented", category=7))
    central.same(central.get(stored.id).object.get("categories"), ["REGISTRY", 7], f"categories after {what}")


_NUMBERS = (("5.0", 5), ("1e2", 100), ("12E0", 12), ("-3", -3), ('"6"', 6), ('"1e1"', 10), ('"-4"', -4))


@check("number-forms", "rules", needs=_READ)
def number_forms(central: Central) -> None:
    stored = Stored(central)
    quoted = [each for each in _NUMBERS if each[0].startswith('"')]
    plain = [each for each in _NUMBERS if each not in quoted]
    number = 0
    for form, number in (*central.some(plain, 1), *central.some(quoted, 0)):
        meant = central.integration("clairify", clairify={"numConcurrentScans": number})
        sent = re.sub(r'(?<="numConcurrentScans": )-?\d+', form, json.dumps(meant)).encode()
        stored.becomes(sent, meant, f"the number {form}")
    others = [each for each in plain if each[1] != number] if central.quick else []
    for form, _ in central.cases((*central.some(quoted, 1), *central.some(others, 1))):
        body = f'{{"clairify": {{"numConcurrentScans": {form}}}}}'.encode()
        check_body_was_read(central, central.create(body=body), f"a create with the number {form}")


_TIMES = (
    ("2030-01-02T03:04:05Z", "2030-01-02T03:04:05Z"),
    ("2030-01-02T03:04:05.000Z", "2030-01-02T03:04:05Z"),
    ("2030-01-02T03:04:05.1Z", "2030-01-02T03:04:05.100Z"),
    ("2030-01-02T03:04:05.123Z", "2030-01-02T03:04:05.123Z"),
    ("2030-01-02T03:04:05.1234Z", "2030-01-02T03:04:05.123400Z"),
    ("2030-01-02T03:04:05.000006Z", "2030-01-02T03:04:05.000006Z"),
    ("2030-01-02T03:04:05.1234567Z", "2030-01-02T03:04:05.123456700Z"),
    ("2030-01-02T03:04:05.123456789Z", "2030-01-02T03:04:05.123456789Z"),
    ("2030-01-02T03:04:05,5Z", "2030-01-02T03:04:05.500Z"),
    ("2030-01-02T03:04:05+01:00", "2030-01-02T02:04:05Z"),
    ("2030-01-01T00:30:00.25+05:45", "2029-12-31T18:45:00.250Z"),
)
_COMPLETE_TIME = ("2030-12-31T23:30:00.000000001-01:00", "2031-01-01T00:30:00.000000001Z")
"""A time in another zone, with another year in UTC, and with every digit of the fraction."""
_PAST_TIME = ("1999-12-31T23:59:59Z", "1999-12-31T23:59:59Z")
"""A time without a fraction; Central does not check whether it is in the past."""


@check("timestamp-normalised", "rules")
def timestamp_normalised(central: Central) -> None:
    stored = Stored(central)
    for sent, read in [_COMPLETE_TIME, _PAST_TIME, *central.some(_TIMES, 0)]:
        body = with_authorization(central, sent)
        data = body["ecr"]["authorizationData"] | {"expiresAt": read}
        stored.becomes(body, body | {"ecr": body["ecr"] | {"authorizationData": data}}, f"the time {sent}")


_TAILS = (b' {"name": "other", "type": "quay"}', b" trailing text", b"}", b"\n\x00\xff", b"[]")


@check("trailing-data-ignored", "rules", needs=_READ)
def trailing_data_ignored(central: Central) -> None:
    for tail in central.cases(central.some(_TAILS, 1, 2)):
        check_body_was_read(central, central.create(body=b"{}" + tail), f"a create with {tail!r} after its body")
    stored = Stored(central)
    for tail in central.some(_TAILS, 0, 3):
        meant = central.integration()
        stored.becomes(json.dumps(meant).encode() + tail, meant, f"{tail!r} after the body")


@check("empty-body", "rules", needs=_READ)
def empty_body(central: Central) -> None:
    item = f"{COLLECTION}/{central.unknown_id()}"
    requests = (
        ("POST", COLLECTION, b""),
        ("POST", COLLECTION, b" \r\n\t"),
        ("POST", COLLECTION, b"{}"),
        ("POST", f"{COLLECTION}/test", b""),
        ("PUT", item, b""),
        ("PATCH", item, b""),
    )
    for method, path, body in central.cases(requests[:1] if central.quick else requests):
        check_body_was_read(central, central.send(method, path, body=body), f"{method} {path} with the body {body!r}")
    if central.quick:
        return
    with central.case():
        reply = central.send("POST", f"{COLLECTION}/test/updated", body=b"")
        central.refused_by(reply, "integration-required", "a test/updated with an empty body")


@check("chunked-body", "rules", "A chunked body is refused", source="Go net/http transfer.go", needs=_READ)
def chunked_body(central: Central) -> None:
    # A server without support for chunks would read them as the next request of the connection.
    headers = {"Transfer-Encoding": "chunked", "Connection": "close"}
    with central.case():
        reply = central.create({"name": central.name()}, headers=headers)
        central.refused_by(reply, "category-required", "a create without a category and with a chunked body")
        if central.text("name-required") in reply.message:  # as servers without support for chunks do
            central.note("The target reads a chunked body as empty; Central reads it.")
            return
    if central.quick:
        return
    with central.case():
        stored = Stored(central)
        for _ in range(2):  # a create, then a PUT
            meant = central.integration()
            stored.becomes(meant, meant, "a chunked body", headers=headers)


_CONTENT_TYPES = (
    None,
    "text/plain",
    "application/xml",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/octet-stream",
    "text/html; charset=iso-8859-1",
)


@check("content-type-ignored", "rules", needs=_READ)
def content_type_ignored(central: Central) -> None:
    for content_type in central.cases(central.some(_CONTENT_TYPES, 1)):
        reply = central.create({}, headers={"Content-Type": content_type})
        check_body_was_read(central, reply, f"a create with the content type {content_type}")
    stored = Stored(central)
    for content_type in central.some(_CONTENT_TYPES, 0, 2):
        # A two-byte character shows whether the body is read as UTF-8 whatever its content type.
        meant = central.integration(clusterId="Z\u00fcrich")
        sent = json.dumps(meant, ensure_ascii=False).encode()
        stored.becomes(sent, meant, f"the content type {content_type}", headers={"Content-Type": content_type})
    for content_type in central.some(_CONTENT_TYPES, 0, 2):
        reply = central.test(central.integration("scannerv4"), headers={"Content-Type": content_type})
        central.ok(reply, f"a test with the content type {content_type}")


def _minimal_bodies(central: Central) -> dict[str, Body]:
    """Return integrations with only the required fields of each type."""
    bodies = {}
    for type in (each for each in NEEDED if each in central.creatable_types):
        body = central.integration(type, autogenerated=None, clusterId=None)
        member = central.contract.types[type].member
        bodies[type] = body | {member: {key: value for key, value in body[member].items() if key in NEEDED[type]}}
    return bodies


@check("zero-values-emitted", "schema")
def zero_values_emitted(central: Central) -> None:
    bodies = _minimal_bodies(central)
    with central.case():
        stored = Stored(central)
        for type in ("clairify",) if central.quick else bodies:
            sent = bodies[type] | ({"source": {}} if central.quick else {})
            stored.becomes(sent, sent, f"only the required fields of type {type}")
    if central.quick:
        return
    with central.case():
        body = central.integration() | {"source": {}, "docker": {}}
        meant = body | {
            "source": {"clusterId": "", "namespace": "", "imagePullSecretName": ""},
            "docker": {"endpoint": "", "username": "", "password": MASK, "insecure": False},
        }
        Stored(central).becomes(body, meant, "an empty source and an empty config")
    with central.case():
        reply = central.list(f"?name={central.name()}")
        central.same(reply.json, {"integrations": []}, "an empty list")
