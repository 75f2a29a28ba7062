"""A statement that is kept is planned once, whatever values it is given, and leaves no setting behind."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import pq

from fhir_server.store.kept_plans import kept, run_kept
from fhir_server.store.searching import ConsentsFound, run_kept_search
from fhir_server.store.store import Store

SETTINGS = "SELECT current_setting('plan_cache_mode') || current_setting('enable_seqscan')"
ASKED = (
    "SELECT r.id FROM resource r WHERE r.tenant_id = $1::int AND r.key = ANY($4::bigint[]) "
    "AND EXISTS (SELECT FROM care_relation c WHERE c.tenant_id = $1::int AND c.person = ANY($2::bigint[]) OFFSET 0)"
)


def cell(result: pq.abc.PGresult) -> str:
    return (result.get_value(0, 0) or b"").decode()


def test_all_values_have_one_plan(store: Store) -> None:
    with store.database.connection() as connection:
        for number in range(8):
            statement, values = kept(ASKED, [store.tenant_id, [number], "not asked for", list(range(number))])
            assert values == [store.tenant_id, [number], list(range(number))]
            run_kept(connection, store.tenant_id, statement, values)
        plans = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE name = %s"
        assert connection.execute(plans, [statement.name.decode()]).fetchone() == (8, 0)
        assert connection.execute(SETTINGS).fetchone() == ("autoon",)


def test_a_transaction_goes_on_as_before(store: Store) -> None:
    statement, values = kept(SETTINGS, [])

    def work(connection: psycopg.Connection) -> tuple[str, object]:
        during = cell(run_kept(connection, store.tenant_id, statement, values))
        return during, connection.execute(SETTINGS).fetchone()

    assert store.within(work) == ("force_generic_planoff", ("autoon",))


def test_the_tenant_and_the_time_limit_hold_for_the_message(store: Store) -> None:
    # A connection on which no tenant was ever set has none, afterwards an empty one.
    asked = "SELECT coalesce(current_setting('fhir.tenant', true), '') || '/' || current_setting('statement_timeout')"
    statement, _ = kept(asked, [])
    slow, _ = kept("SELECT pg_sleep(20)", [])
    with store.database.connection() as connection:
        before = connection.execute(asked).fetchone()
        assert cell(run_kept(connection, 7, statement, [], timeout_ms=1234)) == "7/1234ms"
        assert connection.execute(asked).fetchone() == before
        with pytest.raises(psycopg.errors.QueryCanceled):
            run_kept(connection, 7, slow, [], timeout_ms=100)
        assert cell(run_kept(connection, 8, statement, [], timeout_ms=1234)) == "8/1234ms"


def test_a_search_without_consents_is_told_where_there_are_some(store: Store) -> None:
    def consent(connection: psycopg.Connection) -> None:
        connection.execute("INSERT INTO consent_rule VALUES (%s, 1, 2, 0, 9, 0, 9, 1, 1, false)", [store.tenant_id])

    with store.database.connection() as connection:
        assert cell(run_kept_search(connection, store.tenant_id, "SELECT $1::int", [5], no_consents=True)) == "5"
    store.within(consent)
    with store.database.connection() as connection:
        assert cell(run_kept_search(connection, store.tenant_id, "SELECT $1::int", [5])) == "5"
        with pytest.raises(ConsentsFound):
            run_kept_search(connection, store.tenant_id, "SELECT $1::int", [5], no_consents=True)
