"""Private keys and DER: the errors of Go's encoding/asn1, crypto/x509 and crypto/rsa."""

import base64

import pytest

from mock_server.golang import asn1, private_key
from mock_server.golang.asn1 import BIG, BITS, INT, OCTETS, OID, RAW, Asn1Error, Field, list_of, sequence

PAIR = sequence("pair", Field(OCTETS, optional=True, explicit=0), Field(OCTETS, optional=True))
PARAMETERS = (
    "{optional:false explicit:false application:false private:false defaultValue:<nil> tag:<nil> stringType:0 "
    "timeType:0 set:false omitEmpty:false}"
)


@pytest.mark.parametrize(
    ("kind", "data", "value"),
    [
        (INT, "0201ff", -1),
        (INT, "02020080", 128),
        (INT, "02087fffffffffffffff", 2**63 - 1),
        (BIG, "0209010000000000000000", 2**64),
        (OID, "06032a8648", "1.2.840"),
        (OID, "06014f", "1.39"),
        (OID, "060150", "2.0"),
        (OID, "06062a87ffffff7f", "1.2.2147483647"),
        (OCTETS, "0402abcd", b"\xab\xcd"),
        (OCTETS, f"048180{'00' * 128}", bytes(128)),
        (BITS, "03020102", b"\x01\x02"),
        (RAW, "1f1f0101", b"\x1f\x1f\x01\x01"),
        (PAIR, "3000", [None, None]),
        (PAIR, "3005a003040101", [b"\x01", None]),
        (PAIR, "3003040101", [None, b"\x01"]),
        (list_of(sequence("", INT)), "300a30030201013003020102", [[1], [2]]),
    ],
)
def test_valid_der_is_read(kind, data, value):
    assert asn1.read(bytes.fromhex(data) + b"more", kind) == (value, len(data) // 2)


@pytest.mark.parametrize(
    ("kind", "data", "reason"),
    [
        (INT, "", "syntax error: sequence truncated"),
        (INT, "02", "syntax error: truncated tag or length"),
        (INT, "020201", "syntax error: data truncated"),
        (INT, "0280", "syntax error: indefinite length found (not DER)"),
        (INT, "028100", "structure error: superfluous leading zeros in length"),
        (INT, "02817f", "structure error: non-minimal length"),
        (INT, "028480000000", "structure error: length too large"),
        (INT, "02847fffffff", "syntax error: data truncated"),
        (INT, "1f1e00", "syntax error: non-minimal tag"),
        (INT, "0200", "structure error: empty integer"),
        (INT, "02020001", "structure error: integer not minimally-encoded"),
        (INT, "0202ff80", "structure error: integer not minimally-encoded"),
        (INT, "0209010000000000000000", "structure error: integer too large"),
        (OID, "0600", "syntax error: zero length OBJECT IDENTIFIER"),
        (OID, "06028001", "syntax error: integer is not minimally encoded"),
        (OID, "060181", "syntax error: truncated base 128 integer"),
        (OID, "0606888080808001", "structure error: base 128 integer too large"),
        (OID, "06058880808000", "structure error: base 128 integer too large"),
        (BITS, "0300", "syntax error: zero length BIT STRING"),
        (BITS, "030101", "syntax error: invalid padding bits in BIT STRING"),
        (BITS, "03020800", "syntax error: invalid padding bits in BIT STRING"),
        (BITS, "03020101", "syntax error: invalid padding bits in BIT STRING"),
        (PAIR, "3006a00304010104", "syntax error: truncated tag or length"),
        (PAIR, "3002a000", "structure error: explicit tag has no child"),
        (PAIR, "3004a0000400", "structure error: zero length explicit tag was not an asn1.Flag"),
        (list_of(sequence("", INT)), "3003020101", "structure error: sequence tag mismatch"),
        (list_of(sequence("", INT)), "3003300500", "syntax error: truncated sequence"),
        (
            INT,
            "0400",
            f"structure error: tags don't match (2 vs {{class:0 tag:4 length:0 isCompound:false}}) {PARAMETERS} int @2",
        ),
        (PAIR, "30058000040101", "structure error: zero length explicit tag was not an asn1.Flag"),
        (
            PAIR,
            "a203000000",
            (
                "structure error: tags don't match (16 vs {class:2 tag:2 length:3 isCompound:true}) "
                f"{PARAMETERS} pair @2"
            ),
        ),
    ],
)
def test_invalid_der_fails_with_the_error_of_go(kind, data, reason):
    with pytest.raises(Asn1Error) as raised:
        asn1.read(bytes.fromhex(data), kind)
    assert str(raised.value) == f"asn1: {reason}"


def der(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    return bytes((tag, len(content))) + content


def integer(number: int) -> bytes:
    return der(2, number.to_bytes(number.bit_length() // 8 + 1, signed=True))


def rsa_key(*more: bytes, **numbers: int) -> bytes:
    """Return a small RSA key in the form of PKCS #1, with some of its numbers replaced."""
    key = {"version": 0, "n": 143, "e": 7, "d": 43, "p": 11, "q": 13, "dp": 3, "dq": 7, "coefficient": 6} | numbers
    return der(0x30, *map(integer, key.values()), *more)


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        ({"version": 2}, "x509: unsupported private key version"),
        ({"dp": 0}, "x509: private key contains zero or negative value"),
        ({"d": -1}, "x509: private key contains zero or negative value"),
        ({"p": 1}, "crypto/rsa: invalid prime"),
        ({"q": 1}, "crypto/rsa: invalid prime"),
        ({"n": 144}, "crypto/rsa: public modulus is even"),
        ({"e": 1}, "crypto/rsa: public exponent too small or negative"),
        ({"e": 8}, "crypto/rsa: public exponent is even"),
        ({"n": 145}, "crypto/rsa: p * q != n"),
        ({"dp": 4}, "crypto/rsa: invalid CRT exponent"),
        ({"dp": 13}, "crypto/rsa: invalid CRT exponent"),
        ({"dq": 8}, "crypto/rsa: invalid CRT exponent"),
        ({"dq": 19}, "crypto/rsa: invalid CRT exponent"),
        ({"coefficient": 5}, "crypto/rsa: invalid CRT coefficient"),
        ({"d": 44}, "crypto/rsa: d does not match dP"),
        ({"d": 33}, "crypto/rsa: d does not match dQ"),
    ],
)
def test_numbers_that_make_no_rsa_key_fail_with_the_error_of_go(numbers, reason):
    start = "private key should be a PEM or plain PKCS1 or PKCS8"
    assert private_key.rsa_error(rsa_key(**numbers)) == f"{start}; parse error: {reason}"
    assert private_key.old_signer_error(rsa_key(**numbers)) == f"{start}: {reason}"


def test_the_primes_of_a_key_of_several_are_positive():
    prime = der(0x30, integer(0), integer(1), integer(1))
    assert (private_key.rsa_error(rsa_key(der(0x30, prime), version=1)) or "").endswith(
        "; parse error: x509: private key contains zero or negative prime"
    )
    good = der(0x30, integer(5), integer(1), integer(1))
    assert private_key.signer_error(rsa_key(der(0x30, good), version=1)) is None


def test_a_short_rsa_key_is_insecure_only_to_the_library_of_registries():
    text = "crypto/rsa: 8-bit keys are insecure (see https://go.dev/pkg/crypto/rsa#hdr-Minimum_key_size)"
    assert private_key.rsa_error(rsa_key()) == text
    assert private_key.old_signer_error(rsa_key()) is None
    assert private_key.signer_error(rsa_key()) is None


def test_bytes_behind_an_rsa_key_are_reported():
    assert (private_key.rsa_error(rsa_key() + b"x") or "").endswith("; parse error: asn1: syntax error: trailing data")


ED25519, X25519 = (der(6, bytes.fromhex(each)) for each in ("2b6570", "2b656e"))
NULL = der(5)
SEED = der(4, bytes(32))


def pkcs8(inner: bytes, *algorithm: bytes) -> bytes:
    return der(0x30, integer(0), der(0x30, *algorithm), der(4, inner))


@pytest.mark.parametrize(
    ("inner", "algorithm", "reason"),
    [
        (SEED, (ED25519,), None),
        (SEED, (X25519,), "private key is not a signer"),
        (der(4, bytes(31)), (ED25519,), "x509: invalid Ed25519 private key length: 31"),
        (der(4, bytes(31)), (X25519,), "crypto/ecdh: invalid private key size"),
        (SEED, (ED25519, NULL), "x509: invalid Ed25519 private key parameters"),
        (SEED, (X25519, NULL), "x509: invalid X25519 private key parameters"),
        (b"", (X25519,), "x509: invalid X25519 private key: asn1: syntax error: sequence truncated"),
        (
            SEED,
            (der(6, bytes.fromhex("2a03")),),
            "x509: PKCS#8 wrapping contained private key with unknown algorithm: 1.2.3",
        ),
    ],
)
def test_a_key_of_pkcs_8_fails_with_the_error_of_go(inner, algorithm, reason):
    found = private_key.signer_error(pkcs8(inner, *algorithm))
    if reason is None or "not a signer" in reason:
        assert found == reason
        assert private_key.rsa_error(pkcs8(inner, *algorithm)) == "private key is invalid"
        assert private_key.old_signer_error(pkcs8(inner, *algorithm)) == "private key is invalid"
    else:
        start = "failed to parse private key. Tried PKCS8, PKCS1, and EC formats. Errors: "
        assert (found or "").startswith(f"{start}[PKCS8: {reason}], [PKCS1: ")


P256 = der(0xA0, der(6, bytes.fromhex("2a8648ce3d030107")))
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.mark.parametrize(
    ("version", "scalar", "curve", "reason"),
    [
        (1, (1).to_bytes(32), P256, None),
        (1, bytes(8) + (1).to_bytes(32), P256, None),
        (2, (1).to_bytes(32), P256, "x509: unknown EC private key version 2"),
        (1, (1).to_bytes(32), b"", "x509: unknown elliptic curve"),
        (1, (1 << 256).to_bytes(33), P256, "x509: invalid private key length"),
        (1, bytes(32), P256, "ecdsa: invalid public key encoding"),
        (1, ORDER.to_bytes(32), P256, "input overflows the modulus"),
        (1, (ORDER - 1).to_bytes(32), P256, None),
    ],
)
def test_a_key_of_a_curve_fails_with_the_error_of_go(version, scalar, curve, reason):
    found = private_key.signer_error(der(0x30, integer(version), der(4, scalar), curve))
    if reason is None:
        assert found is None
    else:
        assert (found or "").endswith(f"[EC: {reason}]")


def test_headers_of_a_pem_block_are_skipped():
    key = base64.b64encode(der(0x30, integer(1), der(4, (1).to_bytes(32)), P256))
    head, tail = b"-----BEGIN EC PRIVATE KEY-----\n", b"\n-----END EC PRIVATE KEY-----\n"
    assert private_key.signer_error(head + b"Comment: a\n\n" + key + tail) is None
    assert private_key.signer_error(head + b"Comment a\n\n" + key + tail) is not None
