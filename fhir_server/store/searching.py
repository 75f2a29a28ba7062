"""Running a compiled search in one round trip, planned for its values.
https://www.postgresql.org/docs/current/protocol-flow.html"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import pq

from fhir_server.errors import BadRequest
from fhir_server.store.kept_plans import kept, run_kept
from fhir_server.store.wire import literal, run_simple

Result = pq.abc.PGresult
"""The rows of a search; cells are read with ``result.get_value(row, column)``, as bytes or None."""

# fhir_no_consents in migrations/versions/0012_access.sql
_CONSENTS = "FH002"

# fhir_words_complete in migrations/versions/0005_words.sql
_WORDS_MISSING = "FH001"

INCOMPLETE = (
    "Full-text search (_text, _content, :text) is not available for this resource type: some of its resources were "
    "written while FULL_TEXT was off, or before this version. With FULL_TEXT on, $reindex of the type makes up for it."
)
SWITCHED_OFF = "Full-text search (_text, _content, :text) is switched off on this server, by its setting FULL_TEXT."

LONGEST_BOUND = 16_000_000
"""Characters of a statement with its values, which it may have in several places: ten times a value set of the size
that terminology allows. PostgreSQL reads about 100 MB of literals a second, and cannot be interrupted meanwhile."""

_PLACEHOLDER = re.compile(r"\$(\d+)")


class ConsentsFound(Exception):
    """A search was run as if there were no consents, and there are; nothing was found, and it is to be run again."""


def needs_words(sql: str) -> bool:
    """Whether a compiled search looks for words; every condition on words has this function in it."""
    return "fhir_words_complete" in sql


def run_search(
    connection: psycopg.Connection,
    tenant_id: int,
    sql: str,
    values: Sequence[object],
    *,
    timeout_ms: int = 0,
    no_consents: bool = False,
) -> pq.abc.PGresult:
    """Execute one SELECT with placeholders $1 ... for one tenant, in ``timeout_ms`` milliseconds at most; 0: no limit
    of its own.

    Values are written into the text as literals: a token's selectivity decides the plan (a generic one costs twenty
    times as much on rare tokens), and the tenant is set in the same message, one transaction with the statement. So is
    the limit: PostgreSQL applies it to each statement of a message separately, with the value that it has by then, and
    forgets it with the transaction, so that a pooler in transaction mode changes nothing.
    https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-STATEMENT-TIMEOUT

    ``no_consents`` says that the statement minds no consents. Raises ConsentsFound where there are any,
    psycopg.errors.QueryCanceled for a statement that takes longer, BadRequest for a full-text search where words are
    missing.
    """
    bound = _bound(sql, values)
    limit = f", set_config('statement_timeout', '{int(timeout_ms)}', true)" if timeout_ms else ""
    # Functions are called in the order in which they stand, so that this one finds the tenant set.
    checked = f", fhir_no_consents({int(tenant_id)})" if no_consents else ""
    with _told():
        return run_simple(
            connection, f"SELECT set_config('fhir.tenant', '{int(tenant_id)}', true){limit}{checked}; {bound}"
        )


def run_kept_search(
    connection: psycopg.Connection,
    tenant_id: int,
    sql: str,
    values: Sequence[Any],
    *,
    timeout_ms: int = 0,
    no_consents: bool = False,
) -> pq.abc.PGresult:
    """The same as `run_search` with a plan that is made once, for look-ups of keys; values are numbers, or lists of
    them."""
    statement, used = kept(sql, values)
    with _told():
        return run_kept(connection, tenant_id, statement, used, timeout_ms=timeout_ms, no_consents=no_consents)


@contextmanager
def _told() -> Iterator[None]:
    """What the functions of the database say, as what it means."""
    try:
        yield
    except psycopg.DatabaseError as error:
        if error.sqlstate == _CONSENTS:
            raise ConsentsFound from None
        if error.sqlstate != _WORDS_MISSING:
            raise
        raise BadRequest(INCOMPLETE, code="not-supported") from None


def _bound(sql: str, values: Sequence[object]) -> str:
    """The statement with its values written into it. Raises BadRequest where that becomes too long."""
    literals: dict[str, str] = {}
    length = len(sql)

    def written(match: re.Match[str]) -> str:
        nonlocal length
        number = match[1]
        found = literals.get(number)
        if found is None:
            found = literals[number] = literal(values[int(number) - 1])
        length += len(found)
        if length > LONGEST_BOUND:
            raise BadRequest(
                "The search repeats long values too often: use shorter values, fewer of them, or name the types that "
                "a chain goes through.",
                code="too-costly",
            )
        return found

    return _PLACEHOLDER.sub(written, sql)


def has_consents(connection: psycopg.Connection, tenant_id: int) -> bool:
    """Whether a tenant has consents that could withhold anything."""
    sql = "SELECT EXISTS (SELECT FROM consent_rule k WHERE k.tenant_id = $1)"
    return run_search(connection, tenant_id, sql, [tenant_id]).get_value(0, 0) == b"t"


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
