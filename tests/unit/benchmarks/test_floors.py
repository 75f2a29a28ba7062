"""Floors write and read the very rows that the product does; the whole benchmark runs."""

from __future__ import annotations

import json as plain_json
from pathlib import Path
from random import Random

import psycopg
import pytest
from click.testing import CliRunner
from psycopg import sql

from benchmarks import pgbench, records, seeding
from benchmarks.__main__ import main
from benchmarks.copying import copy_rows
from benchmarks.paths import hasher_of
from benchmarks.pgbench import insert_script
from benchmarks.prepared import Prepared, prepare
from fhir_server.r4 import json
from fhir_server.store import resources
from fhir_server.store.care_tables import CARE_TABLES
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.schema import TENANT_TABLES
from fhir_server.store.tenants import Tenant, create


def _prepared(urls: DatabaseUrls) -> list[Prepared]:
    assert urls.owner is not None
    hasher, rng = hasher_of(urls.owner), Random(seeding.SEED)
    staff = records.Staff(["Practitioner/p"], ["Organization/o"])
    made = records.staff(rng) + records.record(rng, staff, name="Patient/x")
    return [prepare(json.parse(json.dumps(one)), hasher) for _, one in made]


DIFFERENT = ["tenant_id", "rid", "last_updated", "tokens", "params"]
"""Columns that differ from run to run, or whose arrays are in no order; the tokens stand in their own table too."""


def _rows(urls: DatabaseUrls, tenant: int) -> dict[str, list[str]]:
    """Every row of a tenant's as JSON, without the columns that differ."""
    assert urls.owner is not None
    found = {}
    query = sql.SQL("SELECT to_jsonb(t) - %s::text[] FROM {} t WHERE tenant_id = %s")
    with psycopg.connect(urls.owner) as connection:
        for table in TENANT_TABLES:
            if table in CARE_TABLES:
                # The floor writes resources and their index: who cares for whom comes on top of it.
                continue
            rows = connection.execute(query.format(sql.Identifier(table.name)), [DIFFERENT, tenant])
            found[table.name] = sorted(plain_json.dumps(row[0], sort_keys=True) for row in rows)
    return found


def test_copy_writes_the_rows_that_the_store_writes(fresh_database: DatabaseUrls) -> None:
    assert fresh_database.owner is not None
    prepared = _prepared(fresh_database)
    with psycopg.connect(fresh_database.owner, autocommit=True) as owner:
        ours, floor = create(owner, "ours"), create(owner, "floor")
    with psycopg.connect(fresh_database.app, autocommit=True) as connection:
        writes = [one.write() for one in prepared]
        resources.create_many(connection, ours.id, hasher_of(fresh_database.owner), writes, fresh=True)
    assert copy_rows(prepared, floor.id, fresh_database.owner, 0, count=False).requests == len(prepared)
    written = _rows(fresh_database, ours.id)
    assert written == _rows(fresh_database, floor.id)
    assert all(written[name] for name in written if name == "resource" or name.startswith("idx_"))


@pytest.mark.attack
def test_pgbench_inserts_all_index_rows(database: DatabaseUrls, tenant: Tenant) -> None:
    assert database.owner is not None
    prepared = _prepared(database)
    for number, one in enumerate(prepared[16:20]):
        script = insert_script(one, tenant.id, number)
        done = pgbench.run([script], database.app, 0, connections=1, seconds=0.2, tenant_id=tenant.id, prepared=True)
        assert done.requests > 0
    rows = _rows(database, tenant.id)
    versions = len(rows["resource"])
    tokens = {one.type_id: len(one.rows.tokens) for one in prepared[16:20]}
    assert versions > 4
    expected = sum(tokens[plain_json.loads(row)["type_id"]] for row in rows["resource"])
    assert len(rows["idx_token"]) == expected


def test_a_wrong_statement_is_told(database: DatabaseUrls, tenant: Tenant) -> None:
    script = pgbench.Script("SELECT nothing FROM nowhere;\n", {})
    with pytest.raises(pgbench.PgbenchFailed, match="nowhere"):
        pgbench.run([script], database.app, 0, connections=1, seconds=0.2, tenant_id=tenant.id, prepared=False)


@pytest.mark.benchmark
def test_the_whole_benchmark_runs(tmp_path: Path) -> None:
    ended = CliRunner().invoke(main, ["--quick", "--output", str(tmp_path)])
    assert ended.exit_code == 0, ended.output
    results = plain_json.loads((tmp_path / "results.json").read_text())
    everything = results["paths"] + [one for subject in results["subjects"] for one in subject["workloads"]]
    assert [one["name"] for one in everything] == [
        "read", "create", "update", "search", "bundle", "load", "crud", "import", "search",
    ]  # fmt: skip
    assert [one["refused"] for one in everything] == [""] * len(everything)
    searches = plain_json.loads((tmp_path / "searches.json").read_text())["stages"][0]["searches"]
    assert [one["title"] for one in searches if one["refused"]] == []
    text = (tmp_path / "RESULTS.md").read_text()
    assert "## Met and missed" in text
    assert "## Searches" in text


@pytest.mark.parametrize("arguments", [["--peer", "https://x/"], ["--peer", "http://x/", "--header", "nothing"]])
def test_peers_that_cannot_be_used_are_told_at_once(arguments: list[str]) -> None:
    ended = CliRunner().invoke(main, arguments)
    assert ended.exit_code == 2
    assert "Error: Invalid value for --" in ended.output
