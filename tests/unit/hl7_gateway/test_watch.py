"""Silent feeds, what waits, and the alerts of it. docs/hl7.md, "Alerts" """

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from fhir_server.crypto.hashing import Hasher
from fhir_server.store import hl7_alerts, hl7_feeds, hl7_messages, hl7_sequences
from fhir_server.store.hl7_feeds import FeedRow
from fhir_server.store.session import Connection, Database
from fhir_server.store.tenants import Tenant
from hl7_gateway.feed import Feed
from hl7_gateway.feeds import Feeds
from hl7_gateway.metrics import Metrics
from hl7_gateway.reading import Read, incoming, read
from hl7_gateway.watch import PERIOD, Watch
from tests.unit.hl7_gateway.own_feeds import OwnFeeds

MESSAGE = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A01|%b|P|2.5.1\rPID|1||1^^^H\r"


@pytest.fixture
def feeds(app_database: Database, tenant: Tenant) -> Feeds:
    app_database.transaction(tenant.id, lambda c: hl7_feeds.add(c, tenant.id, "lab", {"silent": 100}, 5))
    made = OwnFeeds(app_database, tenant)
    made.refresh()
    return made


@pytest.fixture
def feed(feeds: Feeds, tenant: Tenant) -> Feed:
    (found,) = [one for one in feeds.all if one.tenant_id == tenant.id]
    return found


class Watching:
    """A watch whose time stands still, and what is open after each look."""

    def __init__(self, database: Database, feeds: Feeds, feed: Feed, at: float = 1_000.0) -> None:
        self.now = at
        self.metrics = Metrics()
        self.told: list[int] = []
        self._database = database
        self._feed = feed
        self.watch = Watch(database, feeds, self.metrics, lambda: self.now, self.told.append)

    def after(self, seconds: float) -> list[tuple[str, int]]:
        """Look some seconds later; conditions and amounts of the alerts that are open then."""
        self.now += seconds
        self.watch.look()
        tenant = self._feed.tenant_id
        found = self._database.transaction(tenant, lambda c: hl7_alerts.listed(c, tenant))
        return sorted((one.condition, one.amount) for one in found)

    def gauge(self, condition: str) -> float | None:
        labels = {"tenant": self._feed.slug, "feed": "lab", "condition": condition}
        return self.metrics.registry.get_sample_value("hl7_alerts", labels)


@pytest.fixture
def watching(app_database: Database, feeds: Feeds, feed: Feed) -> Watching:
    return Watching(app_database, feeds, feed)


def test_a_silent_feed_is_told_of_once_for_each_silence(
    watching: Watching, feed: Feed, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hl7_gateway.watch")

    def logged() -> list[tuple[str, int]]:
        found = [(one.message, vars(one)["amount"]) for one in caplog.records if vars(one).get("feed") == feed.label]
        caplog.clear()
        return found

    assert watching.after(0) == []
    assert watching.after(99) == []
    assert watching.gauge("silent") == 0
    assert watching.after(PERIOD) == [("silent", 114)]
    assert watching.gauge("silent") == 1
    assert watching.after(PERIOD) == [("silent", 114)]
    assert logged() == [("an alert was raised", 114)]
    watching.metrics.came(feed, watching.now)
    assert watching.after(PERIOD) == []
    assert watching.gauge("silent") == 0
    assert logged() == [("an alert was cleared", 114)]
    assert watching.after(100) == [("silent", 115)]


def test_an_alert_outlives_the_gateway_and_is_not_raised_again(
    app_database: Database, watching: Watching, feeds: Feeds, feed: Feed
) -> None:
    watching.after(200)
    (before,) = app_database.transaction(feed.tenant_id, lambda c: hl7_alerts.listed(c, feed.tenant_id))
    other = Watching(app_database, feeds, feed, watching.now + 10)
    assert other.after(0) == other.after(PERIOD) == other.after(200) == [("silent", 200)]
    assert app_database.transaction(feed.tenant_id, lambda c: hl7_alerts.listed(c, feed.tenant_id)) == [before]
    other.metrics.came(feed, other.now)
    assert other.after(PERIOD) == []


def test_what_another_process_has_taken_is_no_silence(
    app_database: Database, watching: Watching, feed: Feed, tenant: Tenant
) -> None:
    one = hl7_messages.Incoming(feed.id, "", "", "", "", "", "", b"x", b"", b"", problem={"code": 100, "place": ""})
    app_database.transaction(tenant.id, lambda c: hl7_messages.keep(c, tenant.id, [one], 1_150_000_000))
    assert watching.after(200) == [("dead", 1)]
    assert watching.after(49) == [("dead", 1)]
    assert watching.after(PERIOD) == [("dead", 1), ("silent", 114)]


def test_whoever_is_to_be_told_is_told_of_each_change(watching: Watching, tenant: Tenant, feed: Feed) -> None:
    def told() -> int:
        found = watching.told.count(tenant.id)
        watching.told.clear()
        return found

    watching.after(0)
    assert told() == 0
    watching.after(200)
    assert told() == 1


def test_a_feed_that_is_paused_removed_or_cannot_be_used(
    app_database: Database, watching: Watching, feeds: Feeds, tenant: Tenant
) -> None:
    def change(**what: Any) -> None:
        app_database.transaction(tenant.id, lambda c: hl7_feeds.change(c, tenant.id, "lab", 9, **what))
        feeds.refresh(now=True)

    assert watching.after(200) == [("silent", 200)]
    change(paused=True)
    assert watching.after(PERIOD) == []
    change(paused=False, configuration={"port": "x"})
    assert watching.after(PERIOD) == [("unusable", 0)]
    change(configuration={"silent": 100})
    assert watching.after(PERIOD) == [("silent", 245)]
    app_database.transaction(tenant.id, lambda c: hl7_feeds.remove(c, tenant.id, "lab"))
    feeds.refresh(now=True)
    assert watching.after(PERIOD) == []


def test_numbers_out_of_step_are_an_alert_until_the_right_one_came_to_any_process(
    app_database: Database, watching: Watching, feeds: Feeds, tenant: Tenant
) -> None:
    configuration = {"sequence": True}
    app_database.transaction(tenant.id, lambda c: hl7_feeds.change(c, tenant.id, "lab", 9, configuration=configuration))
    feeds.refresh(now=True)
    (feed,) = [one for one in feeds.all if one.tenant_id == tenant.id]
    other = Watching(app_database, feeds, feed)

    def expect(number: int) -> None:
        app_database.transaction(tenant.id, lambda c: hl7_sequences.expect(c, tenant.id, feed.id, number))

    expect(12)
    assert watching.after(PERIOD) == []
    watching.metrics.step(feed, 12)
    assert watching.after(PERIOD) == [("sequence", 12)]
    # One that has not seen it, or that has taken those before, knows no better.
    assert other.after(PERIOD) == [("sequence", 12)]
    other.metrics.step(feed, 0)
    assert other.after(PERIOD) == [("sequence", 12)]
    expect(13)
    assert other.after(PERIOD) == []
    assert watching.after(PERIOD) == []


def test_what_waits_and_what_is_dead_is_counted(
    app_database: Database, feeds: Feeds, feed: Feed, tenant: Tenant
) -> None:
    hasher = Hasher(b"0123456789abcdef")

    def kept(raw: bytes) -> hl7_messages.Incoming:
        found = read(feed, raw)
        assert isinstance(found, Read)
        return incoming(found, hasher, b"AA")

    many = [kept(MESSAGE % b"1"), kept(MESSAGE % b"2"), kept(MESSAGE.replace(b"A01", b"Z99") % b"3")]
    app_database.transaction(tenant.id, lambda c: hl7_messages.keep(c, tenant.id, many, 7_000_000))
    metrics = Metrics()
    Watch(app_database, feeds, metrics).look()
    labels = {"tenant": tenant.slug, "feed": "lab"}
    names = ("hl7_waiting", "hl7_oldest_waiting_seconds", "hl7_dead_letters")
    assert [metrics.registry.get_sample_value(name, labels) for name in names] == [2, 7, 1]


def test_clinics_of_which_there_is_nothing_to_tell_have_no_transaction(
    app_database: Database, new_tenant: Callable[[], Tenant], monkeypatch: pytest.MonkeyPatch
) -> None:
    clinics = [new_tenant() for _ in range(4)]
    quiet, waiting, dead, silent = clinics
    one = hl7_messages.Incoming(0, "", "", "", "", "", "", b"x", b"", b"")
    for clinic, said in (
        (quiet, {}),
        (waiting, {"queue": 2}),
        (dead, {}),
        (silent, {"silent": 100}),
    ):

        def add(connection: Connection, number: int = clinic.id, said: dict[str, Any] = said) -> None:
            feed = hl7_feeds.add(connection, number, "lab", said, 5)
            assert feed is not None
            kept = replace(one, feed_id=feed)
            if number == dead.id:
                kept = replace(kept, problem={"code": 100, "place": ""})
            hl7_messages.keep(connection, number, [kept], 990_000_000)

        app_database.transaction(clinic.id, add)
    looked: list[int] = []
    real = app_database.transaction

    def transaction(tenant_id: int, work: Callable[[Connection], Any]) -> Any:
        looked.append(tenant_id)
        return real(tenant_id, work)

    class Own(Feeds):
        def _take(self, rows: Sequence[FeedRow]) -> None:
            super()._take([row for row in rows if row.tenant_id in {one.id for one in clinics}])

    feeds = Own(app_database)
    feeds.refresh()
    metrics = Metrics()
    now = 1_000.0
    watch = Watch(app_database, feeds, metrics, lambda: now, lambda _: None)
    monkeypatch.setattr(app_database, "transaction", transaction)

    def look(at: float) -> list[int]:
        nonlocal now
        now = at
        looked.clear()
        watch.look()
        return list(looked)

    assert look(1_000) == [dead.id]
    waits = [metrics.registry.get_sample_value("hl7_waiting", {"tenant": one.slug, "feed": "lab"}) for one in clinics]
    assert waits == [1, 1, 0, 1]
    # One that has an alert is looked at as long as it is open, one that seems silent until it is known to be.
    assert look(1_100) == [dead.id, silent.id]
    kept = replace(one, feed_id=next(feed.id for feed in feeds.all if feed.tenant_id == waiting.id), fingerprint=b"y")
    real(waiting.id, lambda c: hl7_messages.keep(c, waiting.id, [kept], 1_100_000_000))
    assert look(1_120) == [waiting.id, dead.id, silent.id]

    def conditions(clinic: Tenant) -> list[str]:
        return [alert.condition for alert in real(clinic.id, lambda c: hl7_alerts.listed(c, clinic.id))]

    assert [conditions(clinic) for clinic in clinics] == [[], ["queue"], ["dead"], ["silent"]]
