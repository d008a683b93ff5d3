"""Bugs that show only in one situation. Each has the name of the check that creates it."""

from __future__ import annotations

import json
import random
import re
import uuid
from collections import Counter
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

from mock_server.central import protojson
from mock_server.central.errors import Problem, invalid_arguments, listed
from mock_server.central.integration import Integration
from mock_server.central.store import Stored
from mock_server.contract.tables import MASK
from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.instance import Instance
from mock_server.gateway.messages import Response
from mock_server.mutants import memory, mutant, tools
from mock_server.mutants.tools import DELETE, GET, LIST, PATCH, PUT, TEST, TEST_UPDATED, Json, Original
from mock_server.state.memory import joined

_state = partial(mutant, kind="state")
_schema = partial(mutant, kind="schema")
_status = partial(mutant, kind="status")
_security = partial(mutant, kind="security")
_wire = partial(mutant, kind="wire")
_rule = partial(mutant, kind="rule")

# -- requests --------------------------------------------------------------------------------------------


_status("test-path-is-an-id", "GET of the path `/test` answers 405")(
    tools.refused_where, (GET,), lambda exchange: exchange.id == "test", tools.refused(405, "Method Not Allowed", 12)
)


@_wire("body-on-read-ignored", "Refuses reads and DELETE with a body that is not JSON")
def body_on_read_ignored(mock: Instance) -> None:
    def is_no_json(exchange: Exchange) -> bool:
        try:
            json.loads(exchange.request.body.read() or b"{}")
        except ValueError:
            return True
        return False

    tools.refused_where(mock, (GET, LIST, DELETE), is_no_json, tools.refused(400, "invalid JSON"))


@_wire("garbage-refused", "An update or a test with binary data answers 200 and does nothing")
@tools.answering(PUT, PATCH, TEST, TEST_UPDATED)
def garbage_refused(proceed: Proceed, exchange: Exchange) -> Response:
    first = exchange.request.body.read()[:1]
    answer = Response(200, (("Content-Type", "application/json"),), b"{}")
    return answer if first in (b"\x00", b"\x1f", b"\x89") else proceed(exchange)


@_security("odd-paths", "GET compares ids only up to NUL")
@tools.instead_of("central.service.get")
def odd_paths(mock: Instance, original: Original, id: str) -> Any:
    start, nul, _ = id.partition("\0")
    alike = [each["id"] for each in mock.central.store.integrations() if nul and each["id"].startswith(start)]
    return original(alike[0] if alike else id)


@_status("odd-ids-written", "DELETE of an id that is not a UUID answers 400")
def odd_ids_written(mock: Instance) -> None:
    def is_no_uuid(exchange: Exchange) -> bool:
        try:
            uuid.UUID(exchange.id)
        except ValueError:
            return exchange.id != ""
        return False

    tools.refused_where(mock, (DELETE,), is_no_uuid, tools.refused(400, "invalid UUID"))


_status("odd-queries", "Refuses a query with `<script` with 403")(
    tools.refused_where,
    (LIST,),
    lambda exchange: "<script" in unquote(exchange.request.query),
    tools.refused(403, "request blocked", 7),
)
_status("odd-headers", "Refuses a list with `Accept: application/xml` with 406")(
    tools.refused_where,
    (LIST,),
    lambda exchange: "xml" in exchange.request.headers.get("accept", ""),
    tools.refused(406, "Not Acceptable"),
)


@_status("much-of-everything", "Refuses more than a hundred categories")
@tools.instead_of("central.validation.category_required")
def much_of_everything(mock: Instance, original: Original, sent: Integration) -> Any:
    if len(sent["categories"]) > 100:
        raise tools.refused(400, "too many categories")
    return original(sent)


@_status("empty-texts", "A clairify integration without any address answers 500", check="no-server-error")
@tools.instead_of("central.validation.endpoint")
def empty_texts(mock: Instance, original: Original, sent: Integration) -> Any:
    clairify = sent.get("clairify")
    if clairify and not (clairify["endpoint"] or clairify["grpcEndpoint"]):
        raise tools.refused(500, "runtime error: index out of range [0] with length 0", 13)
    return original(sent)


@_state("control-characters", "Truncates strings of a create at NUL")
def control_characters(mock: Instance) -> None:
    def cut(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: cut(each) for name, each in value.items()}
        return value.partition("\0")[0] if isinstance(value, str) else value

    tools.around(mock, "central.service.create", lambda original, sent: original(cut(dict(sent))))


@_status("no-server-error", "A test of an unknown category answers 500")
@tools.instead_of("central.service.test")
def no_server_error(mock: Instance, original: Original, sent: Integration | None, *, update_password: bool) -> None:
    if sent and any(category not in mock.central.contract.categories for category in sent["categories"]):
        raise tools.refused(500, "KeyError: 7", 13)
    original(sent, update_password=update_password)


# -- values ----------------------------------------------------------------------------------------------


@_schema("answer-complete", "The list shows an empty `source` where none is set")
def answer_complete(mock: Instance) -> None:
    empty = dict.fromkeys(("clusterId", "namespace", "imagePullSecretName"), "")
    tools.shown(mock, lambda each: each | {"source": each["source"] or empty}, (LIST,))


@_state("values-kept-exactly", "Stores an endpoint without its query and the trailing dot of its host")
def values_kept_exactly(mock: Instance) -> None:
    def needed(url: str) -> str:
        scheme, separator, rest = url.partition("://")
        whole = scheme.lower() + separator + rest if separator else url
        return whole.partition("?")[0].rstrip(".").replace("//", "/").replace(":/", "://", 1)

    tools.field_stored(mock, "endpoint", needed)


@_security("endpoint-as-sent", "Refuses an endpoint whose host begins like a loopback host")
@tools.instead_of("central.validation._endpoint")
def endpoint_as_sent(mock: Instance, original: Original, endpoint: str) -> Any:
    host = (urlsplit(endpoint).netloc or endpoint).lower()
    local = host.startswith(("localhost", "127."))
    return original("localhost" if local else endpoint)


_state("generated-valid", "Removes trailing dashes and dots from a name")(
    tools.field_stored, "name", lambda name: name.rstrip("-.")
)


@_state("other-fields-kept", "An update keeps fields of `source` that are sent empty")
@tools.given_to(tools.updated)
def other_fields_kept(old: Integration, sent: Integration) -> Integration:
    before, now = old["source"], sent["source"]
    if not before or not now:
        return sent
    return {**sent, "source": {name: value or before[name] for name, value in now.items()}}


# -- validation ------------------------------------------------------------------------------------------


@_status("problems-listed", "Reports the missing category before a local endpoint")
def problems_listed(mock: Instance) -> None:
    rules = mock.central.validation

    def check(sent: Integration) -> None:
        name = rules.name_required(sent) or rules.name_unique(sent)
        found = (rules.category_required(sent), rules.endpoint(sent), name)
        if problems := list(filter(None, found)):
            raise invalid_arguments(listed("Validation", problems))

    tools.replace_method(rules, "check", check)


@_rule("tested-before-stored", "An update is not tested before it is stored")
@tools.instead_of("central.service._valid_tested_sorted")
def tested_before_stored(mock: Instance, original: Original, sent: Integration) -> Any:
    if not sent["id"]:
        return original(sent)
    return {**original({**sent, "skipTestIntegration": True}), "skipTestIntegration": sent["skipTestIntegration"]}


@_rule("first-category-tested", "Tests the categories in the order of their numbers")
def first_category_tested(mock: Instance) -> None:
    service = mock.central.service
    tools.around(service, "_failed_test", lambda failed, sent: failed(service.categories_sorted(sent)))


@_rule("all-categories-activated", "Reports only the first category that fails when the test is skipped")
@tools.instead_of("central.clients.activation")
def all_categories_activated(mock: Instance, original: Original, sent: Integration) -> Any:
    found = original(sent)
    first = re.match(r"(.* error)s: \[(.*?), .*\]$", found.text) if found and len(sent["categories"]) > 1 else None
    return Problem(found.rule, f"{first[1]}: {first[2]}") if found and first else found


_rule("missing-fields-listed", "Reports only the first of several missing fields")(
    tools.around,
    "central.clients._listed",
    lambda original, start, *found: original(start, next(filter(None, found), None)),
)
_rule("build-rules-on-update", "Accepts an update of clair without an endpoint")(
    tools.suppress_rule, "central.service.update", "clair-endpoint-required"
)


@_rule("test-passes", "The test of Scanner V4 without addresses fails")
@tools.instead_of("central.clients._address")
def test_passes(mock: Instance, original: Original, rule: str, address: str) -> Any:
    missing = mock.central.clients.rules.problem(rule, reason="address : missing port in address")
    return original(rule, address) if address else missing


@_state("generated-refused", "Does not roll back a scanner whose client cannot be built")
@tools.instead_of("central.service.create_rolled_back")
def generated_refused(mock: Instance, original: Original, id: str) -> None:
    store = memory(mock)
    found = store.get(id)
    if found is None or found.integration["categories"] != ["SCANNER"]:
        original(id)


@_state("generated-invalid", "Does not roll back a create with a non-ASCII type")
@tools.instead_of("central.service.create_rolled_back")
def generated_invalid(mock: Instance, original: Original, id: str) -> None:
    store = mock.central.store
    found = store.get(id)
    if found is None or found.integration["type"].isascii():
        original(id)


# -- stored credentials ----------------------------------------------------------------------------------


_rule("reconcile-free-fields", "Requires the credentials to change `insecure`")(tools.dependent, "insecure")


@_security("config-member-kept", "Accepts a change of the config member if no client can be built")
def config_member_kept(mock: Instance) -> None:
    broken = set[str]()

    def activation(original: Original, sent: Integration) -> Any:
        found = original(sent)
        (broken.add if found else broken.discard)(sent["id"])
        return found

    def verify(original: Original, message: Any, sent: Integration, kept: Integration, path: Any) -> None:
        if kept["id"] not in broken:
            original(message, sent, kept, path)

    tools.around(mock, "central.clients.activation", activation)
    tools.around(mock, "central.reconcile._verify_member", verify)


@_security("masking-stores-nothing", "The list by name overwrites stored credentials with the mask")
@tools.instead_of("central.service.list_by_name")
def masking_stores_nothing(mock: Instance, original: Original, name: str) -> Any:
    central = mock.central
    id = central.store.id_of_name(name)
    if id and (found := central.store.get(id)):
        central.store.put(central.rendering.credentials_masked(found.integration))
    return original(name)


@_security("others-not-masked", "Shows fields with the value of the mask as empty")
def others_not_masked(mock: Instance) -> None:
    def emptied(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: emptied(each) for name, each in value.items()}
        return "" if value == MASK else value

    tools.around(mock, "central.rendering.credentials_masked", lambda masked, sent: masked(emptied(dict(sent))))


@_security("masks-everywhere", "A list with one item shows its robot account unmasked", check="credentials-masked")
def masks_everywhere(mock: Instance) -> None:
    def in_clear(each: Json) -> Json:
        found = mock.central.store.get(each["id"])
        robot = found and found.integration.get("quay", {}).get("registryRobotCredentials")
        return each | {"quay": each["quay"] | {"registryRobotCredentials": robot}} if robot else each

    def changed(answer: Json) -> Json:
        items = answer["integrations"]
        return {"integrations": [in_clear(each) for each in items] if len(items) == 1 else items}

    tools.answers(mock, (LIST,), changed)


@_security("masks-empty", "Shows an empty password of docker as empty, not masked", check="credentials-masked")
def masks_empty(mock: Instance) -> None:
    def shown_empty(each: Json) -> Json:
        found = mock.central.store.get(each["id"])
        empty = found and "docker" in each and not found.integration["docker"]["password"]
        return each | {"docker": each["docker"] | {"password": ""}} if empty else each

    tools.shown(mock, shown_empty)


_security("mask-tells-nothing", "Shows a long mask for a long credential", check="credentials-masked")(
    tools.masked_as, lambda credential: MASK + "*" * (len(credential) // 1000)
)


@_security("refusals-silent", "The error for an unknown id shows tokens and keys", check="credential-leak")
def refusals_silent(mock: Instance) -> None:
    open_names = ("oauthToken", "accessKeyId", "serviceAccount", "apiKey")

    def credential(sent: Integration) -> str:
        configs = [value for value in sent.values() if isinstance(value, dict)]
        found = [config[name] for config in configs for name in open_names if config.get(name)]
        return f" ({found[0]})" if found else ""

    tools.add_to_refusals(mock, "central.service._reconciled", credential, rule="update-missing")


@_security("credential-in-error", "The error for a token or key that is not a string shows it")
@tools.reader
class _CredentialInError(protojson.Reading):
    def shown(self, token: Any) -> str:
        if self.path and self.path[-1].name != "password":
            return str(token.raw.decode("utf-8", "replace"))
        return super().shown(token)


@_security("create-answer-in-clear", "The answer to a create shows the credentials")
def create_answer_in_clear(mock: Instance) -> None:
    mock.central.rendering.in_clear = True


# -- callers ---------------------------------------------------------------------------------------------


_security("token-silent", "The error for a wrong password shows the password", auth=True)(
    tools.add_to_refusals, "central.auth.check_basic", lambda coded: f": {coded}"
)
_security("www-authenticate", "A 401 has no WWW-Authenticate", auth=True)(
    tools.responses, lambda response: response.without_header("WWW-Authenticate")
)


# -- orders and repetitions ------------------------------------------------------------------------------

_OFTEN = 20
"""Number of repetitions after which these mutants show."""


@_state("creates-repeat", "After 20 deletes without a list in between, a create stores nothing")
def creates_repeat(mock: Instance) -> None:
    store = mock.central.store
    deletes = [0]

    def listed(original: Original, ids: Any = None) -> Any:
        deletes[0] = 0
        return original(ids)

    def delete(original: Original, id: str) -> None:
        original(id)
        deletes[0] += 1

    def create(original: Original, sent: Integration) -> Any:
        made = original(sent)
        if deletes[0] >= _OFTEN:
            deletes[0] = 0
            store.remove(made[0]["id"])
        return made

    tools.around(store, "list_answer", listed)
    tools.around(mock, "central.service.delete", delete)
    tools.around(mock, "central.service.create", create)


@_state("updates-repeat", "Every 20th update of an integration stores nothing")
def updates_repeat(mock: Instance) -> None:
    store = mock.central.store
    versions = Counter[str]()

    def update(original: Original, sent: Integration, *, update_password: bool) -> None:
        before = store.get(sent["id"])
        original(sent, update_password=update_password)
        versions[sent["id"]] += 1
        if before and versions[sent["id"]] % _OFTEN == 0:
            store.put(before.integration)

    tools.around(mock, "central.service.update", update)


@_state("reads-steady", "Every 20th GET of an unchanged integration answers 404")
def reads_steady(mock: Instance) -> None:
    reads = Counter[str]()

    def get(original: Original, id: str) -> Any:
        found = original(id)
        reads[id] += 1
        return mock.central.service.get_missing(id) if reads[id] % _OFTEN == 0 else found

    def put(original: Original, integration: Integration) -> Any:
        reads[integration["id"]] = 0
        return original(integration)

    tools.around(mock, "central.service.get", get)
    tools.around(mock, "central.store.put", put)


@_state("list-holds-what-was-created", "After two deletes, the list shows the first integration again")
def list_holds_what_was_created(mock: Instance) -> None:
    store = memory(mock)
    deleted: list[Stored] = []

    def delete(original: Original, id: str) -> None:
        found = store.get(id)
        original(id)
        deleted[:] = [*deleted[-1:], *([found] if found else [])]

    def put(original: Original, integration: Integration) -> Any:
        deleted.clear()
        return original(integration)

    def list_all(original: Original, ids: Any = None) -> Any:
        if ids is not None or len(deleted) < 2:
            return original(ids)
        return joined([*(each.answer for each in store._by_id.values()), deleted[0].answer])

    tools.around(mock, "central.service.delete", delete)
    tools.around(store, "put", put)
    tools.around(store, "list_answer", list_all)


_state("list-order", "The order of the list changes with each call")(
    tools.listed_items, lambda items: random.sample(items, len(items))
)


@_state("update-read-back", "An update with credentials keeps the user name of artifactory, ghcr and rhel")
@tools.instead_of("central.service.update")
def update_read_back(mock: Instance, original: Original, sent: Integration, *, update_password: bool) -> None:
    types = ("artifactory", "ghcr", "rhel")
    found = mock.central.store.get(sent["id"])
    if found and update_password and sent["type"] in types and "docker" in found.integration and "docker" in sent:
        sent = {**sent, "docker": {**sent["docker"], "username": found.integration["docker"]["username"]}}
    original(sent, update_password=update_password)


@_state("update-changes-one", "An update also changes `clusterId` of integrations whose names begin with the old name")
@tools.instead_of("central.service.update")
def update_changes_one(mock: Instance, original: Original, sent: Integration, *, update_password: bool) -> None:
    store = mock.central.store
    old = store.get(sent["id"])
    original(sent, update_password=update_password)
    alike = [each for each in store.integrations() if old and each["name"].startswith(old.integration["name"])]
    for other in alike:
        if other["id"] != sent["id"]:
            store.put({**other, "clusterId": sent["clusterId"]})


@_state("reads-repeat", "A PUT that changes nothing erases the endpoint")
@tools.instead_of("central.service.update")
def reads_repeat(mock: Instance, original: Original, sent: Integration, *, update_password: bool) -> None:
    members = tools.config_members(mock)
    before = mock.central.store.get(sent["id"])
    original(sent, update_password=update_password)
    after = mock.central.store.get(sent["id"])
    if update_password and before and after and before.integration == after.integration:
        emptied = {name: {**sent[name], "endpoint": ""} for name in members if "endpoint" in sent.get(name, {})}
        mock.central.store.put({**after.integration, **emptied})


@_state("lifecycle-machine", "The name of a renamed integration stays taken after its delete")
def lifecycle_machine(mock: Instance) -> None:
    store = memory(mock)
    first: dict[str, str] = {}

    def put(original: Original, integration: Integration) -> Any:
        first.setdefault(integration["id"], integration["name"])
        return original(integration)

    def remove(original: Original, id: str) -> None:
        found = store.get(id)
        original(id)
        if found and found.integration["name"] != first.get(id):
            store._ids_by_name[found.integration["name"]] = id

    tools.around(store, "put", put)
    tools.around(store, "remove", remove)


@_state("others-untouched", "A create marks the first integration as generated")
@tools.instead_of("central.service.create")
def others_untouched(mock: Instance, original: Original, sent: Integration) -> Any:
    store = mock.central.store
    first = store.integrations()[0]
    store.put({**first, "autogenerated": True})
    return original(sent)
