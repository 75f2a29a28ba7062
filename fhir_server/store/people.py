"""Who may sign in at a clinic. docs/people.md

What ends somebody's access is written together with the change that ends it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import errors as pg

from fhir_server.store import revocations, web_sessions

_COLUMNS = (
    "id, tenant_id, username, name, roles, fhir_user, disabled, must_change_password, password, upstream, created,"
    " password_changed"
)


class Taken(Exception):
    """The account elsewhere is somebody else's already."""


@dataclass(frozen=True, slots=True)
class Person:
    """An account. ``fhir_user`` is who the person is in FHIR ("Practitioner/123", "" for nobody).

    ``password`` is an argon2 hash, "" for those who sign in elsewhere only; ``upstream`` is "issuer subject" there.
    Times are microseconds since 1970.
    """

    id: str
    tenant_id: int
    username: str
    name: str
    roles: tuple[str, ...]
    fhir_user: str = ""
    disabled: bool = False
    must_change_password: bool = False
    password: str = field(default="", repr=False)
    upstream: str = ""
    created: int = 0
    password_changed: int = 0

    @property
    def has_password(self) -> bool:
        """Whether the person can sign in with a password."""
        return bool(self.password)


def add(connection: psycopg.Connection, person: Person) -> bool:
    """Add a person; False where the username or the account elsewhere is taken."""
    done = connection.execute(
        f"INSERT INTO person ({_COLUMNS}) VALUES ({', '.join(['%s'] * 12)}) ON CONFLICT DO NOTHING",
        [
            person.id,
            person.tenant_id,
            person.username,
            person.name,
            list(person.roles),
            person.fhir_user,
            person.disabled,
            person.must_change_password,
            person.password,
            person.upstream,
            person.created,
            person.password_changed,
        ],
    )
    return bool(done.rowcount)


def find(connection: psycopg.Connection, tenant_id: int, person_id: str) -> Person | None:
    """The person of this id."""
    return _one(connection, "id = %s", [tenant_id, person_id])


def by_username(connection: psycopg.Connection, tenant_id: int, username: str) -> Person | None:
    """The person of this username, in its stored form."""
    return _one(connection, "username = %s", [tenant_id, username])


def by_upstream(connection: psycopg.Connection, tenant_id: int, upstream: str) -> Person | None:
    """The person of this "issuer subject"."""
    return _one(connection, "upstream = %s AND upstream <> ''", [tenant_id, upstream])


def listed(connection: psycopg.Connection, tenant_id: int) -> list[Person]:
    """Everybody, by username."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM person WHERE tenant_id = %s ORDER BY username", [tenant_id])
    return [_person(row) for row in rows]


def change(connection: psycopg.Connection, tenant_id: int, person_id: str, values: dict[str, Any], now: int) -> bool:
    """Set columns of a person; False where there is none. Raises Taken.

    A change of what the person may do takes back what was issued under the old state; being shut out or given another
    password ends the sessions and the grants as well.
    """
    given = {name: list(value) if name == "roles" else value for name, value in values.items()}
    columns = ", ".join(f"{name} = %s" for name in given)
    try:
        done = connection.execute(
            f"UPDATE person SET {columns} WHERE tenant_id = %s AND id = %s", [*given.values(), tenant_id, person_id]
        )
    except pg.UniqueViolation:
        raise Taken from None
    if not done.rowcount:
        return False
    if {"roles", "fhir_user", "disabled", "password"} & set(given):
        revocations.revoke(connection, "person", person_id, revocations.ALL, now)
    if "password" in given or given.get("disabled"):
        web_sessions.revoke_all(connection, tenant_id, person_id, now)
    if given.get("disabled") or "fhir_user" in given:
        revocations.revoke_grants(connection, tenant_id, person_id=person_id, now=now)
    return True


def _one(connection: psycopg.Connection, condition: str, values: list[Any]) -> Person | None:
    row = connection.execute(f"SELECT {_COLUMNS} FROM person WHERE tenant_id = %s AND {condition}", values).fetchone()
    return None if row is None else _person(row)


def _person(row: tuple[Any, ...]) -> Person:
    values = list(row)
    values[4] = tuple(row[4])
    return Person(*values)
