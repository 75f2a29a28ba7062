"""fhir_server/search/keyset.py"""
# ruff: noqa: S608 - the SQL under test

from __future__ import annotations

import sqlite3

from hypothesis import given
from hypothesis import strategies as st

from fhir_server.search.cursor import Position
from fhir_server.search.keyset import SortKey, after, order_by
from fhir_server.search.sql import SqlParameters

small = st.integers(0, 3)
keys = st.lists(
    st.builds(SortKey, st.sampled_from(["a", "b"]), st.just("bigint"), st.booleans()),
    max_size=2,
    unique_by=lambda k: k.column,
)


@given(st.lists(st.tuples(small, small), max_size=12), keys, st.integers(1, 4))
def test_pages_give_every_row_once_in_order(rows: list[tuple[int, int]], keys: list[SortKey], size: int) -> None:
    """Run on SQLite, whose row comparisons and ORDER BY mean the same."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE t (rid integer, a integer, b integer)")
    database.executemany("INSERT INTO t VALUES (?, ?, ?)", [(n, *row) for n, row in enumerate(rows)])
    columns = "".join(f", {key.column}" for key in keys)
    whole = database.execute(f"SELECT rid FROM t ORDER BY {order_by(keys, 'rid')}").fetchall()
    seen: list[tuple[int]] = []
    position = None
    while True:
        sql = SqlParameters(1)
        condition = after(keys, "rid", position, sql) if position else "true"
        text = f"SELECT rid{columns} FROM t WHERE {condition} ORDER BY {order_by(keys, 'rid')} LIMIT {size}"
        for number in range(len(sql.values), 0, -1):
            text = text.replace(f"${number}::bigint", str(sql.values[number - 1]))
        page = database.execute(text).fetchall()
        seen += [(row[0],) for row in page]
        if len(page) < size:
            break
        position = Position(tuple(page[-1][1:]), page[-1][0])
    assert seen == whole


def test_one_direction_is_one_range_of_an_index() -> None:
    sql = SqlParameters(1)
    descending = [SortKey("r.date_low", "bigint", descending=True, nullable=True)]
    assert after(descending, "r.rid", Position((5,), 9), sql) == "(r.date_low, r.rid) < ($2::bigint, $3::bigint)"
    assert after([], "i.rid", Position((), 9), sql) == "i.rid < $3::bigint"
    ascending = [SortKey("r.last_updated", "bigint", descending=False)]
    assert after(ascending, "r.rid", Position((5,), 9), sql) == "(r.last_updated, r.rid) > ($2::bigint, $3::bigint)"


def test_missing_values_come_first_in_descending_order() -> None:
    sql = SqlParameters(1)
    key = SortKey("r.date_low", "bigint", descending=True, nullable=True)
    condition = after([key], "r.rid", Position((None,), 9), sql)
    assert condition == "(r.date_low IS NOT NULL OR (r.date_low IS NULL AND r.rid < $2::bigint))"
