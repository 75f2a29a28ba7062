"""Conditions on ranges evaluated by SQLite, which needs no server."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass

from fhir_server.search.sql import SqlParameters

_PLACEHOLDER = re.compile(r"\$(\d+)::\w+")
_CONNECTION = sqlite3.connect(":memory:", check_same_thread=False)


@dataclass(frozen=True)
class Row:
    """One row with the columns ``low`` and ``high``."""

    low: float
    high: float

    def satisfies(self, condition: str, sql: SqlParameters) -> bool:
        """Whether the condition is true of the row."""
        values = [*sql.values, self.low, self.high]
        row = f"(SELECT ?{len(values) - 1} AS low, ?{len(values)} AS high)"
        bound = _PLACEHOLDER.sub(r"?\1", condition)
        return bool(_CONNECTION.execute(f"SELECT {bound} FROM {row}", values).fetchone()[0])  # noqa: S608
