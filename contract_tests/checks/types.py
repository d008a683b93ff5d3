"""Building clients: the rules of each type, with the test skipped (500) and tested (400)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from contract_tests.checks.registry import LONGER, check
from contract_tests.checks.validation import (
    FRESH,
    is_managed,
    left_alone,
    made,
    reads_as,
    updates,
)
from contract_tests.engine.central import Central, created_id
from contract_tests.engine.failures import CheckFailed, Skip
from contract_tests.engine.integrations import Body
from contract_tests.engine.transport import Reply
from mock_server.contract import tables as contracts

BOTH = ["REGISTRY", "SCANNER"]
NODE = ["NODE_SCANNER"]
ROBOT = {"username": "org+robot", "password": FRESH}
DATA = {"username": "AWS", "password": FRESH, "expiresAt": "2030-01-02T03:04:05Z"}
KEYLESS = {"accessKeyId": "", "secretAccessKey": ""}
DOCKER_TYPES = contracts.load().types_of("docker")

# Each rule with types and the changes that break it; the rest is an integration that Central takes.
Change = tuple[str, Mapping[str, Any]]
BROKEN: Mapping[str, list[Change]] = {
    "registry-type-known": [
        ("docker", {"type": "harbor"}),
        ("docker", {"type": "Docker"}),
        ("clair", {"categories": ["REGISTRY"]}),
        ("clairV4", {"categories": ["REGISTRY"]}),
        ("clairify", {"categories": ["REGISTRY"]}),
        ("clairV4", {"type": "scannerV4", "categories": ["REGISTRY"]}),
    ],
    "scanner-type-known": [
        *((type, {"categories": ["SCANNER"]}) for type in (*DOCKER_TYPES, "ecr", "artifactregistry", "azure", "ibm")),
        ("clair", {"type": "trivy"}),
        ("clairV4", {"type": "clairv4"}),
    ],
    "node-scanner-type-known": [
        *((type, {"categories": NODE}) for type in ("docker", "quay", "ecr", "ibm", "azure", "clair", "clairV4")),
        ("clairify", {"type": "harbor", "categories": NODE}),
    ],
    "docker-config-required": [
        *((type, {"docker": None}) for type in DOCKER_TYPES),
        ("quay", {"type": "docker"}),
        ("azure", {"type": "ghcr"}),
    ],
    "quay-config-required": [
        ("quay", {"quay": None}),
        ("docker", {"type": "quay"}),
        ("quay", {"quay": None, "categories": ["SCANNER"]}),
    ],
    "quay-endpoint-required": [
        ("quay", {"quay": {"endpoint": ""}}),
        ("quay", {"quay": {"endpoint": None}, "categories": ["SCANNER"]}),
        # The first that is wrong is told, and nothing else.
        ("quay", {"quay": {"endpoint": "", "registryRobotCredentials": ROBOT}}),
    ],
    "quay-scanner-without-robot": [
        ("quay", {"categories": ["SCANNER"], "quay": {"registryRobotCredentials": ROBOT}}),
        ("quay", {"categories": BOTH, "quay": {"oauthToken": "", "registryRobotCredentials": ROBOT}}),
        ("quay", {"categories": ["REGISTRY"] * 2, "quay": {"oauthToken": "", "registryRobotCredentials": ROBOT}}),
    ],
    "quay-one-credential": [("quay", {"quay": {"registryRobotCredentials": ROBOT}})],
    "quay-robot-complete": [
        *(
            ("quay", {"quay": {"oauthToken": "", "registryRobotCredentials": ROBOT | {name: ""}}})
            for name in ("username", "password")
        ),
        ("quay", {"quay": {"oauthToken": "", "registryRobotCredentials": {}}}),
        ("quay", {"categories": BOTH, "quay": {"registryRobotCredentials": ROBOT | {"password": ""}}}),
    ],
    "ecr-config-required": [("ecr", {"ecr": None}), ("docker", {"type": "ecr"})],
    "ecr-registry-id-required": [("ecr", {"ecr": {"registryId": ""}})],
    "ecr-authorization-username": [("ecr", {"ecr": KEYLESS | {"authorizationData": DATA | {"username": ""}}})],
    "ecr-authorization-password": [("ecr", {"ecr": KEYLESS | {"authorizationData": DATA | {"password": ""}}})],
    "ecr-authorization-expiry": [("ecr", {"ecr": KEYLESS | {"authorizationData": DATA | {"expiresAt": None}}})],
    "ecr-access-key-required": [("ecr", {"ecr": {"accessKeyId": ""}}), ("ecr", {"ecr": KEYLESS})],
    "ecr-secret-key-required": [("ecr", {"ecr": {"secretAccessKey": ""}}), ("ecr", {"ecr": KEYLESS})],
    "ecr-assume-role-no-endpoint": [("ecr", {"ecr": {"useAssumeRole": True}})],
    "ecr-assume-role-id-required": [("ecr", {"ecr": {"useAssumeRole": True, "endpoint": "", "assumeRoleId": ""}})],
    "ecr-region-required": [
        ("ecr", {"ecr": {"region": ""}}),
        ("ecr", {"ecr": KEYLESS | {"region": "", "authorizationData": DATA}}),
    ],
    "google-config-required": [("artifactregistry", {"google": None}), ("docker", {"type": "artifactregistry"})],
    "google-endpoint-required": [
        ("artifactregistry", {"google": {"endpoint": ""}}),
        ("artifactregistry", {"google": {"endpoint": "", "serviceAccount": "", "wifEnabled": True}}),
    ],
    "google-service-account-required": [("artifactregistry", {"google": {"serviceAccount": ""}})],
    "google-service-account-json": [
        ("artifactregistry", {"google": {"serviceAccount": "not json"}}),
        ("artifactregistry", {"google": {"serviceAccount": '{"project_id":"p"}'}}),
    ],
    "azure-config-required": [("azure", {"azure": None}), ("quay", {"type": "azure"})],
    "azure-endpoint-required": [
        ("azure", {"azure": {"endpoint": ""}}),
        ("docker", {"type": "azure", "docker": {"endpoint": ""}}),
    ],
    "azure-password-required": [
        ("azure", {"azure": {"password": ""}}),
        ("docker", {"type": "azure", "docker": {"password": ""}}),
    ],
    "ibm-config-required": [("ibm", {"ibm": None}), ("docker", {"type": "ibm"})],
    "ibm-endpoint-required": [("ibm", {"ibm": {"endpoint": ""}})],
    "ibm-api-key-required": [("ibm", {"ibm": {"apiKey": ""}})],
    "clair-config-required": [("clair", {"clair": None}), ("clairV4", {"type": "clair"})],
    "clair-endpoint-required": [("clair", {"clair": {"endpoint": ""}})],
    "clair-v4-config-required": [("clairV4", {"clairV4": None}), ("clair", {"type": "clairV4"})],
    "clair-v4-endpoint-required": [("clairV4", {"clairV4": {"endpoint": ""}})],
    "clairify-config-required": [("clairify", {"clairify": None}), ("clair", {"type": "clairify"})],
    "clairify-node-config-required": [("clairify", {"categories": NODE, "clairify": None})],
    "clairify-endpoint-required": [
        ("clairify", {"clairify": {"endpoint": ""}}),
        ("clairify", {"categories": NODE, "clairify": {"endpoint": ""}}),
    ],
}

# Nobody creates these: they are tested, and those of type google also put over an integration of the check's own.
NOT_CREATED: Mapping[str, Change] = {
    "google-scanner-config-required": ("google", {"google": None}),
    "google-scanner-endpoint-required": ("google", {"google": {"endpoint": ""}}),
    "google-scanner-service-account-required": ("google", {"google": {"serviceAccount": ""}}),
    "google-scanner-project-required": ("google", {"google": {"project": ""}}),
    "google-scanner-no-workload-identity": ("google", {"google": {"wifEnabled": True}}),
    "scanner-v4-config-required": ("scannerv4", {"scannerV4": None}),
    "scanner-v4-node-config-required": ("scannerv4", {"categories": NODE, "scannerV4": None}),
    "scanner-v4-indexer-address": ("scannerv4", {"scannerV4": {"indexerEndpoint": "indexer.example.com"}}),
    "scanner-v4-matcher-address": ("scannerv4", {"scannerV4": {"matcherEndpoint": "https://matcher.example.com:8443"}}),
}

LABELS = {
    "REGISTRY": "registry integration: ",
    "SCANNER": "image scanner integration: ",
    "NODE_SCANNER": "node scanner integration: ",
}


class Taken(NamedTuple):
    """A combination that looks wrong and is taken."""

    what: str
    like: str
    changes: Mapping[str, Any]


TAKEN = (
    Taken(
        "docker with an empty member",
        "docker",
        {"docker": dict.fromkeys(("endpoint", "username", "password", "insecure"))},
    ),
    Taken("docker with empty texts", "docker", {"docker": {"endpoint": "", "username": "", "password": ""}}),
    Taken("docker with a user name and no password", "ghcr", {"docker": {"password": ""}}),
    Taken("quay without credentials", "quay", {"quay": {"oauthToken": ""}}),
    Taken("a quay scanner without credentials", "quay", {"categories": ["SCANNER"], "quay": {"oauthToken": ""}}),
    Taken("quay with a robot account", "quay", {"quay": {"oauthToken": "", "registryRobotCredentials": ROBOT}}),
    Taken(
        "quay with both credentials for both categories",
        "quay",
        {"categories": BOTH, "quay": {"registryRobotCredentials": ROBOT}},
    ),
    Taken(
        "quay with both credentials and one category twice",
        "quay",
        {"categories": ["REGISTRY", "REGISTRY"], "quay": {"registryRobotCredentials": ROBOT}},
    ),
    Taken("quay without credentials for both categories", "quay", {"categories": BOTH, "quay": {"oauthToken": ""}}),
    Taken("ecr by IAM", "ecr", {"ecr": KEYLESS | {"useIam": True}}),
    Taken("ecr by an assumed role", "ecr", {"ecr": {"useAssumeRole": True, "endpoint": ""}}),
    Taken("ecr by authorization data", "ecr", {"ecr": KEYLESS | {"authorizationData": DATA}}),
    Taken(
        "ecr by authorization data with an endpoint and a role that is not used",
        "ecr",
        {"ecr": KEYLESS | {"authorizationData": DATA, "endpoint": "ecr.example.com", "assumeRoleId": ""}},
    ),
    Taken("ecr with a key and half of authorization data", "ecr", {"ecr": {"authorizationData": {"username": "AWS"}}}),
    Taken(
        "artifactregistry by workload identity",
        "artifactregistry",
        {"google": {"serviceAccount": "", "wifEnabled": True}},
    ),
    Taken("artifactregistry without a project", "artifactregistry", {"google": {"project": ""}}),
    Taken("azure by workload identity", "azure", {"azure": {"password": "", "wifEnabled": True}}),
    Taken("azure without a user name", "azure", {"azure": {"username": ""}}),
    Taken("azure with a docker member", "docker", {"type": "azure"}),
    Taken("clairify without the address of its gRPC port", "clairify", {"clairify": {"grpcEndpoint": ""}}),
    Taken("clairify as a node scanner", "clairify", {"categories": NODE}),
    Taken("clairify for both categories", "clairify", {"categories": ["SCANNER", "NODE_SCANNER"]}),
)


def text_of(central: Central, rule: str, body: Body) -> str:
    """Return the constant text of a build rule for an integration."""
    type = body["type"]
    shown = f'"{type}"' if rule in ("scanner-type-known", "node-scanner-type-known") else type
    return central.rules[rule].message.partition("{reason}")[0].format(type=shown)


def not_built(central: Central, reply: Reply, rule: str, body: Body, what: str) -> None:
    """See that an integration whose test was skipped was refused while it was put to use."""
    # A node scanner's client says what is wrong without a word before.
    start = "" if body["categories"][0] == "NODE_SCANNER" else "updating integration error"
    central.refused(reply, what, status=500, code=13, text=(start, text_of(central, rule, body)))


def not_tested(central: Central, reply: Reply, rule: str, body: Body, what: str) -> None:
    """See that a test was refused because the client cannot be built."""
    label = LABELS[body["categories"][0]]
    central.refused(reply, what, text=(label, text_of(central, rule, body)))


def _shown(changes: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value!r}" for name, value in changes.items())


def rule_of_a_type(rule: str) -> Callable[[Central], None]:
    """Make the check of a rule: it holds with the test skipped, and in a test."""

    def run(central: Central) -> None:
        known = [each for each in BROKEN[rule] if central.has(*each)]
        if not known:
            raise Skip(f"Central {central.version} has nothing that breaks the rule")
        for like, changes in central.some(known, 1, 3):
            central.control_of(like)
            for way in central.some(("create", "test"), 1):
                with central.case():
                    body = made(central, like, changes)
                    what = f"a {way} of type {body['type']} with {_shown(changes)}"
                    if way == "create":
                        not_built(central, central.create(body), rule, body, f"{what}, the test skipped,")
                    else:
                        not_tested(central, central.test(body), rule, body, what)

    return run


def rule_of_a_kept_type(rule: str) -> Callable[[Central], None]:
    """Make the check of a rule of a type that nobody creates."""

    def run(central: Central) -> None:
        like, changes = NOT_CREATED[rule]
        if not central.has(like, changes):
            raise Skip(f"Central {central.version} has nothing that breaks the rule")
        if like == "google":
            changes = {"categories": ["SCANNER"], **changes}
            central.control_of("artifactregistry")
        elif not central.quick:
            central.contactless_test(like)
        with central.case():
            body = made(central, like, changes)
            not_tested(central, central.test(body), rule, body, f"a test of type {like} with {_shown(changes)}")

    return run


for _rule in BROKEN:
    check(_rule, "rules", needs=("create",))(rule_of_a_type(_rule))
for _rule in NOT_CREATED:
    check(_rule, "rules", needs=("create",))(rule_of_a_kept_type(_rule))


@check(
    "build-rules-on-update",
    "rules",
    source="central/imageintegration/service/service_impl.go",
    needs=("create", "update-not-rolled-back"),
    profiles=LONGER,
    title="The rules of each type hold for updates, too",
)
def build_rules_on_update(central: Central) -> None:
    kept = {rule: (like, {"categories": ["SCANNER"], **changes}) for rule, (like, changes) in NOT_CREATED.items()}
    known = {rule: [each for each in broken if central.has(*each)] for rule, broken in BROKEN.items()}
    cases = {rule: central.random.choice(broken) for rule, broken in known.items() if broken and rule in central.rules}
    cases |= {rule: each for rule, each in kept.items() if central.has(*each) and rule in central.rules}
    with central.case():
        id, _ = central.created()
        for rule, (like, changes) in cases.items():
            if like != "scannerv4":
                with central.attempt():
                    body = made(central, like, changes)
                    reply = central.random.choice(updates(central))(id, body)
                    try:
                        not_built(central, reply, rule, body, f"an update to {body['type']} with {_shown(changes)}")
                    except CheckFailed as error:
                        error.check = rule  # that one's matter, if it does not hold at all
                        raise


@check("type-defined", "rules", needs=("create",))
def type_defined(central: Central) -> None:
    central.control_of("docker")
    with central.case():
        body = central.integration(type=central.random.choice(("", None)))
        central.refused_by(central.create(body), "type-defined", "a create without a type")
        if not central.quick:
            id, _ = central.created()
            for update in updates(central):
                central.refused_by(update(id, body), "type-defined", "an update without a type")
            text = "registry integration: " + central.text("registry-type-known", type="")
            central.refused(central.test(central.integration(type="")), "a test without a type", text=text)


@check("category-implemented", "rules", needs=("create",))
def category_implemented(central: Central) -> None:
    central.control_of("docker")
    lists: list[list[Any]] = [[7], ["REGISTRY", 7], ["REGISTRY", 1000]]
    with central.case():
        for categories in central.some(lists, 1):
            with central.attempt():
                text = "updating integration error: " + central.text("category-implemented", category=categories[-1])
                reply = central.create(central.integration(categories=categories))
                central.refused(reply, f"a create with the categories {categories}", status=500, code=13, text=text)
        if not central.quick:
            left_alone(central, {}, "creates with unknown categories")


@check(
    "first-category-tested",
    "rules",
    source="central/imageintegration/service/service_impl.go",
    title="A test tells the first category that fails, in the order they were sent",
)
def first_category_tested(central: Central) -> None:
    for order in (BOTH[::-1],) if central.quick else (BOTH, BOTH[::-1]):
        with central.case():
            reply = central.test(central.integration("quay", categories=order, quay={"endpoint": ""}))
            text = LABELS[order[0]] + central.text("quay-endpoint-required")
            central.refused(reply, f"a test of {order}", text=text)
    with central.case():
        # Scanner V4 passes without a contact; the other category does not.
        body = central.integration("scannerv4", categories=["SCANNER", "REGISTRY"])
        text = LABELS["REGISTRY"] + central.text("registry-type-known", type="scannerv4")
        central.refused(central.test(body), "a test whose second category fails", text=text)
    both: Body = {"categories": ["NODE_SCANNER", "SCANNER"], "clairify": None}
    if central.quick or not central.has("clairify", both):
        return
    with central.case():
        body = central.integration("clairify", **both)
        text = LABELS["NODE_SCANNER"] + central.text("clairify-node-config-required")
        central.refused(central.test(body), "a test of a node and image scanner", text=text)


@check(
    "all-categories-activated",
    "rules",
    source="pkg/images/integration/set_impl.go",
    needs=("create",),
    title="With the test skipped every category that fails is told",
)
def all_categories_activated(central: Central) -> None:
    if not central.quick:
        with central.case():
            reply = central.create(central.integration(categories=BOTH))
            text = "updating integration error: " + central.text("scanner-type-known", type='"docker"')
            central.refused(reply, "a create whose second category fails", status=500, code=13, text=text)
        with central.case():
            twice = ", ".join([central.text("quay-endpoint-required")] * 2)
            reply = central.create(central.integration("quay", categories=BOTH, quay={"endpoint": ""}))
            text = f"updating integration errors: [{twice}]"
            central.refused(reply, "a create that fails for both categories", status=500, code=13, text=text)
    with central.case():
        registry = central.text("registry-type-known", type="harbor")
        scanner = central.text("scanner-type-known", type='"harbor"')
        reply = central.create(central.integration(type="harbor", categories=BOTH[::-1]))
        text = f"updating integration errors: [{registry}, {scanner}]"
        central.refused(reply, "a create that fails for both categories", status=500, code=13, text=text)


@check(
    "missing-fields-listed",
    "rules",
    source="pkg/errorhelpers/format.go",
    needs=("create",),
    title="Fields that a client lacks are told in one list, in Central's order",
)
def missing_fields_listed(central: Central) -> None:
    lists: list[tuple[str, Body, str, list[str]]] = [
        ("ibm", {"ibm": {"endpoint": "", "apiKey": ""}}, "IBM Validation",
         ["ibm-endpoint-required", "ibm-api-key-required"]),
        ("ecr", {"ecr": KEYLESS | {"registryId": "", "region": ""}}, "ECR Validation",
         ["ecr-registry-id-required", "ecr-access-key-required", "ecr-secret-key-required", "ecr-region-required"]),
        ("ecr", {"ecr": KEYLESS | {"authorizationData": {}}}, "ECR Validation",
         ["ecr-authorization-username", "ecr-authorization-password", "ecr-authorization-expiry"]),
        ("ecr", {"ecr": {"useAssumeRole": True, "assumeRoleId": ""}}, "ECR Validation",
         ["ecr-assume-role-no-endpoint", "ecr-assume-role-id-required"]),
        ("azure", {"azure": {"endpoint": "", "password": ""}}, "azure container registry validation",
         ["azure-endpoint-required", "azure-password-required"]),
        ("artifactregistry", {"google": {"endpoint": "", "serviceAccount": ""}}, "Google Validation",
         ["google-endpoint-required", "google-service-account-required"]),
        ("clairV4", {"clairV4": None}, "Clair v4 Validation",
         ["clair-v4-config-required", "clair-v4-endpoint-required"]),
    ]  # fmt: skip
    for like, changes, start, rules in central.some(lists, 1):
        with central.case():
            body = made(central, like, changes)
            text = f"{start} errors: [{', '.join(central.text(rule) for rule in rules)}]"
            what = f"type {like} with {_shown(changes)}"
            if central.random.choice((True, False)):
                central.refused(central.create(body), f"a create of {what}", status=500, code=13, text=text)
            else:
                central.refused(central.test(body), f"a test of {what}", text=text)


@check(
    "empty-config",
    "rules",
    source="pkg/registries/docker/docker.go",
    needs=("create",),
    profiles=LONGER,
    title="A config member without a field is a member, and docker's needs no more",
)
def empty_config(central: Central) -> None:
    for type in central.some(DOCKER_TYPES, 1, 3):
        with central.case():
            body = central.integration(type) | {"docker": {}}
            reply = central.create(body)
            central.taken(reply, f"a create of type {type} with an empty docker member")
            reads_as(central, created_id(reply), body, f"type {type} with an empty docker member")


@check(
    "odd-combinations",
    "rules",
    source="pkg/registries, pkg/scanners",
    needs=("create",),
    title="Combinations that look wrong and are taken by Central",
)
def odd_combinations(central: Central) -> None:
    taken = [each for each in TAKEN if central.has(each.like, each.changes)]
    if central.quick:
        with central.case():
            id, _ = central.created()
            for what, like, changes in (taken[0], central.random.choice(taken[1:])):
                reply = central.put(id, made(central, like, changes))
                if not is_managed(central, reply):
                    central.taken(reply, f"PUT of {what}")
        return
    created = taken if central.options.profile == "deep" else central.random.sample(taken, 3)
    for what, like, changes in created:
        with central.case():
            body = made(central, like, changes)
            reply = central.create(body)
            if not is_managed(central, reply):
                central.taken(reply, f"a create of {what}")
                reads_as(central, created_id(reply), body, what)
    with central.case():
        id, _ = central.created()
        for what, like, changes in (each for each in taken if each not in created):
            reply = central.random.choice(updates(central))(id, made(central, like, changes))
            if not is_managed(central, reply):
                central.taken(reply, f"an update to {what}")


@check("ecr-authorization-erased", "rules", needs=("create",))
def ecr_authorization_erased(central: Central) -> None:
    # Each of these has the client use something else than authorization data.
    others: list[Body] = [
        {"accessKeyId": central.secret(), "secretAccessKey": central.secret()},
        KEYLESS | {"useIam": True},
        {"useAssumeRole": True, "endpoint": ""},
    ]
    for config in central.some(others, 1):
        with central.case():
            body = made(central, "ecr", {"ecr": config | {"authorizationData": DATA}})
            reply = central.create(body)
            if is_managed(central, reply):
                continue
            central.taken(reply, "a create with authorization data beside what it is not used with", need="create")
            ecr = reply.object.get("ecr")
            answered = ecr.get("authorizationData", "absent") if isinstance(ecr, dict) else ecr
            central.same(answered, None, "authorization data in the answer to a create")
            # It was taken out of the request after that had been stored.
            reads_as(central, created_id(reply), body, "what is stored")
    if central.quick:
        return
    with central.case():
        reply = central.test(central.integration("ecr", ecr={"region": "", "authorizationData": {}}))
        text = f"ECR Validation error: {central.text('ecr-region-required')}"
        central.refused(reply, "a test with a key, empty authorization data and no region", text=text)
    with central.case():
        reply = central.create(made(central, "ecr", {"ecr": KEYLESS | {"authorizationData": DATA}}))
        central.taken(reply, "a create with authorization data alone", need="odd-combinations")
        ecr = reply.object.get("ecr")
        kept = isinstance(ecr, dict) and ecr.get("authorizationData") is not None
        central.true(kept, "authorization data that is used stays in the answer to a create", got=ecr)


@check("registry-reachable", "rules", needs=("create",))
def registry_reachable(central: Central) -> None:
    if not central.options.allow_registry_tests:
        raise Skip("would have the target contact a registry; give --allow-registry-tests to let it")
    for like, endpoint, label in (
        ("docker", "registry.example.invalid", LABELS["REGISTRY"]),
        ("clair", "https://clair.example.invalid", LABELS["SCANNER"]),
    ):
        ways: list[tuple[str, Callable[[Body], Reply]]] = [
            ("a test", central.test),
            ("a create", central.create),
            ("/test/updated", partial(central.test_updated, update_password=True)),
        ]
        for what, send in ways:
            with central.case():
                body = central.integration(like, skipTestIntegration=False, **{like: {"endpoint": endpoint}})
                central.refused(send(body), f"{what} of a {like} that does not exist", text=label)
                left_alone(central, {}, f"{what} that failed")


@check(
    "test-passes",
    "rules",
    source="pkg/scanners/scannerv4/scannerv4.go",
    title="A test of type scannerv4 passes without contacting anything",
)
def test_passes(central: Central) -> None:
    with central.case():
        if not central.quick:
            central.contactless_test("scannerv4")
        odd: list[dict[str, Any]] = [{"categories": NODE}, {"scannerV4": {}}, {"skipTestIntegration": False}]
        for changes in central.some([each for each in odd if central.has("scannerv4", each)], 1):
            reply = central.test_updated(central.integration("scannerv4", **changes), update_password=True)
            central.taken(reply, "/test/updated of type scannerv4")
            central.same(reply.json, {}, "the answer to a test")


@check("azure-member-converted", "rules", needs=("create",))
def azure_member_converted(central: Central) -> None:
    for type in central.some(("docker", "azure", "nexus"), 1, 2):
        with central.case():
            id, sent = central.created("docker", type=type)
            if not central.quick:
                reads_as(central, id, sent, f"a docker member of type {type} as it was created")
            rest = {key: value for key, value in sent.items() if key != "docker"} | {"type": "azure"}
            azure = {name: sent["docker"][name] for name in ("endpoint", "username")} | {"password": "******"}
            dependent: tuple[tuple[str, Body], ...] = (
                ("Endpoint", {"endpoint": "other.example.com"}),
                ("WifEnabled", {"wifEnabled": True}),
            )
            for field, change in central.some(dependent, 1):
                with central.attempt():
                    path = f"ImageIntegration.ImageIntegration_Azure.AzureConfig.{field}"
                    text = central.text("reconcile-dependent-unchanged", field=path)
                    reply = central.patch(id, rest | {"azure": azure | change})
                    central.refused(reply, f"PATCH to an azure member with another {field}", text=text)
            if type != "azure":
                with central.attempt():
                    text = central.text("reconcile-same-member", sent="Azure", stored="Docker")
                    reply = central.patch(id, rest | {"azure": azure, "type": type})
                    central.refused(reply, f"PATCH of type {type} to an azure member", text=text)
            body = rest | {"azure": azure}
            central.taken(central.patch(id, body), "PATCH of a docker member to azure, the credential kept")
            reads_as(central, id, body, "after the conversion")
            if not central.quick:
                # azure needs a password: this fails where the stored one was lost on the way.
                central.taken(central.patch(id, body), "another PATCH with the credential kept")
            back = {key: value for key, value in sent.items() if key != "docker"}
            text = central.text("reconcile-same-member", sent="Docker", stored="Azure")
            reply = central.patch(id, back | {"docker": sent["docker"] | {"password": ""}})
            central.refused(reply, "PATCH back to the docker member", text=text)
    if central.quick:
        return
    with central.case():
        id, sent = central.created("azure")
        body = {key: value for key, value in sent.items() if key != "azure"} | central.integration(type="azure")
        central.taken(central.put(id, body), "PUT of type azure with a docker member")
        reads_as(central, id, body, "PUT converts nothing")
