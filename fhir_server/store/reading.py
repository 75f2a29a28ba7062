"""Reading one resource, or one of its versions, within reach of an Access. docs/access.md

Where types alone decide, that is one function call. Else the condition of the restriction is part of the statement,
which is prepared once for each kind of reach.
"""

from __future__ import annotations

import time
from functools import lru_cache

import psycopg
from psycopg import pq

from fhir_server.access.compartments import on_row
from fhir_server.access.policy import Access
from fhir_server.crypto.hashing import Hasher
from fhir_server.store.kept_plans import kept, run_kept
from fhir_server.store.resources import TYPE_NAMES, Stored
from fhir_server.store.restriction import Restriction
from fhir_server.store.wire import Argument, Statement, argument, run

_READ = Statement("fhir_read", "SELECT * FROM fhir_read($1, $2)")
_VREAD = Statement("fhir_vread", "SELECT * FROM fhir_vread($1, $2, $3)")
# Whether there is any consent, of whichever patient: a version may be about another one than its resource is now.
_VREAD_MINDING = Statement(
    "fhir_vread_minding",
    "SELECT v.*, EXISTS (SELECT FROM consent_rule k WHERE k.tenant_id = $1::int)"
    " FROM fhir_vread($1::int, $2::bigint, $3::int) v",
)

_COLUMNS = "r.type_id, r.id, {0}.version, {0}.last_updated, {0}.deleted, r.patient, {0}.meta::text, {0}.body::text"
# The time of asking is used in any case: PostgreSQL wants every placeholder to be, and not every condition asks for it.
_THIS = "r.tenant_id = $1::int AND r.key = $2::bigint AND $3::bigint IS NOT NULL"
_ROW = f"SELECT {_COLUMNS.format('r')} FROM resource r WHERE {_THIS}"
# The same, and whether the patient has any consent: few have, and their condition costs more than to ask so.
_MINDING = (
    f"SELECT {_COLUMNS.format('r')}, EXISTS (SELECT FROM consent_rule k"
    " WHERE k.tenant_id = $1::int AND k.patient = r.patient)"
    f" FROM resource r WHERE {_THIS}"
)
_VERSION = (
    f"SELECT {_COLUMNS.format('v')} FROM resource r CROSS JOIN LATERAL ("
    "SELECT r.version, r.last_updated, r.deleted, r.meta, r.body WHERE r.version = $4::int UNION ALL "
    "SELECT h.version, h.last_updated, h.deleted, h.meta, h.body FROM resource_history h "
    "WHERE h.tenant_id = $1::int AND h.rid = r.rid AND h.version = $4::int) v "
    f"WHERE {_THIS}"
)


def now() -> int:
    """The present, in microseconds since 1970 UTC."""
    return time.time_ns() // 1_000


def read(
    connection: psycopg.Connection, tenant_id: int, access: Access, hasher: Hasher, resource_type: str, resource_id: str
) -> Stored | None:
    """The current version of a resource, a tombstone included; None if there is none or the access does not reach
    it. What became of a deleted resource is told to those only who may see every resource of its type."""
    key = hasher.uncached(f"{resource_type}/{resource_id}")
    if access.without_consents().whole(resource_type):
        result = run(connection, _READ, (b"%d" % tenant_id, b"%d" % key))
        if access.whole(resource_type) or result.get_value(0, 8) != b"t":
            return _stored(result, resource_type, resource_id)
    if not access.reaches(resource_type):
        return None
    if access.minds_consents and on_row(resource_type):
        # Consents take away from what is reached and never add to it.
        statement, values = _restricted(access.without_consents(), resource_type, hasher, _MINDING)
        result = run_kept(connection, tenant_id, statement, [tenant_id, key, now(), *values])
        if not result.ntuples or result.get_value(0, 8) != b"t":
            return _stored(result, resource_type, resource_id)
    statement, values = _restricted(access, resource_type, hasher, _ROW)
    return _stored(
        run_kept(connection, tenant_id, statement, [tenant_id, key, now(), *values]), resource_type, resource_id
    )


def vread(
    connection: psycopg.Connection,
    tenant_id: int,
    access: Access,
    hasher: Hasher,
    resource_type: str,
    resource_id: str,
    version: int,
) -> tuple[Stored | None, bool]:
    """One version of a resource, None if there is none or the access does not reach the resource as it is now; and
    whether the tenant has consents, where they could have a say and have not been looked at."""
    key = hasher.uncached(f"{resource_type}/{resource_id}")
    if access.whole(resource_type):
        result = run(connection, _VREAD, (b"%d" % tenant_id, b"%d" % key, b"%d" % version))
        return _stored(result, resource_type, resource_id), False
    consents = False
    if access.without_consents().whole(resource_type):
        result = run_kept(connection, tenant_id, _VREAD_MINDING, [tenant_id, key, version])
        consents = result.get_value(0, 9) == b"t"
        if result.get_value(0, 8) != b"t":
            return _stored(result, resource_type, resource_id), consents
    if not access.reaches(resource_type):
        return None, consents
    statement, values = _restricted(access, resource_type, hasher, _VERSION)
    arguments = [tenant_id, key, now(), version, *values]
    found = _stored(run_kept(connection, tenant_id, statement, arguments), resource_type, resource_id)
    return found, consents


class _Binder:
    """Placeholders behind those that the statement has itself."""

    def __init__(self, first: int) -> None:
        self.tenant = "$1::int"
        self.values: list[object] = [None] * first
        self.first = first

    def bind(self, value: object, cast: str = "") -> str:
        """The placeholder of a value."""
        self.values.append(value)
        return f"${len(self.values)}::{cast}"


@lru_cache(maxsize=4096)
def _restricted(access: Access, resource_type: str, hasher: Hasher, text: str) -> tuple[Statement, list[Argument]]:
    """The statement, and the arguments behind those of `_Binder`."""
    binder = _Binder(4 if text is _VERSION else 3)
    let = Restriction(access, binder, hasher, "$3::bigint", kept=True).on([resource_type])
    # A row without content has nothing to be decided by.
    statement, values = kept(f"{text}{f' AND {let}' if let else ''} AND NOT r.deleted", binder.values)
    return statement, [argument(value) for value in values[binder.first :]]


def _stored(result: pq.abc.PGresult, resource_type: str, resource_id: str) -> Stored | None:
    if not result.ntuples:
        return None
    get = result.get_value
    type_id = get(0, 0)
    if type_id is None or TYPE_NAMES[int(type_id)] != resource_type or (get(0, 1) or b"").decode() != resource_id:
        return None
    patient = get(0, 5)
    return Stored(
        resource_type,
        resource_id,
        int(get(0, 2) or 0),
        int(get(0, 3) or 0),
        get(0, 4) == b"t",
        None if patient is None else int(patient),
        get(0, 6),
        get(0, 7),
    )
