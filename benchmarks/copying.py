"""The floor of bulk import: COPY of the rows it writes, by the tables' owner. https://www.postgresql.org/docs/current/sql-copy.html"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

import psycopg
from psycopg import sql

from benchmarks.accounting import cpu_microseconds
from benchmarks.driver import Load
from benchmarks.prepared import Prepared, word_rows
from fhir_server.store.index_rows import IndexRows
from fhir_server.store.wire import array

Row = tuple[object, ...]
Phrases = dict[int, tuple[tuple[int, int], ...]]
"""Hashes of phrases, each with the hashes and weights of its words."""

_KNOWN_PHRASES = "SELECT DISTINCT phrase FROM idx_phrase WHERE tenant_id = %s"

COLUMNS: dict[str, tuple[str, ...]] = {
    "resource": (
        "tenant_id", "version", "rid", "key", "patient", "date_low", "date_high", "last_updated", "type_id", "deleted",
        "id", "method", "tokens", "params", "meta", "body",
    ),
    "idx_token": ("tenant_id", "hash", "rid"),
    "idx_reference": ("tenant_id", "param", "target", "rid"),
    "idx_string": ("tenant_id", "param", "value", "exact", "rid"),
    "idx_date": ("tenant_id", "param", "low", "high", "rid"),
    "idx_quantity": ("tenant_id", "param", "low", "high", "unit", "rid"),
    "idx_composite": ("tenant_id", "hash", "low", "high", "value", "rid"),
    "idx_word": ("tenant_id", "hash", "place", "weight", "rid"),
    "idx_phrase": ("tenant_id", "phrase", "word", "weight"),
}  # fmt: skip
"""What is written of each table, in the order of its rows here."""


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
        tables = _tables(prepared, tenant_id, taken[0], last_updated)
        texts = [(name, [_line(row) for row in rows]) for name, rows in tables if rows]
        known = {row[0] for row in connection.execute(_KNOWN_PHRASES, [tenant_id])}
        texts.append(("idx_phrase", [phrase_lines(phrases(one.rows for one in prepared), tenant_id, known)]))
        trees = {"postgres": postgres_pid} if count else {}
        before, begun = cpu_microseconds(trees), time.perf_counter()
        with connection.transaction():
            for name, texts_of in texts:
                with connection.cursor().copy(statement(name)) as copy:
                    for start in range(0, len(texts_of), 500):
                        copy.write(b"".join(texts_of[start : start + 500]))
        seconds = time.perf_counter() - begun
        cpu = {name: used - before[name] for name, used in cpu_microseconds(trees).items()}
    return Load(seconds, len(prepared), {"resource": [seconds * 1e6 / len(prepared)]}, cpu)


def _tables(
    prepared: Sequence[Prepared], tenant: int, first: int, last_updated: int
) -> Iterator[tuple[str, list[Row]]]:
    numbered = list(enumerate(prepared, start=first))
    for name, rows_of in _ROWS.items():
        yield name, [row for rid, one in numbered for row in rows_of(one, tenant, rid, last_updated)]


def lines(one: Prepared, tenant: Any, rid: Any, last_updated: Any) -> Iterator[tuple[str, bytes]]:
    """The lines of COPY for one resource, by table; the numbers may be anything that ``str`` makes their text of."""
    for name, rows_of in _ROWS.items():
        yield name, b"".join(_line(row) for row in rows_of(one, tenant, rid, last_updated))


def phrases(found: Iterable[IndexRows]) -> Phrases:
    """The phrases in the words of some resources."""
    return {phrase: words for rows in found if rows.words for phrase, words in rows.words.phrases.items()}


def phrase_lines(found: Phrases, tenant: int, known: Collection[int] = ()) -> bytes:
    """The lines of COPY for the phrases that a tenant does not know yet."""
    rows = ((tenant, phrase, *word) for phrase, words in found.items() if phrase not in known for word in words)
    return b"".join(map(_line, rows))


def statement(table: str) -> sql.Composed:
    """The COPY of a table, in the text format and the order of `lines`."""
    columns = sql.SQL(", ").join(map(sql.Identifier, COLUMNS[table]))
    return sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), columns)


def _resource(one: Prepared, tenant: Any, rid: Any, last_updated: Any) -> Iterable[Row]:
    rows = one.rows
    return ((
        tenant, 1, rid, one.key, rows.patient, rows.date_low, rows.date_high, last_updated, one.type_id, "f", one.id,
        "POST", array(rows.tokens), array(rows.params), one.meta, one.body,
    ),)  # fmt: skip


_ROWS: dict[str, Callable[[Prepared, Any, Any, Any], Iterable[Row]]] = {
    "resource": _resource,
    "idx_token": lambda one, tenant, rid, _: ((tenant, token, rid) for token in one.rows.tokens),
    "idx_reference": lambda one, tenant, rid, _: ((tenant, *row, rid) for row in one.rows.references),
    "idx_string": lambda one, tenant, rid, _: ((tenant, *row, rid) for row in one.rows.strings),
    "idx_date": lambda one, tenant, rid, _: ((tenant, *row, rid) for row in one.rows.dates),
    "idx_quantity": lambda one, tenant, rid, _: ((tenant, *row, rid) for row in one.rows.quantities),
    "idx_composite": lambda one, tenant, rid, _: ((tenant, *row, rid) for row in one.rows.composites),
    "idx_word": lambda one, tenant, rid, _: ((tenant, *row, rid) for row in word_rows(one.rows)),
}
"""All tables but idx_phrase, which has no rows of a single resource."""


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
