"""Savepoints: a part of a transaction that can fail by itself. https://www.postgresql.org/docs/current/sql-savepoint.html"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from fhir_server.store.wire import Statement, run_simple

SET = Statement("fhir_savepoint", "SAVEPOINT part")
"""Sets it, to be run together with others."""

RELEASE = Statement("fhir_release", "RELEASE SAVEPOINT part")
"""Releases it, to be run together with others."""


@contextmanager
def savepoint(connection: psycopg.Connection, *, already: bool = False, release: bool = True) -> Iterator[None]:
    """What the block writes stays only if it raises nothing; what it raises goes on to the caller.

    ``already``: SET has been run. Without ``release`` the caller runs RELEASE with what comes next, which spares a
    round trip. Before that, a row that was locked before the savepoint is not to be changed: PostgreSQL would note both
    its locker and its writer, and rows that are gone that way are walked by each look-up until they are vacuumed away.
    https://www.postgresql.org/docs/current/routine-vacuuming.html#VACUUM-FOR-MULTIXACT-WRAPAROUND
    """
    if not already:
        run_simple(connection, "SAVEPOINT part")
    try:
        yield
    except BaseException:
        if not connection.broken:
            run_simple(connection, "ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part")
        raise
    if release:
        run_simple(connection, "RELEASE SAVEPOINT part")
