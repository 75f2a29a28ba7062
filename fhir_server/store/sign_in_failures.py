"""How often signing in has failed of late, and how long to wait. https://pages.nist.gov/800-63-4/sp800-63b.html#throttle

Subjects are hashes, of names that nobody has as well: nobody learns from a lock whom it is about.
"""

from __future__ import annotations

import psycopg

FREE = 5
"""Failures that cost nothing but the attempt."""

FIRST_WAIT_SECONDS = 30
LONGEST_WAIT_SECONDS = 3600
FORGOTTEN_SECONDS = 86_400

_SECOND = 1_000_000


def wait(failures: int) -> int:
    """How many seconds to wait after so many failures in a row: 30, doubling, up to an hour."""
    if failures < FREE:
        return 0
    return min(FIRST_WAIT_SECONDS << min(failures - FREE, 16), LONGEST_WAIT_SECONDS)


def locked(connection: psycopg.Connection, tenant_id: int, subjects: list[bytes], now: int) -> int:
    """How many seconds are left until one may try again; 0 for at once."""
    row = connection.execute(
        "SELECT max(locked_until) FROM sign_in_failure WHERE tenant_id = %s AND subject = ANY(%s)",
        [tenant_id, subjects],
    ).fetchone()
    until = row[0] if row else None
    return max(0, -(-((until or 0) - now) // _SECOND))


def failed(connection: psycopg.Connection, tenant_id: int, subject: bytes, now: int, free: int = FREE) -> int:
    """Count a failure; the answer is how many seconds to wait now. ``free`` failures cost nothing."""
    row = connection.execute(
        "INSERT INTO sign_in_failure AS f (tenant_id, subject, failures, last) VALUES (%s, %s, 1, %s)"
        " ON CONFLICT (tenant_id, subject) DO UPDATE SET"
        " failures = CASE WHEN f.last < %s THEN 1 ELSE least(f.failures, 1000000) + 1 END, last = excluded.last"
        " RETURNING failures",
        [tenant_id, subject, now, now - FORGOTTEN_SECONDS * _SECOND],
    ).fetchone()
    failures = row[0] if row else 1
    seconds = wait(failures - free + FREE)
    if seconds:
        connection.execute(
            "UPDATE sign_in_failure SET locked_until = %s WHERE tenant_id = %s AND subject = %s",
            [now + seconds * _SECOND, tenant_id, subject],
        )
    return seconds


def succeeded(connection: psycopg.Connection, tenant_id: int, subject: bytes) -> None:
    """Forget the failures of a subject."""
    connection.execute("DELETE FROM sign_in_failure WHERE tenant_id = %s AND subject = %s", [tenant_id, subject])


def prune(connection: psycopg.Connection, tenant_id: int, now: int) -> int:
    """Forget failures of more than a day ago; the answer is how many."""
    return connection.execute(
        "DELETE FROM sign_in_failure WHERE tenant_id = %s AND last < %s",
        [tenant_id, now - FORGOTTEN_SECONDS * _SECOND],
    ).rowcount
