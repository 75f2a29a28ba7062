"""Writes of SearchParameters, and writes beside them: what is indexed changes with the transaction that says so.
docs/search-parameters.md"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import psycopg

from fhir_server.errors import Unavailable
from fhir_server.store import resources, search_parameters
from fhir_server.store.parameter_watch import watch
from fhir_server.store.resources import Write, Written
from fhir_server.store.session import Database

if TYPE_CHECKING:
    from fhir_server.store.store import Store


class ParametersChanged(Unavailable):
    """What was to be written was indexed by search parameters that have changed since."""


def refuse_stale(database: Database, tenant_id: int, writes: Sequence[Write]) -> None:
    """Refuse index rows that were made before the tenant's parameters changed, which is moments ago at most.

    Raises ParametersChanged: the same request, run again, is indexed by what holds now.
    """
    generation = watch(database).of(tenant_id).generation
    if any(write.body is not None and write.rows.generation != generation for write in writes):
        raise ParametersChanged(
            "This clinic's search parameters have just changed; send the request again.",
            headers=[("Retry-After", "1")],
        )


def put(store: Store, write: Write) -> Written:
    """Write a SearchParameter, and take what it defines into use or out of it. Raises Conflict, Unavailable."""
    refuse_stale(store.database, store.tenant_id, (write,))
    written, changes = store.within(lambda c: _put(c, store, write))
    if changes:
        _forget(store)
    return written


def _put(connection: psycopg.Connection, store: Store, write: Write) -> tuple[Written, bool]:
    written = resources.put(connection, store.tenant_id, store.hasher, write)
    if written.status not in ("created", "updated", "deleted"):
        return written, False
    return written, search_parameters.register(connection, store.tenant_id, write.id, write.parameter)


def create_many(store: Store, writes: Sequence[Write], *, fresh: bool) -> tuple[list[int], int]:
    """Create resources with SearchParameters among them; as resources.create_many. Raises Conflict, Unavailable."""
    refuse_stale(store.database, store.tenant_id, writes)

    def work(connection: psycopg.Connection) -> tuple[list[int], int]:
        existing, moment = resources.create_many(connection, store.tenant_id, store.hasher, writes, fresh=fresh)
        if not existing:
            for write in writes:
                if write.parameter is not None:
                    search_parameters.register(connection, store.tenant_id, write.id, write.parameter)
        return existing, moment

    found = store.within(work)
    _forget(store)
    return found


def _forget(store: Store) -> None:
    """Ask anew in this process; what a larger transaction has yet to commit is heard of with the rest."""
    watch(store.database).forget()
