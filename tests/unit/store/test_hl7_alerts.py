"""Alerts that are raised once, grow, are acknowledged, cleared, and told. docs/hl7.md, "Alerts" """

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.store import hl7_alerts, hl7_feeds, hl7_messages
from fhir_server.store.hl7_alerts import ATTEMPTS, DEAD, SILENT, WAITING, Alert, Outcome, Seen
from fhir_server.store.session import Connection, Database
from fhir_server.store.tenants import Tenant

T = TypeVar("T")


class Clinic:
    """A tenant with a feed, and its alerts."""

    def __init__(self, database: Database, tenant: Tenant) -> None:
        self.database = database
        self.id = tenant.id
        made = self.within(lambda c: hl7_feeds.add(c, self.id, "lab", {}, 5))
        assert made is not None
        self.feed = made

    def within(self, work: Callable[[Connection], T]) -> T:
        return self.database.transaction(self.id, work)

    def seen(self, condition: str, amount: int = 0, *, holds: bool = True) -> Seen:
        return Seen(self.feed, "lab", condition, holds, amount, grows=condition == DEAD)

    def observe(self, *seen: Seen, at: int = 10, tell: bool = False) -> Outcome:
        return self.within(lambda c: hl7_alerts.observe(c, self.id, seen, at, tell=tell))

    def all(self) -> list[Alert]:
        return self.within(lambda c: hl7_alerts.listed(c, self.id, all_of_them=True))

    def acknowledge(self, number: int | None = None, at: int = 20) -> int:
        return self.within(lambda c: hl7_alerts.acknowledge(c, self.id, number, "me", at))

    def due(self, at: int, until: int = 1_000) -> list[hl7_alerts.Due]:
        return self.within(lambda c: hl7_alerts.due(c, self.id, at, until, 100))

    def told(self, one: hl7_alerts.Due, again: int = 0) -> None:
        self.within(lambda c: hl7_alerts.told(c, self.id, one, again))


@pytest.fixture
def clinic(app_database: Database, tenant: Tenant) -> Clinic:
    return Clinic(app_database, tenant)


def test_one_condition_has_one_alert_however_often_it_is_seen(clinic: Clinic) -> None:
    first = clinic.observe(clinic.seen(SILENT, 100), at=10)
    (alert,) = first.raised
    assert (alert.feed, alert.condition, alert.amount, alert.raised, alert.cleared) == ("lab", SILENT, 100, 10, 0)
    again = clinic.observe(clinic.seen(SILENT, 200), at=20)
    assert (again.raised, again.cleared, again.open) == ([], [], [alert])
    # What is not known leaves it as it is.
    assert clinic.observe(at=30).open == [alert]
    assert clinic.observe(clinic.seen(WAITING, holds=False), at=30).open == [alert]
    cleared = clinic.observe(clinic.seen(SILENT, holds=False), at=40)
    assert (cleared.cleared, cleared.open) == ([replace(alert, cleared=40)], [])
    (second,) = clinic.observe(clinic.seen(SILENT, 1), at=50).raised
    assert second.id > alert.id
    assert [one.cleared for one in clinic.all()] == [0, 40]


def test_processes_that_see_the_same_at_once_raise_one(clinic: Clinic) -> None:
    outcomes: list[Outcome] = []

    def look() -> None:
        outcomes.append(clinic.observe(clinic.seen(SILENT), clinic.seen(DEAD, 1)))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 4
    assert sum(len(one.raised) for one in outcomes) == 2
    assert len(clinic.all()) == 2


def test_who_has_seen_it_is_noted_and_asked_again_when_there_is_more(clinic: Clinic) -> None:
    (alert,) = clinic.observe(clinic.seen(DEAD, 2)).raised
    assert clinic.acknowledge(alert.id + 1) == 0
    assert clinic.acknowledge(alert.id, at=20) == 1
    assert clinic.acknowledge() == 0
    (seen,) = clinic.observe(clinic.seen(DEAD, 2), at=30).open
    assert (seen.acknowledged, seen.acknowledged_by) == (20, "me")
    # One was mended: less is no news, and the next one is.
    (less,) = clinic.observe(clinic.seen(DEAD, 1), at=40).open
    assert (less.amount, less.acknowledged) == (1, 20)
    (more,) = clinic.observe(clinic.seen(DEAD, 2), at=50).open
    assert (more.id, more.amount, more.acknowledged, more.acknowledged_by) == (alert.id, 2, 0, "")
    assert clinic.acknowledge() == 1


def test_an_alert_of_a_feed_that_is_gone_is_cleared(clinic: Clinic) -> None:
    clinic.observe(clinic.seen(SILENT))
    clinic.within(lambda c: hl7_feeds.remove(c, clinic.id, "lab"))
    outcome = clinic.observe(at=30)
    assert [one.cleared for one in outcome.cleared] == [30]
    assert outcome.open == []
    assert [one.feed for one in clinic.all()] == ["lab"]


def test_another_clinic_sees_and_acknowledges_nothing_of_it(
    clinic: Clinic, app_database: Database, new_tenant: Callable[[], Tenant]
) -> None:
    clinic.observe(clinic.seen(SILENT))
    other = Clinic(app_database, new_tenant())
    assert other.all() == []
    assert app_database.transaction(other.id, lambda c: hl7_alerts.acknowledge(c, clinic.id, None, "x", 9)) == 0


def test_nothing_is_told_where_nobody_is_to_be_told(clinic: Clinic) -> None:
    assert not clinic.observe(clinic.seen(SILENT)).untold
    assert not clinic.observe(clinic.seen(SILENT, holds=False)).untold
    assert clinic.due(10**15) == []


def test_what_is_raised_and_cleared_is_told_once_each(clinic: Clinic) -> None:
    assert clinic.observe(clinic.seen(SILENT), at=10, tell=True).untold
    (first,) = clinic.due(10)
    # Whoever else looks finds nothing to do, until the first one took too long.
    assert clinic.due(999) == []
    clinic.told(first)
    assert not clinic.observe(clinic.seen(SILENT), at=2_000, tell=True).untold
    clinic.observe(clinic.seen(SILENT, holds=False), at=3_000, tell=True)
    (second,) = clinic.due(3_000, until=4_000)
    assert (second.alert.id, second.alert.cleared, second.attempts) == (first.alert.id, 3_000, 1)
    clinic.told(second)
    assert clinic.due(10**15) == []


def test_what_changed_while_it_was_told_is_told_too(clinic: Clinic) -> None:
    clinic.observe(clinic.seen(SILENT), at=10, tell=True)
    (first,) = clinic.due(10)
    clinic.observe(clinic.seen(SILENT, holds=False), at=20, tell=True)
    clinic.told(first)
    (second,) = clinic.due(20)
    assert second.alert.cleared == 20


def test_it_is_tried_again_and_not_without_end(clinic: Clinic) -> None:
    clinic.observe(clinic.seen(DEAD, 1), at=10, tell=True)
    at = 10
    for attempt in range(1, ATTEMPTS + 1):
        (one,) = clinic.due(at, until=at + 5)
        assert one.attempts == attempt
        at += 100
        clinic.told(one, again=at)
        assert clinic.due(at - 1) == []
    assert clinic.due(10**15) == []
    # There is more of it for somebody who has acknowledged less: that is told again.
    clinic.acknowledge()
    assert not clinic.observe(clinic.seen(DEAD, 1), at=at, tell=True).untold
    assert clinic.observe(clinic.seen(DEAD, 2), at=at, tell=True).untold
    (one,) = clinic.due(at)
    assert (one.attempts, one.alert.amount) == (1, 2)


def test_when_the_last_message_came_is_known_whoever_took_it(clinic: Clinic) -> None:
    def kept(number: int) -> hl7_messages.Incoming:
        return hl7_messages.Incoming(clinic.feed, "", "", "", "", "", "", bytes([number]), b"", b"")

    for number, at in ((1, 7), (2, 9)):
        clinic.within(lambda c, n=number, at=at: hl7_messages.keep(c, clinic.id, [kept(n)], at))
    assert clinic.within(lambda c: hl7_alerts.latest(c, clinic.id, [clinic.feed, clinic.feed + 1])) == {clinic.feed: 9}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["dead", "mended", "looked", "process"]), max_size=30))
def test_no_dead_letter_is_left_that_nobody_was_asked_about(
    app_database: Database, new_tenant: Callable[[], Tenant], steps: list[str]
) -> None:
    """Whoever acknowledges has seen what there is; whatever came since is asked about again."""
    clinic, dead, unseen = Clinic(app_database, new_tenant()), 0, False
    for at, step in enumerate(steps, 1):
        if step == "dead":
            dead, unseen = dead + 1, True
        elif step == "mended" and dead:
            dead -= 1
            unseen = unseen and dead > 0
        elif step == "looked":
            clinic.acknowledge(at=at)
            unseen = False
        outcome = clinic.observe(clinic.seen(DEAD, dead, holds=dead > 0), at=at)
        assert [one.amount for one in outcome.open] == ([dead] if dead else [])
        if unseen:
            assert [one.acknowledged for one in outcome.open] == [0]
