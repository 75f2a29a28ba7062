"""A tenant for the tests of each parameter type."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.tenants import Tenant
from tests.unit.search.searching import Searching


@pytest.fixture
def searching(database: DatabaseUrls, tenant: Tenant) -> Iterator[Searching]:
    """A fresh tenant, as the application's role sees it."""
    with psycopg.connect(database.app, autocommit=True) as connection:
        yield Searching(connection, tenant.id)
