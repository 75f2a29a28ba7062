"""The audit trail's statements. docs/audit.md"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import psycopg

from fhir_server.errors import Unavailable
from fhir_server.store import wire
from fhir_server.store.session import UNAVAILABLE, Database

_APPEND = wire.Statement("audit_append", "SELECT fhir_audit_append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")


class RecordsRefused(Exception):
    """PostgreSQL cannot take these records, now or later."""


class Row(NamedTuple):
    """A record to be appended: its JSON, and what it is searched by. ``entities`` are keys, as in resource.key."""

    id: str
    at: int
    kind: str
    outcome: str
    agent: int | None
    client: int | None
    record: str
    entities: frozenset[int]


class Appender:
    """Appends records over a connection of its own: requests never wait for it, nor it for them. For one thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: psycopg.Connection | None = None

    def __call__(self, tenant_id: int, rows: Sequence[Row]) -> int:
        """Append records to a tenant's chain, those that it has already left out. Answers how many were new.

        It may be repeated whatever became of an earlier attempt. Raises Unavailable, RecordsRefused.
        """
        try:
            if self._connection is None:
                self._connection = self._database.connect_apart()
            return append(self._connection, tenant_id, rows)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            raise RecordsRefused(error.sqlstate) from None
        except psycopg.Error:
            # Be it the connection, or tables that are not there yet: another time it may go well.
            self.close()
            raise Unavailable(UNAVAILABLE, headers=[("Retry-After", "5")]) from None

    def close(self) -> None:
        """Give the connection up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def append(connection: psycopg.Connection, tenant_id: int, rows: Sequence[Row]) -> int:
    """Append records to a tenant's chain in a transaction of their own, those that it has already left out.

    Answers how many were new. Raises psycopg.Error.
    """
    result = wire.run(connection, *appending(tenant_id, rows))
    return int(result.get_value(0, 0) or 0)


def appending(tenant_id: int, rows: Sequence[Row]) -> tuple[wire.Statement, Sequence[wire.Argument]]:
    """The statement of `append`, to be run together with others."""
    numbers, texts = wire.array, wire.text_array
    pairs = [(key, row.id) for row in rows for key in row.entities]
    return _APPEND, [
        str(tenant_id).encode(),
        "\n".join(row.record for row in rows).encode(),
        texts(row.id for row in rows),
        numbers(row.at for row in rows),
        texts(row.kind for row in rows),
        numbers(int(row.outcome) for row in rows),
        _nullable(row.agent for row in rows),
        _nullable(row.client for row in rows),
        numbers(key for key, _ in pairs),
        texts(event_id for _, event_id in pairs),
    ]


def _nullable(values: Iterable[int | None]) -> bytes:
    return ("{" + ",".join("NULL" if v is None else str(v) for v in values) + "}").encode()


def versions_since(database: Database, tenant_id: int, key: int, at: int) -> list[int]:
    """The versions of one resource that were written at the microsecond ``at`` or later. Raises Unavailable."""

    def work(connection: psycopg.Connection) -> list[int]:
        rows = connection.execute(
            "SELECT r.version FROM resource r WHERE r.tenant_id = %(tenant)s AND r.key = %(key)s"
            " AND r.last_updated >= %(at)s UNION"
            " SELECT h.version FROM resource r JOIN resource_history h ON h.tenant_id = r.tenant_id AND h.rid = r.rid"
            " WHERE r.tenant_id = %(tenant)s AND r.key = %(key)s AND h.last_updated >= %(at)s ORDER BY 1",
            {"tenant": tenant_id, "key": key, "at": at},
            prepare=False,
        ).fetchall()
        return [version for (version,) in rows]

    return database.transaction(tenant_id, work)


class Link(NamedTuple):
    """One record in its place in the chain, with what it is searched by."""

    seq: int
    record: str
    hash: bytes
    id: str
    at: int
    kind: str
    outcome: int
    agent: int | None
    client: int | None


_LINK = "seq, record, hash, id::text, at, kind, outcome, agent, client"


def walk(database: Database, tenant_id: int, after: int, most: int) -> list[Link]:
    """Records in the order of the chain, those after number ``after``. Raises Unavailable."""

    def work(connection: psycopg.Connection) -> list[Link]:
        rows = connection.execute(
            f"SELECT {_LINK} FROM audit_record WHERE tenant_id = %s AND seq > %s ORDER BY seq LIMIT %s",
            [tenant_id, after, most],
        )
        return [Link(*row) for row in rows]

    return database.transaction(tenant_id, work)


def head(database: Database, tenant_id: int) -> tuple[int, bytes] | None:
    """Where the chain ends: the number and the hash of its last record; None where it has not begun."""

    def work(connection: psycopg.Connection) -> tuple[int, bytes] | None:
        return connection.execute("SELECT seq, hash FROM audit_head WHERE tenant_id = %s", [tenant_id]).fetchone()

    return database.transaction(tenant_id, work)


def present_pairs(database: Database, tenant_id: int, pairs: Sequence[tuple[int, str]]) -> int:
    """How many of these (key, id) pairs of a record and what it is about are there. Raises Unavailable."""

    def work(connection: psycopg.Connection) -> int:
        row = connection.execute(
            "SELECT count(*) FROM unnest(%s::bigint[], %s::uuid[]) p(key, id)"
            " JOIN audit_entity e ON e.tenant_id = %s AND e.key = p.key AND e.id = p.id",
            [[key for key, _ in pairs], [event_id for _, event_id in pairs], tenant_id],
        ).fetchone()
        return row[0] if row else 0

    return database.transaction(tenant_id, work)


def counted_pairs(database: Database, tenant_id: int, seq: int) -> tuple[int, int]:
    """How many (key, id) pairs there are of records up to number ``seq``, and how many of no record at all.

    Raises Unavailable.
    """

    def work(connection: psycopg.Connection) -> tuple[int, int]:
        row = connection.execute(
            "SELECT count(*) FILTER (WHERE r.seq <= %s), count(*) FILTER (WHERE r.seq IS NULL)"
            " FROM audit_entity e LEFT JOIN audit_record r ON r.tenant_id = e.tenant_id AND r.id = e.id"
            " WHERE e.tenant_id = %s",
            [seq, tenant_id],
        ).fetchone()
        return (row[0], row[1]) if row else (0, 0)

    return database.transaction(tenant_id, work)


def spanned(database: Database, tenant_id: int, start: int, end: int) -> tuple[int, int] | None:
    """The first and the last number of the records of [start, end), in microseconds; None where there are none.

    Records stand in the order in which they came to the chain, so that those between may be a little older or younger.
    Raises Unavailable.
    """

    def work(connection: psycopg.Connection) -> tuple[int, int] | None:
        row = connection.execute(
            "SELECT min(seq), max(seq) FROM audit_record WHERE tenant_id = %s AND at >= %s AND at < %s",
            [tenant_id, start, end],
        ).fetchone()
        return None if row is None or row[0] is None else (row[0], row[1])

    return database.transaction(tenant_id, work)


def about(database: Database, tenant_id: int, key: int, most: int) -> list[str]:
    """The newest records about one entity, as JSON, the newest first. Raises Unavailable."""

    def work(connection: psycopg.Connection) -> list[str]:
        rows = connection.execute(
            "SELECT r.record FROM audit_entity e JOIN audit_record r ON r.tenant_id = e.tenant_id AND r.id = e.id"
            " WHERE e.tenant_id = %s AND e.key = %s ORDER BY e.id DESC LIMIT %s",
            [tenant_id, key, most],
        )
        return [record for (record,) in rows]

    return database.transaction(tenant_id, work)


def patient_ids(connection: psycopg.Connection, tenant_id: int, keys: Sequence[int]) -> dict[int, str]:
    """The ids of the patients that these keys stand for; those that the store does not have are left out."""
    rows = connection.execute(
        "SELECT r.key, r.id FROM resource r JOIN resource_type t ON t.id = r.type_id AND t.name = 'Patient'"
        " WHERE r.tenant_id = %s AND r.key = ANY(%s)",
        [tenant_id, list(keys)],
    )
    return dict(rows.fetchall())
