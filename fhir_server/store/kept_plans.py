"""Statements that are planned once for each connection, whatever values they are given. docs/access.md

Fit for what looks rows up by keys. PostgreSQL itself would plan them anew each time, as it takes arrays whose length it
does not know for long ones. https://www.postgresql.org/docs/current/sql-prepare.html#SQL-PREPARE-NOTES
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import psycopg
from psycopg import pq

from fhir_server.store.wire import Argument, Statement, argument, run_together

# Nor must a table that is small yet make the plan that it will be read by when it is large.
_PLANNED = "set_config('plan_cache_mode', '{}', true), set_config('enable_seqscan', '{}', true)"
_TENANT = f"SELECT set_config('fhir.tenant', $1, true), {_PLANNED.format('force_generic_plan', 'off')}"
_AFTERWARDS = Statement("fhir_afterwards", f"SELECT {_PLANNED.format('auto', 'on')}")
# Functions are called in the order in which they stand, so that the last one finds the tenant set.
_FIRST = {
    (limited, checked): Statement(
        f"fhir_within_{int(limited)}{int(checked)}",
        _TENANT
        + (", set_config('statement_timeout', $2, true)" if limited else "")
        + (", fhir_no_consents($1::int)" if checked else ""),
    )
    for limited in (False, True)
    for checked in (False, True)
}

_PLACEHOLDER = re.compile(r"\$(\d+)")
_number = itertools.count()


def run_kept(
    connection: psycopg.Connection,
    tenant_id: int,
    statement: Statement,
    arguments: Sequence[int | Sequence[int] | Argument],
    *,
    timeout_ms: int = 0,
    no_consents: bool = False,
) -> pq.abc.PGresult:
    """Execute a statement for a tenant in one round trip.

    ``timeout_ms`` and ``no_consents`` are as in searching.run_search. Raises as wire.run does.
    """
    setting: tuple[Argument, ...] = (b"%d" % tenant_id, b"%d" % timeout_ms) if timeout_ms else (b"%d" % tenant_id,)
    statements: list[tuple[Statement, Sequence[Argument]]] = [
        (_FIRST[bool(timeout_ms), no_consents], setting),
        (statement, [argument(one) for one in arguments]),
    ]
    if connection.pgconn.transaction_status != pq.TransactionStatus.IDLE:
        # What a transaction does next is planned as ever.
        statements.append((_AFTERWARDS, ()))
    return run_together(connection, statements)[1]


def kept(sql: str, values: Sequence[Any]) -> tuple[Statement, list[Any]]:
    """A statement with placeholders $1 ... as one that is kept, and the values that it asks for.

    All statements of one text are one: what differs from request to request is to be a value.
    """
    statement, used = _statement(sql)
    return statement, [values[number - 1] for number in used]


@lru_cache(maxsize=1024)
def _statement(sql: str) -> tuple[Statement, tuple[int, ...]]:
    # PostgreSQL wants every placeholder to be used.
    used = tuple(sorted({int(number) for number in _PLACEHOLDER.findall(sql)}))
    places = {number: place for place, number in enumerate(used, start=1)}
    text = _PLACEHOLDER.sub(lambda match: f"${places[int(match[1])]}", sql)
    return Statement(f"fhir_kept_{next(_number)}", text), used
