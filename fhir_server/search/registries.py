"""Which search parameters each tenant has, as every process knows it. docs/search-parameters.md

A thread of its own asks once in POLL_SECONDS, for all tenants together, whether anything has changed, so that requests
do not. What is known is never older than FRESH_SECONDS: whoever finds it so asks at once. The builds of indexes rely on
that, see store/reindex_runs.py.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import psycopg

from fhir_server.crypto.hashing import param_id
from fhir_server.r4.definitions import Component
from fhir_server.search.paths import Unsupported, paths
from fhir_server.search.registry import STANDARD, Parameter, Registry
from fhir_server.store import search_parameters
from fhir_server.store.reindex_runs import FRESH_SECONDS
from fhir_server.store.search_parameters import Entry
from fhir_server.store.session import Database
from fhir_server.store.store import Store

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5

_MADE: WeakKeyDictionary[Database, Registries] = WeakKeyDictionary()
_MAKING = threading.Lock()


def registry_of(store: Store) -> Registry:
    """The search parameters of a store's tenant. Raises Unavailable where the database cannot be asked."""
    return registries(store.database).of(store.tenant_id)


def registries(database: Database) -> Registries:
    """What this process knows of the tenants of a database."""
    found = _MADE.get(database)
    if found is None:
        with _MAKING:
            found = _MADE.get(database)
            if found is None:
                found = _MADE[database] = Registries(database)
                database.generation_of = found.generation_of
                database.forget_generations = found.forget
    return found


@dataclass(frozen=True, slots=True)
class _Known:
    version: int
    registry: Registry


class Registries:
    """The registries of the tenants of one database, for the life of the process."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._versions: dict[int, int] = {}
        self._seen = -1_000.0
        self._known: dict[int, _Known] = {}
        self._thread: threading.Thread | None = None

    def of(self, tenant_id: int) -> Registry:
        """The parameters of a tenant, as they were FRESH_SECONDS ago or later. Raises Unavailable."""
        if self._clock() - self._seen > FRESH_SECONDS:
            self._ask()
        version = self._versions.get(tenant_id)
        if version is None:
            return STANDARD
        known = self._known.get(tenant_id)
        if known is None or known.version < version:
            known = self._load(tenant_id, version)
        return known.registry

    def generation_of(self, tenant_id: int) -> int:
        """The generation of what the tenant's index holds. Raises Unavailable."""
        return self.of(tenant_id).generation

    def forget(self) -> None:
        """Ask anew before anything is answered: something has been changed here."""
        self._seen = -1_000.0

    def _ask(self) -> None:
        with self._lock:
            if self._clock() - self._seen <= FRESH_SECONDS:
                return
            self._take(self._clock(), self._database.run(search_parameters.versions, read_only=True))
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._poll, name="search parameters", daemon=True)
            self._thread.start()

    def _take(self, asked: float, versions: dict[int, int]) -> None:
        # In this order: whoever reads the time must find versions at least as new.
        self._versions = versions
        self._seen = asked

    def _load(self, tenant_id: int, version: int) -> _Known:
        generation, entries = self._database.transaction(tenant_id, lambda c: search_parameters.entries(c, tenant_id))
        return self._keep(tenant_id, version, generation, entries)

    def _refresh(self, connection: psycopg.Connection, versions: dict[int, int]) -> None:
        """Load what has changed of the tenants that this process serves, so that no request has to."""
        for tenant_id, known in list(self._known.items()):
            version = versions.get(tenant_id, 0)
            if version > known.version:
                with connection.transaction():
                    connection.execute("SELECT set_config('fhir.tenant', %s, true)", [str(tenant_id)])
                    self._keep(tenant_id, version, *search_parameters.entries(connection, tenant_id))

    def _keep(self, tenant_id: int, version: int, generation: int, entries: list[Entry]) -> _Known:
        known = _Known(version, Registry(tuple(one for e in entries for one in parameters_of(e)), generation))
        self._known[tenant_id] = known
        return known

    def _poll(self) -> None:
        """Keep what is known fresh, over a connection of its own, for as long as the database is open."""
        connection: psycopg.Connection | None = None
        while not self._database.closed.wait(POLL_SECONDS):
            try:
                if connection is None:
                    connection = self._database.connect_apart()
                asked = self._clock()
                versions = search_parameters.versions(connection)
                self._refresh(connection, versions)
                self._take(asked, versions)
            except psycopg.Error:
                # Requests ask themselves meanwhile, and tell their clients what they find.
                if connection is not None:
                    connection.close()
                connection = None
        if connection is not None:
            connection.close()


def parameters_of(entry: Entry) -> list[Parameter]:
    """The parameter of each resource type that an entry is for, with its status in words for people."""
    definition = entry.definition
    components = tuple(Component(url, expression) for url, expression in definition.components)
    return [
        Parameter(
            resource_type,
            definition.code,
            definition.type,
            param_id(f"{resource_type}.{definition.code}"),
            definition.url,
            definition.expression,
            definition.targets,
            components,
            _status(entry, resource_type),
        )
        for resource_type in definition.types
    ]


def _status(entry: Entry, resource_type: str) -> str:
    try:
        paths(entry.definition.expression, resource_type)
    except (Unsupported, ValueError) as error:
        # It was accepted by another version of this server; better refused than half indexed.
        log.error("search parameter cannot be compiled any more", extra={"code": entry.definition.code})
        return f"failed: {error}"
    if entry.state == "active":
        return "active"
    if entry.state == "failed":
        return f"failed: {entry.error}"
    if not entry.total:
        return "building, about to begin"
    return f"building, {min(100 * entry.done // entry.total, 100)} % of {entry.total:,} resources"
