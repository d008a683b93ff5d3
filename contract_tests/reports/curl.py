"""The requests of a failure as curl commands.

A command sends the request of the harness: the same target, headers and bytes. Secrets are replaced
by environment variables (`$CENTRAL_TOKEN` and so on), and ids by variables that earlier commands of
the sequence set, so that it can be run again.
"""

from __future__ import annotations

import base64
import gzip
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import requests

from contract_tests.engine.exchange import COLLECTION, Exchange
from contract_tests.engine.options import Options, is_secret_header
from contract_tests.engine.text import without_commands
from contract_tests.runner.environment import BASIC, TOKENS
from contract_tests.runner.history import at_once, created_id

_VARIABLE = re.compile(r'"[^"$]*\$((?:CENTRAL|HEADER)_[A-Z0-9_]+)"')
_LONGEST_ARGUMENT = 100_000
"""Maximum size of an argument in bytes; Linux allows 128 KiB."""
_URL = re.compile(rf"\w+://[^/?#]*(?:[^?#]*?{COLLECTION})?(?P<path>[^?#]*)", re.DOTALL)
"""A URL up to its query; an id is in the part `path` or in the query."""
_READ_ID = """ | tee /dev/stderr | grep -o '"id": *"[^"]*"' | head -n 1 | cut -d '"' -f 4)"""


@dataclass(frozen=True, slots=True)
class Access:
    """The parts of a curl command that reach the target.

    `authorization` has curl's arguments for the credentials of each role; `secrets` has the
    variable for each secret text.
    """

    base: str
    authorization: Mapping[str, str] = field(default_factory=dict)
    flags: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


def access(options: Options) -> Access:
    """Return the access to the target of a run."""
    words: dict[str, str] = {}
    secrets: dict[str, str] = {}
    for role, header in options.credentials.by_role.items():
        if not header:
            continue
        scheme, _, secret = header.partition(" ")
        if scheme == "Basic":
            words[role] = f'-u "${BASIC}"'
        else:
            words[role] = f'-H "Authorization: {scheme} ${TOKENS[role]}"'
            secrets[secret] = TOKENS[role]
    files = (("--cacert", options.ca_file), ("--cert", options.client_cert), ("--key", options.client_key))
    flags = " -k" if options.insecure else ""
    flags += "".join(f" {flag} {shlex.quote(str(file))}" for flag, file in files if file)
    for name, value in options.headers:
        variable = f"HEADER_{re.sub('[^A-Z0-9]', '_', name.upper())}"
        flags += f' -H "{name}: ${variable}"' if is_secret_header(name, value) else f" -H {_header(name, value, {})}"
    return Access(options.base, words, flags, secrets)


def _line(exchange: Exchange, access: Access, ids: Mapping[str, str]) -> str:
    """Return the command that sends the request of `exchange`; `ids` has the variable for each known id."""
    known = {**access.secrets, **ids}
    words = [f"curl -sS -w '\\n%{{http_code}}\\n'{access.flags}"]
    if exchange.method == "HEAD" and not exchange.body:
        words.append("--head")
    elif exchange.method != "GET" or exchange.body:
        words.append(f"-X {shlex.quote(exchange.method)}")
    if "Authorization" not in exchange.headers and exchange.role in access.authorization:
        words.append(access.authorization[exchange.role])
    words += [f"-H {_header(name, value, known)}" for name, value in exchange.headers.items()]
    before = ""
    if exchange.body or exchange.method in ("POST", "PUT", "PATCH"):
        if "Content-Type" not in exchange.headers:
            words.append("-H 'Content-Type:'")  # otherwise curl adds one
        before, data = _data(exchange.body, known)
        words.append(data)
    if exchange.reply_headers.get("Content-Encoding"):
        words.append("--compressed")
    url = access.base + exchange.path
    with suppress(requests.RequestException):  # recorded traffic may name a host that the transport would refuse
        url = requests.Request("GET", url).prepare().url or url  # as the transport sends it
    if re.search(r"[\[\]{}]", url):
        words.append("--globoff")
    if "/." in url:
        words.append("--path-as-is")
    words.append(_quoted(url, known, is_kept=lambda found: found[0] in ids and not _is_id(url, found)))
    return before + " ".join(words)


def sequence(exchanges: Sequence[Exchange], options: Options) -> list[str]:
    """Return the commands that send some requests to the target, and then delete the integrations that they created.

    The first lines end the script if a required variable is not set.
    """
    way = access(options)
    ids: dict[str, str] = {}
    lines = []
    if at_once(exchanges):
        lines.append("# Some of these requests were concurrent; sent one after another, they may succeed.")
    for exchange in exchanges:
        created = created_id(exchange)
        text = _line(exchange, way, ids)
        if created and created not in ids:
            ids[created] = f"ID{len(ids) + 1}"
            text = f"{ids[created]}=$({text}{_READ_ID}"
        lines.append(text)
    for id in _not_deleted(exchanges, ids):
        delete = _line(Exchange(0, "", "DELETE", f"{COLLECTION}/{id}", "admin"), way, ids)
        lines.append(f'[ -z "${ids[id]}" ] || {delete}  # clean up')
    used = sorted({name for each in lines for name in _VARIABLE.findall(each)})
    return [*(f': "${{{name}:?}}"' for name in used), *lines]


def _not_deleted(exchanges: Iterable[Exchange], ids: Iterable[str]) -> list[str]:
    deleted = {each.path for each in exchanges if each.method == "DELETE" and each.status == 200}
    return [id for id in ids if f"{COLLECTION}/{id}" not in deleted]


def _header(name: str, value: Any, known: Mapping[str, str]) -> str:
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return _quoted(f"{name}: {text}" if text else f"{name};", known, "latin-1")


def _data(body: bytes, known: Mapping[str, str]) -> tuple[str, str]:
    """Return the shell text before curl, and curl's arguments, that send a body."""
    if b"\0" not in body and len(body) <= _LONGEST_ARGUMENT:
        return "", f"--data-raw {_quoted_bytes(body, known)}"
    packed, unpack = base64.b64encode(body).decode(), "base64 -d"
    smaller = base64.b64encode(gzip.compress(body, mtime=0)).decode()
    if len(smaller) < len(packed):
        packed, unpack = smaller, "base64 -d | gunzip"
    if len(packed) > _LONGEST_ARGUMENT:
        return f"# a body of {len(body)} bytes, too long to show: ", "--data-binary @-"
    return f"printf %s {packed} | {unpack} | ", "--data-binary @-"


def _quoted_bytes(body: bytes, known: Mapping[str, str]) -> str:
    try:
        return _quoted(body.decode(), known)
    except UnicodeDecodeError:
        return _escaped(body)


def _is_id(url: str, found: re.Match[str]) -> bool:
    """Return whether a known id that occurs in a URL is one there: a whole segment of the path, or in the query."""
    start, end = found.span()
    path = _URL.match(url)
    if path is None or start >= path.end():
        return True
    return start >= path.start("path") and url[start - 1] == "/" and url[end : end + 1] in ("", "/", "?", "#")


def _quoted(
    text: str,
    known: Mapping[str, str],
    encoding: str = "utf-8",
    is_kept: Callable[[re.Match[str]], bool] | None = None,
) -> str:
    """Quote a text for the shell, with variables in place of the values in `known`, except those to keep."""
    if not text:
        return "''"
    values = sorted((value for value in known if value), key=len, reverse=True)
    words, end = [], 0
    for found in re.finditer("|".join(map(re.escape, values)), text) if values else ():
        if is_kept is None or not is_kept(found):
            words += [_word(text[end : found.start()], encoding), f'"${known[found[0]]}"']
            end = found.end()
    return "".join([*words, _word(text[end:], encoding)])


def _word(text: str, encoding: str) -> str:
    if not text:
        return ""
    is_plain = all(each in "\n\t" or each.isprintable() for each in text) and without_commands(text) == text
    if is_plain and (encoding == "utf-8" or text.isascii()):
        return shlex.quote(text)
    return without_commands(_escaped(text.encode(encoding)))


def _escaped(content: bytes) -> str:
    r"""Quote bytes as $'…', with \xHH for bytes that are not printable ASCII."""
    escapes = {0x0A: "\\n", 0x09: "\\t", 0x27: "\\'", 0x5C: "\\\\"}
    return (
        "$'"
        + "".join(escapes.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}") for byte in content)
        + "'"
    )
