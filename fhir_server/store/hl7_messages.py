"""Messages of HL7 v2: kept as they came, then settled one by one. docs/hl7.md, "Safe before it is acknowledged" """

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from fhir_server.r4 import json
from fhir_server.store import hl7_sequences
from fhir_server.store.wire import Argument, Statement, array, run, text_array

RECEIVED, STORED, DEAD, DROPPED = "received", "stored", "dead", "dropped"

CAME, SETTLED = "hl7_came", "hl7_settled"
"""Channels of NOTIFY: a tenant's number when messages wait, "tenant message" when one is settled that is waited for."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message that came over the wire. ``patients`` are hashes of the identifiers that it names patients by.

    ``problem`` is why it is a dead letter from the start: it is kept, and waits for nobody. ``sequence`` is its number,
    where its feed numbers messages: see `hl7_sequences`.
    """

    feed_id: int
    control_id: str
    message_type: str
    event: str
    structure: str
    application: str
    facility: str
    fingerprint: bytes
    raw: bytes
    acknowledgment: bytes
    patients: tuple[int, ...] = ()
    problem: dict[str, Any] | None = None
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of an Incoming: its number, and the acknowledgment and state that it, or the same one before, has.

    It was not kept where ``expected`` is given: the number that was expected of the feed.
    """

    id: int
    new: bool
    state: str
    acknowledgment: bytes
    expected: int | None = None


_KEEP = """
WITH incoming AS MATERIALIZED (
    SELECT nextval('hl7_message_id') AS id, x.* FROM unnest(
        %(feeds)s::int[], %(control_ids)s::text[], %(types)s::text[], %(events)s::text[], %(structures)s::text[],
        %(applications)s::text[], %(facilities)s::text[], %(fingerprints)s::bytea[], %(raws)s::bytea[],
        %(acknowledgments)s::bytea[], %(patients)s::text[], %(problems)s::text[]
    ) WITH ORDINALITY AS x(feed_id, control_id, message_type, event, structure, application, facility, fingerprint, raw,
                           acknowledgment, patients, problem, ord) ORDER BY ord
), kept AS (
    INSERT INTO hl7_message (tenant_id, id, feed_id, received, settled, conflicting, state, control_id, message_type,
                             event, structure, application, facility, fingerprint, raw, acknowledgment, problem)
    SELECT %(tenant)s, i.id, i.feed_id, %(now)s, CASE WHEN i.problem IS NULL THEN 0 ELSE %(now)s END,
           i.control_id <> '' AND EXISTS (
               SELECT FROM hl7_message m WHERE m.tenant_id = %(tenant)s AND m.control_id = i.control_id
                  AND m.feed_id = i.feed_id AND m.application = i.application AND m.facility = i.facility
                  AND m.fingerprint <> i.fingerprint),
           CASE WHEN i.problem IS NULL THEN 'received' ELSE 'dead' END, i.control_id, i.message_type, i.event,
           i.structure, i.application, i.facility, i.fingerprint, i.raw, i.acknowledgment, i.problem::jsonb
      FROM incoming i ORDER BY i.ord
    ON CONFLICT (tenant_id, feed_id, fingerprint) WHERE replay_of = 0 DO NOTHING
    RETURNING id, state
), known AS (
    INSERT INTO hl7_message_patient
    SELECT %(tenant)s, p, k.id FROM kept k JOIN incoming i USING (id), unnest(i.patients::bigint[]) p
    ON CONFLICT DO NOTHING
), queued AS (
    INSERT INTO hl7_queue
    SELECT %(tenant)s, k.id, i.feed_id, i.patients::bigint[] FROM kept k JOIN incoming i USING (id)
     WHERE k.state = 'received'
)
SELECT i.ord, k.id, k.state FROM incoming i JOIN kept k USING (id)
"""

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
    columns: dict[str, Any] = {
        "tenant": tenant_id,
        "now": now,
        "feeds": [one.feed_id for one in many],
        "control_ids": [one.control_id for one in many],
        "types": [one.message_type for one in many],
        "events": [one.event for one in many],
        "structures": [one.structure for one in many],
        "applications": [one.application for one in many],
        "facilities": [one.facility for one in many],
        "fingerprints": [one.fingerprint for one in many],
        "raws": [one.raw for one in many],
        "acknowledgments": [one.acknowledgment for one in many],
        "patients": [array(one.patients).decode() for one in many],
        "problems": [_json(one.problem) for one in many],
    }
    found: dict[int, Kept] = {}
    for place, number, state in connection.execute(_KEEP, columns):
        found[place - 1] = Kept(number, True, state, many[place - 1].acknowledgment)
    if any(one.state == RECEIVED for one in found.values()):
        connection.execute("SELECT pg_notify(%s, %s)", [CAME, str(tenant_id)])
    missing = [place for place in range(len(many)) if place not in found]
    if missing:
        before = known(connection, tenant_id, [many[place] for place in missing])
        for place in missing:
            found[place] = before[many[place].feed_id, many[place].fingerprint]
    return [found[place] for place in range(len(many))]


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

_HEAD = Statement(
    "hl7_queue_head",
    "SELECT message_id, patients FROM hl7_queue WHERE tenant_id = $1::int AND NOT feed_id = ANY($2::int[])"
    " ORDER BY message_id LIMIT $3::int",
)

_TAKE = Statement(
    "hl7_queue_take",
    """
SELECT q.message_id, q.feed_id, q.patients, encode(m.raw, 'hex'), encode(m.acknowledgment, 'hex'), m.attempts,
       m.replay_of
  FROM hl7_queue q JOIN hl7_message m ON m.tenant_id = q.tenant_id AND m.id = q.message_id
 WHERE q.tenant_id = $1::int AND q.message_id = ANY($2::bigint[]) ORDER BY q.message_id LIMIT $3::int
   FOR UPDATE OF q SKIP LOCKED
""",
)

_LOCK = Statement("hl7_lock_patients", "SELECT pg_advisory_xact_lock(k) FROM unnest($1::bigint[]) k")


def take(connection: psycopg.Connection, tenant_id: int, paused: Sequence[int], most: int) -> Taken:
    """Take the oldest messages that wait for no earlier one, in a transaction of the tenant, whose end sets them free.

    Messages of the same patient are taken one after another, in the order in which they were kept. Others that are
    being delivered are passed over.
    """
    # Most often some of the very first are free.
    for looked in (min(4 * most, HEAD), HEAD):
        free, seen = _free(connection, tenant_id, paused, looked)
        taken = Taken(_taken(connection, tenant_id, free, most) if free else ())
        if taken or seen < looked:
            taken.more = seen > len(taken)
            break
    return taken


def _free(connection: psycopg.Connection, tenant_id: int, paused: Sequence[int], looked: int) -> tuple[list[int], int]:
    """Those of the oldest messages that none before them keeps waiting, and how many were looked at."""
    result = run(connection, _HEAD, [b"%d" % tenant_id, array(paused), b"%d" % looked])
    get = result.get_value
    held: set[bytes] = set()
    free = []
    for row in range(result.ntuples):
        patients = (get(row, 1) or b"{}")[1:-1].split(b",")
        if patients == [b""]:
            patients = []
        if held.isdisjoint(patients):
            free.append(int(get(row, 0) or 0))
        held.update(patients)
    return free, result.ntuples


def _taken(connection: psycopg.Connection, tenant_id: int, free: Sequence[int], most: int) -> list[Waiting]:
    result = run(connection, _TAKE, [b"%d" % tenant_id, array(free), b"%d" % most])
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


def lock_patients(connection: psycopg.Connection, tenant_id: int, patients: Sequence[int]) -> None:
    """Wait for whoever converts a message of one of these patients, until this transaction ends."""
    keys = sorted({one ^ tenant_id for one in patients})
    if keys:
        run(connection, _LOCK, [array(keys)])


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
