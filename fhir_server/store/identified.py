"""Many resources at once, by their identifiers or by their names, in one statement. https://hl7.org/fhir/R4/datatypes.html#Identifier"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import psycopg
from psycopg import pq

from fhir_server.access.policy import Access
from fhir_server.crypto.hashing import Hasher, param_id
from fhir_server.store.reading import now
from fhir_server.store.resources import TYPE_NAMES
from fhir_server.store.restriction import Restriction
from fhir_server.store.searching import run_search
from fhir_server.store.wire import Statement, array, run


class Wanted(NamedTuple):
    """What to look for: a resource of a type with an identifier, or, without ``system``, with the id ``value``.

    ``locked`` rows belong to this transaction until it ends.
    """

    type: str
    system: str | None
    value: str
    locked: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """The current version of a resource. A deleted one, found by its id only, has neither ``meta`` nor ``body``."""

    type: str
    id: str
    key: int
    version: int
    deleted: bool
    meta: bytes | None
    body: bytes | None


# Rows to be locked are read again after the lock, and locked in the order of their keys, as everywhere.
_FIND = """
WITH wanted AS MATERIALIZED (
    SELECT x.ord, x.locked, t.rid
      FROM unnest($2::bigint[], $3::boolean[]) WITH ORDINALITY x(hash, locked, ord)
      JOIN idx_token t ON t.tenant_id = $1::int AND t.hash = x.hash
    UNION ALL
    SELECT -x.ord, x.locked, r.rid
      FROM unnest($4::bigint[], $5::boolean[]) WITH ORDINALITY x(key, locked, ord)
      JOIN resource r ON r.tenant_id = $1::int AND r.key = x.key
), held AS MATERIALIZED (
    SELECT r.rid, r.type_id, r.id, r.key, r.version, r.deleted, r.meta, r.body FROM resource r
     WHERE r.tenant_id = $1::int AND r.rid = ANY (ARRAY(SELECT rid FROM wanted WHERE locked))/**/
     ORDER BY r.key FOR UPDATE
), loose AS (
    SELECT r.rid, r.type_id, r.id, r.key, r.version, r.deleted, r.meta, r.body FROM resource r
     WHERE r.tenant_id = $1::int
       AND r.rid = ANY (ARRAY(SELECT rid FROM wanted GROUP BY rid HAVING NOT bool_or(locked)))/**/
)
SELECT w.ord, f.type_id, f.id, f.key, f.version, f.deleted, f.meta::text, f.body::text
  FROM wanted w JOIN (SELECT * FROM held UNION ALL SELECT * FROM loose) f USING (rid)
 WHERE NOT f.deleted OR w.ord < 0
 ORDER BY f.rid
"""
_WHOLE = Statement("fhir_identified", _FIND)


def find(
    connection: psycopg.Connection, tenant_id: int, hasher: Hasher, access: Access, many: Sequence[Wanted]
) -> list[list[Found]]:
    """What there is of each, the oldest first, in a transaction of the tenant; one statement."""
    by_token = [place for place, one in enumerate(many) if one.system is not None]
    by_key = [place for place, one in enumerate(many) if one.system is None]
    if not many:
        return []
    values = [
        str(tenant_id),
        array(hasher(token_text(*many[place][:3])) for place in by_token).decode(),
        _flags(many[place].locked for place in by_token),
        array(hasher(f"{many[place].type}/{many[place].value}") for place in by_key).decode(),
        _flags(many[place].locked for place in by_key),
    ]
    result = _run(connection, tenant_id, hasher, access, {one.type for one in many}, values)
    found: list[list[Found]] = [[] for _ in many]
    rows: dict[int, Found] = {}
    for row in range(result.ntuples):
        ordinal = int(result.get_value(row, 0) or 0)
        place = by_token[ordinal - 1] if ordinal > 0 else by_key[-ordinal - 1]
        one = _found(result, row, rows)
        # A key is a hash: what has it by chance is not what was asked for.
        if one.type == many[place].type and (ordinal > 0 or one.id == many[place].value):
            found[place].append(one)
    return found


def token_text(resource_type: str, system: str | None, value: str) -> str:
    """What the hash of an identifier in the search index is of: search/types/token.py."""
    return f"{param_id(f'{resource_type}.identifier')}:b:{system}|{value}"


def _run(
    connection: psycopg.Connection, tenant_id: int, hasher: Hasher, access: Access, types: set[str], values: list[str]
) -> pq.abc.PGresult:
    if all(access.whole(one) for one in types):
        return run(connection, _WHOLE, [value.encode() for value in values])
    binder = _Binder(list(values))
    let = Restriction(access, binder, hasher, now()).on(sorted(types))
    return run_search(connection, tenant_id, _FIND.replace("/**/", f" AND {let}" if let else ""), binder.values)


def _flags(flags: Iterable[bool]) -> str:
    return "{" + ",".join("t" if flag else "f" for flag in flags) + "}"


class _Binder:
    """Placeholders behind those that the statement has itself."""

    def __init__(self, values: list[object]) -> None:
        self.tenant = "$1::int"
        self.values = values

    def bind(self, value: object, cast: str = "") -> str:
        """The placeholder of a value."""
        self.values.append(value)
        return f"${len(self.values)}" + (f"::{cast}" if cast else "")


def _found(result: pq.abc.PGresult, row: int, rows: dict[int, Found]) -> Found:
    get = result.get_value
    key = int(get(row, 3) or 0)
    one = rows.get(key)
    if one is None:
        deleted = get(row, 5) == b"t"
        one = rows[key] = Found(
            TYPE_NAMES[int(get(row, 1) or 0)],
            (get(row, 2) or b"").decode(),
            key,
            int(get(row, 4) or 0),
            deleted,
            get(row, 6),
            get(row, 7),
        )
    return one
