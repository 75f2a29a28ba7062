"""Messages of HL7 v2 as people and programs look for them: by feed, control id, patient, type, time, state.

docs/hl7.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import pq
from psycopg.types.json import Jsonb

from fhir_server.store import hl7_kinds
from fhir_server.store.hl7_messages import CAME, DEAD, DROPPED, RECEIVED, STORED
from fhir_server.store.hl7_span import span
from fhir_server.store.wire import Asked, Statement, array, run


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for; None and "" are anything.

    ``patients`` are hashes of identifiers, any of which the message names. ``since`` and ``until`` are microseconds
    since 1970 UTC of when it came, ``before`` a number: older messages than it.
    """

    feed_id: int | None = None
    control_id: str = ""
    message_type: str = ""
    event: str = ""
    state: str = ""
    patients: tuple[int, ...] | None = None
    since: int | None = None
    until: int | None = None
    before: int | None = None
    ids: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A message without its content. Times are microseconds since 1970 UTC."""

    id: int
    feed_id: int
    received: int
    settled: int
    state: str
    control_id: str
    message_type: str
    event: str
    application: str
    facility: str
    attempts: int
    conflicting: bool
    replay_of: int
    problem: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Whole:
    """A message with its content."""

    found: Found
    structure: str
    map_version: str
    raw: bytes
    acknowledgment: bytes
    warnings: dict[str, Any] | None
    patients: tuple[int, ...] = field(default=())


_COLUMNS = (
    "m.id, m.feed_id, m.received, m.settled, m.state, m.control_id, m.message_type, m.event, m.application, m.facility,"
    " m.attempts, m.conflicting, m.replay_of, m.problem"
)


_NAMES = (
    "m.id IN (SELECT p.message_id FROM hl7_message_patient p"
    " WHERE p.tenant_id = m.tenant_id AND p.patient = ANY(%s::bigint[]))"
)


_STATES = {state: f"m.state = '{state}'" for state in (RECEIVED, STORED, DEAD, DROPPED)}
_WAITS = "m.id IN (SELECT q.message_id FROM hl7_queue q WHERE q.tenant_id = %s)"


def _where(tenant_id: int, wanted: Wanted) -> tuple[str, list[Any]]:
    said: list[str] = ["m.tenant_id = %s"]
    values: list[Any] = [tenant_id]
    for condition, value in (
        ("m.feed_id = %s", wanted.feed_id),
        ("m.control_id = %s", wanted.control_id or None),
        ("m.message_type = %s", wanted.message_type or None),
        ("m.event = %s", wanted.event or None),
        # As it is written in the conditions of indexes: a plan that is kept for all values could not use them.
        (_STATES.get(wanted.state, "m.state = %s"), wanted.state or None),
        # What waits is in the queue: nobody looks through all messages for it.
        (_WAITS, tenant_id if wanted.state == RECEIVED else None),
        ("m.received >= %s", wanted.since),
        ("m.received < %s", wanted.until),
        ("m.id < %s", wanted.before),
        ("m.id = ANY(%s::bigint[])", None if wanted.ids is None else list(wanted.ids)),
        (_NAMES, None if wanted.patients is None else list(wanted.patients)),
    ):
        if value is not None:
            said.append(condition)
            values += [value] * condition.count("%s")
    return " AND ".join(said), values


def listed(
    connection: psycopg.Connection, tenant_id: int, wanted: Wanted, most: int, *, oldest: bool = False
) -> list[Found]:
    """Messages, the newest first or the ``oldest``, in a transaction of the tenant."""
    where, values = _where(tenant_id, wanted)
    if wanted.since is not None or wanted.until is not None:
        for bound, number in zip((">=", "<"), span(connection, tenant_id, wanted.since, wanted.until), strict=True):
            if number is not None:
                where += f" AND m.id {bound} %s"
                values.append(number)
    order = "ASC" if oldest else "DESC"
    if _of_a_kind(wanted):
        waits = _WAITS if not wanted.state else ""
        found = hl7_kinds.kinds(connection, tenant_id, wanted.message_type, wanted.event)
        statement = hl7_kinds.statement(_COLUMNS, where, waits, order)
        settled = [[one for one, _ in found], [one for _, one in found], *values, most]
        waiting = [*values, tenant_id, most] if waits else []
        rows = connection.execute(statement.encode(), [*settled, *waiting, most])
    else:
        statement = f"SELECT {_COLUMNS} FROM hl7_message m WHERE {where} ORDER BY m.id {order} LIMIT %s"
        rows = connection.execute(statement.encode(), [*values, most])
    return [Found(*row) for row in rows]


def _of_a_kind(wanted: Wanted) -> bool:
    """Whether type and event are what a search goes by: nothing that it says is found more directly."""
    if wanted.control_id or wanted.patients is not None or wanted.ids is not None:
        return False
    return bool(wanted.message_type or wanted.event) and wanted.state in ("", STORED)


def whole(connection: psycopg.Connection, tenant_id: int, number: int) -> Whole | None:
    """One message with its content, in a transaction of the tenant; None where there is none of this number."""
    row = connection.execute(
        f"SELECT {_COLUMNS}, m.structure, m.map_version, m.raw, m.acknowledgment, m.warnings,"
        " array(SELECT patient FROM hl7_message_patient p WHERE p.tenant_id = m.tenant_id AND p.message_id = m.id)"
        " FROM hl7_message m WHERE m.tenant_id = %s AND m.id = %s",
        [tenant_id, number],
    ).fetchone()
    if row is None:
        return None
    *columns, structure, version, raw, acknowledgment, warnings, patients = row
    return Whole(Found(*columns), structure, version, bytes(raw), bytes(acknowledgment), warnings, tuple(patients))


_SETTLED = Statement(
    "hl7_settled",
    "SELECT id, encode(acknowledgment, 'hex') FROM hl7_message"
    " WHERE tenant_id = $1::int AND id = ANY($2::bigint[]) AND state <> $3",
)


def settled(connection: psycopg.Connection, tenant_id: int, ids: Sequence[int]) -> dict[int, bytes]:
    """Of those messages that wait for nobody any more, the acknowledgments, in a transaction of the tenant."""
    return acknowledgments(run(connection, *settling(tenant_id, ids)))


def settling(tenant_id: int, ids: Sequence[int]) -> Asked:
    """The statement of `settled`, to be run by itself."""
    return _SETTLED, [b"%d" % tenant_id, array(ids), RECEIVED.encode()]


def acknowledgments(result: pq.abc.PGresult) -> dict[int, bytes]:
    """What it has come to, as `settled` tells."""
    get = result.get_value
    return {int(get(row, 0) or 0): bytes.fromhex((get(row, 1) or b"").decode()) for row in range(result.ntuples)}


@dataclass(frozen=True, slots=True)
class Replay:
    """A dead letter that is to be converted again. ``raw`` is given where somebody has corrected it.

    ``patients``, ``tokens`` and ``keys`` are as in hl7_incoming.Incoming.
    ``header`` is what the correction says of itself: control id, type, event, structure.
    """

    id: int
    patients: tuple[int, ...]
    raw: bytes | None = None
    header: tuple[str, str, str, str] | None = None
    tokens: tuple[int, ...] = ()
    keys: tuple[int, ...] = ()


def replay(connection: psycopg.Connection, tenant_id: int, one: Replay, now: int) -> int | None:
    """Have a dead letter converted again, in a transaction of the tenant; the number of the message that will be.

    As it came it waits again itself. A corrected one is another message, and the dead letter is dropped for it. None
    where it is no dead letter (any more).
    """
    row = connection.execute(
        "UPDATE hl7_message SET state = %s, settled = %s, attempts = attempts + 1"
        " WHERE tenant_id = %s AND id = %s AND state = %s RETURNING feed_id",
        [RECEIVED if one.raw is None else DROPPED, 0 if one.raw is None else now, tenant_id, one.id, DEAD],
    ).fetchone()
    if row is None:
        return None
    number = one.id
    if one.raw is not None:
        number = _corrected(connection, tenant_id, one, one.raw, now)
        _note(connection, tenant_id, [one.id], {"corrected": number})
    patients = array(one.patients).decode()
    connection.execute(
        "INSERT INTO hl7_message_patient SELECT %s, p, %s FROM unnest(%s::bigint[]) p ON CONFLICT DO NOTHING",
        [tenant_id, number, patients],
    )
    connection.execute(
        "INSERT INTO hl7_queue (tenant_id, message_id, feed_id, patients, tokens, keys)"
        " VALUES (%s, %s, %s, %s::bigint[], %s::bigint[], %s::bigint[])",
        [tenant_id, number, row[0], patients, array(one.tokens).decode(), array(one.keys).decode()],
    )
    connection.execute("SELECT pg_notify(%s, %s)", [CAME, str(tenant_id)])
    return number


_CORRECTED = """
INSERT INTO hl7_message (tenant_id, id, feed_id, received, state, control_id, message_type, event, structure,
                         application, facility, fingerprint, raw, acknowledgment, attempts, replay_of)
SELECT tenant_id, nextval('hl7_message_id'), feed_id, %s, %s, coalesce(%s, control_id), coalesce(%s, message_type),
       coalesce(%s, event), coalesce(%s, structure), application, facility, fingerprint, %s, acknowledgment, 1,
       CASE replay_of WHEN 0 THEN id ELSE replay_of END
  FROM hl7_message WHERE tenant_id = %s AND id = %s RETURNING id
"""


def _corrected(connection: psycopg.Connection, tenant_id: int, one: Replay, raw: bytes, now: int) -> int:
    row = connection.execute(
        _CORRECTED, [now, RECEIVED, *(one.header or (None,) * 4), raw, tenant_id, one.id]
    ).fetchone()
    if row is None:
        raise LookupError("the dead letter that was just changed is there")
    return int(row[0])


def _note(connection: psycopg.Connection, tenant_id: int, ids: Sequence[int], said: Mapping[str, Any]) -> None:
    """Write beside the problem of messages what was done about it."""
    connection.execute(
        "UPDATE hl7_message SET problem = coalesce(problem, '{}'::jsonb) || %s WHERE tenant_id = %s AND id = ANY(%s)",
        [Jsonb(dict(said)), tenant_id, list(ids)],
    )


def drop(connection: psycopg.Connection, tenant_id: int, ids: Sequence[int], now: int, reason: str = "") -> list[int]:
    """Close dead letters for good, in a transaction of the tenant; those that were dead letters.

    All stay readable, with the ``reason`` that somebody gave beside their problem.
    """
    rows = connection.execute(
        "UPDATE hl7_message SET state = %s, settled = %s WHERE tenant_id = %s AND id = ANY(%s) AND state = %s"
        " RETURNING id",
        [DROPPED, now, tenant_id, list(ids), DEAD],
    )
    gone = sorted(row[0] for row in rows)
    if reason and gone:
        _note(connection, tenant_id, gone, {"dropped": reason})
    return gone


@dataclass(frozen=True, slots=True)
class Depth:
    """What waits of a feed: how many messages, and when the oldest of them came (microseconds since 1970 UTC)."""

    feed_id: int
    waiting: int
    oldest: int


def depths(connection: psycopg.Connection, tenant_id: int) -> list[Depth]:
    """What waits of each feed, in a transaction of the tenant; feeds of which nothing waits are left out."""
    rows = connection.execute(
        "SELECT q.feed_id, count(*), min(m.received) FROM hl7_queue q"
        " JOIN hl7_message m ON m.tenant_id = q.tenant_id AND m.id = q.message_id"
        " WHERE q.tenant_id = %s GROUP BY q.feed_id",
        [tenant_id],
    )
    return [Depth(*row) for row in rows]


def dead_letters(connection: psycopg.Connection, tenant_id: int) -> dict[int, int]:
    """How many dead letters there are of each feed, in a transaction of the tenant."""
    rows = connection.execute(
        "SELECT feed_id, count(*) FROM hl7_message WHERE tenant_id = %s AND state = 'dead' GROUP BY feed_id",
        [tenant_id],
    )
    return dict(rows)


def bodies(connection: psycopg.Connection, tenant_id: int, keys: Sequence[int]) -> dict[int, Any]:
    """Resources as this transaction of the tenant has them, by key; those that are not there are left out."""
    rows = connection.execute(
        "SELECT key, body FROM resource WHERE tenant_id = %s AND key = ANY(%s) AND NOT deleted", [tenant_id, list(keys)]
    )
    return dict(rows)
