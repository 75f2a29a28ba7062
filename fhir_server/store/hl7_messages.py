"""Messages of HL7 v2: kept as they came, then settled one by one. docs/hl7.md, "Safe before it is acknowledged" """

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import pq

from fhir_server.r4 import json
from fhir_server.store import hl7_sequences, savepoints
from fhir_server.store.hl7_incoming import CAME as CAME
from fhir_server.store.hl7_incoming import DEAD as DEAD
from fhir_server.store.hl7_incoming import DROPPED as DROPPED
from fhir_server.store.hl7_incoming import RECEIVED as RECEIVED
from fhir_server.store.hl7_incoming import SETTLED as SETTLED
from fhir_server.store.hl7_incoming import STORED as STORED
from fhir_server.store.hl7_incoming import Incoming as Incoming
from fhir_server.store.hl7_incoming import Kept as Kept
from fhir_server.store.hl7_keep import BINARY, KEEP, arguments, told
from fhir_server.store.hl7_order import WAITING, Head
from fhir_server.store.wire import Argument, Asked, Statement, array, run, run_binary, run_together, text_array

_BEFORE = """
SELECT feed_id, fingerprint, id, state, acknowledgment FROM hl7_message
 WHERE tenant_id = %s AND feed_id = ANY(%s) AND fingerprint = ANY(%s) AND replay_of = 0
"""


def keep(connection: psycopg.Connection, tenant_id: int, many: Sequence[Incoming], now: int) -> list[Kept]:
    """Keep messages of one tenant, in a transaction bound to it; for each what became of it, in their order.

    No two of them have the same feed and fingerprint. One that came before is not kept again, nor one of a feed that
    numbers its messages whose number is not the next one.
    """
    if not hl7_sequences.lock(connection, tenant_id, many):
        return _keep(connection, tenant_id, many, now)
    before = known(connection, tenant_id, [one for one in many if one.sequence is not None])
    turned = hl7_sequences.admitted(connection, tenant_id, many, before)
    places = [place for place in range(len(many)) if place not in turned]
    kept = _keep(connection, tenant_id, [many[place] for place in places], now) if places else []
    found = dict(zip(places, kept, strict=True))
    return [found.get(place) or Kept(0, False, "", b"", turned[place]) for place in range(len(many))]


def _keep(connection: psycopg.Connection, tenant_id: int, many: Sequence[Incoming], now: int) -> list[Kept]:
    found = told(run_binary(connection, KEEP, arguments(tenant_id, many, now), BINARY), many)
    if any(one is not None and one.new and one.state == RECEIVED for one in found):
        connection.execute("SELECT pg_notify(%s, %s)", [CAME, str(tenant_id)])
    # Another connection kept these at the same moment; by now it has committed.
    missing = known(connection, tenant_id, [one for one, kept in zip(many, found, strict=True) if kept is None])
    return [kept or missing[one.feed_id, one.fingerprint] for one, kept in zip(many, found, strict=True)]


def known(connection: psycopg.Connection, tenant_id: int, many: Sequence[Incoming]) -> dict[tuple[int, bytes], Kept]:
    """Those of messages that came before, by feed and fingerprint, in a transaction of the tenant."""
    if not many:
        return {}
    feeds = sorted({one.feed_id for one in many})
    rows = connection.execute(_BEFORE, [tenant_id, feeds, [one.fingerprint for one in many]])
    return {
        (feed_id, bytes(fingerprint)): Kept(number, False, state, bytes(acknowledgment))
        for feed_id, fingerprint, number, state, acknowledgment in rows
    }


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message whose row in the queue is locked by this transaction."""

    id: int
    feed_id: int
    patients: tuple[int, ...]
    raw: bytes
    acknowledgment: bytes
    attempts: int
    replay_of: int


class Taken(list[Waiting]):
    """Messages that were taken; ``more``: others waited beside them when they were."""

    more: bool = False


HEAD = 400
"""How many of the oldest messages are looked at: one that none of them keeps waiting is taken."""

OCTETS = 16 * 1024 * 1024
"""How many bytes of messages are taken at once, as long as there is more than one: documents may be large."""

_TAKE = Statement(
    "hl7_queue_take",
    """
SELECT x.message_id, x.feed_id, x.patients, encode(x.raw, 'hex'), encode(x.acknowledgment, 'hex'), x.attempts,
       x.replay_of
  FROM (SELECT w.*, sum(octet_length(w.raw)) OVER (ORDER BY w.message_id) - octet_length(w.raw) AS before
          FROM (SELECT q.message_id, q.feed_id, q.patients, m.raw, m.acknowledgment, m.attempts, m.replay_of
                  FROM hl7_queue q JOIN hl7_message m ON m.tenant_id = q.tenant_id AND m.id = q.message_id
                 WHERE q.tenant_id = $1::int AND q.message_id = ANY($2::bigint[]) ORDER BY q.message_id LIMIT $3::int
                   FOR UPDATE OF q SKIP LOCKED) w) x
 WHERE x.before < $4::bigint ORDER BY x.message_id
""",
)
"""The size of a message is known without its bytes, which are read of those alone that there is room for."""

_LOCK = Statement("hl7_lock_patients", "SELECT pg_advisory_xact_lock(k) FROM unnest($1::bigint[]) k")


def heading(tenant_id: int, paused: Sequence[int], most: int) -> Asked:
    """The statement that `take` begins with, to be run together with others."""
    return WAITING, [b"%d" % tenant_id, array(paused), b"%d" % min(4 * most, HEAD)]


def take(
    connection: psycopg.Connection,
    tenant_id: int,
    paused: Sequence[int],
    most: int,
    head: pq.abc.PGresult | None = None,
) -> Taken:
    """Take the oldest messages that wait for no earlier one but those taken with them, in a transaction of the tenant,
    whose end sets them free; in the order in which they were kept.

    Others that are being delivered are passed over, with all behind them that are of the same patients. More than
    OCTETS bytes are not taken at once, but in one message. ``head`` is what `heading` has come to, in this transaction.
    """
    # Most often some of the very first are free.
    for looked in (min(4 * most, HEAD), HEAD):
        if head is None:
            head = run(connection, WAITING, [b"%d" % tenant_id, array(paused), b"%d" % looked])
        seen = Head(head)
        head = None
        taken = _go_on(connection, tenant_id, seen, most)
        if taken or len(seen) < looked:
            taken.more = len(seen) > len(taken)
            break
    return taken


def _go_on(connection: psycopg.Connection, tenant_id: int, head: Head, most: int) -> Taken:
    """Messages that are free, and those behind them."""
    free = head.free()
    taken = Taken(_taken(connection, tenant_id, free, most, OCTETS) if free else ())
    if not 0 < len(taken) < most or len(free) == len(head):
        return taken
    numbers = {one.id for one in taken}
    room = OCTETS - sum(len(one.raw) for one in taken)
    behind = head.behind(numbers, set(free), most - len(taken))
    if not behind or room <= 0:
        return taken
    # They are locked by nobody: whoever has a message of a patient has the first one. Those that were settled or
    # buried since the head was looked at are missing, and what comes behind them waits for the next look.
    found = _taken(connection, tenant_id, behind, len(behind), room)
    going = head.behind(numbers, set(free) | (set(behind) - {one.id for one in found}), len(behind))
    taken.extend(one for one in found if one.id in going)
    taken.sort(key=lambda one: one.id)
    return taken


def _taken(
    connection: psycopg.Connection, tenant_id: int, numbers: Sequence[int], most: int, octets: int
) -> list[Waiting]:
    result = run(connection, _TAKE, [b"%d" % tenant_id, array(numbers), b"%d" % most, b"%d" % octets])
    return [_waiting([result.get_value(row, at) or b"" for at in range(7)]) for row in range(result.ntuples)]


def _waiting(cells: Sequence[bytes]) -> Waiting:
    number, feed_id, patients, raw, acknowledgment, attempts, replay_of = cells
    return Waiting(
        int(number),
        int(feed_id),
        tuple(int(one) for one in patients[1:-1].split(b",") if one),
        bytes.fromhex(raw.decode()),
        bytes.fromhex(acknowledgment.decode()),
        int(attempts),
        int(replay_of),
    )


def waits(connection: psycopg.Connection, tenant_id: int, number: int) -> bool:
    """Whether a message waits and nobody else has it, in a transaction of the tenant, which has it from now on."""
    row = connection.execute(
        "SELECT FROM hl7_queue WHERE tenant_id = %s AND message_id = %s FOR UPDATE SKIP LOCKED", [tenant_id, number]
    ).fetchone()
    return row is not None


def lock_patients(connection: psycopg.Connection, tenant_id: int, patients: Sequence[int]) -> None:
    """Wait for whoever converts a message of one of these patients, until this transaction ends.

    A savepoint is set behind that, in the same round trip: store/savepoints.py
    """
    keys = sorted({one ^ tenant_id for one in patients})
    run_together(connection, [(_LOCK, [array(keys)]), (savepoints.SET, ())])


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a message. ``acknowledgment`` replaces the one that it was given, where there is one."""

    id: int
    state: str
    map_version: str
    problem: dict[str, Any] | None = None
    warnings: dict[str, Any] | None = None
    acknowledgment: bytes | None = None
    awaited: bool = False


_SETTLE = Statement(
    "hl7_settle",
    """
WITH x AS (
    SELECT id, state, map_version, nullif(problem, '') AS problem, nullif(warnings, '') AS warnings, acknowledgment
      FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
           AS x(id, state, map_version, problem, warnings, acknowledgment)
), gone AS (DELETE FROM hl7_queue q USING x WHERE q.tenant_id = $1::int AND q.message_id = x.id
), told AS (
    UPDATE hl7_message m SET state = x.state, settled = $8::bigint, attempts = m.attempts + 1,
           map_version = x.map_version, problem = x.problem::jsonb, warnings = x.warnings::jsonb,
           acknowledgment = CASE WHEN x.acknowledgment = '-' THEN m.acknowledgment
                                 ELSE decode(x.acknowledgment, 'hex') END
      FROM x WHERE m.tenant_id = $1::int AND m.id = x.id
)
SELECT pg_notify($9, said) FROM unnest($10::text[]) said
""",
)


def settle(connection: psycopg.Connection, tenant_id: int, many: Sequence[Settled], now: int) -> None:
    """Write down what became of messages, in the transaction that has written their resources."""
    run(connection, *settling(tenant_id, many, now))


def settling(tenant_id: int, many: Sequence[Settled], now: int) -> tuple[Statement, Sequence[Argument]]:
    """The statement of `settle`, to be run together with others."""
    return _SETTLE, [
        b"%d" % tenant_id,
        array(one.id for one in many),
        text_array(one.state for one in many),
        text_array(one.map_version for one in many),
        text_array(_json(one.problem) or "" for one in many),
        text_array(_json(one.warnings) or "" for one in many),
        text_array("-" if one.acknowledgment is None else one.acknowledgment.hex() for one in many),
        b"%d" % now,
        SETTLED.encode(),
        text_array(f"{tenant_id} {one.id}" for one in many if one.awaited),
    ]


def _json(value: dict[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value).decode()
