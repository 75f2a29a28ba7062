"""What stands between a client's request and its code: the request itself, and launches begun in the clinic.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb


@dataclass(frozen=True, slots=True)
class Launch:
    """An EHR launch: who began it, for which client ("" for any), and what is open there."""

    person_id: str
    client_id: str
    context: dict[str, Any]


def keep_request(
    connection: psycopg.Connection, tenant_id: int, digest: bytes, request: dict[str, Any], now: int, expires: int
) -> None:
    """Keep a request while the person signs in and decides."""
    connection.execute(
        "INSERT INTO authorization_request (tenant_id, created, expires, digest, request) VALUES (%s, %s, %s, %s, %s)",
        [tenant_id, now, expires, digest, Jsonb(request)],
    )


def request(connection: psycopg.Connection, tenant_id: int, digest: bytes, now: int) -> dict[str, Any] | None:
    """The request of this digest; None where there is none or it has expired."""
    row = connection.execute(
        "SELECT request FROM authorization_request WHERE tenant_id = %s AND digest = %s AND expires > %s",
        [tenant_id, digest, now],
    ).fetchone()
    return None if row is None else row[0]


def change_request(
    connection: psycopg.Connection, tenant_id: int, digest: bytes, changes: dict[str, Any], now: int
) -> bool:
    """Set some of a request's values; False where there is none any more."""
    done = connection.execute(
        "UPDATE authorization_request SET request = request || %s"
        " WHERE tenant_id = %s AND digest = %s AND expires > %s",
        [Jsonb(changes), tenant_id, digest, now],
    )
    return bool(done.rowcount)


def end_request(connection: psycopg.Connection, tenant_id: int, digest: bytes) -> bool:
    """Forget a request; False where it was answered before."""
    done = connection.execute(
        "DELETE FROM authorization_request WHERE tenant_id = %s AND digest = %s", [tenant_id, digest]
    )
    return bool(done.rowcount)


def keep_launch(
    connection: psycopg.Connection, tenant_id: int, digest: bytes, launch: Launch, now: int, expires: int
) -> None:
    """Keep a launch until the client comes back with it."""
    connection.execute(
        "INSERT INTO smart_launch (tenant_id, created, expires, digest, person_id, client_id, context)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        [tenant_id, now, expires, digest, launch.person_id, launch.client_id, Jsonb(launch.context)],
    )


def launch(connection: psycopg.Connection, tenant_id: int, digest: bytes, now: int) -> Launch | None:
    """The launch of this digest; None where there is none or it has expired."""
    row = connection.execute(
        "SELECT person_id, client_id, context FROM smart_launch WHERE tenant_id = %s AND digest = %s AND expires > %s",
        [tenant_id, digest, now],
    ).fetchone()
    return None if row is None else Launch(*row)


def end_launch(connection: psycopg.Connection, tenant_id: int, digest: bytes) -> bool:
    """Use a launch up; False where it was used before."""
    done = connection.execute("DELETE FROM smart_launch WHERE tenant_id = %s AND digest = %s", [tenant_id, digest])
    return bool(done.rowcount)
