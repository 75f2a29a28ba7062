"""TLS for feeds and destinations: 1.2 and newer, with or without a certificate of the other side.

https://www.rfc-editor.org/rfc/rfc9325
"""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path


def context(certificate: Path | str, key: Path | str, client_ca: Path | str | None = None) -> ssl.SSLContext:
    """For a listener. With ``client_ca`` only senders are let in that have a certificate of that authority."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    # A key with a password is refused: OpenSSL would ask for it on the terminal and wait.
    made.load_cert_chain(certificate, key, password="")
    if client_ca is not None:
        ask_for_certificate(made, client_ca)
    return made


def ask_for_certificate(context: ssl.SSLContext, client_ca: Path | str) -> None:
    """Let in only senders that have a certificate of an authority of ``client_ca``. Raises OSError."""
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(client_ca)


def client(
    ca: Path | str | None = None, certificate: Path | str | None = None, key: Path | str | None = None
) -> ssl.SSLContext:
    """For a connection to a receiver, whose certificate is of ``ca``, or of an authority that the system trusts."""
    made = ssl.create_default_context(cafile=str(ca) if ca is not None else None)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        made.load_cert_chain(certificate, key)
    return made


def fingerprint(der: bytes) -> str:
    """SHA-256 of a certificate, by which a feed knows its sender."""
    return hashlib.sha256(der).hexdigest()
