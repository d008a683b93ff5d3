"""Requests whose answers depend on the release or the settings."""

import base64
import json
from collections.abc import Iterator
from itertools import product

from . import names
from .conversation import Ask, Group, Json, ask
from .examples import KNOWN, KNOWN_NAME, NOBODY, configured, integration, tested

C = names.COLLECTION
RELEASES = ("4.8", "4.9", "4.10", "4.11", "5.0")
_PROVIDER = "4df1b98c-24ed-4073-a9ad-356aec6bb62d"
_IAM = integration("ecr", name="iam", ecr={"registryId": "1", "region": "r", "useIam": True})


def _by_release() -> Iterator[Ask]:
    yield ask("GET", "/v1/metadata")
    yield ask("GET", names.HEALTH)
    yield ask("GET", C)
    yield ask("POST", C, integration("google"), save="google")
    yield ask("POST", f"{C}/test", integration("google", name="tested"))
    yield ask("PUT", f"{C}/{KNOWN}", integration("google", name="turned"))
    yield ask("POST", C, _IAM)
    yield ask("POST", f"{C}/test", _IAM | {"name": "iam tested"})
    yield ask("PUT", f"{C}/", integration())
    yield ask("PATCH", f"{C}/", {"config": integration(), "updatePassword": True})
    for type in ("artifactory", "docker", "ecr"):
        yield ask("POST", f"{C}/test", tested(configured(type, endpoint="r.invalid")))
    yield ask("POST", C, integration(), save="docker")
    yield ask("GET", f"{C}/{{docker}}")
    yield ask("POST", C, integration())
    yield ask("POST", C, b"{")
    yield ask("DELETE", f"{C}/{{docker}}")


# -- credentials -------------------------------------------------------------------------------------


def _basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


CREDENTIALS: dict[str, tuple[str, ...]] = {
    "none": (),
    "empty": ("",),
    "admin": ("Bearer mock-admin-token",),
    "read-only": ("Bearer mock-read-only-token",),
    "no access": ("Bearer mock-no-access-token",),
    "no role": ("Bearer {{NO_ROLE}}",),
    "unknown token": ("Bearer nonsense",),
    "no token": ("Bearer ",),
    "a blank before": ("Bearer  mock-admin-token",),
    "small letters": ("bearer mock-admin-token",),
    "another scheme": ("Digest a=b",),
    "basic": (_basic("admin:mock-password"),),
    "basic in small letters": (_basic("admin:mock-password").replace("B", "b", 1),),
    "wrong password": (_basic("admin:wrong"),),
    "wrong user": (_basic('ro"ot:mock-password'),),
    "no colon": (_basic("admin"),),
    "no base64": ("Basic !!!",),
    "two": ("Bearer nonsense", "Bearer mock-admin-token"),
    "not ASCII": ("Bearer caf\u00e9",),
    "a tab": ("Bearer a\tb",),
}


def _credentials(kinds: tuple[str, ...], asks: tuple[Ask, ...]) -> Iterator[Ask]:
    for kind, each in product(kinds, asks):
        headers = (*each.headers, *(("Authorization", value) for value in CREDENTIALS[kind]))
        yield Ask(each.method, each.target, each.body, headers, kind, masks=each.masks)


OPERATIONS = (
    ask("GET", f"{C}?name=nobody"),
    ask("GET", f"{C}/{KNOWN}"),
    ask("POST", f"{C}/test", integration()),
    ask("DELETE", f"{C}/{NOBODY}"),
)
OTHER_OPERATIONS = (
    ask("POST", C, b"{"),
    ask("POST", C, integration(name="")),
    ask("PUT", f"{C}/{NOBODY}", integration()),
    ask("PATCH", f"{C}/{NOBODY}", {}),
    ask("POST", f"{C}/test/updated", {}),
    ask("GET", f"{C}?name=a&name=b"),
    ask("GET", "/v1/nobody"),
    ask("PATCH", C, {}),
)

# -- companions --------------------------------------------------------------------------------------

_LOGIN = {"externalToken": "username=admin&password=mock-password", "type": "basic", "state": f"{_PROVIDER}:a"}
GENERATED = ("ids", "times")

COMPANIONS = (
    *(ask("GET", path) for path in ("/v1/ping", "/v1/metadata", "/v1/featureflags", "/v1/config/public")),
    *(ask("GET", f"/v1/{path}") for path in ("login/authproviders", "availableAuthProviders", "mypermissions")),
    *(ask("GET", f"/v1/{path}") for path in ("auth/status", "central-capabilities", "telemetry/config")),
    *(ask("GET", f"/v1/{path}") for path in ("credentialexpiry", "database/status", "apitokens", "notifiers")),
    *(ask("GET", f"/v1/{path}") for path in ("signatureintegrations", "externalbackups", "cloud-sources", "auth/m2m")),
    ask("POST", "/v1/authProviders/exchangeToken", _LOGIN),
    ask("POST", "/v1/apitokens/generate", {"name": "t", "roles": ["Analyst"]}, masks=GENERATED),
    ask("POST", "/api/graphql?opname=healths", {}),
    ask("POST", "/api/logimbue", {"error": "a"}),
    ask("POST", "/sso/session/tokenrefresh", {}),
    ask("POST", "/sso/session/logout", {}),
)


def _companions() -> Iterator[Ask]:
    yield from COMPANIONS
    exchange, generate = "/v1/authProviders/exchangeToken", "/v1/apitokens/generate"
    for changes in ({"type": "oidc"}, {"state": "other:a"}, {"externalToken": ""}, {"state": ""}, {"type": 1}):
        yield ask("POST", exchange, _LOGIN | changes)
    for sent in ({}, {"name": "t"}, {"name": "t", "role": "Admin"}, {"name": "t", "roles": ["Nobody", "None"]}):
        yield ask("POST", generate, sent, masks=GENERATED)
    yield ask("POST", generate, {"name": "t", "role": "Admin", "roles": ["Analyst"]})
    yield ask(
        "POST", generate, {"name": "t", "roles": ["None"], "expiration": "2040-01-01T01:00:00+01:00"}, masks=GENERATED
    )
    for body in (b"", b"{", b"[]", b"\xff"):
        yield ask("POST", exchange, body)
        yield ask("POST", "/api/logimbue", body)
    yield ask("POST", "/api/graphql?opname=other", {})
    yield ask("POST", "/api/graphql", {})
    for method, path in (("HEAD", "/v1/ping"), ("POST", "/v1/ping"), ("get", "/v1/ping"), ("GET", "/api/graphql")):
        yield ask(method, path)
    for path in ("/v1/ping/", "/v1//ping", "/v1/ping?pretty", "/v1/ping?x=%zz", "/v1/sac/clusters", "/v1/apitokens/x"):
        yield ask("GET", path)
    yield ask("GET", "/v1/featureflags", None, ("Accept-Encoding", "gzip"))


# -- browsers ----------------------------------------------------------------------------------------


def _browser(origin: str) -> Iterator[Ask]:
    asked = ("Access-Control-Request-Method", "PUT")
    for target in (C, f"{C}/{KNOWN}", "/v1/nobody", names.HEALTH, names.SETTINGS, f"{names.SANDBOX_PATH}/a{C}"):
        yield ask("OPTIONS", target, None, ("Origin", origin), asked)
        yield ask("OPTIONS", target, None, ("Origin", origin), asked, ("Access-Control-Request-Headers", "x-a, x-b"))
        yield ask("OPTIONS", target, None, ("Origin", origin))
        yield ask("GET", f"{target}?name=nobody", None, ("Origin", origin))
    yield ask("GET", C, None, ("Origin", "http://other.example.com"))
    yield ask("GET", names.HEALTH, None, ("Origin", "http://other.example.com"))
    yield ask("GET", names.REGISTRY_TESTS, None, ("Origin", "http://other.example.com"))
    yield ask("POST", C, integration(bogus=1), ("Origin", origin))
    yield ask("GET", C, None, ("Origin", origin), ("Accept-Encoding", "gzip"))
    yield ask("GET", C, None, ("Origin", origin), ("Prefer", "code=503"))


# -- control -----------------------------------------------------------------------------------------


def _control() -> Iterator[Ask]:
    yield ask("GET", names.HEALTH)
    yield ask("GET", names.SETTINGS)
    yield ask("GET", f"{names.CONTROL}/openapi.json", masks=("body",))
    yield ask("GET", f"{names.CONTROL}/contract.json", masks=("body",))
    yield ask("GET", names.CONTROL)
    yield ask("GET", f"{names.CONTROL}/", masks=("body",))
    yield ask("GET", f"{names.CONTROL}/console/nobody.js")
    yield ask("GET", f"{names.CONTROL}/nobody")
    yield ask("GET", f"{names.HEALTH}/")
    yield ask("GET", f"{names.HEALTH}?a=b")
    yield ask("POST", names.HEALTH)
    yield ask("HEAD", names.HEALTH)
    yield ask("GET", f"{names.HEALTH}?pretty")
    yield ask("GET", names.SCENARIOS)
    yield ask("GET", names.SCENARIO)
    for name in ("empty", "many:3", "nobody", "many:x", "many:-1", "fresh:3", "one-of-each", "autogenerated"):
        yield ask("PUT", names.SCENARIO, {"scenario": name})
    for sent in ({}, {"scenario": 1}, {"scenario": "fresh", "other": 1}, [], b"", b"{", b"\xff"):
        yield ask("PUT", names.SCENARIO, sent)
    yield ask("PUT", names.SCENARIO, {"scenario": "many:2"})
    yield ask("GET", names.INTEGRATIONS)
    yield ask("GET", names.STATE)
    yield ask("POST", names.RESET)
    yield ask("DELETE", f"{names.INTEGRATIONS}/{KNOWN}")
    yield ask("DELETE", f"{names.INTEGRATIONS}/{KNOWN}")
    yield ask("GET", f"{C}/{KNOWN}")
    held = {"format": "mock-central state", "version": 1, "integrations": [{**integration(), "id": NOBODY}]}
    for changes in ({}, {"format": "x"}, {"version": 2}, {"integrations": {}}, {"other": 1}):
        yield ask("PUT", names.STATE, held | changes)
    yield ask("PUT", names.STATE, held | {"integrations": [integration(), integration()]})
    yield ask("PUT", names.STATE, held | {"integrations": [{"name": 1}]})
    yield ask("GET", C)
    yield ask("POST", names.RESET)
    yield ask("POST", C, integration(), note="the first id again")
    yield ask("GET", names.REGISTRY_TESTS)
    yield ask("PUT", names.REGISTRY_TESTS, {"rules": [{"host": "docker.*", "outcome": "timeout"}]})
    yield ask("POST", f"{C}/test", tested(integration(name="other")))
    for rules in ([{"host": "a", "outcome": "x"}], [{"host": ""}], [{}], {}):
        yield ask("PUT", names.REGISTRY_TESTS, {"rules": rules})
    yield ask("PUT", names.MUTANTS, {"mutants": ["nobody"]})
    yield ask("PUT", names.MUTANTS, {"mutants": [1]})
    yield ask("PUT", names.MUTANTS, {"mutants": []})
    yield ask("GET", names.MUTANTS, masks=("body",))


def _journal() -> Iterator[Ask]:
    yield ask("GET", f"{C}/{KNOWN}")
    yield ask("POST", C, integration(bogus=1), ("Authorization", "Bearer secret"), ("X-Seen", "a"))
    yield ask("POST", C, b'{"name":"a","docker":{"password":"p"}')
    yield ask("GET", "/v1/nobody?password=p&a=b")
    yield ask("DELETE", f"{C}/{NOBODY}", None, ("Prefer", "code=503"))
    yield ask("GET", "/v1/ping")
    seen = ("times", "milliseconds")
    yield ask("GET", names.JOURNAL, masks=seen)
    queries = ["limit=2", "operation=PostImageIntegration", "method=delete", "path=/v1/*", "status=4xx", "status=200"]
    queries += ["rule=get-missing", "name=a*", "since=4", "status=x", "limit=x", "nobody=1", "limit=1&limit=2"]
    for query in queries:
        yield ask("GET", f"{names.JOURNAL}?{query}", masks=seen)
        yield ask("GET", f"{names.JOURNAL}/count?{query}")
    yield ask("GET", f"{names.JOURNAL}/count")
    yield ask("GET", f"{names.JOURNAL}/wait?count=2&timeout=0&limit=1")
    yield ask("GET", f"{names.JOURNAL}/wait?count=2&timeout=0&status=404", masks=seen)
    yield ask("GET", f"{names.JOURNAL}/wait?count=9&timeout=0")
    yield ask("GET", f"{names.JOURNAL}/wait?timeout=61")
    yield ask("DELETE", names.JOURNAL)
    yield ask("GET", names.JOURNAL)


def _guarded() -> Iterator[Ask]:
    for value in (None, "Bearer token", "bearer token", "Bearer other", "Basic token", "token"):
        headers = () if value is None else (("Authorization", value),)
        for target in (names.HEALTH, names.SCENARIO, f"{names.SANDBOX_PATH}/a{names.SCENARIO}"):
            yield ask("GET", target, None, *headers)
    yield ask("GET", names.CONTROL)
    yield ask("GET", C)


def _without_control() -> Iterator[Ask]:
    targets = [names.HEALTH, names.SETTINGS, names.CONTROL, f"{names.CONTROL}/", names.JOURNAL, "/v1/ping"]
    yield from (ask("GET", target) for target in targets)
    yield ask("POST", names.RESET)
    yield ask("GET", f"{names.SANDBOX_PATH}/a{names.HEALTH}")


def _sandboxes() -> Iterator[Ask]:
    a, b = (names.SANDBOX_HEADER, "a"), (names.SANDBOX_HEADER, "b")
    in_a = f"{names.SANDBOX_PATH}/a"
    yield ask("GET", names.SANDBOXES, masks=("idle",))
    yield ask("POST", C, integration(), a, save="docker")
    yield ask("GET", f"{in_a}{C}/{{docker}}")
    yield ask("GET", f"{C}/{{docker}}")
    yield ask("GET", f"{C}/{{docker}}", None, b)
    yield ask("POST", C, integration(), b, note="the same id as in the other sandbox")
    yield ask("GET", f"{in_a}{C}", None, b, note="the path counts")
    yield ask("DELETE", f"{in_a}{C}/{{docker}}")
    yield ask("GET", f"{in_a}{names.HEALTH}")
    yield ask("GET", names.HEALTH, None, a)
    yield ask("PUT", f"{in_a}{names.SCENARIO}", {"scenario": "empty"})
    yield ask("GET", C, None, a)
    yield ask("GET", C)
    yield ask("POST", f"{in_a}{names.FAULTS}", {"code": 418})
    yield ask("GET", f"{in_a}{C}")
    yield ask("GET", C)
    yield ask("PUT", names.MUTANTS, {"mutants": []}, a)
    yield ask("GET", names.SANDBOXES, masks=("idle",))
    for path in (
        C,
        f"{C}/",
        f"/{C}",
        "/v1//imageintegrations",
        "/v1/ping",
        "",
        "/",
        names.CONTROL,
        f"{names.CONTROL}/x",
    ):
        yield ask("GET", f"{names.SANDBOX_PATH}/b{path}")
        yield ask("GET", path or "/", None, b)
    for name in ("", "a b", "é", "a/b", "x" * 101, "..", "a%20b", "a,b", "A", "~._-"):
        yield ask("GET", "/v1/ping", None, (names.SANDBOX_HEADER, name))
        yield ask("GET", f"{names.SANDBOX_PATH}/{name}/v1/ping")
    yield ask("GET", "/v1/ping", None, a, b, note="two sandboxes")
    yield ask("GET", f"{in_a}{in_a}/v1/ping")
    yield ask("DELETE", f"{names.SANDBOXES}/a")
    yield ask("DELETE", f"{names.SANDBOXES}/a")
    yield ask("POST", C, integration(), a, note="a new sandbox of an old name")
    yield ask("DELETE", names.SANDBOXES)
    yield ask("GET", names.SANDBOXES)


def _few_sandboxes() -> Iterator[Ask]:
    for name in ("a", "b", "a", ""):
        yield ask("GET", f"{C}/{KNOWN}", None, *(((names.SANDBOX_HEADER, name),) if name else ()))
    yield ask("POST", f"{names.SANDBOX_PATH}/b{C}", integration())
    yield ask("GET", f"{names.SANDBOX_PATH}/b{names.HEALTH}")


# -- fault -----------------------------------------------------------------------------------------

PREFERENCES = [
    *(f"code={code}" for code in (400, 401, 403, 404, 409, 418, 429, 499, 500, 501, 502, 503, 504, 599)),
    *(
        "code=200",
        "code=600",
        "code=x",
        "code=",
        "code",
        'code="503"',
        "CODE=503",
        "code=503; a=b",
        "code=503, code=404",
    ),
    *("delay=0", "delay=0..0", "delay=x", 'delay="normal(0,0)"', "delay=0, code=503", "fault=empty", "fault=x"),
    *(
        "fault=empty, code=503",
        "handling=lenient",
        "handling=lenient, code=503",
        "",
        ",",
        "respond-async;x=1",
        "return=minimal",
    ),
    *('code="5\\03"', 'code="503', "code = 503", "fault=truncated", "fault=reset"),
]


def _preferred() -> Iterator[Ask]:
    for preference in PREFERENCES:
        yield ask("GET", f"{C}/{KNOWN}", None, ("Prefer", preference))
    for target in (C, f"{C}/{NOBODY}", "/v1/nobody", "/v1/ping", names.HEALTH, f"{C}/", f"/{C}"):
        yield ask("GET", target, None, ("Prefer", "code=503"))
        yield ask("GET", target, None, ("Prefer", "fault=empty"))
    yield ask("GET", f"{C}/{KNOWN}", None, ("Prefer", "fault=garbage"), masks=("body",))
    yield ask("POST", C, integration(), ("Prefer", "code=503"), note="refused, so not stored")
    yield ask("POST", C, integration(), ("Prefer", "fault=empty"), note="stored, but not answered")
    yield ask("POST", C, integration())
    yield ask("POST", C, b"{", ("Prefer", "code=429"))
    yield ask("HEAD", C, None, ("Prefer", "code=503"))
    yield ask("OPTIONS", C, None, ("Prefer", "code=503"))
    yield ask("GET", f"{C}/{KNOWN}", None, ("Prefer", "code=503"), ("Prefer", "code=404"))
    yield ask("GET", f"{C}/{KNOWN}?pretty", None, ("Prefer", "code=503"), ("Accept-Encoding", "gzip"))


FAULTS = (
    "PostImageIntegration code=503 times=2",
    "GetImageIntegration code=429 every=2",
    'name="web *" code=500',
    "path=/v1/ping fault=empty",
)


def _faulted() -> Iterator[Ask]:
    for _ in range(4):
        yield ask("POST", C, integration())
        yield ask("GET", f"{C}/{KNOWN}")
    yield ask("POST", C, integration(name="web 1"))
    yield ask("POST", f"{C}/test", integration(name="web 2"))
    yield ask("GET", f"{C}?name=web%203")
    yield ask("GET", f"{C}?name=other")
    yield ask("GET", "/v1/ping")
    yield ask("GET", names.FAULTS)
    yield ask("GET", f"{C}/{KNOWN}", None, ("Prefer", "code=404"), note="what is preferred counts")
    sent: tuple[Json, ...] = (
        {"code": 503, "path": "/v1/meta*"},
        {"fault": "empty", "operation": "DeleteImageIntegration"},
        {"delay": 0},
        {},
        {"code": 200},
        {"code": 503, "fault": "empty"},
        {"fault": "other"},
        {"code": 503, "operation": "Nobody"},
        {"code": 503, "operation": "GetImageIntegratio"},
        {"code": 503, "times": 0},
        {"delay": "x"},
        {"other": 1},
    )
    for each in sent:
        yield ask("POST", names.FAULTS, each)
    yield ask("GET", "/v1/metadata")
    yield ask("DELETE", f"{C}/{NOBODY}")
    yield ask("DELETE", f"{names.FAULTS}/1")
    yield ask("DELETE", f"{names.FAULTS}/1")
    yield ask("DELETE", f"{names.FAULTS}/x")
    yield ask("GET", names.FAULTS)
    yield ask("DELETE", names.FAULTS)
    yield ask("GET", names.FAULTS)
    yield ask("POST", names.RESET)
    yield ask("GET", names.FAULTS)


# -- registries --------------------------------------------------------------------------------------

OUTCOMES = ("pass", "unreachable", "timeout", "certificate", "unauthorized", "forbidden", "missing", "failing")


def _probed() -> Iterator[Ask]:
    types = ("docker", "quay", "ecr", "clair", "clairV4", "clairify")
    for outcome, type in product(OUTCOMES, types):
        yield ask("POST", f"{C}/test", tested(configured(type, endpoint=f"{outcome}.example.com")))
    token = {"endpoint": "forbidden.example.com", "oauthToken": "t"}
    yield ask("POST", f"{C}/test", tested(integration("quay", quay=token)))
    yield ask("POST", C, tested(configured("docker", endpoint="https://user:word@timeout.example.com/path/")))
    yield ask("POST", C, tested(configured("ecr", endpoint="")))
    yield ask("POST", C, tested(configured("docker", endpoint="TIMEOUT.example.com:5000")), note="a host in capitals")
    for endpoint in ("http://", "ftp://a.example.com", "https:a", "https://?x"):
        yield ask("POST", f"{C}/test", tested(configured("docker", endpoint=endpoint)))
        yield ask("POST", f"{C}/test", tested(configured("clairify", endpoint=endpoint)))


# -- the rest ----------------------------------------------------------------------------------------


def _beyond_the_contract() -> Iterator[Ask]:
    yield ask("POST", C, integration(name="good"))
    yield ask("POST", C, integration(name="unknown field", bogus=1))
    yield ask("POST", C, integration(name="a number", categories=[0]))
    yield ask("POST", C, integration(name="in a config", docker={"endpoint": "a", "bogus": 1}))
    yield ask("POST", C, integration(name="no type", type=None))
    yield ask("POST", C, json.dumps(integration(name="more")).encode() + b" more")
    yield ask("POST", C, integration(name="text"), ("Content-Type", "text/plain"))
    yield ask("POST", C, b"", note="nothing")
    yield ask("POST", C, b"null")
    yield ask("POST", C, json.dumps(integration(name="long") | {"x" * 3000: 1}).encode())
    yield ask("POST", C, integration(name="header\r\nX-Injected: 1", bogus=1))
    yield ask("POST", C, integration(name="newline in a key") | {"a\r\nX-Injected: 1": 1})
    yield ask("PATCH", f"{C}/{KNOWN}", {"config": {"bogus": 1}, "other": True})
    yield ask("PUT", f"{C}/{KNOWN}", integration(id=1))
    for query in (
        "other=1",
        "pretty",
        "name=a&other=1",
        "name=",
        f"name={KNOWN_NAME.replace(' ', '+')}",
        "name=a&name=b",
    ):
        yield ask("GET", f"{C}?{query}")
    yield ask("GET", f"{C}/{KNOWN}?other=1")
    yield ask("GET", f"{C}/{NOBODY}")
    yield ask("GET", C)
    yield ask("DELETE", f"{C}/{NOBODY}")
    yield ask("GET", "/v1/nobody")


def groups() -> Iterator[Group]:
    """Return the groups."""
    for release in RELEASES:
        yield Group(f"release {release}", tuple(_by_release()), {"release": release, "managed": True})
    kinds = tuple(CREDENTIALS)
    few = ("none", "read-only", "no access", "unknown token")
    yield Group("credentials", (*_credentials(kinds, OPERATIONS), *_credentials(few, OTHER_OPERATIONS)), {"auth": True})
    odd = ("none", "unknown token", "not ASCII", "a tab")
    yield Group("credentials that nobody asks for", tuple(_credentials(odd, OPERATIONS[:3])))
    yield Group("companions with credentials", tuple(_credentials((*few, "admin"), COMPANIONS[::2])), {"auth": True})
    yield Group("companions", tuple(_companions()))
    yield Group("companions of the managed service", COMPANIONS, {"managed": True, "release": "4.10"})
    yield Group("no companions", COMPANIONS[::3], {"companions": False})
    for origin, settings in (("http://localhost:5173", "http://localhost:5173"), ("http://a.example.com", "*")):
        yield Group(f"browsers of {settings}", tuple(_browser(origin)), {"cors": settings})
    yield Group("control", tuple(_control()))
    yield Group("journal", tuple(_journal()))
    yield Group("no journal", tuple(_journal())[:12], {"journal": 0})
    yield Group("control with a token", tuple(_guarded()), {"control_token": "token"})
    yield Group("no control", tuple(_without_control()), {"control": False})
    yield Group("sandboxes", tuple(_sandboxes()))
    yield Group("few sandboxes", tuple(_few_sandboxes()), {"max_sandboxes": 1})
    yield Group("preferences", tuple(_preferred()))
    yield Group("preferences in a thread", tuple(_preferred())[::3], server="thread")
    yield Group("faults", tuple(_faulted()), {"faults": FAULTS})
    registry_tests = {f"{outcome}.example.com": outcome for outcome in OUTCOMES} | {"*.amazonaws.com": "forbidden"}
    yield Group("registries", tuple(_probed()), {"registry_tests": registry_tests})
    yield Group("strict", tuple(_beyond_the_contract()), {"strict": True})
    yield Group("strict as deployed", tuple(_beyond_the_contract())[::3], {"strict": True, "deployed": True})
    yield Group("judged fully", tuple(_beyond_the_contract()), {"validation": "full"})
    yield Group("judged fully and strictly", tuple(_beyond_the_contract()), {"validation": "full", "strict": True})
    yield Group("not judged", tuple(_beyond_the_contract()))
    one_of_each = (ask("GET", C), ask("GET", f"{C}?name=Example%20Quay", save="q"), ask("GET", f"{C}/{{q}}"))
    yield Group("one of each", one_of_each, {"scenario": "one-of-each"})
    yield Group("another namespace", (ask("GET", C),), {"namespace": "rhacs-operator"})
    created = ask("POST", C, integration(), save="d", masks=("ids",))
    yield Group("ids without a seed", (created, ask("GET", f"{C}/{{d}}", masks=("ids",))), {"seed": None})
    mutants = (ask("POST", C, integration()), *(ask("GET", f"{C}/{id}") for id in (KNOWN, NOBODY)), ask("GET", C))
    yield Group("mutants", mutants, {"mutants": ("mask-eight", "error-extra-key")})
