"""A database of the first release, brought up to date: what is stored is found by what the index holds since.

https://alembic.sqlalchemy.org/en/latest/
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from fhir_server.bulk.reindexing import Reindexing
from fhir_server.interactions.context import Context
from fhir_server.store import reindex_runs
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.migrate import MIGRATIONS, migrate, sqlalchemy_url
from fhir_server.store.resources import TYPE_IDS
from fhir_server.store.session import Database
from tests.functional.search_fixtures import HASHER, context, find

BODY = """{"status": "final", "code": {"text": "Glucose"},
           "valueQuantity": {"value": 1.5, "system": "http://unitsofmeasure.org", "code": "g"}}"""


def released(owner: str, revision: str = "0004") -> None:
    """The schema of the first release, or of a later one."""
    engine = create_engine(sqlalchemy_url(owner))
    with engine.connect() as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()
    engine.dispose()


@pytest.fixture
def clinic(empty_database: DatabaseUrls) -> Iterator[tuple[Database, int]]:
    """A clinic with one observation that is indexed as little as possible, and one without any resource."""
    assert empty_database.owner is not None
    released(empty_database.owner)
    with psycopg.connect(empty_database.owner, autocommit=True) as owner:
        owner.execute("INSERT INTO tenant (slug, name) VALUES ('empty', 'Empty')")
        row = owner.execute("INSERT INTO tenant (slug, name) VALUES ('clinic', 'Clinic') RETURNING id").fetchone()
        assert row is not None
        owner.execute("SELECT set_config('fhir.tenant', %s, false)", [str(row[0])])
        owner.execute(
            "INSERT INTO resource (tenant_id, version, key, last_updated, type_id, deleted, id, method, tokens, params,"
            " body) VALUES (%s, 1, %s, 1, %s, false, 'a', 'PUT', '{}', '{}', %s)",
            [row[0], HASHER("Observation/a"), TYPE_IDS["Observation"], BODY],
        )
    migrate(empty_database.owner)
    database = Database(empty_database.app, 2)
    database.open()
    try:
        yield database, row[0]
    finally:
        database.close()


def count(ctx: Context) -> int:
    return int(find(ctx, "Observation", ("value-quantity", "1500|http://unitsofmeasure.org|mg"))["total"])


def test_a_run_builds_the_index_anew_and_searches_say_so_meanwhile(clinic: tuple[Database, int]) -> None:
    database, tenant_id = clinic
    ctx = context(database, tenant_id)
    with database.connection() as connection:
        assert reindex_runs.tenants_with_work(connection) == [tenant_id]
    (run,) = ctx.store.within(lambda c: reindex_runs.latest(c, tenant_id, 9))
    assert (run.reason, run.types, run.state) == ("upgrade", ["Observation"], "waiting")
    assert ctx.store.within(lambda c: reindex_runs.left_behind(c, tenant_id, 60)) == [run.id]
    found = find(ctx, "Observation", ("code", "x"))
    assert "after an upgrade" in str(found["entry"][0]["resource"]["issue"])

    Reindexing(database, HASHER, "http://localhost:8080").go_on(tenant_id, run.id, lambda: False)
    assert count(ctx) == 1
    (run,) = ctx.store.within(lambda c: reindex_runs.latest(c, tenant_id, 9))
    assert (run.state, run.done) == ("finished", 1)


STORED = {
    "Patient": """{"generalPractitioner": [{"reference": "Practitioner/d"}]}""",
    "Consent": """{"status": "active", "patient": {"reference": "Patient/a"},
                   "policyRule": {"coding": [{"code": "OPTOUT"}]},
                   "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope",
                                         "code": "patient-privacy"}]}}""",
    "Observation": BODY,
}


def store_by_hand(owner: psycopg.Connection, tenant_id: int, resource_type: str) -> None:
    owner.execute(
        "INSERT INTO resource (tenant_id, version, key, last_updated, type_id, deleted, id, method, tokens, params,"
        " body) VALUES (%s, 1, %s, 1, %s, false, 'a', 'PUT', '{}', '{}', %s)",
        [tenant_id, HASHER(f"{resource_type}/a"), TYPE_IDS[resource_type], STORED[resource_type]],
    )


def care_of(ctx: Context) -> list[tuple[int, int, str]]:
    """Person and patient of every relation, and the patients of every rule."""
    statement = (
        "SELECT person, patient, 'relation' FROM care_relation UNION SELECT 0, patient, 'rule' FROM consent_rule"
    )
    return sorted(ctx.store.within(lambda c: c.execute(statement).fetchall()))


@pytest.mark.parametrize(
    ("revision", "types"), [("0004", ["Consent", "Observation", "Patient"]), ("0009", ["Consent", "Patient"])]
)
def test_who_cares_for_whom_is_found_out_of_what_is_stored(
    empty_database: DatabaseUrls, revision: str, types: list[str]
) -> None:
    assert empty_database.owner is not None
    released(empty_database.owner, revision)
    with psycopg.connect(empty_database.owner, autocommit=True) as owner:
        row = owner.execute("INSERT INTO tenant (slug, name) VALUES ('clinic', 'Clinic') RETURNING id").fetchone()
        assert row is not None
        owner.execute("SELECT set_config('fhir.tenant', %s, false)", [str(row[0])])
        for resource_type in STORED:
            store_by_hand(owner, row[0], resource_type)
    migrate(empty_database.owner)
    database = Database(empty_database.app, 2)
    database.open()
    try:
        ctx = context(database, row[0])
        assert care_of(ctx) == []
        (run,) = ctx.store.within(lambda c: reindex_runs.latest(c, row[0], 9))
        assert (run.reason, run.types, run.state) == ("upgrade", types, "waiting")
        Reindexing(database, HASHER, "http://localhost:8080").go_on(row[0], run.id, lambda: False)
        patient = HASHER("Patient/a")
        assert care_of(ctx) == sorted([(HASHER("Practitioner/d"), patient, "relation"), (0, patient, "rule")])
    finally:
        database.close()
