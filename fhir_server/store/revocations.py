"""What has been taken back before it expired, for every process to know. https://www.rfc-editor.org/rfc/rfc7009

The rows of all clinics stand together and hold random ids only. Kinds: ``token`` (the jti of an access_token),
``grant``, ``person`` and ``client`` ("slug client_id"); of the last two, whatever was issued until then.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

ALL = 2**62
"""``until`` of what never expires by itself."""

KEPT = 400 * 86_400_000_000
"""Microseconds for which a revocation without an end is kept: nothing that was issued before is valid any more."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """One thing taken back: what was issued until ``at`` is void, and expired by ``until``, in microseconds."""

    kind: str
    value: str
    at: int
    until: int


def revoke(connection: psycopg.Connection, kind: str, value: str, until: int, now: int) -> None:
    """Take something back, in the transaction of ``connection``."""
    connection.execute(
        "INSERT INTO revocation (kind, value, at, until) VALUES (%s, %s, %s, %s) ON CONFLICT (kind, value) DO UPDATE"
        " SET at = greatest(revocation.at, excluded.at), until = greatest(revocation.until, excluded.until),"
        " xid = pg_current_xact_id()::text::bigint",
        [kind, value, now, min(until, now + KEPT)],
    )
    connection._fhir_revoked = True  # type: ignore[attr-defined]


def taken(connection: psycopg.Connection) -> bool:
    """Whether the transaction that has just ended took something back; to be asked once, however it has ended."""
    return bool(connection.__dict__.pop("_fhir_revoked", False))


def revoke_grants(
    connection: psycopg.Connection,
    tenant_id: int,
    *,
    now: int,
    grant_id: str | None = None,
    person_id: str | None = None,
    client_id: str | None = None,
    session_id: str | None = None,
) -> int:
    """Take back the grants that are named by all of what is given, at least one; the answer is how many."""
    named = {"id": grant_id, "person_id": person_id, "client_id": client_id, "session_id": session_id}
    given = {name: value for name, value in named.items() if value}
    if not given:
        raise ValueError("grants are taken back by name, never all of them")
    rows = connection.execute(
        "UPDATE oauth_grant SET revoked = %s WHERE tenant_id = %s AND revoked = 0"
        + "".join(f" AND {name} = %s" for name in given)
        + " RETURNING id",
        [now, tenant_id, *given.values()],
    ).fetchall()
    for (grant,) in rows:
        revoke(connection, "grant", grant, ALL, now)
    return len(rows)


def since(connection: psycopg.Connection, horizon: int, now: int) -> tuple[list[Revoked], int]:
    """What was taken back by transactions that an earlier look cannot have seen, and the horizon for the next look.

    The horizon is the oldest transaction that was still running: what it or a later one writes was not to be seen yet.
    https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT
    """
    rows = connection.execute(
        "SELECT kind, value, at, until, pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
        " FROM (VALUES (1)) one(row) LEFT JOIN revocation ON xid >= %s AND until > %s",
        [horizon, now],
        prepare=False,
    ).fetchall()
    return [Revoked(*row[:4]) for row in rows if row[0] is not None], int(rows[0][4])


def prune(connection: psycopg.Connection, now: int) -> int:
    """Forget what has expired by now; the answer is how many."""
    return connection.execute("DELETE FROM revocation WHERE until <= %s", [now]).rowcount
