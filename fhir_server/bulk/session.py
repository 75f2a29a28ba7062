"""One tenant of the database, as a loading process works on it in the operator's name. docs/architecture.md"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import psycopg

from fhir_server.access import scopes
from fhir_server.access.policy import EVERYTHING
from fhir_server.access.principal import Principal
from fhir_server.bulk.work import Settled
from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import Unavailable
from fhir_server.interactions.context import Context, Prefer, Tenant
from fhir_server.store import directory, load_progress
from fhir_server.store.load_progress import Progress
from fhir_server.store.session import Database
from fhir_server.store.store import Store

T = TypeVar("T")

SUBJECT = "fhir-server-load"
SCOPE = "system/*.cruds"
STATEMENT_TIMEOUT_MS = 600_000
"""Nobody waits for an answer, and a large transaction on a slow disk may take its time."""

RETRY_SECONDS = (0.1, 0.5, 2.0)
"""The pauses after which a transaction that lost its connection is run again."""


class Session:
    """Transactions of one tenant.

    ``context`` is what interactions work with outside a transaction; ``again`` as in Settled.
    """

    def __init__(self, settled: Settled, database: Database, hasher: Hasher) -> None:
        self.again = settled.again
        self.limit = settled.limit
        self._database = database
        self._hasher = hasher
        self._tenant_id = settled.tenant_id
        self._full_text = settled.full_text
        self.context = Context(
            tenant=Tenant(settled.tenant_id, settled.tenant),
            principal=Principal(settled.tenant, SUBJECT, SUBJECT, scopes.parse(SCOPE)),
            access=EVERYTHING,
            store=Store(database, hasher, settled.tenant_id, full_text=settled.full_text),
            base_url=settled.base_url,
            prefer=Prefer(returning="minimal"),
        )

    def transaction(self, work: Callable[[Context, psycopg.Connection], T]) -> T:
        """Run work in one transaction; repeated where it lost against a parallel one, or lost its connection.

        Whether a lost COMMIT happened is in the notes, which work looks at. Raises what
        `store.session.Database.transaction` raises.
        """

        def run(connection: psycopg.Connection) -> T:
            store = Store(self._database, self._hasher, self._tenant_id, connection, full_text=self._full_text)
            return work(self.context.within(store, EVERYTHING), connection)

        for seconds in RETRY_SECONDS:
            try:
                return self._database.transaction(self._tenant_id, run)
            except Unavailable:
                if not self.answers():
                    raise
                time.sleep(seconds)
        return self._database.transaction(self._tenant_id, run)

    def progress(self, digest: bytes) -> Progress | None:
        """What earlier loads have noted of the input with this digest."""
        return self.transaction(lambda _, connection: self.noted(connection, digest))

    def noted(self, connection: psycopg.Connection, digest: bytes) -> Progress | None:
        """The same, within a transaction."""
        return load_progress.find(connection, self._tenant_id, digest)

    def note(
        self, connection: psycopg.Connection, digest: bytes, total: int, pending: set[int], before: Progress | None
    ) -> None:
        """Note what is still pending of ``total`` positions. ``before`` is what `noted` said in this transaction."""
        load_progress.note(connection, self._tenant_id, digest, total, sorted(pending), before)

    def answers(self) -> bool:
        """Whether the database can be reached."""
        try:
            return directory.ready(self._database)
        except (Unavailable, psycopg.Error):
            return False


@contextmanager
def opened(settled: Settled) -> Iterator[Session]:
    """A session with a connection of its own. Raises Unavailable where the database cannot be reached."""
    database = Database(settled.app_url, 1, STATEMENT_TIMEOUT_MS)
    database.open()
    try:
        yield Session(settled, database, Hasher(directory.hash_key(database)))
    finally:
        database.close()
