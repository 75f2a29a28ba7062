"""The store as interactions see it: one tenant's resources, alone or inside a transaction. docs/architecture.md,
"Rows" """

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import psycopg
from psycopg import pq

from fhir_server.access.policy import Access
from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import BadRequest
from fhir_server.store import history, locks, resources, searching
from fhir_server.store.resources import Stored, Write, Written
from fhir_server.store.session import Database

T = TypeVar("T")


class Store:
    """The resources of one tenant.

    Outside a transaction each call is one round trip and one transaction of its own. Inside `transaction` every call
    works on the same connection. Every read takes an Access and yields nothing that it does not reach.
    """

    __slots__ = ("_connection", "_database", "hasher", "tenant_id")

    def __init__(
        self, database: Database, hasher: Hasher, tenant_id: int, connection: psycopg.Connection | None = None
    ) -> None:
        self._database = database
        self._connection = connection
        self.hasher = hasher
        self.tenant_id = tenant_id

    @property
    def in_transaction(self) -> bool:
        """True inside `transaction`."""
        return self._connection is not None

    def transaction(self, work: Callable[[Store], T]) -> T:
        """Run work on a Store whose calls are all one transaction; repeated if it lost against a parallel one.

        Inside a transaction it joins that one. Raises Unavailable or Conflict.
        """
        if self._connection is not None:
            return work(self)
        return self._database.transaction(
            self.tenant_id, lambda c: work(Store(self._database, self.hasher, self.tenant_id, c))
        )

    def _run(self, work: Callable[[psycopg.Connection], T], *, read_only: bool = False) -> T:
        if self._connection is not None:
            return work(self._connection)
        return self._database.run(work, read_only=read_only)

    def read(self, access: Access, resource_type: str, resource_id: str) -> Stored | None:
        """The current version, a tombstone included; None if there is none within reach."""
        return self._run(
            lambda c: resources.read(c, self.tenant_id, access, self.hasher, resource_type, resource_id), read_only=True
        )

    def vread(self, access: Access, resource_type: str, resource_id: str, version: int) -> Stored | None:
        """One version; None if there is none within reach."""
        return self._run(
            lambda c: resources.vread(c, self.tenant_id, access, self.hasher, resource_type, resource_id, version),
            read_only=True,
        )

    def put(self, write: Write) -> Written:
        """Write one version of a resource. Raises ValueError never; see `Written` for what may not be written."""
        return self._run(lambda c: resources.put(c, self.tenant_id, self.hasher, write))

    def create_many(self, writes: Sequence[Write], *, fresh: bool) -> tuple[list[int], int]:
        """Create resources in one statement; see resources.create_many."""
        return self._run(lambda c: resources.create_many(c, self.tenant_id, self.hasher, writes, fresh=fresh))

    def search(self, sql: str, values: Sequence[object]) -> pq.abc.PGresult:
        """Run a compiled search: ``sql`` with $1, $2 ... and its values, planned for these values, in one round
        trip."""
        return self._run(lambda c: searching.run_search(c, self.tenant_id, sql, values), read_only=True)

    def present_types(self) -> frozenset[str]:
        """The resource types of which the tenant has any resource."""
        return self._run(lambda c: searching.present_types(c, self.tenant_id), read_only=True)

    def history(self, access: Access, scope: history.Scope, page: history.Page) -> list[history.Version]:
        """A page of versions, newest first. See store/history.py."""
        return self._run(lambda c: history.fetch(c, self.tenant_id, access, self.hasher, scope, page), read_only=True)

    def lock(self, *texts: str) -> None:
        """Hold locks on these texts, tenant by tenant, until the transaction ends.

        Raises BadRequest outside a transaction, where a lock would protect nothing.
        """
        if self._connection is None:
            raise BadRequest("locks are held by transactions only")
        locks.hold(self._connection, self.tenant_id, self.hasher, texts)
