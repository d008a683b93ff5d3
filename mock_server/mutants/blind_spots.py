"""Bugs that tests of this API tend to miss. Most have the name of the check that finds them."""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from mock_server.central import protojson
from mock_server.central.errors import Problem, Refusal
from mock_server.central.integration import Integration
from mock_server.contract.tables import MASK, Field
from mock_server.gateway.exchange import Exchange, Proceed
from mock_server.gateway.instance import Instance
from mock_server.gateway.messages import Response
from mock_server.mutants import mutant
from mock_server.mutants.tools import (
    CREATE,
    DELETE,
    GET,
    LIST,
    PATCH,
    PUT,
    TEST_UPDATED,
    Json,
    Original,
    answering,
    around,
    bodies,
    credentials,
    during,
    each_changed,
    error_texts,
    errors,
    filtered,
    given_to,
    handled,
    instead_of,
    listed_items,
    masked_as,
    never,
    one_name,
    reader,
    refused,
    replace_method,
    responses,
    shown,
    stored,
    stored_config,
    updated,
)

_blind = partial(mutant, kind="state")


# -- answers --------------------------------------------------------------------------------------------


_blind("create-answer", "The answer to a create shows the cluster id in upper case", kind="schema")(
    shown, lambda each: each | {"clusterId": each["clusterId"].upper()}, (CREATE,)
)


@_blind(
    "create-answer-unsorted", "The answer to a create shows the categories unsorted", "create-answer", kind="schema"
)
@instead_of("central.service.create")
def create_answer_unsorted(mock: Instance, original: Original, sent: Integration) -> Any:
    made, kept = original(sent)
    return {**made, "categories": sent["categories"]}, kept


_blind("create-answer-source", "The answer to a create omits `source`", "create-answer", kind="schema")(
    shown, lambda each: each | {"source": None}, (CREATE,)
)
_blind(
    "create-answer-unnamed",
    "The answer to a create has an empty name",
    "create-answer",
    kind="schema",
    also=("creates-at-once",),
)(shown, lambda each: each | {"name": ""}, (CREATE,))


@_blind("read-without-gzip", "A read without gzip omits `source`", kind="schema")
@answering(GET, LIST)
def read_without_gzip(proceed: Proceed, exchange: Exchange) -> Response:
    response = proceed(exchange)
    if "gzip" in exchange.request.headers.get("accept-encoding", ""):
        return response
    shown_plainly = each_changed(json.loads(response.bytes), lambda each: each | {"source": None})
    return response._replace(body=protojson.render(shown_plainly))


_blind("many-kept", "The list ends after 30 integrations")(listed_items, lambda items: items[:30])


@_blind("unchanged-over-time", "Reads omit the source of an integration after 80 other writes")
def unchanged_over_time(mock: Instance) -> None:
    born: dict[str, int] = {}
    store = mock.central.store

    def put(original: Original, integration: Integration) -> Any:
        made = original(integration)
        born[integration["id"]] = store.changes
        return made

    def aged(each: Json) -> Json:
        old = store.changes - born.get(each["id"], store.changes) > _OLD
        return each | {"source": None} if old else each

    around(store, "put", put)
    shown(mock, aged, (GET,))


_OLD = 80


_HTTP_STATUS = {3: 400, 5: 404, 6: 409, 7: 403, 8: 429, 12: 501, 13: 500, 16: 401}

_blind("errors-one-key", "Errors have only the key `message`", "error-shape", kind="schema")(
    errors, lambda body: {"message": body["message"]}
)
_blind("errors-code-http", "The code of every error is the HTTP status", "error-shape", kind="status")(
    errors, lambda body: body | {"code": _HTTP_STATUS.get(body["code"], body["code"])}
)
_blind("errors-code-unknown", "The code of every error is 2", "error-shape", kind="status")(
    errors, lambda body: body | {"code": 2}
)
_blind("errors-without-text", "The message of every error is empty", "error-shape", kind="schema")(
    errors, lambda body: body | {"message": "", "error": ""}
)


# -- texts ----------------------------------------------------------------------------------------------


_blind("texts-in-refusals", "Error texts are escaped for HTML", kind="wire", also=("azure-endpoint-required",))(
    error_texts, partial(html.escape, quote=False)
)
_blind("refusals-unquoted", "Errors quote texts without escaping them", "texts-in-refusals", kind="wire")(
    error_texts, lambda text: text.replace('\\"', '"').replace("\\x01", "\x01")
)


@_blind("texts-kept", "The user name of a robot account is escaped for HTML")
@given_to(stored_config)
def texts_kept(config: Json) -> Json:
    robot = config.get("registryRobotCredentials")
    if not robot:
        return {}
    return {"registryRobotCredentials": {**robot, "username": html.escape(robot["username"], quote=False)}}


@_blind("long-credentials-kept", "Credentials are truncated to 2,048 characters")
def long_credentials_kept(mock: Instance) -> None:
    message = mock.central.contract.integration
    around(
        mock,
        "central.store.put",
        lambda put, integration: put(credentials(message, integration, lambda text: text[:2048])),
    )


@_blind("long-credential-refused", "Refuses a credential of more than 2,048 characters", "long-credentials-kept")
@instead_of("central.validation.check")
def long_credential_refused(mock: Instance, original: Original, sent: Integration) -> Any:
    message = mock.central.contract.integration
    if credentials(message, sent, lambda text: text[:2048]) != sent:
        raise refused(400, "value too long for type character varying(2048)")
    return original(sent)


_blind("names-exact", "Treats the composed and the decomposed Unicode form of a name as the same")(
    one_name, partial(unicodedata.normalize, "NFC")
)
_blind("names-trimmed", "Ignores leading and trailing spaces when it compares names", "names-exact")(
    one_name, str.strip
)
_blind("filter-trims", "The filter by name trims its value", "list-by-name")(
    around, "central.service.list_by_name", lambda original, name: original(name.strip())
)


# -- tests of registries --------------------------------------------------------------------------------


_blind("registry-tests-pass", "Passes the test of every host", "registry-reachable")(
    never, "central.registry_tests.registry_reachable"
)
_blind("registry-not-contacted", "Passes the test of every ibm registry", "registry-reachable")(
    around,
    "central.registry_tests.registry_reachable",
    lambda original, integration, category: None if integration["type"] == "ibm" else original(integration, category),
)


def _suffix_lacks(mock: Instance, label: str) -> None:
    """Remove a suffix from the error of a failed test of one category."""

    def tested(original: Original, sent: Integration) -> Any:
        found = original(sent)
        if found is None or not found.text.startswith(label):
            return found
        return Problem(found.rule, found.text.removesuffix(": invalid arguments"))

    around(mock, "central.service._failed_test", tested)


_blind("test-text", "The error of a failed scanner test lacks a suffix", kind="status")(
    _suffix_lacks, "image scanner integration"
)
_blind("test-text-registry", "The error of a failed registry test lacks a suffix", "test-text", kind="status")(
    _suffix_lacks, "registry integration"
)


# -- updates --------------------------------------------------------------------------------------------


@_blind("type-change-refused", "Refuses a PUT that changes the type", "update-replaces")
@instead_of("central.service.update")
def type_change_refused(mock: Instance, original: Original, sent: Integration, *, update_password: bool) -> None:
    kept = mock.central.store.get(sent["id"])
    if kept and kept.integration["type"] != sent["type"]:
        raise refused(400, "the type of an integration cannot be changed")
    original(sent, update_password=update_password)


_blind("third-category-lost", "Stores only the first two categories", "categories-sorted")(
    stored, lambda sent: {"categories": sent["categories"][:2]}
)


@_blind("name-with-nul", "Refuses an update with NUL in the name, but shows the new name in reads")
@instead_of("central.service.update")
def name_with_nul(mock: Instance, original: Original, sent: Integration, *, update_password: bool) -> None:
    stored = mock.central.store.get(sent["id"])
    try:
        original(sent, update_password=update_password)
    except Refusal:
        if "\0" in sent["name"] and stored is not None:
            mock.central.store.put({**stored.integration, "name": sent["name"]})
        raise


@_blind("refused-write-visible", "Stores an update that the database refuses for its empty id", "database-error")
@instead_of("central.service.update")
def refused_write_visible(mock: Instance, original: Original, sent: Integration, *, update_password: bool) -> None:
    try:
        original(sent, update_password=update_password)
    except Refusal:
        if sent["id"] == "" and sent["name"]:
            mock.central.store.put({**sent, "id": mock.central.store.new_id()})
        raise


@_blind("database-text-shown", "Errors show the error text of the database", "database-error", kind="security")
def database_text_shown(mock: Instance) -> None:
    text = 'Database operation failed: ERROR: null value in column "id" (SQLSTATE 23502)'
    replace_method(mock, "central.service.database_error", lambda _reason: Refusal("database-error", 500, 13, text))


# -- credentials ----------------------------------------------------------------------------------------


@_blind(
    "any-stars-masked", "Accepts any number of asterisks as the mask", "reconcile-credential-masked", kind="security"
)
@instead_of("central.reconcile.reconcile_credential_masked")
def any_stars_masked(mock: Instance, original: Original, field: Any, sent: Any, path: Any) -> None:
    stars = isinstance(sent, str) and sent != "" and not sent.strip("*")
    original(field, MASK if stars else sent, path)


@_blind("robot-credential-lost", "Loses the stored password of a robot account", "stored-credentials-kept")
@instead_of("central.reconcile.stored_credentials_kept")
def robot_credential_lost(mock: Instance, original: Original, message: Any, sent: Integration, old: Integration) -> Any:
    found = original(message, sent, old)
    robot = found.get("registryRobotCredentials")
    return {**found, "registryRobotCredentials": {**robot, "password": ""}} if robot else found


@_blind("azure-converts-any", "Converts a stored docker member to azure for any type", "azure-member-converted")
@instead_of("central.service.azure_member_converted")
def azure_converts_any(mock: Instance, original: Original, sent: Integration, kept: Integration) -> Any:
    return original({**sent, "type": "azure"} if "azure" in sent else sent, kept)


def _without_identity(mock: Instance, member: str) -> None:
    """Build a client as if workload identity were off."""

    def build(original: Original, sent: Integration) -> Any:
        config = sent.get(member)
        return original({**sent, member: {**config, "wifEnabled": False}} if config else sent)

    clients = mock.central.clients
    changed = {type: partial(build, clients.registries[type]) for type in clients.contract.types_of(member)}
    setattr(clients, "registries", {**clients.registries, **changed})  # noqa: B010 (for mypy)


_blind("odd-combinations", "Requires a password of azure despite workload identity")(_without_identity, "azure")
_blind("google-identity-ignored", "Requires a service account despite workload identity", "odd-combinations")(
    _without_identity, "google"
)


@_blind("robot-scans-both", "Accepts a robot account alone for both categories of quay", "quay-scanner-without-robot")
@instead_of("central.clients.quay_scanner_without_robot")
def robot_scans_both(mock: Instance, original: Original, quay: Json, categories: list[str]) -> Any:
    return original(quay, categories) if categories == ["SCANNER"] else None


def _keeps_authorization(mock: Instance, beside: Callable[[Json], bool]) -> None:
    """Keep the authorization data of some configs of ecr."""
    around(
        mock,
        "central.clients.ecr_authorization_erased",
        lambda erased, sent: sent if "ecr" in sent and beside(sent["ecr"]) else erased(sent),
    )


_blind("role-keeps-authorization", "Keeps authorization data if only AssumeRole is used", "ecr-authorization-erased")(
    _keeps_authorization, lambda ecr: not (ecr["useIam"] or ecr["accessKeyId"] or ecr["secretAccessKey"])
)


@_blind("erased-without-registry", "Erases the authorization data of every ecr integration", "ecr-authorization-erased")
@instead_of("central.clients.ecr_authorization_erased")
def erased_without_registry(mock: Instance, original: Original, sent: Integration) -> Any:
    return {**original({**sent, "categories": ["REGISTRY"]}), "categories": sent["categories"]}


@_blind("scanner-v4-stays", "Scanner V4 becomes an integration of another type")
@instead_of("central.service.scanner_v4_type_fixed")
def scanner_v4_stays(mock: Instance, original: Original, sent: Integration, kept: Integration) -> None:
    if kept["type"] != "scannerv4":
        original(sent, kept)


# -- bugs that tests missed -------------------------------------------------------------------------------


_blind("key-twice", "GET answers with the key `name` twice", "answer-schema", kind="wire")(
    responses, lambda one: one._replace(body=one.bytes.replace(b'{"id":', b'{"name":"x","id":', 1)), (GET,)
)


@_blind(
    "deleted-text",
    "GET of a deleted integration says that it was deleted",
    "delete-answer",
    also=("list-holds-what-was-created",),
)
def deleted_text(mock: Instance) -> None:
    deleted: set[str] = set()

    def delete(original: Original, id: str) -> Any:
        found = original(id)
        deleted.add(id)
        return found

    def missing(original: Original, id: str) -> Any:
        if id in deleted:
            raise refused(404, f"image integration {id} was deleted", 5)
        return original(id)

    around(mock, "central.service.delete", delete)
    around(mock, "central.service.get_missing", missing)


_blind(
    "list-skips-tests", "The list shows `skipTestIntegration` as true for all", "list-item-equals-read", kind="schema"
)(shown, lambda each: each | {"skipTestIntegration": True}, (LIST,))
_blind("list-name-cut", "The list truncates names to 200 characters", "list-item-equals-read", kind="schema")(
    shown, lambda each: each | {"name": each["name"][:200]}, (LIST,)
)


@_blind("filter-old-name", "The filter by name also finds a renamed integration by its old name", "list-by-odd-name")
def filter_old_name(mock: Instance) -> None:
    store = mock.central.store
    names: dict[str, set[str]] = {}

    def put(original: Original, integration: Integration) -> Any:
        names.setdefault(integration["name"], set()).add(integration["id"])
        return original(integration)

    around(store, "put", put)
    around(
        mock,
        "central.service.list_by_name",
        lambda _original, name: store.list_answer([id for id in names.get(name, ()) if store.get(id)]),
    )


@_blind("refused-name-taken", "The name of a refused create stays taken", "create-rolled-back")
def refused_name_taken(mock: Instance) -> None:
    taken: set[str] = set()

    def create(original: Original, sent: Integration) -> Any:
        if sent["name"] in taken:
            raise refused(
                400, f'Validation error: integration with name "{sent["name"]}" already exists: invalid arguments'
            )
        try:
            return original(sent)
        except Refusal as refusal:
            if refusal.rule != "name-unique":
                taken.add(sent["name"])
            raise

    around(mock, "central.service.create", create)


@_blind("test-forgets-credential", "/test/updated erases the stored API key", "test-stores-nothing")
@instead_of("central.service.test")
def test_forgets_credential(
    mock: Instance, original: Original, sent: Integration | None, *, update_password: bool
) -> None:
    store = mock.central.store
    try:
        original(sent, update_password=update_password)
    finally:
        found = store.get(sent["id"]) if sent else None
        if found and found.integration.get("ibm"):
            store.put({**found.integration, "ibm": {**found.integration["ibm"], "apiKey": ""}})


def _refused_creates(mock: Instance, more: Json) -> None:
    errors(mock, lambda body: body | more if body["code"] == 3 else body)


_blind("refusal-error-differs", "`error` is `Bad Request` for a refused create", "error-shape", kind="schema")(
    _refused_creates, {"error": "Bad Request"}
)
_blind("refusal-details", "The error of a refused create has details", "error-shape", kind="schema")(
    _refused_creates, {"details": [{"@type": "type.googleapis.com/google.rpc.BadRequest"}]}
)


_blind("key-id-keeps-authorization", "Keeps authorization data if only a key id is set", "ecr-authorization-erased")(
    _keeps_authorization, lambda ecr: bool(ecr["accessKeyId"] and not ecr["secretAccessKey"])
)


@_blind("missing-fields-order", "Lists a missing region before a missing registry id", "missing-fields-listed")
@instead_of("central.clients._listed")
def missing_fields_order(mock: Instance, original: Original, start: str, *found: Problem | None) -> Any:
    first = [each for each in found if each and each.rule == "ecr-region-required"]
    return original(start, *first, *(each for each in found if each not in first))


@_blind("private-endpoints", "Refuses endpoints in private networks", "endpoint-as-sent")
@instead_of("central.validation._endpoint")
def private_endpoints(mock: Instance, original: Original, endpoint: str) -> Any:
    return original("localhost" if endpoint.startswith(("10.", "192.168.")) else endpoint)


def _depends(mock: Instance, name: str) -> None:
    """Make credentials depend on one more field."""
    around(
        mock,
        "central.reconcile.reconcile_dependent_unchanged",
        lambda check, field, *more: check(replace(field, scrub="dependent") if field.name == name else field, *more),
    )


for _field in ("project", "region", "registryId", "grpcEndpoint"):
    _blind(f"guards-{_field}", f"Requires the credentials to change `{_field}`", "reconcile-free-fields")(
        _depends, _field
    )


def _unchanged_if(mock: Instance, equal: Callable[[str, str], bool]) -> None:
    """Treat different endpoints as equal."""

    def check(original: Original, field: Any, sent: Any, kept: Any, path: Any) -> None:
        if not (field.name == "endpoint" and equal(sent, kept)):
            original(field, sent, kept, path)

    around(mock, "central.reconcile.reconcile_dependent_unchanged", check)


for _name, _how, _equal in (
    ("case", "changes its case", lambda sent, kept: sent.lower() == kept.lower()),
    ("left-out", "is left out", lambda sent, _: not sent),
):
    _blind(
        f"endpoint-{_name}",
        f"Keeps a stored credential although an endpoint {_how}",
        "reconcile-dependent-unchanged",
        kind="security",
    )(_unchanged_if, _equal)


@_blind(
    "duplicate-inside", "Accepts a repeated field of a config, and uses the last one", "duplicate-field", kind="wire"
)
@reader
class _DuplicateInside(protojson.Reading):
    def duplicate_field(self, *arguments: Any) -> None:
        if not self.path:
            super().duplicate_field(*arguments)


@_blind("text-for-a-bool-inside", 'Reads `"true"` as true in a config', "field-value", kind="wire")
@reader
class _TextForABoolInside(protojson.Reading):
    def scalar(self, field: Field) -> Any:
        token = self.peek()
        try:
            return super().scalar(field)
        except Refusal:
            if self.path and field.kind in ("bool", "string"):
                return token.raw == b'"true"' if field.kind == "bool" else token.raw.decode()
            raise


_blind("filter-glob", "The filter by name treats asterisks as wildcards", "list-by-name")(filtered, fnmatchcase)
_blind("get-without-external-id", "GET of ecr omits the external id", "read-after-create", kind="schema")(
    shown, lambda each: each | {"ecr": each["ecr"] | {"assumeRoleExternalId": ""}} if "ecr" in each else each, (GET,)
)


@_blind(
    "ghcr-without-config",
    "Accepts ghcr without the docker member",
    "docker-config-required",
    also=("all-categories-activated",),
)
@instead_of("central.clients.registry")
def ghcr_without_config(mock: Instance, original: Original, sent: Integration) -> Any:
    return None if sent["type"] == "ghcr" and "docker" not in sent else original(sent)


@_blind(
    "project-required",
    "Also reports a missing project of artifactregistry",
    "google-endpoint-required",
    also=("google-scanner-endpoint-required",),
)
@instead_of("central.clients._listed")
def project_required(mock: Instance, original: Original, start: str, *found: Problem | None) -> Any:
    first = found[0] if start == "Google Validation" else None
    return original(start, *found, first and first._replace(text="ProjectID must be specified"))


def _seen_if(mock: Instance, is_seen: Callable[[str], bool]) -> None:
    """Show some credentials."""
    masked_as(mock, lambda secret: secret if is_seen(secret) else MASK)


for _name, _what, _is_seen in (
    ("long", "of more than 2,000 characters", lambda secret: len(secret) > 2000),
    ("short", "of one character", lambda secret: len(secret) == 1),
    ("foreign", "with characters beyond ASCII", lambda secret: not secret.isascii()),
):
    _blind(f"shown-if-{_name}", f"Reads show credentials {_what}", "credentials-masked", kind="security")(
        _seen_if, _is_seen
    )


@_blind("shown-if-pretty", "An indented GET shows credentials", "credentials-masked", kind="security")
@answering(GET)
def shown_if_pretty(proceed: Proceed, exchange: Exchange) -> Response:
    response, found = proceed(exchange), exchange.sandbox.central.store.get(exchange.id)
    if found is None or "pretty" not in exchange.request.query or "docker" not in found.integration:
        return response
    shown = json.loads(response.bytes) | {"docker": found.integration["docker"]}
    return response._replace(body=json.dumps(shown, indent=2).encode()).sized()


_blind("blank-is-no-name", "Refuses a name of only spaces as missing", "name-required")(
    around, "central.validation.name_required", lambda original, sent: original({**sent, "name": sent["name"].strip()})
)


@_blind("list-of-a-type", "The list supports a query key `type`", "unknown-query-ignored", kind="wire")
@answering(LIST)
def list_of_a_type(proceed: Proceed, exchange: Exchange) -> Response:
    response = proceed(exchange)
    wanted = re.search("(?:^|&)type=([^&]*)", exchange.request.query)
    if wanted is None:
        return response
    found = [each for each in json.loads(response.bytes)["integrations"] if each["type"] == wanted[1]]
    return response._replace(body=protojson.render({"integrations": found}))


def _as_several(text: str) -> str:
    return re.sub("^Validation error: (.*?)(?=: invalid)", r"Validation errors: [\1]", text)


_blind("one-problem-listed", "Reports a single problem as a list of problems", "problems-listed")(
    around, "errors.answer", lambda answer, refusal: answer(replace(refusal, message=_as_several(refusal.message)))
)


@_blind(
    "azure-text",
    "Errors of azure lack their prefix",
    "azure-password-required",
    also=("azure-config-required", "azure-endpoint-required"),
)
@instead_of("errors.answer")
def azure_text(mock: Instance, original: Original, refusal: Refusal) -> Any:
    return original(
        replace(refusal, message=refusal.message.replace("getting Azure container registry configuration: ", ""))
    )


# -- bugs that a quick run missed ---------------------------------------------------------------------------


for _name, _what, _pattern, _meant in (
    ("comments-taken", "Accepts comments in a body", rb"/\*.*?\*/", b""),
    ("constants-taken", "Reads NaN in a body as null", rb"\bNaN\b", b"null"),
):
    _blind(_name, _what, "body-syntax", kind="wire")(bodies, partial(re.compile(_pattern).sub, _meant))
_blind("null-for-a-body", "Reads the body `null` as an empty body", "unexpected-token", kind="wire")(
    bodies, lambda body: b"{}" if body == b"null" else body
)


@_blind("secret-key-lost", "Loses the stored secret access key of ecr", "stored-credentials-kept")
@instead_of("central.reconcile.stored_credentials_kept")
def secret_key_lost(mock: Instance, original: Original, message: Any, sent: Integration, old: Integration) -> Any:
    found = original(message, sent, old)
    return {**found, "secretAccessKey": ""} if "secretAccessKey" in found else found


@_blind("test-keeps-nothing", "/test/updated does not use the stored credentials", "reconcile-on-test")
def test_keeps_nothing(mock: Instance) -> None:
    is_test = during(mock, TEST_UPDATED)
    around(
        mock,
        "central.reconcile.stored_credentials_kept",
        lambda original, message, sent, old: dict(sent) if is_test() else original(message, sent, old),
    )


@_blind("generated-stay", "An autogenerated integration cannot be deleted", "delete-answer")
@instead_of("central.service.delete")
def generated_stay(mock: Instance, original: Original, id: str) -> None:
    found = mock.central.store.get(id)
    if found and found.integration["autogenerated"]:
        raise refused(400, "autogenerated integrations cannot be deleted: invalid arguments")
    original(id)


_blind("delete-any-case", "DELETE accepts ids in upper case", "delete-missing")(
    around, "central.service.delete", lambda original, id: original(id.lower())
)


def _limited(key: str, proceed: Proceed, exchange: Exchange) -> Response:
    """Limit the list to the number in a query key."""
    response = proceed(exchange)
    wanted = re.search(rf"(?:^|&){re.escape(key)}=([0-9]+)", exchange.request.query)
    if wanted is None:
        return response
    found = json.loads(response.bytes)["integrations"][: int(wanted[1])]
    return response._replace(body=protojson.render({"integrations": found}))


_blind("list-limit", "The list supports a query key `limit`", "unknown-query-ignored", kind="wire")(
    handled, (LIST,), partial(_limited, "limit")
)
_blind("list-pagination", "The list supports a query key `pagination.limit`", "unknown-query-ignored", kind="wire")(
    handled, (LIST,), partial(_limited, "pagination.limit")
)


@_blind("google-not-updated", "Refuses an update of type google", "google-not-created")
@instead_of("central.service.update")
def google_not_updated(mock: Instance, original: Original, sent: Integration, *, update_password: bool) -> None:
    mock.central.service.google_not_created(sent)
    original(sent, update_password=update_password)


# -- bugs that a default run missed --------------------------------------------------------------------------


@_blind("project-kept", "An update of a google config without the project keeps the stored one", "update-replaces")
@given_to(updated)
def project_kept(old: Json, sent: Json) -> Json:
    if "google" not in sent or "google" not in old or sent["google"]["project"]:
        return sent
    return {**sent, "google": {**sent["google"], "project": old["google"]["project"]}}


@_blind("iam-turned-off", "IAM can be turned off without credentials", "reconcile-dependent-unchanged", kind="security")
@instead_of("central.reconcile.reconcile_dependent_unchanged")
def iam_turned_off(_mock: Instance, original: Original, field: Field, sent: Any, kept: Any, path: Any) -> None:
    if field.name != "useIam" or sent:
        original(field, sent, kept, path)


def _keeps_stored(mock: Instance, form: str) -> None:
    """Store the old credential where an update with credentials sends `form`; its client is built from `form`."""
    store = mock.central.store
    configs = {field.name: field.message for field in mock.central.contract.integration.members if field.message}

    def update(original: Original, sent: Integration, *, update_password: bool) -> None:
        before = store.get(sent["id"])
        try:
            original(sent, update_password=update_password)
        finally:
            after = store.get(sent["id"])
            name = next((name for name in configs if name in sent), "")
            if update_password and before and after and name in before.integration and name in after.integration:
                old, new = before.integration[name], after.integration[name]
                secrets = [field.name for field in configs[name].fields if field.scrub == "always"]
                kept = {secret: old[secret] for secret in secrets if new[secret] == form}
                store.put({**after.integration, name: {**new, **kept}})

    around(mock, "central.service.update", update)


_blind("mask-keeps", "PUT keeps the old credential if the mask is sent", "mask-taken-literally", kind="security")(
    _keeps_stored, MASK
)
_blind("empty-keeps", "PUT keeps the old credential if an empty one is sent", "credentials-replaced", kind="security")(
    _keeps_stored, ""
)


@_blind("type-before-name", "An update checks for type Scanner V4 before it checks the name", "scanner-v4-type-fixed")
@instead_of("central.service.update")
def type_before_name(mock: Instance, original: Original, sent: Integration, *, update_password: bool) -> None:
    found = mock.central.store.get(sent["id"])
    if found:
        mock.central.service.scanner_v4_type_fixed(sent, found.integration)
    original(sent, update_password=update_password)


@_blind("test-stores-skip", "A test stores `skipTestIntegration`", "test-stores-nothing")
@instead_of("central.service.test")
def test_stores_skip(mock: Instance, original: Original, sent: Integration | None, *, update_password: bool) -> None:
    store = mock.central.store
    try:
        original(sent, update_password=update_password)
    finally:
        found = store.get(sent["id"]) if sent else None
        if sent and found:
            store.put({**found.integration, "skipTestIntegration": sent["skipTestIntegration"]})


_blind("region-lower", "Stores the region of ecr in lower case", "read-after-create")(
    stored_config, lambda config: {"region": config["region"].lower()} if "region" in config else {}
)
_blind("unlisted-config", "The list omits a docker config without an endpoint", "odd-combinations")(
    shown,
    lambda each: {name: value for name, value in each.items() if name != "docker" or value["endpoint"]},
    (LIST,),
)


_blind("filter-cut", "The filter by name compares only 100 characters", "list-by-odd-name")(
    filtered, lambda name, wanted: name[:100] == wanted[:100]
)
_blind(
    "endpoint-other-port",
    "Keeps a stored credential although the port changes",
    "reconcile-dependent-unchanged",
    kind="security",
)(_unchanged_if, lambda sent, kept: re.sub(":[0-9]+$", "", sent) == re.sub(":[0-9]+$", "", kept))


def _if_match(proceed: Proceed, exchange: Exchange) -> Response:
    if "if-match" in exchange.request.headers:
        raise refused(412, "precondition failed", 9)
    return proceed(exchange)


_blind("if-match", "Refuses a list with If-Match", "odd-headers", kind="wire")(handled, (LIST,), _if_match)
_blind("if-match-on-write", "Refuses an update or a delete with If-Match", "odd-headers", kind="wire")(
    handled, (PUT, PATCH, DELETE), _if_match
)
