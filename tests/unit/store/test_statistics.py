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


def test_what_resources_and_messages_contain_is_not_sampled(database: DatabaseUrls) -> None:
    """No plan depends on it, and to sort whole resources takes longer than all else that ANALYZE does."""
    with psycopg.connect(database.owner, autocommit=True) as owner:
        asked = "SELECT attrelid::regclass::text, attname FROM pg_attribute WHERE attstattarget = 0 AND attnum > 0"
        found = {tuple(row) for row in owner.execute(asked)}
        typed = owner.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_name = ANY (%s)"
            " AND data_type IN ('jsonb', 'bytea')",
            [["resource", "resource_history", "hl7_message", "hl7_lineage", "audit_record"]],
        ).fetchall()
    assert len(typed) > 8
    assert set(typed) <= found
