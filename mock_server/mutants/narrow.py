"""Faults that show in one situation only, each named as the one check that makes it."""

from __future__ import annotations

import json
import random
import re
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from mock_server.central import protojson
from mock_server.central.errors import Problem, Refusal, listed, problem
from mock_server.central.store import Stored
from mock_server.contract.tables import MASK
from mock_server.gateway.messages import Response
from mock_server.mutants import Mutate, memory, mutant
from mock_server.mutants.tools import (
    DELETE,
    GET,
    LIST,
    PATCH,
    PUT,
    TEST,
    TEST_UPDATED,
    Json,
    add_to_refusals,
    answers,
    around,
    credentials,
    handled,
    readings,
    refused,
    replace_method,
    responses,
    shown,
    stored,
    stored_config,
    suppress_rule,
)
from mock_server.state.memory import joined

if TYPE_CHECKING:
    from mock_server.gateway.exchange import Exchange, Proceed
    from mock_server.gateway.instance import Instance

Integration = Mapping[str, Any]


def _narrow(name: str, kind: str, summary: str, *, check: str = "", **settings: Any) -> Callable[[Mutate], Mutate]:
    """Register a mutant that the check of its name finds; `check` reports it where that one only looks on."""
    return mutant(name, kind=kind, check=check or name, summary=summary, **settings)


def _refused_where(
    mock: Instance, operations: tuple[str, ...], wrong: Callable[[Exchange], bool], refusal: Refusal
) -> None:
    def looked_at(proceed: Proceed, exchange: Exchange) -> Response:
        if wrong(exchange):
            raise refusal
        return proceed(exchange)

    handled(mock, operations, looked_at)


# -- requests --------------------------------------------------------------------------------------------


@_narrow("test-path-is-an-id", "status", "GET of the path of a test answers 405")
def test_path_is_an_id(mock: Instance) -> None:
    """Match the path first, the method then."""
    refusal = refused(405, "Method Not Allowed", 12)
    _refused_where(mock, (GET,), lambda exchange: exchange.id == "test", refusal)


@_narrow("body-on-read-ignored", "wire", "Refuses reads and DELETE with a body that is not JSON")
def body_on_read_ignored(mock: Instance) -> None:
    """Parse whatever comes."""

    def is_no_json(exchange: Exchange) -> bool:
        try:
            json.loads(exchange.request.body.read() or b"{}")
        except ValueError:
            return True
        return False

    _refused_where(mock, (GET, LIST, DELETE), is_no_json, refused(400, "invalid JSON"))


@_narrow("garbage-refused", "wire", "An update or a test with binary data answers 200 and does nothing")
def garbage_refused(mock: Instance) -> None:
    """Swallow what cannot be decoded."""

    def taken(proceed: Proceed, exchange: Exchange) -> Response:
        first = exchange.request.body.read()[:1]
        answer = Response(200, (("Content-Type", "application/json"),), b"{}")
        return answer if first in (b"\x00", b"\x1f", b"\xff") else proceed(exchange)

    handled(mock, (PUT, PATCH, TEST, TEST_UPDATED), taken)


@_narrow("odd-paths", "security", "GET compares ids only up to NUL")
def odd_paths(mock: Instance) -> None:
    """Compare as C does, as many bytes as the shorter text has."""

    def get(original: Callable[[str], Stored], id: str) -> Stored:
        start, nul, _ = id.partition("\0")
        alike = [each["id"] for each in mock.central.store.integrations() if nul and each["id"].startswith(start)]
        return original(alike[0] if alike else id)

    around(mock.central.service, "get", get)


@_narrow("odd-ids-written", "status", "DELETE of an id that is not a UUID answers 400")
def odd_ids_written(mock: Instance) -> None:
    """Validate what is only compared."""

    def is_no_uuid(exchange: Exchange) -> bool:
        try:
            uuid.UUID(exchange.id)
        except ValueError:
            return exchange.id != ""
        return False

    _refused_where(mock, (DELETE,), is_no_uuid, refused(400, "invalid UUID"))


@_narrow("odd-queries", "status", "Refuses a query with `<script` with 403")
def odd_queries(mock: Instance) -> None:
    """Have a firewall that looks for scripts."""
    refusal = refused(403, "request blocked", 7)
    _refused_where(mock, (LIST,), lambda exchange: "<script" in unquote(exchange.request.query), refusal)


@_narrow("odd-headers", "status", "Refuses a list with `Accept: application/xml` with 406")
def odd_headers(mock: Instance) -> None:
    """Negotiate."""
    refusal = refused(406, "Not Acceptable")
    _refused_where(mock, (LIST,), lambda exchange: "xml" in exchange.request.headers.get("accept", ""), refusal)


@_narrow("much-of-everything", "status", "Refuses more than a hundred categories")
def much_of_everything(mock: Instance) -> None:
    """Have a limit that the API does not name."""

    def required(original: Callable[[Integration], Problem | None], sent: Integration) -> Problem | None:
        if len(sent["categories"]) > 100:
            raise refused(400, "too many categories")
        return original(sent)

    around(mock.central.validation, "category_required", required)


@_narrow("empty-texts", "status", "Answers 500 to a clairify integration without any address", check="no-server-error")
def empty_texts(mock: Instance) -> None:
    """Take the first of the addresses that are set."""

    def endpoint(original: Callable[[Integration], Problem | None], sent: Integration) -> Problem | None:
        clairify = sent.get("clairify")
        if clairify and not (clairify["endpoint"] or clairify["grpcEndpoint"]):
            raise refused(500, "runtime error: index out of range [0] with length 0", 13)
        return original(sent)

    around(mock.central.validation, "endpoint", endpoint)


@_narrow("control-characters", "state", "Cuts strings of a create at NUL")
def control_characters(mock: Instance) -> None:
    """Hand texts to a library written in C."""

    def cut(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: cut(each) for name, each in value.items()}
        return value.partition("\0")[0] if isinstance(value, str) else value

    around(mock.central.service, "create", lambda original, sent: original(cut(dict(sent))))


@_narrow("no-server-error", "status", "Answers 500 to a test of an unknown category")
def no_server_error(mock: Instance) -> None:
    """Look the number up in a table."""

    def test(original: Callable[..., None], sent: Integration | None, *, update_password: bool) -> None:
        if sent and any(category not in mock.central.contract.categories for category in sent["categories"]):
            raise refused(500, "KeyError: 7", 13)
        original(sent, update_password=update_password)

    around(mock.central.service, "test", test)


# -- values ----------------------------------------------------------------------------------------------


@_narrow("answer-complete", "schema", "The list shows an empty `source` where none is set")
def answer_complete(mock: Instance) -> None:
    """Write the zero value of a message."""
    empty = dict.fromkeys(("clusterId", "namespace", "imagePullSecretName"), "")
    shown(mock, lambda each: each | {"source": each["source"] or empty}, (LIST,))


@_narrow("values-kept-exactly", "state", "Stores an endpoint without its query and the trailing dot of its host")
def values_kept_exactly(mock: Instance) -> None:
    """Keep what a connection needs."""

    def needed(url: str) -> str:
        scheme, separator, rest = url.partition("://")
        whole = scheme.lower() + separator + rest if separator else url
        return whole.partition("?")[0].rstrip(".").replace("//", "/").replace(":/", "://", 1)

    stored_config(mock, lambda config: {"endpoint": needed(config["endpoint"])} if "endpoint" in config else {})


@_narrow("endpoint-as-sent", "security", "Refuses an endpoint whose host begins like a local one")
def endpoint_as_sent(mock: Instance) -> None:
    """Compare beginnings."""

    def check(original: Callable[[str], Problem | None], endpoint: str) -> Problem | None:
        host = (urlsplit(endpoint).netloc or endpoint).lower()
        local = host.startswith(("localhost", "127."))
        return original("localhost" if local else endpoint)

    around(mock.central.validation, "_endpoint", check)


@_narrow("generated-valid", "state", "Cuts trailing dashes and dots of a name")
def generated_valid(mock: Instance) -> None:
    """Make names fit a label."""
    stored(mock, lambda sent: {"name": sent["name"].rstrip("-.")})


@_narrow("other-fields-kept", "state", "An update keeps fields of `source` that are sent empty")
def other_fields_kept(mock: Instance) -> None:
    """Merge inside the message."""

    def merged(old: Integration, sent: Integration) -> Integration:
        before, now = old["source"], sent["source"]
        if not before or not now:
            return sent
        return {**sent, "source": {name: value or before[name] for name, value in now.items()}}

    _update(mock, merged)


# -- validation ------------------------------------------------------------------------------------------


@_narrow("problems-listed", "status", "Reports the missing category before a local endpoint")
def problems_listed(mock: Instance) -> None:
    """Validate the fields of the integration first, its config then."""
    rules = mock.central.validation

    def problems(sent: Integration) -> Problem | None:
        name = rules.name_required(sent) or rules.name_unique(sent)
        found = (rules.category_required(sent), rules.endpoint(sent), name)
        return listed("Validation", list(filter(None, found)))

    replace_method(rules, "problems", problems)


@_narrow("tested-before-stored", "rule", "An update is not tested before it is stored")
def tested_before_stored(mock: Instance) -> None:
    """Test what is new."""

    def tested(original: Callable[[Integration], Integration], sent: Integration) -> Integration:
        if not sent["id"]:
            return original(sent)
        return {**original({**sent, "skipTestIntegration": True}), "skipTestIntegration": sent["skipTestIntegration"]}

    around(mock.central.service, "_valid_tested_sorted", tested)


@_narrow("first-category-tested", "rule", "A test goes through the categories by their numbers")
def first_category_tested(mock: Instance) -> None:
    """Sort before the test."""
    service = mock.central.service
    around(service, "_failed_test", lambda failed, sent: failed(service.categories_sorted(sent)))


@_narrow("all-categories-activated", "rule", "Reports only the first category that fails when the test is skipped")
def all_categories_activated(mock: Instance) -> None:
    """Stop at the first."""

    def activation(original: Callable[[Integration], Problem | None], sent: Integration) -> Problem | None:
        found = original(sent)
        first = re.match(r"(.* error)s: \[(.*?), .*\]$", found.text) if found and len(sent["categories"]) > 1 else None
        return Problem(found.rule, f"{first[1]}: {first[2]}") if found and first else found

    around(mock.central.clients, "activation", activation)


@_narrow("missing-fields-listed", "rule", "Reports only the first of several missing fields")
def missing_fields_listed(mock: Instance) -> None:
    """Stop at the first."""
    around(
        mock.central.clients,
        "_listed",
        lambda original, start, *found: original(start, next(filter(None, found), None)),
    )


@_narrow("build-rules-on-update", "rule", "Accepts an update of clair without an endpoint")
def build_rules_on_update(mock: Instance) -> None:
    """Ask for it in a create."""
    suppress_rule(mock.central.service, "update", "clair-endpoint-required")


@_narrow("test-passes", "rule", "Fails the test of Scanner V4 without addresses")
def test_passes(mock: Instance) -> None:
    """Ask for an address that has a default."""

    def address(original: Callable[[str, str], Problem | None], rule: str, address: str) -> Problem | None:
        missing = problem(mock.central.contract.rules[rule], reason="address : missing port in address")
        return original(rule, address) if address else missing

    around(mock.central.clients, "_address", address)


@_narrow("generated-refused", "state", "A scanner whose client cannot be built stays stored")
def generated_refused(mock: Instance) -> None:
    """Roll registries back."""
    store = memory(mock)

    def rolled_back(original: Callable[[str], None], id: str) -> None:
        found = store.get(id)
        if found is None or found.integration["categories"] != ["SCANNER"]:
            original(id)

    around(mock.central.service, "create_rolled_back", rolled_back)


@_narrow("generated-invalid", "state", "A refused create of a type beyond ASCII stays stored")
def generated_invalid(mock: Instance) -> None:
    """Fail once more while it is rolled back."""
    store = mock.central.store

    def rolled_back(original: Callable[[str], None], id: str) -> None:
        found = store.get(id)
        if found is None or found.integration["type"].isascii():
            original(id)

    around(mock.central.service, "create_rolled_back", rolled_back)


# -- stored credentials ----------------------------------------------------------------------------------


@_narrow("reconcile-free-fields", "rule", "Refuses a change of `insecure` without the credentials")
def reconcile_free_fields(mock: Instance) -> None:
    """Guard whatever the connection is made with."""

    def check(original: Callable[..., None], field: Any, sent: Any, kept: Any, path: tuple[str, ...]) -> None:
        guarded = replace(field, scrub="dependent") if field.name == "insecure" else field
        original(guarded, sent, kept, path)

    around(mock.central.reconcile, "reconcile_dependent_unchanged", check)


@_narrow("config-member-kept", "security", "Accepts another config member for an integration without a client")
def config_member_kept(mock: Instance) -> None:
    """Take it for something that has no credentials yet."""
    broken = set[str]()

    def activation(original: Callable[[Integration], Problem | None], sent: Integration) -> Problem | None:
        found = original(sent)
        (broken.add if found else broken.discard)(sent["id"])
        return found

    def verify(original: Callable[..., None], message: Any, sent: Integration, kept: Integration, path: Any) -> None:
        if kept["id"] not in broken:
            original(message, sent, kept, path)

    around(mock.central.clients, "activation", activation)
    around(mock.central.reconcile, "_verify_member", verify)


@_narrow("masking-stores-nothing", "security", "The list by name overwrites stored credentials with the mask")
def masking_stores_nothing(mock: Instance) -> None:
    """Mask in place."""
    central = mock.central

    def by_name(original: Callable[[str], bytes], name: str) -> bytes:
        id = central.store.id_of_name(name)
        if id and (found := central.store.get(id)):
            central.store.put(central.rendering.masking.credentials_masked(found.integration))
        return original(name)

    around(central.service, "list_by_name", by_name)


@_narrow("others-not-masked", "security", "Shows fields with the value of the mask as empty")
def others_not_masked(mock: Instance) -> None:
    """Take the mask out before it is put in."""

    def emptied(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: emptied(each) for name, each in value.items()}
        return "" if value == MASK else value

    around(mock.central.rendering.masking, "credentials_masked", lambda masked, sent: masked(emptied(dict(sent))))


@_narrow(
    "masks-everywhere", "security", "A list with one item shows its robot account in clear", check="credentials-masked"
)
def masks_everywhere(mock: Instance) -> None:
    """Mask the outer fields only."""

    def in_clear(each: Json) -> Json:
        found = mock.central.store.get(each["id"])
        robot = found and found.integration.get("quay", {}).get("registryRobotCredentials")
        return each | {"quay": each["quay"] | {"registryRobotCredentials": robot}} if robot else each

    def changed(answer: Json) -> Json:
        items = answer["integrations"]
        return {"integrations": [in_clear(each) for each in items] if len(items) == 1 else items}

    answers(mock, (LIST,), changed)


@_narrow("masks-empty", "security", "The empty password of docker reads as empty", check="credentials-masked")
def masks_empty(mock: Instance) -> None:
    """Mask what is there."""

    def shown_empty(each: Json) -> Json:
        found = mock.central.store.get(each["id"])
        empty = found and "docker" in each and not found.integration["docker"]["password"]
        return each | {"docker": each["docker"] | {"password": ""}} if empty else each

    shown(mock, shown_empty)


@_narrow("mask-tells-nothing", "security", "A long credential reads as a long mask", check="credentials-masked")
def mask_tells_nothing(mock: Instance) -> None:
    """Write one asterisk for each hundred characters, and six at least."""
    message = mock.central.contract.integration

    def mask(credential: str) -> str:
        return MASK + "*" * (len(credential) // 1000)

    replace_method(mock.central.rendering.masking, "credentials_masked", lambda sent: credentials(message, sent, mask))


@_narrow("refusals-silent", "security", "The refusal of an unknown id shows tokens and keys", check="credential-leak")
def refusals_silent(mock: Instance) -> None:
    """Hide what is called password."""
    open_names = ("oauthToken", "accessKeyId", "serviceAccount", "apiKey")

    def credential(refusal: Refusal, sent: Integration) -> str:
        configs = [value for value in sent.values() if isinstance(value, dict)]
        found = [config[name] for config in configs for name in open_names if config.get(name)]
        return f" ({found[0]})" if refusal.rule == "update-missing" and found else ""

    add_to_refusals(mock.central.service, "_reconciled", credential)


@_narrow("credential-in-error", "security", "The refusal of a token or key that is not a string shows it")
def credential_in_error(mock: Instance) -> None:
    """Hide what is called password."""

    class Reading(protojson.Reading):
        def shown(self, token: Any) -> str:
            if self.path and self.path[-1].name != "password":
                return str(token.raw.decode("utf-8", "replace"))
            return super().shown(token)

    readings(mock, Reading)


@_narrow("create-answer-in-clear", "security", "The answer to a create shows the credentials")
def create_answer_in_clear(mock: Instance) -> None:
    """Answer what came in."""
    mock.central.rendering.in_clear = True


# -- callers ---------------------------------------------------------------------------------------------


@_narrow("token-silent", "security", "The refusal of a password shows the password", auth=True)
def token_silent(mock: Instance) -> None:
    """Tell what was wrong."""
    add_to_refusals(mock.central.auth, "check_basic", lambda _, coded: f": {coded}")


@_narrow("www-authenticate", "security", "A 401 has no WWW-Authenticate", auth=True)
def www_authenticate(mock: Instance) -> None:
    """Forget a header."""
    responses(mock, lambda response: response.without_header("WWW-Authenticate"))


# -- orders and repetitions ------------------------------------------------------------------------------


@_narrow("creates-repeat", "state", "A create stores nothing after 20 deletes without a list between them")
def creates_repeat(mock: Instance) -> None:
    """Reuse a slot too often."""
    store = mock.central.store
    deletes = [0]

    def listed(original: Callable[..., bytes], ids: Any = None) -> bytes:
        deletes[0] = 0
        return original(ids)

    def delete(original: Callable[[str], None], id: str) -> None:
        original(id)
        deletes[0] += 1

    def create(original: Callable[..., Any], sent: Integration) -> Any:
        made = original(sent)
        if deletes[0] >= _SLOTS:
            deletes[0] = 0
            store.remove(made[0]["id"])
        return made

    around(store, "list_answer", listed)
    around(mock.central.service, "delete", delete)
    around(mock.central.service, "create", create)


_SLOTS = 20


@_narrow("updates-repeat", "state", "Every 20th update of an integration stores nothing")
def updates_repeat(mock: Instance) -> None:
    """Keep too few versions."""
    store = mock.central.store
    versions = Counter[str]()

    def update(original: Callable[..., None], sent: Integration, *, update_password: bool) -> None:
        before = store.get(sent["id"])
        original(sent, update_password=update_password)
        versions[sent["id"]] += 1
        if before and versions[sent["id"]] % _SLOTS == 0:
            store.put(before.integration)

    around(mock.central.service, "update", update)


@_narrow("reads-steady", "state", "Every 20th GET of an unchanged integration answers 404")
def reads_steady(mock: Instance) -> None:
    """Drop it from a cache while it is read."""
    reads = Counter[str]()

    def get(original: Callable[[str], Stored], id: str) -> Stored:
        found = original(id)
        reads[id] += 1
        return mock.central.service.get_missing(id) if reads[id] % _SLOTS == 0 else found

    def put(original: Callable[[Integration], Stored], integration: Integration) -> Stored:
        reads[integration["id"]] = 0
        return original(integration)

    around(mock.central.service, "get", get)
    around(mock.central.store, "put", put)


@_narrow(
    "list-holds-what-was-created",
    "state",
    "The second of two deletes brings the first integration back into the list",
)
def list_holds_what_was_created(mock: Instance) -> None:
    """Write two copies of the list in turn."""
    store = memory(mock)
    deleted: list[Stored] = []

    def delete(original: Callable[[str], None], id: str) -> None:
        found = store.get(id)
        original(id)
        deleted[:] = [*deleted[-1:], *([found] if found else [])]

    def put(original: Callable[[Integration], Stored], integration: Integration) -> Stored:
        deleted.clear()
        return original(integration)

    def list_all(original: Callable[..., bytes], ids: Any = None) -> bytes:
        if ids is not None or len(deleted) < 2:
            return original(ids)
        return joined([*(each.answer for each in store._by_id.values()), deleted[0].answer])

    around(mock.central.service, "delete", delete)
    around(store, "put", put)
    around(store, "list_answer", list_all)


@_narrow("list-order", "state", "The list has another order each time")
def list_order(mock: Instance) -> None:
    """List a map."""
    answers(mock, (LIST,), lambda answer: {"integrations": random.sample(found := answer["integrations"], len(found))})


@_narrow("update-read-back", "state", "An update with credentials keeps the user name of artifactory, ghcr and rhel")
def update_read_back(mock: Instance) -> None:
    """Forget one field of some types."""
    types = ("artifactory", "ghcr", "rhel")

    def update(original: Callable[..., None], sent: Integration, *, update_password: bool) -> None:
        found = mock.central.store.get(sent["id"])
        if found and update_password and sent["type"] in types and "docker" in found.integration and "docker" in sent:
            sent = {**sent, "docker": {**sent["docker"], "username": found.integration["docker"]["username"]}}
        original(sent, update_password=update_password)

    around(mock.central.service, "update", update)


def _update(mock: Instance, change: Callable[[Integration, Integration], Integration]) -> None:
    """Store `change(old, sent)` in the place of what was sent."""

    def update(original: Callable[..., None], sent: Integration, *, update_password: bool) -> None:
        found = mock.central.store.get(sent["id"])
        original(change(found.integration, sent) if found else sent, update_password=update_password)

    around(mock.central.service, "update", update)


@_narrow(
    "update-changes-one",
    "state",
    "An update also changes `clusterId` of integrations whose names begin with the old name",
)
def update_changes_one(mock: Instance) -> None:
    """Update by LIKE."""
    store = mock.central.store

    def update(original: Callable[..., None], sent: Integration, *, update_password: bool) -> None:
        old = store.get(sent["id"])
        original(sent, update_password=update_password)
        alike = [each for each in store.integrations() if old and each["name"].startswith(old.integration["name"])]
        for other in alike:
            if other["id"] != sent["id"]:
                store.put({**other, "clusterId": sent["clusterId"]})

    around(mock.central.service, "update", update)


@_narrow("reads-repeat", "state", "A PUT that changes nothing empties the endpoint")
def reads_repeat(mock: Instance) -> None:
    """Store the difference."""
    members = [field.name for field in mock.central.contract.integration.members]

    def update(original: Callable[..., None], sent: Integration, *, update_password: bool) -> None:
        before = mock.central.store.get(sent["id"])
        original(sent, update_password=update_password)
        after = mock.central.store.get(sent["id"])
        if update_password and before and after and before.integration == after.integration:
            emptied = {name: {**sent[name], "endpoint": ""} for name in members if "endpoint" in sent.get(name, {})}
            mock.central.store.put({**after.integration, **emptied})

    around(mock.central.service, "update", update)


@_narrow("lifecycle-machine", "state", "The name of a renamed integration stays taken after its delete")
def lifecycle_machine(mock: Instance) -> None:
    """Free the name that the create gave."""
    store = memory(mock)
    first: dict[str, str] = {}

    def put(original: Callable[[Integration], Stored], integration: Integration) -> Stored:
        first.setdefault(integration["id"], integration["name"])
        return original(integration)

    def remove(original: Callable[[str], None], id: str) -> None:
        found = store.get(id)
        original(id)
        if found and found.integration["name"] != first.get(id):
            store._ids_by_name[found.integration["name"]] = id

    around(store, "put", put)
    around(store, "remove", remove)


@_narrow("others-untouched", "state", "A create marks the first integration as generated")
def others_untouched(mock: Instance) -> None:
    """Write to the wrong row."""
    store = mock.central.store

    def create(original: Callable[..., Any], sent: Integration) -> Any:
        first = store.integrations()[0]
        store.put({**first, "autogenerated": True})
        return original(sent)

    around(mock.central.service, "create", create)
