"""From messages that wait to resources, by workers that compete, fail and die.

docs/decisions/0018-messages-in-order.md
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import psycopg
import pytest

from fhir_server.audit import event as events
from fhir_server.errors import Unavailable
from fhir_server.store import hl7_feeds, hl7_found, tenants
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.session import Connection, Database
from fhir_server.store.tenants import Tenant
from hl7_gateway import worker as worker_module
from hl7_gateway.message import Message
from hl7_gateway.wire import client
from tests.functional.hl7.gateway import message
from tests.functional.hl7.ward import Ward, visit
from tests.unit.hl7_gateway.own_feeds import OwnFeeds


@pytest.fixture
def ward(app_database: Database, tenant: Tenant) -> Ward:
    return Ward(app_database, tenant)


@pytest.fixture
def new_ward(fresh_database: DatabaseUrls) -> Iterator[Callable[..., Ward]]:
    """Makes wards of clinics of a database that nothing else is in."""
    pool = Database(fresh_database.app, 4)
    pool.open()
    yield partial(Ward, pool)
    pool.close()


def test_messages_become_resources(ward: Ward) -> None:
    ward.keep(visit("1", "A01", "123"), visit("2", "A01", "456"))
    assert ward.work() == 2
    assert [(one.state, one.problem, one.attempts) for one in ward.found()] == [("stored", None, 1)] * 2
    assert ward.encounters() == {"V123": "in-progress", "V456": "in-progress"}


def test_messages_of_a_patient_are_applied_in_order(ward: Ward) -> None:
    ward.keep(*(visit(str(number), event, "123") for number, event in enumerate(("A01", "A08", "A03", "A08"))))
    assert ward.work() == 4
    assert ward.encounters() == {"V123": "finished"}


def test_what_cannot_be_converted_is_a_dead_letter_and_its_neighbours_are_stored(ward: Ward) -> None:
    # Only conversion sees that a social security number tells nobody apart.
    ssn = message("2").replace(b"HOSP^MR", b"HOSP^SS")
    ward.keep(visit("1", "A01", "123"), ssn, visit("3", "A01", "456"))
    assert ward.work() == 3
    assert [(one.control_id, one.state) for one in ward.found()] == [("1", "stored"), ("2", "dead"), ("3", "stored")]
    assert [(one.problem or {}).get("place") for one in ward.found(state="dead")] == ["PID-3"]


def test_a_defect_makes_a_dead_letter_with_an_incident(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    real = worker_module.convert

    def convert(message: Message, mapping: Any) -> Any:
        if message.control_id == "2":
            raise KeyError("SMITH")
        return real(message, mapping)

    monkeypatch.setattr(worker_module, "convert", convert)
    ward.keep(visit("1", "A01", "123"), visit("2", "A01", "456"))
    assert ward.work() == 2
    assert [one.state for one in ward.found()] == ["stored", "dead"]
    problem = ward.found(state="dead")[0].problem or {}
    assert problem["code"] == 207
    assert "incident" in problem["said"]
    assert "SMITH" not in problem["said"]


def test_a_defect_of_delivery_is_found_with_the_one_message_that_has_it(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = worker_module.deliver_batch

    def deliver_batch(desk: Any, store: Any, many: Any, acknowledge: Any, **named: Any) -> Any:
        if any("bad" in work.sender for work in many):
            raise RuntimeError("a defect")
        return real(desk, store, many, acknowledge, **named)

    monkeypatch.setattr(worker_module, "deliver_batch", deliver_batch)
    bad = message("2", patient="9", application="bad")
    ward.keep(visit("1", "A01", "123"), bad, visit("3", "A01", "456"))
    assert ward.work() == 3
    assert [(one.control_id, one.state) for one in ward.found()] == [("1", "stored"), ("2", "dead"), ("3", "stored")]
    # The trail tells of it as of every message.
    (dead,) = ward.found(state="dead")
    records = [events.decode(record) for (record,) in ward.rows("SELECT record FROM audit_record ORDER BY seq")]
    (failed,) = [one for one in records if one.messages == (dead.id,)]
    assert (failed.kind, failed.client_id, failed.outcome) == ("transaction", "hl7-feed/lab", events.FAILED)
    assert failed.reason.startswith("It could not be converted; incident ")


def test_who_sent_a_message_that_a_defect_made_a_dead_letter_is_told_so(
    app_database: Database, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not to send it again for ever, to learn what became of it."""
    ward = Ward(app_database, tenant, acknowledgment="commit")
    ward.keep(visit("1", "A01", "123"))

    def deliver_batch(*_: Any, **named: Any) -> Any:
        raise RuntimeError("a defect")

    monkeypatch.setattr(worker_module, "deliver_batch", deliver_batch)
    assert ward.work() == 1
    answer = ward.answer("1")
    assert (answer.code, answer.complaints[0].code) == ("AE", "207")
    assert "incident" in answer.complaints[0].said


def test_while_the_database_is_away_nothing_is_lost(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    ward.keep(visit("1", "A01", "123"))

    def deliver_batch(*_: Any, **named: Any) -> Any:
        raise Unavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(worker_module, "deliver_batch", deliver_batch)
        with pytest.raises(Unavailable):
            ward.work()
    assert [one.state for one in ward.found()] == ["received"]
    assert ward.work() == 1


def test_a_message_that_always_takes_too_long_is_a_dead_letter_at_last(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    ward.keep(visit("1", "A01", "123"))

    def deliver_batch(*_: Any, **named: Any) -> Any:
        raise Unavailable("slow", code="timeout")

    monkeypatch.setattr(worker_module, "deliver_batch", deliver_batch)
    worker = ward.worker()
    for _ in range(4):
        with pytest.raises(Unavailable):
            worker.once(ward.tenant.id)
    assert worker.once(ward.tenant.id) == 1
    assert [one.state for one in ward.found()] == ["dead"]


def test_a_message_that_another_worker_has_stored_meanwhile_is_no_dead_letter(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deliver_batch(*_: Any, **named: Any) -> Any:
        raise RuntimeError("a defect of this process")

    real = worker_module._incident

    def incident(*arguments: Any) -> Any:
        # Its transaction has ended, so that the message is free.
        monkeypatch.undo()
        assert ward.work() == 1
        return real(*arguments)

    monkeypatch.setattr(worker_module, "deliver_batch", deliver_batch)
    monkeypatch.setattr(worker_module, "_incident", incident)
    ward.keep(visit("1", "A01", "123"))
    assert ward.worker().once(ward.tenant.id) == 1
    assert [one.state for one in ward.found()] == ["stored"]
    assert ward.answer("1").code == "AA"


def test_a_paused_feeds_messages_wait(ward: Ward) -> None:
    ward.keep(visit("1", "A01", "123"))
    number = ward.tenant.id
    ward.database.transaction(number, lambda c: hl7_feeds.change(c, number, "lab", 8, paused=True))
    ward.feeds.refresh(now=True)
    assert ward.work() == 0
    ward.database.transaction(number, lambda c: hl7_feeds.change(c, number, "lab", 8, paused=False))
    ward.feeds.refresh(now=True)
    assert ward.work() == 1


def test_messages_of_a_feed_that_cannot_be_used_from_just_now_on_wait(ward: Ward) -> None:
    number, held = ward.tenant.id, ward.feeds.held

    def configure(**configuration: Any) -> None:
        ward.database.transaction(
            number, lambda c: hl7_feeds.change(c, number, "lab", ward.feed_id, configuration=configuration)
        )
        ward.feeds.refresh(now=True)

    def held_before(tenant_id: int) -> list[int]:
        found = held(tenant_id)
        configure(zone="Nowhere/Town")
        return found

    ward.keep(visit("1", "A01", "123"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ward.feeds, "held", held_before)
        with pytest.raises(Unavailable):
            ward.work()
    assert [one.state for one in ward.found()] == ["received"]
    assert ward.work() == 0
    configure(zone="Europe/Berlin")
    assert ward.work() == 1
    assert [one.state for one in ward.found()] == ["stored"]


def test_a_feed_is_paused_and_resumed_in_a_worker_as_soon_as_it_is_told(ward: Ward) -> None:
    """For the feeds of this worker no time passes: it never looks by itself."""
    number = ward.tenant.id
    ward.feeds = OwnFeeds(ward.database, ward.tenant, clock=lambda: 100.0)
    ward.feeds.follow()
    stopping = threading.Event()
    thread = threading.Thread(target=ward.worker().run, args=(stopping,))
    thread.start()

    def until(condition: Callable[[], bool]) -> None:
        ending = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < ending, "it does not happen"
            time.sleep(0.01)

    def pause(paused: bool) -> None:
        ward.database.transaction(number, lambda c: hl7_feeds.change(c, number, "lab", 8, paused=paused))

    try:
        until(lambda: ward.feeds.get(number, ward.feed_id) is not None)
        pause(True)
        until(lambda: bool(ward.feeds.held(number)))
        ward.keep(visit("1", "A01", "123"))
        time.sleep(1.5)
        assert [one.state for one in ward.found()] == ["received"]
        pause(False)
        until(lambda: [one.state for one in ward.found()] == ["stored"])
    finally:
        stopping.set()
        thread.join()
        ward.feeds.close()


def test_messages_of_a_feed_that_is_removed_are_dead_letters(ward: Ward) -> None:
    ward.keep(visit("1", "A01", "123"))
    ward.database.transaction(ward.tenant.id, lambda c: hl7_feeds.remove(c, ward.tenant.id, "lab"))
    ward.feeds.refresh(now=True)
    assert ward.work() == 1
    assert [(one.problem or {})["said"] for one in ward.found()] == ["Its feed does not exist any more."]


def test_who_waits_for_a_message_to_be_stored_is_told(app_database: Database, tenant: Tenant) -> None:
    ward = Ward(app_database, tenant, acknowledgment="commit")
    with ward.database.connect_apart() as listener:
        listener.execute("LISTEN hl7_settled")
        ward.keep(visit("1", "A01", "123"), message("2").replace(b"HOSP^MR", b"HOSP^SS"))
        ward.work()
        told = {one.payload for one in listener.notifies(timeout=5, stop_after=2)}
    good, bad = ward.found()
    assert {f"{tenant.id} {good.id}", f"{tenant.id} {bad.id}"} <= told
    stored = ward.database.transaction(tenant.id, lambda c: hl7_found.settled(c, tenant.id, [good.id, bad.id]))
    assert client.read(stored[good.id]).code == "AA"
    refused = client.read(stored[bad.id])
    assert (refused.code, refused.complaints[0].place) == ("AE", "PID-3")


def test_a_worker_that_runs_hears_of_what_comes_and_ends_when_told(ward: Ward) -> None:
    stopping = threading.Event()
    thread = threading.Thread(target=ward.worker().run, args=(stopping,))
    thread.start()
    try:
        ward.keep(visit("1", "A01", "123"))
        with ward.database.connect_apart():
            for _ in range(200):
                if [one.state for one in ward.found()] == ["stored"]:
                    break
                stopping.wait(0.05)
    finally:
        stopping.set()
        thread.join(10)
    assert not thread.is_alive()
    assert [one.state for one in ward.found()] == ["stored"]


def test_one_that_is_not_needed_lets_others_be_first_and_delivers_what_they_leave(ward: Ward) -> None:
    stopping, rested = threading.Event(), threading.Event()
    stored: list[int] = []
    real = stopping.wait

    def wait(seconds: float | None = None) -> bool:
        if seconds == 0.5:
            stored.append(len(ward.found(state="stored")))
            rested.set()
        return real(0.01)

    stopping.wait = wait  # type: ignore[method-assign]
    ward.keep(*(visit(str(number), "A01", str(number)) for number in range(40)))
    thread = threading.Thread(target=ward.worker(patience=0.5).run, args=(stopping,))
    thread.start()
    try:
        assert rested.wait(20)
        for _ in range(200):
            if len(ward.found(state="stored")) == 40:
                break
            real(0.05)
    finally:
        stopping.set()
        thread.join(10)
    assert len(ward.found(state="stored")) == 40
    # While there was more than one transaction takes, it was needed.
    assert stored[0] >= 32


def test_what_came_before_a_worker_listens_waits_for_no_other_clinic(
    fresh_database: DatabaseUrls, new_ward: Callable[..., Ward]
) -> None:
    assert fresh_database.owner is not None
    with psycopg.connect(fresh_database.owner, autocommit=True) as owner:
        wards = [new_ward(tenants.create(owner, f"clinic-{number}")) for number in range(200)]
    # Nothing has to be read first for the one that is measured.
    wards[0].keep(visit("0", "A01", "123"))
    assert wards[0].work() == 1
    wards[-1].feeds.refresh(now=True)
    wards[-1].keep(visit("1", "A01", "123"))
    stopping = threading.Event()
    thread = threading.Thread(target=wards[-1].worker().run, args=(stopping,))
    thread.start()
    began = time.monotonic()
    try:
        while [one.state for one in wards[-1].found()] != ["stored"]:
            assert time.monotonic() < began + 5, "it waits for clinics that have nothing"
            time.sleep(0.02)
    finally:
        stopping.set()
        thread.join()


def test_messages_of_a_feed_that_is_gone_are_found_beside_feeds_that_are_paused(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_RESTING", 2)
    number = ward.tenant.id
    ward.keep(visit("1", "A01", "123"))

    def change(connection: Connection) -> None:
        hl7_feeds.remove(connection, number, "lab")
        hl7_feeds.add(connection, number, "paused", {}, 5)
        hl7_feeds.change(connection, number, "paused", 5, paused=True)

    ward.database.transaction(number, change)
    ward.feeds.refresh(now=True)
    stopping = threading.Event()
    thread = threading.Thread(target=ward.worker().run, args=(stopping,))
    thread.start()
    ending = time.monotonic() + 20
    try:
        while [one.state for one in ward.found()] != ["dead"]:
            assert time.monotonic() < ending, "nobody looks at it"
            time.sleep(0.02)
    finally:
        stopping.set()
        thread.join()


def test_many_workers_that_fail_at_random_end_where_one_does(
    ward: Ward, monkeypatch: pytest.MonkeyPatch, new_tenant: Callable[[], Tenant]
) -> None:
    patients = [str(100 + number) for number in range(12)]
    endings = ("A03", "A11", "A13", "A08")
    story = [
        visit(f"{patient}-{place}", event, patient)
        for place in range(4)
        for number, patient in enumerate(patients)
        for event in [("A01", "A08", "A03", endings[number % 4])[place]]
    ]
    serial = Ward(ward.database, new_tenant())
    serial.keep(*story)
    serial.work(most=1)
    real = worker_module.deliver_batch

    def deliver_batch(*arguments: Any, **named: Any) -> Any:
        done = real(*arguments, **named)
        if random.random() < 0.2:
            # All is written, and nothing committed.
            raise Unavailable("it dies here")
        return done

    monkeypatch.setattr(worker_module, "deliver_batch", deliver_batch)
    ward.keep(*story)
    broken: list[BaseException] = []

    def work(seed: int) -> None:
        worker = ward.worker(most=4)
        try:
            while ward.found(state="received"):
                try:
                    worker.once(ward.tenant.id)
                except Unavailable:
                    continue
        except BaseException as error:
            broken.append(error)
            raise

    threads = [threading.Thread(target=work, args=(seed,), daemon=True) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert broken == []
    assert {one.state for one in ward.found()} == {"stored"}
    assert ward.encounters() == serial.encounters()
    assert len(set(ward.encounters().values())) > 1
    versions = "SELECT type_id, version, count(*) FROM resource GROUP BY 1, 2 ORDER BY 1, 2"
    assert ward.rows(versions) == serial.rows(versions)


def test_messages_of_very_many_patients_are_delivered_a_few_at_a_time(ward: Ward) -> None:
    def crowd(place: int) -> bytes:
        many = "~".join(f"{place}-{number}^^^HOSP^MR" for number in range(200))
        return message(str(place)).replace(b"123^^^HOSP^MR", many.encode())

    ward.keep(*(crowd(place) for place in range(4)))
    worker = ward.worker()
    assert [worker.once(ward.tenant.id) for _ in range(3)] == [2, 2, 0]
    assert {one.state for one in ward.found()} == {"stored"}
