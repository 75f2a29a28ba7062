"""Who sends messages of HL7 v2, for whoever listens for all clinics. docs/hl7.md"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

CHANGED = "hl7_feeds"
"""The channel of NOTIFY on which PostgreSQL tells that feeds have changed."""


@dataclass(frozen=True, slots=True)
class FeedRow:
    """One feed as it is stored. Times are microseconds since 1970 UTC."""

    tenant_id: int
    slug: str
    id: int
    name: str
    paused: bool
    changed: int
    configuration: dict[str, Any]


_COLUMNS = "f.tenant_id, t.slug, f.id, f.name, f.paused, f.changed, f.configuration"


def listed(connection: psycopg.Connection, tenant_id: int | None = None) -> list[FeedRow]:
    """Every feed, or those of one tenant in a transaction of it, in the order in which they were added."""
    if tenant_id is None:
        rows = connection.execute("SELECT * FROM hl7_all_feeds()").fetchall()
    else:
        rows = connection.execute(
            f"SELECT {_COLUMNS} FROM hl7_feed f JOIN tenant t ON t.id = f.tenant_id WHERE f.tenant_id = %s"
            " ORDER BY f.id",
            [tenant_id],
        ).fetchall()
    return [FeedRow(*row) for row in rows]


def add(
    connection: psycopg.Connection, tenant_id: int, name: str, configuration: dict[str, Any], now: int
) -> int | None:
    """Add a feed, in a transaction of its tenant; its number, None where the name is taken."""
    row = connection.execute(
        "INSERT INTO hl7_feed (tenant_id, created, changed, name, configuration) VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT (tenant_id, name) DO NOTHING RETURNING id",
        [tenant_id, now, now, name, Jsonb(configuration)],
    ).fetchone()
    return int(row[0]) if row else None


def change(
    connection: psycopg.Connection,
    tenant_id: int,
    name: str,
    now: int,
    *,
    configuration: dict[str, Any] | None = None,
    paused: bool | None = None,
) -> bool:
    """Change what is given of a feed, in a transaction of its tenant; False where there is none of this name.

    Where it begins or ceases to number its messages, which number is expected is forgotten.
    """
    if configuration is not None:
        connection.execute(
            "DELETE FROM hl7_sequence s USING hl7_feed f WHERE f.tenant_id = %s AND f.name = %s"
            " AND s.tenant_id = f.tenant_id AND s.feed_id = f.id"
            " AND f.configuration -> 'sequence' IS DISTINCT FROM %s -> 'sequence'",
            [tenant_id, name, Jsonb(configuration)],
        )
    done = connection.execute(
        "UPDATE hl7_feed SET changed = %s, configuration = coalesce(%s, configuration), paused = coalesce(%s, paused)"
        " WHERE tenant_id = %s AND name = %s",
        [now, None if configuration is None else Jsonb(configuration), paused, tenant_id, name],
    )
    return done.rowcount == 1


def remove(connection: psycopg.Connection, tenant_id: int, name: str) -> bool:
    """Remove a feed, in a transaction of its tenant; its messages stay. False where there is none of this name."""
    row = connection.execute(
        "DELETE FROM hl7_feed WHERE tenant_id = %s AND name = %s RETURNING id", [tenant_id, name]
    ).fetchone()
    if row is None:
        return False
    connection.execute("DELETE FROM hl7_sequence WHERE tenant_id = %s AND feed_id = %s", [tenant_id, row[0]])
    return True
