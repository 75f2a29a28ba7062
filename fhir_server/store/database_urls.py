"""The two ways into the database: as the owner of its tables, and as the application.

https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from fhir_server.settings import ConfigurationError, Settings

APP_ROLE = "fhir_app"
"""The role of the application: it owns no table and does not bypass row level security."""

OLDEST_POSTGRES = 15
CONNECT_TIMEOUT_SECONDS = 10


class Unreachable(ConfigurationError):
    """A database that could not be connected to, at least not just now."""


@dataclass(frozen=True, slots=True)
class DatabaseUrls:
    """``owner`` runs migrations, ``app`` serves requests; ``owner`` is None where only the application's is known."""

    owner: str | None
    app: str


def database_urls(settings: Settings) -> DatabaseUrls | None:
    """The URLs that the settings name, or None where the embedded PostgreSQL is to be used.

    https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
    """
    if settings.app_database_url:
        return DatabaseUrls(settings.database_url, settings.app_database_url)
    if settings.database_url:
        return DatabaseUrls(settings.database_url, with_role(settings.database_url, APP_ROLE))
    return None


def with_role(url: str, role: str) -> str:
    """``url`` with the libpq option that makes each session ``SET ROLE`` on connecting, beside options it already has.

    https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-OPTIONS
    """
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    query["options"] = f"{query.get('options', '')} -c role={role}".strip()
    before, _, _ = url.partition("?")
    return f"{before}?{urlencode(query, quote_via=quote)}"


def connect(url: str, setting: str = "DATABASE_URL") -> psycopg.Connection:
    """Connect in autocommit mode and check that the server is new enough.

    Raises ConfigurationError, which names the ``setting`` that the URL came from and never the password; Unreachable
    where there is no connection.
    """
    try:
        shown = _shown(url)
    except psycopg.ProgrammingError:
        raise ConfigurationError(f"{setting} is no PostgreSQL URL: a special character in it is not escaped.") from None
    try:
        connection = psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_SECONDS)
    except psycopg.Error as error:
        raise Unreachable(f"{setting}: cannot use {shown}: {_reason(error)}.") from None
    try:
        check_version(connection.info.server_version, setting)
    except ConfigurationError:
        connection.close()
        raise
    return connection


def check_version(server_version: int, setting: str = "DATABASE_URL") -> None:
    """Raises ConfigurationError for a ``server_version`` (150004 is 15.4) older than OLDEST_POSTGRES.

    https://www.postgresql.org/docs/current/libpq-status.html#LIBPQ-PQSERVERVERSION
    """
    if server_version < OLDEST_POSTGRES * 10_000:
        raise ConfigurationError(
            f"{setting}: the server is PostgreSQL {server_version // 10_000}; "
            f"PostgreSQL {OLDEST_POSTGRES} or newer is needed."
        )


def _shown(url: str) -> str:
    values = conninfo_to_dict(url)
    host, port = values.get("host") or "localhost", values.get("port") or 5432
    user = values.get("user")
    whose = f" as {user!r}" if user else ""
    return f"the database {values.get('dbname') or user or ''!r}{whose} at {host}:{port}"


def _reason(error: psycopg.Error) -> str:
    """The last line that libpq says, which is the one about the last address it tried, without its preamble."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("Is the server", "Multiple connection attempts"))]
    text = lines[-1] if lines else type(error).__name__
    for marker in ("FATAL: ", "failed: ", "error: "):
        text = text.rpartition(marker)[2]
    return text.strip().rstrip(".")
