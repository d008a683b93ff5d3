"""Bugs that tests of this API tend to miss. Most have the name of the check that finds them."""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Callable
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
from mock_server.mutants import mutant, tools
from mock_server.mutants.tools import CREATE, DELETE, GET, LIST, PATCH, PUT, TEST_UPDATED, Json, Original

_state = partial(mutant, kind="state")
_schema = partial(mutant, kind="schema")
_status = partial(mutant, kind="status")
_security = partial(mutant, kind="security")
_wire = partial(mutant, kind="wire")


# -- answers --------------------------------------------------------------------------------------------


_schema("create-answer", "The answer to a create shows the cluster id in upper case")(
    tools.shown, lambda each: each | {"clusterId": each["clusterId"].upper()}, (CREATE,)
)


@_schema("create-answer-unsorted", "The answer to a create shows the categories unsorted", "create-answer")
@tools.instead_of("central.service.create")
def create_answer_unsorted(mock: Instance, original: Original, sent: Integration) -> Any:
    made, kept = original(sent)
    return {**made, "categories": sent["categories"]}, kept


_schema("create-answer-source", "The answer to a create omits `source`", "create-answer")(
    tools.shown, lambda each: each | {"source": None}, (CREATE,)
)
_schema(
    "create-answer-unnamed", "The answer to a create has an empty name", "create-answer", also=("creates-at-once",)
)(tools.shown, lambda each: each | {"name": ""}, (CREATE,))


@_schema("read-without-gzip", "A read without gzip omits `source`")
@tools.answering(GET, LIST)
def read_without_gzip(proceed: Proceed, exchange: Exchange) -> Response:
    response = proceed(exchange)
    if "gzip" in exchange.request.headers.get("accept-encoding", ""):
        return response
    shown_plainly = tools.each_changed(json.loads(response.bytes), lambda each: each | {"source": None})
    return response._replace(body=protojson.render(shown_plainly))


_state("many-kept", "The list ends after 30 integrations")(tools.listed_items, lambda items: items[:30])

_OLD = 80
"""Number of other writes after which an integration is old."""


@_state("unchanged-over-time", "Reads omit the source of an integration after 80 other writes")
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

    tools.around(store, "put", put)
    tools.shown(mock, aged, (GET,))


_HTTP_STATUS = {3: 400, 5: 404, 6: 409, 7: 403, 8: 429, 12: 501, 13: 500, 16: 401}

_schema("errors-one-key", "Errors have only the key `message`", "error-shape")(
    tools.errors, lambda body: {"message": body["message"]}
)
_status("errors-code-http", "The code of every error is the HTTP status", "error-shape")(
    tools.errors, lambda body: body | {"code": _HTTP_STATUS.get(body["code"], body["code"])}
)
_status("errors-code-unknown", "The code of every error is 2", "error-shape")(
    tools.errors, lambda body: body | {"code": 2}
)
_schema("errors-without-text", "The message of every error is empty", "error-shape")(
    tools.errors, lambda body: body | {"message": "", "error": ""}
)


# -- texts ----------------------------------------------------------------------------------------------


_wire("texts-in-refusals", "Error texts are escaped for HTML", also=("azure-endpoint-required",))(
    tools.error_texts, partial(html.escape, quote=False)
)
_wire("refusals-unquoted", "Errors quote texts without escaping them", "texts-in-refusals")(
    tools.error_texts, lambda text: text.replace('\\"', '"').replace("\\x01", "\x01")
)


_state("texts-kept", "The user name of a robot account is escaped for HTML")(
    tools.field_stored,
    "registryRobotCredentials",
    lambda robot: robot and {**robot, "username": html.escape(robot["username"], quote=False)},
)


@_state("long-credentials-kept", "Credentials are truncated to 2,048 characters")
def long_credentials_kept(mock: Instance) -> None:
    message = mock.central.contract.integration
    tools.stored(mock, lambda sent: tools.credentials(message, sent, lambda text: text[:2048]))


@_state("long-credential-refused", "Refuses a credential of more than 2,048 characters", "long-credentials-kept")
@tools.instead_of("central.validation.check")
def long_credential_refused(mock: Instance, original: Original, sent: Integration) -> Any:
    message = mock.central.contract.integration
    if tools.credentials(message, sent, lambda text: text[:2048]) != sent:
        raise tools.refused(400, "value too long for type character varying(2048)")
    return original(sent)


_state("names-exact", "Treats the composed and the decomposed Unicode form of a name as the same")(
    tools.one_name, partial(unicodedata.normalize, "NFC")
)
_state("names-trimmed", "Ignores leading and trailing spaces when it compares names", "names-exact")(
    tools.one_name, str.strip
)
_state("filter-trims", "The filter by name trims its value", "list-by-name")(
    tools.around, "central.service.list_by_name", lambda original, name: original(name.strip())
)


# -- tests of registries --------------------------------------------------------------------------------


_state("registry-tests-pass", "Passes the test of every host", "registry-reachable")(
    tools.never, "central.registry_tests.registry_reachable"
)
_state("registry-not-contacted", "Passes the test of every ibm registry", "registry-reachable")(
    tools.around,
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

    tools.around(mock, "central.service._failed_test", tested)


_status("test-text", "The error of a failed scanner test lacks a suffix")(_suffix_lacks, "image scanner integration")
_status("test-text-registry", "The error of a failed registry test lacks a suffix", "test-text")(
    _suffix_lacks, "registry integration"
)


# -- updates --------------------------------------------------------------------------------------------


@_state("type-change-refused", "Refuses a PUT that changes the type", "update-replaces")
@tools.instead_of("central.service.update")
def type_change_refused(mock: Instance, original: Original, sent: Integration, *, update_password: bool) -> None:
    kept = mock.central.store.get(sent["id"])
    if kept and kept.integration["type"] != sent["type"]:
        raise tools.refused(400, "the type of an integration cannot be changed")
    original(sent, update_password=update_password)


_state("third-category-lost", "Stores only the first two categories", "categories-sorted")(
    tools.field_stored, "categories", lambda names: names[:2]
)


@_state("name-with-nul", "Refuses an update with NUL in the name, but shows the new name in reads")
@tools.instead_of("central.service.update")
def name_with_nul(mock: Instance, original: Original, sent: Integration, *, update_password: bool) -> None:
    stored = mock.central.store.get(sent["id"])
    try:
        original(sent, update_password=update_password)
    except Refusal:
        if "\0" in sent["name"] and stored is not None:
            mock.central.store.put({**stored.integration, "name": sent["name"]})
        raise


@_state("refused-write-visible", "Stores an update that the database refuses for its empty id", "database-error")
@tools.instead_of("central.service.update")
def refused_write_visible(mock: Instance, original: Original, sent: Integration, *, update_password: bool) -> None:
    try:
        original(sent, update_password=update_password)
    except Refusal:
        if sent["id"] == "" and sent["name"]:
            mock.central.store.put({**sent, "id": mock.central.store.new_id()})
        raise


_security("database-text-shown", "Errors show the error text of the database", "database-error")(
    tools.refusals,
    "database-error",
    message='Database operation failed: ERROR: null value in column "id" (SQLSTATE 23502)',
)


# -- credentials ----------------------------------------------------------------------------------------


@_security("any-stars-masked", "Accepts any number of asterisks as the mask", "reconcile-credential-masked")
@tools.instead_of("central.reconcile.reconcile_credential_masked")
def any_stars_masked(mock: Instance, original: Original, field: Any, sent: Any, path: Any) -> None:
    stars = isinstance(sent, str) and sent != "" and not sent.strip("*")
    original(field, MASK if stars else sent, path)


@_state("robot-credential-lost", "Loses the stored password of a robot account", "stored-credentials-kept")
@tools.instead_of("central.reconcile.stored_credentials_kept")
def robot_credential_lost(mock: Instance, original: Original, message: Any, sent: Integration, old: Integration) -> Any:
    found = original(message, sent, old)
    robot = found.get("registryRobotCredentials")
    return {**found, "registryRobotCredentials": {**robot, "password": ""}} if robot else found


@_state("azure-converts-any", "Converts a stored docker member to azure for any type", "azure-member-converted")
@tools.instead_of("central.service.azure_member_converted")
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


_state("odd-combinations", "Requires a password of azure despite workload identity")(_without_identity, "azure")
_state("google-identity-ignored", "Requires a service account despite workload identity", "odd-combinations")(
    _without_identity, "google"
)


@_state("robot-scans-both", "Accepts a robot account alone for both categories of quay", "quay-scanner-without-robot")
@tools.instead_of("central.clients.quay_scanner_without_robot")
def robot_scans_both(mock: Instance, original: Original, quay: Json, categories: list[str]) -> Any:
    return original(quay, categories) if categories == ["SCANNER"] else None


def _keeps_authorization(mock: Instance, beside: Callable[[Json], bool]) -> None:
    """Keep the authorization data of some configs of ecr."""
    tools.around(
        mock,
        "central.clients.ecr_authorization_erased",
        lambda erased, sent: sent if "ecr" in sent and beside(sent["ecr"]) else erased(sent),
    )


_state("role-keeps-authorization", "Keeps authorization data if only AssumeRole is used", "ecr-authorization-erased")(
    _keeps_authorization, lambda ecr: not (ecr["useIam"] or ecr["accessKeyId"] or ecr["secretAccessKey"])
)


@_state("erased-without-registry", "Erases the authorization data of every ecr integration", "ecr-authorization-erased")
@tools.instead_of("central.clients.ecr_authorization_erased")
def erased_without_registry(mock: Instance, original: Original, sent: Integration) -> Any:
    return {**original({**sent, "categories": ["REGISTRY"]}), "categories": sent["categories"]}


@_state("scanner-v4-stays", "Scanner V4 becomes an integration of another type")
@tools.instead_of("central.service.scanner_v4_type_fixed")
def scanner_v4_stays(mock: Instance, original: Original, sent: Integration, kept: Integration) -> None:
    if kept["type"] != "scannerv4":
        original(sent, kept)


# -- bugs that tests missed -------------------------------------------------------------------------------


_wire("key-twice", "GET answers with the key `name` twice", "answer-schema")(
    tools.responses, lambda one: one._replace(body=one.bytes.replace(b'{"id":', b'{"name":"x","id":', 1)), (GET,)
)


@_state(
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
            raise tools.refused(404, f"image integration {id} was deleted", 5)
        return original(id)

    tools.around(mock, "central.service.delete", delete)
    tools.around(mock, "central.service.get_missing", missing)


_schema("list-skips-tests", "The list shows `skipTestIntegration` as true for all", "list-item-equals-read")(
    tools.shown, lambda each: each | {"skipTestIntegration": True}, (LIST,)
)
_schema("list-name-cut", "The list truncates names to 200 characters", "list-item-equals-read")(
    tools.shown, lambda each: each | {"name": each["name"][:200]}, (LIST,)
)


@_state("filter-old-name", "The filter by name also finds a renamed integration by its old name", "list-by-odd-name")
def filter_old_name(mock: Instance) -> None:
    store = mock.central.store
    names: dict[str, set[str]] = {}

    def put(original: Original, integration: Integration) -> Any:
        names.setdefault(integration["name"], set()).add(integration["id"])
        return original(integration)

    tools.around(store, "put", put)
    tools.around(
        mock,
        "central.service.list_by_name",
        lambda _original, name: store.list_answer([id for id in names.get(name, ()) if store.get(id)]),
    )


@_state("refused-name-taken", "The name of a refused create stays taken", "create-rolled-back")
def refused_name_taken(mock: Instance) -> None:
    taken: set[str] = set()

    def create(original: Original, sent: Integration) -> Any:
        if sent["name"] in taken:
            raise tools.refused(
                400, f'Validation error: integration with name "{sent["name"]}" already exists: invalid arguments'
            )
        try:
            return original(sent)
        except Refusal as refusal:
            if refusal.rule != "name-unique":
                taken.add(sent["name"])
            raise

    tools.around(mock, "central.service.create", create)


@_state("test-forgets-credential", "/test/updated erases the stored API key", "test-stores-nothing")
@tools.instead_of("central.service.test")
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
    tools.errors(mock, lambda body: body | more if body["code"] == 3 else body)


_schema("refusal-error-differs", "`error` is `Bad Request` for a refused create", "error-shape")(
    _refused_creates, {"error": "Bad Request"}
)
_schema("refusal-details", "The error of a refused create has details", "error-shape")(
    _refused_creates, {"details": [{"@type": "type.googleapis.com/google.rpc.BadRequest"}]}
)


_state("key-id-keeps-authorization", "Keeps authorization data if only a key id is set", "ecr-authorization-erased")(
    _keeps_authorization, lambda ecr: bool(ecr["accessKeyId"] and not ecr["secretAccessKey"])
)


@_state("missing-fields-order", "Lists a missing region before a missing registry id", "missing-fields-listed")
@tools.instead_of("central.clients._listed")
def missing_fields_order(mock: Instance, original: Original, start: str, *found: Problem | None) -> Any:
    first = [each for each in found if each and each.rule == "ecr-region-required"]
    return original(start, *first, *(each for each in found if each not in first))


@_state("private-endpoints", "Refuses endpoints in private networks", "endpoint-as-sent")
@tools.instead_of("central.validation._endpoint")
def private_endpoints(mock: Instance, original: Original, endpoint: str) -> Any:
    return original("localhost" if endpoint.startswith(("10.", "192.168.")) else endpoint)


for _field in ("project", "region", "registryId", "grpcEndpoint"):
    _state(f"guards-{_field}", f"Requires the credentials to change `{_field}`", "reconcile-free-fields")(
        tools.dependent, _field
    )


def _unchanged_if(mock: Instance, equal: Callable[[str, str], bool]) -> None:
    """Treat different endpoints as equal."""

    def check(original: Original, field: Any, sent: Any, kept: Any, path: Any) -> None:
        if not (field.name == "endpoint" and equal(sent, kept)):
            original(field, sent, kept, path)

    tools.around(mock, "central.reconcile.reconcile_dependent_unchanged", check)


for _name, _how, _equal in (
    ("case", "changes its case", lambda sent, kept: sent.lower() == kept.lower()),
    ("left-out", "is left out", lambda sent, _: not sent),
):
    _security(
        f"endpoint-{_name}", f"Keeps a stored credential although an endpoint {_how}", "reconcile-dependent-unchanged"
    )(_unchanged_if, _equal)


@_wire("duplicate-inside", "Accepts a repeated field of a config, and uses the last one", "duplicate-field")
@tools.reader
class _DuplicateInside(protojson.Reading):
    def duplicate_field(self, *arguments: Any) -> None:
        if not self.path:
            super().duplicate_field(*arguments)


@_wire("text-for-a-bool-inside", 'Reads `"true"` as true in a config', "field-value")
@tools.reader
class _TextForABoolInside(protojson.Reading):
    def scalar(self, field: Field) -> Any:
        token = self.peek()
        try:
            return super().scalar(field)
        except Refusal:
            if self.path and field.kind in ("bool", "string"):
                return token.raw == b'"true"' if field.kind == "bool" else token.raw.decode()
            raise


_state("filter-glob", "The filter by name treats asterisks as wildcards", "list-by-name")(tools.filtered, fnmatchcase)
_schema("get-without-external-id", "GET of ecr omits the external id", "read-after-create")(
    tools.shown,
    lambda each: each | {"ecr": each["ecr"] | {"assumeRoleExternalId": ""}} if "ecr" in each else each,
    (GET,),
)


@_state(
    "ghcr-without-config",
    "Accepts ghcr without the docker member",
    "docker-config-required",
    also=("all-categories-activated",),
)
@tools.instead_of("central.clients.registry")
def ghcr_without_config(mock: Instance, original: Original, sent: Integration) -> Any:
    return None if sent["type"] == "ghcr" and "docker" not in sent else original(sent)


@_state(
    "project-required",
    "Also reports a missing project of artifactregistry",
    "google-endpoint-required",
    also=("google-scanner-endpoint-required",),
)
@tools.instead_of("central.clients._listed")
def project_required(mock: Instance, original: Original, start: str, *found: Problem | None) -> Any:
    first = found[0] if start == "Google Validation" else None
    return original(start, *found, first and first._replace(text="ProjectID must be specified"))


def _seen_if(mock: Instance, is_seen: Callable[[str], bool]) -> None:
    """Show some credentials."""
    tools.masked_as(mock, lambda secret: secret if is_seen(secret) else MASK)


for _name, _what, _is_seen in (
    ("long", "of more than 2,000 characters", lambda secret: len(secret) > 2000),
    ("short", "of one character", lambda secret: len(secret) == 1),
    ("foreign", "with characters beyond ASCII", lambda secret: not secret.isascii()),
):
    _security(f"shown-if-{_name}", f"Reads show credentials {_what}", "credentials-masked")(_seen_if, _is_seen)


@_security("shown-if-pretty", "An indented GET shows credentials", "credentials-masked")
@tools.answering(GET)
def shown_if_pretty(proceed: Proceed, exchange: Exchange) -> Response:
    response, found = proceed(exchange), exchange.sandbox.central.store.get(exchange.id)
    if found is None or "pretty" not in exchange.request.query or "docker" not in found.integration:
        return response
    shown = json.loads(response.bytes) | {"docker": found.integration["docker"]}
    return response._replace(body=json.dumps(shown, indent=2).encode()).sized()


_state("blank-is-no-name", "Refuses a name of only spaces as missing", "name-required")(
    tools.around,
    "central.validation.name_required",
    lambda original, sent: original({**sent, "name": sent["name"].strip()}),
)


def _supports(mock: Instance, parameter: str, keep: Callable[[list[Json], str], list[Json]]) -> None:
    """Show the integrations in `keep(all, value)` if the query of the list matches `parameter`."""

    def listed(proceed: Proceed, exchange: Exchange) -> Response:
        response = proceed(exchange)
        wanted = re.search(f"(?:^|&){parameter}", exchange.request.query)
        if wanted is None:
            return response
        found = keep(json.loads(response.bytes)["integrations"], wanted[1])
        return response._replace(body=protojson.render({"integrations": found}))

    tools.handled(mock, (LIST,), listed)


_wire("list-of-a-type", "The list supports a query key `type`", "unknown-query-ignored")(
    _supports, "type=([^&]*)", lambda items, type: [each for each in items if each["type"] == type]
)
_state("one-problem-listed", "Reports a single problem as a list of problems", "problems-listed")(
    tools.error_texts, partial(re.sub, "^Validation error: (.*?)(?=: invalid)", r"Validation errors: [\1]")
)
_state(
    "azure-text",
    "Errors of azure lack their prefix",
    "azure-password-required",
    also=("azure-config-required", "azure-endpoint-required"),
)(tools.error_texts, lambda text: text.replace("getting Azure container registry configuration: ", ""))


# -- bugs that a quick run missed ---------------------------------------------------------------------------


for _name, _what, _pattern, _meant in (
    ("comments-taken", "Accepts comments in a body", rb"/\*.*?\*/", b""),
    ("constants-taken", "Reads NaN in a body as null", rb"\bNaN\b", b"null"),
):
    _wire(_name, _what, "body-syntax")(tools.bodies, partial(re.compile(_pattern).sub, _meant))
_wire("null-for-a-body", "Reads the body `null` as an empty body", "unexpected-token")(
    tools.bodies, lambda body: b"{}" if body == b"null" else body
)


@_state("secret-key-lost", "Loses the stored secret access key of ecr", "stored-credentials-kept")
@tools.instead_of("central.reconcile.stored_credentials_kept")
def secret_key_lost(mock: Instance, original: Original, message: Any, sent: Integration, old: Integration) -> Any:
    found = original(message, sent, old)
    return {**found, "secretAccessKey": ""} if "secretAccessKey" in found else found


@_state("test-keeps-nothing", "/test/updated does not use the stored credentials", "reconcile-on-test")
def test_keeps_nothing(mock: Instance) -> None:
    is_test = tools.during(mock, TEST_UPDATED)
    tools.around(
        mock,
        "central.reconcile.stored_credentials_kept",
        lambda original, message, sent, old: dict(sent) if is_test() else original(message, sent, old),
    )


@_state("generated-stay", "An autogenerated integration cannot be deleted", "delete-answer")
@tools.instead_of("central.service.delete")
def generated_stay(mock: Instance, original: Original, id: str) -> None:
    found = mock.central.store.get(id)
    if found and found.integration["autogenerated"]:
        raise tools.refused(400, "autogenerated integrations cannot be deleted: invalid arguments")
    original(id)


_state("delete-any-case", "DELETE accepts ids in upper case", "delete-missing")(
    tools.around, "central.service.delete", lambda original, id: original(id.lower())
)


_wire("list-limit", "The list supports a query key `limit`", "unknown-query-ignored")(
    _supports, "limit=([0-9]+)", lambda items, number: items[: int(number)]
)
_wire("list-pagination", "The list supports a query key `pagination.limit`", "unknown-query-ignored")(
    _supports, r"pagination\.limit=([0-9]+)", lambda items, number: items[: int(number)]
)


@_state("google-not-updated", "Refuses an update of type google", "google-not-created")
@tools.instead_of("central.service.update")
def google_not_updated(mock: Instance, original: Original, sent: Integration, *, update_password: bool) -> None:
    mock.central.service.google_not_created(sent)
    original(sent, update_password=update_password)


# -- bugs that a default run missed --------------------------------------------------------------------------


@_state("project-kept", "An update of a google config without the project keeps the stored one", "update-replaces")
@tools.given_to(tools.updated)
def project_kept(old: Json, sent: Json) -> Json:
    if "google" not in sent or "google" not in old or sent["google"]["project"]:
        return sent
    return {**sent, "google": {**sent["google"], "project": old["google"]["project"]}}


@_security("iam-turned-off", "IAM can be turned off without credentials", "reconcile-dependent-unchanged")
@tools.instead_of("central.reconcile.reconcile_dependent_unchanged")
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

    tools.around(mock, "central.service.update", update)


_security("mask-keeps", "PUT keeps the old credential if the mask is sent", "mask-taken-literally")(_keeps_stored, MASK)
_security("empty-keeps", "PUT keeps the old credential if an empty one is sent", "credentials-replaced")(
    _keeps_stored, ""
)


@_state("type-before-name", "An update checks for type Scanner V4 before it checks the name", "scanner-v4-type-fixed")
@tools.instead_of("central.service.update")
def type_before_name(mock: Instance, original: Original, sent: Integration, *, update_password: bool) -> None:
    found = mock.central.store.get(sent["id"])
    if found:
        mock.central.service.scanner_v4_type_fixed(sent, found.integration)
    original(sent, update_password=update_password)


@_state("test-stores-skip", "A test stores `skipTestIntegration`", "test-stores-nothing")
@tools.instead_of("central.service.test")
def test_stores_skip(mock: Instance, original: Original, sent: Integration | None, *, update_password: bool) -> None:
    store = mock.central.store
    try:
        original(sent, update_password=update_password)
    finally:
        found = store.get(sent["id"]) if sent else None
        if sent and found:
            store.put({**found.integration, "skipTestIntegration": sent["skipTestIntegration"]})


_state("region-lower", "Stores the region of ecr in lower case", "read-after-create")(
    tools.field_stored, "region", str.lower
)
_state("unlisted-config", "The list omits a docker config without an endpoint", "odd-combinations")(
    tools.shown,
    lambda each: {name: value for name, value in each.items() if name != "docker" or value["endpoint"]},
    (LIST,),
)


_state("filter-cut", "The filter by name compares only 100 characters", "list-by-odd-name")(
    tools.filtered, lambda name, wanted: name[:100] == wanted[:100]
)
_security(
    "endpoint-other-port", "Keeps a stored credential although the port changes", "reconcile-dependent-unchanged"
)(_unchanged_if, lambda sent, kept: re.sub(":[0-9]+$", "", sent) == re.sub(":[0-9]+$", "", kept))


def _if_match(proceed: Proceed, exchange: Exchange) -> Response:
    if "if-match" in exchange.request.headers:
        raise tools.refused(412, "precondition failed", 9)
    return proceed(exchange)


_wire("if-match", "Refuses a list with If-Match", "odd-headers")(tools.handled, (LIST,), _if_match)
_wire("if-match-on-write", "Refuses an update or a delete with If-Match", "odd-headers")(
    tools.handled, (PUT, PATCH, DELETE), _if_match
)
