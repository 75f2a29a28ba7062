"""Messages of HL7 v2 kept over a connection that nobody waits for: what has come is sent, what is committed is heard.

libpq's pipeline, in which what is sent until a sync is one transaction:
https://www.postgresql.org/docs/current/libpq-pipeline-mode.html
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

import psycopg
from psycopg import pq
from psycopg.errors import error_from_result

from fhir_server.r4 import json
from fhir_server.store.hl7_messages import CAME, Incoming, Kept
from fhir_server.store.session import Database
from fhir_server.store.wire import Statement, array, prepare, run_simple

_TENANT: Final = Statement("hl7_tenant", "SELECT set_config('fhir.tenant', $1::text, true)")
_NOTIFY: Final = Statement("hl7_notify", "SELECT pg_notify($1::text, $2::text)")
_KEEP: Final = Statement(
    "hl7_keep",
    """
WITH incoming AS MATERIALIZED (
    SELECT nextval('hl7_message_id') AS id, x.* FROM unnest(
        $3::int[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bytea[], $11::bytea[],
        $12::bytea[], $13::text[], $14::text[]
    ) WITH ORDINALITY AS x(feed_id, control_id, message_type, event, structure, application, facility, fingerprint, raw,
                           acknowledgment, patients, problem, ord)
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
    INSERT INTO hl7_queue
    SELECT $1::int, k.id, i.feed_id, i.patients::bigint[] FROM kept k JOIN incoming i USING (id)
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

_OPTIONS: Final = """
SET enable_seqscan = off;
SET enable_nestloop = off;
SET jit = off;
SET plan_cache_mode = force_generic_plan
"""
"""Each table is looked into by its index, however few rows it had when the statement was planned.

What is off counts as very dear before PostgreSQL 18, for which each execution would be compiled.
"""

_INT, _TEXT, _BYTEA = 23, 25, 17
_HEAD: Final = struct.Struct(">iiiii")
_INT_CELL: Final = struct.Struct(">ii")
_NULL: Final = b"\xff\xff\xff\xff"
_BINARY: Final = [1] * 14


class Keeping:
    """A connection on which messages are kept.

    What is read from it is to be taken when ``fileno`` can be read. Not to be shared between threads.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._pgconn = connection.pgconn
        self._sent: deque[Sequence[Incoming]] = deque()
        self._rows: pq.abc.PGresult | None = None
        self._error: Exception | None = None
        self.fileno = self._pgconn.socket

    @classmethod
    def open(cls, database: Database) -> Keeping:
        """Connect, which takes its time. Raises psycopg.Error where the database is away."""
        connection = database.connect_apart()
        try:
            run_simple(connection, _OPTIONS)
            for statement in (_TENANT, _KEEP, _NOTIFY):
                prepare(connection, statement)
            connection.pgconn.nonblocking = 1
            connection.pgconn.enter_pipeline_mode()
        except BaseException:
            connection.close()
            raise
        return cls(connection)

    def close(self) -> None:
        """End the connection; of what was sent nothing is heard any more."""
        self._pgconn.finish()

    def send(self, tenant_id: int, many: Sequence[Incoming], now: int) -> None:
        """Have messages of one tenant kept in a transaction. No two of them have the same feed and fingerprint.

        Raises psycopg.Error; ValueError for a text that is none in UTF-8.
        """
        tenant = str(int(tenant_id)).encode()
        arguments = _arguments(tenant_id, many, now)
        self._pgconn.send_query_prepared(_TENANT.name, [tenant])
        self._pgconn.send_query_prepared(_KEEP.name, arguments, _BINARY, 1)
        if any(one.problem is None for one in many):
            self._pgconn.send_query_prepared(_NOTIFY.name, [CAME.encode(), tenant])
        self._pgconn.pipeline_sync()
        self._sent.append(many)

    def flush(self) -> bool:
        """Whether all is on its way; else this is due again when ``fileno`` can be written. Raises psycopg.Error."""
        return self._pgconn.flush() == 0

    def heard(self) -> list[list[Kept | None] | Exception]:
        """What became of those that were sent and are not told yet, as far as it is heard, in the order of `send`.

        For each message what is committed of it: None for one of which nothing is known, since another connection kept
        the same one at the same moment. Raises psycopg.Error.
        """
        self._pgconn.consume_input()
        found: list[list[Kept | None] | Exception] = []
        while self._sent and not self._pgconn.is_busy():
            result = self._pgconn.get_result()
            if result is not None:
                self._take(result, found)
        return found

    def _take(self, result: pq.abc.PGresult, found: list[list[Kept | None] | Exception]) -> None:
        if result.status == pq.ExecStatus.PIPELINE_SYNC:
            many = self._sent.popleft()
            if self._error is None and self._rows is not None:
                found.append(_told(self._rows, many))
            else:
                found.append(self._error or psycopg.OperationalError("no answer"))
            self._rows = self._error = None
        elif result.status == pq.ExecStatus.TUPLES_OK:
            if result.nfields == 5:
                self._rows = result
        elif result.status != pq.ExecStatus.PIPELINE_ABORTED:
            self._error = error_from_result(result)


def _arguments(tenant_id: int, many: Sequence[Incoming], now: int) -> list[bytes]:
    """In PostgreSQL's binary format: texts and bytes as they are."""
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


def _told(rows: pq.abc.PGresult, many: Sequence[Incoming]) -> list[Kept | None]:
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
