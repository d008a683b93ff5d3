"""Building clients: the rules of each type, which answer 400 in a test and 500 when the client is used."""

from typing import Any

import pytest

from mock_server.contract import tables as contracts
from mock_server.tests.conftest import Api, docker, example
from mock_server.tests.google_accounts import service_account

CONTRACT = contracts.load()
DOCKER_FAMILY = CONTRACT.types_of("docker")
IA = ": invalid arguments"
LABELS = {
    "REGISTRY": "registry integration",
    "SCANNER": "image scanner integration",
    "NODE_SCANNER": "node scanner integration",
}
KEY = '{"type":"service_account"}'
ROBOT = {"username": "u", "password": "p"}
ECR = {"registryId": "1", "region": "r", "accessKeyId": "a", "secretAccessKey": "s"}
GCR = "Endpoint must be specified for Google registry (e.g. gcr.io, us.gcr.io, eu.gcr.io)"
GCA = "Endpoint must be specified for Google Container Analysis (e.g. gcr.io, us.gcr.io, eu.gcr.io)"
ACCOUNT = "Service account must be specified for Google "
AZURE = "getting Azure container registry configuration: "
AZURE_LIST = AZURE + "azure container registry validation error"
AZURE_ENDPOINT = "endpoint must be specified for Azure container registry (e.g. <registry>.azurecr.io)"
AZURE_PASSWORD = "password or workload identity must be specified for Azure container registry"
ROBOT_SCANS = "Quay scanner integration cannot use robot credentials"
BOTH = "REGISTRY SCANNER"
RESOLVER = "failed to exit idle mode: failed to start resolver: "


def ecr(**changes: Any) -> dict[str, Any]:
    return {"ecr": ECR | changes}


# fmt: off
BROKEN = [
    ("registry-type-known", "clair", "REGISTRY", {"clair": {}}, "registry with type 'clair' does not exist"),
    ("scanner-type-known", "docker", "SCANNER", {"docker": {}}, 'scanner with type "docker" does not exist'),
    *(("docker-config-required", type, "REGISTRY", {}, "Docker configuration required")
      for type in DOCKER_FAMILY),
    ("docker-config-required", "docker", "REGISTRY", {"quay": {"endpoint": "q"}}, "Docker configuration required"),
    ("quay-config-required", "quay", "REGISTRY", {}, "Quay config must be specified"),
    ("quay-endpoint-required", "quay", "SCANNER", {"quay": {"oauthToken": "t"}}, "Quay endpoint must be specified"),
    ("quay-scanner-without-robot", "quay", "SCANNER",
     {"quay": {"endpoint": "q", "oauthToken": "t", "registryRobotCredentials": ROBOT}}, ROBOT_SCANS),
    ("quay-scanner-without-robot", "quay", "REGISTRY REGISTRY",
     {"quay": {"endpoint": "q", "registryRobotCredentials": ROBOT}}, ROBOT_SCANS),
    ("quay-one-credential", "quay", "REGISTRY",
     {"quay": {"endpoint": "q", "oauthToken": "t", "registryRobotCredentials": ROBOT}},
     "Quay registry integration should use robot credentials or OAuth token but not both"),
    *(("quay-robot-complete", "quay", "REGISTRY", {"quay": {"endpoint": "q", "registryRobotCredentials": robot}},
       "Both username and password must be provided when using Quay robot credentials")
      for robot in ({}, {"username": "u"}, {"password": "p"})),
    ("ecr-config-required", "ecr", "REGISTRY", {}, "ECR configuration required"),
    ("ecr-registry-id-required", "ecr", "REGISTRY", ecr(registryId=""),
     "ECR Validation error: Registry ID must be specified"),
    ("ecr-access-key-required", "ecr", "REGISTRY", ecr(accessKeyId=""),
     "ECR Validation error: Access Key ID must be specified if not using IAM"),
    ("ecr-secret-key-required", "ecr", "REGISTRY", ecr(secretAccessKey=""),
     "ECR Validation error: Secret Access Key must be specified if not using IAM"),
    ("ecr-assume-role-no-endpoint", "ecr", "REGISTRY", ecr(useAssumeRole=True, assumeRoleId="x", endpoint="e"),
     "ECR Validation error: AssumeRole cannot be done with an endpoint defined"),
    ("ecr-assume-role-id-required", "ecr", "REGISTRY", ecr(useAssumeRole=True),
     "ECR Validation error: AssumeRole ID must be set to use AssumeRole"),
    ("ecr-region-required", "ecr", "REGISTRY", ecr(region=""), "ECR Validation error: Region must be specified"),
    ("ecr-authorization-username", "ecr", "REGISTRY",
     {"ecr": {"authorizationData": {"password": "p", "expiresAt": "2030-01-02T03:04:05Z"}, "registryId": "1",
              "region": "r"}},
     "ECR Validation error: Username must be specified in authorization data."),
    ("ecr-authorization-password", "ecr", "REGISTRY",
     {"ecr": {"authorizationData": {"username": "u", "expiresAt": "2030-01-02T03:04:05Z"}, "registryId": "1",
              "region": "r"}},
     "ECR Validation error: Password must be specified in authorization data."),
    ("ecr-authorization-expiry", "ecr", "REGISTRY",
     {"ecr": {"authorizationData": ROBOT, "registryId": "1", "region": "r"}},
     "ECR Validation error: Expires At must be specified in authorization data."),
    ("ecr-registry-id-required", "ecr", "REGISTRY", {"ecr": {"useAssumeRole": True, "endpoint": "e"}},
     ("ECR Validation errors: [Registry ID must be specified, Access Key ID must be specified if not using IAM, "
      "Secret Access Key must be specified if not using IAM, AssumeRole cannot be done with an endpoint defined, "
      "AssumeRole ID must be set to use AssumeRole, Region must be specified]")),
    *(("google-config-required", type, "REGISTRY", {}, "Google configuration required")
      for type in ("artifactregistry", "google")),
    ("google-endpoint-required", "artifactregistry", "REGISTRY", {"google": {"wifEnabled": True}},
     f"Google Validation error: {GCR}"),
    ("google-service-account-required", "artifactregistry", "REGISTRY", {"google": {"endpoint": "g"}},
     f"Google Validation error: {ACCOUNT}registry"),
    ("google-endpoint-required", "google", "REGISTRY", {"google": {}},
     f"Google Validation errors: [{GCR}, {ACCOUNT}registry]"),
    *(("google-service-account-json", "artifactregistry", "REGISTRY",
       {"google": {"endpoint": "g", "serviceAccount": account}}, f"failed to create token source: {reason}")
      for account, reason in (
          ("not JSON", "invalid character 'o' in literal null (expecting 'u')"),
          ("{", "unexpected end of JSON input"),
          ("{}", "missing 'type' field in credentials"),
          ('{"type":"x"}', 'unknown credential type: "x"'),
          (f'{{"x":{"[" * 5000}{"]" * 5000}}}', "missing 'type' field in credentials"),
          ("[]", "json: cannot unmarshal array into Go value of type google.credentialsFile"),
          ('{"type":5}', "json: cannot unmarshal number into Go struct field credentialsFile.type of type string"),
          ('{"type":"external_account"}', "oauth2/google/externalaccount: Audience must be set"),
      )),
    ("google-scanner-config-required", "google", "SCANNER", {}, "Google Container Analysis configuration required"),
    ("google-scanner-endpoint-required", "google", "SCANNER", {"google": {"serviceAccount": KEY, "project": "p"}},
     f"Google Validation error: {GCA}"),
    ("google-scanner-service-account-required", "google", "SCANNER", {"google": {"endpoint": "g", "project": "p"}},
     f"Google Validation error: {ACCOUNT}Container Analysis"),
    ("google-scanner-project-required", "google", "SCANNER", {"google": {"endpoint": "g", "serviceAccount": KEY}},
     "Google Validation error: ProjectID must be specified for Google Container Analysis"),
    ("google-scanner-no-workload-identity", "google", "SCANNER",
     {"google": {"endpoint": "g", "serviceAccount": KEY, "project": "p", "wifEnabled": True}},
     "Google Validation error: Workload identities are not supported for Scanner integrations"),
    ("azure-config-required", "azure", "REGISTRY", {},
     f"{AZURE}azure container registry or docker configuration required"),
    *(("azure-endpoint-required", "azure", "REGISTRY", {member: {"password": "p"}}, f"{AZURE_LIST}: {AZURE_ENDPOINT}")
      for member in ("azure", "docker")),
    *(("azure-password-required", "azure", "REGISTRY", {member: {"endpoint": "a"}}, f"{AZURE_LIST}: {AZURE_PASSWORD}")
      for member in ("azure", "docker")),
    ("azure-endpoint-required", "azure", "REGISTRY", {"azure": {}},
     f"{AZURE_LIST}s: [{AZURE_ENDPOINT}, {AZURE_PASSWORD}]"),
    ("ibm-config-required", "ibm", "REGISTRY", {}, "IBM configuration required"),
    ("ibm-endpoint-required", "ibm", "REGISTRY", {"ibm": {"apiKey": "k"}},
     "IBM Validation error: Endpoint must be specified for IBM registry (e.g. us.icr.io)"),
    ("ibm-api-key-required", "ibm", "REGISTRY", {"ibm": {"endpoint": "i"}},
     "IBM Validation error: IAM API Key must be specified for IBM registry"),
    ("clair-config-required", "clair", "SCANNER", {}, "Clair configuration required"),
    ("clair-endpoint-required", "clair", "SCANNER", {"clair": {}},
     "Clair Validation error: Endpoint must be specified"),
    ("clair-v4-config-required", "clairV4", "SCANNER", {},
     "Clair v4 Validation errors: [configuration required, endpoint must be specified]"),
    ("clair-v4-endpoint-required", "clairV4", "SCANNER", {"clairV4": {}},
     "Clair v4 Validation error: endpoint must be specified"),
    ("clairify-config-required", "clairify", "SCANNER", {}, "Clairify configuration required"),
    ("clairify-node-config-required", "clairify", "NODE_SCANNER", {}, "scanner configuration required"),
    *(("clairify-endpoint-required", "clairify", category, {"clairify": {}},
       "endpoint parameter must be defined for Clairify") for category in ("SCANNER", "NODE_SCANNER")),
    *(("clairify-grpc-target", "clairify", category, {"clairify": {"endpoint": "c", "grpcEndpoint": "dns:///i:"}},
       f"failed to make gRPC connection to Scanner: {RESOLVER}dns resolver: missing port after port-separator colon")
      for category in ("SCANNER", "NODE_SCANNER")),
    ("scanner-v4-config-required", "scannerv4", "SCANNER", {}, "scanner V4 configuration required"),
    ("scanner-v4-node-config-required", "scannerv4", "NODE_SCANNER", {}, "scanner v4 configuration required"),
    *(("scanner-v4-indexer-address", "scannerv4", category, {"scannerV4": {"indexerEndpoint": address}},
       f"invalid indexer address (want [host]:port): address {address}: {reason}")
      for category in ("SCANNER", "NODE_SCANNER")
      for address, reason in (
          ("indexer", "missing port in address"),
          ("https://indexer:1", "too many colons in address"),
          ("[::1]", "missing port in address"),
          ("[::1", "missing ']' in address"),
          ("[::1]x:1", "missing port in address"),
          ("[::1]::1", "too many colons in address"),
          ("a[b:1", "unexpected '[' in address"),
          ("[a]]:1", "missing port in address"),
          ("a]b:1", "unexpected ']' in address"),
      )),
    ("scanner-v4-matcher-address", "scannerv4", "SCANNER", {"scannerV4": {"matcherEndpoint": " "}},
     "invalid matcher address (want [host]:port): address  : missing port in address"),
    ("scanner-v4-indexer-address", "scannerv4", "SCANNER",
     {"scannerV4": {"indexerEndpoint": "a", "matcherEndpoint": "b"}},
     "invalid indexer address (want [host]:port): address a: missing port in address"),
    *(("scanner-v4-grpc-target", "scannerv4", category, {"scannerV4": member}, reason)
      for category in ("SCANNER", "NODE_SCANNER")
      for member, reason in (
          ({"indexerEndpoint": "i:"}, f"{RESOLVER}dns resolver: missing port after port-separator colon"),
          ({"matcherEndpoint": "?x:80"}, f"{RESOLVER}dns resolver: missing address"),
          ({"indexerEndpoint": "i:1", "matcherEndpoint": "a%zz:80"},
           'parse "passthrough:///dns:///a%zz:80": invalid URL escape "%zz"'),
      )),
]
# fmt: on
CASES = [pytest.param(*each, id=f"{each[0]}-{index}") for index, each in enumerate(BROKEN)]
SCANNER_V4 = "a87471e6-9678-4e66-8348-91e302b6de07"
OTHER = "10d3b4dc-8295-41bc-bb50-6da5484cdb1a"


@pytest.mark.parametrize(("rule", "type", "categories", "member", "text"), CASES)
def test_a_broken_rule_is_400_when_tested_and_500_when_the_test_is_skipped(rule, type, categories, member, text):
    """Use PUT, which also accepts the types that cannot be created."""
    api = Api()
    id = SCANNER_V4 if type == "scannerv4" else OTHER
    sent = {"id": id, "name": "n", "type": type, "categories": categories.split(), **member}
    label = LABELS[sent["categories"][0]]
    for answer, suffixes in ((api.test(sent), 2), (api.put(id, sent), 3)):
        assert (answer.status, answer.rule, answer.message) == (400, rule, f"{label}: {text}{IA * suffixes}")
    skipped = api.put(id, {**sent, "skipTestIntegration": True})
    start = "" if categories == "NODE_SCANNER" else "updating integration error: "
    if len(sent["categories"]) > 1:
        start, text = "updating integration errors: ", f"[{text}, {text}]"
    assert (skipped.status, skipped.json["code"], skipped.rule, skipped.message) == (500, 13, rule, start + text)


def test_every_rule_of_a_type_has_a_broken_example_here():
    rules = {rule.id for rule in CONTRACT.rules.values() if rule.kind == "build"}
    elsewhere = {"registry-reachable", "node-scanner-type-known", "category-implemented"}
    assert rules - {each[0] for each in BROKEN} == elsewhere


WORKING: list[tuple[str, str, dict[str, Any]]] = [
    *((type, "REGISTRY", {"docker": {"endpoint": "d"}}) for type in DOCKER_FAMILY),
    ("quay", BOTH, {"quay": {"endpoint": "q"}}),
    ("quay", "REGISTRY", {"quay": {"endpoint": "q", "registryRobotCredentials": ROBOT}}),
    ("quay", BOTH, {"quay": {"endpoint": "q", "oauthToken": "t", "registryRobotCredentials": ROBOT}}),
    ("quay", "REGISTRY REGISTRY", {"quay": {"endpoint": "q", "oauthToken": "t", "registryRobotCredentials": ROBOT}}),
    ("ecr", "REGISTRY", ecr()),
    ("ecr", "REGISTRY", {"ecr": {"registryId": "1", "region": "r", "useIam": True}}),
    ("ecr", "REGISTRY", ecr(useAssumeRole=True, assumeRoleId="x")),
    (
        "ecr",
        "REGISTRY",
        {
            "ecr": {
                "registryId": "1",
                "region": "r",
                "authorizationData": ROBOT | {"expiresAt": "2030-01-02T03:04:05Z"},
            }
        },
    ),
    ("artifactregistry", "REGISTRY", {"google": {"endpoint": "g", "serviceAccount": service_account()}}),
    ("artifactregistry", "REGISTRY", {"google": {"endpoint": "g", "wifEnabled": True}}),
    ("google", BOTH, {"google": {"endpoint": "g", "serviceAccount": service_account(), "project": "p"}}),
    ("azure", "REGISTRY", {"azure": {"endpoint": "a", "password": "p"}}),
    ("azure", "REGISTRY", {"azure": {"endpoint": "a", "wifEnabled": True}}),
    ("azure", "REGISTRY", {"docker": {"endpoint": "a", "password": "p"}}),
    ("ibm", "REGISTRY", {"ibm": {"endpoint": "i", "apiKey": "k"}}),
    ("clair", "SCANNER", {"clair": {"endpoint": "c"}}),
    ("clairV4", "SCANNER", {"clairV4": {"endpoint": "c"}}),
    ("clairify", "SCANNER NODE_SCANNER", {"clairify": {"endpoint": "c"}}),
    ("scannerv4", "SCANNER NODE_SCANNER", {"scannerV4": {}}),
    ("scannerv4", "SCANNER NODE_SCANNER", {"scannerV4": {"indexerEndpoint": "i:1", "matcherEndpoint": "[::1]:x"}}),
]


@pytest.mark.parametrize(
    ("type", "categories", "member"), [pytest.param(*each, id=f"{each[0]}-{i}") for i, each in enumerate(WORKING)]
)
def test_the_minimal_integration_of_each_type_is_accepted(type, categories, member):
    api = Api()
    id = SCANNER_V4 if type == "scannerv4" else OTHER
    sent = {"id": id, "name": "n", "type": type, "categories": categories.split(), **member}
    for answer in (api.test(sent), api.put(id, sent), api.put(id, sent | {"skipTestIntegration": True})):
        assert (answer.status, answer.json) == (200, {})


@pytest.mark.parametrize("type", DOCKER_FAMILY)
def test_the_docker_family_needs_only_a_host_to_test(type):
    api = Api()
    sent = {"name": "n", "type": type, "categories": ["REGISTRY"], "docker": {}}
    assert "no Host in request URL" in api.create(sent).message
    assert api.create(sent | {"skipTestIntegration": True}).status == 200


def test_every_type_and_category_of_the_contract_works():
    listed = {(each.type, category) for each in CONTRACT.types.values() for category in each.categories}
    assert {(type, category) for type, categories, _ in WORKING for category in categories.split()} == listed


@pytest.mark.parametrize(
    "type", [each.type for each in CONTRACT.types.values() if "NODE_SCANNER" not in each.categories]
)
def test_a_type_without_a_node_scanner_is_reported_with_one_wrap_less(type):
    api = Api(central_version="4.11")
    sent = example(type, categories=["NODE_SCANNER"], skipTestIntegration=False)
    text = f'unsupported integration type: "{type}".'
    label = LABELS["NODE_SCANNER"]
    assert api.test(sent).message == f"{label}: {text}{IA}"
    assert api.create(sent).message == f"{label}: {text}{IA * 2}"
    assert api.create(sent | {"skipTestIntegration": True}).message == text


def test_an_unknown_type_is_named_as_it_was_sent(api):
    sent = docker(type='har"bor', categories=["REGISTRY", "SCANNER"])
    texts = "registry with type 'har\"bor' does not exist", 'scanner with type "har\\"bor" does not exist'
    assert api.test(sent).message == f"registry integration: {texts[0]}{IA * 2}"
    assert api.create(sent).message == f"updating integration errors: [{', '.join(texts)}]"


def test_an_empty_type_is_reported_before_anything_else_when_the_test_is_skipped(api):
    answer = api.create(docker(type="", categories=["REGISTRY", 7]))
    assert (answer.status, answer.message) == (500, "Validation error: Source type must be defined")


def test_an_unknown_category_number_passes_the_test_and_fails_when_its_client_is_built(api):
    sent = docker(categories=[7])
    assert api.test(sent).json == {}
    answer = api.create(sent)
    assert (answer.status, answer.message) == (
        500,
        'updating integration error: source category "7" has not been implemented',
    )


def test_the_first_category_that_fails_is_reported_in_the_order_of_the_request(api):
    sent = {"name": "n", "type": "no-such-registry", "categories": ["SCANNER", "REGISTRY"]}
    assert api.test(sent).message.startswith("image scanner integration: scanner with type")
    skipped = api.create(sent | {"skipTestIntegration": True})
    assert skipped.message.startswith("updating integration errors: [registry with type")


def test_a_node_scanner_is_built_after_the_others(api):
    """An earlier failure hides its error."""
    sent = docker(categories=["NODE_SCANNER", "SCANNER"])
    assert api.create(sent).rule == "scanner-type-known"
    assert api.create(docker(categories=["NODE_SCANNER", "REGISTRY"])).rule == "node-scanner-type-known"


# -- authorization data ------------------------------------------------------------------------------

DATA = ROBOT | {"expiresAt": "2030-01-02T03:04:05Z"}


@pytest.mark.parametrize(
    "used",
    [
        pytest.param({"accessKeyId": "a", "secretAccessKey": "s"}, id="keys"),
        pytest.param({"useIam": True}, id="IAM"),
        pytest.param({"useIam": True, "useAssumeRole": True, "assumeRoleId": "x"}, id="AssumeRole"),
    ],
)
def test_authorization_data_is_erased_if_other_credentials_are_used(used):
    sent = example("ecr", ecr={"registryId": "1", "region": "r", "authorizationData": DATA, **used})
    api = Api(as_deployed=True)
    skipped = api.create(sent).json
    assert skipped["ecr"]["authorizationData"] is None
    assert api.stored(skipped["id"])["ecr"]["authorizationData"] == DATA
    tested = api.create(sent | {"name": "tested", "skipTestIntegration": False}).json
    assert api.stored(tested["id"])["ecr"]["authorizationData"] is None


def test_authorization_data_is_kept_if_it_is_used(api):
    sent = example("ecr", ecr={"registryId": "1", "region": "r", "authorizationData": DATA})
    assert api.create(sent).json["ecr"]["authorizationData"]["expiresAt"] == DATA["expiresAt"]


def test_another_type_keeps_the_authorization_data_of_its_ecr_member(api):
    """Only an ECR client erases it."""
    ecr = example("ecr")["ecr"] | {"authorizationData": DATA}
    api.put(OTHER, {"name": "n", "type": "docker", "categories": ["REGISTRY"], "ecr": ecr, "skipTestIntegration": True})
    assert api.stored(OTHER)["ecr"]["authorizationData"] == DATA


@pytest.mark.parametrize(
    ("categories", "kept"), [(["REGISTRY"], False), (["NODE_SCANNER", "SCANNER"], True), ([], True)]
)
def test_only_building_a_registry_client_erases_the_authorization_data(api, categories, kept):
    sent = {**ecr(authorizationData={"username": "AWS"}, useIam=True, useAssumeRole=False), "type": "ecr"}
    built = api.central.clients.ecr_authorization_erased({**sent, "categories": categories})
    assert (built["ecr"]["authorizationData"] is not None) == kept
