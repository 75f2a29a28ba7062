"""Plans without the values of the search. https://www.postgresql.org/docs/current/using-explain.html"""

from __future__ import annotations

import json
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.search.plan import plan, redacted
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.wire import literal, run_simple


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("((tenant_id = 1) AND (hash = '-42'::bigint))", "((tenant_id = ?) AND (hash = ?::bigint))"),
        ("(value >= 'o''neil'::text)", "(value >= ?::text)"),
        (r"(value = E'a\\b'::text)", "(value = ?::text)"),
        ("(target = ANY ('{1,-2}'::bigint[]))", "(target = ANY (?::bigint[]))"),
        ("(i_1.low < 1.5e+15)", "(i_1.low < ?)"),
        ("(low < -3)", "(low < ?)"),
        ("(p.k0 = $0)", "(p.k0 = $0)"),
        ('("r1".rid = "2".x)', '("r1".rid = "2".x)'),
        ("(NOT deleted)", "(NOT deleted)"),
    ],
)
def test_literals_are_replaced(condition: str, expected: str) -> None:
    assert redacted(condition) == expected


def test_what_is_not_known_to_be_harmless_is_left_out() -> None:
    scan = {"Node Type": "Seq Scan", "Relation Name": "resource", "Plan Rows": 3, "Total Cost": 9.5, "Output": ["'x'"]}
    top = {"Node Type": "Sort", "Plan Rows": 7, "Total Cost": 10.25, "Sort Key": ["(a || 'x')"], "Plans": [scan]}
    found = plan([{"Plan": top, "Settings": {"x": "y"}, "Execution Time": 1.5}])
    assert (found.indexes, found.tables, found.rows, found.cost) == ((), ("resource",), 7, 10.25)
    assert found.tree == {
        "Node Type": "Sort",
        "Plan Rows": 7,
        "Total Cost": 10.25,
        "Sort Key": ["(a || ?)"],
        "Plans": [{key: value for key, value in scan.items() if key != "Output"}],
        "Execution Time": 1.5,
    }


@pytest.fixture(scope="module")
def connection(database: DatabaseUrls) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.app, autocommit=True) as connection:
        connection.execute("SELECT set_config('fhir.tenant', '1', false)")
        yield connection


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=3, max_size=12),
    number=st.integers(10_000, 2**62) | st.integers(-(2**62), -10_000),
    fraction=st.floats(1e3, 1e30),
)
def test_no_value_shows_in_a_plan(connection: psycopg.Connection, text: str, number: int, fraction: float) -> None:
    secret = f"geheim{text}"
    values = [literal(secret), literal(number), literal(fraction), literal([number, 7]), literal([secret, "b"])]
    result = run_simple(
        connection,
        "EXPLAIN (FORMAT JSON) SELECT s.rid FROM idx_string s JOIN idx_quantity q ON q.tenant_id = s.tenant_id"  # noqa: S608
        f" AND q.rid = s.rid AND s.value || {values[0]} <> q.low::text WHERE s.tenant_id = 1 AND s.value = {values[0]}"
        f" AND s.exact = {values[1]} AND q.low < {values[2]} AND s.rid = ANY({values[3]}::bigint[])"
        f" AND s.value = ANY({values[4]}::text[]) ORDER BY s.value || {values[0]}",
    )
    explained = json.loads(result.get_value(0, 0) or b"")
    shown = json.dumps(plan(explained).tree, ensure_ascii=False)
    assert "geheim" in json.dumps(explained)
    assert "geheim" not in shown
    assert str(abs(number)) not in shown
    assert "?" in shown
