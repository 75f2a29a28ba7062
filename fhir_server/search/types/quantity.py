"""Quantity search: a number with a unit. https://hl7.org/fhir/R4/search.html#quantity"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhir_server.crypto.hashing import Hasher
from fhir_server.search import number_ranges, units
from fhir_server.search.condition import Condition
from fhir_server.search.query import Clause
from fhir_server.search.sql import SqlParameters
from fhir_server.search.values import bad_modifier, bad_value, split_prefix
from fhir_server.store.index_rows import IndexRows

Extract = Callable[[dict[str, Any], tuple[int, ...], IndexRows, Hasher], None]


def _extract(type_name: str) -> Extract:
    def extract(value: dict[str, Any], params: tuple[int, ...], rows: IndexRows, hasher: Hasher) -> None:
        found = units.written(type_name, value, hasher)
        if found is not None:
            (low, high), hashes = found
            rows.quantities += [(param, low, high, unit) for param in params for unit in hashes]

    return extract


EXTRACT: dict[str, Extract] = {name: _extract(name) for name in (*units.QUANTITIES, "Money", "Range", "SampledData")}
"""One row for each unit variant of a value."""


def _condition(clause: Clause, sql: SqlParameters, hasher: Hasher) -> str:
    if clause.modifier:
        raise bad_modifier(clause)
    param = clause.parameter.param
    conditions = []
    for value in clause.values:
        try:
            number, unit = units.searched(value)
            prefix, text = split_prefix(number)
            searched, half = number_ranges.searched(text)
        except ValueError as error:
            raise bad_value(clause, str(error)) from None
        condition = number_ranges.comparison(prefix, searched, half, sql, "i.low", "i.high")
        if unit:
            condition = f"i.unit = {sql.bind(hasher.uncached(unit), 'bigint')} AND {condition}"
        conditions.append(f"({condition})")
    return f"i.param = {sql.bind(param, 'int')} AND ({' OR '.join(conditions)})"


def where(clause: Clause, sql: SqlParameters, hasher: Hasher) -> Condition:
    """What the clause is in SQL. Raises BadRequest for every modifier and for what is no quantity."""
    return Condition(
        f"SELECT i.rid FROM idx_quantity i WHERE i.tenant_id = {sql.tenant} AND {_condition(clause, sql, hasher)}"  # noqa: S608
    )
