"""fhir_server/store/statistics.py"""

from __future__ import annotations

import psycopg

from fhir_server.store import statistics
from fhir_server.store.database_urls import DatabaseUrls


def test_every_table_of_tenants_is_looked_at_by_its_owner(database: DatabaseUrls) -> None:
    assert database.owner is not None
    with psycopg.connect(database.owner, autocommit=True) as connection:
        row = connection.execute("SELECT clock_timestamp()").fetchone()
        statistics.refresh(connection)
        tables = ["resource", "idx_token", "idx_reference", "idx_string", "idx_date", "idx_quantity"]
        late = connection.execute(
            "SELECT relname FROM pg_stat_user_tables"
            " WHERE relname = ANY(%s) AND (last_analyze IS NULL OR last_analyze < %s)",
            [tables, row and row[0]],
        ).fetchall()
    assert late == []
