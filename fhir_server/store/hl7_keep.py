"""The statement that keeps messages of HL7 v2. docs/hl7.md, "Safe before it is acknowledged" """

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Final

from psycopg import pq

from fhir_server.r4 import json
from fhir_server.store.hl7_incoming import Incoming, Kept
from fhir_server.store.wire import Statement, array

KEEP: Final = Statement(
    "hl7_keep",
    """
WITH incoming AS MATERIALIZED (
    SELECT nextval('hl7_message_id') AS id, x.* FROM unnest(
        $3::int[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bytea[], $11::bytea[],
        $12::bytea[], $13::text[], $14::text[], $15::text[], $16::text[]
    ) WITH ORDINALITY AS x(feed_id, control_id, message_type, event, structure, application, facility, fingerprint, raw,
                           acknowledgment, patients, problem, tokens, keys, ord)
), kept AS (
    INSERT INTO hl7_message (tenant_id, id, feed_id, received, settled, conflicting, state, control_id, message_type,
                             event, structure, application, facility, fingerprint, raw, acknowledgment, problem)
    SELECT $1::int, i.id, i.feed_id, $2::bigint, CASE WHEN i.problem IS NULL THEN 0 ELSE $2::bigint END,
           i.control_id <> '' AND EXISTS (
               SELECT FROM hl7_message m WHERE m.tenant_id = $1::int AND m.control_id = i.control_id
                  AND m.feed_id = i.feed_id AND m.application = i.application AND m.facility = i.facility
                  AND m.fingerprint <> i.fingerprint),
           CASE WHEN i.problem IS NULL THEN 'received' ELSE 'dead' END, i.control_id, i.message_type, i.event,
           i.structure, i.application, i.facility, i.fingerprint, i.raw, i.acknowledgment, i.problem::jsonb
      FROM incoming i
    ON CONFLICT (tenant_id, feed_id, fingerprint) WHERE replay_of = 0 DO NOTHING
    RETURNING id, state
), known AS (
    INSERT INTO hl7_message_patient
    SELECT $1::int, p, k.id FROM kept k JOIN incoming i USING (id), unnest(i.patients::bigint[]) p
    ON CONFLICT DO NOTHING
), queued AS (
    INSERT INTO hl7_queue (tenant_id, message_id, feed_id, patients, tokens, keys)
    SELECT $1::int, k.id, i.feed_id, i.patients::bigint[], i.tokens::bigint[], i.keys::bigint[]
      FROM kept k JOIN incoming i USING (id)
     WHERE k.state = 'received'
)
SELECT i.ord, coalesce(k.id, b.id), k.id IS NOT NULL, coalesce(k.state, b.state), b.acknowledgment
  FROM incoming i LEFT JOIN kept k USING (id) LEFT JOIN LATERAL (
       SELECT m.id, m.state, m.acknowledgment FROM hl7_message m
        WHERE k.id IS NULL AND m.tenant_id = $1::int AND m.feed_id = i.feed_id AND m.fingerprint = i.fingerprint
          AND m.replay_of = 0 LIMIT 1) b ON true
""",
)
"""Of what was not kept, the last one tells what was there before."""

_INT, _TEXT, _BYTEA = 23, 25, 17
_HEAD: Final = struct.Struct(">iiiii")
_INT_CELL: Final = struct.Struct(">ii")
_NULL: Final = b"\xff\xff\xff\xff"
BINARY: Final = [1] * 16
"""Its arguments are in PostgreSQL's binary format."""


def arguments(tenant_id: int, many: Sequence[Incoming], now: int) -> list[bytes]:
    """Those of KEEP for messages of one tenant, no two of which have the same feed and fingerprint."""
    return [
        tenant_id.to_bytes(4, "big"),
        now.to_bytes(8, "big"),
        _HEAD.pack(1, 0, _INT, len(many), 1) + b"".join([_INT_CELL.pack(4, one.feed_id) for one in many]),
        _array(_TEXT, [one.control_id.encode() for one in many]),
        _array(_TEXT, [one.message_type.encode() for one in many]),
        _array(_TEXT, [one.event.encode() for one in many]),
        _array(_TEXT, [one.structure.encode() for one in many]),
        _array(_TEXT, [one.application.encode() for one in many]),
        _array(_TEXT, [one.facility.encode() for one in many]),
        _array(_BYTEA, [one.fingerprint for one in many]),
        _array(_BYTEA, [one.raw for one in many]),
        _array(_BYTEA, [one.acknowledgment for one in many]),
        _array(_TEXT, [array(one.patients) for one in many]),
        _problems(many),
        _array(_TEXT, [array(one.tokens) for one in many]),
        _array(_TEXT, [array(one.keys) for one in many]),
    ]


def _array(kind: int, cells: Sequence[bytes]) -> bytes:
    parts = [_HEAD.pack(1, 0, kind, len(cells), 1)]
    for cell in cells:
        parts.append(len(cell).to_bytes(4, "big"))
        parts.append(cell)
    return b"".join(parts)


def _problems(many: Iterable[Incoming]) -> bytes:
    cells = [None if one.problem is None else json.dumps(one.problem) for one in many]
    return _HEAD.pack(1, 1, _TEXT, len(cells), 1) + b"".join(
        [_NULL if cell is None else len(cell).to_bytes(4, "big") + cell for cell in cells]
    )


def told(rows: pq.abc.PGresult, many: Sequence[Incoming]) -> list[Kept | None]:
    """What KEEP has answered; None for a message that another connection was keeping at the same moment."""
    found: list[Kept | None] = [None] * len(many)
    value = rows.get_value
    for row in range(rows.ntuples):
        number = value(row, 1)
        if number is None:
            continue
        place = int.from_bytes(value(row, 0) or b"", "big") - 1
        new = value(row, 2) == b"\x01"
        state = (value(row, 3) or b"").decode()
        acknowledgment = many[place].acknowledgment if new else bytes(value(row, 4) or b"")
        found[place] = Kept(int.from_bytes(number, "big"), new, state, acknowledgment)
    return found
