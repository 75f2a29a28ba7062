"""Every setting of the server, read from environment variables once. https://12factor.net/config"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class ConfigurationError(Exception):
    """Whoever runs the server must change something; the message is one sentence that says what."""


def _text(value: str) -> str:
    return value


def _path(value: str) -> Path:
    return Path(value).expanduser()


def _flag(value: str) -> bool:
    lowered = value.lower()
    if lowered in {"1", "true", "yes", "on"}:
        return True
    if lowered in {"0", "false", "no", "off"}:
        return False
    raise ValueError("1 or 0")


def _between(low: int, high: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        try:
            number = int(value)
        except ValueError:
            number = low - 1
        if not low <= number <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return number

    return parse


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value.lower() not in choices:
            raise ValueError("one of " + ", ".join(choices))
        return value.lower()

    return parse


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("an address such as https://fhir.example.org")
    return value.rstrip("/")


def _posted_url(value: str) -> str:
    expected = "an address such as https://alerts.example.org/hook?key=..."
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError(expected) from None
    plain = parts.hostname and not parts.fragment and parts.username is None and re.fullmatch("[!-~]+", value)
    if parts.scheme not in {"http", "https"} or not plain or port == 0:
        raise ValueError(expected)
    return value


def _postgres_url(value: str) -> str:
    scheme, separator, rest = value.partition("://")
    if not separator or scheme.partition("+")[0] not in {"postgresql", "postgres"} or not rest:
        raise ValueError("an address such as postgresql://user:password@host:5432/database")
    return "postgresql://" + rest


def _redis_url(value: str) -> str:
    parts = urlsplit(value)
    try:
        found = parts.scheme in {"redis", "rediss"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        found = False
    if not found and not (parts.scheme == "unix" and parts.path):
        raise ValueError("an address such as redis://:password@host:6379/0")
    return value


def _memory(value: str) -> str:
    if not value[:-2].isdigit() or value[-2:] not in {"kB", "MB", "GB"}:
        raise ValueError("a size such as 512MB")
    return value


_HOST = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")


def _hosts_and_networks(value: str) -> str:
    entries = [entry.strip().lower() for entry in value.split(",") if entry.strip()]
    for entry in entries:
        try:
            ipaddress.ip_network(entry)
        except ValueError:
            # What ends in a number is a mistyped address: no domain does.
            if not _HOST.fullmatch(entry) or entry.rpartition(".")[2].isdigit():
                raise ValueError("hosts and networks such as idp.example.org,10.2.0.0/16") from None
    return ",".join(entries)


def _networks(value: str) -> str:
    entries = [entry.strip() for entry in value.split(",") if entry.strip()]
    try:
        return ",".join(str(ipaddress.ip_network(entry)) for entry in entries)
    except ValueError:
        raise ValueError("networks such as 10.2.0.0/16,192.0.2.7") from None


_SECRET_VARIABLES = {"DATABASE_URL", "APP_DATABASE_URL", "REDIS_URL", "MLLP_ALERT_URL"}


def _setting(default: Any, parse: Callable[[str], Any], kind: str, sentence: str, shown_default: str = "") -> Any:
    metadata = {"parse": parse, "kind": kind, "sentence": sentence, "shown_default": shown_default}
    if callable(default):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be set, under the field's name in capitals: ``data_dir`` is DATA_DIR. https://12factor.net/config"""

    port: int = _setting(8080, _between(1, 65535), "number", "The TCP port that the server listens on.")
    host: str = _setting(
        "127.0.0.1", _text, "address", "The address to listen on; 0.0.0.0 answers other machines as well."
    )
    data_dir: Path = _setting(
        Path("var"), _path, "directory", "Where the embedded PostgreSQL and the signing key are kept."
    )
    database_url: str | None = _setting(
        None,
        _postgres_url,
        "PostgreSQL URL",
        "The database (PostgreSQL 15 or newer), as the role that owns its tables; unset, one is run in DATA_DIR.",
    )
    app_database_url: str | None = _setting(
        None,
        _postgres_url,
        "PostgreSQL URL",
        "The same database as a role that neither owns the tables nor bypasses row level security; "
        "unset, DATABASE_URL with the role fhir_app.",
    )
    base_url: str = _setting(
        "", _http_url, "URL", "The address that clients reach the server at.", "http://localhost:PORT"
    )
    production: bool = _setting(False, _flag, "1 or 0", "1 refuses what is only fit for a demo, such as demo clinics.")
    log_level: str = _setting(
        "info",
        _one_of("debug", "info", "warning", "error"),
        "word",
        "The least severe events that are logged: debug, info, warning or error.",
    )
    web_workers: int = _setting(
        lambda: min(_cores(), 8), _between(1, 256), "number", "Web processes.", "the number of cores, 8 at most"
    )
    web_threads: int = _setting(
        lambda: 2 * _cores() + 1, _between(1, 256), "number", "Threads in each web process.", "twice the cores plus one"
    )
    worker_concurrency: int = _setting(2, _between(1, 64), "number", "Jobs that the worker runs at the same time.")
    mllp_port: int = _setting(
        2575,
        _between(0, 65535),
        "number",
        "The TCP port for HL7 v2 over MLLP, beside those that feeds have of their own; 0: no HL7 gateway.",
    )
    mllp_certificate_file: Path | None = _setting(
        None,
        _path,
        "file",
        "A certificate (PEM) with which all of the gateway's ports speak TLS that MLLP_PORTS does not name; unset, "
        "none of them does.",
    )
    mllp_key_file: Path | None = _setting(None, _path, "file", "Its private key, unless it is in the same file.")
    mllp_client_ca_file: Path | None = _setting(
        None, _path, "file", "The authorities whose certificates senders must have; unset, they need none."
    )
    mllp_ports: str = _setting(
        "",
        _text,
        "list",
        "Ports beside MLLP_PORT, or that speak in their own way, with commas between: `2575` without TLS, `2576+tls`, "
        "`2577+mtls;certificate=FILE;key=FILE;ca=FILE`; files that are not given are those of the settings above.",
    )
    mllp_workers: int = _setting(
        lambda: min(_cores(), 4),
        _between(0, 64),
        "number",
        "Processes that turn messages into resources.",
        "the number of cores, 4 at most",
    )
    mllp_metrics_port: int = _setting(
        0, _between(0, 65535), "number", "Where the HL7 gateway answers Prometheus on HOST; 0: nowhere."
    )
    mllp_alert_url: str | None = _setting(
        None,
        _posted_url,
        "URL",
        "Where the HL7 gateway posts its alerts as JSON; unset, they are in the database, metrics and log only. "
        "A host that is not public must be in OUTBOUND_ALLOW; http is for loopback addresses only.",
    )
    signing_key_file: Path | None = _setting(
        None,
        _path,
        "file",
        "A JWK file with the P-256 private key that signs access_tokens; unset, one is made in DATA_DIR/keys.",
    )
    identity_key_file: Path | None = _setting(
        None,
        _path,
        "file",
        "A JWK file with the RSA private key that signs id_tokens; unset, one is made in DATA_DIR/keys.",
    )
    sealing_key_file: Path | None = _setting(
        None,
        _path,
        "file",
        "The key that secrets in the database are encrypted with; unset, one is made in DATA_DIR/keys. All processes "
        "need the same, and a backup is worth nothing without it.",
    )
    access_token_lifetime: int = _setting(
        3600, _between(1, 31_536_000), "seconds", "How long an access_token is valid unless asked otherwise."
    )
    statement_timeout_ms: int = _setting(
        30_000, _between(100, 3_600_000), "milliseconds", "The longest a single SQL statement of a request may take."
    )
    search_timeout_ms: int = _setting(
        10_000,
        _between(1, 3_600_000),
        "milliseconds",
        "The longest a search may take, for clinics without a limit of their own (`fhir-server tenant limit`).",
    )
    max_body_bytes: int = _setting(64 * 1024 * 1024, _between(1024, 2**31 - 1), "bytes", "The largest request body.")
    max_url_bytes: int = _setting(16 * 1024, _between(1024, 2**20), "bytes", "The longest request URL.")
    max_count: int = _setting(1000, _between(1, 10_000), "entries", "The largest page that `_count` can ask for.")
    default_count: int = _setting(50, _between(1, 10_000), "entries", "The page size without `_count`.")
    max_bundle_entries: int = _setting(
        20_000, _between(1, 1_000_000), "entries", "The most entries of a batch or a transaction."
    )
    rate_limit: int = _setting(
        0,
        _between(0, 1_000_000),
        "requests/s",
        "What one client may send; 0 sets no limit. Without REDIS_URL each of the WEB_WORKERS takes its part of it.",
    )
    address_limit: int = _setting(
        600,
        _between(0, 1_000_000),
        "requests/min",
        "What one network address may send to each of the endpoints for signing in, access_tokens, registration and so "
        "on; 0 sets no limit.",
    )
    trusted_proxies: str = _setting(
        "",
        _networks,
        "list",
        "The networks of the proxies before the server, with commas between: what they write into X-Forwarded-For is "
        "the client's address. Unset, a proxy's own address is, and all clients share its limits.",
    )
    redis_url: str | None = _setting(
        None,
        _redis_url,
        "Redis URL",
        "A Redis (6 or newer) through which processes share limits and tell each other what was revoked: "
        "`redis://`, `rediss://` or `unix://`. It holds nothing that would be missed.",
    )
    cors_origins: str = _setting(
        "*", _text, "list", "Origins whose browser pages may call the server, with commas between them; * allows any."
    )
    outbound_allow: str = _setting(
        "",
        _hosts_and_networks,
        "list",
        "Hosts and networks that are not public and may be called all the same where a client or a clinic names them "
        "(key sets, identity providers), with commas between: `idp.clinic.example,10.2.0.0/16`. http instead of https "
        "is used for loopback addresses among them only.",
    )
    full_text: bool = _setting(
        True,
        _flag,
        "1 or 0",
        "1 indexes the words of resources, for `_text`, `_content` and `:text`; 0 saves about a fifth of the cost of "
        "writing, and those searches are refused. The same for all processes; after turning it on, `$reindex`.",
    )
    audit_spool_dir: Path | None = _setting(
        None,
        _path,
        "directory",
        "Where audit records wait for the database: on a disk of this machine that outlives the processes.",
        "DATA_DIR/audit",
    )
    embedded_postgres_user: str = _setting(
        "fhir-server",
        _text,
        "name",
        "The system user that the embedded PostgreSQL runs as when the server is started by root.",
    )
    embedded_shared_buffers: str = _setting(
        "256MB", _memory, "size", "The embedded PostgreSQL's page cache (`shared_buffers`)."
    )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """The settings of ``environ``; an empty value is as good as none. https://12factor.net/config

        Raises ConfigurationError for a value that cannot be read.
        """
        values: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            name = field.name.upper()
            written = environ.get(name, "").strip()
            if not written:
                continue
            try:
                values[field.name] = field.metadata["parse"](written)
            except ValueError as error:
                shown = "the value given" if name in _SECRET_VARIABLES else repr(written)
                raise ConfigurationError(f"{name} must be {error}, and {shown} is not.") from None
        settings = cls(**values)
        if settings.production and not settings.base_url:
            raise ConfigurationError("BASE_URL must be set in production: it is the issuer of every access_token.")
        return settings

    @property
    def public_url(self) -> str:
        """BASE_URL, or the address on this machine."""
        return self.base_url or f"http://localhost:{self.port}"

    @property
    def issuer(self) -> str:
        """The issuer and audience of access_tokens; without BASE_URL the same on every PORT."""
        return self.base_url or "http://localhost"

    @property
    def key_file(self) -> Path:
        """SIGNING_KEY_FILE, or the file under DATA_DIR that is made on first use."""
        return self.signing_key_file or self.data_dir / "keys" / "signing.jwk"

    @property
    def identity_keys(self) -> Path:
        """IDENTITY_KEY_FILE, or the file under DATA_DIR that is made on first use."""
        return self.identity_key_file or self.data_dir / "keys" / "identity.jwk"

    @property
    def sealing_keys(self) -> Path:
        """SEALING_KEY_FILE, or the file under DATA_DIR that is made on first use."""
        return self.sealing_key_file or self.data_dir / "keys" / "sealing.key"

    @property
    def spool_directory(self) -> Path:
        """AUDIT_SPOOL_DIR, or the directory under DATA_DIR."""
        return self.audit_spool_dir or self.data_dir / "audit"

    @property
    def pool_size(self) -> int:
        """Database connections of one web process: one for each thread and one to spare for health checks."""
        return self.web_threads + 1


@dataclass(frozen=True, slots=True)
class Documented:
    """One row of the settings' documentation."""

    name: str
    kind: str
    default: str
    sentence: str


def documented() -> tuple[Documented, ...]:
    """Every setting with its kind, default and one sentence, in the order of declaration. https://12factor.net/config"""
    rows = []
    for field in dataclasses.fields(Settings):
        default = field.metadata["shown_default"]
        if not default:
            value = field.default
            default = "" if value is None else str(int(value)) if isinstance(value, bool) else str(value)
        rows.append(Documented(field.name.upper(), field.metadata["kind"], default, field.metadata["sentence"]))
    return tuple(rows)
