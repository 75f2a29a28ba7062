"""Resources by identifier and by name, many in one statement. https://hl7.org/fhir/R4/datatypes.html#Identifier"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from fhir_server.access.conditions import About
from fhir_server.access.policy import EVERYTHING, Access, Rule
from fhir_server.crypto.hashing import Hasher
from fhir_server.r4 import json
from fhir_server.search.index import extract
from fhir_server.store import hl7_lineage, identified
from fhir_server.store.identified import Found, Wanted
from fhir_server.store.index_rows import IndexRows
from fhir_server.store.resources import Write
from fhir_server.store.session import Database
from fhir_server.store.store import Store
from fhir_server.store.tenants import Tenant

HASHER = Hasher(b"a key for tests of identifiers")
Find = Callable[..., list[list[str]]]


@pytest.fixture
def store(app_database: Database, tenant: Tenant) -> Store:
    return Store(app_database, HASHER, tenant.id)


def put(store: Store, resource_type: str, resource_id: str, *values: str, system: str = "urn:s") -> None:
    body = {"identifier": [{"system": system, "value": value} for value in values]}
    rows = extract({"resourceType": resource_type, **body}, HASHER)
    if resource_type == "Patient":
        rows.patient = HASHER.uncached(f"Patient/{resource_id}")
    written = store.put(Write(resource_type, resource_id, "PUT", None, None, json.dumps(body), rows))
    assert written.status in ("created", "updated")


@pytest.fixture
def find(store: Store) -> Find:
    def run(*many: Wanted, access: Access = EVERYTHING) -> list[list[str]]:
        found = store.transaction(lambda s: s.within(lambda c: identified.find(c, s.tenant_id, HASHER, access, many)))
        return [[one.id for one in each] for each in found]

    return run


def test_each_is_found_by_what_it_is_asked_by(store: Store, find: Find) -> None:
    put(store, "Patient", "a", "1", "2")
    put(store, "Patient", "b", "2")
    put(store, "Practitioner", "c", "1")
    asked = [
        Wanted("Patient", "urn:s", "1"),
        Wanted("Patient", "urn:s", "2", locked=False),
        Wanted("Patient", "urn:other", "1"),
        Wanted("Practitioner", "urn:s", "1", locked=False),
        Wanted("Patient", None, "b"),
        Wanted("Practitioner", None, "b"),
        Wanted("Patient", "urn:s", "1", locked=False),
    ]
    assert find(*asked) == [["a"], ["a", "b"], [], ["c"], ["b"], [], ["a"]]
    assert find() == []


def test_what_is_deleted_is_found_by_its_name_only(app_database: Database, store: Store) -> None:
    put(store, "Patient", "a", "1")
    store.put(Write("Patient", "a", "DELETE", None, None, None, IndexRows()))

    def work(connection: psycopg.Connection) -> list[list[Found]]:
        wanted = [Wanted("Patient", "urn:s", "1"), Wanted("Patient", None, "a")]
        return identified.find(connection, store.tenant_id, HASHER, EVERYTHING, wanted)

    none, (deleted,) = app_database.transaction(store.tenant_id, work)
    assert none == []
    assert (deleted.deleted, deleted.version, deleted.body, deleted.meta) == (True, 2, None, None)


def test_another_tenant_has_others(store: Store, find: Find, new_tenant: Callable[[], Tenant]) -> None:
    other = Store(store.database, HASHER, new_tenant().id)
    put(other, "Patient", "a", "1")
    assert find(Wanted("Patient", "urn:s", "1"), Wanted("Patient", None, "a")) == [[], []]


def test_nothing_out_of_reach_is_found(store: Store, find: Find) -> None:
    put(store, "Patient", "a", "1")
    put(store, "Patient", "b", "1")
    reach = Access((Rule(frozenset({"Patient"}), (About("Patient/b"),)),))
    wanted = [Wanted("Patient", "urn:s", "1"), Wanted("Patient", None, "a", locked=False), Wanted("Patient", None, "b")]
    assert find(*wanted, access=reach) == [["b"], [], ["b"]]


@pytest.mark.parametrize("locked", [True, False])
def test_what_is_locked_is_seen_as_others_have_left_it(store: Store, locked: bool) -> None:
    put(store, "Patient", "a", "1")
    seen: list[Any] = []

    def look() -> None:
        wanted = [Wanted("Patient", "urn:s", "1", locked=locked)]
        seen.extend(
            store.transaction(
                lambda s: s.within(lambda c: identified.find(c, s.tenant_id, HASHER, EVERYTHING, wanted))
            )[0]
        )

    def work(inner: Store) -> None:
        put(inner, "Patient", "a", "1", "2")
        thread = threading.Thread(target=look)
        thread.start()
        thread.join(0.15)
        assert thread.is_alive() == locked
        waiting.append(thread)

    waiting: list[threading.Thread] = []
    store.transaction(work)
    waiting[0].join()
    assert [one.version for one in seen] == [2 if locked else 1]


def test_lineage_is_kept_replaced_and_taken_away(app_database: Database, tenant: Tenant) -> None:
    def keep(many: dict[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
        def work(connection: psycopg.Connection) -> dict[int, dict[str, Any]]:
            hl7_lineage.keep(connection, tenant.id, {key: json.dumps(one) for key, one in many.items()})
            found = hl7_lineage.load(connection, tenant.id, [1, -2, 3])
            return {key: json.parse(one) for key, one in found.items()}

        return app_database.transaction(tenant.id, work)

    one = {"birthDate": {"PID-7": {"m": 1, "v": "m1", "s": [["ab", {"": 'PID-7 "\\'}]]}}}
    assert keep({1: one, -2: {"a": {}}, 5: one}) == {1: one, -2: {"a": {}}}
    assert keep({1: {"b": {}}, -2: {}, 3: {}}) == {1: {"b": {}}}
    assert keep({}) == {1: {"b": {}}}
    assert app_database.transaction(tenant.id, lambda c: hl7_lineage.load(c, tenant.id, [])) == {}
