"""Whose message this is. docs/hl7.md, "Feeds" """

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from fhir_server.errors import Unavailable
from fhir_server.store import hl7_feeds
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.hl7_feeds import FeedRow
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from hl7_gateway.feed import Feed, parse
from hl7_gateway.feeds import PERIOD, Feeds, recognise, rival
from hl7_gateway.message import Message, Segment
from hl7_gateway.wire.peer import Peer

OWN = 2575
CERTIFICATE = "ab" * 32


def header(application: str = "EPIC", facility: str = "HOSP") -> Segment:
    return Message(f"MSH|^~\\&|{application}|{facility}|A|B|20260101||ADT^A01|1|P|2.5.1\r").header


def feeds(**configurations: dict[str, Any]) -> list[Feed]:
    rows = enumerate(configurations.items(), 1)
    return [parse(FeedRow(1, "riverside", number, name, False, 0, found)) for number, (name, found) in rows]


def found(
    known: list[Feed], port: int = OWN, certificate: str = "", address: str = "10.0.0.1", said: Segment | None = None
) -> str:
    feed = recognise(known, Peer(address, 5, certificate), port, OWN, said or header())
    return feed.name if feed is not None else ""


def test_a_certificate_goes_before_a_name_and_a_name_before_a_port() -> None:
    known = feeds(
        port={"port": 6001},
        named={"application": "EPIC", "facility": "HOSP"},
        half={"application": "EPIC"},
        certified={"certificate": CERTIFICATE},
        rest={},
    )
    assert found(known, 6001, CERTIFICATE) == "certified"
    assert found(known, 6001) == "named"
    assert found(known, 6001, said=header("EPIC", "OTHER")) == "half"
    assert found(known, 6001, said=header("X", "Y")) == "port"
    assert found(known, OWN, said=header("X", "Y")) == "rest"
    assert found(known, 7777, said=header("X", "Y")) == ""


def test_without_its_certificate_nobody_is_a_feed_that_asks_for_one() -> None:
    known = feeds(certified={"certificate": CERTIFICATE, "application": "EPIC"})
    assert found(known) == ""
    assert found(known, certificate="cd" * 32) == ""
    assert found(known, certificate=CERTIFICATE) == "certified"
    assert found(known, certificate=CERTIFICATE, said=header("X")) == ""


def test_who_comes_from_elsewhere_is_not_the_feed() -> None:
    known = feeds(lab={"networks": ["10.0.0.0/8"]})
    assert found(known) == "lab"
    assert found(known, address="192.0.2.1") == ""


def test_a_name_alone_does_not_lead_from_the_port_of_one_clinic_to_another_one() -> None:
    port, named, certified = feeds(
        port={"port": 6001}, named={"application": "EPIC"}, certified={"certificate": CERTIFICATE}
    )
    abroad = [replace(named, tenant_id=2), replace(certified, tenant_id=2)]
    # Whoever calls itself EPIC at the port of the first clinic is the first clinic's.
    assert found([*abroad, port], 6001) == "port"
    assert found([*abroad, port], 6001, CERTIFICATE) == "certified"
    assert found([*abroad, replace(port, application="OTHER")], 6001) == ""
    # The gateway's own port is everybody's, and so is one that no other clinic has; a clinic's own feeds share theirs.
    assert found([*abroad, port]) == "named"
    assert found([*abroad, port], 6002) == "named"
    assert found([*abroad, replace(port, port=OWN)]) == "named"
    assert found([*abroad, port, replace(port, tenant_id=2)], 6001) == "named"
    assert found([named, port], 6001) == "named"


def test_who_was_recognised_is_forgotten_when_there_are_too_many(
    app_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hl7_gateway.feeds._REMEMBERED", 3)
    known = Feeds(app_database, OWN)
    known._all = tuple(feeds(rest={}))
    for name in ("A", "B", "C", "D", "E" * 300, "D"):
        feed = known.recognise(Peer("10.0.0.1", 5), OWN, header(name))
        assert feed is not None
    assert {key[3] for key in known._recognised} == {"D"}


def test_where_two_have_an_equal_claim_it_is_neither() -> None:
    known = feeds(one={"application": "EPIC"}, other={"facility": "HOSP"})
    assert found(known) == ""
    assert found(known, said=header("EPIC", "X")) == "one"


def test_a_message_that_cannot_be_read_is_known_by_its_port() -> None:
    known = feeds(port={"port": 6001}, named={"application": "EPIC"})
    assert recognise(known, Peer("10.0.0.1", 5), 6001, OWN, None) is known[0]
    assert recognise(known, Peer("10.0.0.1", 5), OWN, OWN, None) is None


def test_a_rival_asks_for_just_the_same() -> None:
    one, other, third = feeds(one={"application": "EPIC"}, other={"application": "EPIC"}, third={"port": 6001})
    assert rival(one, [one, other, third]) is other
    assert rival(third, [one, other, third]) is None


def test_feeds_are_looked_up_again_after_a_while(app_database: Database, tenant: Tenant) -> None:
    now = [100.0]
    known = Feeds(app_database, OWN, lambda: now[0])
    known.refresh()

    def mine() -> list[str]:
        return [one.name for one in known.all if one.tenant_id == tenant.id]

    assert known.seen
    # Feeds of other tests' tenants are seen as well: a port of one's own.
    port = 20_000 + tenant.id
    number = app_database.transaction(tenant.id, lambda c: hl7_feeds.add(c, tenant.id, "lab", {"port": port}, 5))
    app_database.transaction(tenant.id, lambda c: hl7_feeds.add(c, tenant.id, "wrong", {"port": "x"}, 5))
    known.refresh()
    assert mine() == []
    now[0] += PERIOD
    known.refresh()
    assert mine() == ["lab"]
    assert number is not None
    assert len(known.held(tenant.id)) == 1
    assert tenant.id not in known.resting
    app_database.transaction(tenant.id, lambda c: hl7_feeds.change(c, tenant.id, "lab", 6, paused=True))
    known.refresh(now=True)
    assert len(known.held(tenant.id)) == 2
    assert tenant.id in known.resting
    feed = known.get(tenant.id, number)
    assert feed is not None
    assert feed.name == "lab"
    assert known.recognise(Peer("127.0.0.1", 1), port, None) == feed


@pytest.mark.parametrize(
    ("wrong", "received"), [({"zone": "Mars/Olympus"}, True), ({"gone": 1}, True), ({"facility": 7}, False)]
)
def test_one_that_cannot_be_used_is_received_as_long_as_it_is_known_which_it_is(
    app_database: Database, tenant: Tenant, wrong: dict[str, Any], received: bool
) -> None:
    known, port = Feeds(app_database, OWN), 20_000 + tenant.id
    configuration = {"port": port, "application": "EPIC", **wrong}
    number = app_database.transaction(tenant.id, lambda c: hl7_feeds.add(c, tenant.id, "lab", configuration, 5))
    # Twice: what was seen before is not looked at again.
    for _ in range(2):
        known.refresh(now=True)
        found = known.recognise(Peer("127.0.0.1", 1), port, header("EPIC"))
        assert (found is not None) == received
        assert number is not None
        assert known.get(tenant.id, number) is None
        assert known.held(tenant.id) == [number]
        assert tenant.id in known.resting
        assert [one.name for one in known.unusable if one.tenant_id == tenant.id] == ["lab"]
    mended = {"port": port, "application": "EPIC"}
    app_database.transaction(tenant.id, lambda c: hl7_feeds.change(c, tenant.id, "lab", 6, configuration=mended))
    known.refresh(now=True)
    assert known.held(tenant.id) == []
    found = known.recognise(Peer("127.0.0.1", 1), port, header("EPIC"))
    assert found is not None
    assert found.id == number


def test_without_a_database_what_was_seen_before_still_holds(database: Any) -> None:
    away = Database("postgresql://127.0.0.1:1/none", 1, wait_seconds=0.05)
    away.open()
    try:
        known = Feeds(away)
        known.refresh_if_possible()
        assert known.all == ()
        assert not known.seen
        with pytest.raises(Unavailable):
            known.refresh(now=True)
    finally:
        away.close()


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for what happens at once on a machine that has nothing else to do."""
    ending = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ending, "it does not happen"
        time.sleep(0.01)


@pytest.fixture
def followed(app_database: Database) -> Iterator[Feeds]:
    """Feeds that follow what is told; for them no time passes, so that they never look by themselves."""
    known = Feeds(app_database, OWN, lambda: 100.0)
    known.follow()
    yield known
    known.close()


def test_changes_are_seen_when_they_are_told(app_database: Database, tenant: Tenant, followed: Feeds) -> None:
    def mine() -> list[tuple[int, bool]]:
        return [(one.silent, one.paused) for one in followed.all if one.tenant_id == tenant.id]

    until(lambda: followed.seen)
    app_database.transaction(tenant.id, lambda c: hl7_feeds.add(c, tenant.id, "lab", {"silent": 1}, 5))
    until(lambda: mine() == [(1, False)])
    app_database.transaction(tenant.id, lambda c: hl7_feeds.change(c, tenant.id, "lab", 6, paused=True))
    until(lambda: mine() == [(1, True)])
    for number in range(2, 30):
        configuration = {"silent": number}
        app_database.transaction(
            tenant.id, lambda c, new=configuration: hl7_feeds.change(c, tenant.id, "lab", 7, configuration=new)
        )
    until(lambda: mine() == [(29, True)])
    app_database.transaction(tenant.id, lambda c: hl7_feeds.remove(c, tenant.id, "lab"))
    until(lambda: mine() == [])


def test_what_changed_while_nothing_was_heard_is_seen_when_it_is_heard_again(
    app_database: Database, database: DatabaseUrls, tenant: Tenant, followed: Feeds
) -> None:
    until(lambda: followed.seen)
    assert database.owner is not None
    with psycopg.connect(database.owner, autocommit=True) as owner:
        owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN \"hl7_feeds\"%'")
        owner.execute("ALTER TABLE hl7_feed DISABLE TRIGGER hl7_feed_changed")
        try:
            app_database.transaction(tenant.id, lambda c: hl7_feeds.add(c, tenant.id, "lab", {"silent": 1}, 5))
        finally:
            owner.execute("ALTER TABLE hl7_feed ENABLE TRIGGER hl7_feed_changed")
    until(lambda: any(one.tenant_id == tenant.id for one in followed.all))


def test_a_feed_that_nobody_has_changed_stays_the_same_object(app_database: Database, tenant: Tenant) -> None:
    def add(name: str) -> int | None:
        return app_database.transaction(tenant.id, lambda c: hl7_feeds.add(c, tenant.id, name, {}, 5))

    one, other = add("one"), add("other")
    assert one is not None
    assert other is not None
    known = Feeds(app_database, OWN)
    known.refresh(now=True)
    before = known.get(tenant.id, one)
    changed = {"zone": "Asia/Tokyo"}
    app_database.transaction(tenant.id, lambda c: hl7_feeds.change(c, tenant.id, "other", 6, configuration=changed))
    known.refresh(now=True)
    assert known.get(tenant.id, one) is before
    found = known.get(tenant.id, other)
    assert found is not None
    assert found.mapping.zone == "Asia/Tokyo"
