"""Who sees the feeds of whom, and who is told when they change. docs/hl7.md, "Feeds" """

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg
import pytest

from fhir_server.store import hl7_destinations, hl7_feeds, hl7_messages, hl7_overview
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.hl7_notices import notices
from fhir_server.store.session import Connection, Database
from fhir_server.store.tenants import Tenant
from tests.unit.store.test_hl7_messages import incoming

Both = tuple[Tenant, Tenant]


@pytest.fixture
def both(app_database: Database, new_tenant: Callable[[], Tenant]) -> Both:
    """Two clinics with a feed and a destination of the same names."""
    made = new_tenant(), new_tenant()
    for one in made:

        def add(connection: Connection, number: int = one.id) -> None:
            hl7_feeds.add(connection, number, "lab", {"silent": number}, 5)
            hl7_destinations.add(connection, number, "his", ["Patient"], {"port": number}, 5)

        app_database.transaction(one.id, add)
    return made


def test_a_clinic_sees_its_own_feeds_and_destinations_whatever_it_asks_for(app_database: Database, both: Both) -> None:
    own, other = both
    for number, expected in ((own.id, [own.slug]), (other.id, [])):
        feeds = app_database.transaction(own.id, lambda c, number=number: hl7_feeds.listed(c, number))
        assert [one.slug for one in feeds] == expected
        found = app_database.transaction(own.id, lambda c, number=number: hl7_destinations.listed(c, number))
        assert [one.slug for one in found] == expected
    for table in ("hl7_feed", "hl7_destination"):
        statement = f"SELECT DISTINCT tenant_id FROM {table}".encode()  # noqa: S608
        seen = app_database.transaction(own.id, lambda c, s=statement: c.execute(s).fetchall())
        assert seen == [(own.id,)]
        with app_database.connection() as connection:
            assert connection.execute(statement).fetchall() == []


def test_a_transaction_of_a_clinic_is_told_of_no_other_one(app_database: Database, both: Both) -> None:
    """Whatever a statement of a request asks for: only who is bound to no clinic is told of all."""
    own, _ = both
    functions = "hl7_all_feeds()", "hl7_all_destinations()", "hl7_waiting_clinics()", "hl7_all_figures(1)"
    for function in functions:
        statement = f"SELECT count(*) FROM {function}".encode()  # noqa: S608
        found = app_database.transaction(own.id, lambda c, s=statement: c.execute(s).fetchone())
        assert found == (0,), function


def test_whoever_listens_or_sends_finds_all_of_them(app_database: Database, both: Both) -> None:
    with app_database.connection() as connection:
        feeds, found = hl7_feeds.listed(connection), hl7_destinations.listed(connection)
    for one in both:
        assert [(row.name, row.configuration) for row in feeds if row.slug == one.slug] == [("lab", {"silent": one.id})]
        assert [(row.name, row.configuration) for row in found if row.slug == one.slug] == [("his", {"port": one.id})]
    assert [row.id for row in feeds] == sorted(row.id for row in feeds)


def test_an_owner_that_is_no_superuser_finds_them_too(
    database: DatabaseUrls, app_database: Database, both: Both
) -> None:
    """As on a managed PostgreSQL: the tables' owner is held to row level security as everybody else."""
    assert database.owner is not None
    with psycopg.connect(database.owner) as owner:
        owner.execute("CREATE ROLE hl7_test_owner NOLOGIN")
        owner.execute("GRANT USAGE, CREATE ON SCHEMA public TO hl7_test_owner")
        owner.execute("GRANT SELECT ON tenant TO hl7_test_owner")
        for table, function in (("hl7_feed", "hl7_all_feeds"), ("hl7_destination", "hl7_all_destinations")):
            owner.execute(f"ALTER TABLE {table} OWNER TO hl7_test_owner".encode())
            owner.execute(f"ALTER FUNCTION {function}() OWNER TO hl7_test_owner".encode())
        owner.execute("SET LOCAL ROLE fhir_app")
        assert hl7_feeds.listed(owner) == []
        owner.execute("RESET ROLE")
        for table in ("hl7_feed", "hl7_destination"):
            owner.execute(f"ALTER POLICY read_by_owner ON {table} TO hl7_test_owner".encode())
        owner.execute("SET LOCAL ROLE fhir_app")
        slugs = {one.slug for one in both}
        assert slugs <= {row.slug for row in hl7_feeds.listed(owner)}
        assert slugs <= {row.slug for row in hl7_destinations.listed(owner)}
        assert owner.execute("SELECT count(*) FROM hl7_feed").fetchone() == (0,)
        owner.rollback()


def test_an_owner_that_is_no_superuser_counts_for_all_clinics_too(
    database: DatabaseUrls, app_database: Database, both: Both
) -> None:
    assert database.owner is not None
    for one in both:

        def keep(connection: Connection, number: int = one.id) -> None:
            hl7_messages.keep(connection, number, [incoming("1", b"x")], 7)

        app_database.transaction(one.id, keep)
    tables = "hl7_queue", "hl7_message", "hl7_alert"
    with psycopg.connect(database.owner) as owner:
        owner.execute("CREATE ROLE hl7_test_owner NOLOGIN")
        owner.execute("GRANT USAGE, CREATE ON SCHEMA public TO hl7_test_owner")
        owner.execute("GRANT SELECT ON tenant TO hl7_test_owner")
        for table in tables:
            owner.execute(f"ALTER TABLE {table} OWNER TO hl7_test_owner".encode())
        for function in ("hl7_waiting_clinics()", "hl7_all_figures(bigint)"):
            owner.execute(f"ALTER FUNCTION {function} OWNER TO hl7_test_owner".encode())
        owner.execute("SET LOCAL ROLE fhir_app")
        assert hl7_overview.waiting_clinics(owner) == []
        owner.execute("RESET ROLE")
        for table in tables:
            owner.execute(f"ALTER POLICY read_by_owner ON {table} TO hl7_test_owner".encode())
        owner.execute("SET LOCAL ROLE fhir_app")
        numbers = {one.id for one in both}
        assert numbers <= set(hl7_overview.waiting_clinics(owner))
        assert numbers <= {row.tenant_id for row in hl7_overview.all_figures(owner, 9)}
        for table in tables:
            statement = f"SELECT count(*) FROM {table}".encode()  # noqa: S608
            assert owner.execute(statement).fetchone() == (0,), "a session of the application still sees no rows"
        owner.rollback()


def test_the_policy_is_the_owners(database: DatabaseUrls) -> None:
    assert database.owner is not None
    with psycopg.connect(database.owner) as owner:
        rows = owner.execute(
            "SELECT p.tablename, p.roles = ARRAY[t.tableowner] FROM pg_policies p JOIN pg_tables t USING (tablename)"
            " WHERE p.policyname = 'read_by_owner' ORDER BY 1"
        ).fetchall()
    tables = "hl7_alert", "hl7_destination", "hl7_feed", "hl7_message", "hl7_queue"
    assert rows == [(table, True) for table in tables]


def test_a_change_of_a_feed_is_told(app_database: Database, tenant: Tenant) -> None:
    changes: list[Callable[[Connection], object]] = [
        lambda c: hl7_feeds.add(c, tenant.id, "lab", {}, 5),
        lambda c: hl7_feeds.change(c, tenant.id, "lab", 6, paused=True),
        lambda c: hl7_feeds.change(c, tenant.id, "lab", 7, configuration={"silent": 1}),
        lambda c: hl7_feeds.remove(c, tenant.id, "lab"),
    ]
    told = notices(app_database, hl7_feeds.CHANGED, 20)
    assert next(told) is None
    for change in changes:
        changing = threading.Timer(0.05, app_database.transaction, [tenant.id, change])
        changing.start()
        assert next(told) == [""]
        changing.join()
