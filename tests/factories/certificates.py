"""Certificates that a test signs itself. https://cryptography.io/en/latest/x509/tutorial/"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Key = ec.EllipticCurvePrivateKey


def new_key() -> Key:
    """A key of the kind that is made soonest."""
    return ec.generate_private_key(ec.SECP256R1())


def named(name: str) -> x509.Name:
    """A subject or issuer of this common name."""
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def private_pem(key: Key) -> bytes:
    """The key as it lies in a file."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def signed(
    subject: x509.Name,
    key: Key,
    issuer: x509.Name,
    signing: Key,
    alternative: Sequence[x509.GeneralName] = (),
    *,
    authority: bool = False,
) -> x509.Certificate:
    """What ``issuer`` certifies by the key ``signing`` from yesterday until tomorrow: whose the other key is."""
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if alternative:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternative), critical=not subject.rdns)
    return builder.sign(signing, hashes.SHA256())
