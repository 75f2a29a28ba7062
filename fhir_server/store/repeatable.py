"""Which failures of a transaction are not the fault of what it does. https://www.postgresql.org/docs/current/mvcc-serialization-failure-handling.html"""

from __future__ import annotations

import psycopg

from fhir_server.errors import Unavailable

_LIMIT = "54"
"""The class of errors for what is too long or too complex, today as tomorrow."""


def repeatable(error: BaseException) -> bool:
    """Whether the same work may succeed when its transaction is run again.

    So it is with a deadlock, a lost connection, a time limit, a row that somebody else made at the same moment. The
    transaction itself is lost then: a savepoint in it saves nothing.
    """
    if isinstance(error, psycopg.OperationalError):
        return not (error.sqlstate or "").startswith(_LIMIT)
    return isinstance(error, psycopg.errors.UniqueViolation | Unavailable)
