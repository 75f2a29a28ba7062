"""Versions, tombstones and index rows, against a real PostgreSQL. docs/architecture.md, "Rows" """

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.access.policy import EVERYTHING, NOTHING, of_types
from fhir_server.store.history import Page, Scope
from fhir_server.store.index_rows import IndexRows, Words
from fhir_server.store.resources import Write
from fhir_server.store.store import Store

INDEX_TABLES = {
    "idx_reference": "param, target",
    "idx_string": "param, value, exact",
    "idx_date": "param, low, high",
    "idx_quantity": "param, low, high, unit",
    "idx_composite": "hash, low, high, value",
    "idx_word": "hash, place, weight",
}


def write(resource_id: str, content: int = 0, expect: int | None = None, rows: IndexRows | None = None) -> Write:
    body = json.dumps({"n": content}).encode()
    return Write("Basic", resource_id, "PUT", expect, None, body, rows or IndexRows())


def delete(resource_id: str, expect: int | None = None) -> Write:
    return Write("Basic", resource_id, "DELETE", expect, None, None, IndexRows())


def rows_of(store: Store, table: str, columns: str) -> list[Any]:
    """The rows of a table that the tenant sees, as JSON arrays, in order."""
    sql = f"SELECT json_build_array({columns})::text FROM {table} WHERE tenant_id = $1 ORDER BY {columns}"  # noqa: S608 - names from this file
    result = store.search(sql, [store.tenant_id])
    return [json.loads(result.get_value(n, 0) or b"") for n in range(result.ntuples)]


def current(store: Store, resource_id: str) -> tuple[int, bool, bytes | None] | None:
    stored = store.read(EVERYTHING, "Basic", resource_id)
    return None if stored is None else (stored.version, stored.deleted, stored.body)


def test_a_version_at_a_time(store: Store) -> None:
    assert store.put(write("a", 1)).status == "created"
    assert store.put(write("a", 2)).status == "updated"
    assert store.put(delete("a")).status == "deleted"
    assert current(store, "a") == (3, True, None)
    assert store.put(write("a", 4)).status == "created"
    assert current(store, "a") == (4, False, b'{"n": 4}')
    bodies = [store.vread(EVERYTHING, "Basic", "a", version) for version in (1, 2, 3, 4)]
    assert [None if b is None else b.body for b in bodies] == [b'{"n": 1}', b'{"n": 2}', None, b'{"n": 4}']
    assert store.vread(EVERYTHING, "Basic", "a", 5) is None


@pytest.mark.parametrize(
    ("before", "expect", "status"),
    [
        ([], None, "created"),
        ([], 0, "created"),
        ([], -1, "conflict"),
        ([], 1, "conflict"),
        (["put"], None, "updated"),
        (["put"], 0, "exists"),
        (["put"], -1, "updated"),
        (["put"], 1, "updated"),
        (["put"], 2, "conflict"),
        (["put", "delete"], None, "created"),
        (["put", "delete"], 0, "created"),
        (["put", "delete"], -1, "conflict"),
        (["put", "delete"], 2, "created"),
        (["put", "delete"], 1, "conflict"),
    ],
)
def test_what_is_expected_of_the_present_state(
    store: Store, before: Sequence[str], expect: int | None, status: str
) -> None:
    for step in before:
        store.put(write("a") if step == "put" else delete("a"))
    had = current(store, "a")
    assert store.put(write("a", 9, expect)).status == status
    if status in ("conflict", "exists"):
        assert current(store, "a") == had


def test_deleting_what_is_not_there(store: Store) -> None:
    assert store.put(delete("a")).status == "gone"
    store.put(write("a"))
    store.put(delete("a"))
    assert store.put(delete("a")).status == "gone"
    assert current(store, "a") == (2, True, None)


def test_access_is_asked_about_every_row(store: Store) -> None:
    store.put(write("a"))
    for access, seen in (
        (EVERYTHING, True),
        (of_types("Basic"), True),
        (of_types("Patient"), False),
    ):
        assert (store.read(access, "Basic", "a") is not None) is seen
        assert (store.vread(access, "Basic", "a", 1) is not None) is seen
        assert bool(store.history(access, Scope(), Page(10))) is seen
    assert store.read(NOTHING, "Basic", "a") is None


def test_create_many_writes_what_put_would(new_store: Callable[[], Store]) -> None:
    one, many = new_store(), new_store()
    writes = [Write("Basic", f"id-{n}", "POST", 0, b'{"source":"x"}', b'{"n":1.00}', _rows(n)) for n in range(7)]
    for each in writes:
        assert one.put(each).status == "created"
    assert many.create_many(writes, fresh=False)[0] == []
    for table, columns in (*INDEX_TABLES.items(), ("idx_token", "hash")):
        assert rows_of(one, table, columns) == rows_of(many, table, columns) != []
    columns = "key, type_id, id, version, patient, date_low, date_high, deleted, method, tokens, params, meta, body"
    assert rows_of(one, "resource", columns) == rows_of(many, "resource", columns)
    stored = many.read(EVERYTHING, "Basic", "id-3")
    assert stored is not None
    assert stored.body == b'{"n": 1.00}'


def test_create_many_names_what_exists_and_then_writes_nothing(store: Store) -> None:
    store.put(write("b"))
    existing, _ = store.create_many([write("a"), write("b"), write("c")], fresh=False)
    assert existing == [1]
    assert current(store, "a") is None


def _rows(n: int) -> IndexRows:
    return IndexRows(
        params=[1, 2],
        tokens=[n, n + 1, -n - 5],
        references=[(1, n), (2, n)],
        strings=[(1, 'a"b\\c,{}' + str(n), 7), (1, "", 8)],
        dates=[(1, -(2**62), 2**62), (1, n, n + 1)],
        quantities=[(1, float("-inf"), 1.5, n), (1, 0.1, 0.2, n)],
        composites=[(n, 1.0, 2.0, "x"), (n, 1.0, float("inf"), "y'z")],
        patient=n,
        date_low=n,
        date_high=n + 1,
        words=Words({(n, 1): 500, (n, 2): 7, (-n - 9, 1): 0}, {-n - 9: ((n, 400), (n + 1, 400))}),
    )


small = st.integers(-3, 3)
floats = st.sampled_from([float("-inf"), -0.5, 0.0, 1.25, float("inf")])
words = st.sampled_from(["", "a", "b c", 'q"', "\\", "\u00e9", "\U0001f600"])
index_rows = st.builds(
    IndexRows,
    params=st.lists(small, unique=True),
    tokens=st.lists(small, unique=True),
    references=st.lists(st.tuples(small, small), unique=True),
    strings=st.lists(st.tuples(small, words, small), unique=True),
    dates=st.lists(st.tuples(small, small, small), unique=True),
    quantities=st.lists(st.tuples(small, floats, floats, small), unique=True),
    composites=st.lists(st.tuples(small, floats, floats, words), unique=True),
    words=st.none() | st.builds(Words, rows=st.dictionaries(st.tuples(small, small), st.integers(0, 999))),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(states=st.lists(index_rows | st.none(), min_size=1, max_size=5))
def test_the_index_is_that_of_the_last_version_alone(
    new_store: Callable[[], Store], states: list[IndexRows | None]
) -> None:
    """Whatever came before, the rows are those that a fresh resource would have; None deletes."""
    store, reference = new_store(), new_store()
    for rows in states:
        store.put(delete("a") if rows is None else write("a", rows=rows))
    last = states[-1]
    if last is not None:
        reference.put(write("a", rows=last))
    for table, columns in (*INDEX_TABLES.items(), ("idx_token", "hash")):
        assert rows_of(store, table, columns) == rows_of(reference, table, columns)


def test_an_update_touches_only_the_index_rows_that_differ(store: Store) -> None:
    before = _rows(1)
    store.put(write("a", rows=before))
    places = {t: rows_of(store, t, f"{c}, ctid::text") for t, c in INDEX_TABLES.items()}
    after = replace(_rows(1), references=[(1, 1), (2, 99)])
    store.put(write("a", 2, rows=after))
    for table, columns in INDEX_TABLES.items():
        now = rows_of(store, table, f"{columns}, ctid::text")
        if table == "idx_reference":
            assert len([row for row in now if row in places[table]]) == 1
        else:
            assert now == places[table]


def test_history_pages_through_everything_once(store: Store) -> None:
    for n in range(6):
        for resource_id in "ab":
            store.put(write(resource_id, n))
    store.put(delete("b"))
    seen: list[tuple[str, int]] = []
    after = None
    while page := store.history(EVERYTHING, Scope(), Page(5, after=after)):
        seen += [(v.stored.id, v.stored.version) for v in page]
        last = page[-1]
        after = (last.stored.last_updated, last.rid, last.stored.version)
    assert sorted(seen) == sorted([("a", v) for v in range(1, 7)] + [("b", v) for v in range(1, 8)])
    times = [v.stored.last_updated for v in store.history(EVERYTHING, Scope("Basic"), Page(100))]
    assert times == sorted(times, reverse=True)
    assert [v.stored.version for v in store.history(EVERYTHING, Scope("Basic", "b"), Page(100))] == [
        7,
        6,
        5,
        4,
        3,
        2,
        1,
    ]


def test_history_at_a_moment(store: Store) -> None:
    times = [store.put(write("a", n)).last_updated for n in range(3)]
    times += [store.put(write("a", 3)).last_updated]
    everything = {
        v.stored.version: v.stored.last_updated for v in store.history(EVERYTHING, Scope("Basic", "a"), Page(9))
    }
    for low in times:
        found = [v.stored.version for v in store.history(EVERYTHING, Scope("Basic", "a"), Page(9, at=(low, low + 1)))]
        expected = max(v for v, t in everything.items() if t <= low)
        assert found == [expected]
    assert store.history(EVERYTHING, Scope("Basic", "a"), Page(9, at=(0, times[0]))) == []


def test_parallel_updates_with_one_expected_version_let_one_win(store: Store) -> None:
    store.put(write("a"))
    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(lambda n: store.put(write("a", n, expect=1)).status, range(24)))
    assert statuses.count("updated") == 1
    assert statuses.count("conflict") == 23
    assert (current(store, "a") or (0,))[0] == 2


def test_parallel_updates_lose_no_version(store: Store) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: store.put(write("a", n)), range(40)))
    versions = store.history(EVERYTHING, Scope("Basic", "a"), Page(100))
    assert [v.stored.version for v in versions] == list(range(40, 0, -1))
    assert len({v.stored.body for v in versions}) == 40
