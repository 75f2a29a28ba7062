"""The plans of searches by distance and by filter under row level security. https://hl7.org/fhir/R4/location.html#search"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from fhir_server.access.policy import EVERYTHING
from fhir_server.crypto.hashing import param_id
from fhir_server.interactions.context import Context
from fhir_server.r4 import definitions, json
from fhir_server.search.compile import compile as compile_search
from fhir_server.search.compile import compile_total
from fhir_server.search.parse import parse
from fhir_server.store import tenants
from fhir_server.store.database_urls import DatabaseUrls
from tests.functional.search_fixtures import HASHER, context, opened

PLACES = 20_000


@pytest.fixture(scope="module")
def ctx(database: DatabaseUrls) -> Iterator[Context]:
    """Two clinics of places all over the Earth, one in a hundred of them active."""
    assert database.owner is not None
    with psycopg.connect(database.owner, autocommit=True) as connection:
        clinics = [tenants.create(connection, f"near-plans-{number}") for number in range(2)]
        for clinic in clinics:
            connection.execute("SELECT set_config('fhir.tenant', %s, false)", [str(clinic.id)])
            connection.execute(
                """
                WITH stored AS (
                    INSERT INTO resource (tenant_id, version, key, last_updated, type_id, deleted, id, method,
                                          tokens, params, body)
                    SELECT %(tenant)s, 1, hashint8extended(n, 9), 1.6e15::bigint + n, %(type)s, false, 'l' || n, 'PUT',
                           ARRAY[(%(statuses)s::bigint[])[CASE WHEN n %% 100 = 0 THEN 1 ELSE 2 END]],
                           ARRAY[%(near)s], '{}'
                      FROM generate_series(1, %(many)s) n
                    RETURNING rid, tokens
                ), a AS (
                    INSERT INTO idx_token SELECT %(tenant)s, unnest(tokens), rid FROM stored
                )
                INSERT INTO idx_composite (tenant_id, hash, low, high, rid, value)
                SELECT %(tenant)s, %(hash)s, rid * 7.3 %% 180 - 90, rid * 3.1 %% 360 - 180, rid, '' FROM stored
                """,
                {
                    "tenant": clinic.id,
                    "type": definitions.load().type_ids["Location"],
                    "many": PLACES,
                    "near": param_id("Location.near"),
                    "hash": HASHER(f"{param_id('Location.near')}:near"),
                    "statuses": [HASHER(f"{param_id('Location.status')}:c:{one}") for one in ("active", "inactive")],
                },
            )
        connection.execute("VACUUM ANALYZE resource, idx_token, idx_composite")
    with opened(database) as pool:
        yield context(pool, clinics[0].id)


def nodes(ctx: Context, sql: str, values: list[object]) -> list[dict[str, Any]]:
    """Every node of the plan of a statement, run as the application's role."""
    result = ctx.store.search(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", values)
    found = [json.parse(result.get_value(0, 0) or b"")[0]["Plan"]]
    for node in found:
        found += node.get("Plans", [])
    return found


def rows_read(found: list[dict[str, Any]]) -> int:
    return sum(
        int(one["Actual Rows"] + one.get("Rows Removed by Filter", 0)) * int(one["Actual Loops"]) for one in found
    )


SEARCHES = [
    ("near", "47.4|8.5|100"),
    ("near", "-89.9|0|100"),
    ("near", "10|-179.9|100"),
    ("_filter", "near eq 47.4|8.5|100 and status eq active"),
    ("_filter", "status eq active and (near eq 47.4|8.5|100)"),
]


@pytest.mark.parametrize(("name", "value"), SEARCHES)
def test_a_band_of_latitudes_is_read(ctx: Context, name: str, value: str) -> None:
    query = parse("Location", [(name, value)])
    (page,) = compile_search(query, EVERYTHING, ctx.tenant.id, HASHER)
    for compiled in (page, compile_total(query, EVERYTHING, ctx.tenant.id, HASHER)):
        found = nodes(ctx, compiled.sql, compiled.values)
        assert "Seq Scan" not in [one["Node Type"] for one in found]
        used = [one["Index Cond"] for one in found if one.get("Index Name") == "idx_composite_pkey"]
        assert used, found
        assert all("(tenant_id = " in one and "(hash = " in one and "(low >= " in one for one in used)
        # A band of 1.8 of 180 degrees holds some 200 places.
        assert rows_read(found) < 2_000


def test_parts_of_a_filter_that_are_all_to_hold_are_roads_of_their_own(ctx: Context) -> None:
    (page,) = compile_search(
        parse("Location", [("_filter", "status eq active and not (near eq 47.4|8.5|100)"), ("_count", "10")]),
        EVERYTHING,
        ctx.tenant.id,
        HASHER,
    )
    found = nodes(ctx, page.sql, page.values)
    assert any(one.get("Index Name") == "idx_token_pkey" for one in found)
    assert "Seq Scan" not in [one["Node Type"] for one in found]
    assert rows_read(found) < 2_000
