"""Silent feeds, and what waits. docs/hl7.md, "Feeds" """

from __future__ import annotations

import logging

import pytest

from fhir_server.crypto.hashing import Hasher
from fhir_server.store import hl7_feeds, hl7_messages
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from hl7_gateway.feed import Feed
from hl7_gateway.feeds import Feeds
from hl7_gateway.metrics import Metrics
from hl7_gateway.reading import Read, incoming, read
from hl7_gateway.watch import PERIOD, Watch

MESSAGE = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A01|%b|P|2.5.1\rPID|1||1^^^H\r"


@pytest.fixture
def feeds(app_database: Database, tenant: Tenant) -> Feeds:
    app_database.transaction(tenant.id, lambda c: hl7_feeds.add(c, tenant.id, "lab", {"silent": 100}, 5))
    made = Feeds(app_database)
    made.refresh()
    return made


@pytest.fixture
def feed(feeds: Feeds, tenant: Tenant) -> Feed:
    (found,) = [one for one in feeds.all if one.tenant_id == tenant.id]
    return found


def test_a_silent_feed_is_told_of_once_for_each_silence(
    app_database: Database, feeds: Feeds, feed: Feed, caplog: pytest.LogCaptureFixture
) -> None:
    now, metrics = [1_000.0], Metrics()
    watch = Watch(app_database, feeds, metrics, lambda: now[0])

    def told(seconds: float) -> list[int]:
        now[0] += seconds
        caplog.clear()
        with caplog.at_level(logging.WARNING, "hl7_gateway.watch"):
            watch.look()
        return [vars(one)["seconds"] for one in caplog.records if vars(one).get("feed") == feed.label]

    assert told(0) == []
    assert told(99) == []
    assert told(PERIOD) == [114]
    assert told(PERIOD) == []
    metrics.came(feed, now[0])
    assert told(PERIOD) == []
    assert told(100) == [115]


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
