"""Tenants as the platform's people change them, in processes that may only read the table. docs/platform.md"""

from __future__ import annotations

import psycopg

from fhir_server.store import search_parameters
from fhir_server.store.tenants import Tenant, find


def create(connection: psycopg.Connection, slug: str, name: str) -> Tenant | None:
    """Add a tenant, in a transaction; None where the slug is taken. Slug and name are well-formed."""
    row = connection.execute("SELECT fhir_create_tenant(%s, %s)", [slug, name]).fetchone()
    if row is None or row[0] is None:
        return None
    search_parameters.share_with_new_tenant(connection, row[0])
    return find(connection, slug)


def change(connection: psycopg.Connection, slug: str, name: str, search_timeout_ms: int | None) -> bool:
    """Give a tenant another name and another limit of its searches; False where there is none."""
    row = connection.execute("SELECT fhir_change_tenant(%s, %s, %s)", [slug, name, search_timeout_ms]).fetchone()
    return bool(row and row[0])
