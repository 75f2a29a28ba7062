"""What a clinic has set for itself, by name. docs/people.md"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.types.json import Jsonb


def read(connection: psycopg.Connection, tenant_id: int) -> dict[str, Any]:
    """Everything that the clinic has set."""
    rows = connection.execute("SELECT name, value FROM clinic_setting WHERE tenant_id = %s", [tenant_id])
    return dict(rows.fetchall())


def write(connection: psycopg.Connection, tenant_id: int, values: dict[str, Any]) -> None:
    """Set values by name; None takes a setting back to its default."""
    for name, value in values.items():
        if value is None:
            connection.execute("DELETE FROM clinic_setting WHERE tenant_id = %s AND name = %s", [tenant_id, name])
        else:
            connection.execute(
                "INSERT INTO clinic_setting (tenant_id, name, value) VALUES (%s, %s, %s)"
                " ON CONFLICT (tenant_id, name) DO UPDATE SET value = excluded.value",
                [tenant_id, name, Jsonb(value)],
            )
