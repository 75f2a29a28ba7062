"""Savepoints: a part of a transaction that can fail by itself. https://www.postgresql.org/docs/current/sql-savepoint.html"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from fhir_server.store.wire import run_simple


@contextmanager
def savepoint(connection: psycopg.Connection) -> Iterator[None]:
    """What the block writes stays only if it raises nothing; what it raises goes on to the caller."""
    run_simple(connection, "SAVEPOINT part")
    try:
        yield
    except BaseException:
        if not connection.broken:
            run_simple(connection, "ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part")
        raise
    run_simple(connection, "RELEASE SAVEPOINT part")
