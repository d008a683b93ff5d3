"""The eight operations as Central runs them (central/imageintegration/service/service_impl.go).

It works on decoded integrations; `gateway` handles HTTP, `protojson` JSON. In all modules of `central`,
a method with the id of a rule as its name decides that rule.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mock_server.central import database
from mock_server.central.clients import Builder, Clients
from mock_server.central.errors import INVALID, Problem, Refusal, Rules, internal, invalid_arguments
from mock_server.central.integration import Integration
from mock_server.central.reconcile import Reconcile
from mock_server.central.registry_tests import RegistryTests
from mock_server.central.store import Store, Stored
from mock_server.central.validation import Validation
from mock_server.contract.tables import Contract
from mock_server.golang.text import quote

_UNKNOWN_TO_DATABASE = re.compile("[\0\udc80-\udcff]")
"""NUL, and bytes that are not UTF-8, as "surrogateescape" decodes them."""


def _shown(id: str) -> str:
    return id.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@dataclass(eq=False)
class Service:
    """The operations of one Central."""

    contract: Contract
    store: Store
    validation: Validation
    reconcile: Reconcile
    clients: Clients
    registry_tests: RegistryTests
    as_deployed: bool
    """The loser of a race for a name gets the error of the database."""

    def __post_init__(self) -> None:
        self.rules = Rules(self.contract)

    # -- reading ----------------------------------------------------------------------------

    def list(self, name: str, cluster: str) -> bytes:
        """GetImageIntegrations: all, or those with this name; empty texts do not filter."""
        if cluster != "":
            return self.list_by_cluster(cluster)
        if name != "":
            return self.list_by_name(name)
        return self.store.list_answer()

    def list_by_name(self, name: str) -> bytes:
        """central/imageintegration/datastore/datastore_impl.go: compared exactly."""
        return self.store.list_named(name)

    def list_by_cluster(self, _cluster: str) -> bytes:
        """central/imageintegration/datastore/datastore_impl.go: integrations belong to no cluster."""
        return self.store.list_answer([])

    def get(self, id: str) -> Stored:
        """GetImageIntegration."""
        self.id_required(id)
        return self.store.get(id) or self.get_missing(id)

    def id_required(self, id: str) -> None:
        """GET and DELETE require an id; PUT and PATCH do not."""
        if id == "":
            raise self.rules.refusal("id-required")

    def get_missing(self, id: str) -> Stored:
        """Refuse a GET of an unknown id; the text does not quote it."""
        raise self.rules.refusal("get-missing", id=id)

    # -- creating ---------------------------------------------------------------------------

    def create(self, integration: Integration) -> tuple[Integration, Stored]:
        """PostImageIntegration: return the created integration and the stored one.

        They differ if building the client removed authorization data after the integration was stored.
        """
        self.id_empty_on_create(integration)
        self.scanner_v4_not_created(integration)
        self.google_not_created(integration)
        was_free = self.as_deployed and self.store.id_of_name(integration["name"]) is None
        with self.store.lock:
            if was_free and self._is_race_lost(integration):
                raise Refusal("name-unique", 400, 3, f"{database.START}{database.DUPLICATE_NAME}{INVALID}")
            integration = self._valid_tested_sorted(integration)
            if wrong := database.name_error(integration["name"]):
                raise Refusal("database-text", 400, 3, f"{database.START}{wrong}{INVALID}")
            integration = {**integration, "id": self.store.new_id()}
            stored = self.store.put(integration)
            if found := self.clients.activation(integration):
                self.create_rolled_back(integration["id"])
                raise internal(found)
            return self.clients.ecr_authorization_erased(integration), stored

    def id_empty_on_create(self, integration: Integration) -> None:
        """Refuse a create that carries an id."""
        if integration["id"] != "":
            raise self.rules.refusal("id-empty-on-create")

    def scanner_v4_not_created(self, integration: Integration) -> None:
        """Refuse a create of type scannerv4."""
        if integration["type"] == "scannerv4":
            raise self.rules.refusal("scanner-v4-not-created")

    def google_not_created(self, integration: Integration) -> None:
        """Refuse a create of type google; stored ones can be updated."""
        if integration["type"] == "google":
            self.rules.refuse("google-not-created")

    def create_rolled_back(self, id: str) -> None:
        """Delete a new integration whose client cannot be built."""
        self.store.remove(id)

    # -- updating and testing -----------------------------------------------------------------

    def update(self, integration: Integration, *, update_password: bool) -> None:
        """UpdateImageIntegration (PATCH), and PutImageIntegration with `update_password` true."""
        was_free = self.as_deployed and self.store.id_of_name(integration["name"]) is None
        with self.store.lock:
            if was_free and self._is_race_lost(integration):
                raise Refusal("name-unique", 409, 6, database.START + database.DUPLICATE_NAME)
            self.validation.check(integration)
            integration = self._reconciled(integration, update_password=update_password)
            integration = self._valid_tested_sorted(integration)
            if integration["id"] == "" and "\0" not in integration["name"]:  # values are parsed before constraints
                raise self.database_error(database.NO_KEY)
            if wrong := database.name_error(integration["name"]):
                raise self.database_error(wrong)
            previous = self.store.get(integration["id"])
            self.store.put(integration)
            if found := self.clients.activation(integration):
                self.update_not_rolled_back(previous)
                raise internal(found)

    def test(self, integration: Integration | None, *, update_password: bool) -> None:
        """TestUpdatedImageIntegration, and TestImageIntegration with `update_password` true."""
        if integration is None:
            raise self.rules.refusal("integration-required")
        with self.store.lock:
            self.validation.check(integration)
            integration = self._reconciled(integration, update_password=update_password)
        if found := self._failed_test(integration):
            raise invalid_arguments(found)

    def update_not_rolled_back(self, previous: Stored | None) -> None:
        """Keep an update whose client cannot be built: `previous` is not restored."""

    def database_error(self, reason: str) -> Refusal:
        """pkg/grpc/errors/interceptor.go: an error of the database, whose text old releases show."""
        return self.rules.refusal("database-error", reason=reason)

    def _is_race_lost(self, integration: Integration) -> bool:
        """Return whether another request took the name meanwhile: Central does not lock between check and write."""
        try:
            self.validation.check(integration)
        except Refusal as refusal:
            return refusal.rule == "name-unique"
        return False

    def _valid_tested_sorted(self, integration: Integration) -> Integration:
        self.validation.check(integration)
        if not integration["skipTestIntegration"]:
            if found := self._failed_test(integration):
                raise invalid_arguments(found, times=2)
            integration = self.clients.ecr_authorization_erased(integration)
        return self.categories_sorted(integration)

    def categories_sorted(self, integration: Integration) -> Integration:
        """Return the integration with its categories sorted by their numbers; duplicates stay."""
        if len(integration["categories"]) < 2:
            return integration
        numbers: Mapping[Any, int] = self.contract.categories
        order = sorted(integration["categories"], key=lambda category: numbers.get(category, category))
        return {**integration, "categories": order}

    def _reconciled(self, integration: Integration, *, update_password: bool) -> Integration:
        stored: Integration | None = None
        if integration["id"] != "":
            found = self.store.get(integration["id"])
            if found is None:
                self.update_missing(integration["id"])
            else:
                self.scanner_v4_type_fixed(integration, found.integration)
                stored = self.azure_member_converted(integration, found.integration)
        if update_password:
            return integration
        return self.reconcile.with_stored(integration, stored)

    def update_missing(self, id: str) -> None:
        """Refuse a PUT, PATCH or test of an unknown id; the text quotes it."""
        raise self.rules.refusal("update-missing", id=quote(id))

    def scanner_v4_type_fixed(self, sent: Integration, stored: Integration) -> None:
        """Refuse a change of type to or from scannerv4."""
        if sent["type"] != stored["type"] and "scannerv4" in (sent["type"], stored["type"]):
            raise self.rules.refusal("scanner-v4-type-fixed")

    def azure_member_converted(self, sent: Integration, stored: Integration) -> Integration:
        """Return the stored integration with its docker member as an azure one, independent of its type."""
        if sent["type"] != "azure" or "azure" not in sent or "docker" not in stored:
            return stored
        docker = stored["docker"]
        azure = {name: docker[name] for name in ("endpoint", "username", "password")} | {"wifEnabled": False}
        return {name: value for name, value in stored.items() if name != "docker"} | {"azure": azure}

    # -- the registry test --------------------------------------------------------------------

    def health(self, integration: Integration) -> Problem | None:
        """Return the problem that a test of a stored integration would report now, without using up rules."""
        with self.registry_tests.network.only_looking():
            return self._failed_test(integration)

    def _failed_test(self, integration: Integration) -> Problem | None:
        """testImageIntegration: the problem of the first category that fails, in the order of the request."""
        builders: Mapping[object, tuple[str, Builder]] = {
            "REGISTRY": ("registry integration", self.clients.registry),
            "SCANNER": ("image scanner integration", self.clients.scanner),
            "NODE_SCANNER": ("node scanner integration", self.clients.node_scanner),
        }
        for category in integration["categories"]:
            if category not in builders:
                continue
            label, build = builders[category]
            if category == "NODE_SCANNER" and (unknown := self.clients.node_scanner_type_known(integration)):
                return Problem(unknown.rule, f"{label}: {unknown.text}")
            if found := build(integration) or self.registry_tests.registry_reachable(integration, category):
                # The client's error is wrapped once more than that of a type without a node scanner.
                return Problem(found.rule, f"{label}: {found.text}{INVALID}")
        return None

    # -- deleting -----------------------------------------------------------------------------

    def delete(self, id: str) -> None:
        """DeleteImageIntegration."""
        self.id_required(id)
        with self.store.lock:
            stored = self.store.get(id)
            if stored is None:
                self.delete_missing(id)
            else:
                self.scanner_v4_not_deleted(stored.integration)
            self.store.remove(id)

    def delete_missing(self, id: str) -> None:
        """central/integrationhealth/datastore/datastore_impl.go: the error is about the missing health record.

        The look-up of the record fails for an id with NUL or without UTF-8, which the database cannot store.
        """
        if _UNKNOWN_TO_DATABASE.search(id):
            text = (
                f"Error removing health for integration {_shown(id)}: failed to retrieve integration health {quote(id)}"
            )
            raise Refusal("database-error", 500, 13, text)
        raise self.rules.refusal("delete-missing", id=id, quoted=quote(id))

    def scanner_v4_not_deleted(self, stored: Integration) -> None:
        """Refuse to delete Scanner V4."""
        if stored["type"] == "scannerv4":
            raise self.rules.refusal("scanner-v4-not-deleted")
