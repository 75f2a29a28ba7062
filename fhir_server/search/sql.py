"""The bind values of one SQL statement under assembly. https://www.postgresql.org/docs/current/sql-prepare.html"""

from __future__ import annotations


class SqlParameters:
    """Collects bind values and hands out their ``$n`` placeholders; equal values of one cast share a placeholder.

    ``values`` is the list to send with the statement. ``tenant`` is the placeholder of the tenant's id: every statement
    names its tenant itself, row level security being the second lock.
    """

    __slots__ = ("_seen", "tenant", "values")

    def __init__(self, tenant_id: int) -> None:
        self.values: list[object] = []
        self._seen: dict[tuple[str, object], str] = {}
        self.tenant = self.bind(tenant_id, "int")

    def bind(self, value: object, cast: str = "") -> str:
        """The placeholder of a value, such as ``$3::bigint``; ``cast`` is a PostgreSQL type name or ""."""
        hashable: object = tuple(value) if isinstance(value, list) else value
        key = (f"{cast}/{type(value).__name__}", hashable)
        found = self._seen.get(key)
        if found is None:
            self.values.append(value)
            number = f"${len(self.values)}"
            found = self._seen[key] = f"{number}::{cast}" if cast else number
        return found
