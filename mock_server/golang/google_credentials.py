"""Google's credentials as two libraries read them.

Registries use golang.org/x/oauth2 ``google``, which checks a key when it needs a token; scanners use
cloud.google.com/go/auth ``credentials``, which checks it immediately. This module sends no requests (`Ask` answers
them), reads no files and runs no programs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from mock_server.golang import private_key
from mock_server.golang.http import Ask, Reply
from mock_server.golang.struct import Struct, Values, unmarshal
from mock_server.golang.text import quote
from mock_server.golang.url import parse

TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 (an address)
EXCHANGE_URL = "https://sts.googleapis.com/v1/token"


def _struct(go_type: str, texts: str, **others: str | Struct) -> Struct:
    """Return a struct; `texts` names its fields that are strings."""
    return Struct(go_type, {**dict.fromkeys(texts.split(), "string"), **others})


def _client_file(texts: str = "") -> Struct:
    """Return the struct of a client-id file, which Google's console offers for download.

    Its Go types have no names, because no answer shows the error of such a file.
    """
    fields = _struct("", "client_id client_secret auth_uri token_uri", redirect_uris="[]string")
    return _struct("", texts, web=fields, installed=fields)


def _source(package: str, texts: str = "", **others: str | Struct) -> Struct:
    """Return the struct that says where another identity provider's token is, with the fields of one library."""
    return _struct(
        f"{package}.CredentialSource",
        "file url environment_id region_url regional_cred_verification_url imdsv2_session_token_url " + texts,
        headers="map[string]string",
        executable=_struct(f"{package}.ExecutableConfig", "command output_file", timeout_millis="int"),
        format=_struct(f"{package}.Format", "type subject_token_field_name"),
        **others,
    )


_CONSOLE = _client_file()
_FILE = _struct(
    "google.credentialsFile",
    "type client_email private_key_id private_key auth_uri token_uri project_id universe_domain client_secret "
    "client_id refresh_token audience subject_token_type token_url token_info_url service_account_impersonation_url "
    "quota_project_id workforce_pool_user_project revoke_url",
    service_account_impersonation=Struct("google.serviceAccountImpersonationInfo", {"token_lifetime_seconds": "int"}),
    delegates="[]string",
    credential_source=_source("externalaccount"),
)
_FILE.fields["source_credentials"] = _FILE  # type: ignore[index]  # a file in a file, at any depth
_WORKFORCE = re.compile(r"//iam\.googleapis\.com/locations/[^/]+/workforcePools/")
_AWS = re.compile(r"aws([+-]?[0-9]+)")
_EXTERNAL = "oauth2/google/externalaccount: "


# -- registries: golang.org/x/oauth2 google ---------------------------------------------------------


def is_client_file(text: bytes) -> bool:
    """Return whether a text is a client-id file of Google's console, on which Central's token source panics."""
    return _is_client_file(text, _CONSOLE)


def _is_client_file(text: bytes, struct: Struct) -> bool:
    values, error = unmarshal(text, struct)
    found = values.get("web", values.get("installed"))
    return error is None and found is not None and len(found.get("redirect_uris", ())) > 0


def error(text: bytes) -> str | None:
    """Return the error of making a token source from a text that is not a client-id file, or None.

    Raises:
        JsonSyntaxError: it is not JSON.
    """
    values, wrong = unmarshal(text, _FILE)
    return wrong or _source_error(values)


def _source_error(values: Values) -> str | None:
    kind = values.get("type", "")
    if kind == "":
        return "missing 'type' field in credentials"
    if kind == "external_account":
        return _external_error(values, _EXTERNAL, "Workforce pool user project")
    if kind == "external_account_authorized_user":
        if _can_refresh(values):
            return None
        return (
            "oauth2/google: Token should be created with fields to make it valid (`token` and `expiry`), or fields "
            "to allow it to refresh (`refresh_token`, `token_url`, `client_id`, `client_secret`)."
        )
    if kind == "impersonated_service_account":
        if values.get("service_account_impersonation_url") and "source_credentials" in values:
            return _source_error(values["source_credentials"])
        return "missing 'source_credentials' field or 'service_account_impersonation_url' in credentials"
    return None if kind in ("service_account", "authorized_user") else f"unknown credential type: {quote(kind)}"


def _can_refresh(values: Values) -> bool:
    return all(map(values.get, ("refresh_token", "token_url", "client_id", "client_secret")))


def _external_error(values: Values, start: str, project: str) -> str | None:
    audience = values.get("audience", "")
    if audience == "":
        return f"{start}Audience must be set"
    if values.get("subject_token_type", "") == "":
        return f"{start}Subject token type must be set"
    if values.get("workforce_pool_user_project") and not _WORKFORCE.search(audience):
        return f"{start}{project} should not be set for non-workforce pool credentials"
    return None


def token_error(text: bytes, ask: Ask) -> str | None:
    """Return the error of requesting a token with a text without `error`, or None."""
    return _token_error(unmarshal(text, _FILE).values, ask)


def _token_error(values: Values, ask: Ask) -> str | None:
    kind = values["type"]
    if kind == "service_account":
        if reason := private_key.rsa_error(values.get("private_key", "").encode("utf-8", "surrogatepass")):
            return reason
        return _fetched(ask("Post", values.get("token_uri") or TOKEN_URL), "oauth2: cannot fetch token: ")
    if kind == "authorized_user":
        if not values.get("refresh_token"):
            return "oauth2: token expired and refresh token is not set"
        return _fetched(ask("Post", values.get("token_uri") or TOKEN_URL), "")
    if kind == "external_account_authorized_user":
        return _exchanged(values["token_url"], ask)
    if kind == "impersonated_service_account":
        return _impersonated(values, _token_error(values["source_credentials"], ask), ask)
    found = _subject_error(values.get("credential_source", {}), ask) or _exchanged(
        values.get("token_url") or EXCHANGE_URL, ask
    )
    return _impersonated(values, found, ask) if values.get("service_account_impersonation_url") else found


def _fetched(reply: Reply, start: str) -> str | None:
    if reply.error is not None:
        return start + reply.error
    if reply.status < 300:
        return None
    return f"oauth2: cannot fetch token: {reply.status} {HTTPStatus(reply.status).phrase}\nResponse: {reply.body}"


def _failed(reply: Reply, start: str, unparsed: str, unsent: str) -> str | None:
    """Return the error of a reply: of a URL that Go does not parse, of a request without an answer, or of a status."""
    if reply.error is not None:
        return f"{start}{unparsed if reply.error.startswith('parse ') else unsent}: {reply.error}"
    return f"{start}status code {reply.status}: {reply.body}" if reply.status >= 300 else None


def _exchanged(url: str, ask: Ask) -> str | None:
    unparsed, unsent = "failed to properly build http request", "invalid response from Secure Token Server"
    return _failed(ask("Post", url), "oauth2/google: ", unparsed, unsent)


def _impersonated(values: Values, source_error: str | None, ask: Ask) -> str | None:
    """Return the error of requesting the token of another account, which needs a token itself."""
    url = values["service_account_impersonation_url"]
    reply = ask("Post", url)
    if source_error is not None and not (reply.error or "").startswith("parse "):
        reply = Reply(f"Post {quote(str(parse(url)))}: {source_error}")
    unparsed, unsent = "unable to create impersonation request", "unable to generate access token"
    return _failed(reply, "oauth2/google: ", unparsed, unsent)


def _subject_error(source: Mapping[str, Any], ask: Ask) -> str | None:
    """Return the error of reading the token of the other identity provider."""
    environment = source.get("environment_id", "")
    if environment.startswith("aws") and len(environment) > 3:
        without_url = f"{_EXTERNAL}unable to determine the AWS metadata server security credentials endpoint"
        return _environment_error(environment, _EXTERNAL) or (None if source.get("url") else without_url)
    if source.get("file"):
        return f"{_EXTERNAL}failed to open credential file {quote(source['file'])}"
    if source.get("url"):
        return _subject_at_url_error(source, ask)
    if "executable" in source:
        executable = source["executable"]
        return _executable_error(executable, executable.get("timeout_millis"), _EXTERNAL) or (
            f"{_EXTERNAL}executables need to be explicitly allowed "
            "(set GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES to '1') to run"
        )
    return f"{_EXTERNAL}unable to parse credential source"


def _subject_at_url_error(source: Mapping[str, Any], ask: Ask) -> str | None:
    unparsed = "HTTP request for URL-sourced credential failed"
    unsent = "invalid response when retrieving subject token"
    if found := _failed(ask("Get", source["url"]), _EXTERNAL, unparsed, unsent):
        return found
    if source.get("format", {}).get("type", "") not in ("", "text", "json"):
        return f"{_EXTERNAL}invalid credential_source file format type"
    return None


def _environment_error(environment: str, start: str) -> str | None:
    """Return the error of an environment of AWS, such as ``aws1``, or None."""
    match = _AWS.fullmatch(environment)
    if match is None:
        return f"{start}unable to parse credential source"
    version = int(match[1])
    return None if version == 1 else f"{start}aws version '{version}' is not supported in the current build"


def _executable_error(executable: Mapping[str, Any], milliseconds: int | None, start: str) -> str | None:
    """Return the error of a command that would print the token, or None; `milliseconds` are its time-out, if set."""
    if not executable.get("command"):
        return f"{start}missing `command` field — executable command must be provided"
    if milliseconds is not None and not 5_000 <= milliseconds <= 120_000:
        return f"{start}invalid `timeout_millis` field — executable timeout must be between 5 and 120 seconds"
    return None


# -- scanners: cloud.google.com/go/auth credentials ----------------------------------------------------

_SCANNER_CONSOLE = _client_file("universe_domain")
_CHECKED = _struct("credsfile.fileTypeChecker", "type")
_ACCOUNT = _struct(
    "credsfile.ServiceAccountFile",
    "type project_id private_key_id private_key client_email client_id auth_uri token_uri universe_domain",
)
_USER = _struct(
    "credsfile.UserCredentialsFile",
    "type client_id client_secret quota_project_id refresh_token universe_domain",
)
_EXTERNAL_USER = _struct(
    "credsfile.ExternalAccountAuthorizedUserFile",
    "type audience client_id client_secret refresh_token token_url token_info_url revoke_url quota_project_id "
    "universe_domain",
)
_EXTERNAL_ACCOUNT = _struct(
    "credsfile.ExternalAccountFile",
    "type client_id client_secret audience subject_token_type service_account_impersonation_url token_url "
    "token_info_url quota_project_id workforce_pool_user_project universe_domain",
    service_account_impersonation=Struct(
        "credsfile.ServiceAccountImpersonationInfo", {"token_lifetime_seconds": "int"}
    ),
    credential_source=_source(
        "credsfile",
        "cred_verification_url",
        certificate=_struct(
            "credsfile.CertificateConfig",
            "certificate_config_location trust_chain_path",
            use_default_certificate_config="bool",
        ),
    ),
)
_IMPERSONATED = _struct(
    "credsfile.ImpersonatedServiceAccountFile",
    "type service_account_impersonation_url universe_domain",
    delegates="[]string",
    scopes="[]string",
    source_credentials="raw",
)
_GDCH = _struct(
    "credsfile.GDCHServiceAccountFile",
    "type format_version project name ca_cert_path private_key_id private_key token_uri universe_domain",
)
_KINDS = {
    "service_account": _ACCOUNT,
    "authorized_user": _USER,
    "external_account": _EXTERNAL_ACCOUNT,
    "external_account_authorized_user": _EXTERNAL_USER,
    "impersonated_service_account": _IMPERSONATED,
    "gdch_service_account": _GDCH,
}


def scanner_error(text: bytes, *, any_signer: bool = True) -> str | None:
    """Return the error of making the client of Google's image scanner, or None.

    Without `any_signer` only RSA keys are accepted, as in older releases of the library.

    Raises:
        JsonSyntaxError: it is not JSON.
    """
    if _is_client_file(text, _SCANNER_CONSOLE):
        return "credentials: auth handler must be specified for this credential filetype"
    return _credentials_error(text, any_signer=any_signer)


def _credentials_error(text: bytes, *, any_signer: bool) -> str | None:
    checked, wrong = unmarshal(text, _CHECKED)
    if wrong is not None:
        return wrong
    kind = checked.get("type", "")
    if kind == "":
        return "credentials: unsupported unidentified file type"
    if kind not in _KINDS:
        return f"credentials: unsupported filetype {quote(kind)}"
    values, wrong = unmarshal(text, _KINDS[kind])
    if wrong is not None:
        return wrong
    if kind == "service_account":
        return _account_error(values, any_signer=any_signer)
    if kind == "impersonated_service_account":
        return _impersonated_error(values, any_signer=any_signer)
    return _CHECKS[kind](values)


def _account_error(values: Values, *, any_signer: bool) -> str | None:
    key = values.get("private_key", "").encode("utf-8", "surrogatepass")
    reason = private_key.signer_error(key) if any_signer else private_key.old_signer_error(key)
    return reason and f"credentials: could not parse key: {reason}"


def _user_error(values: Values) -> str | None:
    asked = (("client_id", "client ID"), ("client_secret", "client secret"), ("refresh_token", "refresh token"))
    return next((f"auth: {text} must be provided" for name, text in asked if not values.get(name)), None)


def _external_user_error(values: Values) -> str | None:
    return None if _can_refresh(values) else "credentials: invalid external_account_authorized_user configuration"


def _impersonated_error(values: Values, *, any_signer: bool) -> str | None:
    if not values.get("service_account_impersonation_url") or "source_credentials" not in values:
        return "missing 'source_credentials' field or 'service_account_impersonation_url' in credentials"
    return _credentials_error(values["source_credentials"], any_signer=any_signer)


def _gdch_error(values: Values) -> str | None:
    version = values.get("format_version", "")
    if version != "1":
        return f"credentials: unsupported gdch_service_account format {quote(version)}"
    return "credentials: STSAudience must be set for the GDCH auth flows"


def _external_account_error(values: Values) -> str | None:
    if found := _external_error(values, "externalaccount: ", "workforce_pool_user_project"):
        return found
    source = values.get("credential_source")
    if source is None:
        known = "CredentialSource, SubjectTokenProvider, or AwsSecurityCredentialsProvider"
        return f"externalaccount: one of {known} must be set"
    return _scanner_source_error(source) or _certificate_error(source.get("certificate"))


def _scanner_source_error(source: Mapping[str, Any]) -> str | None:
    environment = source.get("environment_id", "")
    if environment.startswith("aws") and len(environment) > 3:
        return _environment_error(environment, "credentials: ")
    if source.get("file") or source.get("url"):
        return None
    executable = source.get("executable")
    if executable is None:
        return None if "certificate" in source else "credentials: unable to parse credential source"
    return _executable_error(executable, executable.get("timeout_millis") or None, "credentials: ")


def _certificate_error(certificate: Mapping[str, Any] | None) -> str | None:
    """Return the error of loading a certificate; its file is never found, because no file is read."""
    if certificate is None:
        return None
    usual = certificate.get("use_default_certificate_config", False)
    place = certificate.get("certificate_config_location")
    if not usual and not place:
        return (
            'credentials: "certificate" object must either specify a certificate_config_location or '
            "use_default_certificate_config should be true"
        )
    if usual and place:
        return (
            'credentials: "certificate" object cannot specify both a certificate_config_location and '
            "use_default_certificate_config=true"
        )
    return "certificate source is unavailable"


_CHECKS: Mapping[str, Callable[[Values], str | None]] = {
    "authorized_user": _user_error,
    "external_account": _external_account_error,
    "external_account_authorized_user": _external_user_error,
    "gdch_service_account": _gdch_error,
}
