"""What `fhir-server load` has written already, noted in the transaction that wrote it. docs/architecture.md, "Rows" """

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from fhir_server.store.wire import Statement, array, run

_FIND = Statement("load_find", "SELECT resources, pending FROM load_progress WHERE tenant_id = $1 AND digest = $2")
_ADD = Statement(
    "load_add", "INSERT INTO load_progress (tenant_id, digest, resources, pending) VALUES ($1, $2, $3, $4)"
)
_CHANGE = Statement(
    "load_change", "UPDATE load_progress SET pending = $3, changed = now() WHERE tenant_id = $1 AND digest = $2"
)


@dataclass(frozen=True, slots=True)
class Progress:
    """What became of one part of the input.

    ``resources`` is the number of positions in it, and ``pending`` are those, from 0, that are not loaded yet.
    """

    resources: int
    pending: tuple[int, ...]


def find(connection: psycopg.Connection, tenant_id: int, digest: bytes) -> Progress | None:
    """What is known of the input with this digest, None for nothing; within a transaction bound to the tenant."""
    result = run(connection, _FIND, (b"%d" % tenant_id, _bytea(digest)))
    if not result.ntuples:
        return None
    listed = (result.get_value(0, 1) or b"{}")[1:-1]
    return Progress(int(result.get_value(0, 0) or 0), tuple(map(int, listed.split(b","))) if listed else ())


def note(
    connection: psycopg.Connection,
    tenant_id: int,
    digest: bytes,
    resources: int,
    pending: Sequence[int],
    before: Progress | None,
) -> None:
    """Note, within the transaction that loads them, what is still pending of ``resources`` positions.

    ``before`` is what `find` said in this transaction. Raises psycopg.errors.UniqueViolation where another process has
    loaded the same meanwhile: run again, the transaction will find that.
    """
    key = (b"%d" % tenant_id, _bytea(digest))
    if before is None:
        run(connection, _ADD, (*key, b"%d" % resources, array(pending)))
    else:
        run(connection, _CHANGE, (*key, array(pending)))


def _bytea(value: bytes) -> bytes:
    """https://www.postgresql.org/docs/current/datatype-binary.html#DATATYPE-BINARY-BYTEA-HEX-FORMAT"""
    return b"\\x" + value.hex().encode()


def exists(connection: psycopg.Connection) -> bool:
    """Whether the database has been migrated as far as a load needs it."""
    return connection.execute("SELECT to_regclass('load_progress')").fetchone() != (None,)
