"""Between which numbers messages of a time stand."""

from __future__ import annotations

from itertools import product

import pytest

from fhir_server.store import hl7_found, hl7_messages
from fhir_server.store.hl7_found import Wanted
from fhir_server.store.hl7_span import SLACK, span
from fhir_server.store.session import Connection, Database
from fhir_server.store.tenants import Tenant
from tests.unit.store.test_hl7_messages import incoming

START, STEP = 100 * SLACK, SLACK // 4
JITTER = [0, 3 * SLACK // 4, -SLACK // 4, 0, SLACK // 2, 0, 0, -SLACK // 4] * 5
TIMES = [START + place * STEP + more for place, more in enumerate(JITTER)]
"""Forty messages, six hours apart, by clocks that differ by no more than a day."""


@pytest.fixture
def received(app_database: Database, tenant: Tenant) -> dict[int, int]:
    """Their numbers, and when each came."""

    def work(connection: Connection) -> dict[int, int]:
        found = {}
        for place, at in enumerate(TIMES):
            (kept,) = hl7_messages.keep(connection, tenant.id, [incoming(str(place), b"x%d" % place)], at)
            found[kept.id] = at
        return found

    return app_database.transaction(tenant.id, work)


def test_nothing_of_a_time_is_left_out(app_database: Database, tenant: Tenant, received: dict[int, int]) -> None:
    moments = [None, START - 3 * SLACK, *(START + place * STEP + 1 for place in range(0, 45, 4)), TIMES[1], TIMES[33]]

    def work(connection: Connection) -> None:
        for since, until in product(moments, moments):
            found = hl7_found.listed(connection, tenant.id, Wanted(since=since, until=until), 1_000)
            expected = {
                one for one, at in received.items() if (since is None or at >= since) and (until is None or at < until)
            }
            assert {one.id for one in found} == expected

    app_database.transaction(tenant.id, work)


def test_what_is_far_from_a_time_is_not_looked_at(
    app_database: Database, tenant: Tenant, received: dict[int, int]
) -> None:
    numbers = sorted(received)
    first, last = app_database.transaction(tenant.id, lambda c: span(c, tenant.id, TIMES[30], TIMES[10]))
    assert first is not None
    assert last is not None
    assert numbers[20] < first <= numbers[30]
    assert numbers[10] < last <= numbers[20]


def test_of_a_clinic_without_messages(app_database: Database, tenant: Tenant) -> None:
    assert app_database.transaction(tenant.id, lambda c: span(c, tenant.id, 5, 6)) == (None, None)
