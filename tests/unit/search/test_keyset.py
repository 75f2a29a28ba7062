"""fhir_server/search/keyset.py"""
# ruff: noqa: S608 - the SQL under test

from __future__ import annotations

import sqlite3

from hypothesis import given
from hypothesis import strategies as st

from fhir_server.search.cursor import Position
from fhir_server.search.keyset import OrderKey, after, all_keys, order_by
from fhir_server.search.sql import SqlParameters

small = st.one_of(st.none(), st.integers(0, 3))
keys = st.lists(
    st.builds(OrderKey, st.sampled_from(["a", "b"]), st.just("bigint"), st.booleans(), st.just(True), st.booleans()),
    max_size=2,
    unique_by=lambda k: k.column,
)


def page(
    database: sqlite3.Connection, keys: list[OrderKey], position: Position | None, size: int, *, backward: bool
) -> list[tuple[int, ...]]:
    """The rows after a position, or before it, with their sort values; run on SQLite, where all this means the same."""
    sql = SqlParameters(1)
    whole = all_keys(keys, "rid", backward=backward)
    condition = after(whole, position, sql) if position else "true"
    columns = "".join(f", {key.column}" for key in keys)
    text = f"SELECT rid{columns} FROM t WHERE {condition} ORDER BY {_with_nulls(whole)} LIMIT {size}"
    for number in range(len(sql.values), 0, -1):
        text = text.replace(f"${number}::bigint", str(sql.values[number - 1]))
    return database.execute(text).fetchall()


def _with_nulls(keys: list[OrderKey]) -> str:
    """PostgreSQL's default order of NULLs written out, for SQLite has another one."""
    parts = []
    for key in keys:
        text = order_by([key])
        if key.nullable and "NULLS" not in text:
            text += " NULLS FIRST" if key.descending else " NULLS LAST"
        parts.append(text)
    return ", ".join(parts)


def table(rows: list[tuple[int | None, int | None]]) -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE t (rid integer, a integer, b integer)")
    database.executemany("INSERT INTO t VALUES (?, ?, ?)", [(n, *row) for n, row in enumerate(rows)])
    return database


@given(st.lists(st.tuples(small, small), max_size=12), keys, st.integers(1, 4))
def test_pages_give_every_row_once_in_order(
    rows: list[tuple[int | None, int | None]], keys: list[OrderKey], size: int
) -> None:
    """Forwards to the end; and from every page back to the one before it."""
    database = table(rows)
    whole = page(database, keys, None, 100, backward=False)
    pages: list[list[tuple[int, ...]]] = []
    position = None
    while found := page(database, keys, position, size, backward=False):
        if pages:
            first = Position(tuple(found[0][1:]), found[0][0])
            assert page(database, keys, first, size, backward=True)[::-1] == pages[-1]
        pages.append(found)
        position = Position(tuple(found[-1][1:]), found[-1][0])
    assert [row for one in pages for row in one] == whole


@given(st.lists(st.tuples(small, small), min_size=1, max_size=12), keys)
def test_missing_values_stand_where_they_are_said_to(
    rows: list[tuple[int | None, int | None]], keys: list[OrderKey]
) -> None:
    found = page(table(rows), keys, None, 100, backward=False)
    if keys:
        missing = [row[1] is None for row in found]
        assert missing == sorted(missing, reverse=keys[0].nulls_first)


def test_one_direction_is_one_range_of_an_index() -> None:
    sql = SqlParameters(1)
    descending = all_keys([OrderKey("r.date_low", "bigint", True, True, True)], "r.rid", backward=False)
    assert after(descending, Position((5,), 9), sql) == "(r.date_low, r.rid) < ($2::bigint, $3::bigint)"
    assert after(all_keys([], "i.rid", backward=False), Position((), 9), sql) == "i.rid < $3::bigint"
    assert after(all_keys([], "i.rid", backward=True), Position((), 9), sql) == "i.rid > $3::bigint"
    ascending = all_keys([OrderKey("r.last_updated", "bigint", descending=False)], "r.rid", backward=False)
    assert after(ascending, Position((5,), 9), sql) == "(r.last_updated, r.rid) > ($2::bigint, $3::bigint)"


def test_missing_values_come_first_in_descending_order() -> None:
    sql = SqlParameters(1)
    keys = all_keys([OrderKey("r.date_low", "bigint", True, True, True)], "r.rid", backward=False)
    condition = after(keys, Position((None,), 9), sql)
    assert condition == "(r.date_low IS NOT NULL OR (r.date_low IS NULL AND r.rid < $2::bigint))"
