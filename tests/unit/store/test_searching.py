"""A search's statement and its limit in one message.

https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-STATEMENT-TIMEOUT
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest

from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import BadRequest, Unavailable
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.searching import run_search
from fhir_server.store.session import Database
from fhir_server.store.store import Store

SLOW = "SELECT pg_sleep($1::float8)"


@pytest.fixture
def connection(database: DatabaseUrls) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.app, autocommit=True) as connection:
        connection.execute("SET statement_timeout = 20000")
        yield connection


def limit(connection: psycopg.Connection) -> str:
    row = connection.execute("SHOW statement_timeout").fetchone()
    assert row is not None
    return str(row[0])


def test_a_statement_is_ended_at_its_limit_which_does_not_last(connection: psycopg.Connection) -> None:
    started = time.monotonic()
    with pytest.raises(psycopg.errors.QueryCanceled):
        run_search(connection, 1, SLOW, [30.0], timeout_ms=40)
    assert time.monotonic() - started < 10
    assert limit(connection) == "20s"
    run_search(connection, 1, SLOW, [0.0], timeout_ms=15_000)
    assert limit(connection) == "20s"


def test_a_limit_may_be_longer_than_the_connection_s(connection: psycopg.Connection) -> None:
    connection.execute("SET statement_timeout = 30")
    assert run_search(connection, 1, SLOW, [0.2], timeout_ms=15_000).ntuples == 1
    with pytest.raises(psycopg.errors.QueryCanceled):
        run_search(connection, 1, SLOW, [30.0])


def test_the_tenant_and_the_limit_are_those_of_the_message(connection: psycopg.Connection) -> None:
    shown = "SELECT current_setting('fhir.tenant') || ' ' || current_setting('statement_timeout')"
    assert run_search(connection, 7, shown, [], timeout_ms=1_234).get_value(0, 0) == b"7 1234ms"
    assert run_search(connection, 7, shown, []).get_value(0, 0) == b"7 20s"


def test_a_store_limits_searches_outside_of_transactions(database: DatabaseUrls) -> None:
    pool = Database(database.app, size=1)
    pool.open()
    try:
        # No clinic has the number 0, and so nobody there a consent.
        store = Store(pool, Hasher(b"k" * 32), 0, search_timeout_ms=40)
        with pytest.raises(Unavailable) as refused:
            store.search(SLOW, [30.0])
        assert refused.value.issues[0].code == "timeout"
        shown = "SELECT current_setting('statement_timeout')"
        assert store.search(shown, []).get_value(0, 0) == b"40ms"
        # The writes of a transaction that has searched keep the time that they have without.
        assert store.transaction(lambda inner: inner.search(shown, [])).get_value(0, 0) == b"30s"
    finally:
        pool.close()


def test_values_that_stand_in_too_many_places_are_refused_before_they_are_written_there(
    connection: psycopg.Connection,
) -> None:
    sql = "SELECT " + ", ".join(["$1::text"] * 2_000)
    assert run_search(connection, 1, "SELECT $1::text, $1::text", ["a"]).nfields == 2
    with pytest.raises(BadRequest, match="repeats long values") as refused:
        run_search(connection, 1, sql, ["a" * 15_000])
    assert refused.value.issues[0].code == "too-costly"


@pytest.mark.parametrize(
    "value", ["$1", "$2 '; DROP TABLE resource; --", "\\", "a'b''c", "\x01", "\ufffd", "\U0010ffff", "%s"]
)
def test_a_value_that_looks_like_sql_is_a_value(connection: psycopg.Connection, value: str) -> None:
    result = run_search(connection, 1, "SELECT $1::text, $2::text[]", [value, [value, "x"]])
    assert (result.get_value(0, 0) or b"").decode() == value
    row = connection.execute("SELECT %s::text[]::text", [[value, "x"]]).fetchone()
    assert row is not None
    assert (result.get_value(0, 1) or b"").decode() == row[0]
