"""The plans of full-text searches under row level security. docs/decisions/0010-full-text.md"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from fhir_server.access.policy import EVERYTHING
from fhir_server.interactions.context import Context
from fhir_server.r4 import definitions
from fhir_server.search import text_places
from fhir_server.search.compile import CompiledSearch, compile_total
from fhir_server.search.compile import compile as compile_search
from fhir_server.search.parse import parse
from fhir_server.search.sql import SqlParameters
from fhir_server.search.types import text
from fhir_server.store import tenants
from fhir_server.store.database_urls import DatabaseUrls
from tests.functional.search_fixtures import HASHER, context, opened
from tests.functional.test_search_plans import Plan, explained

OBSERVATIONS, PHRASES, PATIENTS = 24_000, 400, 300
RARE = 3


def word(name: str) -> int:
    return HASHER(f"Observation:w:{name}")


def _fill(connection: psycopg.Connection, tenant_id: int) -> None:
    """Observations with one of many displays, most of which say "measurement", a common and a rare narrative word."""
    connection.execute("SELECT set_config('fhir.tenant', %s, false)", [str(tenant_id)])
    connection.execute(
        """
        WITH stored AS (
            INSERT INTO resource (tenant_id, version, key, patient, last_updated, type_id, deleted, id, method, tokens,
                                  params, body)
            SELECT %(tenant)s, 1, hashint8extended(n, 11), (%(patients)s::bigint[])[1 + n %% %(many)s],
                   1.6e15::bigint + n, %(type)s, false, 'o' || n, 'PUT', '{}', '{}',
                   jsonb_build_object('note', repeat(md5(n::text), 15))
              FROM generate_series(0, %(count)s - 1) n
            RETURNING rid, substr(id, 2)::int AS n
        ), a AS (
            INSERT INTO idx_word (tenant_id, place, hash, rid, weight)
            SELECT %(tenant)s, %(code)s, %(phrase)s + n %% %(phrases)s, rid, 0 FROM stored
        )
        INSERT INTO idx_word (tenant_id, place, hash, rid, weight)
        SELECT %(tenant)s, %(narrative)s, w.hash, rid, w.weight FROM stored, LATERAL (
            SELECT %(seen)s, 500 UNION ALL SELECT %(rare)s, 600 WHERE n %% 2000 = 7
            UNION ALL SELECT %(noise)s + n * 20 + g, 300 FROM generate_series(1, 6) g
        ) w(hash, weight)
        """,
        {
            "tenant": tenant_id,
            "patients": [HASHER(f"Patient/p{n}") for n in range(PATIENTS)],
            "many": PATIENTS,
            "type": definitions.load().type_ids["Observation"],
            "count": OBSERVATIONS,
            "code": text_places.number("code"),
            "phrase": 1_000_000,
            "phrases": PHRASES,
            "narrative": text_places.NARRATIVE,
            "seen": word("seen"),
            "rare": word("rare"),
            "noise": 5_000_000,
        },
    )
    connection.execute(
        """
        INSERT INTO idx_phrase (tenant_id, weight, word, phrase)
        SELECT %(tenant)s, 500, w, %(phrase)s + n FROM generate_series(0, %(phrases)s - 1) n, LATERAL (
            SELECT %(measurement)s::bigint WHERE n %% 4 > 0 UNION ALL SELECT %(single)s WHERE n = %(n)s
            UNION ALL SELECT %(noise)s + n UNION ALL SELECT %(noise)s - n
        ) x(w)
        """,
        {
            "tenant": tenant_id,
            "phrase": 1_000_000,
            "phrases": PHRASES,
            "measurement": word("measurement"),
            "single": word("single"),
            "n": RARE,
            "noise": 5_000_000,
        },
    )


@pytest.fixture(scope="module")
def ctx(database: DatabaseUrls) -> Iterator[Context]:
    assert database.owner is not None
    with psycopg.connect(database.owner, autocommit=True) as connection:
        clinics = [tenants.create(connection, f"text-plans-{number}") for number in range(2)]
        for clinic in clinics:
            _fill(connection, clinic.id)
        connection.execute("VACUUM ANALYZE resource, idx_word, idx_phrase")
    with opened(database) as pool:
        yield context(pool, clinics[0].id)


def search(ctx: Context, query: str) -> Plan:
    pairs = [tuple(pair.split("=", 1)) for pair in query.split("&")]
    parsed = parse("Observation", [*pairs, ("_count", "20")])
    (compiled,) = compile_search(parsed, EVERYTHING, ctx.tenant.id, HASHER)
    return explained(ctx, compiled)


@pytest.mark.parametrize(
    ("query", "indexes", "most"),
    [
        ("_text=rare", {"idx_word_pkey"}, 600),
        ("_text=seen", {"idx_word_pkey"}, 1_000),
        ("_text=seen rare", {"idx_word_pkey"}, 25_000),
        ("_content=rare", {"idx_word_pkey", "idx_phrase_word"}, 900),
        ("_content=single", {"idx_word_pkey", "idx_phrase_word"}, 2_000),
        ("_content=single rare", {"idx_word_pkey", "idx_phrase_word"}, 1_000),
        ("_content=measurement", {"idx_word_pkey", "idx_phrase_word"}, 80_000),
        ("code:text=single", {"idx_word_pkey", "idx_phrase_word"}, 1_000),
        ("code:text=measurement single", {"idx_word_pkey", "idx_phrase_word"}, 1_500),
        ("patient=p7&_content=measurement", {"idx_phrase_word"}, 40_000),
    ],
)
def test_indexes_find_the_words(ctx: Context, query: str, indexes: set[str], most: int) -> None:
    plan = search(ctx, query)
    assert "Seq Scan" not in plan.nodes, plan
    assert indexes <= plan.conditions.keys(), plan
    assert all("(tenant_id = " in condition for name, condition in plan.conditions.items() if name in indexes), plan
    assert plan.rows_read < most, plan


def test_a_total_reads_indexes_alone(ctx: Context) -> None:
    parsed = parse("Observation", [("_text", "seen")])
    plan = explained(ctx, compile_total(parsed, EVERYTHING, ctx.tenant.id, HASHER))
    assert "resource_pkey" not in plan.conditions
    assert "Seq Scan" not in plan.nodes


def test_a_score_reads_the_words_of_its_resource_alone(ctx: Context) -> None:
    sql = SqlParameters(ctx.tenant.id)
    clause = next(iter(parse("Observation", [("_content", "measurement rare")]).filters))
    column = text.score_sql([clause], sql, HASHER)  # type: ignore[list-item]
    statement = f"SELECT {column} FROM resource r WHERE r.tenant_id = $1 AND r.id = 'o2007' LIMIT 1"  # noqa: S608
    plan = explained(ctx, CompiledSearch(statement, sql.values))
    assert {"idx_word_rid", "idx_phrase_word"} <= plan.conditions.keys() or "idx_word_pkey" in plan.conditions, plan
