"""The clients of a clinic's authorization server. https://www.rfc-editor.org/rfc/rfc7591#section-2"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

ACTIVE, PENDING, DISABLED = "active", "pending", "disabled"
"""States: in use; registered, and waiting for somebody of the clinic to approve it; shut out."""

_COLUMNS = (
    "id, name, method, state, scope, redirect_uris, grant_types, jwks_uri, jwks, launch_uri, metadata, created,"
    " created_by, approved, approved_by, secret, registration"
)


@dataclass(frozen=True, slots=True)
class Client:
    """An app or a service. ``method`` is its token_endpoint_auth_method.

    ``secret`` and ``registration`` are the SHA-256 digests of its client_secret and its registration_access_token.
    ``scope`` is what it may be granted at most, separated by spaces. Times are microseconds since 1970, 0 for never.
    """

    id: str
    name: str
    method: str
    state: str = ACTIVE
    scope: str = ""
    redirect_uris: tuple[str, ...] = ()
    grant_types: tuple[str, ...] = ()
    jwks_uri: str = ""
    jwks: dict[str, Any] | None = None
    launch_uri: str = ""
    metadata: dict[str, Any] = field(default_factory=dict, hash=False)
    created: int = 0
    created_by: str = ""
    approved: int = 0
    approved_by: str = ""
    secret: bytes = field(default=b"", repr=False)
    registration: bytes = field(default=b"", repr=False)


def add(connection: psycopg.Connection, tenant_id: int, client: Client) -> bool:
    """Add a client; False where its id is taken."""
    done = connection.execute(
        f"INSERT INTO oauth_client (tenant_id, {_COLUMNS}) VALUES (%s{', %s' * 17}) ON CONFLICT DO NOTHING",
        [tenant_id, *_values(client)],
    )
    return bool(done.rowcount)


def replace(connection: psycopg.Connection, tenant_id: int, client: Client) -> bool:
    """Put a client in the place of the one with its id; False where there is none."""
    done = connection.execute(
        f"UPDATE oauth_client SET ({_COLUMNS}) = ROW({'%s, ' * 16}%s) WHERE tenant_id = %s AND id = %s",
        [*_values(client), tenant_id, client.id],
    )
    return bool(done.rowcount)


def set_state(connection: psycopg.Connection, tenant_id: int, client_id: str, state: str, by: str, now: int) -> bool:
    """Approve a client or shut it out; False where there is none."""
    approval = ", approved = %s, approved_by = %s" if state == ACTIVE else ""
    done = connection.execute(
        f"UPDATE oauth_client SET state = %s{approval} WHERE tenant_id = %s AND id = %s",
        [state, *([now, by] if approval else []), tenant_id, client_id],
    )
    return bool(done.rowcount)


def remove(connection: psycopg.Connection, tenant_id: int, client_id: str) -> bool:
    """Forget a client; False where there is none."""
    done = connection.execute("DELETE FROM oauth_client WHERE tenant_id = %s AND id = %s", [tenant_id, client_id])
    return bool(done.rowcount)


def find(connection: psycopg.Connection, tenant_id: int, client_id: str) -> Client | None:
    """The client of this id, whatever its state."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM oauth_client WHERE tenant_id = %s AND id = %s", [tenant_id, client_id]
    ).fetchone()
    return None if row is None else _client(row)


def listed(connection: psycopg.Connection, tenant_id: int) -> list[Client]:
    """Every client, by name."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM oauth_client WHERE tenant_id = %s ORDER BY name, id", [tenant_id]
    )
    return [_client(row) for row in rows]


def add_initial_access_token(
    connection: psycopg.Connection, tenant_id: int, digest: bytes, uses: int, expires: int, created_by: str
) -> None:
    """Let whoever holds a token register ``uses`` clients. https://www.rfc-editor.org/rfc/rfc7591#section-3"""
    connection.execute(
        "INSERT INTO initial_access_token (tenant_id, expires, uses, digest, created_by) VALUES (%s, %s, %s, %s, %s)",
        [tenant_id, expires, uses, digest, created_by],
    )


def use_initial_access_token(connection: psycopg.Connection, tenant_id: int, digest: bytes, now: int) -> bool:
    """Take one use of a token; False where it is none, has none left or has expired."""
    done = connection.execute(
        "UPDATE initial_access_token SET uses = uses - 1"
        " WHERE tenant_id = %s AND digest = %s AND uses > 0 AND expires > %s",
        [tenant_id, digest, now],
    )
    return bool(done.rowcount)


def use_assertion(connection: psycopg.Connection, tenant_id: int, client_id: str, digest: bytes, expires: int) -> bool:
    """Note that an assertion was used, until it expires; False where it was used before.

    https://www.rfc-editor.org/rfc/rfc7523#section-3
    """
    done = connection.execute(
        "INSERT INTO client_assertion (tenant_id, expires, client_id, digest) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        [tenant_id, expires, client_id, digest],
    )
    return bool(done.rowcount)


def _values(client: Client) -> list[object]:
    return [
        client.id,
        client.name,
        client.method,
        client.state,
        client.scope,
        list(client.redirect_uris),
        list(client.grant_types),
        client.jwks_uri,
        None if client.jwks is None else Jsonb(client.jwks),
        client.launch_uri,
        Jsonb(client.metadata),
        client.created,
        client.created_by,
        client.approved,
        client.approved_by,
        client.secret,
        client.registration,
    ]


def _client(row: tuple[Any, ...]) -> Client:
    values = list(row)
    values[5], values[6] = tuple(row[5]), tuple(row[6])
    values[15], values[16] = bytes(row[15]), bytes(row[16])
    return Client(*values)
