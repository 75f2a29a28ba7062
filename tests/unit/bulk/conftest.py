"""A loading session over the shared database, without processes around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from fhir_server.bulk.session import Session
from fhir_server.bulk.work import Settled
from fhir_server.crypto.hashing import Hasher
from fhir_server.store import directory
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant

LIMIT = 1 << 20


@pytest.fixture(scope="session")
def app_database(database: DatabaseUrls) -> Iterator[Database]:
    """The one connection of a loading process."""
    pool = Database(database.app, 1)
    pool.open()
    yield pool
    pool.close()


@pytest.fixture
def new_session(app_database: Database, tenant: Tenant, database: DatabaseUrls) -> Callable[..., Session]:
    """A function that makes a session of one tenant; ``again`` as in Settled."""
    hasher = Hasher(directory.hash_key(app_database))

    def make(again: bool = False) -> Session:
        base_url = f"http://localhost/t/{tenant.slug}/fhir"
        return Session(Settled(database.app, tenant.id, tenant.slug, base_url, LIMIT, again), app_database, hasher)

    return make


@pytest.fixture
def session(new_session: Callable[..., Session]) -> Session:
    """A session of a fresh tenant."""
    return new_session()


@pytest.fixture
def rows(app_database: Database, tenant: Tenant) -> Callable[[str], int]:
    """A function that counts the tenant's rows of a table."""

    def count(table: str) -> int:
        def work(connection: psycopg.Connection) -> int:
            row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - names of tests' own
            assert row is not None
            return int(row[0])

        return app_database.transaction(tenant.id, work)

    return count
