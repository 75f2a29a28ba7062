"""What is recorded is what the server sends to PostgreSQL, and can be sent again."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from psycopg import pq

from benchmarks.recording import recorder
from benchmarks.wire import Target
from fhir_server.commands.access_token import DEFAULT_SCOPE, issue
from fhir_server.settings import Settings
from fhir_server.store import searching, wire
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.tenants import Tenant


def test_the_statements_of_a_search_are_recorded_and_run_alone(
    database: DatabaseUrls, tenant: Tenant, tmp_path: Path
) -> None:
    environment = {"APP_DATABASE_URL": database.app, "DATA_DIR": str(tmp_path), "PORT": "8080"}
    access_token = issue(Settings.from_env(environment), tenant.slug, DEFAULT_SCOPE, 60)
    target = Target.of(f"http://localhost:8080/t/{tenant.slug}/fhir", {"Authorization": f"Bearer {access_token}"})
    with recorder(environment) as record:
        (statement,) = record.of(target, "Patient?family=Adler")
        assert "idx_string" in statement
        assert "'adler'" in statement
        assert record.of(target, "Observation?code=1-8") != [statement], "nothing is left of the search before"
        with pytest.raises(ValueError, match=r"Patient\?nothing=1: 400"):
            record.of(target, "Patient?nothing=1")
        with psycopg.connect(database.app, autocommit=True) as connection:
            assert connection.pgconn.exec_(statement.encode()).status == pq.ExecStatus.TUPLES_OK
    assert searching.run_simple is wire.run_simple
