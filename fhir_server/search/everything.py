"""The statements of $everything: a compartment, and what it refers to. docs/everything.md

The compartment of a resource is read from ``idx_reference``: each row that leads to it by one of the parameters that
the CompartmentDefinition names (https://hl7.org/fhir/R4/compartmentdefinition.html). What those resources refer to is
read from the bodies, since not every reference has a search parameter.

What is asked about any patient is one statement, whose plan is kept (store/kept_plans.py): all is looked up by keys.
"""

# ruff: noqa: S608 - the text holds column names of our own and placeholders; every value is bound
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache, lru_cache

from fhir_server.access.policy import Access
from fhir_server.crypto.hashing import Hasher, param_id
from fhir_server.r4 import definitions
from fhir_server.search.include import permitted
from fhir_server.search.sql import SqlParameters
from fhir_server.store.reading import now

COLUMNS = ("rid", "type_id", "id", "version", "last_updated", "meta", "body", "patient")
"""The columns of a page."""

_PAGE = "r.rid, r.type_id, r.id, r.version, r.last_updated, r.meta::text, r.body::text, r.patient"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a compartment is asked for.

    ``types`` are resource types, () for all. ``start`` and ``end`` bound the clinical date, ``since`` the time of the
    last update, all in microseconds since 1970 UTC; None for no bound.
    """

    types: tuple[str, ...] = ()
    start: int | None = None
    end: int | None = None
    since: int | None = None


@dataclass(frozen=True, slots=True)
class Focus:
    """The resource whose compartment it is: ``key`` is its key in the store."""

    resource_type: str
    key: int


@cache
def memberships(resource_type: str) -> tuple[int, ...]:
    """The numbers of the search parameters of which one leads to the resource whose compartment it is.

    https://hl7.org/fhir/R4/compartmentdefinition-patient.html. "{def}" in it stands for the resource itself.
    """
    compartment = definitions.load().compartments[resource_type]
    return tuple(
        sorted(
            param_id(f"{member}.{code}") for member, codes in compartment.items() for code in codes if code[0] != "{"
        )
    )


class _Given(Enum):
    """The values that differ from one request to the next; all else of a statement is made once."""

    FOCUS, AFTER, LIMIT, KEYS, NOW = range(5)


def members(
    tenant_id: int, hasher: Hasher, focus: Focus, wanted: Wanted, access: Access, after: int, limit: int
) -> tuple[str, list[object]]:
    """A page of the compartment without the focus itself, in the order of ``rid``, those after ``after``."""
    statement = _members(tenant_id, hasher, focus.resource_type, wanted, access)
    return _filled(statement, {_Given.FOCUS: focus.key, _Given.AFTER: after, _Given.LIMIT: limit})


@lru_cache(maxsize=1024)
def _members(
    tenant_id: int, hasher: Hasher, resource_type: str, wanted: Wanted, access: Access
) -> tuple[str, list[object]]:
    sql = SqlParameters(tenant_id)
    conditions = [
        f"r.key <> {sql.bind(_Given.FOCUS, 'bigint')}",
        *_seen(wanted, access, sql, hasher),
        *_in_time(wanted, sql),
    ]
    rids = f"{_rids(resource_type, sql)} AND i.rid > {sql.bind(_Given.AFTER, 'bigint')}"
    most = sql.bind(_Given.LIMIT, "bigint")
    # OFFSET 0 keeps the planner from reading the bodies of all members to sort them.
    text = (
        f"SELECT r.* FROM (SELECT r.rid FROM (SELECT DISTINCT i.rid {rids}) m "
        f"JOIN resource r ON r.tenant_id = {sql.tenant} AND r.rid = m.rid "
        f"WHERE {' AND '.join(conditions)} ORDER BY r.rid LIMIT {most}) p CROSS JOIN LATERAL "
        f"(SELECT {_PAGE} FROM resource r WHERE r.tenant_id = {sql.tenant} AND r.rid = p.rid OFFSET 0) r ORDER BY p.rid"
    )
    return text, sql.values


def references(
    tenant_id: int, hasher: Hasher, focus: Focus, wanted: Wanted, access: Access
) -> tuple[str, list[object]]:
    """Every text that stands as a reference in the focus or in a member that the caller may see, each once."""
    return _filled(_references(tenant_id, hasher, focus.resource_type, wanted, access), {_Given.FOCUS: focus.key})


@lru_cache(maxsize=1024)
def _references(
    tenant_id: int, hasher: Hasher, resource_type: str, wanted: Wanted, access: Access
) -> tuple[str, list[object]]:
    sql = SqlParameters(tenant_id)
    types = _allowed(access, sql, hasher)
    conditions = " AND ".join([*types, *_in_time(wanted, sql)]) or "true"
    attached = sql.bind(list(_with_attachments()), "smallint[]")
    rows = (
        f"SELECT r.type_id, r.body FROM resource r WHERE r.tenant_id = {sql.tenant} "
        f"AND r.key = {sql.bind(_Given.FOCUS, 'bigint')} AND NOT r.deleted UNION ALL "
        f"SELECT r.type_id, r.body FROM (SELECT DISTINCT i.rid {_rids(resource_type, sql)}) m "
        f"JOIN resource r ON r.tenant_id = {sql.tenant} AND r.rid = m.rid WHERE {conditions}"
    )
    text = (
        f"SELECT DISTINCT v.reference #>> '{{}}' FROM ({rows}) r CROSS JOIN LATERAL ("
        "SELECT jsonb_path_query(r.body, '$.**.reference') UNION ALL "
        f"SELECT jsonb_path_query(r.body, '$.**.url ? (@ starts with \"Binary/\")') WHERE r.type_id = ANY ({attached})"
        ") v(reference)"
    )
    return text, sql.values


def referred(
    tenant_id: int,
    hasher: Hasher,
    focus: Focus,
    wanted: Wanted,
    access: Access,
    keys: Sequence[int],
    after: int,
    limit: int,
) -> tuple[str, list[object]]:
    """A page of the resources with these keys that are not in the compartment, in the order of ``rid``."""
    given = {_Given.FOCUS: focus.key, _Given.AFTER: after, _Given.LIMIT: limit, _Given.KEYS: list(keys)}
    return _filled(_referred(tenant_id, hasher, focus.resource_type, wanted, access), given)


@lru_cache(maxsize=1024)
def _referred(
    tenant_id: int, hasher: Hasher, resource_type: str, wanted: Wanted, access: Access
) -> tuple[str, list[object]]:
    sql = SqlParameters(tenant_id)
    conditions = [
        f"r.tenant_id = {sql.tenant} AND r.key = k.key AND NOT r.deleted",
        f"r.key <> {sql.bind(_Given.FOCUS, 'bigint')}",
        f"r.rid > {sql.bind(_Given.AFTER, 'bigint')}",
        *_seen(wanted, access, sql, hasher),
    ]
    chosen, most = sql.bind(_Given.KEYS, "bigint[]"), sql.bind(_Given.LIMIT, "bigint")
    # Look-ups of one row each (OFFSET 0): a table without statistics yet would be joined with all of itself.
    text = (
        f"SELECT r.* FROM (SELECT r.rid FROM unnest({chosen}) k(key) CROSS JOIN LATERAL "
        f"(SELECT r.rid FROM resource r WHERE {' AND '.join(conditions)} OFFSET 0) r "
        f"WHERE NOT EXISTS (SELECT {_rids(resource_type, sql)} AND i.rid = r.rid OFFSET 0) "
        f"ORDER BY r.rid LIMIT {most}) p CROSS JOIN LATERAL (SELECT {_PAGE} "
        f"FROM resource r WHERE r.tenant_id = {sql.tenant} AND r.rid = p.rid OFFSET 0) r ORDER BY p.rid"
    )
    return text, sql.values


def _filled(statement: tuple[str, list[object]], given: Mapping[_Given, object]) -> tuple[str, list[object]]:
    text, values = statement
    known = {_Given.NOW: now(), **given}
    return text, [known[value] if isinstance(value, _Given) else value for value in values]


def _rids(resource_type: str, sql: SqlParameters) -> str:
    params = sql.bind(list(memberships(resource_type)), "int[]")
    return (
        f"FROM idx_reference i WHERE i.tenant_id = {sql.tenant} AND i.target = {sql.bind(_Given.FOCUS, 'bigint')} "
        f"AND i.param = ANY ({params})"
    )


def _allowed(access: Access, sql: SqlParameters, hasher: Hasher) -> list[str]:
    """The access pass of these statements; the same decision as `Access.allows` makes for a row in memory."""
    return permitted(access, sql, hasher, sql.bind(_Given.NOW, "bigint"), kept=True)


def _of_types(types: Sequence[str], sql: SqlParameters) -> str:
    ids = definitions.load().type_ids
    return f"r.type_id = ANY ({sql.bind([ids[name] for name in types], 'smallint[]')})"


def _seen(wanted: Wanted, access: Access, sql: SqlParameters, hasher: Hasher) -> list[str]:
    """What is given out: of a type that is permitted and wanted, and updated since."""
    found = _allowed(access, sql, hasher)
    if wanted.types:
        found.append(_of_types(wanted.types, sql))
    if wanted.since is not None:
        found.append(f"r.last_updated >= {sql.bind(wanted.since, 'bigint')}")
    return found


_SECOND_DATES = (
    "Condition.recorded-date",
    "MedicationRequest.authoredon",
    "ServiceRequest.authored",
    "Task.authored-on",
)
"""The dates that count where the clinical date that stands on the row (Definitions.date_param) is missing."""


def _in_time(wanted: Wanted, sql: SqlParameters) -> list[str]:
    """The clinical date overlaps the time asked for; what has none belongs to every time."""
    if wanted.start is None and wanted.end is None:
        return []

    def overlaps(low: str, high: str) -> str:
        bounds = []
        if wanted.start is not None:
            bounds.append(f"{high} > {sql.bind(wanted.start, 'bigint')}")
        if wanted.end is not None:
            bounds.append(f"{low} < {sql.bind(wanted.end, 'bigint')}")
        return " AND ".join(bounds)

    params = sql.bind([param_id(name) for name in _SECOND_DATES], "int[]")
    condition = (
        f"(({overlaps('r.date_low', 'r.date_high')}) OR (r.date_low IS NULL AND NOT EXISTS ("
        f"SELECT FROM idx_date d WHERE d.tenant_id = {sql.tenant} AND d.rid = r.rid AND d.param = ANY ({params}) "
        f"AND NOT ({overlaps('d.low', 'd.high')}))))"
    )
    return [condition]


@cache
def _with_attachments() -> tuple[int, ...]:
    """The types that may hold an Attachment outside of extensions. https://hl7.org/fhir/R4/datatypes.html#Attachment"""
    pack = definitions.load()

    def holds(name: str, seen: frozenset[str]) -> bool:
        kind = pack.types.get(name)
        if kind is None or name in seen or name in ("Extension", "Resource"):
            return name == "Attachment"
        return name == "Attachment" or any(
            holds(ref.code, seen | {name})
            for element in kind.elements.values()
            for ref in element.types
            if pack.types.get(ref.code) is not None and pack.types[ref.code].kind in ("backbone", "complex")
        )

    return tuple(number for name, number in pack.type_ids.items() if holds(name, frozenset()))
