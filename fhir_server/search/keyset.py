"""Pages by the sort values of the last row seen, never by counting rows. https://use-the-index-luke.com/no-offset

Rows are ordered by sort keys, then by ``rid``, which no two rows share: a page neither repeats nor loses a row,
whatever is written between it and the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.search.cursor import Position
from fhir_server.search.sql import SqlParameters


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key of an order. ``column`` is an SQL expression of the type ``cast``, bigint or text in the "C" collation.

    Where a column may be NULL, descending order has those rows first, as an index read backwards gives them.
    """

    column: str
    cast: str
    descending: bool
    nullable: bool = False


def rid_descends(keys: Sequence[SortKey]) -> bool:
    """Whether ties are broken newest first: like the first key, so that one index scan can give the order."""
    return keys[0].descending if keys else True


def order_by(keys: Sequence[SortKey], rid: str) -> str:
    """The ORDER BY list; ``rid`` is the SQL of the last key."""
    parts = [f"{key.column} {'DESC' if key.descending else 'ASC'}" for key in keys]
    return ", ".join([*parts, f"{rid} {'DESC' if rid_descends(keys) else 'ASC'}"])


def after(keys: Sequence[SortKey], rid: str, position: Position, sql: SqlParameters) -> str:
    """The SQL condition that a row comes after the position in the order of `order_by`."""
    all_keys = [*keys, SortKey(rid, "bigint", rid_descends(keys))]
    values = [*position.values, position.rid]
    if len({key.descending for key in all_keys}) == 1 and None not in values:
        # One row comparison is one range of an index; it passes over NULLs, which came before.
        sign = "<" if all_keys[0].descending else ">"
        columns = ", ".join(key.column for key in all_keys)
        bounds = ", ".join(sql.bind(value, key.cast) for key, value in zip(all_keys, values, strict=True))
        return f"({columns}) {sign} ({bounds})" if keys else f"{columns} {sign} {bounds}"
    return _after(list(zip(all_keys, values, strict=True)), sql)


def _after(pairs: list[tuple[SortKey, int | str | None]], sql: SqlParameters) -> str:
    (key, value), rest = pairs[0], pairs[1:]
    if value is None:
        beyond, equal = f"{key.column} IS NOT NULL" if key.descending else "false", f"{key.column} IS NULL"
    else:
        bound = sql.bind(value, key.cast)
        beyond, equal = f"{key.column} {'<' if key.descending else '>'} {bound}", f"{key.column} = {bound}"
        if key.nullable and not key.descending:
            beyond = f"({beyond} OR {key.column} IS NULL)"
    if not rest:
        return beyond
    return f"({beyond} OR ({equal} AND {_after(rest, sql)}))"
