"""The floor of bulk import: COPY of the rows it writes, by the tables' owner. https://www.postgresql.org/docs/current/sql-copy.html"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import psycopg
from psycopg import sql

from benchmarks.accounting import cpu_microseconds
from benchmarks.driver import Load
from benchmarks.prepared import Prepared
from fhir_server.store.wire import array

Row = tuple[object, ...]

_RESOURCE = (
    "tenant_id", "version", "rid", "key", "patient", "date_low", "date_high", "last_updated", "type_id", "deleted",
    "id", "method", "tokens", "params", "meta", "body",
)  # fmt: skip


def copy_rows(
    prepared: Sequence[Prepared], tenant_id: int, owner_url: str, postgres_pid: int, *, count: bool = True
) -> Load:
    """Write resources with all their index rows by COPY, in one transaction; their keys must be new to the tenant.

    Rows are made ready before the clock starts: only PostgreSQL's work counts.
    """
    with psycopg.connect(owner_url, autocommit=True) as connection:
        taken = connection.execute(
            "SELECT min(n), max(n) FROM (SELECT nextval('resource_rid') n FROM generate_series(1, %s)) x",
            [len(prepared)],
        ).fetchone()
        assert taken is not None
        last_updated = time.time_ns() // 1_000_000 * 1000
        tables = [
            (name, columns, list(rows)) for name, columns, rows in _tables(prepared, tenant_id, taken[0], last_updated)
        ]
        texts = [(name, columns, [_line(row) for row in rows]) for name, columns, rows in tables if rows]
        trees = {"postgres": postgres_pid} if count else {}
        before, begun = cpu_microseconds(trees), time.perf_counter()
        with connection.transaction():
            for name, columns, lines in texts:
                statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
                    sql.Identifier(name), sql.SQL(", ").join(map(sql.Identifier, columns))
                )
                with connection.cursor().copy(statement) as copy:
                    for start in range(0, len(lines), 500):
                        copy.write(b"".join(lines[start : start + 500]))
        seconds = time.perf_counter() - begun
        cpu = {name: used - before[name] for name, used in cpu_microseconds(trees).items()}
    return Load(seconds, len(prepared), {"resource": [seconds * 1e6 / len(prepared)]}, cpu)


def _tables(
    prepared: Sequence[Prepared], tenant: int, first: int, last_updated: int
) -> Iterator[tuple[str, tuple[str, ...], Iterable[Row]]]:
    numbered = list(enumerate(prepared, start=first))
    yield "resource", _RESOURCE, (_resource(one, tenant, rid, last_updated) for rid, one in numbered)
    made: dict[str, tuple[tuple[str, ...], Callable[[Prepared, int], Iterable[Row]]]] = {
        "idx_token": (("hash", "rid"), lambda one, rid: ((token, rid) for token in one.rows.tokens)),
        "idx_reference": (("param", "target", "rid"), lambda one, rid: ((*row, rid) for row in one.rows.references)),
        "idx_string": (("param", "value", "exact", "rid"), lambda one, rid: ((*row, rid) for row in one.rows.strings)),
        "idx_date": (("param", "low", "high", "rid"), lambda one, rid: ((*row, rid) for row in one.rows.dates)),
        "idx_quantity": (
            ("param", "low", "high", "unit", "rid"), lambda one, rid: ((*row, rid) for row in one.rows.quantities),
        ),
        "idx_composite": (
            ("hash", "low", "high", "value", "rid"), lambda one, rid: ((*row, rid) for row in one.rows.composites),
        ),
    }  # fmt: skip
    for name, (columns, rows_of) in made.items():
        yield name, ("tenant_id", *columns), ((tenant, *row) for rid, one in numbered for row in rows_of(one, rid))


def _resource(one: Prepared, tenant: int, rid: int, last_updated: int) -> Row:
    rows = one.rows
    return (
        tenant, 1, rid, one.key, rows.patient, rows.date_low, rows.date_high, last_updated, one.type_id, "f", one.id,
        "POST", array(rows.tokens), array(rows.params), one.meta, one.body,
    )  # fmt: skip


def _line(row: Row) -> bytes:
    """A row in COPY's text format. https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS"""
    return b"\t".join(map(_cell, row)) + b"\n"


def _cell(value: object) -> bytes:
    if value is None:
        return b"\\N"
    if isinstance(value, int | float):
        return repr(value).encode()
    data = value if isinstance(value, bytes) else str(value).encode()
    return data.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r").replace(b"\t", b"\\t")
