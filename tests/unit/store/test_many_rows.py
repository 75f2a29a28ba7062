"""Writing a resource of very many index rows takes time in proportion, whatever the planner believes of the tables.
docs/decisions/0002-plans-of-writes.md"""

from __future__ import annotations

import time
from collections.abc import Callable

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

MANY = 40_000

ROWS: dict[str, Callable[[range], IndexRows]] = {
    "idx_token": lambda numbers: IndexRows(tokens=list(numbers)),
    "idx_reference": lambda numbers: IndexRows(references=[(7, n) for n in numbers]),
    "idx_string": lambda numbers: IndexRows(strings=[(7, f"text{n}", n) for n in numbers]),
    "idx_date": lambda numbers: IndexRows(dates=[(7, n, n + 1) for n in numbers]),
    "idx_quantity": lambda numbers: IndexRows(quantities=[(7, float(n), n + 1.0, 3) for n in numbers]),
    "idx_composite": lambda numbers: IndexRows(composites=[(n, float(n), n + 1.0, "") for n in numbers]),
    "idx_word": lambda numbers: IndexRows(words=Words({(n, 7): 500 for n in numbers})),
}


def write(method: str, rows: IndexRows) -> Write:
    body = None if method == "DELETE" else b"{}"
    return Write("Patient", "many", method, None, None, body, rows)


@pytest.mark.parametrize("analysed", ["never", "empty", "full"])
@pytest.mark.parametrize("table", ROWS)
def test_updates_and_deletes_are_linear(fresh_database: DatabaseUrls, table: str, analysed: str) -> None:
    """Comparing all with all takes half a minute and more."""
    assert fresh_database.owner is not None
    owner = psycopg.connect(fresh_database.owner, autocommit=True)
    tenant = tenants.create(owner, "clinic")
    database = Database(fresh_database.app, 2)
    database.open()
    store = Store(database, Hasher(b"k" * 32), tenant.id)
    analyse = sql.SQL("ANALYZE {}").format(sql.Identifier(table))
    if analysed == "empty":
        owner.execute(analyse)
    steps = (
        write("PUT", ROWS[table](range(MANY))),
        write("PUT", ROWS[table](range(MANY // 2, MANY + MANY // 2))),
        write("DELETE", IndexRows()),
    )
    for step, count in zip(steps, (MANY, MANY, 0), strict=True):
        begun = time.monotonic()
        assert store.put(step).status in ("created", "updated", "deleted")
        assert time.monotonic() - begun < 10
        if analysed == "full":
            owner.execute(analyse)
        with database.connection() as connection, connection.transaction():
            connection.execute("SELECT set_config('fhir.tenant', %s, true)", [str(tenant.id)])
            counting = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
            assert connection.execute(counting).fetchone() == (count,)
    database.close()
    owner.close()
