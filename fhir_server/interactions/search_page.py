"""One page of a search: its matches, its total, and what its includes add. https://hl7.org/fhir/R4/search.html#return"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fhir_server.access.policy import Access
from fhir_server.interactions.context import Context
from fhir_server.r4 import definitions, json
from fhir_server.r4.compose import compose
from fhir_server.search import compile as compiler
from fhir_server.search import include
from fhir_server.search.advice import guarded
from fhir_server.search.compile import CompiledSearch
from fhir_server.search.cursor import Position
from fhir_server.search.include import Found
from fhir_server.search.query import SearchQuery
from fhir_server.store.searching import Result

_MOST_STEPS = 50
"""How many steps away from a match :iterate goes: each is a statement, under a time limit of its own."""

_TYPE_NAMES = {number: name for name, number in definitions.load().type_ids.items()}


class Match(NamedTuple):
    """One resource that a search found. ``values`` are its sort values, ``meta`` and ``body`` JSON as stored.

    ``score`` is how well it matches a text, from 0 to 1; ``patient`` the key of the patient it is about.
    """

    rid: int
    resource_type: str
    id: str
    version: int
    last_updated: int
    meta: bytes | None
    body: bytes
    values: tuple[int | float | str | None, ...]
    score: float | None = None
    patient: int | None = None

    def to_bytes(self) -> bytes:
        """The resource as JSON."""
        return compose(self.resource_type, self.id, self.version, self.last_updated, self.meta, self.body)


def joined_access(ctx: Context) -> Access:
    """What may be seen of the types that a search passes through or includes, beside those it is on."""
    access = ctx.access if ctx.access.everything else ctx.decide("search-type", None).visible
    return ctx.store.in_force(access)


def fetch(ctx: Context, query: SearchQuery, position: Position | None) -> list[Match]:
    """The matches after the position, one more than the page takes if there is one; before it, if it says so."""
    store = ctx.store
    access = store.in_force(ctx.access.visible)
    statements = compiler.compile(query, access, store.tenant_id, store.hasher, position, joined_access(ctx))
    ctx.phases.mark("compile")
    found: list[Match] = []
    for statement in statements:
        result = _result(ctx, query, statement)
        if statement.instead is not None and result.ntuples and result.get_value(result.ntuples - 1, 0) is None:
            result = _result(ctx, query, statement.instead())
        found += _matches(result, statement.sort_casts, scored=statement.scored)
        if len(found) > query.count:
            break
    ctx.phases.mark("sql")
    del found[query.count + 1 :]
    return found


def disclose(ctx: Context, found: Iterable[Match]) -> None:
    """Have the audit trail know whom an answer tells of."""
    ctx.trace.patients.update(one.patient for one in found if one.patient is not None)


def _result(ctx: Context, query: SearchQuery, statement: CompiledSearch) -> Result:
    """What PostgreSQL answers. Raises Unavailable with advice where it takes longer than a search may."""
    with guarded(query, ctx.store.search_timeout_ms):
        return ctx.store.search(statement.sql, statement.values)


def _matches(result: Result, sort_casts: Sequence[str], *, scored: bool = False) -> list[Match]:
    get, width = result.get_value, len(compiler.COLUMNS)
    last = width + len(sort_casts)
    casts = tuple(enumerate(sort_casts, start=width))
    return [
        Match(
            int(get(row, 0) or 0),
            _TYPE_NAMES[int(get(row, 1) or 0)],
            (get(row, 2) or b"").decode(),
            int(get(row, 3) or 0),
            int(get(row, 4) or 0),
            get(row, 5),
            get(row, 6) or b"{}",
            tuple(_sort_value(get(row, column), cast) for column, cast in casts),
            float(get(row, last) or 0) if scored else None,
            None if (patient := get(row, 7)) is None else int(patient),
        )
        for row in range(result.ntuples)
    ]


def _sort_value(cell: bytes | None, cast: str) -> int | float | str | None:
    if cell is None:
        return None
    if cast == "bigint":
        return int(cell)
    return float(cell) if cast == "float8" else cell.decode()


def count(ctx: Context, query: SearchQuery, *, at_least: int = 0) -> int:
    """The number of all matches, or with ``_total=estimate`` the planner's guess, which is ``at_least`` what is known.

    https://hl7.org/fhir/R4/search.html#total
    """
    estimate = query.total == "estimate"
    store = ctx.store
    compiled = compiler.compile_total(
        query, store.in_force(ctx.access), store.tenant_id, store.hasher, estimate=estimate, joined=joined_access(ctx)
    )
    ctx.phases.mark("compile")
    if not compiled.sql:
        return 0
    cell = _result(ctx, query, compiled).get_value(0, 0) or b"0"
    ctx.phases.mark("sql")
    # What the plan says of the rows that it gives. https://www.postgresql.org/docs/current/using-explain.html
    return max(int(json.parse(cell)[0]["Plan"]["Plan Rows"]), at_least) if estimate else int(cell)


def included(ctx: Context, query: SearchQuery, matches: Sequence[Match]) -> tuple[list[Match], list[str]]:
    """What the includes add to a page, and warnings about what they left out.

    Each resource comes once, be it a match or included several times. https://hl7.org/fhir/R4/search.html#revinclude
    """
    if not query.includes or not matches:
        return [], []
    access = joined_access(ctx)
    most = ctx.limits.search.max_included
    warnings = _beyond(query, access)
    found: list[Match] = []
    seen = [match.rid for match in matches]
    fresh = [Found(match.resource_type, match.rid, match.id) for match in matches]
    includes = query.includes
    for step in range(_MOST_STEPS + 1):
        if not fresh or not includes:
            break
        if step == _MOST_STEPS:
            warnings.append(f"References of included resources are followed {_MOST_STEPS} steps at most.")
            break
        limit = most - len(found) + 1
        store = ctx.store
        compiled = include.compile_round(includes, fresh, seen, access, store.tenant_id, store.hasher, limit)
        if compiled is None:
            break
        new = _matches(_result(ctx, query, compiled), ())
        if len(new) == limit:
            warnings.append(f"Only the first {most} included resources are in this page; use a smaller _count.")
            found += new[:-1]
            break
        found += new
        seen += (match.rid for match in new)
        fresh = [Found(match.resource_type, match.rid, match.id) for match in new]
        includes = tuple(one for one in includes if one.iterate)
    ctx.phases.mark("includes")
    return found, warnings


def _beyond(query: SearchQuery, access: Access) -> list[str]:
    """What the includes would lead to if the caller could see it: told from the request alone, not from any data."""
    warnings = []
    for text, types in {one.text: include.beyond(one, access) for one in query.includes}.items():
        if types:
            named = ", ".join(types[:5]) + (f" and {len(types) - 5} more types" if len(types) > 5 else "")
            warnings.append(f"{text} includes no {named}, which the access_token does not permit to search.")
    return warnings
