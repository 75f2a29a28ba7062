"""The audit trail, chained for each clinic. docs/audit.md"""

from __future__ import annotations

from sqlalchemy import Table

AUDIT_TABLES: tuple[Table, ...] = ()
"""Those that hold a tenant's data: each has row level security, forced."""
