"""Who cares for whom, and what patients consent to: derived from the resources. docs/access.md"""

from __future__ import annotations

from sqlalchemy import Table

CARE_TABLES: tuple[Table, ...] = ()
"""Those that hold a tenant's data: each has row level security, forced."""
