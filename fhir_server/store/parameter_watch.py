"""Which search parameters each tenant has of its own, as every process knows it. docs/search-parameters.md

A thread of its own asks once in POLL_SECONDS, for all tenants together, whether anything has changed, so that requests
do not. What is known is never older than FRESH_SECONDS: whoever finds it so asks at once. The builds of indexes rely on
that, see store/reindex_runs.py.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from weakref import WeakKeyDictionary

import psycopg

from fhir_server.errors import Unavailable
from fhir_server.store import reindex_runs, search_parameters
from fhir_server.store.reindex_runs import FRESH_SECONDS
from fhir_server.store.search_parameters import Entry
from fhir_server.store.session import UNAVAILABLE, Database

T = TypeVar("T")

POLL_SECONDS = 0.5

_NEVER = -1_000.0


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Known:
    """What a tenant has of its own, as of a ``version``; ``generation`` numbers what is indexed.

    ``upgrading`` says that the index is being brought up to date after an upgrade.
    """

    version: int
    generation: int
    entries: tuple[Entry, ...]
    upgrading: bool = False


NOTHING = Known(0, 0, ())


class Watch:
    """What is known of the tenants of one database, for the life of the process."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._versions: dict[int, int] = {}
        self._seen = _NEVER
        self._known: dict[int, Known] = {}
        self._thread: threading.Thread | None = None
        # Never one of the pool's: a request that holds the last of those may have to ask.
        self._connection: psycopg.Connection | None = None

    def of(self, tenant_id: int) -> Known:
        """What a tenant has, as it was FRESH_SECONDS ago or later. Raises Unavailable."""
        if self._clock() - self._seen > FRESH_SECONDS:
            self._ask()
        version = self._versions.get(tenant_id)
        if version is None:
            return NOTHING
        known = self._known.get(tenant_id)
        if known is None or known.version < version:
            with self._lock:
                known = self._now(lambda c: self._load(c, tenant_id, version))
        return known

    def forget(self) -> None:
        """Ask anew before anything is answered: something has been changed here."""
        self._seen = _NEVER

    def _ask(self) -> None:
        with self._lock:
            if self._clock() - self._seen <= FRESH_SECONDS:
                return
            self._now(self._look)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._poll, name="search parameters", daemon=True)
                self._thread.start()

    def _now(self, work: Callable[[psycopg.Connection], T]) -> T:
        """Work that a request waits for, over a new connection where the old one is lost. Raises Unavailable."""
        try:
            try:
                return self._run(work)
            except psycopg.OperationalError:
                return self._run(work)
        except psycopg.Error:
            raise Unavailable(UNAVAILABLE, headers=[("Retry-After", "5")]) from None

    def _run(self, work: Callable[[psycopg.Connection], T]) -> T:
        """Work on the connection, which is given up where it fails; under the lock."""
        if self._connection is None:
            self._connection = self._database.connect_apart()
        try:
            return work(self._connection)
        except psycopg.Error:
            self._connection.close()
            self._connection = None
            raise

    def _look(self, connection: psycopg.Connection) -> None:
        asked = self._clock()
        versions = search_parameters.versions(connection)
        # Load what has changed of the tenants that this process serves, so that no request has to.
        for tenant_id, known in list(self._known.items()):
            if versions.get(tenant_id, 0) > known.version:
                self._load(connection, tenant_id, versions[tenant_id])
        # In this order: whoever reads the time must find versions at least as new.
        self._versions = versions
        self._seen = asked

    def _load(self, connection: psycopg.Connection, tenant_id: int, version: int) -> Known:
        with connection.transaction():
            connection.execute("SELECT set_config('fhir.tenant', %s, true)", [str(tenant_id)])
            generation, entries = search_parameters.entries(connection, tenant_id)
            upgrading = reindex_runs.is_upgrading(connection, tenant_id)
        known = self._known[tenant_id] = Known(version, generation, tuple(entries), upgrading)
        return known

    def _poll(self) -> None:
        """Keep what is known fresh for as long as the database is open."""
        while not self._database.closed.wait(POLL_SECONDS):
            # Where it fails, requests ask themselves, and tell their clients what they find.
            with self._lock, contextlib.suppress(psycopg.Error):
                self._run(self._look)
        with self._lock:
            if self._connection is not None:
                self._connection.close()


_WATCHES: WeakKeyDictionary[Database, Watch] = WeakKeyDictionary()
_MAKING = threading.Lock()


def watch(database: Database) -> Watch:
    """What this process knows of the tenants of a database."""
    found = _WATCHES.get(database)
    if found is None:
        with _MAKING:
            found = _WATCHES.get(database)
            if found is None:
                found = _WATCHES[database] = Watch(database)
    return found
