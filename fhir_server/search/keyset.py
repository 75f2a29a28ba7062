"""Pages by the sort values of the last row seen, never by counting rows. https://use-the-index-luke.com/no-offset

Rows are ordered by sort keys, then by ``rid``, which no two rows share: a page neither repeats nor loses a row,
whatever is written between it and the one before. The page before is the same order read backwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fhir_server.search.cursor import Position
from fhir_server.search.sql import SqlParameters


@dataclass(frozen=True, slots=True)
class OrderKey:
    """One key of an order. ``column`` is an SQL expression of the type ``cast``: bigint, float8, or text in the "C"
    collation.

    Where a column may be NULL (``nullable``), ``nulls_first`` says where those rows stand.
    """

    column: str
    cast: str
    descending: bool
    nullable: bool = False
    nulls_first: bool = False

    def reversed(self) -> OrderKey:
        """The same key read backwards."""
        return replace(self, descending=not self.descending, nulls_first=not self.nulls_first)

    def order(self) -> str:
        """The key in an ORDER BY list."""
        nulls = ""
        if self.nullable and self.nulls_first != self.descending:
            nulls = " NULLS FIRST" if self.nulls_first else " NULLS LAST"
        return f"{self.column} {'DESC' if self.descending else 'ASC'}{nulls}"


def rid_descends(keys: Sequence[OrderKey]) -> bool:
    """Whether ties are broken newest first: like the first key, so that one index scan can give the order."""
    return keys[0].descending if keys else True


def all_keys(keys: Sequence[OrderKey], rid: str, *, backward: bool) -> list[OrderKey]:
    """The keys and behind them ``rid``, the SQL of the last one, as they are read forwards or backwards."""
    whole = [*keys, OrderKey(rid, "bigint", rid_descends(keys))]
    return [key.reversed() for key in whole] if backward else whole


def order_by(keys: Sequence[OrderKey]) -> str:
    """The ORDER BY list of `all_keys`."""
    return ", ".join(key.order() for key in keys)


def after(keys: Sequence[OrderKey], position: Position, sql: SqlParameters) -> str:
    """The SQL condition that a row comes after the position in the order of ``keys``, which are of `all_keys`."""
    values = [*position.values, position.rid]
    plain = None not in values and not any(key.nullable and not key.nulls_first for key in keys)
    if plain and len({key.descending for key in keys}) == 1:
        # One row comparison is one range of an index; it passes over NULLs, which came before.
        sign = "<" if keys[0].descending else ">"
        columns = ", ".join(key.column for key in keys)
        bounds = ", ".join(sql.bind(value, key.cast) for key, value in zip(keys, values, strict=True))
        return f"({columns}) {sign} ({bounds})" if len(keys) > 1 else f"{columns} {sign} {bounds}"
    return _after(list(zip(keys, values, strict=True)), sql)


def _after(pairs: list[tuple[OrderKey, int | float | str | None]], sql: SqlParameters) -> str:
    (key, value), rest = pairs[0], pairs[1:]
    if value is None:
        beyond, equal = f"{key.column} IS NOT NULL" if key.nulls_first else "false", f"{key.column} IS NULL"
    else:
        bound = sql.bind(value, key.cast)
        beyond, equal = f"{key.column} {'<' if key.descending else '>'} {bound}", f"{key.column} = {bound}"
        if key.nullable and not key.nulls_first:
            beyond = f"({beyond} OR {key.column} IS NULL)"
    if not rest:
        return beyond
    return f"({beyond} OR ({equal} AND {_after(rest, sql)}))"
