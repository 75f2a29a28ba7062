"""Bring the database to the present schema, then check that it is. https://alembic.sqlalchemy.org/"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from fhir_server.store.database_urls import check_version
from fhir_server.store.schema import TENANT_TABLES, metadata

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
# Two processes that migrate at the same time take turns ("FHIR" in ASCII).
MIGRATION_LOCK = 0x46484952


class SchemaError(Exception):
    """The database is not what this version of the product needs; the message says what differs."""


def sqlalchemy_url(url: str) -> str:
    """The URL as SQLAlchemy wants it: postgresql:// and postgres:// name the psycopg driver."""
    for prefix in ("postgresql://", "postgres://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    return url


def migrate(owner_url: str) -> None:
    """Apply every outstanding migration and assert the schema.

    ``owner_url`` is a libpq URL of the role that owns the tables. Raises settings.ConfigurationError if PostgreSQL is
    too old,
    SchemaError if the schema afterwards is not the one in schema.py, sqlalchemy.exc.OperationalError if the database
    cannot be reached.
    """
    engine = create_engine(sqlalchemy_url(owner_url), poolclass=NullPool)
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        check_version(driver.info.server_version)
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": MIGRATION_LOCK})
        connection.commit()
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
        assert_schema(connection)


def assert_schema(connection: Connection) -> None:
    """Raise SchemaError unless tables, columns, keys and indexes match tables.py and row level security is forced.

    A migration that "succeeded" with a column missing shows here, not at the first request.
    """
    ours = set(metadata.tables)
    context = MigrationContext.configure(
        connection,
        opts={
            "compare_type": True,
            "include_name": lambda name, kind, parents: kind != "table" or name in ours,
        },
    )
    differences = compare_metadata(context, metadata)
    if differences:
        raise SchemaError("The schema differs from what this version needs: " + "; ".join(map(describe, differences)))
    rows = connection.execute(
        text(
            "SELECT c.relname FROM pg_class c"
            " WHERE c.relname = ANY(:names) AND c.relnamespace = current_schema()::regnamespace"
            " AND NOT (c.relrowsecurity AND c.relforcerowsecurity"
            " AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid))"
        ),
        {"names": [table.name for table in TENANT_TABLES]},
    ).scalars()
    unprotected = sorted(rows)
    connection.commit()
    if unprotected:
        raise SchemaError("Row level security is not forced on: " + ", ".join(unprotected))


def describe(difference: object) -> str:
    """One difference in words short enough for one line."""
    if isinstance(difference, tuple):
        return " ".join(str(getattr(part, "name", part)) for part in difference if part is not None)
    return str(difference)
