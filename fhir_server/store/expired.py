"""What can be forgotten because it has expired: sessions, codes, failures of signing in. docs/operations.md"""

from __future__ import annotations

import psycopg

from fhir_server.store import directory, revocations, sign_in_failures
from fhir_server.store.session import Database

DAY = 86_400_000_000
"""Microseconds."""

_TABLES = (
    ("web_session", "expires < %s"),
    ("authorization_request", "expires < %s"),
    ("authorization_code", "expires < %s"),
    ("smart_launch", "expires < %s"),
    ("client_assertion", "expires < %s"),
    ("initial_access_token", "expires < %s"),
    ("refresh_token", "expires < %s"),
)

PLATFORM = 0


def remove(database: Database, now: int) -> int:
    """Forget, of every clinic and of the platform, what expired over a day ago; the answer is how many rows.

    A code or a refresh_token that comes back within a day still ends its grant. A grant goes 400 days after it was
    given, once nothing of it can be used. Raises Unavailable.
    """
    removed = database.transaction(PLATFORM, lambda c: revocations.prune(c, now))
    for tenant_id in [PLATFORM, *(number for _, number in directory.all_tenants(database))]:
        removed += database.transaction(tenant_id, lambda c, tenant=tenant_id: _of_tenant(c, tenant, now))  # type: ignore[misc]
    return removed


def _of_tenant(connection: psycopg.Connection, tenant_id: int, now: int) -> int:
    removed = sign_in_failures.prune(connection, tenant_id, now)
    for table, condition in _TABLES:
        removed += connection.execute(
            f"DELETE FROM {table} WHERE tenant_id = %s AND {condition}", [tenant_id, now - DAY]
        ).rowcount
    used_up = connection.execute(
        "DELETE FROM oauth_grant g WHERE g.tenant_id = %s AND g.created < %s"
        " AND NOT EXISTS (SELECT FROM refresh_token r WHERE r.tenant_id = g.tenant_id AND r.grant_id = g.id)"
        " AND NOT EXISTS (SELECT FROM authorization_code c WHERE c.tenant_id = g.tenant_id AND c.grant_id = g.id)",
        [tenant_id, now - 400 * DAY],
    )
    return removed + used_up.rowcount
