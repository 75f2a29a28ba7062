"""The order of a search's results: where the value of each sort key stands. https://hl7.org/fhir/R4/search.html#_sort

- *columns* of the resource's row: ``_id``, ``_lastUpdated``, and the clinical date where the rows are few;
- *walks* along an index table that is itself in the order: dates, strings, numbers, quantities. Of several values the
  least counts, in descending order the greatest;
- *values* read from the resource's JSON for all else: codes, identifiers, URIs and references.
"""

# ruff: noqa: S608 - the text holds column names of our own and placeholders; every value is bound
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fhir_server.r4 import definitions
from fhir_server.search import json_values, units
from fhir_server.search.keyset import OrderKey
from fhir_server.search.paths import Unsupported, paths, single_valued
from fhir_server.search.query import SortKey
from fhir_server.search.registry import Parameter
from fhir_server.search.sql import SqlParameters

_COLUMNS = {"_lastUpdated": ("r.last_updated", "bigint"), "_id": ("r.id", "text")}

_TABLES = {
    "date": ("idx_date", "low", ("high",), "bigint"),
    "string": ("idx_string", "value", ("exact",), "text"),
    "number": ("idx_quantity", "low", ("unit", "high"), "float8"),
    "quantity": ("idx_quantity", "low", ("unit", "high"), "float8"),
}


Score = Callable[[str], str]
"""From the SQL of a rid to how well its resource matches, float8."""


@dataclass(frozen=True, slots=True)
class Walk:
    """An index table in the order of a parameter's values, which are of the type ``cast``.

    ``tie`` are the columns that tell two rows of one resource with the same value apart. ``single`` says that no
    resource has two rows.
    """

    table: str
    column: str
    tie: tuple[str, ...]
    cast: str
    param: int
    single: bool


@dataclass(frozen=True, slots=True)
class Source:
    """Where the value of a sort key stands: in a ``column`` of the row ``r``, in a ``walk``, or in the JSON as a
    ``parameter`` finds it; a ``score`` is computed.

    ``nullable`` says that a resource may have none.
    """

    cast: str
    descending: bool
    nullable: bool
    column: str = ""
    walk: Walk | None = None
    parameter: Parameter | None = None
    score: Score | None = None

    @property
    def reads_row(self) -> bool:
        """Whether the value is read from the row ``r``."""
        return self.walk is None and self.score is None

    def value(self, sql: SqlParameters, rid: str) -> str:
        """The value for the resource whose rid is the SQL ``rid`` and whose row is ``r``."""
        if self.column:
            return self.column
        if self.score is not None:
            return self.score(rid)
        if self.parameter is not None:
            return json_values.extreme(self.parameter, sql, greatest=self.descending)
        if self.walk is None:
            return "NULL"
        which = "max" if self.descending else "min"
        own = f"o.tenant_id = {sql.tenant} AND o.rid = {rid} AND o.param = {sql.bind(self.walk.param, 'int')}"
        return f"(SELECT {which}(o.{self.walk.column}) FROM {self.walk.table} o WHERE {own})"

    def order(self, expression: str) -> OrderKey:
        """The key as it orders rows that have it as ``expression``; those that have none come last."""
        return OrderKey(expression, self.cast, self.descending, self.nullable)


def is_sortable(parameter: Parameter) -> bool:
    """Whether results can be ordered by a parameter."""
    if parameter.code in _COLUMNS:
        return True
    if parameter.type in ("composite", "special") or not parameter.expression:
        return False
    return parameter.type in _TABLES or json_values.is_readable(parameter)


def source(key: SortKey, *, narrow: bool) -> Source:
    """Where the value of a key is read.

    ``narrow`` says that the rows are few: then the row's own clinical date is nearer than the index of dates.
    """
    parameter = key.parameter
    known = _COLUMNS.get(parameter.code)
    if known:
        return Source(known[1], key.descending, nullable=False, column=known[0])
    if narrow and is_clinical_date(parameter):
        return clinical_date(descending=key.descending)
    found = walk(parameter)
    if found is not None:
        return Source(found.cast, key.descending, nullable=True, walk=found)
    return Source("text", key.descending, nullable=True, parameter=parameter)


def clinical_date(*, descending: bool) -> Source:
    """The clinical date on the resource's own row."""
    return Source("bigint", descending, nullable=True, column="r.date_low")


def walk(parameter: Parameter) -> Walk | None:
    """The index table that is in the order of the parameter; None where none is."""
    known = _TABLES.get(parameter.type)
    if known is None or parameter.code in _COLUMNS:
        return None
    table, column, tie, cast = known
    param = units.canonical_param(parameter.param) if parameter.type == "quantity" else parameter.param
    return Walk(table, column, tie, cast, param, is_single(parameter))


def is_clinical_date(parameter: Parameter) -> bool:
    """Whether the columns ``date_low`` and ``date_high`` of the row hold all that there is of a parameter."""
    clinical = definitions.load().date_param.get(parameter.resource_type)
    return clinical == parameter.code and is_single(parameter)


def is_single(parameter: Parameter) -> bool:
    """Whether the index has one row of a parameter for a resource at most."""
    try:
        if not single_valued(parameter.expression, parameter.resource_type):
            return False
        types = {path.type for path in paths(parameter.expression, parameter.resource_type)}
    except Unsupported:
        return False
    # These write a row for each of their parts.
    return not types & {"HumanName", "Address"}
