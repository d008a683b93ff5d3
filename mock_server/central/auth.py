"""Authentication and authorization of callers (pkg/grpc/authn, pkg/grpc/authz)."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass, fields

from mock_server.central.errors import Refusal, Rules
from mock_server.contract.tables import Contract, Operation
from mock_server.golang.text import quote

READ, WRITE, NOTHING = "read", "write", "nothing"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials that the mock accepts when authentication is enforced.

    Raises:
        ValueError: a token cannot be sent in a header, or two tokens are the same.
    """

    admin_token: str = "mock-admin-token"  # noqa: S105 (a mock's)
    """Token that may read and write."""
    read_only_token: str = "mock-read-only-token"  # noqa: S105
    """Token that may read."""
    no_access_token: str = "mock-no-access-token"  # noqa: S105
    """Token without the Integration permission."""
    no_role_token: str = "{{NO_ROLE}}"  # noqa: S105 (the fixtures' placeholder: a replay needs no option)
    """Token without a role."""
    username: str = "admin"
    """Name for basic authentication."""
    password: str = "mock-password"  # noqa: S105
    """Password for basic authentication."""

    def __post_init__(self) -> None:
        """Raise ValueError for tokens that cannot be sent, or that are equal."""
        tokens = {each.name: getattr(self, each.name) for each in fields(self) if each.name.endswith("_token")}
        for name, token in tokens.items():
            if not is_token(token):
                raise ValueError(f"{name}: is not a token; give one line of ASCII without spaces")
        by_token: dict[str, str] = {}
        for name, token in tokens.items():
            if other := by_token.get(token):
                raise ValueError(
                    f"{name}: is the same as the {other.replace('_', ' ')}; give each token a different value"
                )
            by_token[token] = name


def is_token(text: str) -> bool:
    """Return whether a text can be a bearer token in a header."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


class Auth:
    """Checks the Authorization header of a request."""

    def __init__(self, contract: Contract, credentials: Credentials, *, enforced: bool) -> None:
        """Without `enforced` callers need no credentials."""
        self.contract = contract
        self.rules = Rules(contract)
        self.credentials = credentials
        self.enforced = enforced

    def check(self, operation: Operation, header: str | None) -> None:
        """Raise the refusal of a caller without permission.

        Raises:
            Refusal: 401 or 403 for a write, always 403 for a read, because Central tries two ways of authorization and
                reports why both failed (pkg/grpc/authz/or/or.go).
        """
        try:
            permission = self.permission(header or "")
        except Refusal as refusal:
            if operation.permission == WRITE:
                raise
            raise self.read_permission(refusal.message, refusal.message) from None
        if operation.permission == WRITE:
            self.write_permission(permission)
        elif permission == NOTHING:
            missing = self.credentials_missing().message
            raise self.read_permission(missing, 'not authorized: "READ_ACCESS" for "Integration"')

    def permission(self, header: str) -> str:
        """Return the permission of the caller: a bearer token comes before basic credentials.

        Raises:
            Refusal: 401, the caller is unknown.
        """
        if header[:7].lower() == "bearer " and len(header) > 7:
            return self.token_permission(header[7:])
        if header.startswith("Basic "):
            self.check_basic(header[6:])
            return WRITE
        raise self.credentials_missing()

    def token_permission(self, token: str) -> str:
        """Return the permission of a bearer token (pkg/grpc/authn/tokenbased/extractor.go)."""
        known = self.credentials
        for candidate, permission in (
            (known.admin_token, WRITE),
            (known.read_only_token, READ),
            (known.no_access_token, NOTHING),
        ):
            if _equal(token, candidate):
                return permission
        if _equal(token, known.no_role_token):
            raise self.rules.refusal("role-missing")
        raise self.rules.refusal("token-invalid")

    def check_basic(self, encoded: str) -> None:
        """Check basic credentials (pkg/grpc/authn/basic/extractor.go)."""
        try:
            decoded = base64.b64decode(encoded, validate=True).decode("utf-8", "surrogateescape")
        except (binascii.Error, ValueError):
            raise self.rules.refusal("basic-malformed") from None
        user, colon, password = decoded.partition(":")
        if not colon or len(encoded) % 4:  # Python ignores excess padding
            raise self.rules.refusal("basic-malformed")
        if not self.is_known(user, password):
            raise self.rules.refusal("basic-invalid", user=quote(user))

    def is_known(self, user: str, password: str) -> bool:
        """Return whether these are the basic credentials."""
        known = self.credentials
        return _equal(user, known.username) and _equal(password, known.password)

    def credentials_missing(self) -> Refusal:
        """pkg/grpc/authn/interceptor.go."""
        return self.rules.refusal("credentials-missing")

    def write_permission(self, permission: str) -> None:
        """pkg/grpc/authz/user/user.go."""
        if permission != WRITE:
            raise self.rules.refusal("write-permission")

    def read_permission(self, first: str, second: str) -> Refusal:
        """pkg/grpc/authz/or/or.go."""
        return self.rules.refusal("read-permission", first=first, second=second)


def _equal(sent: str, known: str) -> bool:
    return hmac.compare_digest(sent.encode("utf-8", "surrogatepass"), known.encode("utf-8", "surrogatepass"))
