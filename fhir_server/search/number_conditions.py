"""What numbers and quantities of a search are in SQL. https://hl7.org/fhir/R4/search.html#number"""

# ruff: noqa: S608 - the text holds column names of our own and placeholders; every value is bound
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from fhir_server.search import number_ranges
from fhir_server.search.condition import Condition
from fhir_server.search.number_ranges import Scale
from fhir_server.search.sql import SqlParameters


@dataclass(frozen=True, slots=True)
class Wanted:
    """One value of a search: the number with half the width of what rounds to it, and the rows that it is sought in.

    ``param`` is the number of those rows, ``unit`` the hash of their unit or None for any, ``scale`` what they were
    written with.
    """

    param: int
    prefix: str
    number: Decimal
    half: Decimal
    scale: Scale = number_ranges.exact
    unit: int | None = None


def condition(alternatives: Sequence[Wanted], sql: SqlParameters) -> Condition:
    """The resources that have any of the values.

    Nearly all numbers are points, for which one column of an index is enough; those that are ranges have an index of
    their own, so each alternative is looked up in one short stretch of either.
    """
    stretches = [f"SELECT i.rid FROM idx_quantity i WHERE {part}" for one in alternatives for part in _parts(one, sql)]
    wholes = [f"({_known(one, sql)} AND {_compared(one, sql)})" for one in alternatives]
    whole = f"SELECT FROM idx_quantity i WHERE i.tenant_id = {sql.tenant} AND ({' OR '.join(wholes)})"

    def probe(rid: str) -> str:
        return f"EXISTS ({whole} AND i.rid = {rid} OFFSET 0)"

    return Condition(" UNION ALL ".join(stretches), probe=probe)


def _known(one: Wanted, sql: SqlParameters) -> str:
    known = f"i.tenant_id = {sql.tenant} AND i.param = {sql.bind(one.param, 'int')}"
    return known if one.unit is None else f"{known} AND i.unit = {sql.bind(one.unit, 'bigint')}"


def _compared(one: Wanted, sql: SqlParameters) -> str:
    return f"({number_ranges.comparison(one.prefix, one.number, one.half, sql, 'i.low', 'i.high', one.scale)})"


def _parts(one: Wanted, sql: SqlParameters) -> list[str]:
    """The condition in parts that have no row in common, each a stretch of an index."""
    known = f"{_known(one, sql)} AND {_compared(one, sql)}"
    least = number_ranges.least_high(one.prefix, one.number, one.half, one.scale)
    if least is None:
        return [known]
    bound = sql.bind(least, "float8")
    return [f"{known} AND i.low >= {bound}", f"{known} AND i.low < {bound} AND i.high >= {bound} AND i.high > i.low"]
