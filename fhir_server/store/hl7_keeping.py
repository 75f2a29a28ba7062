"""Messages of HL7 v2 kept over a connection that nobody waits for: what has come is sent, what is committed is heard.

libpq's pipeline, in which what is sent until a sync is one transaction:
https://www.postgresql.org/docs/current/libpq-pipeline-mode.html
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

import psycopg
from psycopg import pq
from psycopg.errors import error_from_result

from fhir_server.store.hl7_incoming import CAME, Incoming, Kept
from fhir_server.store.hl7_keep import BINARY, KEEP, arguments, told
from fhir_server.store.session import Database
from fhir_server.store.wire import Statement, prepare, run_simple

_TENANT: Final = Statement("hl7_tenant", "SELECT set_config('fhir.tenant', $1::text, true)")
_NOTIFY: Final = Statement("hl7_notify", "SELECT pg_notify($1::text, $2::text)")
_OPTIONS: Final = """
SET enable_seqscan = off;
SET enable_nestloop = off;
SET jit = off;
SET plan_cache_mode = force_generic_plan
"""
"""Each table is looked into by its index, however few rows it had when the statement was planned.

What is off counts as very dear before PostgreSQL 18, for which each execution would be compiled.
"""


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
            for statement in (_TENANT, KEEP, _NOTIFY):
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
        said = arguments(tenant_id, many, now)
        self._pgconn.send_query_prepared(_TENANT.name, [tenant])
        self._pgconn.send_query_prepared(KEEP.name, said, BINARY, 1)
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
        ended = False
        while self._sent and not self._pgconn.is_busy():
            result = self._pgconn.get_result()
            if result is not None:
                self._take(result, found)
            elif ended:
                # As in store/wire.py: libpq waits for nothing any more, though nobody has said what became of these.
                raise psycopg.OperationalError("the connection to the database is lost")
            ended = result is None
        return found

    def _take(self, result: pq.abc.PGresult, found: list[list[Kept | None] | Exception]) -> None:
        if result.status == pq.ExecStatus.PIPELINE_SYNC:
            many = self._sent.popleft()
            if self._error is None and self._rows is not None:
                found.append(told(self._rows, many))
            else:
                found.append(self._error or psycopg.OperationalError("no answer"))
            self._rows = self._error = None
        elif result.status == pq.ExecStatus.TUPLES_OK:
            if result.nfields == 5:
                self._rows = result
        elif result.status != pq.ExecStatus.PIPELINE_ABORTED:
            self._error = error_from_result(result)
