"""Relations that people of the clinic state: assignments, matters, and broken glass. docs/care.md

Each is kept in step with care_relation in the same transaction, under its negative id as the source.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg

from fhir_server.access import relations
from fhir_server.crypto.hashing import Hasher
from fhir_server.store.reading import now


@dataclass(frozen=True, slots=True)
class Assignment:
    """That a person ("Practitioner/1" or "User/{id}") cares for a patient, or represents one in a matter.

    ``kind`` is relations.ASSIGNMENT or MATTER, ``patient_id`` the id of the Patient; it holds in the time [low, high).
    ``created_by`` and ``revoked_by`` name who said so. Times are microseconds since 1970 UTC.
    """

    person: str
    patient_id: str
    kind: int
    low: int
    high: int
    matter: str
    reason: str
    created_by: str
    id: int = 0
    created: int = 0
    revoked: int | None = None
    revoked_by: str = ""


@dataclass(frozen=True, slots=True)
class Broken:
    """That ``subject`` ("User/{id}") looked at a patient that was not theirs, from ``at`` until ``until``, and why."""

    subject: str
    patient_id: str
    reason: str
    at: int
    until: int
    id: int = 0
    acknowledged: int | None = None
    acknowledged_by: str = ""


def assign(connection: psycopg.Connection, tenant_id: int, hasher: Hasher, given: Assignment) -> int:
    """Note an assignment, in a transaction of the tenant; answers its id."""
    person, patient = hasher.uncached(given.person), hasher.uncached(f"Patient/{given.patient_id}")
    number = _id(
        connection.execute(
            "INSERT INTO assignment (tenant_id, person, patient, low, high, created, kind, person_name, patient_id,"
            " matter, reason, created_by) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
            [
                tenant_id, person, patient, given.low, given.high, now(), given.kind, given.person, given.patient_id,
                given.matter, given.reason, given.created_by,
            ],
        )
    )  # fmt: skip
    _relate(connection, tenant_id, (person, patient, -number, given.low, given.high, given.kind))
    return number


def revoke(
    connection: psycopg.Connection, tenant_id: int, hasher: Hasher, number: int, patient_id: str, by: str
) -> bool:
    """End an assignment of a patient at once; False where there is none of this number that is not revoked."""
    found = connection.execute(
        "UPDATE assignment SET revoked = %s, revoked_by = %s"
        " WHERE tenant_id = %s AND id = %s AND patient = %s AND revoked IS NULL RETURNING id",
        [now(), by, tenant_id, number, hasher.uncached(f"Patient/{patient_id}")],
    ).fetchone()
    if found is None:
        return False
    connection.execute("DELETE FROM care_relation WHERE tenant_id = %s AND source = %s", [tenant_id, -number])
    return True


def revoke_all(
    connection: psycopg.Connection, tenant_id: int, hasher: Hasher, person: str, patient_id: str, by: str
) -> int:
    """End every assignment of a person to a patient at once; answers how many there were."""
    live = assignments(connection, tenant_id, hasher, patient_id=patient_id, person=person)
    return sum(revoke(connection, tenant_id, hasher, one.id, patient_id, by) for one in live)


def assignments(
    connection: psycopg.Connection, tenant_id: int, hasher: Hasher, *, patient_id: str = "", person: str = ""
) -> list[Assignment]:
    """The assignments of a patient, of a person, or all of them; the newest first, revoked ones too."""
    conditions, values = ["tenant_id = %s"], [tenant_id]
    if patient_id:
        conditions.append("patient = %s")
        values.append(hasher.uncached(f"Patient/{patient_id}"))
    if person:
        conditions.append("person = %s")
        values.append(hasher.uncached(person))
    rows = connection.execute(
        "SELECT person_name, patient_id, kind, low, high, matter, reason, created_by, id, created, revoked, revoked_by"
        f" FROM assignment WHERE {' AND '.join(conditions)} ORDER BY id DESC".encode(),
        values,
    )
    return [Assignment(*row) for row in rows]


def break_glass(connection: psycopg.Connection, tenant_id: int, hasher: Hasher, broken: Broken) -> int:
    """Relate a person to a patient for the time given, and note that somebody has to look at it; answers its number."""
    person, patient = hasher.uncached(broken.subject), hasher.uncached(f"Patient/{broken.patient_id}")
    number = _id(
        connection.execute(
            "INSERT INTO break_glass (tenant_id, person, patient, at, until, subject, patient_id, reason)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
            [
                tenant_id, person, patient, broken.at, broken.until, broken.subject, broken.patient_id, broken.reason,
            ],
        )
    )  # fmt: skip
    _relate(connection, tenant_id, (person, patient, -number, broken.at, broken.until, relations.BREAK_GLASS))
    return number


def alerts(connection: psycopg.Connection, tenant_id: int, *, all_of_them: bool, most: int) -> list[Broken]:
    """What nobody has acknowledged, or ``all_of_them``; the newest first."""
    which = "" if all_of_them else " AND acknowledged IS NULL"
    rows = connection.execute(
        "SELECT subject, patient_id, reason, at, until, id, acknowledged, acknowledged_by"
        f" FROM break_glass WHERE tenant_id = %s{which} ORDER BY id DESC LIMIT %s".encode(),
        [tenant_id, most],
    )
    return [Broken(*row) for row in rows]


def acknowledge(connection: psycopg.Connection, tenant_id: int, number: int | None, by: str) -> int:
    """Note who has looked at one, or at all of them; answers how many there were that nobody had looked at."""
    return connection.execute(
        "UPDATE break_glass SET acknowledged = %s, acknowledged_by = %s"
        " WHERE tenant_id = %s AND id = coalesce(%s, id) AND acknowledged IS NULL",
        [now(), by, tenant_id, number],
    ).rowcount


def _relate(connection: psycopg.Connection, tenant_id: int, row: Iterable[int]) -> None:
    connection.execute(
        "INSERT INTO care_relation (tenant_id, person, patient, source, low, high, kind)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        [tenant_id, *row],
    )


def _id(cursor: psycopg.Cursor[tuple[Any, ...]]) -> int:
    row = cursor.fetchone()
    assert row is not None  # noqa: S101 - RETURNING answers a row
    return int(row[0])
