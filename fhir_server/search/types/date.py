"""Date search: intervals against intervals. https://hl7.org/fhir/R4/search.html#date"""

from __future__ import annotations

from typing import Any

from fhir_server.crypto.hashing import Hasher
from fhir_server.r4 import definitions, instants
from fhir_server.search import date_ranges
from fhir_server.search.condition import Condition
from fhir_server.search.paths import single_valued
from fhir_server.search.query import Clause
from fhir_server.search.sql import SqlParameters
from fhir_server.search.values import bad_modifier, bad_value, split_prefix
from fhir_server.store.index_rows import IndexRows

OVERLAPS = "po"
"""The operator of a _filter that no search has; search/filter_language.py puts it in for a modifier.

https://hl7.org/fhir/R4/search_filter.html#ops
"""


def moment(value: str, params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
    """Write a date, dateTime or instant."""
    low, high = instants.interval(value)
    rows.dates += [(param, low, high) for param in params]


def period(value: dict[str, Any], params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
    """Write a Period, open where an end is missing."""
    low, high = instants.period(value)
    rows.dates += [(param, low, high) for param in params]


def timing(value: dict[str, Any], params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
    """Write the outer limits of a Timing."""
    limits = instants.timing(value)
    if limits is not None:
        rows.dates += [(param, *limits) for param in params]


EXTRACT = {"date": moment, "dateTime": moment, "instant": moment, "Period": period, "Timing": timing}


def _on_row(clause: Clause) -> bool:
    """Whether the row's own date columns hold all that the index table has of this parameter."""
    parameter = clause.parameter
    return _single(clause) and definitions.load().date_param.get(parameter.resource_type) == parameter.code


def _single(clause: Clause) -> bool:
    return single_valued(clause.parameter.expression, clause.parameter.resource_type)


def _condition(clause: Clause, sql: SqlParameters, low: str, high: str) -> str:
    if clause.modifier not in ("", OVERLAPS):
        raise bad_modifier(clause)
    conditions = []
    for value in clause.values:
        prefix, text = (OVERLAPS, value) if clause.modifier else split_prefix(value)
        try:
            searched = date_ranges.searched(text)
        except ValueError as error:
            raise bad_value(clause, str(error)) from None
        conditions.append(date_ranges.comparison(prefix, searched, sql, low, high, "bigint"))
    return conditions[0] if len(conditions) == 1 else " OR ".join(f"({one})" for one in conditions)


def where(clause: Clause, sql: SqlParameters, hasher: Hasher) -> Condition:
    """What the clause is in SQL. Raises BadRequest for every modifier and for what is no date."""
    rids = (
        f"SELECT i.rid FROM idx_date i WHERE i.tenant_id = {sql.tenant} AND "  # noqa: S608
        f"i.param = {sql.bind(clause.parameter.param, 'int')} AND ({_condition(clause, sql, 'i.low', 'i.high')})"
    )
    row = f"({_condition(clause, sql, 'r.date_low', 'r.date_high')})" if _on_row(clause) else ""
    return Condition(rids, row, unique=_single(clause))
