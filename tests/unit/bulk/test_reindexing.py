"""Runs without a worker: what they write, whom they wait for, where they go on. docs/search-parameters.md"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from fhir_server.bulk import reindexing
from fhir_server.bulk.reindexing import Reindexing, addresses, relative_to_all, sweep
from fhir_server.crypto.hashing import param_id
from fhir_server.r4 import json
from fhir_server.search import second_opinion
from fhir_server.search.index import extract
from fhir_server.store import parameter_watch, reindex_runs, search_parameters
from fhir_server.store import reindexing as rows_of_store
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.index_rows import IndexRows
from fhir_server.store.parameter_definition import Definition
from fhir_server.store.reindex_runs import Run
from fhir_server.store.reindexing import Row
from fhir_server.store.resources import Write
from fhir_server.store.store import Store
from tests.unit.store.conftest import hasher, new_store, store

__all__ = ["hasher", "new_store", "store"]

OWN = Definition("own", "token", "urn:own", "Patient.gender", ("Patient",))
PARAM = param_id("Patient.own")


def never() -> bool:
    return False


@pytest.fixture
def work(store: Store, monkeypatch: pytest.MonkeyPatch) -> Reindexing:
    """The work of a worker process; nobody has to be waited for before it begins."""
    monkeypatch.setattr(reindex_runs, "FRESH_SECONDS", 0.0)
    return Reindexing(store.database, store.hasher, "http://localhost")


def put(store: Store, name: str, **elements: Any) -> None:
    resource = {"resourceType": "Patient", "id": name, **elements}
    store.put(Write("Patient", name, "PUT", None, None, json.dumps(elements), extract(resource, store.hasher)))


def begin(store: Store, definition: Definition = OWN) -> str:
    store.within(lambda c: search_parameters.register(c, store.tenant_id, "own", definition))
    parameter_watch.watch(store.database).forget()
    found = store.within(lambda c: search_parameters.find(c, store.tenant_id, "own"))
    assert found is not None
    return found.run


def state(store: Store, run: str) -> Run:
    found = store.within(lambda c: reindex_runs.find(c, store.tenant_id, run))
    assert found is not None
    return found


def with_param(store: Store) -> int:
    row = store.within(lambda c: c.execute("SELECT count(*) FROM resource WHERE %s = ANY(params)", [PARAM]).fetchone())
    assert row is not None
    return int(row[0])


def test_addresses() -> None:
    both = ("https://h.example:8/t/a/fhir", "https://a.h.example:8/fhir")
    assert addresses(both[0], "a") == addresses(both[1], "a") == both
    relative = relative_to_all(both)
    for base in both:
        assert relative({"subject": {"reference": f"{base}/Patient/1"}}) == {"subject": {"reference": "Patient/1"}}
    other = {"subject": {"reference": "https://b.h.example:8/fhir/Patient/1"}}
    assert relative(other) == other


def test_a_run_in_parts(store: Store, work: Reindexing, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(25):
        put(store, f"p{number}", gender="male")
    monkeypatch.setattr(reindexing, "BATCH", 10)
    run = begin(store)
    stops = iter([False, False, True])
    work.go_on(store.tenant_id, run, lambda: next(stops))
    half = state(store, run)
    assert (half.state, half.done, half.total) == ("building", 20, 25)
    assert with_param(store) == 20
    assert half.eta is not None
    work.go_on(store.tenant_id, run, never)
    done = state(store, run)
    assert (done.state, done.done, done.error) == ("finished", 25, "")
    assert with_param(store) == 25
    # What is finished stays so.
    work.go_on(store.tenant_id, run, never)
    assert state(store, run).finished == done.finished


def test_open_transactions_are_waited_for(store: Store, work: Reindexing, database: DatabaseUrls) -> None:
    put(store, "a", gender="male")
    run = begin(store)
    stop = threading.Event()
    with psycopg.connect(database.app) as other:
        other.execute("SELECT pg_current_xact_id()")
        threading.Timer(0.5, stop.set).start()
        work.go_on(store.tenant_id, run, stop.is_set)
        assert state(store, run).state == "waiting"
    work.go_on(store.tenant_id, run, never)
    assert state(store, run).state == "finished"


def test_a_newer_version_is_left_as_it_is(store: Store) -> None:
    put(store, "a", gender="male")
    (row,) = store.within(lambda c: rows_of_store.batch(c, store.tenant_id, "Patient", 0, 10))
    put(store, "a", gender="female")
    stale = extract(row.resource, store.hasher)

    def reindex(version: Row, index: IndexRows) -> str:
        return store.within(
            lambda c: rows_of_store.reindex(c, store.tenant_id, store.hasher, version, index, wait=True)
        )

    assert reindex(row, stale) == "changed"
    (now,) = store.within(lambda c: rows_of_store.batch(c, store.tenant_id, "Patient", 0, 10))
    found = store.within(lambda c: rows_of_store.stored(c, store.tenant_id, "Patient", now.rid))
    assert found is not None
    assert set(found[1].tokens) == set(extract(now.resource, store.hasher).tokens) != set(stale.tokens)
    assert reindex(now, stale) == "reindexed"
    found = store.within(lambda c: rows_of_store.stored(c, store.tenant_id, "Patient", now.rid))
    assert found is not None
    assert set(found[1].tokens) == set(stale.tokens)


def test_rows_that_somebody_writes_are_done_alone(
    store: Store, work: Reindexing, database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        put(store, name, gender="male")
    alone: list[str] = []
    one = reindexing.reindex_one

    with psycopg.connect(database.app) as other:
        other.execute("SELECT set_config('fhir.tenant', %s, false)", [str(store.tenant_id)])
        other.commit()
        run = begin(store)

        def locked(connection: psycopg.Connection, *arguments: Any, **named: Any) -> Any:
            if not alone:
                other.execute("SELECT 1 FROM resource WHERE id = 'b' FOR UPDATE")
            return reindex(connection, *arguments, **named)

        def released(*arguments: Any) -> str:
            alone.append(arguments[1].id)
            other.rollback()
            return one(*arguments)

        reindex = rows_of_store.reindex
        monkeypatch.setattr(rows_of_store, "reindex", locked)
        monkeypatch.setattr(reindexing, "reindex_one", released)
        work.go_on(store.tenant_id, run, never)
    assert alone == ["b"]
    assert with_param(store) == 3
    assert state(store, run).state == "finished"


def test_a_superseded_run_ends(store: Store, work: Reindexing) -> None:
    put(store, "a", gender="male")
    first = begin(store)
    second = begin(store, Definition("own", "token", "urn:own", "Patient.active", ("Patient",)))
    work.go_on(store.tenant_id, first, never)
    assert state(store, first).state == "superseded"
    assert with_param(store) == 0
    work.go_on(store.tenant_id, second, never)
    assert state(store, second).state == "finished"


def test_an_index_that_is_not_right_is_not_used(
    store: Store, work: Reindexing, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "a", gender="male")
    run = begin(store)

    def forgetful(*_: Any, **__: Any) -> str:
        return "reindexed"

    with monkeypatch.context() as patch:
        patch.setattr(rows_of_store, "reindex", forgetful)
        work.go_on(store.tenant_id, run, never)
    failed = state(store, run)
    assert (failed.state, failed.error) == ("failed", "The index does not hold what it should of Patient/a.")
    found = store.within(lambda c: search_parameters.find(c, store.tenant_id, "own"))
    assert found is not None
    assert found.state == "failed"
    again = begin(store)
    with monkeypatch.context() as patch:
        patch.setattr(second_opinion, "differing", lambda parameter, resources: ([0], ""))
        work.go_on(store.tenant_id, again, never)
    assert "Another FHIRPath engine finds other values in Patient/a" in state(store, again).error


def test_a_defect_ends_the_run_and_says_nothing_of_the_data(
    store: Store, work: Reindexing, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "a", gender="male")
    run = begin(store)

    def broken(*_: Any, **__: Any) -> None:
        raise KeyError("secret")

    monkeypatch.setattr(reindexing, "extract", broken)
    work.go_on(store.tenant_id, run, never)
    assert state(store, run).error == "Unexpected KeyError: this is a defect, please report it."


def test_what_was_left_behind_is_found(new_store: Callable[[], Store], monkeypatch: pytest.MonkeyPatch) -> None:
    own = new_store()
    run = own.within(lambda c: reindex_runs.request(c, own.tenant_id, ["Patient"]))
    own.within(lambda c: c.execute("DELETE FROM procrastinate_jobs WHERE args->>'run' = %s", [run]))
    monkeypatch.setattr(reindexing, "LEFT_BEHIND_SECONDS", 0)
    assert sweep(own.database) >= 1
    row = own.within(
        lambda c: c.execute("SELECT count(*) FROM procrastinate_jobs WHERE args->>'run' = %s", [run]).fetchone()
    )
    assert row == (1,)
