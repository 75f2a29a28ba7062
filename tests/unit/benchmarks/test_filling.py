"""Loading many records at once leaves a database as the server would have it."""

from __future__ import annotations

import psycopg
import pytest

from benchmarks import filling, population
from benchmarks.copying import COLUMNS
from fhir_server.store import tenants
from fhir_server.store.database_urls import DatabaseUrls

INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY(%s) ORDER BY 1"
CONSTRAINTS = (
    "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = ANY(%s::regclass[]) ORDER BY 1"
)

WITHOUT_WORDS = "SELECT tenant_id, hash FROM idx_word WHERE weight = 0 EXCEPT SELECT tenant_id, phrase FROM idx_phrase"
TWICE = "SELECT tenant_id, phrase, word FROM idx_phrase GROUP BY 1, 2, 3 HAVING count(*) > 1"


@pytest.mark.attack
def test_records_are_loaded_whole_into_each_tenant(fresh_database: DatabaseUrls) -> None:
    assert fresh_database.owner is not None
    said: list[str] = []
    with psycopg.connect(fresh_database.owner, autocommit=True) as connection:
        clinics = [tenants.create(connection, name).id for name in ("one", "other")]
        before = [connection.execute(query, [list(COLUMNS)]).fetchall() for query in (INDEXES, CONSTRAINTS)]
        loaded = filling.fill(fresh_database.owner, [(clinics[0], 200), (clinics[1], 100)], said.append, workers=1)
        after = [connection.execute(query, [list(COLUMNS)]).fetchall() for query in (INDEXES, CONSTRAINTS)]
        staff = population.PRACTITIONERS + population.ORGANIZATIONS
        assert loaded == 300 * population.RECORD_SIZE + 2 * staff
        assert before == after
        counts = connection.execute("SELECT tenant_id, count(*) FROM resource GROUP BY 1 ORDER BY 1").fetchall()
        assert counts == [(clinics[0], 200 * population.RECORD_SIZE + staff), (clinics[1], 5000 + staff)]
        lost = connection.execute(
            "SELECT count(*) FROM idx_reference i WHERE NOT EXISTS "
            "(SELECT FROM resource r WHERE r.tenant_id = i.tenant_id AND r.key = i.target)"
        ).fetchone()
        assert lost == (0,)
        for query in (WITHOUT_WORDS, TWICE):
            assert connection.execute(query).fetchall() == []
        fresh = connection.execute("SELECT nextval('resource_rid') > max(rid) FROM resource").fetchone()
        assert fresh == (True,)
    assert "resources" in said[0]
    with psycopg.connect(fresh_database.app, autocommit=True) as connection:
        for clinic in (0, clinics[1]):
            connection.execute("SELECT set_config('fhir.tenant', %s, false)", [str(clinic or "")])
            for table in COLUMNS:
                seen = connection.execute(f"SELECT DISTINCT tenant_id FROM {table}").fetchall()  # noqa: S608 - a constant
                assert seen == ([(clinic,)] if clinic else [])
