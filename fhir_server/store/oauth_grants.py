"""What people have let clients do, and the codes and refresh_tokens of it. https://www.rfc-editor.org/rfc/rfc6749"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from fhir_server.store import revocations

NEVER = 2**62
"""Microseconds since 1970 of what does not expire by itself."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a person has let a client do. ``context`` is the launch context: patient, encounter and what goes with them.

    ``session_id`` is the session that an online grant ends with, "" for one that outlives it.
    """

    id: str
    client_id: str
    person_id: str
    scope: str
    context: dict[str, Any] = field(default_factory=dict, hash=False)
    session_id: str = ""
    created: int = 0
    expires: int = NEVER
    revoked: int = 0


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code, as it was issued."""

    grant: Grant
    redirect_uri: str
    challenge: str
    nonce: str
    expires: int
    used: int


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh_token, as it was issued; ``used`` is when the next one took its place, 0 while it is the latest."""

    grant: Grant
    expires: int
    used: int


_GRANT = "g.id, g.client_id, g.person_id, g.scope, g.context, g.session_id, g.created, g.expires, g.revoked"


def issue(
    connection: psycopg.Connection,
    tenant_id: int,
    grant: Grant,
    *,
    digest: bytes,
    redirect_uri: str,
    challenge: str,
    nonce: str,
    expires: int,
) -> None:
    """Keep a grant and the code that it is taken up with."""
    connection.execute(
        "INSERT INTO oauth_grant (tenant_id, id, client_id, person_id, scope, context, session_id, created, expires)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            tenant_id,
            grant.id,
            grant.client_id,
            grant.person_id,
            grant.scope,
            Jsonb(grant.context),
            grant.session_id,
            grant.created,
            grant.expires,
        ],
    )
    connection.execute(
        "INSERT INTO authorization_code (tenant_id, expires, digest, grant_id, redirect_uri, challenge, nonce)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        [tenant_id, expires, digest, grant.id, redirect_uri, challenge, nonce],
    )


def code(connection: psycopg.Connection, tenant_id: int, digest: bytes) -> Code | None:
    """The code of this digest, used and expired ones as well."""
    row = connection.execute(
        f"SELECT {_GRANT}, c.redirect_uri, c.challenge, c.nonce, c.expires, c.used FROM authorization_code c"
        " JOIN oauth_grant g ON g.tenant_id = c.tenant_id AND g.id = c.grant_id"
        " WHERE c.tenant_id = %s AND c.digest = %s",
        [tenant_id, digest],
    ).fetchone()
    return None if row is None else Code(Grant(*row[:9]), *row[9:])


def use_code(connection: psycopg.Connection, tenant_id: int, digest: bytes, now: int) -> bool:
    """Use a code up; False where it was used before or its grant was revoked. One of two that try at once succeeds."""
    done = connection.execute(
        "UPDATE authorization_code c SET used = %s FROM oauth_grant g"
        " WHERE c.tenant_id = %s AND c.digest = %s AND c.used = 0 AND c.expires > %s"
        " AND g.tenant_id = c.tenant_id AND g.id = c.grant_id AND g.revoked = 0",
        [now, tenant_id, digest, now],
    )
    return bool(done.rowcount)


def refresh_token(connection: psycopg.Connection, tenant_id: int, digest: bytes) -> RefreshToken | None:
    """The refresh_token of this digest, used and expired ones as well."""
    row = connection.execute(
        f"SELECT {_GRANT}, r.expires, r.used FROM refresh_token r"
        " JOIN oauth_grant g ON g.tenant_id = r.tenant_id AND g.id = r.grant_id"
        " WHERE r.tenant_id = %s AND r.digest = %s",
        [tenant_id, digest],
    ).fetchone()
    return None if row is None else RefreshToken(Grant(*row[:9]), *row[9:])


def add_refresh_token(
    connection: psycopg.Connection, tenant_id: int, grant_id: str, digest: bytes, now: int, expires: int
) -> None:
    """Keep a new refresh_token of a grant."""
    connection.execute(
        "INSERT INTO refresh_token (tenant_id, created, expires, digest, grant_id) VALUES (%s, %s, %s, %s, %s)",
        [tenant_id, now, expires, digest, grant_id],
    )


def use_refresh_token(connection: psycopg.Connection, tenant_id: int, digest: bytes, now: int) -> bool:
    """Use a refresh_token up; False where another took its place before, or its grant or its session has ended."""
    done = connection.execute(
        "UPDATE refresh_token r SET used = %s FROM oauth_grant g"
        " WHERE r.tenant_id = %s AND r.digest = %s AND r.used = 0 AND r.expires > %s"
        " AND g.tenant_id = r.tenant_id AND g.id = r.grant_id AND g.revoked = 0 AND (g.session_id = '' OR EXISTS ("
        " SELECT FROM web_session w WHERE w.tenant_id = g.tenant_id AND w.person_id = g.person_id"
        " AND w.id = g.session_id AND w.revoked = 0 AND w.expires > %s))",
        [now, tenant_id, digest, now, now],
    )
    return bool(done.rowcount)


def find(connection: psycopg.Connection, tenant_id: int, grant_id: str) -> Grant | None:
    """The grant of this id, a revoked one as well."""
    row = connection.execute(
        f"SELECT {_GRANT} FROM oauth_grant g WHERE g.tenant_id = %s AND g.id = %s", [tenant_id, grant_id]
    ).fetchone()
    return None if row is None else Grant(*row)


def of_person(connection: psycopg.Connection, tenant_id: int, person_id: str, now: int) -> list[tuple[Grant, str, int]]:
    """What a person lets clients do at present: the grant, the client's name, when it was last refreshed or 0.

    Only grants that have been taken up and can be used on: by a refresh_token that is still good.
    """
    rows = connection.execute(
        f"SELECT {_GRANT}, k.name, r.created FROM oauth_grant g"
        " JOIN oauth_client k ON k.tenant_id = g.tenant_id AND k.id = g.client_id"
        " CROSS JOIN LATERAL (SELECT max(t.created) FROM refresh_token t WHERE t.tenant_id = g.tenant_id"
        " AND t.grant_id = g.id AND t.used = 0 AND t.expires > %s) r(created)"
        " WHERE g.tenant_id = %s AND g.person_id = %s AND g.revoked = 0 AND g.expires > %s AND r.created IS NOT NULL"
        " ORDER BY g.created DESC LIMIT 200",
        [now, tenant_id, person_id, now],
    )
    return [(Grant(*row[:9]), row[9], row[10]) for row in rows]


def revoke(connection: psycopg.Connection, tenant_id: int, grant_id: str, now: int) -> None:
    """Take a grant back, with every access_token and refresh_token of it."""
    revocations.revoke_grants(connection, tenant_id, grant_id=grant_id, now=now)
