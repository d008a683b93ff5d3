"""Wire: what bytes of a body Central refuses, what it tolerates, and what it makes of it.

A refusal is judged by status, code and the part of protobuf-go's text that is the same in every
build. A tolerance is judged by what is read back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from contract_tests.central import Central
from contract_tests.checks.routing import FORM, quick
from contract_tests.failures import Skip, Unmet
from contract_tests.integrations import Body, member_of, read_answer
from contract_tests.registry import check
from contract_tests.transport import COLLECTION, Reply
from mock_server.contract import MASK, Message

_ELSEWHERE = ("PUT", "PATCH", "test", "test/updated")
"""The operations besides create that read a body."""


class Flaw(NamedTuple):
    """A way to spoil a body; `text` is what the refusal then says."""

    what: str
    spoil: Callable[[bytes], bytes]
    text: str = ""
    anywhere: bool = True
    """It fits an integration of any type, not only the one the check sends."""


def _instead(old: str, new: str | bytes) -> Callable[[bytes], bytes]:
    """Put `new` in the place of what matches `old`, once."""
    replacement = new if isinstance(new, bytes) else new.encode()

    def spoil(body: bytes) -> bytes:
        spoiled, found = re.subn(old.encode(), lambda _: replacement, body, count=1)
        if not found:
            raise ValueError(f"there is no {old} to spoil")
        return spoiled

    return spoil


def _before_name(new: str) -> Callable[[bytes], bytes]:
    return _instead('"name":', f'{new}, "name":')


def _whole(new: str) -> Callable[[bytes], bytes]:
    return lambda _: new.encode()


def _sent_elsewhere(central: Central, operation: str, flaw: Flaw) -> Reply:
    """Send a spoiled body where nothing can come of it, should the flaw be overlooked.

    PUT and PATCH go to an id that is not there; what is tested is Scanner V4, whose test contacts
    nothing.
    """
    value: Body = central.integration("docker" if operation in ("PUT", "PATCH") else "scannerv4")
    if operation in ("PATCH", "test/updated"):
        value = {"config": value, "updatePassword": True}
    body = flaw.spoil(json.dumps(value).encode())
    if operation in ("PUT", "PATCH"):
        return central.send(operation, f"{COLLECTION}/{central.unknown_id()}", body=body)
    return central.send("POST", f"{COLLECTION}/{operation}", body=body)


def _refused_flaws(
    central: Central, rule: str, flaws: Iterable[Flaw], *, few: int = 2, integration: Callable[[], Body] | None = None
) -> None:
    """See that `rule` refuses each of the flaws in a create, and some of them in the other operations."""
    found = central.rules[rule]
    flaws = list(flaws)
    make = integration or central.integration
    central.control_of(make()["type"])
    for flaw in central.random.sample(flaws, min(few, len(flaws))) if quick(central) else flaws:
        with central.case():
            reply = central.create(None, body=flaw.spoil(json.dumps(make()).encode()))
            central.refused(reply, f"a create with {flaw.what}", status=found.status, code=found.code, text=flaw.text)
    anywhere = [flaw for flaw in flaws if flaw.anywhere]
    if not anywhere:
        return
    for operation in [central.random.choice(_ELSEWHERE)] if quick(central) else _ELSEWHERE:
        with central.case():
            flaw = central.random.choice(anywhere)
            reply = _sent_elsewhere(central, operation, flaw)
            what = f"{operation} with {flaw.what}"
            central.refused(reply, what, status=found.status, code=found.code, text=flaw.text)


def _id_of(reply: Reply) -> str:
    id = reply.object.get("id")
    if not isinstance(id, str) or not id:
        raise Unmet("create", "a create was answered without an id")
    return id


def created_as(central: Central, sent: bytes | Body, meant: Body, what: str, **request: Any) -> str:
    """Create from `sent`, see that `meant` is read back and give the id."""
    body = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    reply = central.create(None, body=body, **request)
    central.taken(reply, f"a create with {what}")
    id = _id_of(reply)
    reads_as(central, id, meant, what)
    return id


def replaced_as(central: Central, id: str, sent: bytes | Body, meant: Body, what: str, **request: Any) -> None:
    """PUT `sent` and see that `meant` is read back."""
    body = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    reply = central.put(id, None, body=body, **request)
    central.taken(reply, f"a PUT with {what}")
    reads_as(central, id, meant, what)


def reads_as(central: Central, id: str, meant: Body, what: str) -> None:
    """See that a read of `id` shows `meant`."""
    reply = central.get(id)
    central.taken(reply, "reading an integration back", need="read-after-create")
    central.same(reply.json, read_answer(central.contract, meant, id), f"what is read back of {what}")


def few_of(central: Central, values: Iterable[Any], few: int) -> list[Any]:
    """Give all values, or `few` of them when the run is to be short."""
    found = list(values)
    return central.random.sample(found, min(few, len(found))) if quick(central) else found


def with_authorization(central: Central, expires: str) -> Body:
    """Give an ECR integration that carries authorization data instead of keys."""
    data = {"username": "AWS", "password": central.secret(), "expiresAt": expires}
    return central.integration("ecr", ecr={"accessKeyId": None, "secretAccessKey": None, "authorizationData": data})


# -- what is no JSON ----------------------------------------------------------------------------------


@check("body-truncated", "rules", needs=("create",))
def body_truncated(central: Central) -> None:
    def cut(body: bytes) -> bytes:
        return body[: central.random.randrange(2, len(body) - 1)]

    flaws = [
        Flaw("its first byte only", lambda body: body[:1]),
        Flaw("its first half only", lambda body: body[: len(body) // 2]),
        Flaw("its last byte missing", lambda body: body[:-1]),
        *(Flaw("an end missing", cut) for _ in range(4)),
    ]
    _refused_flaws(central, "body-truncated", [flaw._replace(text="unexpected EOF") for flaw in flaws], few=1)


_NO_JSON = (
    Flaw("a comma before the last brace", lambda body: body[:-1] + b",}"),
    Flaw("a comment", _before_name("/* name */")),
    Flaw("single quotes", _instead('"name":', "'name':")),
    Flaw("a key without quotes", _instead('"name":', "name:")),
    Flaw("no comma between two fields", _instead(', "type":', ' "type":')),
    Flaw("no colon after a key", _instead('"type":', '"type"')),
    Flaw("Python's False", _instead("false", "False")),
    Flaw("plain text for a body", _whole("a registry")),
    Flaw("a form for a body", _whole("name=registry&type=docker")),
    Flaw("XML for a body", _whole("<integration/>")),
)


@check("body-syntax", "rules", needs=("create",))
def body_syntax(central: Central) -> None:
    # The words after these are Go's and change with its releases.
    _refused_flaws(central, "body-syntax", [flaw._replace(text="invalid character") for flaw in _NO_JSON])


_NO_TEXT = (
    Flaw("a byte that is not UTF-8", _instead('"clusterId": ""', b'"clusterId": "cluster \xff cluster"')),
    Flaw("half a UTF-8 character", _instead('"clusterId": ""', b'"clusterId": "cluster \xc3 cluster"')),
    Flaw("half a surrogate pair in UTF-8", _instead('"clusterId": ""', b'"clusterId": "cluster \xed\xa0\x80"')),
    Flaw("an escaped high surrogate alone", _instead('"clusterId": ""', r'"clusterId": "cluster \ud800 cluster"')),
    Flaw("an escaped low surrogate alone", _instead('"clusterId": ""', r'"clusterId": "cluster \udc00 cluster"')),
)


@check("string-encoding", "rules", needs=("create",))
def string_encoding(central: Central) -> None:
    _refused_flaws(central, "string-encoding", _NO_TEXT)


_DEEP = 20_000


@check("nesting-depth", "rules", needs=("create",))
def nesting_depth(central: Central) -> None:
    lists = Flaw("lists 20,000 deep", _before_name(f'"unknown": {"[" * _DEEP}{"]" * _DEEP}'), anywhere=False)
    objects = Flaw("objects 20,000 deep", _before_name(f'"unknown": {_nested_objects()}'), anywhere=False)
    _refused_flaws(central, "nesting-depth", [lists, objects], few=1)


def _nested_objects() -> str:
    return '{"a":' * _DEEP + "1" + "}" * _DEEP


@check("message-size", "rules", needs=("create",))
def message_size(central: Central) -> None:
    if not central.options.allow_load:
        raise Skip("would send 25 MiB; give --allow-load to let it")
    central.control_of("docker")
    body = central.integration("docker", docker={"username": "x" * (25 << 20)})
    rule = central.rules["message-size"]
    central.refused(
        central.create(body),
        "a create of 25 MiB",
        status=rule.status,
        code=rule.code,
        text=("grpc: received message larger than max", "25165824"),
    )


# -- what is no integration ---------------------------------------------------------------------------

_CATEGORIES = r'"categories": \[[^]]*\]'

_WRONG_KIND = (
    Flaw("null for a body", _whole("null"), "unexpected token null"),
    Flaw("a list for a body", _whole("[]"), "unexpected token ["),
    Flaw("a string for a body", _whole('"x"'), 'unexpected token "x"'),
    Flaw(
        "a category for the list of them", _instead(_CATEGORIES, '"categories": "REGISTRY"'), 'unexpected token "REGI'
    ),
    Flaw("a string for the source", _before_name('"source": "x"'), 'unexpected token "x"'),
    Flaw("a list for the source", _before_name('"source": []'), "unexpected token ["),
    Flaw("a string for the config", _instead(r'"docker": \{[^}]*\}', '"docker": "x"'), 'unexpected token "x"', False),
    Flaw("a list for the config", _instead(r'"docker": \{[^}]*\}', '"docker": []'), "unexpected token [", False),
)


@check("unexpected-token", "rules", needs=("create",))
def unexpected_token(central: Central) -> None:
    _refused_flaws(central, "unexpected-token", _WRONG_KIND, few=3)
    if quick(central):
        return
    for value, token in ((1893553445, "1893553445"), ({"seconds": 1893553445}, "{")):
        with central.case():
            body = with_authorization(central, "")
            body["ecr"]["authorizationData"]["expiresAt"] = value
            text = f"unexpected token {token}"
            central.refused(central.create(body), f"a time that is {json.dumps(value)}", text=text)


# The notation of extensions is no part of what Central documents: a server may rightly not know it.
@check("extension-name", "rules", needs=("create",), profiles=("deep",))
def extension_name(central: Central) -> None:
    names = sorted(central.contract.proto_types)
    flaws = [
        Flaw(f"a field [{name}]", _before_name(f'"[{name}]": 1'), f'unable to resolve "[{name}]": found wrong type')
        for name in central.random.sample(names, 3)
    ]
    _refused_flaws(central, "extension-name", flaws)


_TWICE = (
    Flaw("a name before the name", _before_name('"name": "x"'), 'duplicate field "name"'),
    Flaw("the type twice", _before_name('"type": "docker"'), 'duplicate field "type"'),
    Flaw("the categories twice", _before_name('"categories": []'), 'duplicate field "categories"'),
    Flaw("clusterId and cluster_id", _before_name('"clusterId": "a", "cluster_id": "b"'), "duplicate field"),
    Flaw(
        "cluster_id after clusterId",
        _instead('"clusterId": ""', '"clusterId": "", "cluster_id": ""'),
        'duplicate field "cluster_id"',
    ),
    Flaw(
        "skipTestIntegration after skip_test_integration",
        _before_name('"skip_test_integration": true'),
        'duplicate field "skipTestIntegration"',
    ),
    Flaw(
        "two endpoints in the config",
        _instead('"endpoint":', '"endpoint": "registry.example.com", "endpoint":'),
        'duplicate field "endpoint"',
        anywhere=False,
    ),
)


@check("duplicate-field", "rules", needs=("create",))
def duplicate_field(central: Central) -> None:
    _refused_flaws(central, "duplicate-field", _TWICE)


@check("one-config-member", "rules", needs=("create",))
def one_config_member(central: Central) -> None:
    text = "oneof storage.ImageIntegration.IntegrationConfig is already set"
    flaws = [
        Flaw(f"a second config, {name}", _before_name(f'"{name}": {{}}'), text, anywhere=field.name != "scannerV4")
        for field in central.contract.integration.members
        for name in {field.name, field.proto_name}
        if field.name != "docker"
    ]
    _refused_flaws(central, "one-config-member", sorted(flaws), few=1)


# -- values that a field does not take ----------------------------------------------------------------

_WRONG_VALUE = (
    *(
        Flaw(f"{value} for a string", _instead('"clusterId": ""', f'"clusterId": {value}'), "string field clusterId")
        for value in ("5", "true")
    ),
    *(
        Flaw(f"{value} for a bool", _instead('"autogenerated": false', f'"autogenerated": {value}'), "bool field auto")
        for value in ('"true"', "0", "1")
    ),
    Flaw('"true" for skipping the test', _instead('Integration": true', 'Integration": "true"'), "bool field skipTest"),
    Flaw("null among the categories", _instead(_CATEGORIES, '"categories": [null]'), "enum field categories: null"),
)

_NO_INT32 = ("5.5", "2147483648", "-2147483649", '""', '" 5"', "true", "{}")


@check("field-value", "rules", needs=("create",))
def field_value(central: Central) -> None:
    flaws = [flaw._replace(text=f"invalid value for {flaw.text}") for flaw in _WRONG_VALUE]
    strings, bools, enums = flaws[:2], flaws[2:6], flaws[6:]
    if quick(central):
        flaws = [central.random.choice(strings), central.random.choice(bools), *enums]
    _refused_flaws(central, "field-value", flaws, few=3)
    _refused_flaws(
        central,
        "field-value",
        [
            Flaw(
                f"{value} for an int32",
                _instead('"numConcurrentScans": 7', f'"numConcurrentScans": {value}'),
                "invalid value for int32 field numConcurrentScans",
                anywhere=False,
            )
            for value in _NO_INT32
        ],
        few=1,
        integration=lambda: central.integration("clairify"),
    )
    if not quick(central):
        for type in central.random.sample(central.creatable_types, 4):
            _each_field_of_config(central, type)


def _each_field_of_config(central: Central, type: str) -> None:
    """Give each field of a config, credentials too, a value that it does not take."""
    central.control_of(type)
    member = central.contract.types[type].member
    for name, value in central.integration(type)[member].items():
        kind = {str: "string", bool: "bool", int: "int32"}[value.__class__]
        with central.case():
            reply = central.create(central.integration(type, **{member: {name: 5 if kind == "string" else "x"}}))
            text = f"invalid value for {kind} field {name}"
            central.refused(reply, f"a value of the wrong kind for {member}.{name}", text=text)


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


def _refused_times(central: Central, times: Iterable[str], text: str, few: int) -> None:
    central.control(with_authorization(central, "2030-01-02T03:04:05Z"))
    for time in few_of(central, times, few):
        with central.case():
            central.refused(central.create(with_authorization(central, time)), f"the time {time!r}", text=text)


@check("timestamp-format", "rules", needs=("create",))
def timestamp_format(central: Central) -> None:
    _refused_times(central, _NO_TIME, "invalid google.protobuf.Timestamp value", 2)


@check("timestamp-range", "rules", needs=("create",))
def timestamp_range(central: Central) -> None:
    times = ["0000-01-01T00:00:00Z", "0000-12-31T23:59:59.999Z"]
    if central.options.profile == "deep":
        times += ["0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"]
    _refused_times(central, times, "google.protobuf.Timestamp value out of range", 1)


# -- queries ------------------------------------------------------------------------------------------


@check("query-value-once", "rules", needs=("list",), writes=False)
def query_value_once(central: Central) -> None:
    name = central.name()
    for key in ("name",) if quick(central) else ("name", "cluster"):
        central.taken(central.list(f"?{key}={name}"), f"a list with one {key}", need=f"list-by-{key}")
        for other in (name,) if quick(central) else (name, "other"):
            text = f'too many values for field "{key}": {name}, {other}'
            central.refused(central.list(f"?{key}={name}&{key}={other}"), f"a list with {key} twice", text=text)


@check("query-encoding", "rules", needs=("list",), writes=False)
def query_encoding(central: Central) -> None:
    # HTTP libraries mend a bad escape in a path; in a form, which becomes the query, they let it be.
    headers = {"Content-Type": FORM, "X-HTTP-Method-Override": "GET"}
    reply = central.send("POST", COLLECTION, body=f"name={quote(central.name())}%41".encode(), headers=headers)
    central.taken(reply, "a form POST that is a GET by its header", need="method-override")
    for escape in few_of(central, ("%zz", "%", "%4"), 1):
        reply = central.send("POST", COLLECTION, body=f"name={escape}".encode(), headers=headers)
        central.refused(reply, f"a query with {escape}", text=f'invalid URL escape "{escape}"')


@check(
    "query-on-write-ignored",
    "rules",
    title="Query parameters of create, update, delete and test mean nothing",
    source="grpc-gateway generated handlers",
    needs=("read-after-create",),
)
def query_on_write_ignored(central: Central) -> None:
    query = "?name=other&name=another&type=quay&skipTestIntegration=false&docker.username=other&bogus=1"
    body = central.integration()
    reply = central.send("POST", COLLECTION + query, value=body)
    central.taken(reply, "a create with a query")
    id = _id_of(reply)
    reads_as(central, id, body, "a create with a query")
    if not quick(central):
        body = central.integration()
        reply = central.send("PUT", f"{COLLECTION}/{id}{query}&id={central.unknown_id()}", value=body)
        central.taken(reply, "a PUT with a query")
        reads_as(central, id, body, "a PUT with a query")
        update = {"config": body, "updatePassword": True}
        reply = central.send("PATCH", f"{COLLECTION}/{id}{query}&updatePassword=false", value=update)
        central.taken(reply, "a PATCH with a query")
        reply = central.send("POST", f"{COLLECTION}/test{query}", value=central.integration("scannerv4"))
        central.taken(reply, "a test with a query")
    reply = central.send("DELETE", f"{COLLECTION}/{id}?id={central.unknown_id()}&name=other")
    central.taken(reply, "a DELETE with a query")
    if not quick(central):
        central.same(central.get(id).status, 404, "a DELETE with a query deletes")


@check(
    "body-on-read-ignored",
    "rules",
    title="The body of a GET or DELETE is read and dropped",
    source="grpc-gateway generated handlers",
    needs=("read-after-create",),
)
def body_on_read_ignored(central: Central) -> None:
    id, sent = central.created()
    body = b'{"id": "other", "name": }'
    reply = central.send("GET", f"{COLLECTION}/{id}", body=body)
    central.taken(reply, "a GET with a body")
    central.same(reply.json, read_answer(central.contract, sent, id), "the answer to a GET with a body")
    if not quick(central):
        reply = central.list(f"?name={sent['name']}", body=b'{"name": "other"}')
        central.taken(reply, "a list with a body")
        found = [item.get("id") for item in reply.object.get("integrations", [])]
        central.same(found, [id], "a list with a body")
    central.taken(central.delete(id, body=body), "a DELETE with a body")
    if not quick(central):
        central.same(central.get(id).status, 404, "a DELETE with a body deletes")


# -- what is tolerated --------------------------------------------------------------------------------

_STRANGERS: Body = {
    "clusters": [],
    "Name": "another",
    "TYPE": "quay",
    "enabled": True,
    "uiEndpoint": None,
    "labels": {"a": [1, {"b": None}], "name": "another"},
    "IntegrationConfig": {"quay": {"endpoint": "quay.example.com"}},
    "": 5,
}


@check("unknown-field-dropped", "rules", needs=("read-after-create",))
def unknown_field_dropped(central: Central) -> None:
    types = ["docker", *central.random.sample(central.creatable_types, 0 if quick(central) else 3)]
    for type in types:
        with central.case():
            meant = central.integration(type)
            meant["source"] = {"clusterId": "cluster", "namespace": "namespace", "imagePullSecretName": "secret"}
            member = member_of(central.contract, meant) or ""
            sent = meant | _STRANGERS
            sent |= {key: meant[key] | _STRANGERS for key in (member, "source")}
            id = created_as(central, sent, meant, "fields that Central does not know")
            if quick(central):
                continue
            meant = meant | {"name": central.name()}
            update = {"config": meant | _STRANGERS, "updatePassword": True, "update": 1, "UpdatePassword": False}
            reply = central.send("PATCH", f"{COLLECTION}/{id}", value=update)
            central.taken(reply, "a PATCH with fields that Central does not know")
            reads_as(central, id, meant, "a PATCH with fields that Central does not know")


def in_proto_names(message: Message, value: Mapping[str, Any]) -> Body:
    """Write a message with the names that its fields have in protobuf."""
    named: Body = {}
    for field in message.fields:
        if field.name in value:
            inner = value[field.name]
            if field.message is not None and isinstance(inner, dict):
                inner = in_proto_names(field.message, inner)
            named[field.proto_name] = inner
    return named


def _in_every_spelling(central: Central) -> dict[str, Body]:
    """Give integrations whose configs hold, together, every field that is spelled in two ways."""
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


@check("both-spellings", "rules", needs=("read-after-create",))
def both_spellings(central: Central) -> None:
    bodies = _in_every_spelling(central)
    chosen = ["ecr", central.random.choice(list(bodies)[1:])] if quick(central) else list(bodies)
    for name in chosen:
        with central.case():
            body = bodies[name]
            central.control_of(body["type"])
            sent = in_proto_names(central.contract.integration, body)
            created_as(central, sent, body, f"the proto names of {name}")
    with central.case():
        # Scanner V4 cannot be created; its test passes only when the config is there.
        sent = in_proto_names(central.contract.integration, central.integration("scannerv4"))
        central.taken(central.test(sent), "a test with the config scanner_v4")
    if quick(central):
        return
    with central.case():
        id, body = central.created()
        update = {"config": body, "update_password": True}
        reply = central.send("PATCH", f"{COLLECTION}/{id}", value=update)
        text = central.text("reconcile-credential-masked", field="")[:20]
        central.refused(reply, "update_password, which is no name of updatePassword", text=text)


@check("null-is-absent", "rules", needs=("read-after-create",))
def null_is_absent(central: Central) -> None:
    with central.case():
        meant = central.integration(docker={"username": None, "password": None, "insecure": None})
        meant = {key: value for key, value in meant.items() if key not in ("autogenerated", "clusterId")}
        nulls = {field.name: None for field in central.contract.integration.fields}
        sent = nulls | meant | {"docker": dict.fromkeys(("username", "password", "insecure")) | meant["docker"]}
        created_as(central, sent, meant, "null for a field of each kind")
    for key, rule in (("categories", "category-required"), ("name", "name-required")):
        with central.case():
            reply = central.create(central.integration() | {key: None})
            central.refused_by(reply, rule, f"null for {key}")
    if quick(central):
        return
    with central.case():
        meant = central.integration("quay")
        sent = meant | {"quay": meant["quay"] | {"registryRobotCredentials": None}}
        created_as(central, sent, meant, "null for the robot account")
    with central.case():
        # Skipping the test is asked for by true only: the refusal is that of a test, and no type is contacted.
        body = central.integration(type="harbor") | {"skipTestIntegration": None}
        text = "registry with type 'harbor' does not exist"
        central.refused(central.create(body), "null for skipTestIntegration", text=text)
    with central.case():
        reply = central.send("POST", f"{COLLECTION}/test/updated", value={"config": None, "updatePassword": None})
        central.refused_by(reply, "integration-required", "null for the config of an update")


@check("unknown-category-dropped", "rules", needs=("read-after-create",))
def unknown_category_dropped(central: Central) -> None:
    unknown = ("BOGUS", "registry", "1", "SCANNER ", "")
    with central.case():
        meant = central.integration("quay")
        sent = meant | {"categories": [*unknown[:2], "REGISTRY", *unknown[2:]]}
        created_as(central, sent, meant, "categories that Central does not know")
    for name in few_of(central, unknown, 1):
        with central.case():
            reply = central.create(central.integration(categories=[name]))
            central.refused_by(reply, "category-required", f"{name!r} as the only category")


@check("category-by-number", "rules", needs=("read-after-create",))
def category_by_number(central: Central) -> None:
    with central.case():
        meant = central.integration("clairify", categories=["SCANNER", "NODE_SCANNER"])
        created_as(central, meant | {"categories": [1, 2]}, meant, "categories by their numbers")
    if quick(central):
        return
    with central.case():
        meant = central.integration("quay", categories=["REGISTRY", "SCANNER"])
        id = created_as(central, meant | {"categories": ["SCANNER", 0]}, meant, "a category by its number, one by name")
        reply = central.put(id, meant | {"categories": [0, 7]})
        if reply.status != 500:  # only an update that went wrong at its end shows what is stored
            raise Unmet("category-implemented", "an update to an unknown category is not refused")
        reply = central.get(id)
        if reply.object.get("categories") == ["REGISTRY", "SCANNER"]:
            raise Unmet("update-not-rolled-back", "an update that could not be put to use is not stored")
        central.same(reply.object.get("categories"), ["REGISTRY", 7], "a number that Central does not know is kept")


_NUMBERS = (("5.0", 5), ("1e2", 100), ('"6"', 6), ('"1e1"', 10), ("-3", -3), ('"-4"', -4), ("12E0", 12))


@check("number-forms", "rules", needs=("read-after-create",))
def number_forms(central: Central) -> None:
    id = ""
    for form, number in few_of(central, _NUMBERS, 2):
        meant = central.integration("clairify", clairify={"numConcurrentScans": number})
        sent = re.sub(r'(?<="numConcurrentScans": )-?\d+', form, json.dumps(meant)).encode()
        if id:
            replaced_as(central, id, sent, meant, f"the number {form}")
        else:
            id = created_as(central, sent, meant, f"the number {form}")


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
    ("2030-12-31T23:30:00.000000001-01:00", "2031-01-01T00:30:00.000000001Z"),
)
_TELLING_TIMES = _TIMES[-1:] + _TIMES[4:5]
"""Offset, change of year, and each precision that is rarely met."""


@check("timestamp-normalised", "rules", needs=("read-after-create",))
def timestamp_normalised(central: Central) -> None:
    id = ""
    for sent, read in _TELLING_TIMES if quick(central) else _TIMES:
        body = with_authorization(central, sent)
        meant = body | {
            "ecr": body["ecr"] | {"authorizationData": body["ecr"]["authorizationData"] | {"expiresAt": read}}
        }
        if id:
            replaced_as(central, id, body, meant, f"the time {sent}")
        else:
            id = created_as(central, body, meant, f"the time {sent}")


@check("trailing-data-ignored", "rules", needs=("read-after-create",))
def trailing_data_ignored(central: Central) -> None:
    tails = (b' {"name": "other", "type": "quay"}', b" trailing text", b"}", b"\n\x00\xff", b"[]")
    id = ""
    for tail in few_of(central, tails, 1):
        meant = central.integration()
        sent = json.dumps(meant).encode() + tail
        if id:
            replaced_as(central, id, sent, meant, f"{tail!r} behind it")
        else:
            id = created_as(central, sent, meant, f"{tail!r} behind it")


@check("empty-body", "rules", needs=("list",))
def empty_body(central: Central) -> None:
    problems = (central.text("category-required"), central.text("name-required"))
    item = f"{COLLECTION}/{central.unknown_id()}"
    requests: list[tuple[str, str, bytes, Any]] = [
        ("POST", COLLECTION, b"", problems),
        ("POST", f"{COLLECTION}/test/updated", b"", central.text("integration-required")),
    ]
    if not quick(central):
        requests += [
            ("POST", COLLECTION, b" \r\n\t", problems),
            ("POST", COLLECTION, b"{}", problems),
            ("POST", f"{COLLECTION}/test", b"", problems),
            ("PUT", item, b"", problems),
            ("PATCH", item, b"", problems),
        ]
    for method, path, body, text in requests:
        with central.case():
            central.refused(central.send(method, path, body=body), f"{method} {path} with the body {body!r}", text=text)


_CONTENT_TYPES = (
    None,
    "text/plain",
    "application/xml",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/octet-stream",
    "text/html; charset=iso-8859-1",
)


@check("content-type-ignored", "rules", needs=("read-after-create",))
def content_type_ignored(central: Central) -> None:
    types = few_of(central, _CONTENT_TYPES, 2)
    id, _ = "", None
    for content_type in types:
        what = f"the content type {content_type}"
        meant, headers = central.integration(clusterId="Zürich"), {"Content-Type": content_type}
        sent = json.dumps(meant, ensure_ascii=False).encode()
        if id:
            replaced_as(central, id, sent, meant, what, headers=headers)
        else:
            id = created_as(central, sent, meant, what, headers=headers)
    if not quick(central):
        for content_type in _CONTENT_TYPES:
            headers = {"Content-Type": content_type}
            central.taken(
                central.test(central.integration("scannerv4"), headers=headers), f"a test with {content_type}"
            )


def _least(central: Central) -> dict[str, Body]:
    """Give integrations with as few fields as each type needs."""
    kept: dict[str, tuple[str, ...]] = {
        "docker": (),
        "quay": ("endpoint",),
        "ecr": ("registryId", "region", "accessKeyId", "secretAccessKey"),
        "artifactregistry": ("endpoint", "serviceAccount"),
        "azure": ("endpoint", "password"),
        "ibm": ("endpoint", "apiKey"),
        "clair": ("endpoint",),
        "clairV4": ("endpoint",),
        "clairify": ("endpoint",),
    }
    bodies = {}
    for type, fields in kept.items():
        body = central.integration(type, autogenerated=None, clusterId=None)
        member = central.contract.types[type].member
        bodies[type] = body | {member: {key: value for key, value in body[member].items() if key in fields}}
    return bodies


@check("zero-values-emitted", "schema", needs=("read-after-create",), worth=1)
def zero_values_emitted(central: Central) -> None:
    bodies = _least(central)
    types = ["docker", *central.random.sample(list(bodies)[1:], 1)] if quick(central) else list(bodies)
    for type in types:
        with central.case():
            created_as(central, bodies[type], bodies[type], f"only what type {type} needs")
    with central.case():
        reply = central.list(f"?name={central.name()}")
        central.same(reply.json, {"integrations": []}, "a list of nothing")
    if not quick(central):
        with central.case():
            body = central.integration() | {"source": {}}
            meant = body | {"source": {"clusterId": "", "namespace": "", "imagePullSecretName": ""}}
            created_as(central, body, meant, "an empty source")
        with central.case():
            body = central.integration() | {"docker": {}}
            meant = body | {"docker": {"endpoint": "", "username": "", "password": MASK, "insecure": False}}
            created_as(central, body, meant, "an empty config")
