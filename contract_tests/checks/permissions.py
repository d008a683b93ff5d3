"""Access: every operation with every kind of caller.

Central checks the route, then the body, then the caller, and only then looks up what is stored. It refuses an unknown
caller with 401 if the operation writes, and with 403 if it reads.

The checks need each other in the order callers, existence, credentials, so that one flaw is reported once.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from contract_tests.checks.registry import check
from contract_tests.engine.central import Central, brief
from contract_tests.engine.exchange import COLLECTION, Reply
from contract_tests.engine.failures import CheckFailed, PreconditionFailed, Skip
from contract_tests.engine.integrations import read_answer

Caller = Mapping[str, Any]
"""Arguments of a request that identify its caller: a role or an Authorization header."""
Call = Callable[..., Reply]

# The checks that each part needs; a check that was skipped for a reason does not skip the next one.
ASKED = ("create", "list", "credentials-missing", "read-permission")
ORDERED = (*ASKED, "identity-before-lookup")
SILENT = (*ORDERED, "token-silent")
EVERY_WAY = (*SILENT, "token-invalid", "basic-invalid", "basic-malformed")

NOBODY: Caller = {"role": "nobody"}
READING = 'not authorized: "READ_ACCESS" for "Integration"'
# A token without a signature, long expired, that claims to be an administrator's.
UNSIGNED = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsImV4cCI6MX0."


def header(text: str) -> Caller:
    """Return a caller with this Authorization header."""
    return {"headers": {"Authorization": text}}


def basic(text: str) -> str:
    """Return an Authorization header with basic credentials."""
    return "Basic " + base64.b64encode(text.encode()).decode()


def required_credentials(central: Central) -> str:
    """Return the credentials that the target requires.

    Raises:
        Skip: the run has none.
    """
    if central.options.credentials.admin is None:
        raise Skip("the run has no credentials, so it cannot check access; give a token with --token-file")
    return central.options.credentials.admin


def writes(central: Central, id: str) -> list[tuple[str, Call]]:
    """Return each operation that needs write permission: its name, and a call that performs it on `id`."""
    other = central.integration()
    return [
        *writes_without_id(central),
        ("PUT", lambda **how: central.put(id, other, **how)),
        ("PATCH", lambda **how: central.patch(id, other, update_password=True, **how)),
        ("DELETE", lambda **how: central.delete(id, **how)),
    ]


def writes_without_id(central: Central) -> list[tuple[str, Call]]:
    """Return the operations of `writes` that need no existing integration."""
    tested = central.integration("scannerv4")
    return [
        ("POST", lambda **how: central.create(central.integration(), **how)),
        ("POST /test", lambda **how: central.test(tested, **how)),
        ("POST /test/updated", lambda **how: central.test_updated(tested, update_password=True, **how)),
    ]


def reads(central: Central) -> list[tuple[str, Call]]:
    """Return each operation that reads; the id is that of any existing integration."""
    ids = [str(item.get("id")) for item in (central.list().integrations or ())[:1]]
    return [
        ("GET of the list", central.list),
        *(("GET of an integration", lambda **how: central.get(ids[0], **how)) for _ in ids),
        ("GET of the list by name", lambda **how: central.list(f"?name={central.name()}", **how)),
    ]


def check_writes_refused(
    central: Central, calls: Sequence[tuple[str, Call]], caller: Caller, rule: str, **values: str
) -> None:
    """Check that each operation that writes refuses a caller by the rule."""
    for operation, call in calls:
        central.refused_by(call(**caller), rule, f"{operation} that breaks {rule}", **values)


def check_some_writes_refused(
    central: Central, caller: Caller, rule: str, few: int, usual: int | None = None, **values: str
) -> None:
    """Check that some of the operations that write, on an unknown id, refuse a caller by the rule."""
    check_writes_refused(
        central, central.some(writes(central, central.unknown_id()), few, usual), caller, rule, **values
    )


def check_reads_refused(
    central: Central, calls: Sequence[tuple[str, Call]], caller: Caller, first: str, second: str | None = None
) -> None:
    """Check that each operation that reads refuses a caller, with the reasons of both ways to sign in."""
    for operation, call in central.cases(calls):
        what = f"{operation} without the permission to read"
        central.refused_by(call(**caller), "read-permission", what, first=first, second=second or first)


def check_nothing_changed(central: Central, caller: Caller, rule: str) -> None:
    """Check that each operation that writes refuses the caller and changes nothing."""
    with central.case():
        id, sent = central.spare()
        before = {id: read_answer(central.contract, sent, id)} if central.quick else central.listed()
        check_writes_refused(central, writes(central, id), caller, rule)
        central.same(central.listed(), before, "the list after refused requests")


# -- callers without credentials, or without a permission ---------------------------------------------


@check("credentials-missing", "permissions")
def credentials_missing(central: Central) -> None:
    secret = required_credentials(central).partition(" ")[2]
    check_nothing_changed(central, NOBODY, "credentials-missing")
    # Header values lose leading and trailing spaces, so a scheme alone has no trailing space.
    for text in central.cases(["Digest x", *central.some([secret, "Bearer", "Basic", f"Token {secret}", ""], 1)]):
        calls = central.some(writes_without_id(central), 1, 2)
        check_writes_refused(central, calls, header(text), "credentials-missing")
    if not central.quick:
        reply = central.test(central.integration("scannerv4"), role="nobody")
        central.same(reply.message, central.text("credentials-missing"), "the whole message for an unknown caller")


@check("read-permission", "permissions", needs=("credentials-missing",), writes=False)
def read_permission(central: Central) -> None:
    required_credentials(central)
    calls: Sequence[tuple[str, Call]] = reads(central)
    none = central.text("credentials-missing")
    check_reads_refused(central, calls, NOBODY, none)
    check_reads_refused(central, central.some(calls, 0, 3), header("Digest x"), none)
    if central.options.credentials.read_only is not None:
        for operation, call in calls[:2]:
            central.ok(call(role="read-only"), f"{operation} with the read-only token")
    if central.options.credentials.no_access is not None:
        calls = central.some(calls, 2, 3)
        if central.text("role-missing") in central.list(role="no-access").message:
            check_reads_refused(central, calls, {"role": "no-access"}, central.text("role-missing"))
        else:
            check_reads_refused(central, calls, {"role": "no-access"}, none, READING)


@check(
    "identity-before-lookup",
    "permissions",
    "A caller without credentials learns what exists, or what is wrong with a request",
    needs=ASKED,
)
def identity_before_lookup(central: Central) -> None:
    required_credentials(central)
    id = central.unknown_id()
    invalid = central.integration(name="")
    with central.case():
        central.refused(central.get(id, role="nobody"), "GET of an unknown id", status=403, code=7)
        for what, reply in (
            ("DELETE of an unknown id", central.delete(id, role="nobody")),
            ("PUT of an invalid integration", central.put(id, invalid, role="nobody")),
        ):
            central.refused(reply, what, status=401, code=16)
    if central.quick:
        return
    with central.case():
        for what, reply in (
            ("PATCH of an unknown id", central.patch(id, central.integration(), role="nobody")),
            ("POST of an invalid integration", central.create(invalid, role="nobody")),
            ("POST with an id", central.create(central.integration(id=id), role="nobody")),
            ("a test of an invalid integration", central.test(invalid, role="nobody")),
            ("a test without an integration", central.test_updated(None, role="nobody")),
        ):
            central.refused(reply, what, status=401, code=16)


def has_no_role(central: Central) -> bool:
    """Return whether the token without access has no role at all, for which Central has a different error."""
    if central.options.credentials.no_access is None:
        return False
    return central.text("role-missing") in central.test(central.integration("scannerv4"), role="no-access").message


@check("write-permission", "permissions", needs=ORDERED)
def write_permission(central: Central) -> None:
    required_credentials(central)
    given = central.options.credentials
    if given.read_only is None and given.no_access is None:
        raise Skip("needs a caller that may not write; give --read-only-token-file or --no-access-token-file")
    if given.read_only is not None:
        check_nothing_changed(central, {"role": "read-only"}, "write-permission")
    if given.no_access is not None and not has_no_role(central):
        with central.case():
            check_some_writes_refused(central, {"role": "no-access"}, "write-permission", 3, 6)
    if given.read_only is not None and not central.quick:
        with central.case():  # the answer does not depend on whether the integration exists
            check_some_writes_refused(central, {"role": "read-only"}, "write-permission", 6)


@check("role-missing", "permissions", needs=(*ORDERED, "token-invalid"))
def role_missing(central: Central) -> None:
    required_credentials(central)
    if central.options.credentials.no_role is not None:
        caller = {"role": "no-role"}
    elif has_no_role(central):
        caller = {"role": "no-access"}
    else:
        raise Skip("needs a caller without a role; give --no-role-token-file")
    if central.quick:
        check_some_writes_refused(central, caller, "role-missing", 2)
    else:
        check_nothing_changed(central, caller, "role-missing")


# -- unknown callers -----------------------------------------------------------------------------------


@check(
    "token-silent", "permissions", "An error shows the token or the password that it refuses", needs=ASKED, writes=False
)
def token_silent(central: Central) -> None:
    required_credentials(central)
    number = central.random.randrange(10**9, 10**10)
    # Basic credentials: only the user name may be shown.
    for text in central.cases((f"Bearer token-{number}", basic(f"admin:word-{number}"))):
        reply = central.list(**header(text))
        for found in (reply.text, *reply.headers.values()):
            if str(number) in found or text.partition(" ")[2] in found:
                raise CheckFailed("the error shows the credential", expected="no part of it", got=found[:300])


@check("token-invalid", "permissions", needs=SILENT)
def token_invalid(central: Central) -> None:
    secret = required_credentials(central).partition(" ")[2]
    wrong = header("Bearer not-a-token")
    with central.case():
        check_some_writes_refused(central, wrong, "token-invalid", 4)
    check_reads_refused(central, central.some(reads(central), 1, 3), wrong, central.text("token-invalid"))
    near = [f"x{secret}", f"{secret} {secret}", secret[: len(secret) // 2] or "x", UNSIGNED]
    near += [each for each in (secret.swapcase(),) if each != secret]
    for token in central.cases([f"{secret}x", secret[:-1], *central.some(near, 1)]):
        check_some_writes_refused(central, header(f"Bearer {token}"), "token-invalid", 1, 2)


@check("basic-invalid", "permissions", needs=SILENT)
def basic_invalid(central: Central) -> None:
    user = _user(required_credentials(central))
    more = central.some([("nobody", "wrong"), (user, user), ("", "")], 0)
    for name, password in central.cases([(user, "wrong"), (user, ""), *more]):
        caller = header(basic(f"{name}:{password}"))
        check_some_writes_refused(central, caller, "basic-invalid", 1, 3, user=f'"{name}"')
    reason = central.text("basic-invalid", user=f'"{user}"')
    check_reads_refused(central, central.some(reads(central), 1, 2), header(basic(f"{user}:wrong")), reason)


def _user(authorization: str) -> str:
    """Return the name of an existing user, if the run knows one."""
    scheme, _, coded = authorization.partition(" ")
    if scheme != "Basic":
        return "admin"
    return base64.b64decode(coded).decode("utf-8", "replace").partition(":")[0]


@check("basic-malformed", "permissions", needs=(*SILENT, "basic-invalid"))
def basic_malformed(central: Central) -> None:
    required_credentials(central)
    malformed = ["Basic !!!", basic("no-colon"), "Basic YWRtaW4", "Basic admin:password"]
    for text in central.cases(central.some(malformed, 2)):
        check_some_writes_refused(central, header(text), "basic-malformed", 1, 3)
    calls = central.some(reads(central), 1, 2)
    check_reads_refused(central, calls, header("Basic !!!"), central.text("basic-malformed"))


# -- the request and the answer -----------------------------------------------------------------------


@check("decoded-before-identity", "permissions", "Credentials are checked before the route and the body", needs=ASKED)
def decoded_before_identity(central: Central) -> None:
    required_credentials(central)
    id = central.unknown_id()
    routes = [("POST", ""), ("PUT", f"/{id}"), ("PATCH", f"/{id}"), ("POST", "/test"), ("POST", "/test/updated")]
    for method, path in central.some(routes, 1):
        reply = central.send(method, COLLECTION + path, body=b"{", role="nobody")
        central.refused_by(reply, "body-truncated", f"{method} of half a body without credentials")
    reply = central.send("PUT", COLLECTION, value={}, role="nobody")
    central.refused_by(reply, "method-not-allowed", "a wrong method without credentials")
    reply = central.send("GET", "/v1/no-such-path", role="nobody")
    central.refused_by(reply, "unknown-route", "an unknown route without credentials")


@check(
    "www-authenticate",
    "permissions",
    "WWW-Authenticate of a 401 differs from the message",
    source="pkg/grpc/server_error_handler.go",
    needs=EVERY_WAY,
)
def www_authenticate(central: Central) -> None:
    required_credentials(central)
    for caller in central.some([NOBODY, header("Bearer not-a-token"), header("Basic !!!")], 1):
        reply = central.test(central.integration("scannerv4"), **caller)
        if reply.status != 401:
            raise PreconditionFailed("credentials-missing", f"a test without known credentials answered {brief(reply)}")
        central.same(reply.headers.get("WWW-Authenticate"), reply.message, "WWW-Authenticate of a 401")


@check(
    "scheme-case",
    "permissions",
    "The scheme `bearer` in lower case is refused, or `basic` is accepted",
    source="pkg/grpc/authn/util.go",
    needs=EVERY_WAY,
    writes=False,
)
def scheme_case(central: Central) -> None:
    scheme, _, secret = required_credentials(central).partition(" ")
    for small in ["bearer", *central.some(("BEARER", "bEARER"), 0)]:
        if scheme == "Bearer":
            reply = central.list(**header(f"{small} {secret}"))
            central.ok(reply, f"the list with the scheme `{small}`")
    coded = secret if scheme == "Basic" else basic("admin:wrong").partition(" ")[2]
    for small in ["basic", *central.some(("BASIC",), 0)]:
        reply = central.list(**header(f"{small} {coded}"))
        none = central.text("credentials-missing")
        central.refused_by(reply, "read-permission", f"the list with the scheme `{small}`", first=none, second=none)
