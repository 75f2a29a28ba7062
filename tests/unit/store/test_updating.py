"""Many updates in one statement are the same as one after another. docs/architecture.md, "Rows" """

from __future__ import annotations

import time
from dataclasses import replace
from random import Random
from typing import Any

import psycopg
import pytest
from psycopg import sql

from fhir_server.crypto.hashing import Hasher
from fhir_server.store import tenants
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.index_rows import IndexRows, Words
from fhir_server.store.resources import Write
from fhir_server.store.session import Database
from fhir_server.store.store import Store
from fhir_server.store.tenants import Tenant
from tests.unit.store.test_many_rows import ROWS

TABLES = ("idx_token", "idx_reference", "idx_string", "idx_date", "idx_quantity", "idx_composite", "idx_word")
TYPES = ("Patient", "Encounter", "Observation")


@pytest.fixture
def store(app_database: Database, tenant: Tenant) -> Store:
    return Store(app_database, Hasher(b"k" * 32), tenant.id)


def some(random: Random, most: int = 6) -> list[int]:
    return random.sample(range(20), random.randrange(most))


def index_rows(random: Random, kind: str) -> IndexRows:
    """Rows of which some are the same as those of another call."""
    return IndexRows(
        tokens=some(random),
        params=some(random),
        references=[(n % 3, n) for n in some(random)],
        strings=[(n % 3, f"text {n}, 'quoted' {{}}", n) for n in some(random)],
        dates=[(n % 3, n, n + 1) for n in some(random)],
        quantities=[(n % 3, float(n), n + 0.5, n) for n in some(random)],
        composites=[(n, float(n), n + 0.5, f"v{n}") for n in some(random)],
        words=Words({(n, n % 3): 500 for n in some(random)}),
        patient=random.choice([None, 7]),
        date_low=random.choice([None, 3]),
        care=[(n, 7, 1, 0, 2**62) for n in some(random, 3)] if kind in ("Patient", "Encounter") else None,
    )


def state(connection: psycopg.Connection, rid: int) -> list[Any]:
    """All that is stored of a resource, but what tells it apart from others."""
    found: list[Any] = [
        connection.execute(
            "SELECT version, patient, date_low, date_high, deleted, method, tokens, params, meta, body FROM resource"
            " WHERE rid = %s",
            [rid],
        ).fetchone(),
        connection.execute(
            "SELECT version, method, deleted, meta, body FROM resource_history WHERE rid = %s ORDER BY version", [rid]
        ).fetchall(),
        sorted(
            connection.execute("SELECT person, patient, low, high, kind FROM care_relation WHERE source = %s", [rid])
        ),
    ]
    for table in TABLES:
        query = sql.SQL("SELECT to_jsonb(t) - 'rid' - 'tenant_id' FROM {} t WHERE rid = %s").format(
            sql.Identifier(table)
        )
        rows = connection.execute(query, [rid])
        found.append((table, sorted(str(row[0]) for row in rows)))
    return found


@pytest.mark.parametrize("seed", range(8))
def test_the_same_as_one_after_another(store: Store, seed: int) -> None:
    random = Random(seed)
    names = [(kind, str(number)) for kind in TYPES for number in range(4)]

    def writes(prefix: str, version: int) -> list[Write]:
        order = Random(seed * 100 + version)
        body = b'{"n":%d}' % version
        return [
            Write(kind, prefix + number, "PUT", version or None, b"{}", body, index_rows(order, kind))
            for kind, number in names
        ]

    for prefix in ("a", "b"):
        for one in writes(prefix, 0):
            assert store.put(one).status == "created"
    for version in (1, 2, 3):
        for one in writes("a", version):
            assert store.put(one).status == "updated"
        many = writes("b", version)
        random.shuffle(many)
        assert store.transaction(lambda inside, many=many: inside.update_many(many)) is not None  # type: ignore[misc]

    def compare(connection: psycopg.Connection) -> None:
        rids: dict[str, int] = dict(connection.execute("SELECT id || type_id, rid FROM resource").fetchall())
        pairs = [(rids[name], rids["b" + name[1:]]) for name in rids if name.startswith("a")]
        assert len(pairs) == len(names)
        for one, other in pairs:
            assert state(connection, one) == state(connection, other)

    store.within(compare)


def test_nothing_is_written_where_one_is_not_as_expected(store: Store) -> None:
    first = Write("Patient", "1", "PUT", None, None, b"{}", IndexRows(tokens=[1]))
    store.put(first)
    store.put(replace(first, id="2"))
    good = replace(first, expect=1, body=b'{"x":1}', rows=IndexRows(tokens=[2]))
    for bad in (replace(good, id="2", expect=2), replace(good, id="3"), replace(good, resource_type="Group", id="1")):
        assert store.transaction(lambda inside, bad=bad: inside.update_many([good, bad])) is None  # type: ignore[misc]
    store.put(replace(first, id="2", method="DELETE", body=None))
    gone = replace(good, id="2", expect=2)
    assert store.transaction(lambda inside: inside.update_many([good, gone])) is None
    stored = store.within(lambda c: c.execute("SELECT version, body::text FROM resource WHERE id = '1'").fetchone())
    assert stored == (1, "{}")


def test_time_never_runs_backwards(store: Store) -> None:
    first = Write("Patient", "1", "PUT", None, None, b"{}", IndexRows())
    store.put(first)
    store.within(lambda c: c.execute("UPDATE resource SET last_updated = last_updated + 60000000"))
    before = store.within(lambda c: c.execute("SELECT last_updated FROM resource").fetchone())
    assert store.transaction(lambda inside: inside.update_many([replace(first, expect=1)])) is not None
    assert store.within(lambda c: c.execute("SELECT last_updated FROM resource").fetchone()) == before


@pytest.mark.parametrize("table", ["idx_reference", "idx_word"])
def test_very_many_rows_take_time_in_proportion(fresh_database: DatabaseUrls, table: str) -> None:
    """Comparing all with all takes half a minute and more, which PostgreSQL chose among many small resources."""
    assert fresh_database.owner is not None
    owner = psycopg.connect(fresh_database.owner, autocommit=True)
    tenant = tenants.create(owner, "clinic")
    database = Database(fresh_database.app, 2)
    database.open()
    store = Store(database, Hasher(b"k" * 32), tenant.id)
    few = [Write("Patient", f"few{n}", "POST", None, None, b"{}", ROWS[table](range(n, n + 10))) for n in range(3_000)]
    store.create_many(few, fresh=True)
    owner.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(table)))
    many = [Write("Patient", str(number), "PUT", None, None, b"{}", ROWS[table](range(20_000))) for number in range(2)]
    for one in many:
        store.put(one)
    more = [replace(one, expect=1, rows=ROWS[table](range(10_000, 30_000))) for one in many]
    begun = time.monotonic()
    assert store.transaction(lambda inside: inside.update_many(more)) is not None
    assert time.monotonic() - begun < 10
    database.close()
    owner.close()
