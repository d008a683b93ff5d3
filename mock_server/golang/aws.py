"""The errors of AWS's library when it requests a token for ECR (aws-sdk-go-v2).

It uses ``service/ecr``, ``service/sts`` and ``feature/ec2/imds``.
"""

from __future__ import annotations

import json
import re

from mock_server.golang import http as gohttp
from mock_server.golang import url as gourl
from mock_server.golang.http import Ask, Reply
from mock_server.golang.text import quote
from mock_server.golang.url import UrlSyntax

_ATTEMPTS = "exceeded maximum number of attempts, 3, "
_METADATA = "http://169.254.169.254/latest/meta-data/iam/security-credentials/"
_STS_ERRORS = {
    "UnrecognizedClientException": (403, "InvalidClientTokenId"),
    "InvalidSignatureException": (403, "SignatureDoesNotMatch"),
    "ExpiredTokenException": (403, "ExpiredToken"),
    "AccessDeniedException": (403, "AccessDenied"),
    "ThrottlingException": (400, "Throttling"),
}
"""STS names the same errors differently."""
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_REGION = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_DOMAINS = (
    (r"cn-\w+-\d+|aws-cn-global", "amazonaws.com.cn"),
    (r"us-iso-\w+-\d+", "c2s.ic.gov"),
    (r"us-isob-\w+-\d+", "sc2s.sgov.gov"),
    (r"us-isof-\w+-\d+", "csp.hci.ic.gov"),
    (r"eu-isoe-\w+-\d+", "cloud.adc-e.uk"),
    (r"eusc-de-\w+-\d+", "amazonaws.eu"),
)


def token_error(
    region: str, endpoint: str, ask: Ask, syntax: UrlSyntax, *, instance_role: bool, assume_role: bool
) -> str | None:
    """Return the error of requesting a token for ECR, or None.

    Args:
        region: The region of the registry.
        endpoint: The URL of the API; if it is empty, the region determines it.
        ask: Sends a request.
        syntax: How URLs are read.
        instance_role: The keys are those of the machine's role.
        assume_role: STS exchanges the keys for those of another role.
    """
    identity = (_instance_role_error(ask) if instance_role else None) or (
        _assume_role_error(region, ask, syntax) if assume_role else None
    )
    if identity is not None:
        again = _ATTEMPTS if _ATTEMPTS in identity else ""
        return f"{again}get identity: get credentials: {identity}"
    if not _REGION.fullmatch(region):
        return f"failed to bind endpoint params, invalid input region {region}"
    if not endpoint:
        return _call_error(f"https://api.ecr.{region}.{_domain(region)}/", ask, syntax)
    base = (endpoint if endpoint.startswith("http") else f"https://{endpoint}").rstrip("/")
    try:
        url = gourl.parse(base, syntax)
    except gourl.UrlError:
        return f"failed to resolve service endpoint, Failed to parse uri: {base}"
    path = url.path if url.path.startswith(b"/") else b"/" + url.path
    host = url.host.decode("utf-8", "replace")
    return _call_error((f"{url.scheme}://{host}" if url.scheme else "") + path.decode(), ask, syntax)


def _instance_role_error(ask: Ask) -> str | None:
    """Return the error of requesting the machine's keys from its metadata service."""
    reply = ask("Get", _METADATA)
    if reply.error is None and reply.status == 200:
        return None
    reason = (
        f"request send failed, {reply.error}"
        if reply.error is not None
        else f"http response error StatusCode: {reply.status}, request to EC2 IMDS failed"
    )
    return (
        f"failed to refresh cached credentials, no EC2 IMDS role found, operation error ec2imds: GetMetadata, {reason}"
    )


def _assume_role_error(region: str, ask: Ask, syntax: UrlSyntax) -> str | None:
    start = "operation error STS: AssumeRole, "
    if not _REGION.fullmatch(region):
        return f"{start}failed to bind endpoint params, invalid input region {region}"
    failed = _call_error(f"https://sts.{region}.{_domain(region)}/", ask, syntax)
    return failed and start + failed


def _call_error(url: str, ask: Ask, syntax: UrlSyntax) -> str | None:
    """Return the error of a call at a URL without userinfo, query and fragment."""
    reply = ask("Post", url)
    if reply.error is not None:
        reason = reply.error.removeprefix(f"Post {quote(str(gohttp.asked(url, syntax).url))}: ")
        sent = f"Post {quote(_escaped(url))}: {reason}"
        return f"{_ATTEMPTS}https response error StatusCode: 0, RequestID: , request send failed, {sent}"
    if reply.status == 200:
        return None
    status, error = _api_error(reply, is_sts="//sts." in url)
    again = _ATTEMPTS if status >= 500 or error.startswith("Throttling") else ""
    return f"{again}https response error StatusCode: {status}, RequestID: , api error {error}"


def _escaped(url: str) -> str:
    """Write a URL as the AWS library does."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        return url
    host, slash, path = rest.partition("/")
    return f"{scheme}://{gourl.escaped_host(host)}{slash}{path}"


def _api_error(reply: Reply, *, is_sts: bool) -> tuple[int, str]:
    """Return status and text of an error, which the AWS library finds in the body."""
    try:
        found = json.loads(reply.body)
        error, message = found["__type"], found["message"]
    except (ValueError, KeyError, TypeError):
        return reply.status, "UnknownError: UnknownError"
    if not is_sts:
        return reply.status, f"{error}: {message}"
    status, name = _STS_ERRORS[error]
    return status, f"{name}: {message.replace('ecr:GetAuthorizationToken', 'sts:AssumeRole')}"


def _domain(region: str) -> str:
    """Return the domain of a region's APIs; Central expects every registry at amazonaws.com."""
    return next((domain for pattern, domain in _DOMAINS if re.fullmatch(pattern, region)), "amazonaws.com")
