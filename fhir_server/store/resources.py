"""Reading and writing resources: every statement on the tables of the store. docs/architecture.md, "Rows" """

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import pq

from fhir_server.crypto.hashing import Hasher
from fhir_server.r4 import definitions
from fhir_server.r4.compose import compose
from fhir_server.store import care_rows, word_rows
from fhir_server.store.index_rows import IndexRows
from fhir_server.store.parameter_definition import Definition
from fhir_server.store.wire import Argument, Statement, array, run, text_array

TYPE_IDS = definitions.load().type_ids
TYPE_NAMES = {number: name for name, number in TYPE_IDS.items()}


def _numbered(first: int, last: int) -> str:
    return ", ".join(f"${n}" for n in range(first, last + 1))


# Words, and what a resource says of care, are written by the same statement; one that nothing was written by has none.
_PUT = Statement(
    "fhir_put",
    "SELECT p.status, p.version, p.last_updated, CASE WHEN p.status IN ('created', 'updated', 'deleted')"
    f" THEN fhir_words($1, $2, $4, p.status = 'created', {_numbered(30, 36)}) END,"
    " CASE WHEN ($37::jsonb IS NOT NULL OR $38::jsonb IS NOT NULL) AND p.status IN ('created', 'updated', 'deleted')"
    " THEN fhir_care($1, $4, p.status = 'created', $37, $38) END"
    f" FROM fhir_put({_numbered(1, 29)}) p",
)


_CREATE_MANY = Statement(
    "fhir_create_many",
    "SELECT m.existing, m.last_updated, CASE WHEN m.existing IS NULL"
    f" THEN fhir_words_many($1, {_numbered(25, 34)}) END,"
    " CASE WHEN ($35::jsonb IS NOT NULL OR $36::jsonb IS NOT NULL) AND m.existing IS NULL"
    f" THEN fhir_care_many($1, $35, $36) END FROM fhir_create_many({_numbered(1, 24)}) m",
)


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of a resource as the store holds it. Times are microseconds since 1970 UTC.

    ``patient`` is the key of the patient whose compartment it is in, or None. A deleted version has no ``body``.
    """

    resource_type: str
    id: str
    version: int
    last_updated: int
    deleted: bool
    patient: int | None
    meta: bytes | None
    body: bytes | None

    def to_bytes(self) -> bytes:
        """The resource as JSON. Raises ValueError for a deleted version, which has none."""
        if self.body is None:
            raise ValueError("a deleted version has no content")
        return compose(self.resource_type, self.id, self.version, self.last_updated, self.meta, self.body)


@dataclass(frozen=True, slots=True)
class Write:
    """One version to be written. ``body`` None deletes.

    ``expect``: None takes any state; 0 wants nothing there or a deleted resource; -1 wants any version that is not
    deleted; n wants version n to be current. ``parameter`` is what a SearchParameter defines, None where it is not to
    be in use.
    """

    resource_type: str
    id: str
    method: str
    expect: int | None
    meta: bytes | None
    body: bytes | None
    rows: IndexRows
    parameter: Definition | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a Write.

    ``status``: created, updated, deleted; or, with nothing written: conflict (``version`` is the current one, 0 for
    none), exists, gone, collision.
    """

    status: str
    version: int
    last_updated: int


def key_of(hasher: Hasher, resource_type: str, resource_id: str) -> int:
    """The key of a resource: the hash of its Type/id."""
    return hasher(f"{resource_type}/{resource_id}")


def put(connection: psycopg.Connection, tenant_id: int, hasher: Hasher, write: Write) -> Written:
    """Write one version of a resource with its history and index rows, in one statement."""
    known = word_rows.known_phrases(connection, tenant_id)
    words = word_rows.of_one(write.rows.words, known, deleted=write.body is None)
    result = run(
        connection,
        _PUT,
        [*put_arguments(tenant_id, hasher, write), *words, *care_rows.of_one(write.resource_type, write.rows)],
    )
    get = result.get_value
    written = Written((get(0, 0) or b"").decode(), int(get(0, 1) or 0), int(get(0, 2) or 0))
    if written.status in ("created", "updated"):
        word_rows.note_phrases(connection, known, write.rows.words)
    return written


def create_many(
    connection: psycopg.Connection, tenant_id: int, hasher: Hasher, writes: Sequence[Write], *, fresh: bool
) -> tuple[list[int], int]:
    """Create resources with their index rows, in one statement.

    ``fresh``: their ids are new by construction. Returns the positions of those that exist already (then nothing has
    been written) and the time they were written, in microseconds since 1970 UTC.
    """
    return created(run(connection, *creating(tenant_id, hasher, writes, fresh=fresh)))


def creating(
    tenant_id: int, hasher: Hasher, writes: Sequence[Write], *, fresh: bool
) -> tuple[Statement, list[Argument]]:
    """The statement of `create_many`, to be run together with others."""
    return _CREATE_MANY, _create_many_arguments(tenant_id, hasher, writes, fresh)


def created(result: pq.abc.PGresult) -> tuple[list[int], int]:
    """What it has come to, as `create_many` tells."""
    existing = result.get_value(0, 0)
    found = [int(n) - 1 for n in existing[1:-1].split(b",")] if existing else []
    return found, int(result.get_value(0, 1) or 0)


def _create_many_arguments(tenant_id: int, hasher: Hasher, writes: Sequence[Write], fresh: bool) -> list[Argument]:
    rows: list[bytes] = []
    keys: list[int] = []
    for number, write in enumerate(writes, start=1):
        key = hasher.uncached(f"{write.resource_type}/{write.id}")
        keys.append(key)
        rows.append(row_json(number, write, f'"k":{key},"t":{TYPE_IDS[write.resource_type]},"i":"{write.id}",'))
    many = [write.rows for write in writes]
    return [
        b"%d" % tenant_id,
        b"true" if fresh else b"false",
        b"[" + b",".join(rows) + b"]",
        *index_columns(many),
        array(keys),
        *word_rows.of_many([(TYPE_IDS[write.resource_type], write.rows.words) for write in writes]),
        *care_rows.of_many(keys, many),
    ]


def row_json(number: int, write: Write, more: str = "") -> bytes:
    """One element of p_rows of fhir_create_many and fhir_update_many; ``more`` are further members."""
    index = write.rows
    return (
        f'{{"o":{number},{more}"m":"{write.method}",'
        f'"p":{_json_number(index.patient)},"l":{_json_number(index.date_low)},"h":{_json_number(index.date_high)},'
        f'"ts":"{{{",".join(map(str, index.tokens))}}}","ps":"{{{",".join(map(str, index.params))}}}"'
    ).encode() + (b',"meta":%b,"body":%b}' % (write.meta or b"null", write.body or b"null"))


def index_columns(many: Sequence[IndexRows]) -> list[Argument]:
    """The index rows of resources, but their tokens, as one array for each column; each row numbers its resource."""
    refs: list[tuple[int, int, int]] = []
    strings: list[tuple[int, int, str, int]] = []
    dates: list[tuple[int, int, int, int]] = []
    quantities: list[tuple[int, int, float, float, int]] = []
    composites: list[tuple[int, int, float, float, str]] = []
    for number, index in enumerate(many, start=1):
        refs.extend((number, *row) for row in index.references)
        strings.extend((number, *row) for row in index.strings)
        dates.extend((number, *row) for row in index.dates)
        quantities.extend((number, *row) for row in index.quantities)
        composites.extend((number, *row) for row in index.composites)
    return [
        *columns(refs, 3),
        *columns(strings, 4, text=2),
        *columns(dates, 4),
        *columns(quantities, 5),
        *columns(composites, 5, text=4),
    ]


def columns(rows: Sequence[tuple[Any, ...]], width: int, text: int = -1) -> list[Argument]:
    """Rows as one array for each column; NULLs where there are none."""
    if not rows:
        return [None] * width
    return [text_array(c) if n == text else array(c) for n, c in enumerate(zip(*rows, strict=True))]


def _json_number(value: int | None) -> str:
    return "null" if value is None else str(value)


def _number(value: int | None) -> Argument:
    return None if value is None else b"%d" % value


def put_arguments(tenant_id: int, hasher: Hasher, write: Write) -> list[Argument]:
    """What fhir_put is called with: all but the words. docs/architecture.md, "Rows" """
    rows = write.rows
    refs, strings, dates, quantities, composites = (
        rows.references, rows.strings, rows.dates, rows.quantities, rows.composites,
    )  # fmt: skip
    return [
        b"%d" % tenant_id,
        b"%d" % TYPE_IDS[write.resource_type],
        write.id.encode(),
        b"%d" % hasher.uncached(f"{write.resource_type}/{write.id}"),
        write.method.encode(),
        _number(write.expect),
        write.meta,
        write.body,
        _number(rows.patient),
        _number(rows.date_low),
        _number(rows.date_high),
        array(rows.tokens),
        array(rows.params),
        array([r[0] for r in refs]) if refs else None,
        array([r[1] for r in refs]) if refs else None,
        array([r[0] for r in strings]) if strings else None,
        text_array([r[1] for r in strings]) if strings else None,
        array([r[2] for r in strings]) if strings else None,
        array([r[0] for r in dates]) if dates else None,
        array([r[1] for r in dates]) if dates else None,
        array([r[2] for r in dates]) if dates else None,
        array([r[0] for r in quantities]) if quantities else None,
        array([r[1] for r in quantities]) if quantities else None,
        array([r[2] for r in quantities]) if quantities else None,
        array([r[3] for r in quantities]) if quantities else None,
        array([r[0] for r in composites]) if composites else None,
        array([r[1] for r in composites]) if composites else None,
        array([r[2] for r in composites]) if composites else None,
        text_array([r[3] for r in composites]) if composites else None,
    ]
