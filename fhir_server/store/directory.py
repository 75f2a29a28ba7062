"""What every process reads once of a database: its hash key, and tenants by name. docs/architecture.md, "Rows" """

from __future__ import annotations

from dataclasses import dataclass

from fhir_server.store.session import Database


@dataclass(frozen=True, slots=True)
class Entry:
    """A tenant as requests need it: its number, and how many milliseconds its searches may take, None for the default.

    ``name`` is what people call the clinic. docs/search.md, "Costly searches"
    """

    id: int
    search_timeout_ms: int | None = None
    name: str = ""


def hash_key(database: Database) -> bytes:
    """The deployment's secret key for the hashes of the search index. Raises Unavailable, LookupError."""
    row = database.run(
        lambda c: c.execute("SELECT value FROM server_secret WHERE name = 'hash_key'").fetchone(), read_only=True
    )
    if row is None:
        raise LookupError("the database has no hash key: run the migrations")
    return bytes(row[0])


def entry(database: Database, slug: str) -> Entry | None:
    """What is known of a tenant, or None. Raises Unavailable."""
    if not slug.isascii() or "\0" in slug or len(slug) > 63:
        return None
    # Not prepared: it is asked seldom, and preparing it would be a round trip of its own.
    row = database.run(
        lambda c: c.execute(
            "SELECT id, search_timeout_ms, name FROM tenant WHERE slug = %s", [slug], prepare=False
        ).fetchone(),
        read_only=True,
    )
    return None if row is None else Entry(*row)


def tenant_id(database: Database, slug: str) -> int | None:
    """The number of a tenant, or None. Raises Unavailable."""
    found = entry(database, slug)
    return None if found is None else found.id


def all_tenants(database: Database) -> list[tuple[str, int]]:
    """The slug and the number of each tenant, by name. Raises Unavailable."""
    return database.run(
        lambda c: c.execute("SELECT slug, id FROM tenant ORDER BY slug", prepare=False).fetchall(), read_only=True
    )


def ready(database: Database) -> bool:
    """Whether the database answers and has its tables. Raises Unavailable where it does not answer."""
    row = database.run(lambda c: c.execute("SELECT to_regclass('resource') IS NOT NULL").fetchone(), read_only=True)
    return bool(row and row[0])
