"""The plans of searches under row level security, as the application's role: which index finds the rows.

https://www.postgresql.org/docs/current/using-explain.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from fhir_server.access.policy import EVERYTHING
from fhir_server.crypto.hashing import param_id
from fhir_server.interactions.context import Context
from fhir_server.r4 import definitions, json
from fhir_server.search.compile import CompiledSearch, compile_total
from fhir_server.search.compile import compile as compile_search
from fhir_server.search.cursor import Position
from fhir_server.search.parse import parse
from fhir_server.store import tenants
from fhir_server.store.database_urls import DatabaseUrls
from tests.functional.search_fixtures import HASHER, context, opened

PATIENTS, OBSERVATIONS = 400, 24_000
DAY = 86_400_000_000


def token(code: str, value: str) -> int:
    """The hash of a code of an Observation's parameter."""
    return HASHER(f"{param_id(f'Observation.{code}')}:c:{value}")


def _fill(connection: psycopg.Connection, tenant_id: int) -> None:
    """Observations of many patients, most of them of one common code, made by SQL for speed."""
    types = definitions.load().type_ids
    keys = [HASHER(f"Patient/p{number}") for number in range(PATIENTS)]
    practitioners = [HASHER(f"Practitioner/d{number}") for number in range(40)]
    connection.execute("SELECT set_config('fhir.tenant', %s, false)", [str(tenant_id)])
    connection.execute(
        """
        WITH made AS (
            SELECT nextval('resource_rid') AS rid, n FROM generate_series(0, %(many)s - 1) n ORDER BY n
        ), stored AS (
            INSERT INTO resource (tenant_id, version, rid, key, patient, date_low, date_high, last_updated, type_id,
                                  deleted, id, method, tokens, params, meta, body)
            SELECT %(tenant)s, 1, rid, hashint8extended(rid, 1), (%(keys)s::bigint[])[1 + n %% %(patients)s],
                   1.5e15::bigint + n * %(day)s / 40, 1.5e15::bigint + n * %(day)s / 40 + 1000000,
                   1.7e15::bigint + n * 1000, %(type)s, false, 'o' || n, 'POST',
                   ARRAY[(%(codes)s::bigint[])[CASE WHEN n %% 10 < 7 THEN 1 WHEN n %% 400 = 9 THEN 3 ELSE 2 END],
                         (%(categories)s::bigint[])[1 + n / 3 %% 3], %(profile)s],
                   ARRAY[1], NULL, jsonb_build_object('status', 'final', 'note', repeat(md5(n::text), 15))
              FROM made
            RETURNING rid, tokens, patient, date_low, date_high, id
        ), a AS (
            INSERT INTO idx_token SELECT %(tenant)s, unnest(tokens), rid FROM stored
        ), u AS (
            INSERT INTO idx_string
            SELECT %(tenant)s, %(profile_param)s, rid, %(profile)s,
                   CASE WHEN rid %% 400 = 9 THEN 'http://rare.org/p/' ELSE 'http://example.org/p/' END FROM stored
        ), b AS (
            INSERT INTO idx_reference
            SELECT %(tenant)s, %(performer)s, (%(practitioners)s::bigint[])[1 + rid %% 40], rid FROM stored
        )
        INSERT INTO idx_date SELECT %(tenant)s, %(date)s, date_low, date_high, rid FROM stored
        """,
        {
            "tenant": tenant_id,
            "many": OBSERVATIONS,
            "patients": PATIENTS,
            "day": DAY,
            "type": types["Observation"],
            "keys": keys,
            "codes": [token("code", "common"), token("code", "other"), token("code", "rare")],
            "categories": [token("category", name) for name in ("vital-signs", "laboratory", "survey")],
            "profile": HASHER(f"{param_id('Observation._profile')}:u:http://example.org/p"),
            "profile_param": param_id("Observation._profile"),
            "performer": param_id("Observation.performer"),
            "practitioners": practitioners,
            "date": param_id("Observation.date"),
        },
    )
    connection.execute(
        """
        WITH stored AS (
            INSERT INTO resource (tenant_id, version, rid, key, patient, last_updated, type_id, deleted, id, method,
                                  tokens, params, body)
            SELECT %(tenant)s, 1, nextval('resource_rid'), key, key, 1.6e15::bigint + n, %(type)s, false,
                   'p' || (n - 1), 'PUT', '{}', '{}', '{"active": true}'
              FROM unnest(%(keys)s::bigint[]) WITH ORDINALITY k(key, n)
            RETURNING rid
        )
        INSERT INTO idx_string SELECT %(tenant)s, %(family)s, rid, rid, left(md5(rid::text), 6) FROM stored
        """,
        {"tenant": tenant_id, "type": types["Patient"], "keys": keys, "family": param_id("Patient.family")},
    )


@pytest.fixture(scope="module")
def ctx(database: DatabaseUrls) -> Iterator[Context]:
    assert database.owner is not None
    with psycopg.connect(database.owner, autocommit=True) as connection:
        # Several clinics, so that the tenant alone selects little.
        clinics = [tenants.create(connection, f"plans-{number}") for number in range(2)]
        for clinic in clinics:
            _fill(connection, clinic.id)
        connection.execute("VACUUM ANALYZE resource, idx_token, idx_reference, idx_string, idx_date")
    with opened(database) as pool:
        yield context(pool, clinics[0].id)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a plan consists of: the kinds of its nodes, and for each index its condition."""

    nodes: list[str]
    conditions: dict[str, str]
    rows_read: int


def explained(ctx: Context, compiled: CompiledSearch) -> Plan:
    """The plan of a statement as it runs: with the application's role, the tenant set, and real row counts."""
    result = ctx.store.search(f"EXPLAIN (ANALYZE, FORMAT JSON) {compiled.sql}", compiled.values)
    nodes: list[dict[str, Any]] = [json.parse(result.get_value(0, 0) or b"")[0]["Plan"]]
    for node in nodes:
        nodes += node.get("Plans", [])
    return Plan(
        [node["Node Type"] for node in nodes],
        {node["Index Name"]: node.get("Index Cond", "") for node in nodes if "Index Name" in node},
        int(
            sum((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"] for node in nodes)
        ),
    )


def search(ctx: Context, resource_type: str, query: str, position: Position | None = None) -> Plan:
    pairs = [tuple(pair.split("=", 1)) for pair in query.split("&") if pair]
    parsed = parse(resource_type, [*pairs, ("_count", "20")])
    return explained(ctx, compile_search(parsed, EVERYTHING, ctx.tenant.id, HASHER, position)[0])


TWO_DAYS = "date=ge2018-05-01&date=lt2018-05-03"


@pytest.mark.parametrize(
    ("resource_type", "query", "index", "condition"),
    [
        ("Observation", "patient=p7&code=common", "resource_patient", "(patient = "),
        ("Observation", f"patient=Patient/p7&{TWO_DAYS}", "resource_patient", "(date_low < "),
        ("Observation", "subject=Patient/p7&category=survey&code=common,other", "resource_patient", "(type_id = "),
        ("Observation", "code=common", "idx_token_pkey", "(hash = "),
        ("Observation", "code=rare", "idx_token_pkey", "(hash = "),
        ("Observation", "code=common,rare", "idx_token_pkey", "(hash = "),
        ("Observation", "code=rare&category=survey", "idx_token_pkey", "(hash = "),
        ("Observation", "code=common&code:not=rare", "idx_token_pkey", "(hash = "),
        ("Observation", "_profile=http://example.org/p", "idx_token_pkey", "(hash = "),
        ("Observation", "performer=Practitioner/d3", "idx_reference_pkey", "(target = "),
        ("Patient", "family=ab", "idx_string_pkey", "(value >= 'ab'::text) AND (value < 'ac'::text)"),
        ("Observation", TWO_DAYS, "idx_date", "(param = "),
        ("Observation", "date=2018-05-02", "idx_date_pkey", "(low >= "),
        ("Observation", "", "resource_listed", "(type_id = "),
        ("Observation", "_sort=_lastUpdated", "resource_updated", "(type_id = "),
        ("Observation", "_lastUpdated=gt2023-11-14T22:13:43Z", "resource_updated", "(last_updated >= "),
        ("Observation", "_id=o5", "resource_key", "(key = "),
        ("Patient", "_id=p5,p6", "resource_key", "(key = ANY "),
    ],
)
def test_the_intended_index_finds_the_rows(
    ctx: Context, resource_type: str, query: str, index: str, condition: str
) -> None:
    plan = search(ctx, resource_type, query)
    assert "Seq Scan" not in plan.nodes
    used = [text for name, text in plan.conditions.items() if name.startswith(index)]
    assert any("(tenant_id = " in text and condition in text for text in used), plan


@pytest.mark.parametrize(
    "query",
    [
        "patient=p7",
        "patient=p7&code=common",
        "code=common",
        "code=common,other",
        "code=common&category=survey",
        "code=common&code:not=rare",
        "performer=Practitioner/d3",
        "_profile=http://example.org/p",
        "",
        "_sort=_lastUpdated",
        "_sort=-_lastUpdated",
    ],
)
def test_the_index_gives_the_order_and_a_page_reads_little(ctx: Context, query: str) -> None:
    plan = search(ctx, "Observation", query)
    assert not {"Sort", "Incremental Sort", "HashAggregate", "Hash Join"} & set(plan.nodes), plan
    assert plan.rows_read < 1_000, plan


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("patient=p7", (1_500_000_000_000_000 + 12_000 * DAY // 40,)),
        ("code=common", ()),
        ("code=common,other", ()),
        ("", ()),
        ("_sort=_lastUpdated", (1_700_000_000_000_000 + 12_000_000,)),
    ],
)
def test_a_later_page_costs_what_the_first_does(ctx: Context, query: str, values: tuple[int, ...]) -> None:
    middle = ctx.store.search("SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY rid) FROM idx_date", [])
    position = Position(values, int(middle.get_value(0, 0) or 0))
    first, later = search(ctx, "Observation", query), search(ctx, "Observation", query, position)
    assert later.rows_read <= 1.5 * first.rows_read
    assert not {"Sort", "Seq Scan"} & set(later.nodes), later
    assert any("rid" in condition for condition in later.conditions.values())


@pytest.mark.parametrize("query", ["code=common", "code=rare", "code=common&category=survey"])
def test_totals_of_tokens_read_the_index_alone(ctx: Context, query: str) -> None:
    parsed = parse("Observation", [tuple(pair.split("=", 1)) for pair in query.split("&")])
    plan = explained(ctx, compile_total(parsed, EVERYTHING, ctx.tenant.id, HASHER))
    assert set(plan.conditions) == {"idx_token_pkey"}
    assert "Index Only Scan" in plan.nodes
    assert not {"Seq Scan", "Index Scan", "Bitmap Heap Scan"} & set(plan.nodes)


MANY = ",".join(["common", "other", "rare", *(f"x{number}" for number in range(40))])


def test_a_page_of_many_tokens_reads_a_page_of_each(ctx: Context) -> None:
    plan = search(ctx, "Observation", f"code={MANY}")
    assert "(hash = " in plan.conditions["idx_token_pkey"]
    assert plan.rows_read < 1_000, plan


@pytest.mark.parametrize(
    ("query", "index", "condition"),
    [
        ("_profile:below=http://rare.org", "idx_string_pkey", "(value >= 'http://rare.org/'::text) AND (value < "),
        ("_profile:below=http://none.org/p", "idx_string_pkey", "(value >= 'http://none.org/p/'::text) AND (value < "),
        ("_profile:above=http://example.org/p/q", "idx_token_pkey", "(hash = "),
    ],
)
def test_an_index_finds_what_is_above_and_below_a_uri(ctx: Context, query: str, index: str, condition: str) -> None:
    plan = search(ctx, "Observation", query)
    assert "Seq Scan" not in plan.nodes
    assert "(tenant_id = " in plan.conditions[index]
    assert condition in plan.conditions[index]
    assert plan.rows_read < 1_000, plan


def test_a_page_below_a_common_uri_reads_little(ctx: Context) -> None:
    plan = search(ctx, "Observation", "_profile:below=http://example.org")
    assert "Seq Scan" not in plan.nodes
    # The first of the matches are counted, then a page is read: every resource would be many times as much.
    assert plan.rows_read < OBSERVATIONS / 2, plan
