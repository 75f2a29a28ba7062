"""Date search: intervals against intervals. https://hl7.org/fhir/R4/search.html#date"""

from __future__ import annotations

from collections.abc import Sequence
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


def condition(clauses: Sequence[Clause], sql: SqlParameters, low: str, high: str) -> str:
    """The SQL condition that one interval meets all clauses. Raises BadRequest as `where` does."""
    found = [_alternatives(clause, sql, low, high) for clause in clauses]
    return " AND ".join(f"({one})" for one in found)


def _alternatives(clause: Clause, sql: SqlParameters, low: str, high: str) -> str:
    compared = [date_ranges.comparison(prefix, span, sql, low, high, "bigint") for prefix, span in _spans(clause)]
    return compared[0] if len(compared) == 1 else " OR ".join(f"({one})" for one in compared)


def _spans(clause: Clause) -> list[tuple[str, tuple[int, int]]]:
    """The prefix and the interval of each value."""
    if clause.modifier not in ("", OVERLAPS):
        raise bad_modifier(clause)
    found = []
    for value in clause.values:
        prefix, text = (OVERLAPS, value) if clause.modifier else split_prefix(value)
        try:
            found.append((prefix, date_ranges.searched(text)))
        except ValueError as error:
            raise bad_value(clause, str(error)) from None
    return found


def where(clause: Clause, sql: SqlParameters, hasher: Hasher) -> Condition:
    """What the clause is in SQL. Raises BadRequest for every modifier and for what is no date."""
    return window([clause], sql)


def window(clauses: Sequence[Clause], sql: SqlParameters) -> Condition:
    """What several clauses on one parameter are in SQL, where a resource has one value of it at most.

    A time bounded on either side is looked up in two parts, each a short stretch of an index: the intervals of up to a
    day, which begin a day before it at the earliest, and the few longer ones. Raises BadRequest as `where` does.
    """
    parameter = clauses[0].parameter
    known = f"i.tenant_id = {sql.tenant} AND i.param = {sql.bind(parameter.param, 'int')}"
    found = condition(clauses, sql, "i.low", "i.high")
    whole = f"SELECT i.rid FROM idx_date i WHERE {known} AND ({found})"  # noqa: S608
    rids = whole
    bounds = date_ranges.bounds(span for clause in clauses if len(clause.values) == 1 for span in _spans(clause))
    if bounds is not None:
        after, before, earliest = (sql.bind(us, "bigint") for us in (*bounds, bounds[0] - instants.DAY))
        rids = (
            f"{whole} AND i.low >= {earliest} AND i.low < {before} UNION ALL {whole} "
            f"AND i.high > {after} AND i.low < {earliest} AND i.low < i.high - {instants.DAY}"
        )
    row = f"({condition(clauses, sql, 'r.date_low', 'r.date_high')})" if _on_row(clauses[0]) else ""
    return Condition(
        rids,
        row,
        unique=_single(clauses[0]),
        probe=lambda rid: f"EXISTS ({whole} AND i.rid = {rid} OFFSET 0)",
    )
