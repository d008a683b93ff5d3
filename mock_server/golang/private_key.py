"""The errors of Google's libraries for invalid private keys (Go ``encoding/pem``, ``crypto/x509``, ``crypto/rsa``).

Keys are parsed and checked, never used.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable

from mock_server.golang import asn1
from mock_server.golang.asn1 import Asn1Error, Field

_RSA, _EC, _ED25519, _X25519 = "1.2.840.113549.1.1.1", "1.2.840.10045.2.1", "1.3.101.112", "1.3.101.110"
_ORDERS = {  # of the curves that Go supports
    "1.3.132.0.33": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFF16A2E0B8F03E13DD29455C5C2A3D,
    "1.2.840.10045.3.1.7": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "1.3.132.0.34": int("F" * 48 + "C7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973", 16),
    "1.3.132.0.35": int("1" + "F" * 65 + "A51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409", 16),
}
_PKCS8 = asn1.sequence(
    "pkcs8", asn1.INT, asn1.sequence("AlgorithmIdentifier", asn1.OID, Field(asn1.RAW, optional=True)), asn1.OCTETS
)
_PRIME = asn1.sequence("pkcs1AdditionalRSAPrime", asn1.BIG, asn1.BIG, asn1.BIG)
_PKCS1 = asn1.sequence(
    "pkcs1PrivateKey",
    *(asn1.INT, asn1.BIG, asn1.INT, asn1.BIG, asn1.BIG, asn1.BIG),
    *(Field(asn1.BIG, optional=True) for _ in range(3)),
    Field(asn1.list_of(_PRIME), optional=True),
)
_SEC1 = asn1.sequence(
    "ecPrivateKey",
    asn1.INT,
    asn1.OCTETS,
    Field(asn1.OID, optional=True, explicit=0),
    Field(asn1.BITS, optional=True, explicit=1),
)
_SHORTEST_RSA = 1024
_SEED_SIZE = 32


class KeyFormatError(ValueError):
    """An invalid private key; the text is Go's."""


def rsa_error(key: bytes) -> str | None:
    """Return the error of golang.org/x/oauth2 for a key, or None."""
    try:
        bits = _rsa_bits(key)
    except KeyFormatError as error:
        return f"private key should be a PEM or plain PKCS1 or PKCS8; parse error: {error}"
    if bits == 0:
        return "private key is invalid"
    if bits < _SHORTEST_RSA:
        return f"crypto/rsa: {bits}-bit keys are insecure (see https://go.dev/pkg/crypto/rsa#hdr-Minimum_key_size)"
    return None


def old_signer_error(key: bytes) -> str | None:
    """Return the error of cloud.google.com/go/auth in releases that accept only RSA keys, or None."""
    try:
        return None if _rsa_bits(key) else "private key is invalid"
    except KeyFormatError as error:
        return f"private key should be a PEM or plain PKCS1 or PKCS8: {error}"


def _rsa_bits(key: bytes) -> int:
    """Return the bits of the modulus of an RSA key, 0 for another key."""
    der = _pem_bytes(key)
    try:
        return _pkcs8(der)[1]
    except KeyFormatError:
        return _pkcs1(der)[1]


def signer_error(key: bytes) -> str | None:
    """Return the error of cloud.google.com/go/auth for a key, or None."""
    der = _pem_bytes(key)
    failed = []
    for name, parse in (("PKCS8", _pkcs8), ("PKCS1", _pkcs1), ("EC", _sec1)):
        try:
            kind, _ = parse(der)
        except KeyFormatError as error:
            failed.append(f"[{name}: {error}]")
        else:
            return "private key is not a signer" if kind == "X25519" else None
    return f"failed to parse private key. Tried PKCS8, PKCS1, and EC formats. Errors: {', '.join(failed)}"


def _read(der: bytes, kind: asn1.Kind, *others: tuple[str, asn1.Kind], start: str = "") -> asn1.Read:
    """Read one form; if another form fits, Go's error names the function for that form."""
    try:
        return asn1.read(der, kind)
    except Asn1Error as error:
        for name, other in others:
            if _fits(der, other):
                reason = f"x509: failed to parse private key (use Parse{name}PrivateKey instead for this key format)"
                raise KeyFormatError(reason) from None
        raise KeyFormatError(start + str(error)) from None


def _fits(der: bytes, kind: asn1.Kind) -> bool:
    try:
        asn1.read(der, kind)
    except Asn1Error:
        return False
    return True


def _pkcs8(der: bytes) -> tuple[str, int]:
    """Read the form of crypto/x509 ParsePKCS8PrivateKey: the kind of key and the bits of an RSA modulus."""
    (_, (algorithm, parameters), inner), _ = _read(der, _PKCS8, ("EC", _SEC1), ("PKCS1", _PKCS1))
    if algorithm == _RSA:
        return _embedded("RSA", _pkcs1, inner)
    if algorithm == _EC:
        return _embedded("EC", lambda der: _sec1(der, _curve(parameters or b"")), inner)
    if algorithm not in (_ED25519, _X25519):
        raise KeyFormatError(f"x509: PKCS#8 wrapping contained private key with unknown algorithm: {algorithm}")
    kind = "Ed25519" if algorithm == _ED25519 else "X25519"
    if parameters:
        raise KeyFormatError(f"x509: invalid {kind} private key parameters")
    try:
        seed = asn1.read(inner, asn1.OCTETS).value
    except Asn1Error as error:
        raise KeyFormatError(f"x509: invalid {kind} private key: {error}") from None
    if len(seed) != _SEED_SIZE:
        wrong = f"x509: invalid Ed25519 private key length: {len(seed)}"
        raise KeyFormatError(wrong if kind == "Ed25519" else "crypto/ecdh: invalid private key size")
    return kind, 0


def _embedded(name: str, parse: Callable[[bytes], tuple[str, int]], inner: bytes) -> tuple[str, int]:
    try:
        return parse(inner)
    except KeyFormatError as error:
        raise KeyFormatError(f"x509: failed to parse {name} private key embedded in PKCS#8: {error}") from None


def _curve(parameters: bytes) -> str | None:
    try:
        return str(asn1.read(parameters, asn1.OID).value)
    except Asn1Error:
        return None


def _pkcs1(der: bytes) -> tuple[str, int]:
    """Read the form of crypto/x509 ParsePKCS1PrivateKey."""
    values, end = _read(der, _PKCS1, ("EC", _SEC1), ("PKCS8", _PKCS8))
    if end < len(der):
        raise KeyFormatError("asn1: syntax error: trailing data")
    version, n, e, d, p, q, *crt, primes = values
    if version > 1:
        raise KeyFormatError("x509: unsupported private key version")
    if min(n, d, p, q, *(each for each in crt if each is not None)) <= 0:
        raise KeyFormatError("x509: private key contains zero or negative value")
    more = [prime for prime, _, _ in primes or ()]
    if more and min(more) <= 0:
        raise KeyFormatError("x509: private key contains zero or negative prime")
    if reason := None if more else _rsa_mismatch(n, e, d, p, q, crt):
        raise KeyFormatError(f"crypto/rsa: {reason}")
    return "RSA", n.bit_length()


def _rsa_mismatch(n: int, e: int, d: int, p: int, q: int, crt: list[int | None]) -> str | None:
    """Return Go's error for the numbers of a key with two primes, or None (crypto/internal/fips140/rsa)."""
    if p == 1 or q == 1:
        return "invalid prime"
    dp, dq, coefficient = crt if None not in crt else (d % (p - 1), d % (q - 1), None)
    assert dp is not None
    assert dq is not None
    checks = (
        (n % 2 == 0, "public modulus is even"),
        (e <= 1, "public exponent too small or negative"),
        (e % 2 == 0, "public exponent is even"),
        (p * q != n, "p * q != n"),
        (dp >= p - 1 or e * dp % (p - 1) != 1, "invalid CRT exponent"),
        (dq >= q - 1 or e * dq % (q - 1) != 1, "invalid CRT exponent"),
        (coefficient is not None and coefficient * q % p != 1, "invalid CRT coefficient"),
        (d % (p - 1) != dp, "d does not match dP"),
        (d % (q - 1) != dq, "d does not match dQ"),
    )
    return next((reason for wrong, reason in checks if wrong), None)


def _sec1(der: bytes, curve: str | None = None) -> tuple[str, int]:
    """Read the form of crypto/x509 ParseECPrivateKey; `curve` is the one named outside."""
    start = "x509: failed to parse EC private key: "
    (version, scalar, own_curve, _), _ = _read(der, _SEC1, ("PKCS8", _PKCS8), ("PKCS1", _PKCS1), start=start)
    if version != 1:
        raise KeyFormatError(f"x509: unknown EC private key version {version}")
    order = _ORDERS.get(curve if curve is not None else own_curve or "")
    if order is None:
        raise KeyFormatError("x509: unknown elliptic curve")
    if len(scalar.lstrip(b"\0")) > (order.bit_length() + 7) // 8:
        raise KeyFormatError("x509: invalid private key length")
    number = int.from_bytes(scalar, "big")
    if number == 0:
        raise KeyFormatError("ecdsa: invalid public key encoding")
    if number >= order:
        raise KeyFormatError("input overflows the modulus")
    return "EC", 0


_BEGIN, _END, _DASHES = b"-----BEGIN ", b"\n-----END ", b"-----"


def _pem_bytes(text: bytes) -> bytes:
    """Return the content of the first complete PEM block, or the text if there is none (encoding/pem)."""
    at = 0
    while (end := text.find(_END, at)) >= 0:
        begin = text.rfind(_BEGIN, at, end)
        behind = end + len(_END)
        if begin == at or (begin > at and text[begin - 1 : begin] == b"\n"):
            block = _pem_block(text, begin + len(_BEGIN), end, behind)
            if block is not None:
                return block
        at = behind
    return text


def _line(text: bytes, at: int) -> tuple[bytes, int]:
    """Return the line at an offset, without trailing blanks, and the offset of the next one."""
    end = text.find(b"\n", at)
    line, following = (text[at:], len(text)) if end < 0 else (text[at:end].removesuffix(b"\r"), end + 1)
    return line.rstrip(b" \t"), following


def _pem_block(text: bytes, at: int, end: int, behind: int) -> bytes | None:
    kind, at = _line(text, at)
    if not kind.endswith(_DASHES):
        return None
    headers = False
    while b":" in (line := _line(text, at))[0]:
        headers, at = True, line[1]
    if headers and end < at:
        return None
    trailer = text[behind : behind + len(kind)]
    if trailer != kind or _line(text, behind + len(kind))[0]:
        return None
    return _base64(text[at:end])


def _base64(text: bytes) -> bytes | None:
    packed = re.sub(rb"[ \t\r\n]", b"", text)
    try:
        return base64.b64decode(packed, validate=True) if len(packed) % 4 == 0 else None
    except binascii.Error:
        return None
