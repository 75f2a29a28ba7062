"""What one resource type contributes to a search: its conditions and its order; roads.py makes the SQL of them.

A search is *narrow* when it names patients or ids: an index of ``resource`` gives their rows, and all other conditions
are tested on those. Otherwise conditions on an index table are either *equal*, with one value whose resources an index
gives in the order of their rids, or *others*, of which nothing is known beforehand. docs/decisions/0012-few-or-walk.md
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from fhir_server.search import order, support
from fhir_server.search.condition import Condition, Panel
from fhir_server.search.filters import FilterCompiler, is_id
from fhir_server.search.keyset import OrderKey
from fhir_server.search.order import Source, Walk
from fhir_server.search.query import Clause, Filter, InCompartment, Selection, SortKey, each, is_scored
from fhir_server.search.registry import SCORE, Parameter
from fhir_server.search.types import date, text

# Types whose values, one at a time, an index gives in the order of rids.
_EQUAL_TYPES = frozenset({"token", "reference", "uri", "composite"})

# More alternatives than this are looked up at once and sorted.
_MOST_MERGED = 16

# More conditions than this are not joined to all matches: the planner takes seconds to order a hundred joins.
_MOST_JOINED = 8

# Up to this many resources are tested for what they are joined to, in a total; else all that the join leaves is found.
_MOST_TESTED = 2_000


@dataclass(frozen=True, slots=True)
class Dates:
    """The clauses on one date parameter of which a resource has one value at most."""

    clauses: tuple[Clause, ...]
    condition: Condition

    @property
    def parameter(self) -> Parameter:
        """The parameter that all clauses are on."""
        return self.clauses[0].parameter


@dataclass(slots=True)
class Branch:
    """One resource type of a search, on which the passes of compile.py work.

    ``types`` are those that its rows may be of, where that is not the selection's alone. ``rows`` are conditions on
    ``resource r``, ``equal`` and ``others`` on index tables; all are to hold. ``narrow`` says that the rows are few,
    ``dated`` that the clinical date orders them, ``ordered`` that an index gives that. ``sources`` say where the sort
    values stand. ``split`` says that resources without the first one come behind all others, in a statement of their
    own; ``nulls_first`` that they come first, in the same. ``panel`` are the patients whom all rows are about that may
    be seen: what of ``rows`` asks for them is there in any case.
    """

    selection: Selection
    compiler: FilterCompiler
    scope: str = ""
    types: tuple[str, ...] = ()
    rows: list[str] = field(default_factory=list)
    equal: list[tuple[Clause, Condition]] = field(default_factory=list)
    others: list[Condition] = field(default_factory=list)
    dates: list[Dates] = field(default_factory=list)
    narrow: bool = False
    ordered: bool = True
    dated: bool = False
    sources: tuple[Source, ...] = ()
    split: bool = False
    nulls_first: bool = False
    panel: Panel | None = None

    @property
    def walk(self) -> Walk | None:
        """The index table that is in the order of the first sort value."""
        return self.sources[0].walk if self.sources and not self.narrow else None

    @property
    def conditions(self) -> list[Condition]:
        """All conditions on index tables."""
        return [*(condition for _, condition in self.equal), *self.others]

    def filter(self) -> None:
        """Each filter becomes a condition on the row, or on an index table, whichever suits."""
        windows, rest = _windows(each(self.selection.filters))
        found = [(one, self._condition(one)) for one in rest]
        narrowing = [one for one, condition in found if _narrows(one, condition)]
        self.dated = any(condition.names_patient or _is_patient_compartment(one) for one, condition in found)
        self.narrow = bool(narrowing)
        self.ordered = not narrowing or any(isinstance(one, Clause) and len(one.values) == 1 for one in narrowing)
        for clauses in windows:
            condition = date.window(clauses, self.compiler.sql)
            self.dates.append(Dates(clauses, condition))
            self._take(None, condition)
        for one, condition in found:
            self._take(one, condition)

    def _condition(self, wanted: Filter) -> Condition:
        if isinstance(wanted, Clause) and is_id(wanted) and len(self.types) > 1 and not self.selection.contained:
            return self.compiler.of_ids(wanted, self.types)
        return self.compiler.condition(wanted, self.selection.resource_type)

    def restrict(self) -> None:
        """What the caller may not see is left out, before anything is counted or cut into pages. docs/access.md"""
        types = self.types or (self.selection.resource_type,)
        let = self.compiler.let(types, self._one_patient(), contained=bool(self.selection.contained))
        if not let:
            return
        self.rows.append(let)
        if not (self.narrow or self.selection.contained) and len(types) == 1:
            self.panel = self.compiler.panel(types[0], let)

    def of_panel(self) -> list[str]:
        """The conditions on rows that are about patients of the panel."""
        known = self.panel.let if self.panel is not None and self.panel.alone else ""
        return [row for row in self.rows if row != known]

    def _one_patient(self) -> str:
        """SQL of the key of the patient whom all rows are about, where the search names one."""
        named = (re.fullmatch(r"r\.patient = (\$\d+::bigint)", row) for row in self.rows)
        return next((match[1] for match in named if match), "")

    def _take(self, wanted: Filter | None, condition: Condition) -> None:
        if not condition.rids:
            self.rows.append(condition.row)
        elif self.narrow:
            self.rows.append(self._on_row(wanted, condition))
        elif isinstance(wanted, Clause) and self._is_equal(wanted, condition):
            self.equal.append((wanted, condition))
        else:
            self.others.append(condition)

    def _on_row(self, wanted: Filter | None, condition: Condition) -> str:
        if isinstance(wanted, InCompartment) and not condition.row:
            # The rows come out of the compartment; they are not tested for it one by one.
            return f"r.rid IN ({condition.rids})"
        return self.compiler.as_row(condition)

    def _is_equal(self, clause: Clause, condition: Condition) -> bool:
        if condition.unique:
            return True
        return clause.parameter.type in _EQUAL_TYPES and not condition.follow and len(self.merged(clause)) > 1

    def merged(self, clause: Clause) -> list[Condition]:
        """The alternatives of a clause, each by itself, where an index gives each in order; [] where one is not."""
        if clause.codes is not None:
            alternatives = [replace(clause, codes=(code,)) for code in clause.codes]
        else:
            alternatives = [replace(clause, values=(value,)) for value in clause.values]
        if not 1 < len(alternatives) <= _MOST_MERGED:
            return []
        found = [support.where(one, self.compiler.sql, self.compiler.hasher) for one in alternatives]
        return found if all(one.unique for one in found) else []

    def sort(self, *, alone: bool, narrow: bool) -> None:
        """The order: as asked for, or else the one that comes without sorting.

        ``alone`` says that this is the only type searched, and may have an order that others have not; ``narrow`` that
        the rows of every type searched are few.
        """
        wanted = self.selection.sort
        if wanted:
            self.ordered = False
            self.sources = tuple(
                Source("float8", key.descending, nullable=True, score=self.score)
                if key.parameter.code == SCORE
                else order.source(key, narrow=narrow)
                for key in wanted
            )
            first = self.sources[0]
            # A value that is not where an index has it is sorted by in any case, the missing ones with the others.
            self.split = first.nullable and bool(first.column if narrow else first.walk)
        elif alone and self.dated:
            self.sources = (order.clinical_date(descending=True),)
            self.nulls_first = True
        elif alone and not self.narrow and not self.equal:
            self._sort_by_date()

    @property
    def scored(self) -> list[Clause]:
        """The clauses that say how well a resource matches."""
        return [one for one in self.selection.filters if isinstance(one, Clause) and is_scored(one)]

    def score(self, rid: str) -> str:
        """How well the resource of one rid matches, from 0 to 1."""
        return text.score_sql(self.scored, self.compiler.sql, self.compiler.hasher, rid)

    def _sort_by_date(self) -> None:
        """Newest first by a date that is searched, where no value leads: an index then gives a page without sorting."""
        for wanted in self.selection.filters:
            if isinstance(wanted, Clause) and wanted.parameter.type == "date" and not wanted.modifier:
                self.sources = (order.source(SortKey(wanted.parameter, descending=True), narrow=False),)
                return

    def order(self, rid: str, first: str = "") -> tuple[OrderKey, ...]:
        """The keys of the order for rows with this ``rid`` and, as ``r``, their resource; ``first`` stands for the
        first value where that is at hand."""
        sql = self.compiler.sql
        keys = [source.order(source.value(sql, rid)) for source in self.sources]
        if first:
            keys[0] = self.sources[0].order(first)
        if keys and (self.split or self.walk is not None):
            # All of the statement have it; said to be nullable, no index would be in the order.
            keys[0] = replace(keys[0], nullable=False)
        if keys and self.nulls_first:
            keys[0] = replace(keys[0], nulls_first=True)
        return tuple(keys)

    def matches(self) -> str:
        """The rids of all matches; out of the index tables alone where no condition looks at the row."""
        if self.panel is None:
            return self._matches()
        # All rows about the patients at once, joined as the planner likes. An array is the quickest where there is
        # nothing to join; as one condition of several it would be read from end to end for each row.
        patients = f"SELECT p.key FROM ({self.panel.patients}) p"  # noqa: S608
        chosen = f"r.patient IN ({patients})" if self.conditions else f"r.patient = ANY(ARRAY({patients}))"
        whole = replace(self, rows=[*self.of_panel(), chosen], panel=None)
        few = [one for one in self.conditions if one.rids and not one.stream]
        if not few:
            return whole._matches()
        # Few matches of an index are looked at one by one.
        number = "(SELECT count(*) FROM v)"
        each = Condition(row=" AND ".join([self.scope, *self.rows])).test("v.rid", self.compiler.sql.tenant)
        bare = replace(self, rows=[], panel=None)
        return (
            f"SELECT u.rid FROM (WITH v AS MATERIALIZED (SELECT m.rid FROM ({bare._matches()}) m "  # noqa: S608
            f"LIMIT {_MOST_TESTED + 1}) (SELECT v.rid FROM v WHERE {number} <= {_MOST_TESTED} AND {each}) UNION ALL "
            f"(SELECT c.rid FROM ({whole._matches()}) c WHERE {number} > {_MOST_TESTED})) u"
        )

    def _matches(self) -> str:
        # A join is followed step by step, and what several leave is intersected. Nested into each other as the planner
        # likes, they take for ever where it takes each to leave one row, as it does of a clinic that it knows nothing
        # of yet: sixty resources and four steps took minutes.
        joins = [one for one in self.conditions if one.stream][:_MOST_JOINED]
        others = [one for one in self.conditions if one not in joins]
        if not joins:
            return self._simple(others)
        whole = " INTERSECT ".join(f"(SELECT m.rid FROM ({one.stream}) m)" for one in joins)  # noqa: S608
        if not (self.rows or others):
            return f"SELECT DISTINCT c.rid FROM ({whole}) c"  # noqa: S608
        simple = self._simple(others)
        tests = " AND ".join(one.test("s.rid", self.compiler.sql.tenant) for one in joins)
        number = "(SELECT count(*) FROM s)"
        return (
            f"SELECT u.rid FROM (WITH s AS MATERIALIZED (SELECT m.rid FROM ({simple}) m LIMIT {_MOST_TESTED + 1}) "  # noqa: S608
            f"(SELECT s.rid FROM s WHERE {number} <= {_MOST_TESTED} AND {tests}) UNION ALL "
            f"(SELECT c.rid FROM (({simple}) INTERSECT {whole}) c WHERE {number} > {_MOST_TESTED})) u"
        )

    def _simple(self, found: list[Condition]) -> str:
        """The rids with all conditions on the row and some on index tables."""
        if found and not self.rows:
            return self._of_index(found)
        parts = [self.scope, *self.rows, *self.whole(found, "r.rid")]
        return f"SELECT r.rid FROM resource r WHERE {' AND '.join(parts)}"  # noqa: S608

    def _of_index(self, found: list[Condition]) -> str:
        first = min(found, key=lambda condition: not condition.unique)
        where = " AND ".join(self.whole([one for one in found if one is not first], "c.rid"))
        distinct = "" if first.unique else "DISTINCT "
        return f"SELECT {distinct}c.rid FROM ({first.rids}) c{' WHERE ' if where else ''}{where}"  # noqa: S608

    def whole(self, conditions: Sequence[Condition], rid: str) -> list[str]:
        """Conditions on all rows: a few joined to them as the planner likes, others tested on each."""
        joined = [one for one in conditions if one.rids and not one.stream][:_MOST_JOINED]
        tests = (one.test(rid, self.compiler.sql.tenant) for one in conditions if one not in joined)
        return [*(f"{rid} IN ({one.rids})" for one in joined), *tests]


def as_one(selections: Sequence[Selection]) -> Selection | None:
    """Selections on several types as one, where each is searched by ids, or by a compartment, and by what no type
    decides: few rows that one look finds. None where it is otherwise."""
    first = selections[0]
    if any(order.source(key, narrow=False).column == "" for key in first.sort):
        return None
    if all(_by_ids(one) for one in selections):
        return first
    return _in_one_compartment(selections)


def _by_ids(selection: Selection) -> bool:
    filters = selection.filters
    return not selection.contained and any(map(is_id, filters)) and all(is_id(one) or _by_rows(one) for one in filters)


def _by_rows(wanted: Filter) -> bool:
    return isinstance(wanted, Clause) and wanted.parameter.code == "_lastUpdated"


def _in_one_compartment(selections: Sequence[Selection]) -> Selection | None:
    """The numbers of the references say which type they are of."""
    first = selections[0]
    parameters: list[Parameter] = []
    for one in selections:
        member, *others = one.filters or (None,)
        if not isinstance(member, InCompartment) or not member.parameters or not all(map(_by_rows, others)):
            return None
        parameters += member.parameters
    owner = first.filters[0]
    if not isinstance(owner, InCompartment):
        return None
    return replace(first, filters=(replace(owner, parameters=tuple(parameters)), *first.filters[1:]))


def _windows(filters: Iterable[Filter]) -> tuple[list[tuple[Clause, ...]], list[Filter]]:
    """The clauses on each date of which a resource has one value at most, together; and all other filters."""
    windows: dict[str, list[Clause]] = {}
    rest: list[Filter] = []
    for one in filters:
        if isinstance(one, Clause) and one.parameter.type == "date" and one.modifier != "missing" and _single(one):
            windows.setdefault(one.parameter.code, []).append(one)
        else:
            rest.append(one)
    return [tuple(clauses) for clauses in windows.values()], rest


def _single(clause: Clause) -> bool:
    return order.walk(clause.parameter) is not None and order.is_single(clause.parameter)


def _narrows(wanted: Filter, condition: Condition) -> bool:
    return condition.names_patient or is_id(wanted) or isinstance(wanted, InCompartment)


def _is_patient_compartment(wanted: Filter) -> bool:
    return isinstance(wanted, InCompartment) and wanted.owner.startswith("Patient/")
