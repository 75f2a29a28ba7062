"""Who can sign in: people, their second factors and sessions; what each clinic wants of them. docs/people.md"""

from __future__ import annotations

from sqlalchemy import Table

PEOPLE_TABLES: tuple[Table, ...] = ()
"""Those that hold a tenant's data: each has row level security, forced."""
