"""Who may do what: every operation with every kind of caller."""

from __future__ import annotations

import base64
from collections.abc import Callable

from contract_tests.central import Central, shown
from contract_tests.checks.lifecycle import own
from contract_tests.failures import CheckFailed, Skip
from contract_tests.registry import check
from contract_tests.transport import COLLECTION, Reply

Call = Callable[..., Reply]

UNKNOWN = {
    "token-invalid": ["Bearer not-a-token"],
    "basic-invalid": ["Basic " + base64.b64encode(b"admin:wrong").decode()],
    "basic-malformed": ["Basic !!!", "Basic " + base64.b64encode(b"no-colon").decode()],
    "credentials-missing": ["Digest x", "not-a-scheme"],
}


def enforced(central: Central) -> None:
    """Go on only if the target asks for credentials.

    Raises:
        Skip: it lets everybody in, and nobody said that it should not.
        CheckFailed: it lets everybody in although credentials were given.
    """
    reply = central.list(role="nobody")
    if reply.status != 200:
        return
    if central.options.credentials.admin is None:
        raise Skip("the target lets everybody in; give credentials to check that it should not")
    if central.get(central.unknown_id(), role="nobody").status == 404 and central.delete(
        central.unknown_id(), role="nobody"
    ).status not in (401, 403):
        raise CheckFailed("a caller without credentials is let in", expected={"status": 403}, got=shown(reply))


def operations(central: Central, id: str) -> list[tuple[str, bool, Call]]:
    """Give each operation: its name, whether it writes, and a call that would do it on `id`."""
    config = central.integration()
    return [
        ("GetImageIntegrations", False, central.list),
        ("GetImageIntegration", False, lambda **how: central.get(id, **how)),
        ("PostImageIntegration", True, lambda **how: central.create(central.integration(), **how)),
        ("PutImageIntegration", True, lambda **how: central.put(id, config, **how)),
        ("UpdateImageIntegration", True, lambda **how: central.patch(id, config, update_password=True, **how)),
        ("TestImageIntegration", True, lambda **how: central.test(central.integration("scannerv4"), **how)),
        (
            "TestUpdatedImageIntegration",
            True,
            lambda **how: central.test_updated(central.integration("scannerv4"), update_password=True, **how),
        ),
        ("DeleteImageIntegration", True, lambda **how: central.delete(id, **how)),
    ]


def refused_for(central: Central, reply: Reply, operation: str, writes: bool, rule: str, text: str) -> None:
    """See that a caller who is not known was refused as the operation does it."""
    if writes:
        central.refused(reply, f"{operation}: {rule}", status=401, code=16, text=text)
        central.true(
            bool(reply.headers.get("WWW-Authenticate")), f"{operation}: 401 without WWW-Authenticate", got=shown(reply)
        )
    else:
        texts = ("not authorized: no authorizer could authorize this request: errors: [", text)
        central.refused(reply, f"{operation}: {rule}", status=403, code=7, text=texts)


def unknown_caller(rule: str) -> Callable[[Central], None]:
    """Make the check of one way not to be known."""

    def run(central: Central) -> None:
        enforced(central)
        text = central.rules[rule].message.partition("{")[0]
        with central.case():
            id, _ = central.created()
            before = own(central)
            ways: list[dict[str, object]] = [{"headers": {"Authorization": header}} for header in UNKNOWN[rule]]
            if rule == "credentials-missing":
                ways.insert(0, {"role": "nobody"})
            for number, way in enumerate(ways):
                for operation, writes, call in operations(central, id):
                    if number and operation not in ("GetImageIntegrations", "PostImageIntegration"):
                        continue
                    refused_for(central, call(**way), operation, writes, rule, text)
            central.same(own(central), before, "the run's integrations after refused calls")

    return run


for _rule in UNKNOWN:
    check(_rule, "permissions", needs=("create",))(unknown_caller(_rule))


@check("role-missing", "permissions")
def role_missing(_central: Central) -> None:
    raise Skip("needs a token without a role, which no option gives")


@check("write-permission", "permissions", needs=("create",))
def write_permission(central: Central) -> None:
    roles = [role for role, given in _given(central).items() if given]
    if not roles:
        raise Skip("give a read-only token or one without access to check this")
    enforced(central)
    with central.case():
        id, _ = central.created()
        before = own(central)
        for role in roles:
            for operation, writes, call in operations(central, id):
                if writes:
                    reply = call(role=role)
                    central.refused_by(reply, "write-permission", f"{operation} with the {role} token")
        central.same(own(central), before, "the run's integrations after refused calls")


@check("read-permission", "permissions", needs=("create",))
def read_permission(central: Central) -> None:
    given = _given(central)
    if not any(given.values()):
        raise Skip("give a read-only token or one without access to check this")
    enforced(central)
    with central.case():
        id, _ = central.created()
        for operation, writes, call in operations(central, id):
            if writes:
                continue
            if given["read-only"]:
                central.taken(call(role="read-only"), f"{operation} with the read-only token")
            if given["no-access"]:
                text = 'not authorized: "READ_ACCESS" for "Integration"'
                reply = call(role="no-access")
                central.refused(reply, f"{operation} with the token without access", status=403, code=7, text=text)


def _given(central: Central) -> dict[str, bool]:
    credentials = central.options.credentials
    return {"read-only": credentials.read_only is not None, "no-access": credentials.no_access is not None}


@check("decoded-before-identity", "permissions", title="Body and route are looked at before the caller is")
def decoded_before_identity(central: Central) -> None:
    enforced(central)
    reply = central.create(body=b"{", role="nobody")
    central.refused_by(reply, "body-truncated", "half a body without credentials")
    reply = central.send("PUT", COLLECTION, value={}, role="nobody")
    central.refused_by(reply, "method-not-allowed", "a wrong method without credentials")
    reply = central.send("GET", "/v1/no-such-path", role="nobody")
    central.refused_by(reply, "unknown-route", "an unknown route without credentials")


@check("identity-before-lookup", "permissions", title="A caller who is not known does not learn what exists")
def identity_before_lookup(central: Central) -> None:
    enforced(central)
    id = central.unknown_id()
    central.refused(central.get(id, role="nobody"), "GET of an unknown id", status=403, code=7)
    central.refused(central.delete(id, role="nobody"), "DELETE of an unknown id", status=401, code=16)
    reply = central.put(id, central.integration(name=""), role="nobody")
    central.refused(reply, "PUT of an integration that is not valid", status=401, code=16)


@check("scheme-case", "permissions", writes=False, title="`Bearer` is read in any case, `Basic` only as it stands")
def scheme_case(central: Central) -> None:
    if central.options.credentials.admin is None:
        raise Skip("give credentials to check this")
    enforced(central)
    scheme, _, secret = central.options.credentials.admin.partition(" ")
    if scheme == "Bearer":
        central.taken(central.list(headers={"Authorization": f"bearer {secret}"}), "the list with a small `bearer`")
    else:
        text = "credentials not found"
        reply = central.list(headers={"Authorization": f"basic {secret}"})
        central.refused(reply, "the list with a small `basic`", status=403, code=7, text=text)


@check("token-silent", "permissions", writes=False, title="A refusal does not show the token that was refused")
def token_silent(central: Central) -> None:
    enforced(central)
    token = central.secret()
    reply = central.list(headers={"Authorization": f"Bearer {token}"})
    shown_in = [reply.text, *reply.headers.values()]
    central.true(all(token not in text for text in shown_in), "the refusal of a token shows it", got=reply.text[:300])
