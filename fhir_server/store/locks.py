"""Advisory locks that last as long as a transaction.

https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
"""

from __future__ import annotations

from collections.abc import Iterable

import psycopg

from fhir_server.crypto.hashing import Hasher
from fhir_server.store.wire import run_simple


def hold(connection: psycopg.Connection, tenant_id: int, hasher: Hasher, texts: Iterable[str]) -> None:
    """Lock each text of this tenant. In the order of their hashes, so that two transactions never wait for each
    other."""
    keys = sorted({hasher.uncached(f"lock/{tenant_id}/{text}") for text in texts})
    if keys:
        run_simple(connection, "; ".join(f"SELECT pg_advisory_xact_lock({key})" for key in keys))
