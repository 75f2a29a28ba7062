"""A SearchQuery as SQL, by a visible list of passes. docs/architecture.md, "Rows"

Each resource type searched is a branch (branch.py) that gives the rids of a page; the page's resources are read last.
"""

# ruff: noqa: S608 - the text holds column names of our own and placeholders; every value is bound
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from fhir_server.access.policy import Access
from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import BadRequest
from fhir_server.r4 import definitions
from fhir_server.search import roads, size, tries
from fhir_server.search.branch import Branch, as_one
from fhir_server.search.cursor import Position
from fhir_server.search.cut import Cut
from fhir_server.search.filters import FilterCompiler
from fhir_server.search.keyset import OrderKey, order_by
from fhir_server.search.query import SearchQuery
from fhir_server.search.sql import SqlParameters

COLUMNS = ("rid", "type_id", "id", "version", "last_updated", "meta", "body", "patient")
"""The columns of a page, before those of the sort values."""

PAGE_COLUMNS = "r.rid, r.type_id, r.id, r.version, r.last_updated, r.meta::text, r.body::text, r.patient"


@dataclass(frozen=True, slots=True)
class CompiledSearch:
    """One statement: ``sql`` with placeholders $1 ... for ``values``; "" where nothing may be seen.

    Its rows have `COLUMNS`, then one column for each of ``sort_casts`` (bigint, float8 or text). It gives up to one row
    more than the page has, which says that there is a further one. ``scored`` says that the last column of all is how
    well the resource matches, from 0 to 1.

    A statement that gives up after some tries has another one ``instead``: it is to be run where the last row of this
    one has no rid, and that row says so.
    """

    sql: str
    values: list[object]
    sort_casts: tuple[str, ...] = ()
    scored: bool = False
    instead: Callable[[], CompiledSearch] | None = None


@dataclass(slots=True)
class Frame:
    """What the passes work on: the branches of the types that may be seen, and the order that they share."""

    query: SearchQuery
    compiler: FilterCompiler
    branches: list[Branch] = field(default_factory=list)


def tenant(frame: Frame) -> None:
    """The tenant and the type lead every index; row level security is the second lock, not this one."""
    compiler = frame.compiler
    permitted = compiler.joined.types
    every = definitions.load().resource_types if permitted is None else tuple(sorted(permitted))
    for one in frame.query.selections:
        # Any type may contain what is searched, of those that may be seen.
        types = every if one.contained else (one.resource_type,)
        if types:
            scope = compiler.joins.scope(*types)
            # An index row elsewhere says what type its resource is of; here it may be of any.
            rows = [scope] if one.contained and permitted is not None else []
            frame.branches.append(Branch(one, compiler, scope, types, rows=rows))


def access(frame: Frame) -> None:
    """Types of which the caller may see nothing are not asked for."""
    reached = frame.compiler.access.reaches
    frame.branches = [one for one in frame.branches if one.selection.contained or reached(one.selection.resource_type)]


def alike(frame: Frame) -> None:
    """Types that are searched by nothing but ids or a compartment and their rows are one branch: one look finds all."""
    if len(frame.branches) > 1:
        selections = [branch.selection for branch in frame.branches]
        joined = as_one(selections)
        if joined is not None:
            types = tuple(one.resource_type for one in selections)
            frame.branches = [Branch(joined, frame.compiler, frame.compiler.joins.scope(*types), types)]


def filters(frame: Frame) -> None:
    """Each filter becomes a condition on the row or a subquery of rids, whichever suits the road taken."""
    for branch in frame.branches:
        branch.filter()


def restrict(frame: Frame) -> None:
    """Rows that the caller may not see are left out. The same decision as `Access.allows` makes for one in memory."""
    for branch in frame.branches:
        branch.restrict()


def sort(frame: Frame) -> None:
    """The order: as asked for, or else the one that the road taken gives without sorting."""
    alone = len(frame.query.selections) == 1
    narrow = all(branch.narrow for branch in frame.branches)
    for branch in frame.branches:
        branch.sort(alone=alone, narrow=narrow)
    if len({tuple(source.cast for source in branch.sources) for branch in frame.branches}) > 1:
        raise BadRequest("The types searched cannot be sorted together: their values are of different kinds.")


Pass = Callable[[Frame], None]

PASSES: tuple[Pass, ...] = (tenant, access, alike, filters, restrict, sort)
"""Every search goes through these, in this order; what they leave is cut into pages by `compile`."""

COUNT_PASSES: tuple[Pass, ...] = (tenant, access, alike, filters, restrict)
"""A total counts what the pages would show, of which it has neither an order nor an end."""


def compile(  # noqa: A001 - the word of the layout: search.compile
    query: SearchQuery,
    access: Access,
    tenant_id: int,
    hasher: Hasher,
    position: Position | None = None,
    joined: Access | None = None,
) -> list[CompiledSearch]:
    """The statements for one page: each is run only where those before it did not fill the page; [] gives nothing.

    ``position`` is where the page before ended. ``access`` says what may be seen of the types searched, ``joined`` of
    those that chains pass through (the same where it is not given). https://hl7.org/fhir/R4/search.html. Raises
    BadRequest for values that cannot be searched, Forbidden for chains through types that may not be.
    """
    frame = passed(PASSES, query, access, tenant_id, hasher, joined)
    if not frame.branches:
        return []
    order = frame.branches[0].order("r.rid")
    if position is not None and len(position.values) != len(order):
        raise BadRequest("This _cursor is of another version of the server. Run the search again.", code="processing")
    split = frame.branches[0].split
    sql = frame.compiler.sql
    casts = tuple(key.cast for key in order)
    cuts = [Cut(position, query.count + 1, sql, missing, split) for missing in (_parts(position) if split else [False])]
    scored = len(frame.branches) == 1 and bool(frame.branches[0].scored)

    def whole(cut: Cut) -> CompiledSearch:
        text = _page(frame.branches, cut)
        if scored:
            # Of the page's resources alone, whose order a plain SELECT keeps.
            text = f"SELECT q.*, {frame.branches[0].score('q.rid')} FROM ({text}) q"
        return CompiledSearch(size.within(text), sql.values, casts, scored)

    def tried(cut: Cut) -> CompiledSearch:
        rids = tries.rids(frame.branches[0], cut) if len(frame.branches) == 1 and not scored else None
        if rids is None:
            return whole(cut)
        none = ", ".join(["NULL"] * (len(COLUMNS) + len(casts)))
        rows = f"SELECT q.* FROM ({_rows(rids.page, order, cut)}) q"
        text = f"WITH {rids.tables} ({rows}) UNION ALL SELECT {none} WHERE {rids.given_up}"
        return CompiledSearch(size.within(text), sql.values, casts, instead=partial(whole, cut))

    return [tried(cut) for cut in cuts]


def _parts(position: Position | None) -> list[bool]:
    """Which parts of an order are read, and in which order: those without the first sort value come last."""
    at_missing = position is not None and position.values[0] is None
    if position is not None and position.backward:
        return [True, False] if at_missing else [False]
    return [True] if at_missing else [False, True]


def _page(branches: list[Branch], cut: Cut) -> str:
    """The page's resources with their sort values, in order."""
    if len(branches) == 1:
        branch = branches[0]
        if branch.panel is None and branch.equal and not branch.others and not branch.sources:
            return _of_equal_values(branch, cut)
        if branch.panel is None and branch.ordered and not branch.conditions and branch.walk is None:
            return _in_order(branch, cut)
    budget = size.Budget()
    pages = []
    for branch in branches:
        pages.append(roads.page(branch, cut))
        budget.spend(pages[-1])
    order = branches[0].order("p.rid")
    rids = pages[0]
    if len(pages) > 1:
        every = f" {together(branches)} ".join(f"({page})" for page in pages)
        rids = f"SELECT p.* FROM ({every}) p ORDER BY {order_by(cut.keys(_named(order), 'p.rid'))} LIMIT {cut.limit}"
    return _rows(rids, order, cut)


def _named(order: Sequence[OrderKey]) -> tuple[OrderKey, ...]:
    return tuple(replace(key, column=f"p.k{number}") for number, key in enumerate(order))


def _rows(rids: str, order: Sequence[OrderKey], cut: Cut) -> str:
    """The resources of a page of rids with their sort values, in order."""
    named = _named(order)
    keys = "".join(f", {key.column}" for key in named)
    # OFFSET 0 keeps the planner from reading all resources to join them with these few.
    return (
        f"SELECT r.*{keys} FROM ({rids}) p CROSS JOIN LATERAL (SELECT {PAGE_COLUMNS} FROM resource r "
        f"WHERE r.tenant_id = {cut.sql.tenant} AND r.rid = p.rid OFFSET 0) r "
        f"ORDER BY {order_by(cut.keys(named, 'p.rid'))}"
    )


def together(branches: Sequence[Branch]) -> str:
    """How the rids of several branches are put together: a resource may contain what it is itself."""
    return "UNION" if any(branch.selection.contained for branch in branches) else "UNION ALL"


def _in_order(branch: Branch, cut: Cut) -> str:
    """The rows themselves, where an index of them is in the order."""
    order = branch.order("r.rid")
    where = " AND ".join(filter(None, [branch.scope, *branch.rows, cut.after(order, "r.rid")]))
    return f"SELECT {PAGE_COLUMNS}{cut.columns(order)} FROM resource r WHERE {where} {cut.tail(order, 'r.rid')}"


def _of_equal_values(branch: Branch, cut: Cut) -> str:
    """A page of rids out of the index tables, then their rows, one by one by primary key."""
    rids = f"{roads.candidates(branch, cut)} ORDER BY c.rid {cut.direction}"
    limit = f" LIMIT {cut.limit}"
    # Index rows belong to resources of this tenant and type that exist, so without conditions on the row the page is
    # cut before any row is read.
    rows = " AND ".join(["r.rid = p.rid", branch.scope, *branch.rows])
    return (
        f"SELECT r.* FROM ({rids}{'' if branch.rows else limit}) p CROSS JOIN LATERAL "
        f"(SELECT {PAGE_COLUMNS} FROM resource r WHERE {rows} OFFSET 0) r ORDER BY p.rid {cut.direction}{limit}"
    )


def compile_total(
    query: SearchQuery,
    access: Access,
    tenant_id: int,
    hasher: Hasher,
    *,
    estimate: bool = False,
    joined: Access | None = None,
) -> CompiledSearch:
    """The statement for the number of matches: one row with one number, or with the plan as JSON for an estimate.

    https://hl7.org/fhir/R4/search.html#total
    """
    frame = passed(COUNT_PASSES, query, access, tenant_id, hasher, joined)
    if not frame.branches:
        return CompiledSearch("", [])
    every = f" {together(frame.branches)} ".join(f"({branch.matches()})" for branch in frame.branches)
    counted = size.within(every)
    text = f"EXPLAIN (FORMAT JSON) {counted}" if estimate else f"SELECT count(*) FROM ({counted}) m"
    return CompiledSearch(text, frame.compiler.sql.values)


def passed(
    passes: tuple[Pass, ...],
    query: SearchQuery,
    access: Access,
    tenant_id: int,
    hasher: Hasher,
    joined: Access | None,
) -> Frame:
    """The branches that passes leave of a query."""
    seen, beyond = access.leaving(query.hidden), (joined or access).leaving(query.hidden)
    compiler = FilterCompiler(SqlParameters(tenant_id), hasher, seen, beyond)
    frame = Frame(query, compiler)
    for one in passes:
        one(frame)
    return frame
