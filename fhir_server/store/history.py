"""Versions of a resource, of a type, of everything: newest first, page by page.
https://hl7.org/fhir/R4/http.html#history"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import psycopg
from psycopg import pq

from fhir_server.access.policy import Access
from fhir_server.crypto.hashing import Hasher
from fhir_server.store.resources import TYPE_IDS, TYPE_NAMES, Stored
from fhir_server.store.searching import run_search


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose versions: one resource, a type (``resource_id`` ""), or everything (both "")."""

    resource_type: str = ""
    resource_id: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Which of them. Times are microseconds since 1970 UTC.

    ``since``: written at or after. ``at``: current at some moment of the interval [low, high). ``after``: continue
    behind (last_updated, rid, version). At most ``count``.
    """

    count: int
    since: int | None = None
    at: tuple[int, int] | None = None
    after: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """One version; ``method`` is the HTTP method that wrote it; (last_updated, rid, version) is its place in the
    order."""

    stored: Stored
    method: str
    rid: int


def fetch(
    connection: psycopg.Connection, tenant_id: int, access: Access, hasher: Hasher, scope: Scope, page: Page
) -> list[Version]:
    """A page of versions, newest first, within reach of the access."""
    types = [scope.resource_type] if scope.resource_type else list(TYPE_IDS)
    reachable = sorted(TYPE_IDS[t] for t in types if access.allows(t, None))
    if not reachable:
        return []
    values: list[object] = [tenant_id, page.count]

    def bind(value: object) -> str:
        values.append(value)
        return f"${len(values)}"

    current, past = _conditions(page, bind, "r"), _conditions(page, bind, "h")
    if scope.resource_id:
        key = bind(hasher.uncached(f"{scope.resource_type}/{scope.resource_id}"))
        owner = f"(SELECT rid FROM resource WHERE tenant_id = $1 AND key = {key}::bigint)"
        current += f" AND r.key = {key}::bigint"
        past += f" AND h.rid = {owner}"
        sql = _union(current, past)
    else:
        # One short index scan for each type: no index spans all types, and writes need not pay for one.
        sql = (
            f"SELECT v.* FROM unnest({bind(reachable)}::smallint[]) t(id) CROSS JOIN LATERAL ("
            + _union(current + " AND r.type_id = t.id", past + " AND h.type_id = t.id")
            + ") v ORDER BY v.last_updated DESC, v.rid DESC, v.version DESC LIMIT $2"
        )
    return _versions(run_search(connection, tenant_id, sql, values), access)


_COLUMNS = (
    "{0}.type_id, {0}.id, {0}.version, {0}.last_updated, {0}.deleted, "
    "{0}.meta::text, {0}.body::text, {0}.method, {0}.rid"
)
_ORDER = "ORDER BY last_updated DESC, rid DESC, version DESC LIMIT $2"


def _union(current: str, past: str) -> str:
    return (
        f"SELECT * FROM ((SELECT {_COLUMNS.format('r')} FROM resource r WHERE r.tenant_id = $1{current} {_ORDER})"
        f" UNION ALL (SELECT {_COLUMNS.format('h')} FROM resource_history h WHERE h.tenant_id = $1{past} {_ORDER})) u"
        f" {_ORDER}"
    )


def _conditions(page: Page, bind: Callable[[object], str], alias: str) -> str:
    sql = ""
    if page.since is not None:
        sql += f" AND {alias}.last_updated >= {bind(page.since)}::bigint"
    if page.after is not None:
        last_updated, rid, version = (bind(part) for part in page.after)
        sql += (
            f" AND ({alias}.last_updated, {alias}.rid, {alias}.version)"
            f" < ({last_updated}::bigint, {rid}::bigint, {version}::int)"
        )
    if page.at is not None:
        low, high = bind(page.at[0]), bind(page.at[1])
        # Current at some moment of [low, high): begun before its end, and not replaced by its beginning.
        sql += (
            f" AND {alias}.last_updated < {high}::bigint AND NOT EXISTS (SELECT FROM resource_history n"
            f" WHERE n.tenant_id = $1 AND n.rid = {alias}.rid AND n.version > {alias}.version"
            f" AND n.last_updated <= {low}::bigint)"
        )
        if alias == "h":
            sql += (
                " AND NOT EXISTS (SELECT FROM resource n"
                " WHERE n.tenant_id = $1 AND n.rid = h.rid AND n.version > h.version"
                f" AND n.last_updated <= {low}::bigint)"
            )
    return sql


def _versions(result: pq.abc.PGresult, access: Access) -> list[Version]:
    get = result.get_value
    found = []
    for row in range(result.ntuples):
        resource_type = TYPE_NAMES[int(get(row, 0) or 0)]
        if access.allows(resource_type, None):
            stored = Stored(
                resource_type,
                (get(row, 1) or b"").decode(),
                int(get(row, 2) or 0),
                int(get(row, 3) or 0),
                get(row, 4) == b"t",
                None,
                get(row, 5),
                get(row, 6),
            )
            found.append(Version(stored, (get(row, 7) or b"").decode(), int(get(row, 8) or 0)))
    return found
