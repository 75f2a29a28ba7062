"""What every process reads once of a database: its hash key, and tenants by name. docs/architecture.md, "Rows" """

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from fhir_server.r4 import json
from fhir_server.store.session import Database
from fhir_server.store.wire import literal, run_simple


@dataclass(frozen=True, slots=True)
class Entry:
    """A tenant as requests need it: its number, and how many milliseconds its searches may take, None for the default.

    ``name`` is what people call the clinic. ``rate_limit`` are the requests a second that all its clients may send
    together, 0 for no limit; ``taken`` are the permissions that it has taken from roles, by role. docs/people.md,
    "Settings of a clinic"; docs/search.md, "Costly searches"
    """

    id: int
    search_timeout_ms: int | None = None
    name: str = ""
    rate_limit: int = 0
    taken: tuple[tuple[str, tuple[str, ...]], ...] = ()


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
    named = f"SELECT id, search_timeout_ms, name FROM tenant WHERE slug = {literal(slug)}"

    def look(connection: psycopg.Connection) -> Entry | None:
        # One message, and so one transaction: what a clinic has set is shown to nobody who has not named it.
        found = run_simple(
            connection,
            f"SELECT set_config('fhir.tenant', id::text, true) FROM ({named}) named;"
            f" SELECT named.*, (SELECT jsonb_object_agg(c.name, c.value) FROM clinic_setting c"
            f" WHERE c.tenant_id = named.id AND c.name IN ('rate_limit', 'narrowed')) FROM ({named}) named",
        )
        if not found.ntuples:
            return None
        number, timeout, name, chosen = (found.get_value(0, column) for column in range(4))
        return _entry(int(number or b"0"), timeout, (name or b"").decode(), json.parse(chosen) if chosen else {})

    return database.run(look, read_only=True)


def _entry(number: int, timeout: bytes | None, name: str, chosen: dict[str, Any]) -> Entry:
    taken = tuple((role, tuple(keys)) for role, keys in sorted(chosen.get("narrowed", {}).items()))
    return Entry(number, None if timeout is None else int(timeout), name, int(chosen.get("rate_limit", 0)), taken)


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
