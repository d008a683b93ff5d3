"""Creating, common validation, reading, updating and deleting: what each integration has to meet."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from contract_tests.central import Central, shown
from contract_tests.failures import Skip
from contract_tests.integrations import Body, config_for, read_answer
from contract_tests.registry import check
from contract_tests.transport import Reply

Send = Callable[[Body], Reply]

LOCAL = (
    "localhost",
    "localhost:5000",
    "http://localhost",
    "https://localhost/v2/",
    "user:pass@localhost",
    "http://https://localhost",
    "127.0.0.1",
    "127.0.0.1:5000",
    "https://127.8.9.10/path",
    "[::1]",
    "[::1]:5000",
    "[::ffff:127.0.0.1]",
)
METADATA = (
    "169.254.169.254",
    "http://169.254.169.254/latest",
    "metadata.google.internal",
    "https://metadata.google.internal:80",
    "[::ffff:169.254.169.254]",
)
UNPARSABLE = ("foo bar", "registry.example.com:port", "https://registry.example.com:80:90", "reg%zzistry")
LOOK_ALIKES = (
    "LOCALHOST",
    "localhost.",
    "127.1",
    "0.0.0.0",  # noqa: S104 (an endpoint, not an address to listen on)
    "2130706433",
    "HTTP://localhost",
    "https://http://localhost",
    "10.0.0.1",
    "METADATA.google.internal",
    "registry.example.com/localhost",
    "localhost.example.com",
    "",
)


def paths(central: Central, id: str) -> Iterator[tuple[str, Send]]:
    """Give every way in for an integration; `id` is one of the check's own."""
    yield "create", central.create
    yield "PUT", lambda body: central.put(id, body)
    yield "PATCH", lambda body: central.patch(id, body, update_password=True)
    yield "/test", central.test
    yield "/test/updated", lambda body: central.test_updated(body, update_password=True)


def refused_everywhere(central: Central, rule: str, faulted: Callable[[], Body], **values: object) -> None:
    """See that every way in refuses for this rule, and that nothing is stored by it."""
    found = central.rule(rule)
    with central.case():
        id, sent = central.created()
        for where, send in paths(central, id):
            body = faulted()
            reply = send(body)
            central.refused(
                reply, f"{where} of an integration that breaks the rule", status=found.status, code=found.code,
                text=central.text(rule, **values).split(" {")[0],
            )  # fmt: skip
        reply = central.get(id)
        central.same(reply.json, read_answer(central.contract, sent, id), "after refused updates")


# -- creating -----------------------------------------------------------------------------------


@check("id-empty-on-create", "rules", needs=("create",))
def id_empty_on_create(central: Central) -> None:
    central.control_of("docker")
    for id in (central.unknown_id(), "x"):
        with central.case():
            body = central.integration(id=id)
            central.refused_by(central.create(body), "id-empty-on-create", "a create with an id")
            central.same(named(central, body["name"]), [], "after the refusal")


@check("scanner-v4-not-created", "rules")
def scanner_v4_not_created(central: Central) -> None:
    with central.case():
        body = central.integration("scannerv4")
        central.refused_by(central.create(body), "scanner-v4-not-created", "a create of type scannerv4")
        central.same(named(central, body["name"]), [], "after the refusal")


@check("google-not-created", "rules")
def google_not_created(central: Central) -> None:
    central.rule("google-not-created")
    with central.case():
        body = central.integration("google")
        central.refused_by(central.create(body), "google-not-created", "a create of type google")
        central.same(named(central, body["name"]), [], "after the refusal")


@check("create-assigns-id", "rules", needs=("create",))
def create_assigns_id(central: Central) -> None:
    with central.case():
        ids = [central.created()[0] for _ in range(3)]
        for id in ids:
            uuid4 = re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", id)
            central.true(uuid4 is not None, "the id is a lower-case UUID of version 4", got=id)
        central.same(len(set(ids)), 3, "three creates give three ids")


@check("create-rolled-back", "rules", needs=("create",))
def create_rolled_back(central: Central) -> None:
    with central.case():
        body = central.integration(type="harbor")
        reply = central.create(body)
        central.true(reply.status >= 400, "a create whose client cannot be built", expected="500", got=shown(reply))
        central.same(named(central, body["name"]), [], "the integration after the refused create")
        reply = central.create(body | {"type": "docker"})
        central.taken(reply, "a create under the name of the one that failed")


# -- common validation ----------------------------------------------------------------------------


def endpoint_places(central: Central) -> list[tuple[str, str]]:
    """Give type and field of each endpoint that the contract guards."""
    places = []
    for member in central.contract.integration.members:
        assert member.message is not None  # a config member is a message
        type = next(each.type for each in central.contract.types.values() if each.member == member.name)
        type = "artifactregistry" if type == "google" else type
        places += [(type, field.name) for field in member.message.fields if field.validate]
    return places


def endpoint_rule(central: Central, rule: str, endpoints: tuple[str, ...]) -> None:
    """Check a rule about endpoints: every form, every guarded field, every way in."""
    quick = central.options.profile == "quick"
    text = central.rules[rule].message.split(" {")[0]
    central.control_of("docker")
    refused_everywhere(central, rule, lambda: central.integration(docker={"endpoint": endpoints[0]}))
    for endpoint in central.some(endpoints[1:], 3):
        with central.case():
            reply = central.create(central.integration(docker={"endpoint": endpoint}))
            central.refused(reply, f"a create with the endpoint {endpoint!r}", text=text)
    for type, field in central.some(endpoint_places(central), 5):
        endpoint = central.random.choice(endpoints) if quick else endpoints[0]
        member = config_for(type, central.secret)[0]
        with central.case():
            reply = central.create(central.integration(type, **{member: {field: endpoint}}))
            central.refused(reply, f"a create with {member}.{field} {endpoint!r}", text=text)
    with central.case():
        # The rule looks at the member, whatever the type.
        body = central.integration(type="quay", docker={"endpoint": endpoints[0]})
        central.refused(central.create(body), "a create of type quay with such a docker member", text=text)


@check("endpoint-not-local", "rules", needs=("create",))
def endpoint_not_local(central: Central) -> None:
    endpoint_rule(central, "endpoint-not-local", LOCAL)


@check("endpoint-not-metadata", "rules", needs=("create",))
def endpoint_not_metadata(central: Central) -> None:
    endpoint_rule(central, "endpoint-not-metadata", METADATA)


@check("endpoint-parses", "rules", needs=("create",))
def endpoint_parses(central: Central) -> None:
    for endpoint in central.some(UNPARSABLE, 2):
        with central.case():
            reply = central.create(central.integration(docker={"endpoint": endpoint}))
            central.refused(reply, f"a create with the endpoint {endpoint!r}", text="invalid endpoint: parse ")


@check(
    "endpoint-as-sent",
    "rules",
    needs=("create",),
    title="Endpoints that only look forbidden are taken and kept as sent",
)
def endpoint_as_sent(central: Central) -> None:
    for endpoint in central.some(LOOK_ALIKES, 3):
        with central.case():
            body = central.integration(docker={"endpoint": endpoint})
            reply = central.create(body)
            central.taken(reply, f"a create with the endpoint {endpoint!r}")
            stored = central.get(str(reply.object.get("id"))).object
            central.same(stored.get("docker", {}).get("endpoint"), endpoint, "the endpoint that is read back")


@check("category-required", "rules", needs=("create",))
def category_required(central: Central) -> None:
    refused_everywhere(central, "category-required", lambda: central.integration(categories=[]))


@check("name-required", "rules", needs=("create",))
def name_required(central: Central) -> None:
    refused_everywhere(central, "name-required", lambda: central.integration(name=""))
    with central.case():
        # Both problems are told in one list.
        reply = central.create({})
        texts = [central.text("category-required"), central.text("name-required"), "Validation errors: ["]
        central.refused(reply, "a create of an empty integration", text=texts)


@check("name-unique", "rules", needs=("create",))
def name_unique(central: Central) -> None:
    with central.case():
        taken, sent = central.created("quay")
        id, _ = central.created()
        name = sent["name"]
        for where, send in paths(central, id):
            reply = send(central.integration(name=name))
            text = f'integration with name "{name}" already exists'
            central.refused(reply, f"{where} under the name of another integration", text=text)
        central.same(len(named(central, name)), 1, "integrations of that name")
        for near in (name.upper(), f" {name}", f"{name} "):
            reply = central.create(central.integration(name=near))
            central.taken(reply, f"a create under the near name {near!r}")
        central.taken(central.put(taken, sent), "an update under its own name")
        central.taken(central.put(taken, sent | {"name": central.name()}), "a new name")
        central.taken(central.create(central.integration(name=name)), "a create under a name that was given up")


@check(
    "name-free-after-delete", "rules", needs=("create",), title="A name is free again once its integration is deleted"
)
def name_free_after_delete(central: Central) -> None:
    with central.case():
        id, sent = central.created()
        central.taken(central.delete(id), "a delete")
        again, _ = central.created_from(sent)
        central.true(again != id, "the new integration has an id of its own", got=again)


@check("integration-required", "rules")
def integration_required(central: Central) -> None:
    reply = central.test_updated(None, update_password=True)
    central.refused_by(reply, "integration-required", "test/updated without a config")


@check("ecr-iam-managed", "rules")
def ecr_iam_managed(central: Central) -> None:
    with central.case():
        body = central.integration("ecr", ecr={"useIam": True, "accessKeyId": "", "secretAccessKey": ""})
        reply = central.create(body)
        if reply.status == 200:
            raise Skip("the target is not the managed service: it takes the container's IAM role")
        central.refused_by(reply, "ecr-iam-managed", "a create that uses the container's IAM role")


# -- reading, updating, deleting --------------------------------------------------------------------


@check("id-required", "rules")
def id_required(central: Central) -> None:
    central.refused_by(central.get(""), "id-required", "GET with an empty id")
    central.refused_by(central.delete(""), "id-required", "DELETE with an empty id")


@check("get-missing", "rules")
def get_missing(central: Central) -> None:
    for id in (central.unknown_id(), "not-a-uuid", "test"):
        central.refused_by(central.get(id), "get-missing", f"GET of {id}", id=id)
    with central.case():
        id, _ = central.created()
        central.refused_by(central.get(id.upper()), "get-missing", "GET of an id in capitals", id=id.upper())


@check("update-missing", "rules", needs=("create",))
def update_missing(central: Central) -> None:
    with central.case():
        id = central.unknown_id()
        ways: list[tuple[str, Send]] = [
            ("PUT", lambda body: central.put(id, body)),
            ("PATCH", lambda body: central.patch(id, body, update_password=True)),
            ("PATCH keeping credentials", lambda body: central.patch(id, body)),
            ("/test", lambda body: central.test(body | {"id": id})),
            ("/test/updated", lambda body: central.test_updated(body | {"id": id}, update_password=True)),
        ]
        for where, send in ways:
            body = central.integration()
            central.refused_by(send(body), "update-missing", f"{where} of an id that is not there", id=f'"{id}"')
            central.same(named(central, body["name"]), [], f"{where} creates nothing")


@check("delete-missing", "rules")
def delete_missing(central: Central) -> None:
    id = central.unknown_id()
    central.refused(central.delete(id), "DELETE of an id that is not there", status=404, code=5, text=id)


@check("scanner-v4-not-deleted", "rules")
def scanner_v4_not_deleted(_central: Central) -> None:
    raise Skip("Central's own Scanner V4 is not the run's to delete")


@check("scanner-v4-type-fixed", "rules", needs=("create",))
def scanner_v4_type_fixed(central: Central) -> None:
    with central.case():
        id, sent = central.created()
        body = central.integration("scannerv4", name=sent["name"])
        central.refused_by(central.put(id, body), "scanner-v4-type-fixed", "PUT of type scannerv4 over docker")
        reply = central.patch(id, body, update_password=True)
        central.refused_by(reply, "scanner-v4-type-fixed", "PATCH of type scannerv4 over docker")
        reply = central.test(body | {"id": id})
        central.refused_by(reply, "scanner-v4-type-fixed", "/test of type scannerv4 with the id of a docker one")


@check("database-error", "rules")
def database_error(_central: Central) -> None:
    raise Skip("that PUT with an empty id reaches the database is inferred, not known")


@check("database-error-raw", "rules")
def database_error_raw(_central: Central) -> None:
    raise Skip("that PUT with an empty id reaches the database is inferred, not known")


@check("path-id-wins", "rules", needs=("create",))
def path_id_wins(central: Central) -> None:
    with central.case():
        one, _ = central.created()
        two, other = central.created("quay")
        ways: list[tuple[str, Send]] = [
            ("PUT", lambda body: central.put(one, body)),
            ("PATCH", lambda body: central.patch(one, body, update_password=True)),
        ]
        for where, send in ways:
            for id in (two, "", central.unknown_id()):
                body = central.integration(id=id)
                central.taken(send(body), f"{where} with the id {id!r} in the body")
                central.same(central.get(one).json, read_answer(central.contract, body, one), f"{where}: the path's")
            central.same(central.get(two).json, read_answer(central.contract, other, two), f"{where}: the other")


@check("update-replaces", "rules", needs=("create",))
def update_replaces(central: Central) -> None:
    full: dict[str, Any] = {
        "autogenerated": True,
        "clusterId": "some-cluster",
        "source": {"clusterId": "c", "namespace": "n", "imagePullSecretName": "s"},
    }
    ways: list[tuple[str, Callable[[str, Body], Reply]]] = [
        ("PUT", central.put),
        ("PATCH", lambda id, body: central.patch(id, body, update_password=True)),
    ]
    for where, send in ways:
        with central.case():
            id, sent = central.created(**full)
            least: Body = {
                "name": sent["name"],
                "type": "docker",
                "categories": ["REGISTRY"],
                "docker": {"endpoint": "other.example.com"},
                "skipTestIntegration": True,
            }
            central.taken(send(id, least), f"{where} with few fields")
            central.same(central.get(id).json, read_answer(central.contract, least, id), f"{where} with few fields")
            central.taken(send(id, sent), f"{where} with all fields")
            central.same(central.get(id).json, read_answer(central.contract, sent, id), f"{where} with all fields")


@check("update-not-rolled-back", "rules", needs=("create",))
def update_not_rolled_back(central: Central) -> None:
    for where in ("PUT", "PATCH"):
        with central.case():
            id, sent = central.created()
            bad = sent | {"type": "harbor"}
            reply = central.put(id, bad) if where == "PUT" else central.patch(id, bad, update_password=True)
            text = central.text("registry-type-known", type="harbor")
            central.refused(reply, f"{where} to an unknown type", status=500, code=13, text=text)
            central.same(central.get(id).object.get("type"), "harbor", f"the stored type after the failed {where}")


@check("categories-sorted", "rules", needs=("create",))
def categories_sorted(central: Central) -> None:
    sent, stored = ["NODE_SCANNER", "SCANNER", "NODE_SCANNER"], ["SCANNER", "NODE_SCANNER", "NODE_SCANNER"]
    with central.case():
        body = central.integration("clairify", categories=sent)
        reply = central.create(body)
        central.taken(reply, "a create with categories out of order", need="create")
        central.same(reply.object.get("categories"), stored, "the categories in the answer to a create")
        id = str(reply.object.get("id"))
        central.same(central.get(id).object.get("categories"), stored, "the categories that are read")
        central.taken(central.put(id, body | {"categories": ["SCANNER"]}), "PUT with one category")
        central.taken(central.patch(id, body, update_password=True), "PATCH with categories out of order")
        central.same(central.get(id).object.get("categories"), stored, "the categories that are read after PATCH")


def named(central: Central, name: str) -> list[Any]:
    """Give the integrations of that name, as the list without a filter shows them."""
    items = central.list().object.get("integrations")
    return [item for item in items if item.get("name") == name] if isinstance(items, list) else []
