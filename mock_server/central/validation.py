"""Common validation of create, update and test, for integrations of all types.

The problems are collected in Central's order (``validateIntegration`` in
central/imageintegration/service/service_impl.go).
"""

from __future__ import annotations

from mock_server.central.errors import Problem, Rules, invalid_arguments, listed
from mock_server.central.integration import Integration
from mock_server.central.releases import Build
from mock_server.central.store import Store
from mock_server.contract.tables import Contract, Message
from mock_server.golang import url as gourl
from mock_server.golang.text import quote


def config_member(message: Message, integration: Integration) -> str | None:
    """Return the name of the config member that is set, or None."""
    return next((field.name for field in message.members if field.name in integration), None)


class Validation:
    """The common rules of one Central."""

    def __init__(self, contract: Contract, store: Store, build: Build, *, managed: bool) -> None:
        """`managed`: simulate the managed service, where ECR cannot use the container's IAM role."""
        self.contract = contract
        self.rules = Rules(contract)
        self.store = store
        self.build = build
        self.managed = managed
        self._endpoints = {
            member.name: [field.name for field in member.message.fields if field.validate == "nolocalendpoint"]
            for member in contract.integration.members
            if member.message is not None
        }

    def check(self, integration: Integration) -> None:
        """Raise the refusal that lists all problems, if there are any."""
        found = (
            self.endpoint(integration),
            self.category_required(integration),
            self.ecr_iam_managed(integration) if self.managed else None,
            # Central does not look up an empty name.
            self.name_required(integration) or self.name_unique(integration),
        )
        if problems := list(filter(None, found)):
            raise invalid_arguments(listed("Validation", problems))

    def endpoint(self, integration: Integration) -> Problem | None:
        """Return the first problem of the endpoints of the member that is set, independent of the type."""
        for member, endpoints in self._endpoints.items():
            if member in integration:
                for endpoint in endpoints:
                    if found := self._endpoint(integration[member][endpoint]):
                        return found
        return None

    def _endpoint(self, endpoint: str) -> Problem | None:
        # Central removes one "http://" and then one "https://", in this order.
        bare = endpoint.removeprefix("http://").removeprefix("https://")
        try:
            host = gourl.host_name("http://" + bare, self.build.urls)
        except gourl.UrlError as error:
            return self.endpoint_parses(*error.args)
        kind = gourl.forbidden_host(host, wide=self.build.wide_endpoint_check)
        if endpoint == "" or kind is None:
            return None
        return self.endpoint_not_local() if kind == "loopback" else self.endpoint_not_metadata()

    def endpoint_parses(self, url: str, reason: str) -> Problem | None:
        """pkg/endpoints/validate.go: the endpoint after ``http://`` is not a URL."""
        return self.rules.problem("endpoint-parses", url=url, reason=reason)

    def endpoint_not_local(self) -> Problem | None:
        """pkg/endpoints/validate.go: the host is Central itself."""
        return self.rules.problem("endpoint-not-local")

    def endpoint_not_metadata(self) -> Problem | None:
        """pkg/endpoints/validate.go: the host serves credentials of the cluster."""
        return self.rules.problem("endpoint-not-metadata")

    def category_required(self, integration: Integration) -> Problem | None:
        """central/imageintegration/service/service_impl.go."""
        return None if integration["categories"] else self.rules.problem("category-required")

    def ecr_iam_managed(self, integration: Integration) -> Problem | None:
        """central/imageintegration/service/service_impl.go, validateIAMRoleCapability."""
        uses_iam = "ecr" in integration and integration["ecr"]["useIam"]
        return self.rules.problem("ecr-iam-managed") if uses_iam else None

    def name_required(self, integration: Integration) -> Problem | None:
        """central/imageintegration/service/service_impl.go."""
        return None if integration["name"] else self.rules.problem("name-required")

    def name_unique(self, integration: Integration) -> Problem | None:
        """central/imageintegration/service/service_impl.go: compared exactly, not trimmed."""
        owner = self.store.id_of_name(integration["name"])
        if owner is None or owner == integration["id"]:
            return None
        return self.rules.problem("name-unique", name=quote(integration["name"]))
