"""The store as interactions see it: one tenant's resources, alone or inside a transaction. docs/architecture.md,
"Rows" """

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import psycopg
from psycopg import pq

from fhir_server.access.policy import Access
from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import BadRequest
from fhir_server.store import facts, history, locks, own_parameters, reading, resources, searching, updating
from fhir_server.store.facts import RowFacts
from fhir_server.store.index_rows import IndexRows
from fhir_server.store.resources import Stored, Write, Written
from fhir_server.store.session import Database, Ending
from fhir_server.store.wire import Asked, run_together

T = TypeVar("T")


class Store:
    """The resources of one tenant.

    Outside a transaction each call is one round trip and one transaction of its own. Inside `transaction` every call
    works on the same connection. Every read takes an Access and yields nothing that it does not reach.

    ``full_text`` says whether the words of resources are written and searched: FULL_TEXT in docs/settings.md.
    ``search_timeout_ms`` is how many milliseconds one statement of a search may take; 0 leaves it to the connection.
    """

    __slots__ = ("_connection", "_consents", "_database", "full_text", "hasher", "search_timeout_ms", "tenant_id")

    def __init__(
        self,
        database: Database,
        hasher: Hasher,
        tenant_id: int,
        connection: psycopg.Connection | None = None,
        *,
        search_timeout_ms: int = 0,
        full_text: bool = True,
    ) -> None:
        self._database = database
        self._connection = connection
        self._consents: bool | None = None
        self.hasher = hasher
        self.tenant_id = tenant_id
        self.search_timeout_ms = search_timeout_ms
        self.full_text = full_text

    @property
    def database(self) -> Database:
        """The database that the tenant is in."""
        return self._database

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
            self.tenant_id,
            lambda c: work(Store(self._database, self.hasher, self.tenant_id, c, full_text=self.full_text)),
        )

    def transaction_around(
        self, first: Sequence[Asked], work: Callable[[Store, list[pq.abc.PGresult]], Ending[T]]
    ) -> T:
        """A transaction that begins with statements, whose results ``work`` is given, and ends with those that it
        tells; not inside another one."""
        return self._database.transaction_around(
            self.tenant_id,
            first,
            lambda c, found: work(
                Store(self._database, self.hasher, self.tenant_id, c, full_text=self.full_text), found
            ),
        )

    def _run(self, work: Callable[[psycopg.Connection], T], *, read_only: bool = False) -> T:
        if self._connection is not None:
            return work(self._connection)
        return self._database.run(work, read_only=read_only)

    def read(self, access: Access, resource_type: str, resource_id: str) -> Stored | None:
        """The current version, a tombstone included; None if there is none within reach."""
        return self._run(
            lambda c: reading.read(c, self.tenant_id, access, self.hasher, resource_type, resource_id), read_only=True
        )

    def vread(self, access: Access, resource_type: str, resource_id: str, version: int) -> Stored | None:
        """One version; None if there is none within reach. What the version itself says: interactions/past.py."""
        found, consents = self._run(
            lambda c: reading.vread(c, self.tenant_id, access, self.hasher, resource_type, resource_id, version),
            read_only=True,
        )
        if consents:
            self._database.consents.note(self.tenant_id)
        return found

    def put(self, write: Write) -> Written:
        """Write one version of a resource. Raises ValueError never; see `Written` for what may not be written."""
        if write.resource_type == "SearchParameter":
            return own_parameters.put(self, write)
        return self._run(lambda c: self._put(c, write))

    def _put(self, connection: psycopg.Connection, write: Write) -> Written:
        own_parameters.refuse_stale(self._database, self.tenant_id, (write,))
        return resources.put(connection, self.tenant_id, self.hasher, write)

    def create_many(self, writes: Sequence[Write], *, fresh: bool) -> tuple[list[int], int]:
        """Create resources in one statement; see resources.create_many."""
        if any(write.resource_type == "SearchParameter" for write in writes):
            return own_parameters.create_many(self, writes, fresh=fresh)
        return self._run(lambda c: self._create_many(c, writes, fresh))

    def _create_many(
        self, connection: psycopg.Connection, writes: Sequence[Write], fresh: bool
    ) -> tuple[list[int], int]:
        own_parameters.refuse_stale(self._database, self.tenant_id, writes)
        return resources.create_many(connection, self.tenant_id, self.hasher, writes, fresh=fresh)

    def update_many(self, writes: Sequence[Write]) -> int | None:
        """Write the next version of resources in one statement, inside a transaction; see updating.update_many."""
        own_parameters.refuse_stale(self._database, self.tenant_id, writes)
        return self.within(lambda c: updating.update_many(c, self.tenant_id, self.hasher, writes))

    def write_together(
        self, creates: Sequence[Write], updates: Sequence[Write]
    ) -> tuple[tuple[list[int], int], int | None]:
        """Create resources and write the next version of others in one round trip, inside a transaction.

        What create_many and update_many tell. The caller rolls back where either has not written all: the other has.
        """
        own_parameters.refuse_stale(self._database, self.tenant_id, [*creates, *updates])
        asked = [
            resources.creating(self.tenant_id, self.hasher, creates, fresh=False),
            updating.updating(self.tenant_id, self.hasher, updates),
        ]
        created, updated = self.within(lambda c: run_together(c, asked))
        return resources.created(created), updating.updated(updated)

    def within(self, work: Callable[[psycopg.Connection], T]) -> T:
        """Run statements of other modules of the store in a transaction of the tenant, joining one that is open."""
        if self._connection is not None:
            return work(self._connection)
        return self._database.transaction(self.tenant_id, work)

    def search(self, sql: str, values: Sequence[Any], *, plan_kept: bool = False) -> pq.abc.PGresult:
        """Run a compiled search: ``sql`` with $1, $2 ... and its values, planned for these values, in one round
        trip. ``plan_kept`` has it planned once for all values, which are numbers then: store/kept_plans.py.

        Raises Unavailable with the issue code timeout where it takes longer than a search may, BadRequest for a
        full-text search where that is switched off or words are missing, ConsentsFound where consents were taken not to
        be there.
        """
        if not self.full_text and searching.needs_words(sql):
            raise BadRequest(searching.SWITCHED_OFF, code="not-supported")
        # Inside a transaction the limit would go on to hold for the writes that follow.
        timeout_ms = 0 if self.in_transaction else self.search_timeout_ms
        unminded = not self.minds_consents
        run = searching.run_kept_search if plan_kept else searching.run_search
        try:
            return self._run(
                lambda c: run(c, self.tenant_id, sql, values, timeout_ms=timeout_ms, no_consents=unminded),
                read_only=True,
            )
        except searching.ConsentsFound:
            self._database.consents.note(self.tenant_id)
            raise

    @property
    def minds_consents(self) -> bool:
        """Whether the tenant is known to have consents. Where it is not, a search that minds none says so itself.

        A transaction would have to be run again for that, so that its searches mind them in any case.
        """
        return self.in_transaction or self._database.consents.known(self.tenant_id)

    def has_consents(self) -> bool:
        """Whether the tenant has consents, for writes: looked up, within a transaction once."""
        if self._database.consents.known(self.tenant_id):
            return True
        found = self._consents
        if found is None:
            found = self._run(lambda c: searching.has_consents(c, self.tenant_id), read_only=True)
        if self.in_transaction:
            self._consents = found
        if found:
            self._database.consents.note(self.tenant_id)
        return found

    def facts(
        self,
        access: Access,
        resources: Sequence[tuple[str, IndexRows]],
        *,
        every: bool,
        keys: Sequence[int] = (),
    ) -> list[RowFacts]:
        """The facts of resources that are not in the tables, as store/facts.py has them."""
        return self._run(
            lambda c: facts.load(c, self.tenant_id, self.hasher, access, resources, every=every, keys=keys),
            read_only=True,
        )

    def in_force(self, access: Access) -> Access:
        """The access, without the consents that there are none of. Searches run with it tell where that is wrong."""
        return access if self.minds_consents else access.without_consents()

    def present_types(self) -> frozenset[str]:
        """The resource types of which the tenant has any resource."""
        return self._run(lambda c: searching.present_types(c, self.tenant_id), read_only=True)

    def history(self, access: Access, scope: history.Scope, page: history.Page) -> list[history.Version]:
        """A page of versions, newest first. See store/history.py; what they say themselves: interactions/past.py."""
        found = self._run(lambda c: history.fetch(c, self.tenant_id, access, self.hasher, scope, page), read_only=True)
        if any(version.consents for version in found):
            self._database.consents.note(self.tenant_id)
        return found

    def lock(self, *texts: str) -> None:
        """Hold locks on these texts, tenant by tenant, until the transaction ends.

        Raises BadRequest outside a transaction, where a lock would protect nothing.
        """
        if self._connection is None:
            raise BadRequest("locks are held by transactions only")
        locks.hold(self._connection, self.tenant_id, self.hasher, texts)
