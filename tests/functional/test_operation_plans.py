"""The plans of $everything, $lastn and GraphQL under row level security, as the application's role.

https://www.postgresql.org/docs/current/using-explain.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from fhir_server.access.policy import EVERYTHING
from fhir_server.crypto.hashing import param_id
from fhir_server.interactions.context import Context
from fhir_server.r4 import definitions, json
from fhir_server.search import by_key, everything, last
from fhir_server.search.everything import Focus, Wanted
from fhir_server.search.matching import matches
from fhir_server.search.parse import parse
from fhir_server.store import tenants
from fhir_server.store.database_urls import DatabaseUrls
from tests.functional.search_fixtures import HASHER, context, opened

PATIENTS, EACH = 100, 200
KEYS = [HASHER(f"Patient/p{number}") for number in range(PATIENTS)]
DOCTORS = [HASHER(f"Practitioner/d{number}") for number in range(50)]
FOCUS = Focus("Patient", KEYS[7])


def _fill(connection: psycopg.Connection, tenant_id: int) -> None:
    """Patients with observations that name them by two parameters, and a practitioner; made by SQL for speed."""
    types = definitions.load().type_ids
    connection.execute("SELECT set_config('fhir.tenant', %s, false)", [str(tenant_id)])
    connection.execute(
        """
        WITH stored AS (
            INSERT INTO resource (tenant_id, version, rid, key, patient, date_low, date_high, last_updated, type_id,
                                  deleted, id, method, tokens, params, meta, body)
            SELECT %(tenant)s, 1, nextval('resource_rid'), hashint8extended(n, 2),
                   (%(keys)s::bigint[])[1 + n %% %(patients)s],
                   1.5e15::bigint + n, 1.5e15::bigint + n + 10, 1.7e15::bigint, %(type)s, false, 'o' || n, 'POST',
                   '{}', '{}', NULL, jsonb_build_object('status', 'final', 'note', repeat(md5(n::text), 20),
                   'code', jsonb_build_object('text', 'code ' || n %% 13),
                   'subject', jsonb_build_object('reference', 'Patient/p' || n %% %(patients)s),
                   'performer', jsonb_build_array(jsonb_build_object('reference', 'Practitioner/d' || n %% 50)))
              FROM generate_series(0, %(patients)s * %(each)s - 1) n
            RETURNING rid, patient, id
        ), a AS (
            INSERT INTO idx_reference SELECT %(tenant)s, p, patient, rid FROM stored, unnest(%(back)s::int[]) p
        )
        INSERT INTO idx_reference
        SELECT %(tenant)s, %(performer)s, (%(doctors)s::bigint[])[1 + rid %% 50], rid FROM stored
        """,
        {
            "tenant": tenant_id, "patients": PATIENTS, "each": EACH, "keys": KEYS, "type": types["Observation"],
            "back": [param_id("Observation.subject"), param_id("Observation.patient")],
            "performer": param_id("Observation.performer"), "doctors": DOCTORS,
        },
    )  # fmt: skip
    for keys, name in ((KEYS, "Patient"), (DOCTORS, "Practitioner")):
        connection.execute(
            """
            INSERT INTO resource (tenant_id, version, rid, key, last_updated, type_id, deleted, id, method, tokens,
                                  params, body)
            SELECT %s, 1, nextval('resource_rid'), key, 1.6e15::bigint, %s, false, lower(left(%s, 1)) || n, 'PUT', '{}',
                   '{}', '{}'
              FROM unnest(%s::bigint[]) WITH ORDINALITY k(key, n)
            """,
            [tenant_id, types[name], name, keys],
        )


@pytest.fixture(scope="module")
def ctx(database: DatabaseUrls) -> Iterator[Context]:
    assert database.owner is not None
    with psycopg.connect(database.owner, autocommit=True) as connection:
        # Several clinics, so that the tenant alone selects little.
        clinics = [tenants.create(connection, f"operation-plans-{number}") for number in range(2)]
        for clinic in clinics:
            _fill(connection, clinic.id)
        connection.execute("VACUUM ANALYZE resource, idx_reference")
    with opened(database) as pool:
        yield context(pool, clinics[0].id)


def nodes(ctx: Context, statement: tuple[str, list[object]]) -> list[dict[str, Any]]:
    """The nodes of a statement's plan as it runs: with the application's role, the tenant set, and real row counts."""
    text, values = statement
    result = ctx.store.search(f"EXPLAIN (ANALYZE, FORMAT JSON) {text}", values)
    found: list[dict[str, Any]] = [json.parse(result.get_value(0, 0) or b"")[0]["Plan"]]
    for node in found:
        found += node.get("Plans", [])
    return found


def check(found: list[dict[str, Any]], *indexes: str, most: int) -> None:
    """Every scan of a table goes by an index, those named among them, and reads no more than so many rows in all."""
    scans = [node for node in found if "Relation Name" in node or "Index Name" in node]
    assert not [node for node in scans if node["Node Type"] == "Seq Scan"]
    conditions = {node["Index Name"]: node.get("Index Cond", "") for node in scans if "Index Name" in node}
    for index in indexes:
        assert "tenant_id" in conditions[index], conditions
    read = sum(
        node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
        for node in scans
        if "Index Name" in node
    )
    assert read <= most


def test_a_page_of_a_compartment(ctx: Context) -> None:
    statement = everything.members(ctx.store.tenant_id, HASHER, FOCUS, Wanted(), EVERYTHING, 0, 21)
    # Two references for each of the compartment's 200, and rows of the page alone.
    check(nodes(ctx, statement), "idx_reference_pkey", "resource_pkey", most=2 * EACH + 2 * 21 + EACH)
    dated = everything.members(ctx.store.tenant_id, HASHER, FOCUS, Wanted(start=0, since=1), EVERYTHING, 0, 21)
    check(nodes(ctx, dated), "idx_reference_pkey", "resource_pkey", most=3 * EACH + 2 * 21 + EACH)


def test_what_a_compartment_refers_to(ctx: Context) -> None:
    statement = everything.references(ctx.store.tenant_id, HASHER, FOCUS, Wanted(), EVERYTHING)
    check(nodes(ctx, statement), "idx_reference_pkey", most=3 * EACH + EACH)
    page = everything.referred(ctx.store.tenant_id, HASHER, FOCUS, Wanted(), EVERYTHING, DOCTORS, 0, 21)
    found = nodes(ctx, page)
    check(found, "resource_key", most=4 * EACH)
    assert found[0]["Actual Rows"] == 21


def test_the_latest_of_each_code(ctx: Context) -> None:
    query = parse("Observation", [("patient", "p7")])
    text, sql = matches(query, EVERYTHING, ctx.store.tenant_id, HASHER)
    found = nodes(ctx, (last.latest(text, sql, 1, 100), sql.values))
    check(found, "resource_pkey", most=4 * EACH)
    assert found[0]["Actual Rows"] == 13


def test_references_and_what_refers_back(ctx: Context) -> None:
    check(nodes(ctx, by_key.by_keys(ctx.store.tenant_id, EVERYTHING, HASHER, KEYS[:10])), "resource_key", most=20)
    query = parse("Observation", [("subject", ",".join(f"Patient/p{n}" for n in range(10)))])
    text, sql = matches(query, EVERYTHING, ctx.store.tenant_id, HASHER)
    statement = by_key.referring(text, sql, param_id("Observation.subject"), KEYS[:10], 3, 1_000)
    found = nodes(ctx, (statement, sql.values))
    check(found, "idx_reference_pkey", most=10 * (4 * EACH))
    assert found[0]["Actual Rows"] == 30
