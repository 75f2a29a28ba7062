"""The tenants (clinics) of this database, and what a first run has done. docs/architecture.md, "Rows"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

import psycopg

from fhir_server.settings import ConfigurationError
from fhir_server.store import search_parameters

SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
"""A label of a host name, since riverside.example.org is a tenant's address. https://www.rfc-editor.org/rfc/rfc1123#page-13"""

LONGEST_NAME = 200
LONGEST_SEARCH_MS = 3_600_000

_COLUMNS = "id, slug, name, created, search_timeout_ms"


@dataclass(frozen=True, slots=True)
class Tenant:
    """One clinic: ``slug`` stands in its base URL, ``name`` is for people."""

    id: int
    slug: str
    name: str
    created: datetime
    search_timeout_ms: int | None = None


def create(connection: psycopg.Connection, slug: str, name: str = "") -> Tenant:
    """Create a tenant through the owner's ``connection``; its name is the slug unless given.

    Raises ConfigurationError for a slug that is no host name label or is taken.
    """
    if not SLUG.fullmatch(slug):
        raise ConfigurationError(
            f"{slug!r} cannot be a tenant: it must be 1 to 63 of a-z, 0-9 and -, without - at either end."
        )
    if len(name) > LONGEST_NAME or not (name or slug).isprintable():
        raise ConfigurationError(f"A tenant's name must be at most {LONGEST_NAME} printable characters.")
    with connection.transaction():
        row = connection.execute(
            "INSERT INTO tenant (slug, name) VALUES (%s, %s) ON CONFLICT (slug) DO NOTHING"
            " RETURNING id, slug, name, created",
            [slug, name or slug],
        ).fetchone()
        if row is None:
            raise ConfigurationError(f"The tenant {slug!r} exists already.")
        search_parameters.share_with_new_tenant(connection, row[0])
    return Tenant(*row)


def set_search_timeout(connection: psycopg.Connection, slug: str, milliseconds: int | None) -> None:
    """Limit how long the searches of a tenant may take; None: to what SEARCH_TIMEOUT_MS says.

    Raises ConfigurationError for a tenant that is not there, or a limit outside of 1 to 3,600,000.
    """
    if milliseconds is not None and not 1 <= milliseconds <= LONGEST_SEARCH_MS:
        raise ConfigurationError(f"A search may be given 1 to {LONGEST_SEARCH_MS} milliseconds, not {milliseconds}.")
    changed = connection.execute("UPDATE tenant SET search_timeout_ms = %s WHERE slug = %s", [milliseconds, slug])
    if not changed.rowcount:
        raise ConfigurationError(f"There is no tenant {slug!r}; `fhir-server tenant list` shows them.")


def find(connection: psycopg.Connection, slug: str) -> Tenant | None:
    """The tenant ``slug``, or None."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM tenant WHERE slug = %s", [slug]).fetchone()
    return Tenant(*row) if row else None


def listed(connection: psycopg.Connection) -> list[Tenant]:
    """Every tenant, by slug."""
    return [Tenant(*row) for row in connection.execute(f"SELECT {_COLUMNS} FROM tenant ORDER BY slug")]


def is_done(connection: psycopg.Connection, step: str) -> bool:
    """Whether ``step`` of a first run was finished, once and for all."""
    return connection.execute("SELECT 1 FROM first_run WHERE step = %s", [step]).fetchone() is not None


def mark_done(connection: psycopg.Connection, step: str) -> None:
    """Note that ``step`` of a first run is finished."""
    connection.execute("INSERT INTO first_run (step) VALUES (%s) ON CONFLICT (step) DO NOTHING", [step])
