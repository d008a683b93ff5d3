"""Certificates of a server."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Tls:
    """Files with a certificate and its key."""

    cert: Path
    key: Path
    ca: str | None = None
    """The certificate authority (PEM) that clients must trust, for a self-signed certificate."""


@contextmanager
def self_signed(*names: str) -> Iterator[Tls]:
    """Yield a certificate for hosts and the loopback names, in temporary files."""
    import trustme

    known = dict.fromkeys((*(name.strip("[]") for name in names), "localhost", "127.0.0.1", "::1"))
    with tempfile.TemporaryDirectory(prefix="mock-central-") as folder:
        ca = trustme.CA()
        certificate = ca.issue_cert(*(name for name in known if name not in ("0.0.0.0", "::", "")))  # noqa: S104
        tls = Tls(Path(folder, "cert.pem"), Path(folder, "key.pem"), ca.cert_pem.bytes().decode())
        tls.cert.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
        certificate.private_key_pem.write_to_path(tls.key)
        yield tls
