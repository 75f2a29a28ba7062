"""Which systems are told by messages of HL7 v2 what has changed. docs/hl7-outbound.md"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import pq
from psycopg.types.json import Jsonb

from fhir_server.store.resources import TYPE_IDS
from fhir_server.store.wire import Asked, Statement, run


@dataclass(frozen=True, slots=True)
class DestinationRow:
    """One destination as it is stored. Times are microseconds since 1970 UTC.

    ``feed_id`` is the feed that the same system sends by, 0 for none.
    """

    tenant_id: int
    slug: str
    id: int
    name: str
    paused: bool
    changed: int
    feed_id: int
    configuration: dict[str, Any]


_COLUMNS = "d.tenant_id, t.slug, d.id, d.name, d.paused, d.changed, d.feed_id, d.configuration"


def listed(connection: psycopg.Connection, tenant_id: int | None = None) -> list[DestinationRow]:
    """Every destination, or those of one tenant in a transaction of it, in the order in which they were added."""
    if tenant_id is None:
        rows = connection.execute("SELECT * FROM hl7_all_destinations()").fetchall()
    else:
        rows = connection.execute(
            f"SELECT {_COLUMNS} FROM hl7_destination d JOIN tenant t ON t.id = d.tenant_id WHERE d.tenant_id = %s"
            " ORDER BY d.id",
            [tenant_id],
        ).fetchall()
    return [DestinationRow(*row) for row in rows]


def add(
    connection: psycopg.Connection,
    tenant_id: int,
    name: str,
    types: Sequence[str],
    configuration: dict[str, Any],
    now: int,
    feed_id: int = 0,
) -> int | None:
    """Add a destination for changes of these types, in a transaction of its tenant; its number, None where the name is
    taken."""
    row = connection.execute(
        "INSERT INTO hl7_destination (tenant_id, created, changed, feed_id, name, type_ids, configuration)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (tenant_id, name) DO NOTHING RETURNING id",
        [tenant_id, now, now, feed_id, name, sorted({TYPE_IDS[one] for one in types}), Jsonb(configuration)],
    ).fetchone()
    return int(row[0]) if row else None


def configure(
    connection: psycopg.Connection,
    tenant_id: int,
    name: str,
    types: Sequence[str],
    configuration: dict[str, Any],
    now: int,
) -> bool:
    """Change a destination, in a transaction of its tenant; what waits stays. False where there is none of the name."""
    done = connection.execute(
        "UPDATE hl7_destination SET changed = %s, type_ids = %s, configuration = %s WHERE tenant_id = %s AND name = %s",
        [now, sorted({TYPE_IDS[one] for one in types}), Jsonb(configuration), tenant_id, name],
    )
    return done.rowcount == 1


def pause(connection: psycopg.Connection, tenant_id: int, name: str, now: int, *, paused: bool) -> bool:
    """Send nothing to it, or send again, in a transaction of its tenant; False where there is none of this name.

    What changes meanwhile waits.
    """
    done = connection.execute(
        "UPDATE hl7_destination SET changed = %s, paused = %s WHERE tenant_id = %s AND name = %s",
        [now, paused, tenant_id, name],
    )
    return done.rowcount == 1


def remove(connection: psycopg.Connection, tenant_id: int, name: str, now: int) -> bool:
    """Remove a destination, in a transaction of its tenant. What waits for it is skipped; what was sent stays."""
    row = connection.execute(
        "DELETE FROM hl7_destination WHERE tenant_id = %s AND name = %s RETURNING id", [tenant_id, name]
    ).fetchone()
    if row is None:
        return False
    connection.execute(
        "UPDATE hl7_outbox SET state = 'skipped', settled = %s"
        " WHERE tenant_id = %s AND destination_id = %s AND state = 'waiting'",
        [now, tenant_id, row[0]],
    )
    return True


_ANSWERING = Statement(
    "hl7_answering_feeds",
    "SELECT f.name, f.id FROM hl7_destination d JOIN hl7_feed f ON f.tenant_id = d.tenant_id AND f.id = d.feed_id"
    " WHERE d.tenant_id = $1::int",
)


def answering_feeds(connection: psycopg.Connection, tenant_id: int) -> dict[str, int]:
    """The feeds of systems that are destinations as well, by name, in a transaction of the tenant."""
    return answering(run(connection, *asking(tenant_id)))


def asking(tenant_id: int) -> Asked:
    """The statement of `answering_feeds`, to be run together with others."""
    return _ANSWERING, [b"%d" % tenant_id]


def answering(result: pq.abc.PGresult) -> dict[str, int]:
    """What it has come to, as `answering_feeds` tells."""
    get = result.get_value
    return {(get(row, 0) or b"").decode(): int(get(row, 1) or 0) for row in range(result.ntuples)}


def write_for_feed(connection: psycopg.Connection, feed_id: int) -> None:
    """Have what is written from here on, to the end of the transaction, be of a feed (0: of none).

    It does not go back to the system that the feed is of.
    """
    connection.execute("SELECT set_config('fhir.hl7_feed', %s, true)", [str(feed_id)])
