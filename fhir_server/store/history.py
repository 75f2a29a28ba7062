"""Versions of a resource, of a type, of everything: newest first, page by page.
https://hl7.org/fhir/R4/http.html#history"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import psycopg
from psycopg import pq

from fhir_server.access.policy import Access
from fhir_server.crypto.hashing import Hasher
from fhir_server.store.reading import now
from fhir_server.store.resources import TYPE_IDS, TYPE_NAMES, Stored
from fhir_server.store.restriction import Restriction
from fhir_server.store.searching import run_kept_search, run_search


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
    order. ``consents`` says that the tenant has any."""

    stored: Stored
    method: str
    rid: int
    consents: bool = False


def fetch(
    connection: psycopg.Connection, tenant_id: int, access: Access, hasher: Hasher, scope: Scope, page: Page
) -> list[Version]:
    """A page of versions, newest first, within reach of the access."""
    types = [scope.resource_type] if scope.resource_type else list(TYPE_IDS)
    reachable = [name for name in types if access.reaches(name)]
    if not reachable:
        return []
    binder = _Binder(tenant_id, page.count)
    bind = binder.bind
    let = Restriction(access, binder, hasher, now()).on(reachable)
    current, past = _conditions(page, bind, "r"), _conditions(page, bind, "h")
    if let:
        # A resource as it is now decides; what its versions say is looked at by who shows them.
        there = "" if all(access.without_consents().whole(name) for name in reachable) else " AND NOT r.deleted"
        let += there
        current += f" AND {let}"
        past += f" AND EXISTS (SELECT FROM resource r WHERE r.tenant_id = $1 AND r.rid = h.rid AND {let})"
    if scope.resource_id:
        key = bind(hasher.uncached(f"{scope.resource_type}/{scope.resource_id}"), "bigint")
        owner = f"(SELECT rid FROM resource WHERE tenant_id = $1 AND key = {key})"
        current += f" AND r.key = {key}"
        past += f" AND h.rid = {owner}"
        sql = _union(current, past)
    else:
        # One short index scan for each type: no index spans all types, and writes need not pay for one.
        numbers = bind(sorted(TYPE_IDS[name] for name in reachable), "smallint[]")
        sql = (
            f"SELECT v.* FROM unnest({numbers}) t(id) CROSS JOIN LATERAL ("
            + _union(current + " AND r.type_id = t.id", past + " AND h.type_id = t.id")
            + ") v ORDER BY v.last_updated DESC, v.rid DESC, v.version DESC LIMIT $2"
        )
    # One resource is looked up by its key: the plan is the same for all.
    run = run_kept_search if scope.resource_id else run_search
    return _versions(run(connection, tenant_id, sql, binder.values))


class _Binder:
    """The values of the statement: the tenant first, then the size of a page."""

    def __init__(self, tenant_id: int, count: int) -> None:
        self.tenant = "$1"
        self.values: list[object] = [tenant_id, count]

    def bind(self, value: object, cast: str = "") -> str:
        """The placeholder of a value."""
        self.values.append(value)
        return f"${len(self.values)}::{cast}" if cast else f"${len(self.values)}"


_COLUMNS = (
    "{0}.type_id, {0}.id, {0}.version, {0}.last_updated, {0}.deleted, "
    "{0}.meta::text, {0}.body::text, {0}.method, {0}.rid, {1} AS patient, "
    "EXISTS (SELECT FROM consent_rule k WHERE k.tenant_id = $1) AS consents"
)
_PATIENT = "(SELECT o.patient FROM resource o WHERE o.tenant_id = $1 AND o.rid = h.rid)"
_ORDER = "ORDER BY last_updated DESC, rid DESC, version DESC LIMIT $2"


def _union(current: str, past: str) -> str:
    of_row, of_past = _COLUMNS.format("r", "r.patient"), _COLUMNS.format("h", _PATIENT)
    return (
        f"SELECT * FROM ((SELECT {of_row} FROM resource r WHERE r.tenant_id = $1{current} {_ORDER})"
        f" UNION ALL (SELECT {of_past} FROM resource_history h WHERE h.tenant_id = $1{past} {_ORDER})) u {_ORDER}"
    )


def _conditions(page: Page, bind: Callable[[object, str], str], alias: str) -> str:
    sql = ""
    if page.since is not None:
        sql += f" AND {alias}.last_updated >= {bind(page.since, 'bigint')}"
    if page.after is not None:
        last_updated, rid, version = (
            bind(part, cast) for part, cast in zip(page.after, ("bigint", "bigint", "int"), strict=True)
        )
        sql += f" AND ({alias}.last_updated, {alias}.rid, {alias}.version) < ({last_updated}, {rid}, {version})"
    if page.at is not None:
        low, high = bind(page.at[0], "bigint"), bind(page.at[1], "bigint")
        # Current at some moment of [low, high): begun before its end, and not replaced by its beginning.
        sql += (
            f" AND {alias}.last_updated < {high} AND NOT EXISTS (SELECT FROM resource_history n"
            f" WHERE n.tenant_id = $1 AND n.rid = {alias}.rid AND n.version > {alias}.version"
            f" AND n.last_updated <= {low})"
        )
        if alias == "h":
            sql += (
                " AND NOT EXISTS (SELECT FROM resource n"
                " WHERE n.tenant_id = $1 AND n.rid = h.rid AND n.version > h.version"
                f" AND n.last_updated <= {low})"
            )
    return sql


def _versions(result: pq.abc.PGresult) -> list[Version]:
    get = result.get_value
    found = []
    for row in range(result.ntuples):
        stored = Stored(
            TYPE_NAMES[int(get(row, 0) or 0)],
            (get(row, 1) or b"").decode(),
            int(get(row, 2) or 0),
            int(get(row, 3) or 0),
            get(row, 4) == b"t",
            None if (patient := get(row, 9)) is None else int(patient),
            get(row, 5),
            get(row, 6),
        )
        found.append(Version(stored, (get(row, 7) or b"").decode(), int(get(row, 8) or 0), get(row, 10) == b"t"))
    return found
