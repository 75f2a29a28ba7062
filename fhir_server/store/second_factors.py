"""What people show beside their password: authenticator apps, passkeys and recovery codes. docs/second-factors.md"""

from __future__ import annotations

from dataclasses import dataclass, field

import psycopg

TOTP, WEBAUTHN, RECOVERY = "totp", "webauthn", "recovery"

_COLUMNS = "id, kind, name, secret, counter, confirmed, created, last_used"


@dataclass(frozen=True, slots=True)
class Row:
    """One second factor.

    ``secret`` is sealed for an authenticator app, a public key for a passkey, a SHA-256 for a recovery code.
    ``counter`` is the time step of the last code, or the passkey's own counter. Times are microseconds since 1970.
    """

    id: str
    kind: str
    name: str
    secret: bytes = field(repr=False)
    counter: int = 0
    confirmed: bool = True
    created: int = 0
    last_used: int = 0


def add(connection: psycopg.Connection, tenant_id: int, person_id: str, row: Row) -> bool:
    """Keep a factor; False where its id is taken."""
    done = connection.execute(
        f"INSERT INTO second_factor (tenant_id, person_id, {_COLUMNS}) VALUES (%s{', %s' * 9}) ON CONFLICT DO NOTHING",
        [
            tenant_id,
            person_id,
            row.id,
            row.kind,
            row.name,
            row.secret,
            row.counter,
            row.confirmed,
            row.created,
            row.last_used,
        ],
    )
    return bool(done.rowcount)


def of_person(connection: psycopg.Connection, tenant_id: int, person_id: str) -> list[Row]:
    """A person's factors, the unconfirmed ones as well, the oldest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM second_factor WHERE tenant_id = %s AND person_id = %s ORDER BY created, id",
        [tenant_id, person_id],
    )
    return [Row(row[0], row[1], row[2], bytes(row[3]), *row[4:]) for row in rows]


def use(connection: psycopg.Connection, tenant_id: int, person_id: str, factor_id: str, counter: int, now: int) -> bool:
    """Note that a factor was used with this counter; False where it was used with it, or a later one, before.

    One of two that try at once succeeds. An unconfirmed factor is confirmed by it.
    """
    done = connection.execute(
        "UPDATE second_factor SET counter = %s, last_used = %s, confirmed = true"
        " WHERE tenant_id = %s AND person_id = %s AND id = %s AND counter < %s",
        [counter, now, tenant_id, person_id, factor_id, counter],
    )
    return bool(done.rowcount)


def note_use(connection: psycopg.Connection, tenant_id: int, person_id: str, factor_id: str, now: int) -> None:
    """Note that a factor without a counter was used."""
    connection.execute(
        "UPDATE second_factor SET last_used = %s WHERE tenant_id = %s AND person_id = %s AND id = %s",
        [now, tenant_id, person_id, factor_id],
    )


def take(connection: psycopg.Connection, tenant_id: int, person_id: str, kind: str, secret: bytes) -> bool:
    """Use a factor up; False where there is none with this secret."""
    done = connection.execute(
        "DELETE FROM second_factor WHERE tenant_id = %s AND person_id = %s AND kind = %s AND secret = %s",
        [tenant_id, person_id, kind, secret],
    )
    return bool(done.rowcount)


def remove(
    connection: psycopg.Connection,
    tenant_id: int,
    person_id: str,
    *,
    factor_id: str = "",
    kind: str = "",
    unconfirmed: bool = False,
) -> int:
    """Forget a person's factors that are all of what is said; the answer is how many."""
    conditions, values = ["tenant_id = %s", "person_id = %s"], [tenant_id, person_id]
    for column, value in (("id", factor_id), ("kind", kind)):
        if value:
            conditions.append(f"{column} = %s")
            values.append(value)
    if unconfirmed:
        conditions.append("NOT confirmed")
    return connection.execute(f"DELETE FROM second_factor WHERE {' AND '.join(conditions)}", values).rowcount
