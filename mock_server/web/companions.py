"""Paths besides the image integrations that their clients need.

The web UI does not open without a login, permissions and a version; scripts ping and fetch a token. Each companion
answers in Central's shape and applies Central's access rules. None stores anything; the health of the integrations
follows from the store and from the registry-test rules.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from flask import Blueprint, Response

from mock_server.central import protojson
from mock_server.central.auth import NOTHING, READ, WRITE
from mock_server.central.errors import INVALID, MISSING, Refusal, Rules
from mock_server.central.integration import Integration
from mock_server.contract import export
from mock_server.contract.tables import Contract, Field, Message
from mock_server.gateway.encoding import GATEWAY_HEADERS, JSON_HEADERS
from mock_server.golang.text import quote
from mock_server.sandboxes.central import Central
from mock_server.settings import EVERY_RESOURCE, RESOURCES
from mock_server.simulation.redaction import Redaction
from mock_server.web.edge import current, json_answer

log = logging.getLogger("mock_central")

LONGEST_REPORT = 4000
"""Characters of a crash report that are logged."""

ANYONE = "anyone"
KNOWN = "authenticated callers"
KNOWN_OR_SENSOR = "authenticated callers and Sensor"
READER = "read access to Integration"
ACCESS_READER = "read access to Access (only admins)"
WRITER = "write access to Integration"
"""Access levels. `KNOWN_OR_SENSOR` refuses as reads do, because Central tries two ways to sign in."""

PROVIDER = "4df1b98c-24ed-4073-a9ad-356aec6bb62d"
"""Id of the provider of basic logins (central/auth/userpass/auth.go)."""

ROLES = {
    "Admin": WRITE,
    "Analyst": READ,
    "Continuous Integration": NOTHING,
    "Configuration Controller": READ,
    "Network Graph Viewer": NOTHING,
    "Sensor Creator": NOTHING,
    "Vulnerability Management Approver": NOTHING,
    "Vulnerability Management Requester": NOTHING,
    "Vulnerability Report Creator": READ,
}
"""Central's own roles and their permission on integrations (central/role/datastore/defaults.go)."""

NO_ROLE = "None"
"""The role of a caller without a valid role."""

_NAMESPACE = uuid.UUID("5f0a2f7e-6c0f-4d0c-9d0e-7a1c3b9f2e11")
"""Namespace of the ids that are derived from names, so that they are constant."""


class Visit(NamedTuple):
    """A request to a companion: the caller's permission, the raw query, the body, and what `Decode` made of them."""

    permission: str
    query: str
    body: bytes
    sent: Any


Answer = Callable[[Central, Visit], Any]
Decode = Callable[[Central, str, bytes], Any]
"""Decodes the query or the body of a request, which the gateway does before it looks at the credentials."""


@dataclass(frozen=True, slots=True)
class Companion:
    """A path with a method.

    `needed_by`: which client requests it, and when. `access`: which callers Central accepts. `gives`: a description of
    the answer, or its JSON.
    """

    id: str
    """Method and path, such as ``GET /v1/ping``."""
    needed_by: str
    access: str
    gives: str
    answer: Answer
    """Returns the body of the answer, or None for an empty one."""
    status: int = 200
    decode: Decode | None = None

    @property
    def method(self) -> str:
        """The method, such as GET."""
        return self.id.partition(" ")[0]

    @property
    def path(self) -> str:
        """The path, such as /v1/ping."""
        return self.id.partition(" ")[2]

    @property
    def gateway(self) -> bool:
        """Whether Central's gRPC gateway answers, with its own header; other handlers refuse in plain text."""
        return self.path.startswith("/v1/")

    def answered(self, central: Central, authorization: str | None, query: str, body: bytes) -> Any:
        """Return the body of the answer.

        Raises:
            Refusal: the caller has no permission, or the request is invalid.
        """
        sent = self.decode(central, query, body) if self.decode else None
        try:
            permission = self._permission_of(central, authorization or "")
        except Refusal as refusal:
            raise refusal if self.gateway else replace(refusal, form="text") from None
        return self.answer(central, Visit(permission, query, body, sent))

    def _permission_of(self, central: Central, authorization: str) -> str:
        auth = central.auth
        if not auth.enforced:
            return WRITE
        if self.access == ANYONE:
            return NOTHING
        try:
            permission = auth.permission(authorization)
        except Refusal as refusal:
            if self.access == KNOWN_OR_SENSOR:
                raise auth.read_permission(refusal.message, refusal.message) from None
            raise
        if permission == NOTHING and self.access in (READER, WRITER):
            raise _forbidden("Integration" if self.access == READER else "Access")
        if self.access == ACCESS_READER and permission != WRITE:
            raise _forbidden("Access")
        if self.access == WRITER:
            auth.write_permission(permission)
        return permission


def _forbidden(resource: str) -> Refusal:
    """Return Central's refusal of a caller without permission to read (pkg/grpc/authz/user/user.go)."""
    return Refusal("companion-permission", 403, 7, f'not authorized: "READ_ACCESS" for "{resource}"')


def _invalid(text: str) -> Refusal:
    return Refusal("companion-request", 400, 3, text + INVALID)


COMPANIONS: list[Companion] = []
"""Every companion.

`/v1/sac/clusters` is missing on purpose: an empty list there makes the UI leave every page, and without the permission
`Cluster` the UI does not request it.
"""

UI = "UI: every page"
UI_POLLS = "UI: polled on every page"
UI_LOGIN = "UI: logging in and out"
UI_TABS = "UI: the other tabs of Integrations"
UI_HEALTH = "UI: System Health"
UI_TOKENS = "UI: API tokens"
UI_REFERENCE = "UI: Help, API Reference"
SCRIPTS = "scripts, Ansible"


def companion(
    id: str, needed_by: str, access: str, *, status: int = 200, decode: Decode | None = None
) -> Callable[[Answer], Answer]:
    """Return a decorator that registers a function as the companion `id`; its docstring describes the answer."""

    def register(function: Answer) -> Answer:
        gives = (function.__doc__ or "").partition("\n")[0]
        COMPANIONS.append(Companion(id, needed_by, access, gives, function, status, decode))
        return function

    return register


def fixed(id: str, needed_by: str, access: str, body: Mapping[str, Any]) -> None:
    """Register a constant answer."""
    COMPANIONS.append(Companion(id, needed_by, access, f"`{protojson.render(body).decode()}`", lambda *_: body))


# -- logging in ------------------------------------------------------------------------------------


def _message(name: str, *fields: Field) -> Message:
    by_name = {spelling: field for field in fields for spelling in (field.proto_name, field.name)}
    return Message(name, f"v1.{name}", fields, by_name)


def _field(number: int, name: str, kind: str = "string", *, repeated: bool = False, scrub: str | None = None) -> Field:
    proto_name = re.sub(r"(?=[A-Z])", "_", name).lower()
    return Field(name, proto_name, number, kind, None, repeated, oneof=False, scrub=scrub, validate=None)


EXCHANGE = _message(
    "ExchangeTokenRequest", _field(1, "externalToken", scrub="always"), _field(2, "type"), _field(3, "state")
)
GENERATE = _message(
    "GenerateTokenRequest",
    _field(1, "name"),
    _field(2, "role"),
    _field(3, "roles", repeated=True),
    _field(4, "expiration", "timestamp"),
)
"""Bodies of central/authprovider/service and central/apitoken/service (proto/api/v1)."""


def _body(message: Message) -> Decode:
    return lambda central, _query, body: central.decoding.decoder.decode(message, body)


@companion("GET /v1/login/authproviders", UI_LOGIN, ANYONE)
def login_providers(_central: Central, _visit: Visit) -> Any:
    """The only login provider: user name and password."""
    provider = {"id": PROVIDER, "name": "Login with username/password", "type": "basic"}
    return {"authProviders": [{**provider, "loginUrl": f"/sso/login/{PROVIDER}"}]}


@companion("POST /v1/authProviders/exchangeToken", UI_LOGIN, ANYONE, decode=_body(EXCHANGE))
def exchange_token(central: Central, visit: Visit) -> Any:
    """A token for the basic credentials of the settings, or for any without `--auth`; otherwise 403."""
    sent = visit.sent
    if sent["type"] != "basic":
        raise _invalid(f"invalid auth provider type {quote(sent['type'])}")
    provider, _, client_state = sent["state"].partition(":")
    if not provider:
        raise Refusal("companion-request", 500, 13, "empty state")
    if provider != PROVIDER:
        raise Refusal("companion-request", 404, 5, f"could not locate auth provider {quote(provider)}{MISSING}")
    form = {name: values[0] for name, values in parse_qs(sent["externalToken"]).items()}
    if central.auth.enforced and not central.auth.is_known(form.get("username", ""), form.get("password", "")):
        text = "failed to authenticate: not authorized: invalid username and/or password"
        raise Refusal("companion-login", 403, 7, text)
    return {"token": central.auth.credentials.admin_token, "clientState": client_state, "test": False, "user": None}


@companion("POST /v1/apitokens/generate", SCRIPTS, WRITER, decode=_body(GENERATE))
def generate_token(central: Central, visit: Visit) -> Any:
    """The token from the settings with the strongest permission of the roles; it does not expire."""
    sent = visit.sent
    if not sent["name"]:
        raise _invalid("token name cannot be empty")
    if sent["role"] and sent["roles"]:
        raise _invalid("must use either role or roles, but not both")
    roles = [sent["role"]] if sent["role"] else sent["roles"]
    if unknown := [role for role in roles if role not in ROLES and role != NO_ROLE]:
        raise _invalid(f"role(s) {','.join(unknown)} don't exist")
    now = datetime.now(UTC)
    metadata = {
        "id": str(uuid.uuid4()),
        "name": sent["name"],
        "roles": roles,
        "issuedAt": _text(now),
        "expiration": sent["expiration"] or _text(now + timedelta(days=365)),
        "revoked": False,
        "role": roles[0] if len(roles) == 1 else "",
    }
    return {"token": _token(central, roles), "metadata": metadata}


def _token(central: Central, roles: list[str]) -> str:
    known, permissions = central.auth.credentials, {ROLES.get(role) for role in roles}
    if WRITE in permissions:
        return known.admin_token
    if READ in permissions:
        return known.read_only_token
    return known.no_access_token if NOTHING in permissions else known.no_role_token


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


_ACCESS = {WRITE: {"Integration": "READ_WRITE_ACCESS"}, READ: {"Integration": "READ_ACCESS"}, NOTHING: {}}
"""No other permission, so that the UI neither requests paths that the mock lacks nor offers pages it cannot show."""


def _granted(central: Central, permission: str) -> Mapping[str, str]:
    """Return the permissions of a caller; `--permission` changes those of a caller with write permission."""
    if permission != WRITE:
        return _ACCESS[permission]
    settings = central.settings
    everything = dict.fromkeys(RESOURCES, "READ_WRITE_ACCESS")
    granted = dict(everything if settings.as_deployed else _ACCESS[WRITE])
    for each in settings.permissions:
        resource, _, access = each.partition("=")
        granted |= dict.fromkeys(RESOURCES, access) if resource == EVERY_RESOURCE else {resource: access}
    return granted


@companion("GET /v1/mypermissions", UI, KNOWN)
def permissions(central: Central, visit: Visit) -> Any:
    """The caller's permissions on integrations, or those of `--permission`; with `--as-deployed` an admin has all."""
    return {"resourceToAccess": _granted(central, visit.permission)}


@companion("GET /v1/auth/status", UI, KNOWN)
def auth_status(central: Central, visit: Visit) -> Any:
    """The caller with a role that matches its permission, and a session that does not expire."""
    access = {"resourceToAccess": _granted(central, visit.permission)}
    role = next(name for name, permission in ROLES.items() if permission == visit.permission)
    user = central.auth.credentials.username
    return {
        "userId": user,
        "expires": None,  # with an expiry, the UI would request a new token shortly before it
        "refreshUrl": "",
        "authProvider": None,
        "userInfo": {
            "username": user,
            "friendlyName": user,
            "permissions": access,
            "roles": [{"name": role, **access}],
        },
        "userAttributes": [],
        "idpToken": "",
    }


@companion("POST /sso/session/tokenrefresh", "UI: after a 401", ANYONE)
def no_refresh(_central: Central, _visit: Visit) -> Any:
    """400, as Central answers without its cookie; after a 401 the UI would wait forever."""
    text = "could not obtain refresh token cookie: http: named cookie not present"
    raise Refusal("companion-session", 400, 13, text, "pair")


@companion("POST /sso/session/logout", UI_LOGIN, ANYONE)
def no_session(_central: Central, _visit: Visit) -> Any:
    """400, as Central answers without its cookie; after a 401 the UI would log out again and again."""
    raise Refusal("companion-session", 400, 13, "you are not currently logged in", "pair")


# -- around the pages of the UI ----------------------------------------------------------------------


@companion("GET /v1/metadata", f"{UI_POLLS}; central-contract", KNOWN_OR_SENSOR)
def metadata(central: Central, _visit: Visit) -> Any:
    """The simulated release."""
    return {
        "version": str(central.contract.release),
        "buildFlavor": "release",
        "releaseBuild": True,
        "licenseStatus": "VALID",
        "compatibleSensorVersions": [],
    }


@companion("GET /v1/central-capabilities", UI, KNOWN)
def capabilities(central: Central, _visit: Visit) -> Any:
    """Features that the managed service lacks are off with `--managed`."""
    on, off = "CapabilityAvailable", "CapabilityDisabled"
    own, managed = (off, on) if central.settings.managed else (on, off)
    return {
        "centralScanningCanUseContainerIamRoleForEcr": own,
        "centralCanUseCloudBackupIntegrations": own,
        "centralCanDisplayDeclarativeConfigHealth": own,
        "centralCanUpdateCert": own,
        "centralCanUseAcscsEmailIntegration": managed,
    }


@companion("POST /api/graphql", UI_POLLS, KNOWN)
def cluster_health(_central: Central, visit: Visit) -> Any:
    """For the query `healths`: no clusters, none unhealthy. Any other: 501."""
    if parse_qs(visit.query).get("opname") != ["healths"]:
        raise Refusal("companion-request", 501, 12, 'the mock answers only the GraphQL query "healths"')
    states = ("total", "uninitialized", "healthy", "degraded", "unhealthy")
    return {"data": {"results": {**dict.fromkeys(states, 0), "__typename": "ClusterHealthCounter"}}}


@companion("POST /api/logimbue", "UI: when it crashed", KNOWN, status=202)
def log_report(central: Central, visit: Visit) -> None:
    """Nothing; the report is logged, truncated and without credentials."""
    text = Redaction(central.contract.credential_names).text(visit.body.decode("utf-8", "replace"))
    log.warning("the UI reports: %s", text[:LONGEST_REPORT])


_SCANNER_FLAGS = {
    "ROX_LEGACY_SCANNER": "Enable legacy scanner (Scanner V2) integration",
    "ROX_SCANNER_V4": "Enables Scanner V4 runtime functionality",
}
"""Data for the tiles of the two scanners of a fresh Central."""

fixed("GET /v1/ping", SCRIPTS, ANYONE, {"status": "ok"})
fixed(
    "GET /v1/featureflags",
    UI,
    ANYONE,
    {"featureFlags": [{"name": text, "envVar": flag, "enabled": True} for flag, text in _SCANNER_FLAGS.items()]},
)
fixed("GET /v1/config/public", UI, ANYONE, {"loginNotice": None, "header": None, "footer": None, "telemetry": None})
fixed("GET /v1/availableAuthProviders", UI, ANYONE, {"authProviderTypes": []})
# With a key, the UI would send usage data to an analytics service.
fixed("GET /v1/telemetry/config", UI, KNOWN, {"userId": "", "endpoint": "", "storageKeyV1": ""})
_COMPONENTS = ("CENTRAL", "SCANNER", "SCANNER_V4", "CENTRAL_DB")


def _component(central: Central, query: str, _body: bytes) -> str:
    values = central.decoding.parsed_query(query).get("component", ["UNKNOWN"])
    if len(values) > 1:
        raise central.decoding.query_value_once("component", values)
    if values[0] not in ("UNKNOWN", *_COMPONENTS):
        text = f'parsing field "component": {quote(values[0])} is not a valid value'
        raise Refusal("companion-request", 400, 3, text)
    return values[0]


@companion("GET /v1/credentialexpiry", UI, KNOWN, decode=_component)
def credential_expiry(_central: Central, visit: Visit) -> Any:
    """For a component, a time in the far future; otherwise the UI would show a banner on every page."""
    if visit.sent == "UNKNOWN":
        raise _invalid("invalid component: UNKNOWN")
    return {"expiry": "2099-12-31T00:00:00Z"}


fixed(
    "GET /v1/database/status",
    UI_POLLS,
    KNOWN,
    {"databaseAvailable": True, "databaseType": "PostgresDB", "databaseVersion": "", "databaseIsExternal": False},
)
fixed("GET /v1/apitokens", f"{UI_TABS}; Ansible", READER, {"tokens": []})
fixed("GET /v1/signatureintegrations", UI_TABS, READER, {"integrations": []})
fixed("GET /v1/notifiers", UI_TABS, READER, {"notifiers": []})
fixed("GET /v1/externalbackups", UI_TABS, READER, {"externalBackups": []})
fixed("GET /v1/cloud-sources", UI_TABS, READER, {"cloudSources": []})
fixed("GET /v1/auth/m2m", UI_TABS, ACCESS_READER, {"configs": []})


# -- derived from the store and from the contract ----------------------------------------------------


@companion("GET /v1/integrationhealth/imageintegrations", UI_HEALTH, READER)
def image_integration_health(central: Central, _visit: Visit) -> Any:
    """Each stored integration with the result of its registry test: `HEALTHY`, or `UNHEALTHY` with the test's error."""
    now = _text(datetime.now(UTC))
    return {"integrationHealth": [_health(central, each, now) for each in central.store.integrations()]}


def _health(central: Central, integration: Integration, now: str) -> dict[str, str]:
    found = central.service.health(integration)
    return {
        "id": integration["id"],
        "name": integration["name"],
        "type": "IMAGE_INTEGRATION",
        "status": "UNHEALTHY" if found else "HEALTHY",
        "errorMessage": found.text if found else "",
        "lastTimestamp": now,
    }


fixed("GET /v1/integrationhealth/notifiers", UI_HEALTH, READER, {"integrationHealth": []})
fixed("GET /v1/integrationhealth/externalbackups", UI_HEALTH, READER, {"integrationHealth": []})
fixed("GET /v1/declarative-config/health", UI_HEALTH, READER, {"healths": []})


@companion("GET /v1/apitokens/generate/allowed-roles", UI_TOKENS, ACCESS_READER)
def allowed_roles(_central: Central, _visit: Visit) -> Any:
    """The names of Central's own roles: an admin may create a token with any of them."""
    return {"roleNames": list(ROLES)}


@companion("GET /v1/roles", UI_TOKENS, ACCESS_READER)
def roles(_central: Central, _visit: Visit) -> Any:
    """Central's own roles, with their permission on integrations."""
    return {"roles": [_role(name, permission) for name, permission in {**ROLES, NO_ROLE: NOTHING}.items()]}


def _role(name: str, permission: str) -> dict[str, Any]:
    return {
        "name": name,
        "description": "",
        "permissionSetId": str(uuid.uuid5(_NAMESPACE, f"permission set {name}")),
        "accessScopeId": str(uuid.uuid5(_NAMESPACE, "access scope Unrestricted")),
        "globalAccess": "NO_ACCESS",
        "resourceToAccess": _ACCESS[permission],
        "traits": {"mutabilityMode": "ALLOW_MUTATE", "visibility": "VISIBLE", "origin": "DEFAULT"},
    }


@companion("GET /api/docs/swagger", UI_REFERENCE, KNOWN)
def published(central: Central, _visit: Visit) -> Any:
    """The contract as Swagger 2.0, as Central publishes its API; `mock-central export` writes it to a file."""
    return export.swagger_2(central.contract)


@companion("GET /api/docs/v2/swagger", UI_REFERENCE, KNOWN)
def published_v2(central: Central, _visit: Visit) -> Any:
    """The same without operations: no image-integration path is below `/v2`."""
    document = export.swagger_2(central.contract)
    return {key: document[key] for key in ("swagger", "info", "basePath")} | {"paths": {}}


ENDPOINTS: Mapping[tuple[str, str], str] = {(each.method, each.path): each.id for each in COMPANIONS}
"""The names of the companions, by method and path."""


# -- serving them ------------------------------------------------------------------------------------


def blueprint(contract: Contract) -> Blueprint:
    """Return the blueprint of the companions."""
    made = Blueprint("companions", __name__)
    for each in COMPANIONS:
        view = partial(_serve, each, contract)
        made.add_url_rule(each.path, each.id, view, methods=[each.method], provide_automatic_options=False)
    return made


def _serve(companion: Companion, contract: Contract) -> Response:
    exchange = current()
    request = exchange.request
    if request.method != companion.method:  # Flask answers HEAD like GET, and accepts lower-case methods
        raise Rules(contract).refusal("method-not-allowed")
    exchange.is_logged = True
    body = request.body.read()
    found = companion.answered(exchange.sandbox.central, request.headers.get("authorization"), request.query, body)
    headers = GATEWAY_HEADERS if companion.gateway else JSON_HEADERS
    return json_answer(b"" if found is None else protojson.render(found), companion.status, headers)
