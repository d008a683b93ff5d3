"""Why Google's library does not take a text for credentials (golang.org/x/oauth2 ``google``).

The text is read into a Go struct: names count in either case, null changes nothing, and the first value of
a wrong JSON type is told. Keys are not looked at, nor is what stands inside of `credential_source` and
`source_credentials`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from mock_server.golang import json as gojson
from mock_server.golang.text import quote

_FIELDS: Mapping[str, tuple[str, str]] = dict.fromkeys(
    (
        *("type", "client_email", "private_key_id", "private_key", "auth_uri", "token_uri", "project_id"),
        *("universe_domain", "client_secret", "client_id", "refresh_token", "audience", "subject_token_type"),
        *("token_url", "token_info_url", "service_account_impersonation_url", "quota_project_id"),
        *("workforce_pool_user_project", "revoke_url"),
    ),
    ("string", "string"),
) | {
    "service_account_impersonation": ("object", "google.serviceAccountImpersonationInfo"),
    "delegates": ("array", "[]string"),
    "credential_source": ("object", "externalaccount.CredentialSource"),
    "source_credentials": ("object", "google.credentialsFile"),
}
"""The fields of the struct: the JSON type each asks for and the name of its type in Go."""
_KINDS = {ord('"'): "string", ord("{"): "object", ord("["): "array", ord("t"): "bool", ord("f"): "bool"}
_WORKFORCE = re.compile(r"//iam\.googleapis\.com/locations/[^/]+/workforcePools/")


def error(text: bytes) -> str | None:
    """Return the library's reason to refuse `text`, or None for credentials.

    Raises:
        JsonSyntaxError: it is not JSON.
    """
    gojson.check_document(text)
    document = text.strip(b" \t\r\n")
    if document == b"null":
        document = b"{}"
    if not document.startswith(b"{"):
        return f"json: cannot unmarshal {_kind(document)} into Go value of type google.credentialsFile"
    values: dict[str, bytes] = {}
    wrong = None
    for key, value in gojson.members(document):
        name = key.casefold()
        if name not in _FIELDS or value == b"null":
            continue
        asked, go_type = _FIELDS[name]
        if _kind(value) == asked:
            values[name] = value
        elif wrong is None:
            wrong = f"{_kind(value)} into Go struct field credentialsFile.{name} of type {go_type}"
    return f"json: cannot unmarshal {wrong}" if wrong else _source_error(values)


def _kind(value: bytes) -> str:
    return _KINDS.get(value[0], "number")


def _source_error(values: Mapping[str, bytes]) -> str | None:
    """Return what keeps the library from making a source of tokens out of the fields that are set."""
    texts = {name: json.loads(value) for name, value in values.items() if _FIELDS[name][0] == "string"}
    kind = texts.get("type", "")
    if kind == "":
        return "missing 'type' field in credentials"
    if kind == "external_account":
        return _external_error(texts)
    if kind == "external_account_authorized_user":
        if all(map(texts.get, ("refresh_token", "token_url", "client_id", "client_secret"))):
            return None
        return (
            "oauth2/google: Token should be created with fields to make it valid (`token` and `expiry`), or fields "
            "to allow it to refresh (`refresh_token`, `token_url`, `client_id`, `client_secret`)."
        )
    if kind == "impersonated_service_account":
        if texts.get("service_account_impersonation_url") and "source_credentials" in values:
            return None
        return "missing 'source_credentials' field or 'service_account_impersonation_url' in credentials"
    return None if kind in ("service_account", "authorized_user") else f"unknown credential type: {quote(kind)}"


def _external_error(texts: Mapping[str, str]) -> str | None:
    audience = texts.get("audience", "")
    reason = None
    if audience == "":
        reason = "Audience must be set"
    elif texts.get("subject_token_type", "") == "":
        reason = "Subject token type must be set"
    elif texts.get("workforce_pool_user_project", "") and not _WORKFORCE.search(audience):
        reason = "Workforce pool user project should not be set for non-workforce pool credentials"
    return reason and f"oauth2/google/externalaccount: {reason}"
