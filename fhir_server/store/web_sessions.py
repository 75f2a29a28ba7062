"""Sessions of people in their browsers. https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from fhir_server.store import revocations

_COLUMNS = "id, person_id, methods, created, seen, expires, address, user_agent, state"


@dataclass(frozen=True, slots=True)
class Session:
    """One session. ``methods`` are what the person has shown; ``state`` is what pages keep between two steps.

    Times are microseconds since 1970.
    """

    id: str
    person_id: str
    methods: tuple[str, ...]
    created: int
    seen: int
    expires: int
    address: str = ""
    user_agent: str = ""
    state: dict[str, Any] = field(default_factory=dict, hash=False)


def add(connection: psycopg.Connection, tenant_id: int, digest: bytes, session: Session) -> None:
    """Begin a session. ``digest`` is the SHA-256 of its cookie."""
    connection.execute(
        f"INSERT INTO web_session (tenant_id, digest, {_COLUMNS}) VALUES (%s{', %s' * 10})",
        [
            tenant_id,
            digest,
            session.id,
            session.person_id,
            list(session.methods),
            session.created,
            session.seen,
            session.expires,
            session.address,
            session.user_agent,
            Jsonb(session.state),
        ],
    )


def find(connection: psycopg.Connection, tenant_id: int, digest: bytes, idle_since: int, now: int) -> Session | None:
    """The session of a cookie, unless it was ended, has expired, or was seen before ``idle_since`` only."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM web_session"
        " WHERE tenant_id = %s AND digest = %s AND revoked = 0 AND expires > %s AND seen > %s",
        [tenant_id, digest, now, idle_since],
    ).fetchone()
    return None if row is None else _session(row)


def touch(connection: psycopg.Connection, tenant_id: int, digest: bytes, now: int) -> None:
    """Note that the session is being used."""
    connection.execute(
        "UPDATE web_session SET seen = %s WHERE tenant_id = %s AND digest = %s AND revoked = 0 AND seen < %s",
        [now, tenant_id, digest, now],
    )


def renew(
    connection: psycopg.Connection, tenant_id: int, digest: bytes, new_digest: bytes, method: str, now: int
) -> bool:
    """Give a session another cookie and one more method; False where it has ended."""
    done = connection.execute(
        "UPDATE web_session SET digest = %s, methods = methods || %s::text, seen = %s"
        " WHERE tenant_id = %s AND digest = %s AND revoked = 0 AND expires > %s",
        [new_digest, method, now, tenant_id, digest, now],
    )
    return bool(done.rowcount)


def set_state(connection: psycopg.Connection, tenant_id: int, digest: bytes, state: dict[str, Any]) -> None:
    """Keep what pages need in the next step."""
    connection.execute(
        "UPDATE web_session SET state = %s WHERE tenant_id = %s AND digest = %s", [Jsonb(state), tenant_id, digest]
    )


def listed(connection: psycopg.Connection, tenant_id: int, person_id: str, idle_since: int, now: int) -> list[Session]:
    """A person's sessions that are still good, the latest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM web_session WHERE tenant_id = %s AND person_id = %s AND revoked = 0 AND expires > %s"
        " AND seen > %s ORDER BY created DESC LIMIT 200",
        [tenant_id, person_id, now, idle_since],
    )
    return [_session(row) for row in rows]


def revoke(connection: psycopg.Connection, tenant_id: int, person_id: str, session_id: str, now: int) -> bool:
    """End a session of a person, and what apps may do only while it lasts; False where there is none."""
    done = connection.execute(
        "UPDATE web_session SET revoked = %s WHERE tenant_id = %s AND person_id = %s AND id = %s AND revoked = 0",
        [now, tenant_id, person_id, session_id],
    )
    if done.rowcount:
        revocations.revoke_grants(connection, tenant_id, session_id=session_id, now=now)
    return bool(done.rowcount)


def revoke_all(connection: psycopg.Connection, tenant_id: int, person_id: str, now: int, but: str = "") -> int:
    """End a person's sessions but one; the answer is how many."""
    rows = connection.execute(
        "UPDATE web_session SET revoked = %s WHERE tenant_id = %s AND person_id = %s AND revoked = 0 AND id <> %s"
        " RETURNING id",
        [now, tenant_id, person_id, but],
    ).fetchall()
    for (session_id,) in rows:
        revocations.revoke_grants(connection, tenant_id, session_id=session_id, now=now)
    return len(rows)


def _session(row: tuple[Any, ...]) -> Session:
    return Session(row[0], row[1], tuple(row[2]), *row[3:])
