"""Which ports speak TLS, and with whose certificates: MLLP_PORTS and the MLLP_ files. docs/hl7.md, "TLS" """

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fhir_server.settings import ConfigurationError, Settings
from hl7_gateway.wire import tls

_PLAIN, _TLS, _MUTUAL = "", "tls", "mtls"
_FILES: Final = {"certificate": "MLLP_CERTIFICATE_FILE", "key": "MLLP_KEY_FILE", "ca": "MLLP_CLIENT_CA_FILE"}
_EXAMPLE: Final = "2575, 2576+tls or 2577+mtls;certificate=FILE;key=FILE;ca=FILE"


@dataclass(frozen=True, slots=True)
class Secured:
    """How ports speak: those of ``by_port`` as said there, all others as ``usual``; None is without TLS."""

    usual: ssl.SSLContext | None = None
    by_port: Mapping[int, ssl.SSLContext | None] = field(default_factory=dict)

    def of(self, port: int) -> ssl.SSLContext | None:
        """The context of a port."""
        return self.by_port.get(port, self.usual)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of MLLP_PORTS as it is written."""

    port: int
    speaks: str
    files: Mapping[str, Path]


def secured(settings: Settings) -> Secured:
    """How ports speak. Raises ConfigurationError for what cannot be used, and says which entry or file it is."""
    by_port: dict[int, ssl.SSLContext | None] = {}
    for written in settings.mllp_ports.split(","):
        if not written.strip():
            continue
        entry = _entry(written.strip())
        if entry.port in by_port:
            raise ConfigurationError(f"MLLP_PORTS names the port {entry.port} twice.")
        by_port[entry.port] = _context(entry, settings)
    return Secured(_usual(settings), by_port)


def _entry(written: str) -> _Entry:
    head, *options = (part.strip() for part in written.split(";"))
    number, _, speaks = head.partition("+")
    if not (re.fullmatch("[0-9]{1,5}", number) and 1 <= int(number) <= 65_535):
        raise ConfigurationError(f"MLLP_PORTS must have ports from 1 to 65535 such as {_EXAMPLE}; {head!r} is none.")
    if speaks not in (_PLAIN, _TLS, _MUTUAL) or (head.endswith("+")):
        raise ConfigurationError(f"MLLP_PORTS: {head!r} must be {number}, {number}+tls or {number}+mtls.")
    files: dict[str, Path] = {}
    for option in options:
        name, _, value = (part.strip() for part in option.partition("="))
        if name not in _FILES or name in files or not value:
            raise ConfigurationError(
                f"MLLP_PORTS: {option!r} of {head} must be one of certificate=FILE, key=FILE and ca=FILE, each once."
            )
        files[name] = Path(value).expanduser()
    _refuse_files(head, speaks, files)
    return _Entry(int(number), speaks, files)


def _refuse_files(head: str, speaks: str, files: Mapping[str, Path]) -> None:
    """Raises ConfigurationError for files that would not be used: whoever names them relies on them."""
    if speaks == _PLAIN and files:
        raise ConfigurationError(f"MLLP_PORTS: {head} has {', '.join(files)} but neither +tls nor +mtls.")
    if speaks == _TLS and "ca" in files:
        raise ConfigurationError(f"MLLP_PORTS: {head} has ca; only +mtls asks senders for certificates.")
    if "key" in files and "certificate" not in files:
        raise ConfigurationError(f"MLLP_PORTS: {head} has key and no certificate that it belongs to.")


def _context(entry: _Entry, settings: Settings) -> ssl.SSLContext | None:
    if entry.speaks == _PLAIN:
        return None
    head = f"MLLP_PORTS, {entry.port}+{entry.speaks}"
    certificate, key = entry.files.get("certificate"), entry.files.get("key")
    if certificate is None:
        certificate, key = settings.mllp_certificate_file, settings.mllp_key_file
    if certificate is None:
        raise ConfigurationError(f"{head}: there must be a certificate, here or in MLLP_CERTIFICATE_FILE.")
    authorities = None
    if entry.speaks == _MUTUAL:
        authorities = entry.files.get("ca") or settings.mllp_client_ca_file
        if authorities is None:
            raise ConfigurationError(
                f"{head}: there must be a ca whose certificates senders have, here or in MLLP_CLIENT_CA_FILE."
            )
    return _loaded(head, certificate, key, authorities)


def _usual(settings: Settings) -> ssl.SSLContext | None:
    certificate = settings.mllp_certificate_file
    if certificate is None:
        # An authority alone may be meant for the entries of MLLP_PORTS.
        if settings.mllp_key_file or (settings.mllp_client_ca_file and not settings.mllp_ports):
            raise ConfigurationError("MLLP_CERTIFICATE_FILE must be set where MLLP_KEY_FILE or MLLP_CLIENT_CA_FILE is.")
        return None
    return _loaded(
        "MLLP_CERTIFICATE_FILE, MLLP_KEY_FILE, MLLP_CLIENT_CA_FILE",
        certificate,
        settings.mllp_key_file,
        settings.mllp_client_ca_file,
    )


def _loaded(head: str, certificate: Path, key: Path | None, authorities: Path | None) -> ssl.SSLContext:
    for path in (certificate, key, authorities):
        if path is not None:
            _refuse_unreadable(head, path)
    try:
        made = tls.context(certificate, key or certificate)
    except (OSError, ValueError):
        what = f"{certificate} and {key}" if key is not None else f"{certificate}, with its key in it,"
        raise ConfigurationError(
            f"{head}: {what} must be a certificate and its private key as PEM, the key without a password."
        ) from None
    if authorities is not None:
        try:
            tls.ask_for_certificate(made, authorities)
        except (OSError, ValueError):
            raise ConfigurationError(f"{head}: {authorities} must have certificates of authorities as PEM.") from None
    return made


def _refuse_unreadable(head: str, path: Path) -> None:
    try:
        with path.open("rb"):
            return
    except OSError as error:
        raise ConfigurationError(f"{head}: {path} cannot be read: {error.strerror}.") from None
