"""How feeds are doing, in numbers. docs/hl7.md"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import psycopg

from fhir_server.store import hl7_alerts, hl7_messages, tenants
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.hl7_alerts import Seen
from fhir_server.store.hl7_messages import Settled
from fhir_server.store.hl7_overview import DAY, HOUR, Figures, all_figures, overview, waiting_clinics
from fhir_server.store.session import Connection, Database
from fhir_server.store.tenants import Tenant
from tests.unit.store.test_hl7_messages import incoming

NOW = 100 * DAY


def test_each_feed_is_counted_by_itself(app_database: Database, tenant: Tenant) -> None:
    def keep(connection: Connection, feed: int, at: int, *states: str) -> None:
        many = [replace(incoming(f"{feed}-{at}-{n}", b"x%d" % n), feed_id=feed) for n, _ in enumerate(states)]
        kept = hl7_messages.keep(connection, tenant.id, many, at)
        settled = [Settled(one.id, state, "") for one, state in zip(kept, states, strict=True) if state != "received"]
        if settled:
            hl7_messages.settle(connection, tenant.id, settled, at)

    def work(connection: Connection) -> None:
        keep(connection, 1, NOW - 3 * DAY, "dead", "stored")
        keep(connection, 1, NOW - 2 * HOUR, "dead", "stored", "stored")
        keep(connection, 1, NOW - 5, "received", "stored")
        keep(connection, 2, NOW - 4 * DAY, "received", "received")

    app_database.transaction(tenant.id, work)
    found = app_database.transaction(tenant.id, lambda c: overview(c, tenant.id, NOW))
    one, two = found.feeds[1], found.feeds[2]
    assert (one.waiting, one.oldest, one.dead, one.last) == (1, NOW - 5, 2, NOW - 5)
    assert (one.hour, one.day, one.day_dead) == (2, 5, 1)
    assert (two.waiting, two.oldest, two.hour, two.day) == (2, NOW - 4 * DAY, 0, 0)
    assert dict(found.states) == {"dead": 2, "stored": 4, "received": 3}
    assert (found.counted, found.since, found.oldest) == (9, NOW - 4 * DAY, NOW - 4 * DAY)

    newest = app_database.transaction(tenant.id, lambda c: overview(c, tenant.id, NOW, newest=3))
    assert newest.counted == 3
    assert newest.feeds[1].dead == 2, "what waits and what is dead are counted whole"
    assert newest.feeds[2].waiting == 2


def test_of_a_clinic_without_messages(app_database: Database, tenant: Tenant) -> None:
    found = app_database.transaction(tenant.id, lambda c: overview(c, tenant.id, NOW))
    assert (found.feeds, found.counted, found.oldest, dict(found.states)) == ({}, 0, 0, {})


def test_whose_messages_wait_is_told_outside_of_clinics(
    app_database: Database, new_tenant: Callable[[], Tenant]
) -> None:
    one, two, none = new_tenant(), new_tenant(), new_tenant()
    for tenant in (one, two):

        def keep(connection: Connection, number: int = tenant.id) -> None:
            hl7_messages.keep(connection, number, [incoming(str(place), b"x") for place in range(3)], NOW)

        app_database.transaction(tenant.id, keep)
    found = app_database.run(waiting_clinics)
    assert found == sorted(set(found))
    assert {one.id, two.id} <= set(found)
    assert none.id not in found
    assert app_database.transaction(one.id, waiting_clinics) == [], "a clinic is told nothing of others"


def test_whose_messages_wait_costs_the_same_however_many_do(fresh_database: DatabaseUrls) -> None:
    assert fresh_database.owner is not None
    with psycopg.connect(fresh_database.owner, autocommit=True) as owner:
        tenant = tenants.create(owner, "clinic")

        def wait(first: int, last: int) -> None:
            owner.execute(
                "INSERT INTO hl7_queue (tenant_id, message_id, feed_id, patients)"
                " SELECT %s, 1000000000000 + n, 1, '{1}' FROM generate_series(%s::int, %s::int) n",
                [tenant.id, first, last],
            )

        def pages() -> int:
            explain = b"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT * FROM hl7_waiting_clinics()"
            found = [owner.execute(explain).fetchone() for _ in range(2)][-1]
            assert found is not None
            plan = found[0][0]["Plan"]
            return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])

        wait(1, 1)
        few = pages()
        wait(2, 50_000)
        # An index that is some levels deeper, and no walk through its hundreds of pages.
        assert pages() <= few + 10
        assert waiting_clinics(owner) == [tenant.id]


def test_the_figures_of_all_feeds_are_those_that_each_clinic_has(
    app_database: Database, new_tenant: Callable[[], Tenant]
) -> None:
    one, two = new_tenant(), new_tenant()

    def fill(connection: Connection, tenant: int) -> None:
        for place, at in enumerate((NOW - 5, NOW - 9)):
            hl7_messages.keep(connection, tenant, [incoming(f"{place}", b"x")], at)
        broken = replace(incoming("2", b"z"), feed_id=9, problem={"code": 100})
        hl7_messages.keep(connection, tenant, [broken], NOW)

    app_database.transaction(one.id, lambda c: fill(c, one.id))
    app_database.transaction(two.id, lambda c: fill(c, two.id))
    seen = [Seen(9, "lab", "dead", True, 1), Seen(8, "gone", "silent", True, 1)]
    app_database.transaction(two.id, lambda c: hl7_alerts.observe(c, two.id, seen, NOW, tell=True))

    def of(tenant: int, at: int = NOW) -> list[Figures]:
        found = [row for row in app_database.run(lambda c: all_figures(c, at)) if row.tenant_id == tenant]
        return sorted(found, key=lambda row: row.feed_id)

    feed = incoming("0", b"x").feed_id
    assert of(one.id) == [Figures(one.id, feed, 2, NOW - 5, 0, 0, 0), Figures(one.id, 9, 0, 0, 1, 0, 0)]
    assert of(two.id) == [
        Figures(two.id, feed, 2, NOW - 5, 0, 0, 0),
        Figures(two.id, 8, 0, 0, 0, 1, 1),
        Figures(two.id, 9, 0, 0, 1, 1, 1),
    ]
    assert [row.untold for row in of(two.id, NOW - 1)] == [0, 0, 0]
    assert app_database.transaction(one.id, lambda c: all_figures(c, NOW)) == []
