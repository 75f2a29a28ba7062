"""The SQL of one page of one resource type: which index is read, in which order, until the page is full.

Row level security lets an index serve leakproof operators only, so every condition that is to find rows is a comparison
of numbers or of "C" texts. What a condition leaves cannot be known beforehand: a chain may lead to two resources or to
half of all. So a statement has several roads, of which it takes one when it runs: the matches of each condition are
counted up to a limit, and where they are few, they are looked at; where none are few, the order is walked and each row
tested, which soon fills a page. A road that is not taken costs nothing but its planning.
docs/decisions/0012-few-or-walk.md
"""

# ruff: noqa: S608 - the text holds column names of our own and placeholders; every value is bound
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fhir_server.search.branch import Branch
from fhir_server.search.condition import Condition
from fhir_server.search.cut import Cut
from fhir_server.search.keyset import OrderKey, order_by
from fhir_server.search.order import Walk
from fhir_server.search.types import date

MOST_FOUND = 2_000
"""Up to this many matches of a condition are few."""

MOST_SEEDS = 300
"""Up to this many resources are few for a chain to start from: a patient is referred to by some tens ..."""

MOST_LED_TO = 20_000
"""... but a practitioner by thousands: no more than this may they lead to."""

MOST_TOGETHER = 800
"""Up to this many seeds are collected, to test rows by."""

_MOST_COUNTED = 4
"""So many conditions are counted; more of them are only tested."""


def page(branch: Branch, cut: Cut) -> str:
    """The rids of one page with their sort values k0 ..., in order."""
    tokens = _only_tokens(branch)
    if tokens:
        return _newest_of_each(tokens, cut)
    several = counted(branch)
    if branch.panel is not None:
        # The last: what a person's patients lead to is more than what other conditions do that are met by few.
        several.append(branch.panel.start)
    if not several:
        return _walked(branch, cut, "")
    tables, roads, many = few(branch, cut, several)
    roads.append(_walked(branch, cut, many))
    return f"WITH {', '.join(tables)} {of_any(branch, cut, roads)}"


def of_any(branch: Branch, cut: Cut, roads: Sequence[str]) -> str:
    """The page out of what the road taken gives."""
    every = " UNION ALL ".join(f"({road})" for road in roads)
    return f"SELECT u.* FROM ({every}) u {cut.tail(_named(branch), 'u.rid')}"


def few(branch: Branch, cut: Cut, several: Sequence[Condition]) -> tuple[list[str], list[str], str]:
    """The tables in which the matches of some conditions are counted, the roads that are taken where those of one are
    few, and the condition that those of all are many."""
    tables: list[str] = []
    roads: list[str] = []
    many = ""
    for n, one in enumerate(several):
        counting = _Counting.of(one, n)
        tables += counting.tables
        roads.append(_few(branch, cut, one, counting.rids, f"{many}{counting.few}"))
        many += f"{counting.many} AND "
    for n, one in enumerate(several):
        together = _by_seeds(branch, one, f"f{n}")
        if together is not None:
            number = f"(SELECT count(*) FROM (SELECT FROM f{n} LIMIT {MOST_TOGETHER + 1}) l)"
            roads.append(_walked(together, cut, f"{many}{number} <= {MOST_TOGETHER}"))
            many += f"{number} > {MOST_TOGETHER} AND "
            break
    return tables, roads, many.removesuffix(" AND ")


def _named(branch: Branch, alias: str = "u") -> tuple[OrderKey, ...]:
    """The order of rows that have the sort values as columns k0 ..."""
    return tuple(
        OrderKey(f"{alias}.k{n}", key.cast, key.descending, key.nullable, key.nulls_first)
        for n, key in enumerate(branch.order("u.rid"))
    )


def counted(branch: Branch) -> list[Condition]:
    """The conditions whose matches are worth counting: those that nothing is known of."""
    if branch.narrow:
        return []
    # In the order of rids an equal value needs no counting: its index gives the page, however many there are.
    found = branch.conditions if branch.sources else branch.others
    # Joins first: what tests a row for them costs most.
    return sorted(found, key=lambda one: not one.follow)[:_MOST_COUNTED]


def _only_tokens(branch: Branch) -> str:
    """The array of the tokens of which a match has one, where a search asks for nothing else; "" where it does."""
    alone = not (branch.equal or branch.rows or branch.sources or branch.narrow) and len(branch.others) == 1
    return branch.others[0].hashes if alone else ""


def _newest_of_each(hashes: str, cut: Cut) -> str:
    """A page of rids of each of many tokens: enough for a page of all, however many resources have them."""
    after = cut.after((), "t.rid")
    return (
        f"SELECT DISTINCT e.rid FROM unnest({hashes}) h(hash) CROSS JOIN LATERAL (SELECT t.rid FROM idx_token t "
        f"WHERE t.tenant_id = {cut.sql.tenant} AND t.hash = h.hash{' AND ' if after else ''}{after} "
        f"ORDER BY t.rid {cut.direction} LIMIT {cut.limit}) e ORDER BY e.rid {cut.direction} LIMIT {cut.limit}"
    )


@dataclass(frozen=True, slots=True)
class _Counting:
    """How the matches of a condition are counted.

    ``tables`` are those of the statement, filled no further than they are read; ``rids`` what the condition leads to;
    ``few`` and ``many`` are true where they are.
    """

    tables: tuple[str, ...]
    rids: str
    few: str
    many: str

    @classmethod
    def of(cls, one: Condition, number: int) -> _Counting:
        """The tables are f and, of chains, g with the number behind."""
        f, g = f"f{number}", f"g{number}"
        if one.among is None:
            return cls(
                (f"{f} AS MATERIALIZED (SELECT m.* FROM ({one.seeds}) m(key) LIMIT {MOST_FOUND + 1})",),
                one.led_to(f),
                f"(SELECT count(*) FROM {f}) <= {MOST_FOUND}",
                f"(SELECT count(*) FROM {f}) > {MOST_FOUND}",
            )
        seeds = f"(SELECT count(*) FROM (SELECT FROM {f} LIMIT {MOST_SEEDS + 1}) l)"
        found = f"(SELECT count(*) FROM {g})"
        kept = max(MOST_SEEDS, MOST_TOGETHER)
        return cls(
            (
                f"{f} AS MATERIALIZED (SELECT m.* FROM ({one.seeds}) m(key) LIMIT {kept + 1})",
                f"{g} AS MATERIALIZED (SELECT m.* FROM ({one.led_to(f)}) m(rid) LIMIT {MOST_LED_TO + 1})",
            ),
            f"SELECT m.rid FROM {g} m",
            f"{seeds} <= {MOST_SEEDS} AND {found} <= {MOST_LED_TO}",
            f"({seeds} > {MOST_SEEDS} OR {found} > {MOST_LED_TO})",
        )


def _by_seeds(branch: Branch, one: Condition, table: str) -> Branch | None:
    """The branch with one of its conditions tested by the table of all of its seeds; None where it has no such test."""
    among = one.among
    if among is None or one not in branch.others:
        return None
    tested = replace(one, probe=lambda rid: among(rid, table), row="")
    return replace(branch, others=[tested if other is one else other for other in branch.others])


def _few(branch: Branch, cut: Cut, one: Condition, rids: str, guard: str) -> str:
    """All that a condition with few matches leaves, sorted; ``rids`` are its matches."""
    sql = cut.sql
    found = f"SELECT DISTINCT x.rid FROM ({rids}) x WHERE {guard} OFFSET 0"
    order = branch.order("w.rid")
    values = ", ".join(f"{key.column} AS k{n}" for n, key in enumerate(order))
    joined = ""
    rows = branch.of_panel() if branch.panel is not None and one is branch.panel.start else branch.rows
    of_row = " AND ".join([branch.scope, *rows])
    reads = any(source.reads_row for source in branch.sources)
    if reads:
        of_row = f"{of_row} AND r.rid = w.rid"
        joined = f" CROSS JOIN LATERAL (SELECT {values} FROM resource r WHERE {of_row} OFFSET 0) k"
    elif values:
        joined = f" CROSS JOIN LATERAL (SELECT {values} OFFSET 0) k"
    named = _named(branch, "k")
    parts = [cut.after(named, "w.rid")]
    if branch.split:
        parts.append(f"k.k0 IS {'NULL' if cut.missing else 'NOT NULL'}")
    where = " AND ".join(filter(None, parts))
    columns = "".join(f", {key.column}" for key in named)
    inner = (
        f"SELECT w.rid{columns} FROM ({found}) w{joined}{' WHERE ' if where else ''}{where} "
        f"ORDER BY {order_by(cut.keys(named, 'w.rid'))} OFFSET 0"
    )
    # Sorted before they are tested: the tests end with the page.
    outer = _named(branch, "w")
    tests = [other.test("w.rid", sql.tenant) for other in branch.conditions if other is not one]
    if rows and not reads:
        tests.append(Condition(row=of_row).test("w.rid", sql.tenant))
    return (
        f"SELECT w.rid{cut.columns(outer)} FROM ({inner}) w{' WHERE ' if tests else ''}{' AND '.join(tests)} "
        f"{cut.tail(outer, 'w.rid')}"
    )


def _walked(branch: Branch, cut: Cut, guard: str) -> str:
    """A page by reading an index in the order, and testing each row."""
    if branch.walk is not None and not cut.missing:
        return _along_values(branch, branch.walk, cut, guard)
    if branch.equal and not branch.sources:
        return f"{candidates(branch, cut, guard, with_rows=True)} ORDER BY c.rid {cut.direction} LIMIT {cut.limit}"
    return _along_resources(branch, cut, guard)


def _along_values(branch: Branch, walk: Walk, cut: Cut, guard: str) -> str:
    """Along the index table that is in the order of the first sort value."""
    finding, tests = along(branch, walk, cut)
    parts = [*finding, guard, *tests]
    order = branch.order("s.rid", first=f"s.{walk.column}")
    joined = ""
    if branch.rows or any(source.reads_row for source in branch.sources):
        of_row = " AND ".join([branch.scope, "r.rid = s.rid", *branch.rows])
        # The values are read there, so that the row itself need not be carried through the sort.
        values = ", ".join([f"{key.column} AS k{n}" for n, key in enumerate(order) if n]) or "1"
        joined = f" CROSS JOIN LATERAL (SELECT {values} FROM resource r WHERE {of_row} OFFSET 0) k"
        named = _named(branch, "k")
        order = (order[0], *named[1:])
    where = " AND ".join(filter(None, [*parts, cut.after(order, "s.rid")]))
    return f"SELECT s.rid{cut.columns(order)} FROM {walk.table} s{joined} WHERE {where} {cut.tail(order, 's.rid')}"


def along(branch: Branch, walk: Walk, cut: Cut) -> tuple[list[str], list[str]]:
    """The conditions that rows ``s`` of the index table are to meet: those that find them in it, and those that are
    looked up for each. Those on the resource's row are left to the caller."""
    sql = cut.sql
    param = sql.bind(walk.param, "int")
    on_walk = [
        one for one in branch.dates if walk.single and walk.table == "idx_date" and one.parameter.param == walk.param
    ]
    known = [one.condition for one in on_walk]
    finding = [f"s.tenant_id = {sql.tenant} AND s.param = {param}"]
    finding += (date.condition(one.clauses, sql, "s.low", "s.high") for one in on_walk)
    tests = [one.test("s.rid", sql.tenant) for one in branch.conditions if one not in known]
    if not walk.single:
        # Of several values the first in the order counts.
        sign = ">" if branch.sources[0].descending else "<"
        mine, others = (", ".join(f"{a}.{c}" for c in (walk.column, *walk.tie)) for a in ("s", "o"))
        tests.append(
            f"NOT EXISTS (SELECT FROM {walk.table} o WHERE o.tenant_id = {sql.tenant} AND o.rid = s.rid "
            f"AND o.param = {param} AND ({others}) {sign} ({mine}) OFFSET 0)"
        )
    return finding, tests


def _along_resources(branch: Branch, cut: Cut, guard: str) -> str:
    """Along the resources of the type."""
    order = branch.order("r.rid")
    parts = [branch.scope, guard, *branch.rows]
    if not branch.narrow:
        parts += (branch.compiler.as_row(one) for one in branch.conditions)
    parts += presence(branch, cut, order)
    where = " AND ".join(filter(None, [*parts, cut.after(order, "r.rid")]))
    return f"SELECT r.rid{cut.columns(order)} FROM resource r WHERE {where} {cut.tail(order, 'r.rid')}"


def presence(branch: Branch, cut: Cut, order: Sequence[OrderKey]) -> list[str]:
    """Whether the first sort value is there, where those without it are in a statement of their own."""
    if not branch.split:
        return []
    walk = branch.walk
    if walk is None:
        return [f"{order[0].column} IS {'NULL' if cut.missing else 'NOT NULL'}"]
    own = f"o.tenant_id = {cut.sql.tenant} AND o.rid = r.rid AND o.param = {cut.sql.bind(walk.param, 'int')}"
    return [f"NOT EXISTS (SELECT FROM {walk.table} o WHERE {own})"] if cut.missing else []


def candidates(branch: Branch, cut: Cut, guard: str = "", *, with_rows: bool = False) -> str:
    """The rids ``c.rid`` with all equal values, in order, each once; the other conditions are tested on each.

    ``with_rows`` tests the conditions on the row as well, last, for a caller that does not read the row itself.
    """
    sql = cut.sql
    first, rids = equal(branch, cut)
    parts = [guard, *branch.whole([one for _, one in branch.equal if one is not first], "c.rid")]
    # No condition may know the name "c": one that has a table of that name would compare its own rids with themselves.
    parts += (one.test("c.rid", sql.tenant) for one in branch.others)
    if with_rows and branch.rows:
        parts.append(Condition(row=" AND ".join([branch.scope, *branch.rows])).test("c.rid", sql.tenant))
    where = " AND ".join(filter(None, [*parts, cut.after((), "c.rid")]))
    distinct = "" if first.unique else "DISTINCT "
    return f"SELECT {distinct}c.rid FROM ({rids}) c{' WHERE ' if where else ''}{where}"


def equal(branch: Branch, cut: Cut) -> tuple[Condition, str]:
    """The equal value that a page is read off, and the rids that have it, in order."""
    clause, first = min(branch.equal, key=lambda one: not one[1].unique)
    if first.unique:
        return first, first.rids
    # Each alternative is looked up by itself, so that the index gives each in order, and they need only be merged.
    each = (f"({one.rids} ORDER BY i.rid {cut.direction})" for one in branch.merged(clause))
    return first, " UNION ALL ".join(each)
