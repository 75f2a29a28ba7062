"""Number search: decimals and integers. https://hl7.org/fhir/R4/search.html#number"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from fhir_server.crypto.hashing import Hasher
from fhir_server.search import number_conditions, number_ranges
from fhir_server.search.condition import Condition
from fhir_server.search.number_conditions import Wanted
from fhir_server.search.query import Clause
from fhir_server.search.sql import SqlParameters
from fhir_server.search.values import bad_modifier, bad_value, split_prefix
from fhir_server.store.index_rows import IndexRows

NO_UNIT = 0
"""The unit of a number's rows: numbers have none."""


def number(value: int | Decimal, params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
    """Write a decimal or integer."""
    point = number_ranges.exact(value)
    rows.quantities += [(param, point, point, NO_UNIT) for param in params]


def of_range(value: dict[str, Any], params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
    """Write a Range without its units."""
    limits = number_ranges.of_range(value)
    if limits is not None:
        rows.quantities += [(param, *limits, NO_UNIT) for param in params]


EXTRACT = {"decimal": number, "integer": number, "positiveInt": number, "unsignedInt": number, "Range": of_range}


def where(clause: Clause, sql: SqlParameters, hasher: Hasher) -> Condition:
    """What the clause is in SQL. Raises BadRequest for every modifier and for what is no number."""
    if clause.modifier:
        raise bad_modifier(clause)
    wanted = []
    for value in clause.values:
        prefix, text = split_prefix(value)
        try:
            wanted.append(Wanted(clause.parameter.param, prefix, *number_ranges.searched(text)))
        except ValueError as error:
            raise bad_value(clause, str(error)) from None
    return number_conditions.condition(wanted, sql)
