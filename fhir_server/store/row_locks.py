"""Locks on the rows of resources, all in the same order. https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-DEADLOCKS"""

from __future__ import annotations

from collections.abc import Iterable

from fhir_server.store.store import Store

_LOCK = "SELECT r.key FROM resource r WHERE r.tenant_id = $1 AND r.key = ANY($2::bigint[]) ORDER BY r.key FOR UPDATE"


def lock_rows(store: Store, names: Iterable[str]) -> set[str]:
    """Lock the resources with these names ("Patient/1"), deleted ones too, until the transaction of the store ends.

    Two transactions that lock their rows so before they write wait for each other in turn; neither has to be undone.
    Returns the names of those that exist.
    """
    keys = {store.hasher.uncached(name): name for name in names}
    if not keys:
        return set()
    result = store.search(_LOCK, [store.tenant_id, sorted(keys)])
    return {keys[int(result.get_value(row, 0) or 0)] for row in range(result.ntuples)}
