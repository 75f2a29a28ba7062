"""Many resources brought to their next version in one statement. docs/architecture.md, "Rows" """

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg import pq

from fhir_server.crypto.hashing import Hasher
from fhir_server.r4 import json
from fhir_server.store import care_rows, word_rows
from fhir_server.store.resources import TYPE_IDS, Write, columns, index_columns, row_json
from fhir_server.store.wire import Argument, Statement, array, run, text_array

_UPDATE_MANY = Statement(
    "fhir_update_many", f"SELECT * FROM fhir_update_many({', '.join(f'${number}' for number in range(1, 40))})"
)


def update_many(connection: psycopg.Connection, tenant_id: int, hasher: Hasher, writes: Sequence[Write]) -> int | None:
    """Write the next version of resources, in one statement of an open transaction.

    Each write has a body and the version that it expects to be current; no two are of the same resource, none a
    SearchParameter. Returns the time of writing in microseconds since 1970 UTC, None where any resource is not there in
    the version that is expected: then nothing has been written.
    """
    return updated(run(connection, *updating(tenant_id, hasher, writes)))


def updating(tenant_id: int, hasher: Hasher, writes: Sequence[Write]) -> tuple[Statement, list[Argument]]:
    """The statement of `update_many`, to be run together with others."""
    return _UPDATE_MANY, _arguments(tenant_id, hasher, writes)


def updated(result: pq.abc.PGresult) -> int | None:
    """What it has come to, as `update_many` tells."""
    return int(result.get_value(0, 1) or 0) if result.get_value(0, 0) == b"t" else None


def _arguments(tenant_id: int, hasher: Hasher, writes: Sequence[Write]) -> list[Argument]:
    keys = [hasher.uncached(f"{write.resource_type}/{write.id}") for write in writes]
    tokens = [(number, one) for number, write in enumerate(writes, start=1) for one in write.rows.tokens]
    return [
        b"%d" % tenant_id,
        array(keys),
        array(TYPE_IDS[write.resource_type] for write in writes),
        text_array([write.id for write in writes]),
        array(write.expect or 0 for write in writes),
        b"[" + b",".join(row_json(number, write) for number, write in enumerate(writes, start=1)) + b"]",
        *columns(tokens, 2),
        *index_columns([write.rows for write in writes]),
        *word_rows.of_many([(TYPE_IDS[write.resource_type], write.rows.words) for write in writes]),
        _care(keys, writes),
    ]


def _care(keys: Sequence[int], writes: Sequence[Write]) -> Argument:
    """What fhir_care is called with, for those whose type has relations or rules at all."""
    found = []
    for key, write in zip(keys, writes, strict=True):
        relations, rules = care_rows.of_one(write.resource_type, write.rows)
        if relations is not None or rules is not None:
            found.append({"k": key, "r": relations and json.parse(relations), "u": rules and json.parse(rules)})
    return json.dumps(found) if found else None
