"""The outcomes of registry tests: what a host answers, or how reaching it fails."""

from __future__ import annotations

import json
import re

from mock_server.golang.http import Reply


def _aws(error: str, message: str) -> Reply:
    return Reply(status=400, body=json.dumps({"__type": error, "message": message}))


def _oauth(description: str) -> Reply:
    return Reply(status=400, body=f'{{"error":"invalid_grant","error_description":"{description}"}}')


ANSWERS = {
    "unauthorized": Reply(status=401),
    "forbidden": Reply(status=403),
    "missing": Reply(status=404),
    "failing": Reply(status=500),
    # Errors of specific services: AWS's API, Google's token server, registries.
    "ecr-token-expired": Reply(
        status=403,
        body='{"errors":[{"code":"DENIED",'
        '"message":"Your authorization token has expired. Reauthenticate and try again."}]}\n',
    ),
    "aws-key-unknown": _aws("UnrecognizedClientException", "The security token included in the request is invalid."),
    "aws-signature-wrong": _aws(
        "InvalidSignatureException",
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
        "Key and signing method. Consult the service documentation for details.",
    ),
    "aws-session-expired": _aws("ExpiredTokenException", "The security token included in the request is expired"),
    "aws-access-denied": _aws(
        "AccessDeniedException",
        "User: arn:aws:iam::123456789012:user/example is not authorized to perform: ecr:GetAuthorizationToken on "
        "resource: * because no identity-based policy allows the ecr:GetAuthorizationToken action",
    ),
    "aws-throttled": _aws("ThrottlingException", "Rate exceeded"),
    "google-key-revoked": _oauth("Invalid JWT Signature."),
    "google-account-missing": _oauth("Invalid grant: account not found"),
    "quay-token-invalid": Reply(status=401, body='{"error": "Invalid bearer token format"}'),
    "azure-unauthorized": Reply(
        status=401, body='{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":null}]}\n'
    ),
}
"""The replies of hosts that answer, by outcome."""
_NETWORK = {
    "unreachable": "dial tcp: lookup {host}: no such host",
    "timeout": "context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
    "certificate": "tls: failed to verify certificate: x509: certificate signed by unknown authority",
}
"""The errors of Go's HTTP client for hosts that do not answer, by outcome."""
_NOT_FOUND_AT_AN_ADDRESS = "dial tcp {address}: connect: connection refused"
"""Replaces the failed look-up for an address, which is never looked up."""
PASSES = "pass"
OUTCOMES = (PASSES, *_NETWORK, *ANSWERS)

_ADDRESS = re.compile(r"[0-9]+(?:\.[0-9]+){3}|.*:.*", re.DOTALL)


def network_failure(outcome: str, host: str, address: str) -> str | None:
    """Return the error of Go's HTTP client if a host does not answer; `address` is host and port."""
    if outcome not in _NETWORK:
        return None
    if outcome == "unreachable" and _ADDRESS.fullmatch(host):
        return _NOT_FOUND_AT_AN_ADDRESS.format(address=address)
    return _NETWORK[outcome].format(host=host)
