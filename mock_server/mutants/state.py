"""What is stored is not what was asked for."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from mock_server.central.errors import Refusal, invalid_arguments
from mock_server.central.integration import Integration
from mock_server.central.store import Stored
from mock_server.gateway.messages import Response
from mock_server.mutants import Mutate, memory, mutant
from mock_server.mutants.tools import (
    CREATE,
    LIST,
    Json,
    answers,
    around,
    credentials,
    never,
    replace_method,
    responses,
    shown,
    stored,
    stored_config,
    suppress_rule,
)

if TYPE_CHECKING:
    from mock_server.central.decoding import Decoded
    from mock_server.contract.tables import Operation
    from mock_server.gateway.instance import Instance


def _state(name: str, summary: str, check: str, also: tuple[str, ...] = ()) -> Callable[[Mutate], Mutate]:
    return mutant(name, kind="state", check=check, summary=summary, also=also)


# -- creating --------------------------------------------------------------------------------------------


@_state("read-after-create", "A create stores nothing", "read-after-create")
def create_stores_nothing(mock: Instance) -> None:
    """Remove it again."""

    def create(original: Callable[..., Any], sent: Integration) -> Any:
        made = original(sent)
        mock.central.store.remove(made[0]["id"])
        return made

    around(mock.central.service, "create", create)


@_state("create-every-third-lost", "Every third create stores nothing", "read-after-create")
def create_every_third_lost(mock: Instance) -> None:
    """Remove some again."""
    serial = itertools.count(1)

    def create(original: Callable[..., Any], sent: Integration) -> Any:
        made = original(sent)
        if next(serial) % 3 == 0:
            mock.central.store.remove(made[0]["id"])
        return made

    around(mock.central.service, "create", create)


@_state("create-stores-twice", "A create stores two integrations", "read-after-create")
def create_stores_twice(mock: Instance) -> None:
    """Store a copy under another id."""

    def create(original: Callable[..., Any], sent: Integration) -> Any:
        made = original(sent)
        mock.central.store.put({**made[0], "id": mock.central.store.new_id()})
        return made

    around(mock.central.service, "create", create)


@_state("create-upserts", "A create with a taken name replaces the integration that has it", "name-unique")
def create_upserts(mock: Instance) -> None:
    """Take the name for the key."""
    store = mock.central.store

    def create(original: Callable[..., Any], sent: Integration) -> Any:
        if (id := store.id_of_name(sent["name"])) is None:
            return original(sent)
        made = {**sent, "id": id}
        return made, store.put(made)

    around(mock.central.service, "create", create)


@_state("refused-create-stored", "Stores a create that is refused", "create-rolled-back")
def refused_create_stored(mock: Instance) -> None:
    """Store first, check then."""

    def create(original: Callable[..., Any], sent: Integration) -> Any:
        try:
            return original(sent)
        except Refusal:
            if sent["name"] and mock.central.store.id_of_name(sent["name"]) is None:
                mock.central.store.put({**sent, "id": mock.central.store.new_id()})
            raise

    around(mock.central.service, "create", create)


@_state("ids-not-reused", "A new integration gets the id of one that was deleted", "ids-not-reused")
def id_reused(mock: Instance) -> None:
    """Recycle ids."""
    store, free = mock.central.store, list[str]()
    new_id = store.new_id

    def remove(original: Callable[[str], None], id: str) -> None:
        free.append(id)
        original(id)

    around(store, "remove", remove)
    replace_method(store, "new_id", lambda: free.pop() if free else new_id())


@_state("answer-not-stored", "The answer to a create shows another id than the stored one", "read-after-create")
def answer_not_stored(mock: Instance) -> None:
    """Answer an id of its own."""
    shown(mock, lambda each: each | {"id": mock.central.store.new_id()}, (CREATE,))


@_state(
    "create-answers-its-own",
    "The answer to a create shows the id of an older integration",
    "create-answers-its-own",
    also=("read-after-create",),
)
def create_answers_its_own(mock: Instance) -> None:
    """Answer the id of the first integration of the list."""
    shown(mock, lambda each: each | {"id": memory(mock).integrations()[0]["id"]}, (CREATE,))


# -- what is stored of a create or an update -------------------------------------------------------------


@_state("source-lost", "`source` is not stored", "read-after-create")
def source_lost(mock: Instance) -> None:
    """Store nothing of it."""
    stored(mock, lambda _: {"source": None})


@_state("autogenerated-lost", "`autogenerated` is always false", "read-after-create")
def autogenerated_lost(mock: Instance) -> None:
    """Store nothing of it."""
    stored(mock, lambda _: {"autogenerated": False})


@_state("cluster-id-lost", "`clusterId` is not stored", "read-after-create")
def cluster_id_lost(mock: Instance) -> None:
    """Store nothing of it."""
    stored(mock, lambda _: {"clusterId": ""})


@_state("skip-test-lost", "`skipTestIntegration` is not stored", "read-after-create")
def skip_test_lost(mock: Instance) -> None:
    """Use it and forget it."""
    stored(mock, lambda _: {"skipTestIntegration": False})


@_state("insecure-lost", "`insecure` is always false", "read-after-create")
def insecure_lost(mock: Instance) -> None:
    """Store nothing of it."""
    stored_config(mock, lambda config: {"insecure": False} if "insecure" in config else {})


@_state("scans-default", "numConcurrentScans 0 is stored as 5", "zero-values-emitted")
def scans_default(mock: Instance) -> None:
    """Fill in a default."""
    stored_config(mock, lambda config: {"numConcurrentScans": 5} if config.get("numConcurrentScans") == 0 else {})


@_state("scans-positive", "A negative numConcurrentScans is stored as 0", "long-values-kept")
def scans_positive(mock: Instance) -> None:
    """Correct a number."""
    stored_config(mock, lambda config: {"numConcurrentScans": 0} if config.get("numConcurrentScans", 0) < 0 else {})


@_state("external-id-lost", "assumeRoleExternalId of ecr is not stored", "read-after-create")
def external_id_lost(mock: Instance) -> None:
    """Forget one field of one type."""
    stored_config(mock, lambda config: {"assumeRoleExternalId": ""} if "assumeRoleExternalId" in config else {})


@_state("robot-lost", "registryRobotCredentials of quay is not stored", "update-replaces")
def robot_lost(mock: Instance) -> None:
    """Forget one message of one type."""
    stored_config(mock, lambda config: {"registryRobotCredentials": None} if "oauthToken" in config else {})


@_state("name-trimmed", "Names are trimmed", "unicode-kept")
def name_trimmed(mock: Instance) -> None:
    """Correct names."""
    stored(mock, lambda sent: {"name": sent["name"].strip()})


@_state("name-cut", "Names are cut after 255 characters", "long-values-kept")
def name_cut(mock: Instance) -> None:
    """Store what fits a column."""
    stored(mock, lambda sent: {"name": sent["name"][:255]})


@_state("name-normalised", "Names are stored in Unicode's composed form", "unicode-kept")
def name_normalised(mock: Instance) -> None:
    """Compose characters."""
    stored(mock, lambda sent: {"name": unicodedata.normalize("NFC", sent["name"])})


@_state("name-escaped", "Names are escaped for HTML", "unicode-kept")
def name_escaped(mock: Instance) -> None:
    """Escape too early."""
    stored(mock, lambda sent: {"name": sent["name"].replace("&", "&amp;").replace("<", "&lt;")})


@_state("unicode-kept", "Characters beyond 16 bits become question marks in names", "unicode-kept")
def name_bmp(mock: Instance) -> None:
    """Store what the character set of the table has."""
    stored(mock, lambda sent: {"name": "".join(each if ord(each) < 0x10000 else "?" for each in sent["name"])})


@_state("type-lower-case", "Types are stored in lower case", "read-after-create")
def type_lower_case(mock: Instance) -> None:
    """Fold a text that has a meaning."""
    stored(mock, lambda sent: {"type": sent["type"].lower()})


@_state("endpoint-lower-case", "Endpoints are stored in lower case", "read-after-create")
def endpoint_lower_case(mock: Instance) -> None:
    """Fold URLs."""
    stored_config(mock, lambda config: {"endpoint": config["endpoint"].lower()} if "endpoint" in config else {})


@_state("endpoint-slash-cut", "The trailing slash of an endpoint is cut", "read-after-create")
def endpoint_slash_cut(mock: Instance) -> None:
    """Correct URLs."""
    stored_config(mock, lambda config: {"endpoint": config["endpoint"].rstrip("/")} if "endpoint" in config else {})


@_state("endpoint-scheme-cut", "https:// is removed from endpoints", "read-after-create")
def endpoint_scheme_cut(mock: Instance) -> None:
    """Store the host."""
    stored_config(
        mock, lambda config: {"endpoint": config["endpoint"].removeprefix("https://")} if "endpoint" in config else {}
    )


@_state("long-values-kept", "Strings of a config are cut after 1,000 characters", "long-values-kept")
def text_cut(mock: Instance) -> None:
    """Store what fits a column."""
    stored_config(mock, lambda config: {key: text[:1000] for key, text in config.items() if isinstance(text, str)})


@_state("categories-unique", "A repeated category is stored once", "categories-sorted")
def categories_unique(mock: Instance) -> None:
    """Make it a set."""
    stored(mock, lambda sent: {"categories": list(dict.fromkeys(sent["categories"]))})


@_state("second-category-lost", "Only the first category is stored", "categories-sorted")
def second_category_lost(mock: Instance) -> None:
    """Keep one."""
    stored(mock, lambda sent: {"categories": sent["categories"][:1]})


@_state("expiry-seconds", "expiresAt is cut to seconds", "timestamp-normalised")
def expiry_seconds(mock: Instance) -> None:
    """Store what fits a column."""

    def cut(config: Json) -> Json:
        data = config.get("authorizationData")
        if not data or not data["expiresAt"]:
            return {}
        return {"authorizationData": {**data, "expiresAt": data["expiresAt"].partition(".")[0].rstrip("Z") + "Z"}}

    stored_config(mock, cut)


# -- reading ---------------------------------------------------------------------------------------------


def _listed(mock: Instance, keep: Callable[[list[Json]], list[Json]]) -> None:
    answers(mock, (LIST,), lambda answer: {"integrations": keep(answer["integrations"])})


@_state("list-first-20", "The list ends after 20 integrations", "list-item-equals-read")
def list_first_20(mock: Instance) -> None:
    """Page without pages."""
    _listed(mock, lambda items: items[:20])


@_state("list-first-50", "The list ends after 50 integrations", "many-kept")
def list_first_50(mock: Instance) -> None:
    """Page without pages."""
    _listed(mock, lambda items: items[:50])


@_state("list-first-100", "The list ends after 100 integrations", "many-kept")
def list_first_100(mock: Instance) -> None:
    """Page without pages."""
    _listed(mock, lambda items: items[:100])


@_state("list-without-type", "The list leaves clairV4 integrations out", "list-item-equals-read")
def list_without_type(mock: Instance) -> None:
    """Forget a type."""
    _listed(mock, lambda items: [each for each in items if each["type"] != "clairV4"])


@_state("list-without-autogenerated", "The list leaves autogenerated integrations out", "list-item-equals-read")
def list_without_autogenerated(mock: Instance) -> None:
    """Hide what a user did not make."""
    _listed(mock, lambda items: [each for each in items if not each["autogenerated"]])


@_state("list", "The list shows the last integration twice", "list")
def list_doubles(mock: Instance) -> None:
    """Join once too often."""
    _listed(mock, lambda items: items + items[-1:])


@_state("list-stale", "The list is cached; only a create or a delete renews it", "update")
def list_stale(mock: Instance) -> None:
    """Forget that updates change the list."""
    store = memory(mock)
    cached: dict[int, bytes] = {}

    def listed(original: Callable[..., bytes], ids: Any = None) -> bytes:
        return original(ids) if ids is not None else cached.setdefault(hash(frozenset(store._by_id)), original())

    around(store, "list_answer", listed)


@_state("list-item-equals-read", "The list leaves the fields of configs empty", "list-item-equals-read")
def list_summary(mock: Instance) -> None:
    """Show a summary."""

    def summary(each: Json) -> Json:
        members = [name for name in each if isinstance(each[name], dict) and name != "source"]
        return each | {name: each[name] | {"endpoint": ""} for name in members if "endpoint" in each[name]}

    shown(mock, summary, (LIST,))


@_state("filter-prefix", "The filter by name matches prefixes", "list-by-name")
def filter_prefix(mock: Instance) -> None:
    """Search instead of compare."""
    _filtered(mock, lambda name, wanted: name.startswith(wanted))


@_state("filter-substring", "The filter by name matches substrings", "list-by-name")
def filter_substring(mock: Instance) -> None:
    """Search instead of compare."""
    _filtered(mock, lambda name, wanted: wanted in name)


@_state("filter-case", "The filter by name ignores case", "list-by-name")
def filter_case(mock: Instance) -> None:
    """Fold what is compared."""
    _filtered(mock, lambda name, wanted: name.lower() == wanted.lower())


@_state("filter-pattern", "The filter by name treats % and _ as wildcards", "list-by-name")
def filter_pattern(mock: Instance) -> None:
    """Compare as SQL's LIKE does."""
    _filtered(mock, lambda name, wanted: fnmatchcase(name, wanted.replace("%", "*").replace("_", "?")))


def _filtered(mock: Instance, keeps: Callable[[str, str], bool]) -> None:
    store = memory(mock)

    def by_name(wanted: str) -> bytes:
        return store.list_answer([id for name, id in list(store._ids_by_name.items()) if keeps(name, wanted)])

    replace_method(mock.central.service, "list_by_name", by_name)


@_state("filter-nothing", "The filter by name matches nothing", "list-by-name")
def filter_nothing(mock: Instance) -> None:
    """Find nothing."""
    replace_method(mock.central.service, "list_by_name", lambda _name: mock.central.store.list_answer([]))


@_state("filter-cluster-id", "The filter by cluster compares clusterId", "list-by-cluster")
def filter_cluster_id(mock: Instance) -> None:
    """Do what the parameter says."""
    store = memory(mock)

    def by_cluster(wanted: str) -> bytes:
        return store.list_answer([id for id, each in store._by_id.items() if each.integration["clusterId"] == wanted])

    replace_method(mock.central.service, "list_by_cluster", by_cluster)


@_state("get-stale", "GET answers from a cache", "update")
def get_stale(mock: Instance) -> None:
    """Cache without end."""
    cached: dict[str, Stored] = {}
    around(mock.central.service, "get", lambda get, id: cached.setdefault(id, get(id)))


@_state("get-deleted", "GET still answers a deleted integration", "delete-answer")
def get_deleted(mock: Instance) -> None:
    """Mark instead of delete."""
    store, gone = mock.central.store, dict[str, Stored]()

    def remove(original: Callable[[str], None], id: str) -> None:
        if found := store.get(id):
            gone[id] = found
        original(id)

    around(store, "remove", remove)
    around(mock.central.service, "get", lambda get, id: gone.get(id) or get(id))


@_state("id-exact", "GET accepts ids in upper case", "id-exact")
def get_any_case(mock: Instance) -> None:
    """Read ids as UUIDs."""
    around(mock.central.service, "get", lambda get, id: get(id.lower()))


@_state("get-by-name", "GET accepts a name instead of an id", "id-exact")
def get_by_name(mock: Instance) -> None:
    """Look twice."""
    around(mock.central.service, "get", lambda get, id: get(mock.central.store.id_of_name(id) or id))


# -- updating --------------------------------------------------------------------------------------------


def _update(mock: Instance, change: Callable[[Json, Json], Json]) -> None:
    """Store `change(old, sent)` in the place of what was sent."""
    store = mock.central.store

    def update(original: Callable[..., None], sent: Integration, *, update_password: bool) -> None:
        found = store.get(sent["id"])
        original(change(dict(found.integration), dict(sent)) if found else sent, update_password=update_password)

    around(mock.central.service, "update", update)


@_state("update", "PUT changes nothing", "update")
def put_ignored(mock: Instance) -> None:
    """Say yes and do nothing."""
    _update(mock, lambda old, _: old)


@_state("rename-ignored", "An update does not change the name", "update")
def rename_ignored(mock: Instance) -> None:
    """Keep one field."""
    _update(mock, lambda old, sent: {**sent, "name": old["name"]})


@_state("type-kept", "An update does not change the type", "update-replaces")
def type_kept(mock: Instance) -> None:
    """Keep one field."""
    _update(mock, lambda old, sent: {**sent, "type": old["type"]})


@_state("categories-kept", "An update does not change the categories", "update-replaces")
def categories_kept(mock: Instance) -> None:
    """Keep one field."""
    _update(mock, lambda old, sent: {**sent, "categories": old["categories"]})


@_state("source-kept", "An update without `source` keeps it", "update-replaces")
def source_kept(mock: Instance) -> None:
    """Merge one field."""
    _update(mock, lambda old, sent: {**sent, "source": sent["source"] or old["source"]})


@_state("cluster-id-cleared", "An update clears `clusterId`", "update-replaces")
def cluster_id_cleared(mock: Instance) -> None:
    """Lose one field."""
    _update(mock, lambda _, sent: {**sent, "clusterId": ""})


@_state("config-merged", "An update keeps the fields of the config that are not sent", "update-replaces")
def config_merged(mock: Instance) -> None:
    """Merge inside the member."""
    members = [field.name for field in mock.central.contract.integration.members]

    def merged(old: Json, sent: Json) -> Json:
        both = [name for name in members if name in old and name in sent]
        return sent | {name: {key: value or old[name][key] for key, value in sent[name].items()} for name in both}

    _update(mock, merged)


@_state("update-new-id", "An update gives the integration a new id", "update")
def update_new_id(mock: Instance) -> None:
    """Delete and create."""
    store = mock.central.store

    def update(original: Callable[..., None], sent: Integration, *, update_password: bool) -> None:
        original(sent, update_password=update_password)
        if found := store.get(sent["id"]):
            store.remove(sent["id"])
            store.put({**found.integration, "id": store.new_id()})

    around(mock.central.service, "update", update)


@_state(
    "update-another",
    "An update also changes clusterId of the integration that was created before",
    "update",
)
def update_another(mock: Instance) -> None:
    """Change a neighbour."""
    store = memory(mock)

    def update(original: Callable[..., None], sent: Integration, *, update_password: bool) -> None:
        original(sent, update_password=update_password)
        ids = list(store._by_id)
        at = ids.index(sent["id"]) - 1 if sent["id"] in ids else 0
        if at >= len(store._first_state) and (found := store.get(ids[at])):
            store.put({**found.integration, "clusterId": sent["clusterId"] + "-changed"})

    around(mock.central.service, "update", update)


@_state("update-duplicates", "An update leaves the old integration beside the new one", "update")
def update_duplicates(mock: Instance) -> None:
    """Store versions."""
    store = mock.central.store

    def update(original: Callable[..., None], sent: Integration, *, update_password: bool) -> None:
        found = store.get(sent["id"])
        original(sent, update_password=update_password)
        if found:
            store.put({**found.integration, "id": store.new_id()})

    around(mock.central.service, "update", update)


@_state("refused-update-stored", "Stores an update that is refused", "update")
def refused_update_stored(mock: Instance) -> None:
    """Store first, check then."""

    def update(original: Callable[..., None], sent: Integration, *, update_password: bool) -> None:
        try:
            original(sent, update_password=update_password)
        except Refusal:
            if mock.central.store.get(sent["id"]) and sent["name"]:
                mock.central.store.put(sent)
            raise

    around(mock.central.service, "update", update)


@_state("name-unchecked-on-update", "Accepts an update to a name that another integration has", "name-unique")
def name_unchecked_on_update(mock: Instance) -> None:
    """Look at names of creates only."""
    around(mock.central.validation, "name_unique", lambda check, sent: None if sent["id"] else check(sent))


@_state("name-case", "Refuses names that differ only in case", "names-exact")
def name_case(mock: Instance) -> None:
    """Fold what is compared."""

    def check(original: Callable[[Integration], Any], sent: Integration) -> Any:
        names = {each["name"] for each in mock.central.store.integrations() if each["id"] != sent["id"]}
        taken = next((name for name in names if name.lower() == sent["name"].lower()), sent["name"])
        return original({**sent, "name": taken})

    around(mock.central.validation, "name_unique", check)


@_state("name-not-freed", "A name stays taken after its integration is deleted or renamed", "name-unique")
def name_not_freed(mock: Instance) -> None:
    """Never forget a name."""
    never(mock.central.store, "_forget_name")


@_state("own-name-taken", "Refuses an update that keeps the name", "update")
def own_name_taken(mock: Instance) -> None:
    """Compare with oneself."""
    around(mock.central.validation, "name_unique", lambda check, sent: check({**sent, "id": ""}))


@_state("update-password-ignored", "updatePassword is always true", "reconcile-credential-masked")
def update_password_ignored(mock: Instance) -> None:
    """Replace what is stored."""
    around(mock.central.service, "update", lambda update, sent, *, update_password: update(sent, update_password=True))


@_state("update-password-default", "PATCH without updatePassword updates the password", "update-password-default")
def update_password_default(mock: Instance) -> None:
    """Choose the other default."""

    def decode(
        original: Callable[..., Decoded], operation: Operation, body: bytes, content_type: str, id: str
    ) -> Decoded:
        decoded = original(operation, body, content_type, id)
        if "updatePassword" in decoded.message and b"updatePassword" not in body:
            return decoded._replace(message={**decoded.message, "updatePassword": True})
        return decoded

    around(mock.central.decoding, "body", decode)


@_state("update-password-false", "updatePassword is always false", "update")
def update_password_false(mock: Instance) -> None:
    """Never replace a credential."""
    around(
        mock.central.service,
        "update",
        lambda update, sent, *, update_password: update(sent, update_password=False),
    )


@_state("credentials-replaced", "A PUT with an empty credential keeps the stored one", "credentials-replaced")
def put_keeps_credentials(mock: Instance) -> None:
    """Take empty for not changed, whatever the flag says."""
    message = mock.central.contract.integration

    def kept(old: Json, sent: Json) -> Json:
        empty = credentials(message, sent, lambda credential: credential or None)
        whole = mock.central.reconcile.stored_credentials_kept(message, sent, old)
        return whole if empty != sent else sent

    _update(mock, kept)


# -- testing ---------------------------------------------------------------------------------------------


@_state("test-updates", "test/updated stores what it tests", "test-stores-nothing")
def test_updates(mock: Instance) -> None:
    """Update what passed."""

    def test(original: Callable[..., None], sent: Integration | None, *, update_password: bool) -> None:
        original(sent, update_password=update_password)
        if sent and mock.central.store.get(sent["id"]):
            mock.central.store.put(sent)

    around(mock.central.service, "test", test)


@_state("test", "Passes every test", "test")
def test_always_passes(mock: Instance) -> None:
    """Test nothing."""
    replace_method(mock.central.service, "test", lambda _sent, **_: None)


@_state("test-ignores-skip", "A test with skipTestIntegration tests nothing", "test-ignores-skip")
def skip_test_in_test(mock: Instance) -> None:
    """Skip what was asked for."""
    around(
        mock.central.service,
        "_failed_test",
        lambda failed, sent: None if sent["skipTestIntegration"] else failed(sent),
    )


@_state("test-needs-no-id", "test/updated of an unknown id passes", "update-missing")
def test_needs_no_id(mock: Instance) -> None:
    """Test what is not stored."""
    suppress_rule(mock.central.service, "test", "update-missing")


@_state("skip-test-respected", "A create whose client cannot be built fails as its test would", "skip-test-respected")
def tested_when_skipped(mock: Instance) -> None:
    """Build clients before anything is stored."""
    clients = mock.central.clients
    builders: dict[Any, Any] = {"REGISTRY": clients.registry, "SCANNER": clients.scanner}

    def create(original: Callable[..., Any], sent: Integration) -> Any:
        for category in sent["categories"]:
            if category in builders and (found := builders[category](sent)):
                raise invalid_arguments(found, times=3)
        return original(sent)

    around(mock.central.service, "create", create)


# -- deleting --------------------------------------------------------------------------------------------


@_state("delete-answer", "DELETE deletes nothing", "delete-answer")
def delete_nothing(mock: Instance) -> None:
    """Say yes and do nothing."""

    def delete(original: Callable[[str], None], id: str) -> None:
        found = mock.central.store.get(id)
        original(id)
        if found:
            mock.central.store.put(found.integration)

    around(mock.central.service, "delete", delete)


@_state("delete-another", "DELETE also deletes the integration that was created before", "delete-answer")
def delete_another(mock: Instance) -> None:
    """Delete a neighbour."""
    store = memory(mock)

    def delete(original: Callable[[str], None], id: str) -> None:
        ids = list(store._by_id)
        original(id)
        at = ids.index(id) - 1
        if at >= len(store._first_state):
            store.remove(ids[at])

    around(mock.central.service, "delete", delete)


@_state("delete-all", "DELETE deletes every integration of the type", "delete-answer")
def delete_all(mock: Instance) -> None:
    """Delete too much."""
    store = memory(mock)

    def delete(original: Callable[[str], None], id: str) -> None:
        found = store.get(id)
        original(id)
        for other, each in list(store._by_id.items()):
            if found and each.integration["type"] == found.integration["type"]:
                store.remove(other)

    around(mock.central.service, "delete", delete)


@_state("delete-late", "A deleted integration stays in the list until the next write", "delete-answer")
def delete_late(mock: Instance) -> None:
    """Forget to renew the list."""
    store = memory(mock)

    def delete(original: Callable[[str], None], id: str) -> None:
        before = store.list_answer()
        original(id)
        store._joined = before

    around(mock.central.service, "delete", delete)


@_state("every-20th-text", "Every 20th answer is the text of a proxy", "answer-media-type")
def every_20th_text(mock: Instance) -> None:
    """Answer as a proxy without a server behind it."""
    serial = itertools.count(1)

    def changed(response: Response) -> Response:
        if next(serial) % 20:
            return response
        return Response(502, (("Content-Type", "text/plain"),), b"upstream connect error")

    responses(mock, changed)
