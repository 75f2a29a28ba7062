"""A store over the shared database, as the application's role."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fhir_server.crypto.hashing import Hasher
from fhir_server.store import directory
from fhir_server.store.session import Database
from fhir_server.store.store import Store
from fhir_server.store.tenants import Tenant


@pytest.fixture(scope="session")
def hasher(app_database: Database) -> Hasher:
    """The hasher of the deployment."""
    return Hasher(directory.hash_key(app_database))


@pytest.fixture
def new_store(app_database: Database, hasher: Hasher, new_tenant: Callable[[], Tenant]) -> Callable[[], Store]:
    """A function that makes the store of a fresh tenant."""
    return lambda: Store(app_database, hasher, new_tenant().id)


@pytest.fixture
def store(new_store: Callable[[], Store]) -> Store:
    """The store of a fresh tenant."""
    return new_store()
