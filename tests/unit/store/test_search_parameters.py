"""Tenants' own search parameters change with the transaction that says so, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from fhir_server.errors import Conflict
from fhir_server.store import reindex_runs, search_parameters, tenants
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.parameter_definition import Definition
from fhir_server.store.search_parameters import Entry
from fhir_server.store.store import Store

EYES = Definition("eyes", "token", "urn:eyes", "Patient.gender", ("Patient", "Person"), ("Group",), (("urn:a", "b"),))


def register(store: Store, definition: Definition | None, name: str = "eyes", *, shared: bool = False) -> bool:
    return store.within(lambda c: search_parameters.register(c, store.tenant_id, name, definition, shared=shared))


def entry(store: Store, name: str = "eyes") -> Entry | None:
    return store.within(lambda c: search_parameters.find(c, store.tenant_id, name))


def generation(store: Store) -> int:
    return store.within(lambda c: search_parameters.entries(c, store.tenant_id))[0]


def jobs(store: Store, run: str) -> list[int]:
    rows = store.within(
        lambda c: c.execute(
            "SELECT (args->>'tenant_id')::int FROM procrastinate_jobs WHERE args->>'run' = %s", [run]
        ).fetchall()
    )
    return [tenant_id for (tenant_id,) in rows]


def test_one_that_is_new_is_built(store: Store) -> None:
    assert register(store, EYES)
    found = entry(store)
    assert found is not None
    assert (found.definition, found.state, found.shared, found.error) == (EYES, "building", False, "")
    run = store.within(lambda c: reindex_runs.find(c, store.tenant_id, found.run))
    assert run is not None
    assert (run.state, run.types, run.reason) == ("waiting", ["Patient", "Person"], "parameter")
    assert timedelta(seconds=3) < run.ready - run.now <= timedelta(seconds=2 * reindex_runs.FRESH_SECONDS)
    assert jobs(store, found.run) == [store.tenant_id]


def test_nothing_of_it_stays_where_the_transaction_fails(store: Store) -> None:
    def work(connection: psycopg.Connection) -> None:
        search_parameters.register(connection, store.tenant_id, "eyes", EYES)
        raise LookupError

    before = store.within(lambda c: c.execute("SELECT count(*) FROM procrastinate_jobs").fetchone())
    with pytest.raises(LookupError):
        store.within(work)
    assert entry(store) is None
    assert generation(store) == 0
    assert store.within(lambda c: c.execute("SELECT count(*) FROM procrastinate_jobs").fetchone()) == before


def test_the_same_again_changes_nothing_unless_it_failed(store: Store) -> None:
    register(store, EYES)
    first, before = entry(store), generation(store)
    assert first is not None
    assert not register(store, EYES)
    assert (entry(store), generation(store)) == (first, before)
    store.within(lambda c: search_parameters.settle(c, store.tenant_id, first.run, "too odd"))
    failed = entry(store)
    assert failed is not None
    assert (failed.state, failed.error) == ("failed", "too odd")
    assert generation(store) > before
    assert register(store, EYES)
    again = entry(store)
    assert again is not None
    assert (again.state, again.error) == ("building", "")
    assert again.run != first.run


def test_another_definition_supersedes(store: Store) -> None:
    register(store, EYES)
    first = entry(store)
    assert first is not None
    assert register(store, replace(EYES, types=("Group",)))
    second = entry(store)
    assert second is not None
    old, new = (
        store.within(lambda c, run=run: reindex_runs.find(c, store.tenant_id, run))  # type: ignore[misc]
        for run in (first.run, second.run)
    )
    assert old is not None
    assert new is not None
    assert (old.state, new.state) == ("superseded", "waiting")
    # The rows of the types that it is for no more are to go.
    assert new.types == ["Group", "Patient", "Person"]
    # The end of the old run says nothing of the new one.
    store.within(lambda c: search_parameters.settle(c, store.tenant_id, first.run, ""))
    assert entry(store) == second


def test_out_of_use(store: Store) -> None:
    assert not register(store, None)
    register(store, EYES)
    first = entry(store)
    assert first is not None
    store.within(lambda c: search_parameters.settle(c, store.tenant_id, first.run, ""))
    active = entry(store)
    assert active is not None
    assert active.state == "active"
    before = generation(store)
    assert register(store, None)
    assert not register(store, None)
    retired = entry(store)
    assert retired is not None
    assert retired.state == "retired"
    assert generation(store) > before
    assert store.within(lambda c: search_parameters.entries(c, store.tenant_id))[1] == []
    store.within(lambda c: search_parameters.settle(c, store.tenant_id, retired.run, ""))
    assert entry(store) is None


def test_codes_are_taken_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    register(store, EYES)
    with pytest.raises(Conflict, match="SearchParameter/eyes"):
        register(store, replace(EYES, types=("Person",)), "other")
    register(store, replace(EYES, types=("Group",)), "other")
    with pytest.raises(Conflict, match="SearchParameter/other"):
        register(store, replace(EYES, types=("Group",)), "shared", shared=True)
    monkeypatch.setattr(search_parameters, "MOST", 2)
    with pytest.raises(Conflict, match="There are 2 search parameters already"):
        register(store, replace(EYES, code="third"), "third")
    register(store, None)
    register(store, replace(EYES, code="third"), "third")


def test_tenants_to_come_have_the_shared_ones(fresh_database: DatabaseUrls) -> None:
    with psycopg.connect(str(fresh_database.owner), autocommit=True) as owner:
        tenants.create(owner, "before")
        search_parameters.install(owner, "eyes", EYES)
        assert search_parameters.shared(owner) == {"eyes": EYES}
        tenant = tenants.create(owner, "after")
        search_parameters.install(owner, "eyes", None)
        assert search_parameters.shared(owner) == {}
        last = tenants.create(owner, "last")
    with psycopg.connect(fresh_database.app) as connection:
        assert list(search_parameters.versions(connection)) == [tenant.id]
        for tenant_id, expected in ((tenant.id, [(EYES, "building", True)]), (last.id, [])):
            connection.execute("SELECT set_config('fhir.tenant', %s, true)", [str(tenant_id)])
            found = search_parameters.entries(connection, tenant_id)[1]
            assert [(one.definition, one.state, one.shared) for one in found] == expected


def test_runs_that_are_left_behind(new_store: Callable[[], Store]) -> None:
    store = new_store()
    run = store.within(lambda c: reindex_runs.request(c, store.tenant_id, ["Patient"]))
    assert store.tenant_id in store.within(reindex_runs.tenants_with_work)

    def left(seconds: int) -> list[str]:
        return store.within(lambda c: reindex_runs.left_behind(c, store.tenant_id, seconds))

    assert left(0) == []
    store.within(lambda c: c.execute("DELETE FROM procrastinate_jobs WHERE args->>'run' = %s", [run]))
    assert left(0) == [run]
    assert left(60) == []
    store.within(lambda c: reindex_runs.move(c, store.tenant_id, run, "waiting", "failed", "no"))
    assert left(0) == []


def test_the_end_is_told_ahead(store: Store) -> None:
    run = store.within(lambda c: reindex_runs.request(c, store.tenant_id, ["Patient"]))
    found = store.within(lambda c: reindex_runs.find(c, store.tenant_id, run))
    assert found is not None
    assert found.eta is None
    begun = replace(found, state="building", started=found.now - timedelta(seconds=30), done=300, total=1_000)
    assert begun.eta == found.now + timedelta(seconds=70)
    assert replace(begun, state="finished").eta is None
    assert replace(begun, done=1_200).eta == found.now
