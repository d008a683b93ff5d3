"""Building clients: the rules of each type, with the test skipped (500) and tested (400)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contract_tests.central import Central
from contract_tests.checks.validation import named
from contract_tests.integrations import Body, read_answer
from contract_tests.registry import check

BOTH = ["REGISTRY", "SCANNER"]
ROBOT = {"username": "org+robot", "password": "robot-password"}
DATA = {"username": "AWS", "password": "aws-password", "expiresAt": "2030-01-02T03:04:05Z"}
KEYLESS = {"accessKeyId": "", "secretAccessKey": ""}

# Rule, type, changes that break it. The rest of the integration is one that Central takes.
BROKEN: list[tuple[str, str, dict[str, Any]]] = [
    ("registry-type-known", "docker", {"type": "harbor"}),
    ("registry-type-known", "docker", {"type": "Docker"}),
    ("registry-type-known", "clair", {"categories": ["REGISTRY"]}),
    ("scanner-type-known", "docker", {"categories": ["SCANNER"]}),
    ("scanner-type-known", "clair", {"type": "trivy"}),
    ("node-scanner-type-known", "docker", {"categories": ["NODE_SCANNER"]}),
    ("node-scanner-type-known", "quay", {"categories": ["NODE_SCANNER"]}),
    ("docker-config-required", "docker", {"docker": None}),
    ("docker-config-required", "artifactory", {"docker": None}),
    ("docker-config-required", "nexus", {"docker": None}),
    ("docker-config-required", "rhel", {"docker": None}),
    ("docker-config-required", "ghcr", {"docker": None}),
    ("docker-config-required", "quay", {"type": "docker"}),
    ("quay-config-required", "quay", {"quay": None}),
    ("quay-config-required", "docker", {"type": "quay"}),
    ("quay-endpoint-required", "quay", {"quay": {"endpoint": ""}}),
    ("quay-scanner-without-robot", "quay", {"categories": ["SCANNER"], "quay": {"registryRobotCredentials": ROBOT}}),
    ("quay-scanner-without-robot", "quay",
     {"categories": BOTH, "quay": {"oauthToken": "", "registryRobotCredentials": ROBOT}}),
    ("quay-one-credential", "quay", {"quay": {"registryRobotCredentials": ROBOT}}),
    ("quay-robot-complete", "quay", {"quay": {"oauthToken": "", "registryRobotCredentials": ROBOT | {"password": ""}}}),
    ("quay-robot-complete", "quay", {"quay": {"oauthToken": "", "registryRobotCredentials": ROBOT | {"username": ""}}}),
    ("ecr-config-required", "ecr", {"ecr": None}),
    ("ecr-registry-id-required", "ecr", {"ecr": {"registryId": ""}}),
    ("ecr-authorization-username", "ecr", {"ecr": KEYLESS | {"authorizationData": DATA | {"username": ""}}}),
    ("ecr-authorization-password", "ecr", {"ecr": KEYLESS | {"authorizationData": DATA | {"password": ""}}}),
    ("ecr-authorization-expiry", "ecr", {"ecr": KEYLESS | {"authorizationData": DATA | {"expiresAt": None}}}),
    ("ecr-access-key-required", "ecr", {"ecr": {"accessKeyId": ""}}),
    ("ecr-secret-key-required", "ecr", {"ecr": {"secretAccessKey": ""}}),
    ("ecr-assume-role-no-endpoint", "ecr", {"ecr": {"useAssumeRole": True}}),
    ("ecr-assume-role-id-required", "ecr", {"ecr": {"useAssumeRole": True, "endpoint": "", "assumeRoleId": ""}}),
    ("ecr-region-required", "ecr", {"ecr": {"region": ""}}),
    ("google-config-required", "artifactregistry", {"google": None}),
    ("google-endpoint-required", "artifactregistry", {"google": {"endpoint": ""}}),
    ("google-service-account-required", "artifactregistry", {"google": {"serviceAccount": ""}}),
    ("google-service-account-json", "artifactregistry", {"google": {"serviceAccount": "not json"}}),
    ("google-service-account-json", "artifactregistry", {"google": {"serviceAccount": '{"project_id":"p"}'}}),
    ("azure-config-required", "azure", {"azure": None}),
    ("azure-endpoint-required", "azure", {"azure": {"endpoint": ""}}),
    ("azure-password-required", "azure", {"azure": {"password": ""}}),
    ("azure-password-required", "docker", {"type": "azure", "docker": {"password": ""}}),
    ("ibm-config-required", "ibm", {"ibm": None}),
    ("ibm-endpoint-required", "ibm", {"ibm": {"endpoint": ""}}),
    ("ibm-api-key-required", "ibm", {"ibm": {"apiKey": ""}}),
    ("clair-config-required", "clair", {"clair": None}),
    ("clair-endpoint-required", "clair", {"clair": {"endpoint": ""}}),
    ("clair-v4-config-required", "clairV4", {"clairV4": None}),
    ("clair-v4-endpoint-required", "clairV4", {"clairV4": {"endpoint": ""}}),
    ("clairify-config-required", "clairify", {"clairify": None}),
    ("clairify-node-config-required", "clairify", {"categories": ["NODE_SCANNER"], "clairify": None}),
    ("clairify-endpoint-required", "clairify", {"clairify": {"endpoint": ""}}),
]  # fmt: skip

# What cannot be created is only tested.
TESTED_ONLY: list[tuple[str, str, dict[str, Any]]] = [
    ("google-scanner-config-required", "google", {"categories": ["SCANNER"], "google": None}),
    ("google-scanner-endpoint-required", "google", {"categories": ["SCANNER"], "google": {"endpoint": ""}}),
    (
        "google-scanner-service-account-required",
        "google",
        {"categories": ["SCANNER"], "google": {"serviceAccount": ""}},
    ),
    ("google-scanner-project-required", "google", {"categories": ["SCANNER"], "google": {"project": ""}}),
    ("google-scanner-no-workload-identity", "google", {"categories": ["SCANNER"], "google": {"wifEnabled": True}}),
    ("scanner-v4-config-required", "scannerv4", {"scannerV4": None}),
    ("scanner-v4-node-config-required", "scannerv4", {"categories": ["NODE_SCANNER"], "scannerV4": None}),
]

# Combinations that look wrong and are taken.
TAKEN: list[tuple[str, str, dict[str, Any]]] = [
    ("a docker member with nothing in it", "docker", {"docker": {"endpoint": "", "username": "", "password": ""}}),
    ("quay without credentials", "quay", {"quay": {"oauthToken": ""}}),
    ("quay with a robot account", "quay", {"quay": {"oauthToken": "", "registryRobotCredentials": ROBOT}}),
    ("quay with both credentials for both categories", "quay",
     {"categories": BOTH, "quay": {"registryRobotCredentials": ROBOT}}),
    ("ecr by IAM", "ecr", {"ecr": KEYLESS | {"useIam": True}}),
    ("ecr by an assumed role", "ecr", {"ecr": {"useAssumeRole": True, "endpoint": ""}}),
    ("ecr by authorization data", "ecr", {"ecr": KEYLESS | {"authorizationData": DATA}}),
    ("artifactregistry by workload identity", "artifactregistry",
     {"google": {"serviceAccount": "", "wifEnabled": True}}),
    ("artifactregistry without a project", "artifactregistry", {"google": {"project": ""}}),
    ("azure by workload identity", "azure", {"azure": {"password": "", "wifEnabled": True}}),
    ("azure with a docker member", "docker", {"type": "azure"}),
    ("clairify for both categories", "clairify", {"categories": ["SCANNER", "NODE_SCANNER"]}),
]  # fmt: skip


def text_of(central: Central, rule: str, body: Body) -> str:
    """Give the constant text of a build rule for an integration."""
    type = body["type"]
    shown = f'"{type}"' if rule in ("scanner-type-known", "node-scanner-type-known") else type
    template = central.rules[rule].message
    return template.partition("{reason}")[0].format(type=shown)


def build_rule(rule: str) -> Callable[[Central], None]:
    """Make the check of one rule."""

    def run(central: Central) -> None:
        broken = [(type, changes) for each, type, changes in BROKEN if each == rule]
        for type, changes in central.some(broken, 1):
            central.control_of(type)
            with central.case():
                body = central.integration(type, **changes)
                text = text_of(central, rule, body)
                reply = central.create(body)
                central.refused(reply, "a create with the test skipped", status=500, code=13, text=text)
                if central.options.profile != "quick":
                    reply = central.test(body | {"name": central.name()})
                    central.refused(reply, "a test", status=400, text=text)
        for type, changes in [(type, changes) for each, type, changes in TESTED_ONLY if each == rule]:
            with central.case():
                body = central.integration(type, **changes)
                reply = central.test(body)
                central.refused(reply, "a test", status=400, text=text_of(central, rule, body))

    return run


for _rule in dict.fromkeys(rule for rule, _, _ in (*BROKEN, *TESTED_ONLY)):
    check(_rule, "rules", needs=("create",))(build_rule(_rule))


@check("category-implemented", "rules", needs=("create",))
def category_implemented(central: Central) -> None:
    with central.case():
        body = central.integration(categories=[7])
        text = central.text("category-implemented", category=7)
        central.refused(central.create(body), "a create with category number 7", status=500, code=13, text=text)
        central.same(named(central, body["name"]), [], "after the refusal")


@check("type-defined", "rules", needs=("create",))
def type_defined(central: Central) -> None:
    with central.case():
        body = central.integration(type="")
        central.refused_by(central.create(body), "type-defined", "a create without a type")


@check(
    "first-category-tested", "rules", title="A test tells the first category that fails, in the order they were sent"
)
def first_category_tested(central: Central) -> None:
    for order, label in ((["SCANNER", "REGISTRY"], "image scanner integration: "), (BOTH, "registry integration: ")):
        reply = central.test(central.integration("quay", categories=order, quay={"endpoint": ""}))
        text = label + central.text("quay-endpoint-required")
        central.refused(reply, f"a test of {order}", text=text)
    reply = central.test(central.integration(categories=["NODE_SCANNER"]))
    central.refused(reply, "a test of a node scanner", text="node scanner integration: ")


@check(
    "all-categories-activated",
    "rules",
    needs=("create",),
    title="With the test skipped every category that fails is told",
)
def all_categories_activated(central: Central) -> None:
    with central.case():
        reply = central.create(central.integration(type="harbor", categories=BOTH))
        text = "updating integration errors: [registry with type 'harbor' does not exist, scanner with type \"harbor\""
        central.refused(reply, "a create that fails for both categories", status=500, code=13, text=text)


@check("odd-combinations", "rules", needs=("create",), title="Combinations that look wrong and are taken by Central")
def odd_combinations(central: Central) -> None:
    for what, type, changes in central.some(TAKEN, 4):
        with central.case():
            body = central.integration(type, **changes)
            reply = central.create(body)
            central.taken(reply, what)
            id = str(reply.object.get("id"))
            central.same(central.get(id).json, read_answer(central.contract, body, id), what)


@check("ecr-authorization-erased", "rules", needs=("create",))
def ecr_authorization_erased(central: Central) -> None:
    with central.case():
        body = central.integration("ecr", ecr={"authorizationData": DATA})
        reply = central.create(body)
        central.taken(reply, "a create with a key and authorization data", need="create")
        answered = reply.object.get("ecr", {})
        central.same(answered.get("authorizationData", "absent"), None, "authorization data in the answer to a create")


@check("registry-reachable", "rules", needs=("create",))
def registry_reachable(central: Central) -> None:
    central.contactless_test("scannerv4")
    if central.options.allow_registry_tests:
        with central.case():
            reply = central.test(central.integration(docker={"endpoint": "registry.example.invalid"}))
            central.refused(reply, "a test of a registry that does not exist", text="registry integration: ")


@check("azure-member-converted", "rules", needs=("create",))
def azure_member_converted(central: Central) -> None:
    with central.case():
        id, sent = central.created("docker", type="azure")
        docker = sent["docker"]
        azure = {"endpoint": docker["endpoint"], "username": docker["username"], "password": "******"}
        body = {key: value for key, value in sent.items() if key != "docker"} | {"azure": azure}
        central.taken(central.patch(id, body), "PATCH of a docker member to azure, the credential kept")
        central.same(central.get(id).json, read_answer(central.contract, body, id), "after the conversion")
        # azure needs a password, so this only works when the stored one was taken over.
        central.taken(central.patch(id, body), "another PATCH with the credential kept")
        back = {key: value for key, value in sent.items() if key != "docker"} | {"docker": docker | {"password": ""}}
        text = central.text("reconcile-same-member", sent="Docker", stored="Azure")
        central.refused(central.patch(id, back), "PATCH back to the docker member", text=text)
