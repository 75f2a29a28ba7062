"""Parameters that the row itself answers: _id and _lastUpdated. https://hl7.org/fhir/R4/search.html#all"""

from __future__ import annotations

from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import BadRequest
from fhir_server.r4 import references
from fhir_server.search import date_ranges
from fhir_server.search.condition import Condition
from fhir_server.search.query import Clause
from fhir_server.search.sql import SqlParameters
from fhir_server.search.values import bad_modifier, bad_value, split_prefix, unescape

COLUMNS = frozenset({"_id", "_lastUpdated"})
"""The codes that are answered from columns of ``resource`` and have no index rows."""


def where(clause: Clause, sql: SqlParameters, hasher: Hasher) -> Condition:
    """What the clause is in SQL. Raises BadRequest for other special parameters, modifiers and bad values."""
    if clause.parameter.code not in COLUMNS:
        raise BadRequest(
            f"{clause.text}: the search parameter {clause.parameter.code} is not supported", code="not-supported"
        )
    if clause.modifier:
        raise bad_modifier(clause)
    return Condition(row=_by_id(clause, sql) if clause.parameter.code == "_id" else _by_last_updated(clause, sql))


def _by_id(clause: Clause, sql: SqlParameters) -> str:
    ids = [unescape(value) for value in clause.values]
    for one in ids:
        if not references.ID.fullmatch(one):
            raise bad_value(clause, "an id has 1 to 64 of the characters A-Z a-z 0-9 - .")
    return f"r.id = {sql.bind(ids[0], 'text')}" if len(ids) == 1 else f"r.id = ANY({sql.bind(ids, 'text[]')})"


def _by_last_updated(clause: Clause, sql: SqlParameters) -> str:
    conditions = []
    for value in clause.values:
        prefix, text = split_prefix(value)
        try:
            searched = date_ranges.searched(text)
        except ValueError as error:
            raise bad_value(clause, str(error)) from None
        conditions.append(f"({_moment_comparison(prefix, searched, sql)})")
    return conditions[0] if len(conditions) == 1 else f"({' OR '.join(conditions)})"


def _moment_comparison(prefix: str, searched: tuple[int, int], sql: SqlParameters) -> str:
    """The comparison of an interval with a moment: each prefix but ``ne`` is one range of an index on the column."""
    column = "r.last_updated"
    start, end = (sql.bind(moment, "bigint") for moment in searched)
    match prefix:
        case "eq":
            return f"{column} >= {start} AND {column} < {end}"
        case "ne":
            return f"({column} < {start} OR {column} >= {end})"
        case "gt" | "sa":
            return f"{column} >= {end}"
        case "ge":
            return f"{column} >= {start}"
        case "lt" | "eb":
            return f"{column} < {start}"
        case "le":
            return f"{column} < {end}"
    return date_ranges.comparison(prefix, searched, sql, column, column, "bigint")
