"""How feeds are doing, in numbers. docs/hl7.md"""

from __future__ import annotations

from dataclasses import replace

from fhir_server.store import hl7_messages
from fhir_server.store.hl7_messages import Settled
from fhir_server.store.hl7_overview import DAY, HOUR, overview
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
