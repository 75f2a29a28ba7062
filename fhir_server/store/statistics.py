"""What the planner knows of the tables, brought up to date after many rows were written at once.
https://www.postgresql.org/docs/current/sql-analyze.html"""

from __future__ import annotations

import psycopg

from fhir_server.store.schema import TENANT_TABLES


def refresh(connection: psycopg.Connection) -> None:
    """Take new statistics of every table that holds resources or their index, as their owner.

    PostgreSQL does so by itself, but a minute later: until then it would plan joins for empty tables.
    """
    # Names of our own tables. The lock that it takes is one that readers and writers do not wait for.
    connection.execute(f"ANALYZE {', '.join(table.name for table in TENANT_TABLES)}")
