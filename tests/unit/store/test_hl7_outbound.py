"""What changes waits for the destinations that want it, in the order of each patient. docs/hl7-outbound.md"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from fhir_server.store import hl7_destinations, hl7_feeds, hl7_outbound
from fhir_server.store.hl7_outbound import DEAD, SENT, SKIPPED, WAITING
from fhir_server.store.index_rows import IndexRows
from fhir_server.store.resources import Write
from fhir_server.store.store import Store


def rows(patient: int | None = None) -> IndexRows:
    return IndexRows([], [], [], [], [], [], [], patient, None, None)


def write(path: str, patient: int | None = 5, *, body: bytes | None = b"{}", expect: int | None = None) -> Write:
    kind, _, number = path.partition("/")
    return Write(kind, number, "PUT", expect, None, body, rows(patient))


class Outbox:
    """A destination of a fresh tenant."""

    def __init__(self, store: Store, *types: str, feed: int = 0) -> None:
        self.store, self.tenant = store, store.tenant_id
        found = store.within(lambda c: hl7_destinations.add(c, self.tenant, "to", types, {"a": 1}, 3, feed))
        assert found is not None
        self.id = found

    def within(self, work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        return self.store.within(lambda c: work(c, self.tenant, *arguments, **named))

    def listed(self, *states: str) -> list[hl7_outbound.Entry]:
        found: list[hl7_outbound.Entry] = self.within(hl7_outbound.listed, self.id, states or (WAITING,), 100)
        return found

    def versions(self) -> list[tuple[str, str, int]]:
        return [(one.resource_type, one.resource_id, one.version) for one in self.listed()]

    def ready(self, now: int = 9, most: int = 10) -> hl7_outbound.Ready:
        found: hl7_outbound.Ready = self.within(hl7_outbound.ready, self.id, now, most)
        return found


@pytest.fixture
def outbox(store: Store) -> Outbox:
    return Outbox(store, "Patient", "Encounter")


def test_each_version_of_a_type_that_is_wanted_waits(outbox: Outbox) -> None:
    for path in ("Patient/a", "Basic/b", "Patient/a", "Encounter/c"):
        outbox.store.put(write(path))
    outbox.store.put(write("Patient/a", body=None))
    assert outbox.versions() == [("Patient", "a", 1), ("Patient", "a", 2), ("Encounter", "c", 1), ("Patient", "a", 3)]
    assert [one.superseded for one in outbox.listed()] == [True, True, False, False]


def test_what_is_created_together_waits_in_its_order(outbox: Outbox) -> None:
    many = [write(f"Patient/{number}", number, expect=0) for number in range(20)]
    outbox.store.create_many([*many, write("Basic/x", expect=0)], fresh=True)
    assert outbox.versions() == [("Patient", str(number), 1) for number in range(20)]


def test_what_is_not_written_does_not_wait(outbox: Outbox) -> None:
    outbox.store.put(write("Patient/a"))
    assert outbox.store.put(write("Patient/a", expect=7)).status == "conflict"

    def undone(store: Store) -> None:
        store.put(write("Patient/b"))
        raise LookupError

    with pytest.raises(LookupError):
        outbox.store.transaction(undone)
    assert outbox.versions() == [("Patient", "a", 1)]


def test_an_index_that_is_built_anew_tells_nothing(outbox: Outbox) -> None:
    outbox.store.put(write("Patient/a"))
    changed = outbox.store.within(lambda c: c.execute("UPDATE resource SET patient = 6, params = '{1}'").rowcount)
    assert changed == 1
    assert len(outbox.versions()) == 1


def test_a_tenant_without_destinations_has_no_rows(store: Store) -> None:
    store.put(write("Patient/a"))
    assert store.within(lambda c: c.execute("SELECT count(*) FROM hl7_outbox").fetchone()) == (0,)


@pytest.mark.parametrize(("feed", "expected"), [("7", 0), ("8", 1), ("", 1)])
def test_what_came_from_a_system_does_not_go_back_to_it(store: Store, feed: str, expected: int) -> None:
    outbox = Outbox(store, "Patient", feed=7)

    def by_a_feed(inner: Store) -> None:
        inner.within(lambda c: c.execute("SELECT set_config('fhir.hl7_feed', %s, true)", [feed]))
        inner.put(write("Patient/a"))
        inner.put(write("Patient/a"))

    store.transaction(by_a_feed)
    assert len(outbox.versions()) == expected * 2
    # The feed does not outlive its transaction.
    store.put(write("Patient/a"))
    assert len(outbox.versions()) == expected * 2 + 1


def test_each_write_of_a_transaction_may_be_of_another_feed(store: Store) -> None:
    tenant = store.tenant_id
    lab, other = (
        store.within(lambda c, name=name: hl7_feeds.add(c, tenant, name, {"port": 1}, 1)) for name in ("lab", "other")
    )
    assert lab is not None
    assert other is not None
    outbox = Outbox(store, "Patient", feed=lab)
    assert store.within(lambda c: hl7_destinations.answering_feeds(c, tenant)) == {"lab": lab}

    def mixed(inner: Store) -> None:
        for number, feed in (("a", lab), ("b", other), ("c", lab), ("d", 0)):
            inner.within(lambda c, feed=feed: hl7_destinations.write_for_feed(c, feed))
            inner.put(write(f"Patient/{number}"))

    store.transaction(mixed)
    assert [one.resource_id for one in outbox.listed()] == ["b", "d"]


def test_one_of_a_patient_at_a_time(outbox: Outbox) -> None:
    for path, patient in (("Patient/a", 1), ("Encounter/b", 1), ("Patient/c", 2), ("Patient/d", 3)):
        outbox.store.put(write(path, patient))
    a, b, c, d = (one.id for one in outbox.listed())
    assert outbox.ready() == hl7_outbound.Ready((a, c, d), 0)
    outbox.within(hl7_outbound.postpone, a, 50, {"said": "no answer"})
    assert outbox.ready(now=49) == hl7_outbound.Ready((c, d), 50)
    assert outbox.ready(now=50) == hl7_outbound.Ready((a, c, d), 0)
    outbox.within(hl7_outbound.settle, a, SENT, 60, acknowledgment=b"AA")
    assert outbox.ready(now=50) == hl7_outbound.Ready((b, c, d), 0)
    assert outbox.ready(now=50, most=2).ids == (b, c)


def test_one_who_waits_is_found_behind_many(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hl7_outbound, "PAGE", 3)
    for number in range(7):
        outbox.store.put(write("Patient/a", 1))
        outbox.within(hl7_outbound.postpone, outbox.listed()[number].id, 50, {})
    outbox.store.put(write("Patient/b", 2))
    assert outbox.ready(now=9) == hl7_outbound.Ready((outbox.listed()[-1].id,), 50)


def test_a_row_is_held_by_one_process(outbox: Outbox) -> None:
    outbox.store.put(write("Patient/a"))
    number = outbox.listed()[0].id

    def lock(connection: psycopg.Connection) -> hl7_outbound.Entry | None:
        return hl7_outbound.locked(connection, outbox.tenant, number, 9)

    def while_held(connection: psycopg.Connection) -> tuple[Any, Any]:
        return lock(connection), outbox.store.database.transaction(outbox.tenant, lock)

    mine, other = outbox.store.database.transaction(outbox.tenant, while_held)
    assert mine is not None
    assert other is None
    outbox.within(hl7_outbound.made, number, "A28", "control", b"MSH|")
    again = outbox.store.within(lock)
    assert (again.message, again.control_id, again.event) == (b"MSH|", "control", "A28")
    outbox.within(hl7_outbound.settle, number, SKIPPED, 10, tried=False)
    assert outbox.store.within(lock) is None


def test_what_is_dead_may_be_sent_again_and_nothing_else(outbox: Outbox) -> None:
    for path in ("Patient/a", "Patient/b", "Patient/c"):
        outbox.store.put(write(path))
    a, b, c = (one.id for one in outbox.listed())
    outbox.within(hl7_outbound.settle, a, DEAD, 10, acknowledgment=b"AE", problem={"code": "101"})
    outbox.within(hl7_outbound.settle, b, SENT, 10)
    assert outbox.within(hl7_outbound.counts, outbox.id) == {DEAD: 1, SENT: 1, WAITING: 1}
    (dead,) = outbox.listed(DEAD)
    assert (dead.problem, dead.attempts, dead.settled, dead.acknowledgment) == ({"code": "101"}, 1, 10, b"AE")
    assert outbox.within(hl7_outbound.resend, [a, b, c]) == [a]
    assert [one.id for one in outbox.listed()] == [a, c]


def test_destinations_are_added_paused_and_removed(outbox: Outbox) -> None:
    assert outbox.within(hl7_destinations.add, "to", ["Patient"], {}, 4) is None
    assert outbox.within(hl7_destinations.pause, "to", 5, paused=True)
    assert not outbox.within(hl7_destinations.pause, "other", 5, paused=True)
    (found,) = outbox.store.within(lambda c: hl7_destinations.listed(c, outbox.tenant))
    assert (found.name, found.paused, found.changed, found.configuration) == ("to", True, 5, {"a": 1})
    outbox.store.put(write("Patient/a"))
    assert outbox.within(hl7_destinations.remove, "to", 6)
    assert not outbox.within(hl7_destinations.remove, "to", 6)
    assert [one.state for one in outbox.listed(WAITING, SKIPPED)] == [SKIPPED]
