"""A SearchQuery as one SQL statement, by a visible list of passes. docs/architecture.md, "Rows"

Row level security lets an index serve leakproof operators only, so every condition that is to find rows is a comparison
of numbers or of "C" texts. A search takes one of three roads:

- *narrow*: it names patients or ids. An index of ``resource`` gives their rows, and the other conditions are tested on
  them; without ``_sort`` the clinical date orders them, newest first.
- *candidates*: it has a token, reference, string, uri or composite, or two dates not far apart. The index tables give
  the ``rid`` of each match, newest first, and only a page of resources is read.
- *listing*: all else reads the resources of the type in the order of ``_lastUpdated`` or another key, newest first.
"""

# ruff: noqa: S608 - the text holds column names of our own and placeholders; every value is bound
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from fhir_server.access.policy import Access
from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import BadRequest
from fhir_server.r4 import definitions, references
from fhir_server.search import date_windows, keyset, support
from fhir_server.search.condition import Condition
from fhir_server.search.cursor import Position
from fhir_server.search.keyset import SortKey
from fhir_server.search.query import Clause, SearchQuery
from fhir_server.search.sql import SqlParameters
from fhir_server.search.values import unescape

COLUMNS = ("rid", "id", "version", "last_updated", "meta", "body")
"""The columns of a page, before those of the sort values."""

# Types whose conditions are precise enough to start from. A range of dates or numbers may take in nearly everything:
# the planner may start from it, but is not bound to.
_DRIVING_TYPES = frozenset({"token", "reference", "string", "uri", "composite"})

# More alternatives than this are looked up at once and sorted.
_MOST_MERGED = 16

_SORT_COLUMNS = {"_lastUpdated": ("r.last_updated", "bigint"), "_id": ("r.id", "text")}


@dataclass(frozen=True, slots=True)
class CompiledSearch:
    """One statement: ``sql`` with placeholders $1 ... for ``values``; "" where nothing may be seen.

    Its rows have `COLUMNS`, then one column for each of ``sort_casts`` (bigint or text). It gives up to one row more
    than the page has, which says that there is a next one.
    """

    sql: str
    values: list[object]
    sort_casts: tuple[str, ...] = ()


@dataclass(slots=True)
class Frame:
    """What the passes work on.

    ``rows`` are conditions on ``resource r``, ``rids`` conditions that have a subquery of rids; all are to hold.
    ``drivers`` are those to start from, ``narrow`` says that the rows are few, ``dated`` that the clinical date orders
    them, ``ordered`` that an index gives that order. ``after`` and ``limit`` cut the page out.
    """

    query: SearchQuery
    access: Access
    hasher: Hasher
    position: Position | None
    sql: SqlParameters
    nothing: bool = False
    scope: str = ""
    rows: list[str] = field(default_factory=list)
    rids: list[Condition] = field(default_factory=list)
    narrow: bool = False
    ordered: bool = True
    dated: bool = False
    drivers: list[tuple[Clause, Condition]] = field(default_factory=list)
    keys: tuple[SortKey, ...] = ()
    after: str = ""
    limit: int = 0


def tenant(frame: Frame) -> None:
    """The tenant and the type lead every index; row level security is the second lock, not this one."""
    type_id = frame.sql.bind(definitions.load().type_ids[frame.query.resource_type], "smallint")
    frame.scope = f"r.tenant_id = {frame.sql.tenant} AND r.type_id = {type_id} AND NOT r.deleted"


def access(frame: Frame) -> None:
    """What the caller may not see is not asked for. The same decision as `Access.allows` makes for a row in memory."""
    types = frame.access.types
    if types is not None and frame.query.resource_type not in types:
        frame.nothing = True


def filters(frame: Frame) -> None:
    """Each clause becomes a condition on the row or a subquery of rids, whichever suits the road taken."""
    found = _windows([(clause, _condition(frame, clause)) for clause in frame.query.clauses])
    frame.dated = any(condition.names_patient for _, condition in found)
    narrowing = [clauses[0] for clauses, condition in found if condition.names_patient or _is_id(clauses[0])]
    frame.narrow = bool(narrowing)
    frame.ordered = not narrowing or any(len(clause.values) == 1 for clause in narrowing)
    for clauses, condition in found:
        if condition.rids and not (frame.narrow and condition.row):
            frame.rids.append(condition)
            if not frame.narrow and _can_drive(clauses):
                frame.drivers.append((clauses[0], condition))
        else:
            frame.rows.append(condition.row)


def _windows(found: list[tuple[Clause, Condition]]) -> list[tuple[list[Clause], Condition]]:
    """The conditions, those that bound one date on either side joined into one."""
    joined: dict[object, tuple[list[Clause], Condition]] = {}
    for number, (clause, condition) in enumerate(found):
        bounds = clause.parameter.type == "date" and condition.unique and date_windows.is_bound(clause)
        key = clause.parameter.code if bounds else number
        if key in joined:
            clauses, earlier = joined[key]
            joined[key] = ([*clauses, clause], earlier.both(condition))
        else:
            joined[key] = ([clause], condition)
    return list(joined.values())


def _can_drive(clauses: list[Clause]) -> bool:
    kind = clauses[0].parameter.type
    return kind in _DRIVING_TYPES or (kind == "date" and len(clauses) > 1 and date_windows.is_short(clauses))


def _condition(frame: Frame, clause: Clause) -> Condition:
    condition = support.where(_typed(clause), frame.sql, frame.hasher)
    if not _is_id(clause):
        return condition
    keys = [frame.hasher.uncached(f"{frame.query.resource_type}/{unescape(value)}") for value in clause.values]
    chosen = (
        f"= {frame.sql.bind(keys[0], 'bigint')}" if len(keys) == 1 else f"= ANY({frame.sql.bind(keys, 'bigint[]')})"
    )
    # The key finds the row; the id says that it is no other resource of the same hash.
    return Condition(row=f"r.key {chosen} AND {condition.row}")


def _typed(clause: Clause) -> Clause:
    """``patient=1`` read as ``patient=Patient/1``, which the row itself answers.

    The definition that most types share would let the id be a Group's as well, which a patient is not.
    https://hl7.org/fhir/R4/searchparameter-registry.html#clinical-patient
    """
    if clause.parameter.code != "patient" or clause.parameter.type != "reference" or clause.modifier:
        return clause
    values = tuple(f"Patient/{value}" if references.ID.fullmatch(value) else value for value in clause.values)
    return replace(clause, values=values)


def _is_id(clause: Clause) -> bool:
    return clause.parameter.code == "_id" and not clause.modifier


def sort(frame: Frame) -> None:
    """The order: as asked for, or else the one that the road taken gives without sorting."""
    if frame.query.sort:
        frame.keys = tuple(SortKey(*_SORT_COLUMNS[code], descending) for code, descending in frame.query.sort)
        frame.drivers.clear()
        frame.ordered = False
    elif frame.dated:
        frame.keys = (SortKey("r.date_low", "bigint", descending=True, nullable=True),)
    elif not frame.drivers and not frame.narrow and frame.query.clauses:
        frame.keys = (SortKey("r.last_updated", "bigint", descending=True),)


def page(frame: Frame) -> None:
    """The rows after the cursor's position, one more than a page takes."""
    if frame.position is not None:
        if len(frame.position.values) != len(frame.keys):
            raise BadRequest(
                "This _cursor is of another version of the server. Run the search again.", code="processing"
            )
        rid = "i.rid" if frame.drivers else "r.rid"
        frame.after = keyset.after(frame.keys, rid, frame.position, frame.sql)
    frame.limit = frame.query.count + 1


Pass = Callable[[Frame], None]

PASSES: tuple[Pass, ...] = (tenant, access, filters, sort, page)
"""Every search goes through these, in this order."""

COUNT_PASSES: tuple[Pass, ...] = (tenant, access, filters)
"""A total counts what the pages would show, of which it has neither an order nor an end."""


def compile(  # noqa: A001 - the word of the layout: search.compile
    query: SearchQuery, access: Access, tenant_id: int, hasher: Hasher, position: Position | None = None
) -> CompiledSearch:
    """The statement for one page. https://hl7.org/fhir/R4/search.html

    ``position`` is where the page before ended. Raises BadRequest for values that cannot be searched.
    """
    frame = _passed(PASSES, query, access, tenant_id, hasher, position)
    if frame.nothing:
        return CompiledSearch("", [])
    text = _driven(frame) if frame.drivers else _listed(frame)
    return CompiledSearch(text, frame.sql.values, tuple(key.cast for key in frame.keys))


def compile_total(
    query: SearchQuery, access: Access, tenant_id: int, hasher: Hasher, *, estimate: bool = False
) -> CompiledSearch:
    """The statement for the number of matches: one row with one number, or with the plan as JSON for an estimate.

    https://hl7.org/fhir/R4/search.html#total
    """
    frame = _passed(COUNT_PASSES, query, access, tenant_id, hasher, None)
    if frame.nothing:
        return CompiledSearch("", [])
    counted = _matches(frame)
    text = f"EXPLAIN (FORMAT JSON) {counted}" if estimate else f"SELECT count(*) FROM ({counted}) m"
    return CompiledSearch(text, frame.sql.values)


def _passed(
    passes: tuple[Pass, ...],
    query: SearchQuery,
    access: Access,
    tenant_id: int,
    hasher: Hasher,
    position: Position | None,
) -> Frame:
    frame = Frame(query, access, hasher, position, SqlParameters(tenant_id))
    for one in passes:
        one(frame)
    return frame


_PAGE_COLUMNS = "r.rid, r.id, r.version, r.last_updated, r.meta::text, r.body::text"


def _listed(frame: Frame) -> str:
    """Rows of ``resource`` in the order of an index of it, or else sorted before their bodies are read."""
    where = " AND ".join(
        filter(None, [frame.scope, *frame.rows, *(f"r.rid IN ({c.rids})" for c in frame.rids), frame.after])
    )
    order = keyset.order_by(frame.keys, "r.rid")
    if frame.ordered and not frame.rids:
        keys = "".join(f", {key.column}" for key in frame.keys)
        return f"SELECT {_PAGE_COLUMNS}{keys} FROM resource r WHERE {where} ORDER BY {order} LIMIT {frame.limit}"
    keys = "".join(f", {key.column} AS k{n}" for n, key in enumerate(frame.keys))
    page_keys = [replace(key, column=f"p.k{n}") for n, key in enumerate(frame.keys)]
    rids = f"SELECT r.rid{keys} FROM resource r WHERE {where} ORDER BY {order} LIMIT {frame.limit}"
    return (
        f"SELECT {_PAGE_COLUMNS}{''.join(f', {key.column}' for key in page_keys)} FROM ({rids}) p "
        f"JOIN resource r ON r.tenant_id = {frame.sql.tenant} AND r.rid = p.rid "
        f"ORDER BY {keyset.order_by(page_keys, 'p.rid')}"
    )


def _driven(frame: Frame) -> str:
    """A page of rids out of the index tables, then their rows, one by one by primary key."""
    rids = f"{_candidates(frame, *_first(frame))} ORDER BY i.rid DESC"
    limit = f" LIMIT {frame.limit}"
    # Index rows belong to resources of this tenant and type that exist, so without conditions on the row the page is
    # cut before any row is read. OFFSET 0 keeps the planner from reading all resources to merge them with these few.
    rows = " AND ".join(["r.rid = p.rid", frame.scope, *frame.rows])
    return (
        f"SELECT r.* FROM ({rids}{'' if frame.rows else limit}) p CROSS JOIN LATERAL "
        f"(SELECT {_PAGE_COLUMNS} FROM resource r WHERE {rows} OFFSET 0) r ORDER BY p.rid DESC{limit}"
    )


def _first(frame: Frame) -> tuple[Condition, str]:
    """The condition to start from, with its rids, newest first: a unique one, which an index gives in that order.

    Alternatives are looked up each by itself, so that the index gives each in order, and they need only be merged.
    """
    clause, first = min(frame.drivers, key=lambda driver: (driver[0].parameter.type == "date", not driver[1].unique))
    if clause.parameter.type == "date":
        # OFFSET 0 keeps the planner, which thinks the window wide, from reading all dates in the order of their rids.
        return first, f"{first.rids} OFFSET 0"
    if first.unique or clause.parameter.type == "string" or not 1 < len(clause.values) <= _MOST_MERGED:
        return first, first.rids
    parts = [support.where(replace(clause, values=(value,)), frame.sql, frame.hasher) for value in clause.values]
    if not all(part.unique for part in parts):
        return first, first.rids
    return first, " UNION ALL ".join(f"({part.rids} ORDER BY i.rid DESC)" for part in parts)


def _candidates(frame: Frame, first: Condition, rids: str) -> str:
    """The rids that every index condition gives, each once, starting from ``rids``, those of the ``first``."""
    others = [f"i.rid IN ({condition.rids})" for condition in frame.rids if condition is not first]
    where = " AND ".join(filter(None, [*others, frame.after]))
    distinct = "" if first.unique else "DISTINCT "
    return f"SELECT {distinct}i.rid FROM ({rids}) i{' WHERE ' if where else ''}{where}"


def _matches(frame: Frame) -> str:
    """The rids of all matches; out of the index tables alone where no condition looks at the row."""
    if frame.rids and not frame.rows:
        first = min(frame.rids, key=lambda condition: not condition.unique)
        return _candidates(frame, first, first.rids)
    where = " AND ".join([frame.scope, *frame.rows, *(f"r.rid IN ({c.rids})" for c in frame.rids)])
    return f"SELECT r.rid FROM resource r WHERE {where}"
