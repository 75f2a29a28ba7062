"""A trail over the shared database, as a web process has it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_server.audit import event as events
from fhir_server.audit.event import Event
from fhir_server.audit.trail import Trail
from fhir_server.crypto.hashing import Hasher
from fhir_server.store import directory
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant

_moments = itertools.count(1_700_000_000_000_000, 1_000)


@pytest.fixture(scope="session")
def app_database(database: DatabaseUrls) -> Iterator[Database]:
    """The pool of a web process."""
    pool = Database(database.app, 4)
    pool.open()
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def hasher(app_database: Database) -> Hasher:
    """The hasher of the deployment."""
    return Hasher(directory.hash_key(app_database))


@pytest.fixture
def trail(app_database: Database, hasher: Hasher, tmp_path: Path) -> Trail:
    """A trail whose thread does not run: a test says when events move."""
    return Trail(tmp_path / "audit", app_database, hasher)


@pytest.fixture
def make(tenant: Tenant) -> Callable[..., Event]:
    """A function that makes an event of the tenant, each a millisecond after the one before."""

    def one(**fields: Any) -> Event:
        at = next(_moments)
        given: dict[str, Any] = {
            "id": events.new_id(at),
            "tenant_id": tenant.id,
            "at": at,
            "kind": "read",
            "status": 200,
        }
        return Event(**(given | fields))

    return one
