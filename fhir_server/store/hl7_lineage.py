"""What the elements of resources go back to: messages of HL7 v2, by path and slot. docs/hl7.md"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import msgspec
import psycopg

from fhir_server.store.wire import Asked, Statement, array, run, text_array

NONE: Final = b"{}"
"""The lineage of what no message has said anything of."""

_canonical: Final = msgspec.json.Encoder(decimal_format="number", order="sorted")


def digest(value: Any) -> str:
    """What a value of an element is known again by: 64 bits of its JSON with keys in order."""
    return blake2b(_canonical.encode(value), digest_size=8).hexdigest()


_LOAD = Statement(
    "hl7_lineage_load",
    "SELECT l.key, l.entries::text FROM hl7_lineage l WHERE l.tenant_id = $1::int AND l.key = ANY($2::bigint[])",
)
_KEEP = Statement(
    "hl7_lineage_keep",
    "WITH x AS (SELECT * FROM unnest($2::bigint[], $3::text[]) AS x(key, entries)), gone AS ("
    "DELETE FROM hl7_lineage l USING x WHERE x.entries = '' AND l.tenant_id = $1::int AND l.key = x.key)"
    "INSERT INTO hl7_lineage SELECT $1::int, x.key, x.entries::jsonb FROM x WHERE x.entries <> '' ORDER BY x.key"
    " ON CONFLICT (tenant_id, key) DO UPDATE SET entries = excluded.entries",
)


def load(connection: psycopg.Connection, tenant_id: int, keys: Sequence[int]) -> dict[int, bytes]:
    """The lineage of resources by their keys as JSON, in a transaction of the tenant; those without are left out."""
    if not keys:
        return {}
    result = run(connection, _LOAD, [b"%d" % tenant_id, array(keys)])
    rows = range(result.ntuples)
    return {int(result.get_value(row, 0) or 0): result.get_value(row, 1) or NONE for row in rows}


def keep(connection: psycopg.Connection, tenant_id: int, many: Mapping[int, bytes]) -> None:
    """Write the lineage of resources as JSON, in the transaction that writes them; an empty one is taken away."""
    if many:
        run(connection, *keeping(tenant_id, many))


def keeping(tenant_id: int, many: Mapping[int, bytes]) -> Asked:
    """The statement of `keep`, to be run together with others."""
    texts = text_array("" if entries == NONE else entries.decode() for entries in many.values())
    return _KEEP, [b"%d" % tenant_id, array(many), texts]


@dataclass(frozen=True, slots=True)
class Source:
    """A message that elements go back to. ``feed`` is "" where it was removed; ``received`` in microseconds."""

    control_id: str
    received: int
    feed: str


def sources(connection: psycopg.Connection, tenant_id: int, messages: Sequence[int]) -> dict[int, Source]:
    """Messages by their numbers, in a transaction of the tenant."""
    rows = connection.execute(
        "SELECT m.id, m.control_id, m.received, coalesce(f.name, '') FROM hl7_message m"
        " LEFT JOIN hl7_feed f ON f.tenant_id = m.tenant_id AND f.id = m.feed_id"
        " WHERE m.tenant_id = %s AND m.id = ANY(%s)",
        [tenant_id, list(messages)],
    ).fetchall()
    return {number: Source(control_id, received, feed) for number, control_id, received, feed in rows}
