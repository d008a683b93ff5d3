"""A refusal of each rule, and uses of stored credentials."""

from collections.abc import Iterator
from typing import Any

from . import names
from .conversation import Ask, Group, Json, ask
from .examples import KNOWN, KNOWN_NAME, MEMBERS, NOBODY, SECOND, configured, integration, tested

C = names.COLLECTION
SCANNER = {"categories": ["SCANNER"]}
BOTH = {"categories": ["REGISTRY", "SCANNER"]}
NODE = {"categories": ["NODE_SCANNER"]}
MASK = "******"
CREDENTIALS = ("password", "serviceAccount", "apiKey", "secretAccessKey", "accessKeyId")

ENDPOINTS = [
    *("localhost", "127.0.0.1:5000", "https://localhost/x", "[::1]", "169.254.169.254", "metadata.google.internal"),
    *(
        "a b",
        "%zz",
        "[::1",
        "host:port",
        "fe80::1",
        "",
        "http://",
        "ftp://a",
        "http://https://localhost",
        "é.example.com",
    ),
]

DATA = {"username": "u", "password": "p", "expiresAt": "2030-01-01T00:00:00Z"}

REFUSED: list[tuple[str, Json]] = [
    ("id-empty-on-create", integration(id=NOBODY)),
    ("scanner-v4-not-created", integration("scannerv4")),
    ("google-not-created", integration("google")),
    ("category-required", integration(categories=[])),
    ("category-required", integration(categories=None)),
    ("category-required", integration(categories=["BOGUS"])),
    ("category-implemented", integration(categories=[7])),
    ("category-implemented", integration(categories=["REGISTRY", -1])),
    ("name-required", integration(name="")),
    ("name-required", integration(name=None)),
    ("name-unique", integration(name=KNOWN_NAME)),
    ("several", integration(name=KNOWN_NAME, categories=[], docker={"endpoint": "localhost"})),
    ("type-defined", integration(type="")),
    ("type-defined", integration(type=None)),
    ("registry-type-known", integration(type="bogus")),
    ("registry-type-known", integration(type='b"ogus', categories=["REGISTRY", "SCANNER", "NODE_SCANNER"])),
    ("scanner-type-known", integration(type="bogus", **SCANNER)),
    ("scanner-type-known", integration(**SCANNER)),
    ("node-scanner-type-known", integration(**NODE)),
    ("node-scanner-type-known", integration(type="bogus", **NODE)),
    ("docker-config-required", integration(docker=None)),
    ("quay-config-required", integration("quay", quay=None)),
    ("quay-endpoint-required", configured("quay", endpoint="")),
    ("quay-scanner-without-robot", configured("quay") | SCANNER),
    ("quay-scanner-without-robot", configured("quay") | BOTH),
    ("quay-one-credential", configured("quay", oauthToken="t")),
    ("quay-robot-complete", configured("quay", registryRobotCredentials={"username": "r"})),
    ("quay-robot-complete", configured("quay", registryRobotCredentials={})),
    ("ecr-config-required", integration("ecr", ecr=None)),
    ("ecr-registry-id-required", configured("ecr", registryId="")),
    ("ecr-region-required", configured("ecr", region="")),
    ("ecr-access-key-required", configured("ecr", accessKeyId="")),
    ("ecr-secret-key-required", configured("ecr", secretAccessKey="")),
    ("ecr-assume-role-no-endpoint", configured("ecr", useAssumeRole=True, assumeRoleId="r")),
    ("ecr-assume-role-id-required", configured("ecr", useAssumeRole=True, endpoint="")),
    ("ecr-authorization", integration("ecr", ecr={"authorizationData": {}})),
    *(
        (
            "ecr-authorization",
            integration("ecr", ecr={"registryId": "1", "region": "r", "authorizationData": {**DATA, key: value}}),
        )
        for key, value in (("username", ""), ("password", ""), ("expiresAt", None))
    ),
    ("everything of ecr", integration("ecr", ecr={})),
    ("google-config-required", integration("artifactregistry", google=None)),
    ("google-endpoint-required", configured("artifactregistry", endpoint="")),
    ("google-service-account-required", configured("artifactregistry", serviceAccount="")),
    *(
        ("google-service-account-json", configured("artifactregistry", serviceAccount=text))
        for text in ("x", "{", "[]", "{}", '{"type":"bogus"}', '{"type":1}', '{"type":"external_account"}')
    ),
    *(
        (f"google-scanner-{rule}", configured("google", **changes) | SCANNER)
        for rule, changes in (
            ("endpoint-required", {"endpoint": ""}),
            ("service-account-required", {"serviceAccount": ""}),
            ("project-required", {"project": ""}),
            ("no-workload-identity", {"wifEnabled": True}),
        )
    ),
    ("google-scanner-config-required", integration("google", google=None) | SCANNER),
    ("azure-config-required", integration("azure", azure=None)),
    ("azure-endpoint-required", configured("azure", endpoint="")),
    ("azure-password-required", configured("azure", password="")),
    ("azure in docker", integration("azure", azure=None, docker={"endpoint": "a.example.com"})),
    ("ibm-config-required", integration("ibm", ibm=None)),
    ("ibm-endpoint-required", configured("ibm", endpoint="")),
    ("ibm-api-key-required", configured("ibm", apiKey="")),
    ("clair-config-required", integration("clair", clair=None)),
    ("clair-endpoint-required", configured("clair", endpoint="")),
    ("clair-v4-config-required", integration("clairV4", clairV4=None)),
    ("clair-v4-endpoint-required", configured("clairV4", endpoint="")),
    ("clairify-config-required", integration("clairify", clairify=None)),
    ("clairify-node-config-required", integration("clairify", clairify=None) | NODE),
    ("clairify-endpoint-required", configured("clairify", endpoint="")),
    ("scanner-v4-config-required", integration("scannerv4", scannerV4=None)),
    ("scanner-v4-node-config-required", integration("scannerv4", scannerV4=None) | NODE),
    ("scanner-v4-indexer-address", configured("scannerv4", indexerEndpoint="a")),
    ("scanner-v4-matcher-address", configured("scannerv4", matcherEndpoint="a:b:c")),
    ("registry-reachable", tested(configured("docker", endpoint="r.invalid"))),
    ("registry-reachable", tested(configured("quay", endpoint="unauthorized.example.com"))),
]
"""What create and test refuse, by the rule that is meant."""

MALFORMED: list[tuple[str, bytes]] = [
    ("body-truncated", b"{"),
    ("body-truncated", b'{"name":"a'),
    ("body-truncated", b"[1"),
    ("body-syntax", b"{x}"),
    ("body-syntax", b"{'name':1}"),
    ("body-syntax", b'{"name":"a",}'),
    ("body-syntax", b"nul"),
    ("body-syntax", b'{"name":01}'),
    ("body-syntax", b'{"name":"\x01"}'),
    ("unexpected-token", b"[]"),
    ("unexpected-token", b"1"),
    ("unexpected-token", b'{"categories":{}}'),
    ("unexpected-token", b'{"docker":[]}'),
    ("unexpected-token", b'{\n "docker":\n  true}'),
    ("string-encoding", b'{"name":"\xff"}'),
    ("string-encoding", b'{"name":"\\ud800"}'),
    ("string-encoding", b'{"\xff":1}'),
    ("extension-name", b'{"[storage.ImageIntegration]":1}'),
    ("extension-name", b'{"[storage.Nobody]":1}'),
    ("extension-name", b'{"[google.protobuf.Timestamp]":1}'),
    ("duplicate-field", b'{"name":"a","name":"b"}'),
    ("duplicate-field", b'{"clusterId":"a","cluster_id":"b"}'),
    ("one-config-member", b'{"docker":{},"quay":{}}'),
    ("one-config-member", b'{"docker":{},"quay":null}'),
    ("field-value", b'{"name":1}'),
    ("field-value", b'{"autogenerated":"true"}'),
    ("field-value", b'{"clairify":{"numConcurrentScans":1.5}}'),
    ("field-value", b'{"clairify":{"numConcurrentScans":99999999999}}'),
    ("field-value", b'{"categories":[true]}'),
    ("field-value", b'{"categories":"REGISTRY"}'),
    ("field-value", b'{"docker":{"password":1}}'),
    ("timestamp-format", b'{"ecr":{"authorizationData":{"expiresAt":"tomorrow"}}}'),
    ("timestamp-format", b'{"ecr":{"authorizationData":{"expiresAt":"2030-13-01T00:00:00Z"}}}'),
    ("timestamp-range", b'{"ecr":{"authorizationData":{"expiresAt":"0000-01-01T00:00:00Z"}}}'),
    ("nesting-depth", b'{"x":' + b"[" * 10_001),
    ("unknown-field-dropped", b'{"bogus":{"a":[1]},"docker":{"bogus":1}}'),
    ("both-spellings", b'{"skip_test_integration":true,"cluster_id":"a"}'),
    ("null-is-absent", b'{"name":null,"docker":null,"categories":null}'),
    ("trailing-data-ignored", b"{} and more"),
    ("number-forms", b'{"clairify":{"numConcurrentScans":"1e1"},"categories":["1",0]}'),
]
"""Bodies that are not what they should be, and some that are taken although they look it."""

QUERIES = ("name=a&name=b", "name=%zz", "name.x=a", "a;b")


def _update(config: Json | None, **more: Any) -> Json:
    return {"config": config, **more}


def _refused() -> Iterator[Ask]:
    for at, (rule, sent) in enumerate(REFUSED):
        yield ask("POST", C, sent, note=rule)
        if at % 5 == 0 or rule.startswith(("scanner-v4", "google-scanner")):  # these are never created
            yield ask("POST", f"{C}/test", sent, note=rule)
    for text in ENDPOINTS:
        yield ask("POST", f"{C}/test", configured("clair", endpoint=text), note="endpoint")
    for path in (f"{C}/", f"{C}/{NOBODY}"):
        yield ask("GET", path)
        yield ask("DELETE", path)
        yield ask("PUT", path, integration())
        yield ask("PATCH", path, _update(integration(), updatePassword=True))
        yield ask("PATCH", path, _update(integration()))
    yield ask("PUT", f"{C}/", integration(name=""), note="validated first")
    yield ask("PATCH", f"{C}/{KNOWN}", {}, note="an update of nothing")
    for query in QUERIES:
        yield ask("GET", f"{C}?{query}")


def _malformed() -> Iterator[Ask]:
    for rule, body in MALFORMED:
        yield ask("POST", C, body, note=rule)
        yield ask("PATCH", f"{C}/{KNOWN}", b'{"config":%s}' % body, note=rule)
    for text in (
        "2030-01-01T00:00:00Z",
        "2030-01-01T01:00:00.5+01:00",
        "9999-12-31T23:59:59.999999999Z",
        "0001-01-01T00:00:00Z",
    ):
        data = {"username": "u", "password": "p", "expiresAt": text}
        sent = integration(
            "ecr", name=f"expires {text}", ecr={"registryId": "1", "region": "r", "authorizationData": data}
        )
        yield ask("POST", C, sent, note="timestamp-normalised")


def _stored() -> Iterator[Ask]:
    """Yield the life of an integration of each config member: changed with masked credentials, tested, deleted."""
    for type in ("docker", "quay", "ecr", "artifactregistry", "azure", "ibm", "clairify"):
        ((member, config),) = MEMBERS[type].items()
        masked = {key: MASK if key in CREDENTIALS else value for key, value in config.items()}
        if type == "quay":
            masked["registryRobotCredentials"] = {"username": "robot", "password": MASK}
        kept = integration(type, **{member: masked})
        moved = kept | {member: {**masked, "endpoint": "moved.example.com"}}
        item = f"{C}/{{{type}}}"
        yield ask("POST", C, integration(type), save=type)
        yield ask("PATCH", item, _update(kept | {"name": f"renamed {type}"}))
        yield ask("PATCH", item, _update(moved), note="reconcile-dependent-unchanged")
        yield ask("PATCH", item, _update(integration(type)), note="reconcile-credential-masked")
        yield ask("GET", item)
        yield ask("PATCH", item, _update(moved, updatePassword=True), note="mask-taken-literally")
        yield ask("POST", f"{C}/test/updated", _update(tested(moved) | {"id": f"{{{type}}}"}))
        yield ask("PUT", item, integration(type, categories=["SCANNER", "REGISTRY", "REGISTRY"]), note="categories")
        yield ask("GET", item)
        yield ask("DELETE", item)
    yield ask("GET", C)


def _reconciled() -> Iterator[Ask]:
    docker = {**integration(name=KNOWN_NAME), "id": KNOWN}
    config = {"endpoint": "gcr.io", "password": MASK}
    cases = {
        "integration-required": None,
        "reconcile-needs-id": docker | {"id": "", "name": "other"},
        "update-missing": docker | {"id": NOBODY, "name": "other"},
        "reconcile-needs-config": {key: value for key, value in docker.items() if key != "docker"},
        "reconcile-same-member": {**integration("quay", name=KNOWN_NAME), "id": KNOWN},
        "reconcile-dependent-unchanged": docker,
        "reconcile-credential-masked": docker | {"docker": {**config, "password": "p"}},
        "kept": docker | {"docker": config},
        "azure-member-converted": {**integration("azure", name=KNOWN_NAME, azure=config), "id": KNOWN},
        "scanner-v4-type-fixed": {**integration("scannerv4", name=KNOWN_NAME), "id": KNOWN},
    }
    for rule, sent in cases.items():
        yield ask("POST", f"{C}/test/updated", _update(sent), note=rule)
        yield ask("POST", f"{C}/test/updated", _update(sent, updatePassword=True), note=f"{rule}, new credentials")
        if sent is not None:
            yield ask("PATCH", f"{C}/{SECOND}", _update(sent), note=rule)
    yield ask("POST", C, integration("quay", name="q"), save="quay")
    without = {"endpoint": "quay.example.com"}
    yield ask(
        "PATCH", f"{C}/{{quay}}", _update(integration("quay", name="q", quay=without)), note="reconcile-message-kept"
    )
    yield ask("PUT", f"{C}/{{quay}}", integration("quay", name="q", quay=without))
    yield ask("PATCH", f"{C}/{{quay}}", _update(configured("quay") | {"name": "q"}), note="reconcile-message-not-added")
    yield ask("GET", f"{C}/{{quay}}")
    yield ask("GET", f"{C}?name=Scanner%20V4", save="v4")
    yield ask("DELETE", f"{C}/{{v4}}", note="scanner-v4-not-deleted")
    yield ask("PUT", f"{C}/{{v4}}", integration(), note="scanner-v4-type-fixed")
    yield ask("PUT", f"{C}/{{v4}}", integration("scannerv4", name="renamed"))
    yield ask("GET", f"{C}/{{v4}}")
    yield ask("PUT", f"{C}/{SECOND}", integration(type="bogus", name="not activated"), note="update-not-rolled-back")
    yield ask("GET", f"{C}/{SECOND}")
    yield ask("GET", C)


def groups() -> Iterator[Group]:
    """Return the groups."""
    yield Group("refusals", tuple(_refused()))
    yield Group("refusals as deployed", tuple(_refused())[1::6], {"deployed": True})
    yield Group("refusals in release 4.8", tuple(_refused())[::9], {"release": "4.8"})
    yield Group("malformed bodies", tuple(_malformed()))
    yield Group("malformed bodies as deployed", tuple(_malformed())[::2], {"deployed": True})
    yield Group("malformed bodies judged fully", tuple(_malformed())[::6], {"validation": "full"})
    yield Group("malformed bodies, strict", tuple(_malformed())[::4], {"strict": True})
    yield Group("stored credentials", tuple(_stored()), {"empty": True})
    yield Group("reconciliation", tuple(_reconciled()))
    yield Group("reconciliation as deployed", tuple(_reconciled()), {"deployed": True})
