"""How old what a process knows may be, and what asking costs those who do not have to."""

from __future__ import annotations

import threading
import time

import pytest

from fhir_server.errors import Unavailable
from fhir_server.store import parameter_watch, search_parameters
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.index_rows import IndexRows
from fhir_server.store.own_parameters import ParametersChanged
from fhir_server.store.parameter_watch import NOTHING, Watch
from fhir_server.store.reindex_runs import FRESH_SECONDS
from fhir_server.store.resources import Write
from fhir_server.store.session import Database
from fhir_server.store.store import Store
from tests.unit.store.test_search_parameters import EYES, register


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that stands still, and no thread beside it."""
    monkeypatch.setattr(parameter_watch, "POLL_SECONDS", 1_000)
    return Clock()


def test_what_is_known_is_fresh(store: Store, clock: Clock) -> None:
    watch = Watch(store.database, clock)
    assert watch.of(store.tenant_id) is NOTHING
    register(store, EYES)
    clock.now += FRESH_SECONDS
    assert watch.of(store.tenant_id) is NOTHING
    clock.now += 0.01
    known = watch.of(store.tenant_id)
    assert [one.definition for one in known.entries] == [EYES]
    assert watch.of(store.tenant_id) is known
    store.within(lambda c: search_parameters.changed(c, store.tenant_id))
    watch.forget()
    again = watch.of(store.tenant_id)
    assert again.version > known.version
    assert again.generation == known.generation
    assert watch.of(store.tenant_id + 1_000_000) is NOTHING


def test_a_thread_asks_for_everybody(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parameter_watch, "POLL_SECONDS", 0.02)
    watch = Watch(store.database)
    assert watch.of(store.tenant_id) is NOTHING
    register(store, EYES)
    monkeypatch.setattr(watch, "_ask", pytest.fail)
    deadline = time.monotonic() + 5
    while watch.of(store.tenant_id) is NOTHING:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    version = watch.of(store.tenant_id).version
    monkeypatch.setattr(watch, "_now", pytest.fail)
    store.within(lambda c: search_parameters.changed(c, store.tenant_id))
    while watch.of(store.tenant_id).version == version:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_takes_no_connection_of_the_pool_and_ends_with_it(database: DatabaseUrls) -> None:
    pool = Database(database.app, 1, wait_seconds=0.5)
    pool.open()
    watch = Watch(pool)
    with pool.connection():
        assert watch.of(1_000_000_000) is NOTHING
    pool.close()
    deadline = time.monotonic() + 5
    while any(t.name == "search parameters" and t is watch._thread for t in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_lost_connection_is_replaced(store: Store, clock: Clock) -> None:
    watch = Watch(store.database, clock)
    watch.of(store.tenant_id)
    assert watch._connection is not None
    watch._connection.close()
    watch.forget()
    assert watch.of(store.tenant_id) is NOTHING


def test_without_a_database(clock: Clock) -> None:
    watch = Watch(Database("postgresql://nobody@127.0.0.1:1/none", 1), clock)
    with pytest.raises(Unavailable):
        watch.of(1)


def test_rows_of_another_generation_are_not_written(store: Store) -> None:
    def write(generation: int) -> str:
        rows = IndexRows(generation=generation)
        return store.put(Write("Basic", "a", "PUT", None, None, b"{}", rows)).status

    assert write(0) == "created"
    register(store, EYES)
    parameter_watch.watch(store.database).forget()
    with pytest.raises(ParametersChanged):
        write(0)
    with pytest.raises(ParametersChanged):
        store.create_many([Write("Basic", "b", "POST", 0, None, b"{}", IndexRows())], fresh=True)
    generation = parameter_watch.watch(store.database).of(store.tenant_id).generation
    assert write(generation) == "updated"
    assert store.put(Write("Basic", "a", "DELETE", None, None, None, IndexRows())).status == "deleted"
