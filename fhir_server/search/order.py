"""The order of a search's results: where the value of each sort key stands. https://hl7.org/fhir/R4/search.html#_sort

- *columns* of the resource's row: ``_id``, ``_lastUpdated``, and the clinical date where the rows are few;
- *walks* along an index table that is itself in the order: dates, strings, numbers, quantities. Of several values the
  least counts, in descending order the greatest;
- *values* read from the resource's JSON for all else: codes, identifiers, URIs and references.
"""

# ruff: noqa: S608 - the text holds column names of our own and placeholders; every value is bound
from __future__ import annotations

from dataclasses import dataclass

from fhir_server.r4 import definitions
from fhir_server.search import json_values, units
from fhir_server.search.paths import Unsupported, paths, single_valued
from fhir_server.search.query import SortKey
from fhir_server.search.registry import Parameter
from fhir_server.search.sql import SqlParameters

_COLUMNS = {"_lastUpdated": ("r.last_updated", "bigint"), "_id": ("r.id", "text")}


@dataclass(frozen=True, slots=True)
class Walk:
    """An index table in the order of a parameter's values.

    ``tie`` are the columns that tell two rows of one resource with the same value apart. ``single`` says that no
    resource has two rows.
    """

    table: str
    column: str
    tie: tuple[str, ...]
    param: int
    single: bool


_TABLES = {
    "date": ("idx_date", "low", ("high",), "bigint"),
    "string": ("idx_string", "value", ("exact",), "text"),
    "number": ("idx_quantity", "low", ("unit", "high"), "float8"),
    "quantity": ("idx_quantity", "low", ("unit", "high"), "float8"),
}


def is_sortable(parameter: Parameter) -> bool:
    """Whether results can be ordered by a parameter."""
    if parameter.code in _COLUMNS:
        return True
    if parameter.type in ("composite", "special") or not parameter.expression:
        return False
    if parameter.type in _TABLES:
        return True
    return json_values.is_readable(parameter)


def column(parameter: Parameter, *, narrow: bool) -> tuple[str, str, bool] | None:
    """The column of the row ``r`` that holds the value, its type, and whether it may be NULL; None where none does.

    ``narrow`` says that the rows are few: then the row's own clinical date is nearer than the index of dates.
    """
    known = _COLUMNS.get(parameter.code)
    if known:
        return (*known, False)
    if narrow and _is_clinical_date(parameter):
        return "r.date_low", "bigint", True
    return None


def walk(parameter: Parameter) -> tuple[Walk, str] | None:
    """The index table that is in the order of the parameter, and the type of its values; None where none is."""
    known = _TABLES.get(parameter.type)
    if known is None:
        return None
    table, name, tie, cast = known
    param = units.canonical_param(parameter.param) if parameter.type == "quantity" else parameter.param
    return Walk(table, name, tie, param, _single(parameter)), cast


def scalar(key: SortKey, sql: SqlParameters, rid: str) -> tuple[str, str]:
    """The value of a key for the resource whose rid is the SQL ``rid`` and whose row is ``r``, and its type."""
    found = walk(key.parameter)
    if found is None:
        return json_values.extreme(key.parameter, sql, greatest=key.descending), "text"
    table, cast = found
    which = "max" if key.descending else "min"
    own = f"o.tenant_id = {sql.tenant} AND o.rid = {rid} AND o.param = {sql.bind(table.param, 'int')}"
    return f"(SELECT {which}(o.{table.column}) FROM {table.table} o WHERE {own})", cast


def _is_clinical_date(parameter: Parameter) -> bool:
    clinical = definitions.load().date_param.get(parameter.resource_type)
    return clinical == parameter.code and _single(parameter)


def _single(parameter: Parameter) -> bool:
    try:
        if not single_valued(parameter.expression, parameter.resource_type):
            return False
        types = {path.type for path in paths(parameter.expression, parameter.resource_type)}
    except Unsupported:
        return False
    # These write a row for each of their parts.
    return not types & {"HumanName", "Address", "Timing"}
