"""What ``_include`` and ``_revinclude`` add to a page, one round of following references as one statement.

Only resources that the caller may search are produced: a reference to another's record is no way to read it.
https://hl7.org/fhir/R4/search.html#revinclude
"""

# ruff: noqa: S608 - the text holds column names of our own and placeholders; every value is bound
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fhir_server.access.policy import Access
from fhir_server.crypto.hashing import Hasher
from fhir_server.r4 import definitions
from fhir_server.search.compile import PAGE_COLUMNS, CompiledSearch
from fhir_server.search.query import Include
from fhir_server.search.sql import SqlParameters
from fhir_server.search.types import reference
from fhir_server.store.reading import now
from fhir_server.store.restriction import Restriction


@dataclass(frozen=True, slots=True)
class Found:
    """A resource to follow references from, or to: its type, rid and id."""

    resource_type: str
    rid: int
    id: str


def compile_round(
    includes: Iterable[Include],
    found: Sequence[Found],
    seen: Sequence[int],
    access: Access,
    tenant_id: int,
    hasher: Hasher,
    limit: int,
) -> CompiledSearch | None:
    """The statement for the resources one step away from ``found`` but not in ``seen`` (rids); None for none.

    Its rows are those of a page without sort values, at most ``limit`` of them, in the order of their rids.
    """
    sql = SqlParameters(tenant_id)
    steps = [step for one in includes for step in _steps(one, found, sql, hasher)]
    if not steps or access.nothing:
        return None
    conditions = [
        f"r.tenant_id = {sql.tenant} AND NOT r.deleted",
        # An array is made once. Of a tenant that the statistics do not know yet PostgreSQL expects one row, and would
        # look for all references anew for each of its resources.
        f"r.rid = ANY(ARRAY({' UNION ALL '.join(steps)}))",
        f"r.rid <> ALL({sql.bind(list(seen), 'bigint[]')})",
    ]
    conditions += permitted(access, sql, hasher)
    text = f"SELECT {PAGE_COLUMNS} FROM resource r WHERE {' AND '.join(conditions)} ORDER BY r.rid LIMIT {limit}"
    return CompiledSearch(text, sql.values)


def beyond(include: Include, access: Access) -> list[str]:
    """The types that an include may lead to and that the caller may not see."""
    if access.types is None:
        return []
    if include.reverse:
        types: Iterable[str] = [include.source] if include.source else definitions.load().resource_types
    elif include.target:
        types = [include.target]
    else:
        types = {target for one in include.parameters for target in one.targets}
        types = types or definitions.load().resource_types
    return sorted(set(types) - access.types)


def permitted(
    access: Access, sql: SqlParameters, hasher: Hasher, present: int | str = "", *, kept: bool = False
) -> list[str]:
    """The conditions on rows ``r`` of any type that they may be seen, at ``present`` where that is given: microseconds
    since 1970 UTC, or SQL of them. ``kept`` is as in store/restriction.py. docs/access.md"""
    numbers = definitions.load().type_ids
    types = definitions.load().resource_types if access.types is None else sorted(access.types)
    found = []
    if access.types is not None:
        found.append(f"r.type_id = ANY({sql.bind([numbers[name] for name in types if name in numbers], 'smallint[]')})")
    let = Restriction(access, sql, hasher, present or now(), kept=kept).on(types)
    return [*found, let] if let else found


def _steps(include: Include, found: Sequence[Found], sql: SqlParameters, hasher: Hasher) -> list[str]:
    """The subqueries of rids that an include leads to."""
    origin = include.target if include.reverse else include.source
    origins = [one for one in found if not origin or one.resource_type == origin]
    if not origins:
        return []
    return _backward(include, origins, sql, hasher) if include.reverse else _forward(include, origins, sql)


def _forward(include: Include, origins: Sequence[Found], sql: SqlParameters) -> list[str]:
    rids = sql.bind([one.rid for one in origins], "bigint[]")
    followed = f"i.tenant_id = {sql.tenant} AND i.rid = ANY({rids}){_chosen(include, sql)}"
    of_type = ""
    if include.target:
        of_type = f" AND t.type_id = {sql.bind(definitions.load().type_ids[include.target], 'smallint')}"
    joined = f"t.tenant_id = {sql.tenant} AND t.key = i.target{of_type}"
    steps = [f"SELECT t.rid FROM idx_reference i JOIN resource t ON {joined} WHERE {followed}"]
    own = _own_urls([include.target] if include.target else _targets(include))
    if own and _may_be_canonical(include):
        steps.append(
            f"SELECT o.rid FROM idx_reference i JOIN idx_reference o ON o.tenant_id = {sql.tenant} "
            f"AND o.target = i.target AND o.param = ANY({sql.bind(own, 'int[]')}) WHERE {followed}"
        )
    return steps


def _backward(include: Include, origins: Sequence[Found], sql: SqlParameters, hasher: Hasher) -> list[str]:
    keys = sql.bind([hasher.uncached(f"{one.resource_type}/{one.id}") for one in origins], "bigint[]")
    chosen = _chosen(include, sql)
    steps = [f"SELECT i.rid FROM idx_reference i WHERE i.tenant_id = {sql.tenant} AND i.target = ANY({keys}){chosen}"]
    own = _own_urls({one.resource_type for one in origins})
    if own and _may_be_canonical(include):
        rids = sql.bind([one.rid for one in origins], "bigint[]")
        steps.append(
            f"SELECT i.rid FROM idx_reference o JOIN idx_reference i ON i.tenant_id = {sql.tenant} "
            f"AND i.target = o.target{chosen} WHERE o.tenant_id = {sql.tenant} AND o.rid = ANY({rids}) "
            f"AND o.param = ANY({sql.bind(own, 'int[]')})"
        )
    return steps


def _chosen(include: Include, sql: SqlParameters) -> str:
    params = [one.param for one in include.parameters]
    if not params:
        return ""
    if len(params) == 1:
        return f" AND i.param = {sql.bind(params[0], 'int')}"
    return f" AND i.param = ANY({sql.bind(params, 'int[]')})"


def _targets(include: Include) -> Iterable[str]:
    named = {target for one in include.parameters for target in one.targets}
    return named or definitions.load().resource_types


def _own_urls(types: Iterable[str]) -> list[int]:
    known = definitions.load().type_ids
    return sorted(reference.own_url(name) for name in types if name in known and reference.has_url(name))


def _may_be_canonical(include: Include) -> bool:
    return not include.parameters or any(reference.holds_canonicals(one) for one in include.parameters)
