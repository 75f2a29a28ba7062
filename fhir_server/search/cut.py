"""Which page is cut out of an order, as parts of a statement. docs/decisions/0012-few-or-walk.md"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.search.cursor import Position
from fhir_server.search.keyset import OrderKey, after, all_keys, order_by
from fhir_server.search.sql import SqlParameters


@dataclass(frozen=True, slots=True)
class Cut:
    """Which page is cut out of an order: ``limit`` rows from a ``position`` on, or from the beginning.

    ``missing`` asks for the resources without the first sort value, where those are in a statement of their own.
    """

    position: Position | None
    limit: int
    sql: SqlParameters
    missing: bool = False
    split: bool = False

    @property
    def backward(self) -> bool:
        """Whether the page before the position is read."""
        return self.position is not None and self.position.backward

    @property
    def direction(self) -> str:
        """How rids alone are ordered."""
        return "ASC" if self.backward else "DESC"

    def keys(self, order: Sequence[OrderKey], rid: str) -> list[OrderKey]:
        """The keys of an order as they are read, ``rid`` the last."""
        every = all_keys(order, rid, backward=self.backward)
        return every[1:] if self.missing else every

    def tail(self, order: Sequence[OrderKey], rid: str) -> str:
        """The end of a statement in this order."""
        return f"ORDER BY {order_by(self.keys(order, rid))} LIMIT {self.limit}"

    def after(self, order: Sequence[OrderKey], rid: str) -> str:
        """The condition that a row comes after the position; "" where all of this part does."""
        position = self.position
        if position is None or (self.split and (position.values[0] is None) != self.missing):
            return ""
        values = position.values[1:] if self.missing else position.values
        return after(self.keys(order, rid), Position(values, position.rid), self.sql)

    def columns(self, order: Sequence[OrderKey]) -> str:
        """The sort values as columns k0, k1 ..."""
        first = [f"NULL::{order[0].cast}"] if self.missing else [key.column for key in order[:1]]
        named = [*first, *(key.column for key in order[1:])]
        return "".join(f", {column} AS k{number}" for number, column in enumerate(named))
