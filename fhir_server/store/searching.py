"""Running a compiled search in one round trip, planned for its values.
https://www.postgresql.org/docs/current/protocol-flow.html"""

from __future__ import annotations

import re
from collections.abc import Sequence

import psycopg
from psycopg import pq

from fhir_server.store.wire import literal, run_simple

Result = pq.abc.PGresult
"""The rows of a search; cells are read with ``result.get_value(row, column)``, as bytes or None."""

_PLACEHOLDER = re.compile(r"\$(\d+)")


def run_search(
    connection: psycopg.Connection, tenant_id: int, sql: str, values: Sequence[object], *, timeout_ms: int = 0
) -> pq.abc.PGresult:
    """Execute one SELECT with placeholders $1 ... for one tenant, in ``timeout_ms`` milliseconds at most; 0: no limit
    of its own.

    Values are written into the text as literals: a token's selectivity decides the plan (a generic one costs twenty
    times as much on rare tokens), and the tenant is set in the same message, one transaction with the statement. So is
    the limit: PostgreSQL applies it to each statement of a message separately, with the value that it has by then, and
    forgets it with the transaction, so that a pooler in transaction mode changes nothing.
    https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-STATEMENT-TIMEOUT

    Raises psycopg.errors.QueryCanceled for a statement that takes longer.
    """
    bound = _PLACEHOLDER.sub(lambda match: literal(values[int(match[1]) - 1]), sql)
    limit = f", set_config('statement_timeout', '{int(timeout_ms)}', true)" if timeout_ms else ""
    return run_simple(connection, f"SELECT set_config('fhir.tenant', '{int(tenant_id)}', true){limit}; {bound}")


def present_types(connection: psycopg.Connection, tenant_id: int) -> frozenset[str]:
    """The resource types of which a tenant has any resource, by one look into an index for each type there is."""
    result = run_search(
        connection,
        tenant_id,
        "SELECT t.name FROM resource_type t WHERE EXISTS (SELECT FROM resource r"
        # OFFSET 0 keeps the look for each type; as a join, all resources are read (100 ms of half a million).
        " WHERE r.tenant_id = $1 AND r.type_id = t.id AND NOT r.deleted OFFSET 0)",
        [tenant_id],
    )
    return frozenset((result.get_value(row, 0) or b"").decode() for row in range(result.ntuples))
