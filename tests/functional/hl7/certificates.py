"""Certificates for a test: an authority, and whom it vouches for. https://cryptography.io/en/latest/x509/tutorial/"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from tests.factories.certificates import named, new_key, private_pem, signed

HERE = [x509.IPAddress(ip_address("127.0.0.1"))]


@dataclass(frozen=True)
class Issued:
    """Where a certificate and its key are, and the certificate's fingerprint."""

    certificate: Path
    key: Path
    fingerprint: str


class Authority:
    """Vouches for names; all its files are in one directory."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._key = new_key()
        self._name = named(name)
        own = signed(self._name, self._key, self._name, self._key, HERE, authority=True)
        self.certificate = directory / f"{name}.pem"
        self.certificate.write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str) -> Issued:
        """A certificate for a machine at 127.0.0.1."""
        key = new_key()
        made = signed(named(name), key, self._name, self._key, HERE)
        certificate, key_path = self._directory / f"{name}.crt", self._directory / f"{name}.key"
        certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        key_path.write_bytes(private_pem(key))
        return Issued(certificate, key_path, made.fingerprint(hashes.SHA256()).hex())
