"""Index rows of resources that are stored already: read, compared, written anew. docs/search-parameters.md

No Access is taken here: this is the server's own housekeeping, of which no client sees a row.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from fhir_server.crypto.hashing import Hasher
from fhir_server.r4 import json
from fhir_server.store import care_rows, word_rows
from fhir_server.store.index_rows import IndexRows
from fhir_server.store.resources import TYPE_IDS, Stored, Write, put_arguments
from fhir_server.store.wire import Statement, run

_ROW_ARGUMENTS = slice(8, 13)  # of fhir_put: patient, date_low, date_high, tokens, params
_DIFFERENCE_ARGUMENTS = slice(13, None)


def _statement() -> Statement:
    row = ", ".join(f"${n}" for n in range(1, 10))
    count = len(put_arguments(0, Hasher(bytes(16)), Write("Basic", "", "", None, None, None, IndexRows())))
    first_word = 10 + count - 13
    rest = ", ".join(f"${n}" for n in range(10, first_word))
    words = ", ".join(f"${n}" for n in range(first_word, first_word + 7))
    relations, rules = (f"${n}::jsonb" for n in (first_word + 8, first_word + 9))
    # Without words, those that are there stay, and so does the mark that some are missing.
    return Statement(
        "fhir_reindex",
        "SELECT s.status, CASE WHEN s.status = 'reindexed' THEN"
        f" fhir_index_difference($1, s.row_rid, {rest})::text END,"
        f" CASE WHEN s.status = 'reindexed' AND ${first_word}::bigint[] IS NOT NULL THEN"
        f" fhir_words($1, ${first_word + 7}, $2, false, {words})::text END,"
        f" CASE WHEN s.status = 'reindexed' AND ({relations} IS NOT NULL OR {rules} IS NOT NULL) THEN"
        f" fhir_care_difference($1, s.row_rid, $2, {relations}, {rules})::text END"
        f" FROM fhir_reindex_row({row}) s",
    )


_REINDEX = _statement()


@dataclass(frozen=True, slots=True)
class Row:
    """The current version of a resource as the index is made of it: as its client sent it, under its own id."""

    resource_type: str
    rid: int
    id: str
    version: int
    resource: dict[str, Any]


_READ = "SELECT r.rid, r.id, r.version, r.meta::text, r.body::text FROM resource r"


def batch(connection: psycopg.Connection, tenant_id: int, resource_type: str, after: int, limit: int) -> list[Row]:
    """The resources of a type behind the rid ``after``, in the order of their rids; in a transaction of the tenant."""
    rows = connection.execute(
        _READ + " WHERE r.tenant_id = %s AND r.type_id = %s AND NOT r.deleted AND r.rid > %s ORDER BY r.rid LIMIT %s",
        [tenant_id, TYPE_IDS[resource_type], after, limit],
    )
    return [_row(resource_type, row) for row in rows]


def _row(resource_type: str, row: tuple[Any, ...]) -> Row:
    rid, resource_id, version, meta, body = row
    resource: dict[str, Any] = {"resourceType": resource_type, "id": resource_id}
    if meta is not None:
        resource["meta"] = json.parse(meta.encode())
    resource.update(json.parse(body.encode()))
    return Row(resource_type, rid, resource_id, version, resource)


def as_row(stored: Stored) -> Row:
    """A version that was read, to be indexed. Raises ValueError for a deleted one."""
    if stored.body is None:
        raise ValueError("a deleted version has no content")
    meta = None if stored.meta is None else stored.meta.decode()
    row = (0, stored.id, stored.version, meta, stored.body.decode())
    return _row(stored.resource_type, row)


def reindex(
    connection: psycopg.Connection,
    tenant_id: int,
    hasher: Hasher,
    row: Row,
    index: IndexRows,
    *,
    wait: bool = True,
    known: Collection[int] = (),
) -> str:
    """Make the index rows of one version what ``index`` says, without a new version.

    Answers "reindexed"; "changed" where another version is current, which its writer has indexed; and "locked", only
    without ``wait``, where somebody is writing it. The words of the phrases in ``known`` are in the tables by now.
    """
    write = Write(row.resource_type, row.id, "", None, None, None, index)
    arguments = put_arguments(tenant_id, hasher, write)
    key = b"%d" % hasher.uncached(f"{row.resource_type}/{row.id}")
    result = run(
        connection,
        _REINDEX,
        [
            arguments[0], key, b"%d" % row.version, b"true" if wait else b"false",
            *arguments[_ROW_ARGUMENTS], *arguments[_DIFFERENCE_ARGUMENTS],
            *word_rows.of_one(index.words, known, deleted=False), b"%d" % TYPE_IDS[row.resource_type],
            *care_rows.of_one(row.resource_type, index),
        ],
    )  # fmt: skip
    return (result.get_value(0, 0) or b"").decode()


def some(
    connection: psycopg.Connection, tenant_id: int, resource_type: str, points: Sequence[float], param: int, most: int
) -> list[int]:
    """Rids of resources to look at: those next to each of ``points`` (0 to 1) of the rids, and some with the param."""
    rows = connection.execute(
        "WITH span AS (SELECT min(r.rid) AS low, max(r.rid) AS high FROM resource r"
        "  WHERE r.tenant_id = %(tenant)s AND r.type_id = %(type)s AND NOT r.deleted)"
        " SELECT found.rid FROM span, unnest(%(points)s::float8[]) p, LATERAL (SELECT r.rid FROM resource r"
        "  WHERE r.tenant_id = %(tenant)s AND r.type_id = %(type)s AND NOT r.deleted"
        "  AND r.rid >= span.low + floor(p * (span.high - span.low))::bigint ORDER BY r.rid LIMIT 1) found"
        " UNION (SELECT r.rid FROM resource r WHERE r.tenant_id = %(tenant)s AND r.type_id = %(type)s"
        "  AND NOT r.deleted AND %(param)s = ANY(r.params) LIMIT %(most)s)",
        {
            "tenant": tenant_id, "type": TYPE_IDS[resource_type], "points": list(points), "param": param, "most": most,
        },
    )  # fmt: skip
    return [rid for (rid,) in rows]


_TABLES = {
    "references": "SELECT param, target FROM idx_reference WHERE tenant_id = %s AND rid = %s",
    "strings": "SELECT param, value, exact FROM idx_string WHERE tenant_id = %s AND rid = %s",
    "dates": "SELECT param, low, high FROM idx_date WHERE tenant_id = %s AND rid = %s",
    "quantities": "SELECT param, low, high, unit FROM idx_quantity WHERE tenant_id = %s AND rid = %s",
    "composites": "SELECT hash, low, high, value FROM idx_composite WHERE tenant_id = %s AND rid = %s",
}


def stored(
    connection: psycopg.Connection, tenant_id: int, resource_type: str, rid: int
) -> tuple[Row, IndexRows] | None:
    """A resource and its index rows as the tables have them, of one moment; None where it is being written or gone."""
    row = connection.execute(
        _READ + " WHERE r.tenant_id = %s AND r.rid = %s AND NOT r.deleted FOR SHARE SKIP LOCKED", [tenant_id, rid]
    ).fetchone()
    if row is None:
        return None
    own = connection.execute(
        "SELECT r.tokens, r.params, r.patient, r.date_low, r.date_high, ARRAY(SELECT t.hash FROM idx_token t"
        " WHERE t.tenant_id = r.tenant_id AND t.hash = ANY(r.tokens) AND t.rid = r.rid)"
        " FROM resource r WHERE r.tenant_id = %s AND r.rid = %s",
        [tenant_id, rid],
    ).fetchone()
    assert own is not None  # noqa: S101 - it is locked
    tokens, params, patient, low, high, in_table = own
    # A token that only one of the two has is one too few or one too many.
    found = IndexRows(params, sorted(in_table) if set(tokens) == set(in_table) else [], patient=patient)
    found.date_low, found.date_high = low, high
    for name, statement in _TABLES.items():
        setattr(found, name, connection.execute(statement, [tenant_id, rid]).fetchall())
    return _row(resource_type, row), found
