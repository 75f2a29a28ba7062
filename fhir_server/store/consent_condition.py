"""placeholder"""

from __future__ import annotations

from typing import Any


def denied(sql: Any, row: str, persons: str, now: str) -> str:
    return f"EXISTS (SELECT FROM consent_rule k WHERE k.tenant_id = {sql.tenant} AND k.patient = {row}.patient AND NOT k.permit OFFSET 0)"
