"""Clients, grants and what the authorization server remembers of them. docs/smart.md"""

from __future__ import annotations

from sqlalchemy import Table

OAUTH_TABLES: tuple[Table, ...] = ()
"""Those that hold a tenant's data: each has row level security, forced."""
