"""Central's rules for each type, which it checks by building the clients of an integration.

Central builds a registry or scanner client for each category, first to test the integration and then to use it. It does
not check the fields of a type or its config member before. Each builder below is the constructor of the same name in
pkg/registries, pkg/scanners and central/enrichment; it returns the first problem.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from mock_server.central.errors import Problem, Refusal, Rules, listed
from mock_server.central.integration import Config, Integration
from mock_server.central.registry_tests import scanner_target
from mock_server.central.releases import Build
from mock_server.contract.tables import Contract
from mock_server.golang import addr as goaddr
from mock_server.golang import google_credentials, grpc
from mock_server.golang import json as gojson
from mock_server.golang.text import quote

Builder = Callable[[Integration], Problem | None]

_NIL_POINTER = "runtime error: invalid memory address or nil pointer dereference"
"""The text of a panic, which Central answers (pkg/grpc/recovery.go)."""


class Clients:
    """The factories of one Central."""

    def __init__(self, contract: Contract, build: Build) -> None:
        self.contract = contract
        self.rules = Rules(contract)
        self.build = build
        google = partial(self._with_config, "google", "google-config-required", self.google)
        docker_family = dict.fromkeys(contract.types_of("docker"), self.docker_config_required)
        self.registries: Mapping[str, Builder] = docker_family | {
            "quay": self.quay,
            "ecr": self.ecr,
            "artifactregistry": google,
            "google": google,
            "azure": self.azure,
            "ibm": partial(self._with_config, "ibm", "ibm-config-required", self.ibm),
        }
        self.scanners: Mapping[str, Builder] = {
            "quay": self.quay,
            "google": partial(self._with_config, "google", "google-scanner-config-required", self.google_scanner),
            "clair": partial(self._with_config, "clair", "clair-config-required", self.clair),
            "clairV4": self.clair_v4,
            "clairify": partial(self._with_config, "clairify", "clairify-config-required", self.clairify),
            "scannerv4": partial(self._with_config, "scannerV4", "scanner-v4-config-required", self.scanner_v4),
        }
        self.node_scanners: Mapping[str, Builder] = {
            "clairify": partial(self._with_config, "clairify", "clairify-node-config-required", self.clairify),
            "scannerv4": partial(self._with_config, "scannerV4", "scanner-v4-node-config-required", self.scanner_v4),
        }

    def problem_if(self, wrong: bool, rule: str, **values: object) -> Problem | None:
        """Return the problem of a rule if `wrong` and the release has the rule, else None."""
        return self.rules.problem(rule, **values) if wrong else None

    def _with_config(
        self, member: str, rule: str, build: Callable[[Config], Problem | None], integration: Integration
    ) -> Problem | None:
        """Build a client from a config member; without it return the problem of `rule`."""
        config = integration.get(member)
        return self.problem_if(True, rule) if config is None else build(config)

    def _listed(self, start: str, *found: Problem | None) -> Problem | None:
        problems = list(filter(None, found))
        return listed(start, problems) if problems else None

    # -- factories: pkg/registries/factory_impl.go, pkg/scanners/factory_impl.go ------------

    def registry(self, integration: Integration) -> Problem | None:
        """Build the registry client."""
        build = self.registries.get(integration["type"])
        return build(integration) if build else self.registry_type_known(integration)

    def scanner(self, integration: Integration) -> Problem | None:
        """Build the image scanner client."""
        build = self.scanners.get(integration["type"])
        return build(integration) if build else self.scanner_type_known(integration)

    def node_scanner(self, integration: Integration) -> Problem | None:
        """Build the node scanner client of a type that has one."""
        build = self.node_scanners.get(integration["type"])
        return build(integration) if build else None

    def registry_type_known(self, integration: Integration) -> Problem | None:
        """pkg/registries/factory_impl.go."""
        return self.rules.problem("registry-type-known", type=integration["type"])

    def scanner_type_known(self, integration: Integration) -> Problem | None:
        """pkg/scanners/factory_impl.go."""
        return self.rules.problem("scanner-type-known", type=quote(integration["type"]))

    def node_scanner_type_known(self, integration: Integration) -> Problem | None:
        """central/enrichment/integration.go: checked before a node scanner is built, so the error has one wrap less."""
        unknown = integration["type"] not in self.node_scanners
        return self.problem_if(unknown, "node-scanner-type-known", type=quote(integration["type"]))

    # -- registries -------------------------------------------------------------------------

    def docker_config_required(self, integration: Integration) -> Problem | None:
        """pkg/registries/docker/docker.go; no field is required."""
        return None if "docker" in integration else self.problem_if(True, "docker-config-required")

    def quay(self, integration: Integration) -> Problem | None:
        """pkg/registries/quay/quay.go; the scanner builds this client first."""
        config = integration.get("quay")
        if config is None:
            return self.problem_if(True, "quay-config-required")
        checks = (
            self.quay_endpoint_required,
            self.quay_scanner_without_robot,
            self.quay_one_credential,
            self.quay_robot_complete,
        )
        return next((found for check in checks if (found := check(config, integration["categories"]))), None)

    def quay_endpoint_required(self, quay: Config, _categories: list[str]) -> Problem | None:
        """pkg/registries/quay/quay.go."""
        return self.problem_if(quay["endpoint"] == "", "quay-endpoint-required")

    def quay_scanner_without_robot(self, quay: Config, categories: list[str]) -> Problem | None:
        """pkg/registries/quay/quay.go: a scanner cannot use a robot, nor can both categories without a token."""
        robot = quay["registryRobotCredentials"] is not None
        if categories == ["SCANNER"]:
            wrong = robot
        else:
            wrong = categories != ["REGISTRY"] and robot and quay["oauthToken"] == ""
        return self.problem_if(wrong, "quay-scanner-without-robot")

    def quay_one_credential(self, quay: Config, categories: list[str]) -> Problem | None:
        """pkg/registries/quay/quay.go: exactly one category, and that is REGISTRY."""
        robot = quay["registryRobotCredentials"] is not None
        wrong = categories == ["REGISTRY"] and robot and quay["oauthToken"] != ""
        return self.problem_if(wrong, "quay-one-credential")

    def quay_robot_complete(self, quay: Config, _categories: list[str]) -> Problem | None:
        """pkg/registries/quay/quay.go."""
        robot = quay["registryRobotCredentials"]
        wrong = robot is not None and (robot["username"] == "" or robot["password"] == "")
        return self.problem_if(wrong, "quay-robot-complete")

    def ecr(self, integration: Integration) -> Problem | None:
        """pkg/registries/ecr/ecr.go, sanitizeConfiguration."""
        integration = self.ecr_authorization_erased(integration)
        ecr = integration.get("ecr")
        if ecr is None:
            return self.problem_if(True, "ecr-config-required")
        data = ecr["authorizationData"]
        if data is not None:
            access = [
                self.problem_if(data["username"] == "", "ecr-authorization-username"),
                self.problem_if(data["password"] == "", "ecr-authorization-password"),
                self.problem_if(data["expiresAt"] is None, "ecr-authorization-expiry"),
            ]
        else:
            keys, role = not ecr["useIam"], ecr["useAssumeRole"]
            access = [
                self.problem_if(keys and ecr["accessKeyId"] == "", "ecr-access-key-required"),
                self.problem_if(keys and ecr["secretAccessKey"] == "", "ecr-secret-key-required"),
                self.problem_if(role and ecr["endpoint"] != "", "ecr-assume-role-no-endpoint"),
                self.problem_if(role and ecr["assumeRoleId"] == "", "ecr-assume-role-id-required"),
            ]
        return self._listed(
            "ECR Validation",
            self.problem_if(ecr["registryId"] == "", "ecr-registry-id-required"),
            *access,
            self.problem_if(ecr["region"] == "", "ecr-region-required"),
        )

    def ecr_authorization_erased(self, integration: Integration) -> Integration:
        """pkg/registries/ecr/ecr.go: return the integration without authorization data.

        Building the client removes them from the request.
        """
        ecr = integration.get("ecr")
        if ecr is None or integration["type"] != "ecr" or "REGISTRY" not in integration["categories"]:
            return integration
        if ecr["useIam"] or ecr["accessKeyId"] or ecr["secretAccessKey"] or ecr["useAssumeRole"]:
            return {**integration, "ecr": {**ecr, "authorizationData": None}}
        return integration

    def google(self, google: Config) -> Problem | None:
        """pkg/registries/google/google.go."""
        keyless = google["wifEnabled"]
        missing = self._listed(
            "Google Validation",
            self.problem_if(google["endpoint"] == "", "google-endpoint-required"),
            self.problem_if(not keyless and google["serviceAccount"] == "", "google-service-account-required"),
        )
        if missing or keyless:
            return missing
        return self.google_service_account_json(google["serviceAccount"])

    def google_service_account_json(self, account: str) -> Problem | None:
        """golang.org/x/oauth2 google: the error of reading the credentials; keys are not checked.

        Raises:
            Refusal: a client-id file of Google's console is accepted, but Central panics when it requests a token; an
                integration that is stored by then stays.
        """
        text = account.encode("utf-8", "surrogatepass")
        try:
            if google_credentials.is_client_file(text):
                raise Refusal("google-client-file", 500, 13, _NIL_POINTER)
            reason = google_credentials.error(text)
        except gojson.JsonSyntaxError as error:
            reason = str(error)
        return self.problem_if(reason is not None, "google-service-account-json", reason=reason)

    def azure(self, integration: Integration) -> Problem | None:
        """pkg/registries/azure/azure.go; a docker member is accepted, too."""
        config = integration.get("azure") or integration.get("docker")
        if config is None:
            found = self.problem_if(True, "azure-config-required")
        else:
            keyless = config.get("wifEnabled", False)
            found = self._listed(
                "azure container registry validation",
                self.problem_if(config["endpoint"] == "", "azure-endpoint-required"),
                self.problem_if(not keyless and config["password"] == "", "azure-password-required"),
            )
        if found is None:
            return None
        return Problem(found.rule, f"getting Azure container registry configuration: {found.text}")

    def ibm(self, ibm: Config) -> Problem | None:
        """pkg/registries/ibm/ibm.go."""
        return self._listed(
            "IBM Validation",
            self.problem_if(ibm["endpoint"] == "", "ibm-endpoint-required"),
            self.problem_if(ibm["apiKey"] == "", "ibm-api-key-required"),
        )

    # -- scanners ---------------------------------------------------------------------------

    def google_scanner(self, google: Config) -> Problem | None:
        """pkg/scanners/google/google.go."""
        missing = self._listed(
            "Google Validation",
            self.problem_if(google["endpoint"] == "", "google-scanner-endpoint-required"),
            self.problem_if(google["serviceAccount"] == "", "google-scanner-service-account-required"),
            self.problem_if(google["project"] == "", "google-scanner-project-required"),
            self.problem_if(google["wifEnabled"], "google-scanner-no-workload-identity"),
        )
        if missing or google["serviceAccount"] == "":
            return missing
        return self.google_scanner_account(google["serviceAccount"])

    def google_scanner_account(self, account: str) -> Problem | None:
        """cloud.google.com/go/auth: the whole account is checked, including its key; the error has no prefix."""
        try:
            text = account.encode("utf-8", "surrogatepass")
            reason = google_credentials.scanner_error(text, any_signer=self.build.any_signer)
        except gojson.JsonSyntaxError as error:
            reason = str(error)
        return None if reason is None else Problem("google-service-account-json", reason)

    def clair(self, clair: Config) -> Problem | None:
        """pkg/scanners/clair/clair.go."""
        return self._listed("Clair Validation", self.problem_if(clair["endpoint"] == "", "clair-endpoint-required"))

    def clair_v4(self, integration: Integration) -> Problem | None:
        """pkg/scanners/clairv4/clairv4.go: without the member the endpoint is missing, too."""
        clair = integration.get("clairV4")
        return self._listed(
            "Clair v4 Validation",
            self.problem_if(clair is None, "clair-v4-config-required"),
            self.problem_if(clair is None or clair["endpoint"] == "", "clair-v4-endpoint-required"),
        )

    def clairify(self, clairify: Config) -> Problem | None:
        """pkg/scanners/clairify/clairify.go."""
        missing = self.problem_if(clairify["endpoint"] == "", "clairify-endpoint-required")
        return missing or self.clairify_target(clairify)

    def clairify_target(self, clairify: Config) -> Problem | None:
        """pkg/scanners/clairify/clairify.go, createGRPCConnectionToScanner."""
        start = "failed to make gRPC connection to Scanner: "
        return self._dialled("clairify-grpc-target", scanner_target(clairify, ""), start=start)

    def _dialled(self, rule: str, *targets: str, start: str = "") -> Problem | None:
        """google.golang.org/grpc Dial: the error of the first invalid target."""
        try:
            for each in targets:
                grpc.target(each, self.build.urls)
        except grpc.TargetError as error:
            return Problem(rule, f"{start}{error}")
        return None

    def scanner_v4(self, scanner: Config) -> Problem | None:
        """pkg/scanners/scannerv4/scannerv4.go."""
        indexer, matcher = scanner["indexerEndpoint"], scanner["matcherEndpoint"]
        return (
            self._address("scanner-v4-indexer-address", indexer)
            or self._address("scanner-v4-matcher-address", matcher)
            or self._dialled("scanner-v4-grpc-target", *(f"dns:///{each}" for each in (indexer, matcher) if each))
        )

    def _address(self, rule: str, address: str) -> Problem | None:
        """pkg/scannerv4/client/options.go; an empty address means Central's own scanner."""
        reason = goaddr.host_port_error(address) if address else None
        return self.problem_if(reason is not None, rule, reason=f"address {address}: {reason}")

    # -- activation: pkg/images/integration/set_impl.go, central/enrichment ----------------

    def category_implemented(self, category: object) -> Problem | None:
        """pkg/images/integration/set_impl.go."""
        known = category in self.contract.categories
        return self.problem_if(not known, "category-implemented", category=category)

    def type_defined(self, integration: Integration) -> Problem | None:
        """pkg/images/integration/set_impl.go."""
        return None if integration["type"] else self.problem_if(True, "type-defined")

    def activation(self, integration: Integration) -> Problem | None:
        """Return why an integration cannot be used, as in the text of the 500."""
        if found := self.type_defined(integration):
            return found
        builders: Mapping[object, Builder] = {"REGISTRY": self.registry, "SCANNER": self.scanner}
        failures = []
        for category in integration["categories"]:
            build = builders.get(category)
            if failure := build(integration) if build else self.category_implemented(category):
                failures.append(failure)
        if failures:
            return listed("updating integration", failures)
        if "NODE_SCANNER" not in integration["categories"]:
            return None
        return self.node_scanner_type_known(integration) or self.node_scanner(integration)
