"""A page for those who see some patients only, by trying what everybody else is shown. docs/access.md

Where a person sees a good part of a clinic, the order that anybody is shown soon gives a page; where they see little of
it, what their patients lead to is less. Which of both it is depends on what is searched as well: of whom a specialist
cares for, nobody may have what half of the clinic has. So the order is tried first, and given up after as many tries as
it would cost to look at all that the patients lead to: whichever is right, the other has cost no more than it.
"""

# ruff: noqa: S608 - the text holds column names of our own and placeholders; every value is bound
from __future__ import annotations

from dataclasses import dataclass

from fhir_server.search import roads
from fhir_server.search.branch import Branch
from fhir_server.search.condition import Condition
from fhir_server.search.cut import Cut
from fhir_server.search.order import Walk

MOST_PATIENTS = 200
"""So many patients are counted."""

TRIES = 10
"""For each of them so many resources are tried: that costs about what looking at some twenty of a patient's does."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A ``page`` of rids with their sort values, out of the statement's ``tables``; ``given_up`` is the condition that
    it ended before it was full."""

    tables: str
    page: str
    given_up: str


def rids(branch: Branch, cut: Cut) -> Tried | None:
    """The first matches that tries find; None where the search has no order to try, or nobody's patients to mind."""
    panel, walk = branch.panel, branch.walk
    reads = any(source.reads_row or source.score is not None for source in branch.sources)
    if panel is None or cut.missing or reads or (branch.sources and walk is None):
        return None
    tables, found, many = roads.few(branch, cut, roads.counted(branch))
    most = f"(SELECT {TRIES} * count(*) FROM p)"
    if walk is not None:
        tried = _values(branch, walk, cut, many, most)
    else:
        tried = _equal(branch, cut, many, most) if branch.equal else _resources(branch, cut, many, most)
    tables += [
        f"p AS MATERIALIZED (SELECT FROM ({panel.patients}) m LIMIT {MOST_PATIENTS})",
        f"x AS MATERIALIZED ({tried})",
        # As they are needed: the first that are let through are in the order already.
        f"y AS MATERIALIZED (SELECT * FROM x WHERE x.let LIMIT {cut.limit})",
    ]
    keys = "".join(f", y.k{number}" for number in range(len(branch.sources)))
    found.append(f"SELECT y.rid{keys} FROM y")
    # Where the matches of one condition are few, nothing is tried, and the page is whole.
    given_up = f"(SELECT count(*) FROM y) < {cut.limit} AND (SELECT count(*) FROM x) >= {most}"
    return Tried(", ".join(tables), roads.of_any(branch, cut, found), f"{many or 'true'} AND {given_up}")


def _equal(branch: Branch, cut: Cut, guard: str, most: str) -> str:
    """In the order of an equal value's index."""
    condition, found = roads.equal(branch, cut)
    others = [one.test("c.rid", cut.sql.tenant) for one in branch.conditions if one is not condition]
    let = Condition(row=" AND ".join([branch.scope, *branch.rows])).test("c.rid", cut.sql.tenant)
    where = " AND ".join(filter(None, [guard, cut.after((), "c.rid")]))
    first = (
        f"SELECT {'' if condition.unique else 'DISTINCT '}c.rid FROM ({found}) c{' WHERE ' if where else ''}{where} "
        f"ORDER BY c.rid {cut.direction} LIMIT {most}"
    )
    return f"SELECT c.rid, ({' AND '.join([*others, let])}) AS let FROM ({first}) c"


def _resources(branch: Branch, cut: Cut, guard: str, most: str) -> str:
    """In the order of the resources themselves."""
    tests = [*(branch.compiler.as_row(one) for one in branch.conditions), *branch.rows]
    where = " AND ".join(filter(None, [branch.scope, guard, cut.after((), "r.rid")]))
    return (
        f"SELECT r.rid, ({' AND '.join(tests)}) AS let FROM resource r WHERE {where} "
        f"ORDER BY r.rid {cut.direction} LIMIT {most}"
    )


def _values(branch: Branch, walk: Walk, cut: Cut, guard: str, most: str) -> str:
    """In the order of the first sort value's index."""
    order = branch.order("s.rid", first=f"s.{walk.column}")
    finding, tests = roads.along(branch, walk, cut)
    let = Condition(row=" AND ".join([branch.scope, *branch.rows])).test("s.rid", cut.sql.tenant)
    where = " AND ".join(filter(None, [*finding, guard, cut.after(order, "s.rid")]))
    return (
        f"SELECT s.rid{cut.columns(order)}, ({' AND '.join([*tests, let])}) AS let FROM {walk.table} s "
        f"WHERE {where} {cut.tail(order, 's.rid').rpartition(' LIMIT ')[0]} LIMIT {most}"
    )
