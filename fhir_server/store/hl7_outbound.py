"""What waits to be told to other systems by messages of HL7 v2, and what became of it. docs/hl7-outbound.md"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from fhir_server.store.resources import TYPE_NAMES

WAITING, SENT, DEAD, SKIPPED = "waiting", "sent", "dead", "skipped"

CHANGED = "hl7_outbox"
"""The channel of NOTIFY: a tenant's number when there is something to be told."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of a resource for one destination. ``message`` is None until it was made.

    ``patient`` is the key of the patient whose messages it takes its turn with. ``superseded``: a later version of the
    resource waits as well. Times are microseconds since 1970 UTC.
    """

    id: int
    destination_id: int
    resource_type: str
    resource_id: str
    version: int
    key: int
    patient: int
    created: int
    attempts: int
    next_attempt: int
    settled: int
    state: str
    event: str
    control_id: str
    message: bytes | None
    acknowledgment: bytes | None
    problem: dict[str, Any] | None
    superseded: bool


_COLUMNS = (
    "o.id, o.destination_id, o.type_id, o.resource_id, o.version, o.key, o.patient, o.created, o.attempts,"
    " o.next_attempt, o.settled, o.state, o.event, o.control_id, o.message, o.acknowledgment, o.problem,"
    " EXISTS (SELECT FROM hl7_outbox p WHERE p.tenant_id = o.tenant_id AND p.destination_id = o.destination_id"
    " AND p.state = 'waiting' AND p.key = o.key AND p.id > o.id)"
)

PAGE = 500
"""How many of those that wait are looked at in one statement."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Rows that may be sent now, each the oldest of its patient, and when the next one of the others may.

    ``later`` is 0 where nobody waits for a time.
    """

    ids: tuple[int, ...]
    later: int


def ready(connection: psycopg.Connection, tenant_id: int, destination_id: int, now: int, most: int) -> Ready:
    """The oldest row of each patient, where its time has come, in a transaction of the tenant.

    A row that waits for its time holds up the later ones of its patient and nobody else. Nothing is locked: `locked`
    looks again.
    """
    seen: set[int] = set()
    ids: list[int] = []
    later = after = 0
    while len(ids) < most:
        rows = connection.execute(
            "SELECT id, patient, next_attempt FROM hl7_outbox WHERE tenant_id = %s AND destination_id = %s"
            " AND state = 'waiting' AND id > %s ORDER BY id LIMIT %s",
            [tenant_id, destination_id, after, PAGE],
        ).fetchall()
        for number, patient, next_attempt in rows:
            if patient in seen:
                continue
            seen.add(patient)
            if next_attempt <= now:
                ids.append(number)
            else:
                later = min(later, next_attempt) if later else next_attempt
        if len(rows) < PAGE:
            break
        after = rows[-1][0]
    return Ready(tuple(ids[:most]), later)


def locked(connection: psycopg.Connection, tenant_id: int, number: int, now: int) -> Entry | None:
    """A row that waits, held until this transaction of the tenant ends; None where another process has it, or had."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM hl7_outbox o WHERE o.tenant_id = %s AND o.id = %s AND o.state = 'waiting'"
        " AND o.next_attempt <= %s FOR UPDATE OF o SKIP LOCKED",
        [tenant_id, number, now],
    ).fetchone()
    return None if row is None else _entry(row)


def _entry(row: Sequence[Any]) -> Entry:
    values = [*row]
    values[2] = TYPE_NAMES[row[2]]
    return Entry(*values)


def told_before(connection: psycopg.Connection, tenant_id: int, entry: Entry) -> int:
    """The version of the resource that a destination knows, 0 where it knows none.

    That is the last one that was sent; where none was, what there was before the first one that waited.
    """
    row = connection.execute(
        "SELECT max(version) FILTER (WHERE state = 'sent'), min(version) FROM hl7_outbox"
        " WHERE tenant_id = %s AND destination_id = %s AND key = %s AND version < %s",
        [tenant_id, entry.destination_id, entry.key, entry.version],
    ).fetchone()
    sent, first = row if row is not None else (None, None)
    return int(sent or (first or entry.version) - 1)


def last_message(
    connection: psycopg.Connection, tenant_id: int, destination_id: int, keys: Sequence[int]
) -> bytes | None:
    """The last message that any of these resources was told by, or is to be; dead ones do not count."""
    row = connection.execute(
        "SELECT message FROM hl7_outbox WHERE tenant_id = %s AND destination_id = %s AND key = ANY(%s)"
        " AND message IS NOT NULL AND state <> 'dead' ORDER BY id DESC LIMIT 1",
        [tenant_id, destination_id, list(keys)],
    ).fetchone()
    return None if row is None else bytes(row[0])


def made(
    connection: psycopg.Connection, tenant_id: int, number: int, event: str, control_id: str, message: bytes
) -> None:
    """Keep the message of a row, before it is sent for the first time."""
    connection.execute(
        "UPDATE hl7_outbox SET event = %s, control_id = %s, message = %s WHERE tenant_id = %s AND id = %s",
        [event, control_id, message, tenant_id, number],
    )


def settle(
    connection: psycopg.Connection,
    tenant_id: int,
    number: int,
    state: str,
    now: int,
    *,
    acknowledgment: bytes | None = None,
    problem: dict[str, Any] | None = None,
    tried: bool = True,
) -> None:
    """Write down what became of a row: sent, dead or skipped. ``tried``: it was sent, so that it counts."""
    connection.execute(
        "UPDATE hl7_outbox SET state = %s, settled = %s, attempts = attempts + %s, acknowledgment = %s, problem = %s"
        " WHERE tenant_id = %s AND id = %s",
        [state, now, int(tried), acknowledgment, None if problem is None else Jsonb(problem), tenant_id, number],
    )


def postpone(
    connection: psycopg.Connection, tenant_id: int, number: int, next_attempt: int, problem: dict[str, Any]
) -> None:
    """Have a row wait for its next attempt, and tell why the last one failed."""
    connection.execute(
        "UPDATE hl7_outbox SET attempts = attempts + 1, next_attempt = %s, problem = %s"
        " WHERE tenant_id = %s AND id = %s",
        [next_attempt, Jsonb(problem), tenant_id, number],
    )


def resend(connection: psycopg.Connection, tenant_id: int, numbers: Sequence[int]) -> list[int]:
    """Have dead rows sent again, the same bytes under the same control id; those that were.

    A row for which no message could be made is tried anew.
    """
    rows = connection.execute(
        "UPDATE hl7_outbox SET state = 'waiting', settled = 0, next_attempt = 0, problem = NULL"
        " WHERE tenant_id = %s AND id = ANY(%s) AND state = 'dead' RETURNING id",
        [tenant_id, list(numbers)],
    ).fetchall()
    if rows:
        connection.execute("SELECT pg_notify(%s, %s)", [CHANGED, str(tenant_id)])
    return sorted(row[0] for row in rows)


def listed(
    connection: psycopg.Connection, tenant_id: int, destination_id: int, states: Sequence[str], most: int
) -> list[Entry]:
    """The newest rows of a destination in these states, oldest of them first."""
    rows = connection.execute(
        f"SELECT * FROM (SELECT {_COLUMNS} FROM hl7_outbox o WHERE o.tenant_id = %s AND o.destination_id = %s"
        " AND o.state = ANY(%s) ORDER BY o.id DESC LIMIT %s) x ORDER BY 1",
        [tenant_id, destination_id, list(states), most],
    ).fetchall()
    return [_entry(row) for row in rows]


def dead(connection: psycopg.Connection, tenant_id: int, destination_id: int) -> list[int]:
    """The dead rows of a destination, the oldest first."""
    rows = connection.execute(
        "SELECT id FROM hl7_outbox WHERE tenant_id = %s AND destination_id = %s AND state = 'dead' ORDER BY id",
        [tenant_id, destination_id],
    ).fetchall()
    return [int(row[0]) for row in rows]


def counts(connection: psycopg.Connection, tenant_id: int, destination_id: int) -> dict[str, int]:
    """How many rows of a destination are in which state."""
    rows = connection.execute(
        "SELECT state, count(*) FROM hl7_outbox WHERE tenant_id = %s AND destination_id = %s GROUP BY state",
        [tenant_id, destination_id],
    ).fetchall()
    return {str(state): int(many) for state, many in rows}
