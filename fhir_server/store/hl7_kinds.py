"""Messages of a type or an event, found by an index that holds both. docs/hl7.md, "Dead letters" """

from __future__ import annotations

import psycopg

Kind = tuple[str, str]
"""MSH-9.1 and MSH-9.2: ADT, A04."""

_STEPS = """
WITH RECURSIVE kind AS (
    (SELECT m.{name} AS said FROM hl7_message m WHERE m.tenant_id = %(tenant)s AND m.state <> 'received'{given}
      ORDER BY m.{name} LIMIT 1)
    UNION ALL
    SELECT (SELECT m.{name} FROM hl7_message m WHERE m.tenant_id = %(tenant)s AND m.state <> 'received'{given}
               AND m.{name} > k.said ORDER BY m.{name} LIMIT 1)
      FROM kind k WHERE k.said IS NOT NULL
)
SELECT said FROM kind WHERE said IS NOT NULL
"""
"""From one value to the next, however many messages have it: https://wiki.postgresql.org/wiki/Loose_indexscan"""

_TYPES = _STEPS.format(name="message_type", given="")
_EVENTS = _STEPS.format(name="event", given=" AND m.message_type = %(message_type)s")


def kinds(connection: psycopg.Connection, tenant_id: int, message_type: str, event: str) -> list[Kind]:
    """The types and events that settled messages of a tenant may have, of those asked for ("" is any)."""
    values = {"tenant": tenant_id, "message_type": message_type}
    if message_type and event:
        return [(message_type, event)]
    if message_type:
        return [(message_type, row[0]) for row in connection.execute(_EVENTS, values)]
    return [(row[0], event) for row in connection.execute(_TYPES, values)]


def statement(columns: str, where: str, waits: str, order: str) -> str:
    """The messages that fulfil ``where``, of each kind as many as are wanted, and then of all of them.

    Its values are types, events, those of ``where``, how many; with ``waits``, which says that a message is in the
    queue, once more those of ``where``, of ``waits`` and how many; how many.
    """
    found = f"""
SELECT f.* FROM unnest(%s::text[], %s::text[]) AS k(message_type, event) CROSS JOIN LATERAL (
    SELECT {columns} FROM hl7_message m
     WHERE m.message_type = k.message_type AND m.event = k.event AND m.state <> 'received' AND {where}
     ORDER BY m.id {order} LIMIT %s) f
"""
    if waits:
        found += f"""
UNION ALL
(SELECT {columns} FROM hl7_message m WHERE {where} AND m.state = 'received' AND {waits} ORDER BY m.id {order} LIMIT %s)
"""
    return f"{found} ORDER BY id {order} LIMIT %s"
