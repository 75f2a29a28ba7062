"""Quantity search: a number with a unit. https://hl7.org/fhir/R4/search.html#quantity"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhir_server.crypto.hashing import Hasher
from fhir_server.search import number_conditions, number_ranges, units
from fhir_server.search.condition import Condition
from fhir_server.search.number_conditions import Wanted
from fhir_server.search.query import Clause
from fhir_server.search.sql import SqlParameters
from fhir_server.search.values import bad_modifier, bad_value, split_prefix
from fhir_server.store.index_rows import IndexRows

Extract = Callable[[dict[str, Any], tuple[int, ...], IndexRows, Hasher], None]


def _extract(type_name: str) -> Extract:
    def extract(value: dict[str, Any], params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
        found = units.written(type_name, value, hasher)
        if found is None:
            return
        (low, high), canonical, unit = found
        for param in params:
            rows.quantities += [(param, low, high, hashed) for hashed in unit.hashes]
            rows.quantities.append((units.canonical_param(param), *canonical, unit.canonical))

    return extract


EXTRACT: dict[str, Extract] = {name: _extract(name) for name in (*units.QUANTITIES, "Money", "Range", "SampledData")}
"""One row for each unit as stated, and one canonical row."""


def where(clause: Clause, sql: SqlParameters, hasher: Hasher) -> Condition:
    """What the clause is in SQL. Raises BadRequest for every modifier and for what is no quantity."""
    if clause.modifier:
        raise bad_modifier(clause)
    param = clause.parameter.param
    wanted = []
    for value in clause.values:
        try:
            searched = units.searched(value)
            prefix, text = split_prefix(searched.number)
            number, half = number_ranges.searched(text)
        except ValueError as error:
            raise bad_value(clause, str(error)) from None
        own = units.canonical_param(param) if searched.canonical else param
        unit = hasher.uncached(searched.variant) if searched.variant else None
        wanted.append(Wanted(own, prefix, number, half, searched.scale, unit))
    return number_conditions.condition(wanted, sql)
