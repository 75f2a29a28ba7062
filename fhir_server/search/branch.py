"""What one resource type contributes to a search: its conditions, the road to its rows, and their order.

docs/architecture.md, "Rows". Row level security lets an index serve leakproof operators only, so every condition that
is to find rows is a comparison of numbers or of "C" texts. A search takes one of four roads:

- *narrow*: it names patients or ids. An index of ``resource`` gives their rows, and the other conditions are tested on
  them; without ``_sort`` the clinical date orders them, newest first.
- *candidates*: it has a token, reference, string, uri or composite, or two dates not far apart. The index tables give
  the ``rid`` of each match, newest first, and only a page of resources is read.
- *walk*: it is to be sorted by a value that an index table is in the order of. That table is read in its order, and
  each row tested, until a page is full. A search by dates alone is sorted by them.
- *listing*: all else reads the resources of the type, newest first or sorted.
"""

# ruff: noqa: S608 - the text holds column names of our own and placeholders; every value is bound
from __future__ import annotations

from dataclasses import dataclass, field, replace

from fhir_server.search import date_windows, order, support
from fhir_server.search.condition import Condition
from fhir_server.search.cursor import Position
from fhir_server.search.filters import FilterCompiler, is_id
from fhir_server.search.keyset import OrderKey, after, all_keys, order_by
from fhir_server.search.order import Walk
from fhir_server.search.query import Clause, Filter, InCompartment, Selection, SortKey, each
from fhir_server.search.sql import SqlParameters

# Types whose conditions are precise enough to start from. A range of dates or numbers may take in nearly everything:
# the planner may start from it, but is not bound to.
_DRIVING_TYPES = frozenset({"token", "reference", "string", "uri", "composite", "special"})

# More alternatives than this are looked up at once and sorted.
_MOST_MERGED = 16


@dataclass(frozen=True, slots=True)
class Reading:
    """How one page of an order is read: its ``order`` without the rid, from a ``position`` on, ``limit`` rows of it.

    ``split`` says that the resources without the first sort value come behind all others, in a statement of their own,
    which is this one where they are ``missing``.
    """

    order: tuple[OrderKey, ...]
    position: Position | None
    limit: int
    sql: SqlParameters
    missing: bool = False
    split: bool = False

    @property
    def backward(self) -> bool:
        """Whether the page before the position is read."""
        return self.position is not None and self.position.backward

    @property
    def direction(self) -> str:
        """How rids alone are ordered."""
        return "ASC" if self.backward else "DESC"

    @property
    def columns(self) -> str:
        """The sort values as columns k0, k1 ..."""
        keys = list(self.order)
        first = [f"NULL::{keys[0].cast}"] if self.missing else [key.column for key in keys[:1]]
        named = [*first, *(key.column for key in keys[1:])]
        return "".join(f", {column} AS k{number}" for number, column in enumerate(named))

    def keys(self, rid: str) -> list[OrderKey]:
        """The keys as they are read, ``rid`` the last."""
        every = all_keys(self.order, rid, backward=self.backward)
        return every[1:] if self.missing else every

    def after(self, rid: str) -> str:
        """The condition that a row comes after the position; "" where the whole is read from its beginning."""
        position = self.position
        if position is None or (self.missing and position.values[0] is not None):
            return ""
        if position.values and position.values[0] is None and not self.missing and self.split:
            return ""
        values = position.values[1:] if self.missing else position.values
        return after(self.keys(rid), Position(values, position.rid), self.sql)


@dataclass(slots=True)
class Branch:
    """One resource type of a search, on which the passes of compile.py work.

    ``rows`` are conditions on ``resource r``, ``rids`` conditions that have a subquery of rids; all are to hold.
    ``drivers`` are those to start from, ``narrow`` says that the rows are few, ``dated`` that the clinical date orders
    them, ``ordered`` that an index gives that order. ``keys`` are the order's, without the rid that ends it; the first
    of them is ``walk``'s, if there is one, or ``split`` if it may be missing: then those that have it come first, and
    the others in a statement of their own.
    """

    selection: Selection
    compiler: FilterCompiler
    scope: str = ""
    rows: list[str] = field(default_factory=list)
    rids: list[Condition] = field(default_factory=list)
    narrow: bool = False
    ordered: bool = True
    dated: bool = False
    drivers: list[tuple[Clause, Condition]] = field(default_factory=list)
    keys: tuple[OrderKey, ...] = ()
    walk: Walk | None = None
    split: bool = False

    def filter(self) -> None:
        """Each filter becomes a condition on the row or a subquery of rids, whichever suits the road taken."""
        resource_type = self.selection.resource_type
        found = _windows([(one, self.compiler.condition(one, resource_type)) for one in each(self.selection.filters)])
        narrowing = [parts[0] for parts, condition in found if _narrows(parts[0], condition)]
        self.dated = any(condition.names_patient or _is_patient_compartment(parts[0]) for parts, condition in found)
        self.narrow = bool(narrowing)
        self.ordered = not narrowing or any(isinstance(one, Clause) and len(one.values) == 1 for one in narrowing)
        for parts, condition in found:
            if condition.rids and not (self.narrow and condition.row):
                self.rids.append(condition)
                driver = None if self.narrow else _driver(parts)
                if driver is not None:
                    self.drivers.append((driver, condition))
            else:
                self.rows.append(condition.row)

    def sort(self, *, alone: bool, narrow: bool) -> None:
        """The order: as asked for, or else the one that the road taken gives without sorting.

        ``alone`` says that this is the only type searched, and may have an order that others have not; ``narrow`` that
        the rows of every type searched are few.
        """
        wanted = self.selection.sort
        if wanted:
            self.drivers.clear()
            self.ordered = False
            self.keys = tuple(self._key(key, first=number == 0, narrow=narrow) for number, key in enumerate(wanted))
        elif alone and self.dated:
            self.keys = (OrderKey("r.date_low", "bigint", descending=True, nullable=True, nulls_first=True),)
        elif alone and not self.narrow and not self.drivers:
            self._sort_by_date()

    def _key(self, key: SortKey, *, first: bool, narrow: bool) -> OrderKey:
        column = order.column(key.parameter, narrow=narrow)
        if column is not None:
            name, cast, nullable = column
            if first and nullable:
                self.split = True
                return OrderKey(name, cast, key.descending)
            return OrderKey(name, cast, key.descending, nullable)
        found = order.walk(key.parameter)
        if first and found is not None and not narrow:
            self.walk, cast = found
            self.split = True
            return OrderKey(f"s.{self.walk.column}", cast, key.descending)
        rid = "s.rid" if self.walk is not None else "r.rid"
        value, cast = order.scalar(key, self.compiler.sql, rid)
        return OrderKey(value, cast, key.descending, nullable=True)

    def _sort_by_date(self) -> None:
        """Newest date first, where dates alone are searched: the index of dates then gives a page without sorting."""
        for wanted in self.selection.filters:
            if isinstance(wanted, Clause) and wanted.parameter.type == "date" and not wanted.modifier:
                column = order.column(wanted.parameter, narrow=False)
                found = order.walk(wanted.parameter)
                if column is not None:
                    self.keys = (OrderKey(column[0], column[1], descending=True),)
                    return
                if found is not None:
                    self.walk, cast = found
                    self.keys = (OrderKey(f"s.{self.walk.column}", cast, descending=True),)
                    return

    def page(self, reading: Reading) -> str:
        """The rids of one page with their sort values k0 ..., in order."""
        tail = f"ORDER BY {{}} LIMIT {reading.limit}"
        if self.drivers:
            rids = f"{self.candidates(reading)} ORDER BY i.rid {reading.direction}"
            if not self.rows:
                return f"{rids} LIMIT {reading.limit}"
            rows = " AND ".join(["r.rid = p.rid", self.scope, *self.rows])
            return (
                f"SELECT p.rid FROM ({rids}) p CROSS JOIN LATERAL (SELECT FROM resource r WHERE {rows} OFFSET 0) r "
                f"{tail.format(f'p.rid {reading.direction}')}"
            )
        if self.walk is not None and not reading.missing:
            return f"{self._walked(self.walk, reading)} {tail.format(order_by(reading.keys('s.rid')))}"
        where = " AND ".join(
            filter(None, [*self.conditions(), *self._presence(missing=reading.missing), reading.after("r.rid")])
        )
        # The sort values speak of the row of the walk, which here is the resource's own.
        same = ", LATERAL (SELECT r.rid) s" if self.walk is not None else ""
        return (
            f"SELECT r.rid{reading.columns} FROM resource r{same} WHERE {where} "
            f"{tail.format(order_by(reading.keys('r.rid')))}"
        )

    def conditions(self) -> list[str]:
        """All conditions on the row ``r``."""
        return [self.scope, *self.rows, *(f"r.rid IN ({one.rids})" for one in self.rids)]

    def _presence(self, *, missing: bool) -> list[str]:
        """Whether the first sort value is there."""
        if not self.split:
            return []
        if self.walk is None:
            return [f"{self.keys[0].column} IS {'NULL' if missing else 'NOT NULL'}"]
        if not missing:
            return []
        sql = self.compiler.sql
        own = f"o.tenant_id = {sql.tenant} AND o.rid = r.rid AND o.param = {sql.bind(self.walk.param, 'int')}"
        return [f"NOT EXISTS (SELECT FROM {self.walk.table} o WHERE {own})"]

    def _walked(self, walk: Walk, reading: Reading) -> str:
        """The rids that an index table gives in its order."""
        sql = self.compiler.sql
        param = sql.bind(walk.param, "int")
        parts = [f"s.tenant_id = {sql.tenant} AND s.param = {param}"]
        parts += (f"s.rid IN ({one.rids})" for one in self.rids)
        if not walk.single:
            sign = ">" if self.keys[0].descending else "<"
            mine, others = (", ".join(f"{a}.{c}" for c in (walk.column, *walk.tie)) for a in ("s", "o"))
            parts.append(
                f"NOT EXISTS (SELECT FROM {walk.table} o WHERE o.tenant_id = {sql.tenant} AND o.rid = s.rid "
                f"AND o.param = {param} AND ({others}) {sign} ({mine}))"
            )
        joined = ""
        if self.rows or "r." in reading.columns:
            joined = " JOIN resource r ON r.rid = s.rid"
            parts += [self.scope, *self.rows]
        where = " AND ".join(filter(None, [*parts, reading.after("s.rid")]))
        return f"SELECT s.rid{reading.columns} FROM {walk.table} s{joined} WHERE {where}"

    def driving(self, direction: str) -> tuple[Condition, str]:
        """The condition to start from, with its rids, newest first: a unique one, which an index gives in that order.

        Alternatives are looked up each by itself, so that the index gives each in order, and they need only be merged.
        """
        clause, first = min(self.drivers, key=lambda driver: (driver[0].parameter.type == "date", not driver[1].unique))
        if clause.parameter.type == "date":
            # OFFSET 0 keeps the planner, which thinks the window wide, from reading all dates in the order of rids.
            return first, f"{first.rids} OFFSET 0"
        alternatives = _alternatives(clause)
        if first.unique or clause.parameter.type == "string" or not 1 < len(alternatives) <= _MOST_MERGED:
            return first, first.rids
        compiler = self.compiler
        parts = [support.where(one, compiler.sql, compiler.hasher) for one in alternatives]
        if not all(part.unique for part in parts):
            return first, first.rids
        return first, " UNION ALL ".join(f"({part.rids} ORDER BY i.rid {direction})" for part in parts)

    def candidates(self, reading: Reading) -> str:
        """The rids that the conditions with rids leave, each once, out of the index tables."""
        first, rids = self.driving(reading.direction)
        if first.hashes and rids == first.rids and len(self.rids) == 1 and not self.rows:
            rids = self._newest_of_each(first.hashes, reading)
        return self.combined(first, rids, reading.after("i.rid"))

    def _newest_of_each(self, hashes: str, reading: Reading) -> str:
        """A page of rids of each of many tokens: enough for a page of all, however many resources have them."""
        after = reading.after("t.rid")
        return (
            f"SELECT e.rid FROM unnest({hashes}) h(hash) CROSS JOIN LATERAL (SELECT t.rid FROM idx_token t "
            f"WHERE t.tenant_id = {self.compiler.sql.tenant} AND t.hash = h.hash{' AND ' if after else ''}{after} "
            f"ORDER BY t.rid {reading.direction} LIMIT {reading.limit}) e"
        )

    def combined(self, first: Condition, rids: str, after: str = "") -> str:
        """The rids that every index condition gives, each once, starting from ``rids``, those of the ``first``."""
        others = [f"i.rid IN ({condition.rids})" for condition in self.rids if condition is not first]
        where = " AND ".join(filter(None, [*others, after]))
        distinct = "" if first.unique else "DISTINCT "
        return f"SELECT {distinct}i.rid FROM ({rids}) i{' WHERE ' if where else ''}{where}"

    def matches(self) -> str:
        """The rids of all matches; out of the index tables alone where no condition looks at the row."""
        if self.rids and not self.rows:
            first = min(self.rids, key=lambda condition: not condition.unique)
            return self.combined(first, first.rids)
        return f"SELECT r.rid FROM resource r WHERE {' AND '.join(self.conditions())}"


def _windows(found: list[tuple[Filter, Condition]]) -> list[tuple[list[Filter], Condition]]:
    """The conditions, those that bound one date on either side joined into one."""
    joined: dict[object, tuple[list[Filter], Condition]] = {}
    for number, (wanted, condition) in enumerate(found):
        bounds = (
            isinstance(wanted, Clause)
            and wanted.parameter.type == "date"
            and condition.unique
            and date_windows.is_bound(wanted)
        )
        key = wanted.parameter.code if bounds and isinstance(wanted, Clause) else number
        if key in joined:
            parts, earlier = joined[key]
            joined[key] = ([*parts, wanted], earlier.both(condition))
        else:
            joined[key] = ([wanted], condition)
    return list(joined.values())


def _alternatives(clause: Clause) -> list[Clause]:
    """The clause as several, one for each value or each code that was looked up for it."""
    if clause.codes is not None:
        return [replace(clause, codes=(code,)) for code in clause.codes]
    return [replace(clause, values=(value,)) for value in clause.values]


def _narrows(wanted: Filter, condition: Condition) -> bool:
    return condition.names_patient or is_id(wanted) or isinstance(wanted, InCompartment)


def _is_patient_compartment(wanted: Filter) -> bool:
    return isinstance(wanted, InCompartment) and wanted.owner.startswith("Patient/")


def _driver(parts: list[Filter]) -> Clause | None:
    """The clause to start from, if filters that became one condition are precise enough for that."""
    clauses = [part for part in parts if isinstance(part, Clause)]
    if not clauses:
        return None
    kind = clauses[0].parameter.type
    short = kind == "date" and len(clauses) > 1 and date_windows.is_short(clauses)
    return clauses[0] if kind in _DRIVING_TYPES or short else None
