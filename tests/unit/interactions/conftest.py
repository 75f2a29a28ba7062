"""Interactions over a real PostgreSQL, without HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from fhir_server.access.policy import EVERYTHING
from fhir_server.access.principal import Principal
from fhir_server.access.scopes import parse
from fhir_server.crypto.hashing import Hasher
from fhir_server.interactions.context import Context
from fhir_server.interactions.context import Tenant as Clinic
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.session import Database
from fhir_server.store.store import Store
from fhir_server.store.tenants import Tenant

BASE = "http://localhost/t/clinic/fhir"


@pytest.fixture(scope="session")
def pool(database: DatabaseUrls) -> Iterator[Database]:
    """The pool of a web process."""
    made = Database(database.app, 8)
    made.open()
    yield made
    made.close()


@pytest.fixture
def store(pool: Database, tenant: Tenant) -> Store:
    """The store of a fresh tenant."""
    return Store(pool, Hasher(b"a key for tests of interactions"), tenant.id)


@pytest.fixture
def context(store: Store) -> Callable[..., Context]:
    """A function that makes a context with full access or a given scope."""

    def make(scope: str = "system/*.cruds") -> Context:
        principal = Principal("clinic", "tester", "tests", parse(scope))
        return Context(Clinic(store.tenant_id, "clinic"), principal, EVERYTHING, store, BASE)

    return make
