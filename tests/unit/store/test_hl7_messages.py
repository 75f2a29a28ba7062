"""Messages of HL7 v2: kept once, taken in the order of each patient, settled. docs/hl7.md"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from random import Random
from typing import Any

import psycopg
import pytest

from fhir_server.store import hl7_feeds, hl7_messages
from fhir_server.store.hl7_messages import DEAD, RECEIVED, STORED, Incoming, Kept, Settled, Waiting
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant


def incoming(control_id: str, raw: bytes = b"", patients: Sequence[int] = (), **more: Any) -> Incoming:
    raw = raw or f"MSH|^~\\&|A|B|||||ADT^A01|{control_id}".encode()
    known = sha256(control_id.encode() + raw).digest()
    answer = b"AA " + control_id.encode()
    return Incoming(
        1, control_id, "ADT", "A01", "ADT_A01", "A", "B", known, raw, answer, tuple(patients), **more
    )  # fmt: skip


@pytest.fixture
def keep(app_database: Database, tenant: Tenant) -> Callable[..., list[Kept]]:
    def run(*many: Incoming) -> list[Kept]:
        return app_database.transaction(tenant.id, lambda c: hl7_messages.keep(c, tenant.id, many, 7))

    return run


def test_kept_as_they_came_in_their_order(
    app_database: Database, tenant: Tenant, keep: Callable[..., list[Kept]]
) -> None:
    kept = keep(incoming("1", bytes(range(256)), (-5, 5)), incoming("2"))
    assert [one.new for one in kept] == [True, True]
    assert kept[0].id < kept[1].id
    assert [one.state for one in kept] == [RECEIVED, RECEIVED]
    taken = app_database.transaction(tenant.id, lambda c: hl7_messages.take(c, tenant.id, [], 10))
    assert [(one.id, one.raw, one.patients, one.acknowledgment) for one in taken] == [
        (kept[0].id, bytes(range(256)), (-5, 5), b"AA 1"),
        (kept[1].id, incoming("2").raw, (), b"AA 2"),
    ]


def test_the_same_again_is_known(keep: Callable[..., list[Kept]]) -> None:
    (first,) = keep(incoming("1"))
    again, other = keep(replace(incoming("1"), acknowledgment=b"later"), incoming("2"))
    assert again == replace(first, new=False)
    assert other.new


def test_the_same_control_id_with_other_bytes_is_kept_and_marked(
    app_database: Database, tenant: Tenant, keep: Callable[..., list[Kept]]
) -> None:
    first, second, third = *keep(incoming("1")), *keep(incoming("1", b"other")), *keep(incoming("2"))
    marked = app_database.transaction(
        tenant.id, lambda c: c.execute("SELECT id FROM hl7_message WHERE conflicting").fetchall()
    )
    assert second.new
    assert marked == [(second.id,)]
    assert len({first.id, second.id, third.id}) == 3


def test_a_dead_letter_waits_for_nobody(
    app_database: Database, tenant: Tenant, keep: Callable[..., list[Kept]]
) -> None:
    (dead,) = keep(incoming("1", problem={"code": 101, "place": "PID"}))
    assert dead.state == DEAD
    assert app_database.transaction(tenant.id, lambda c: hl7_messages.take(c, tenant.id, [], 10)) == []


def test_those_of_a_patient_by_one_at_a_time(
    app_database: Database, tenant: Tenant, keep: Callable[..., list[Kept]]
) -> None:
    kept = keep(incoming("1", patients=[1]), incoming("2", patients=[1, 2]), incoming("3", patients=[2]), incoming("4"))
    ids = [one.id for one in kept]

    def take(connection: psycopg.Connection) -> list[int]:
        return [one.id for one in hl7_messages.take(connection, tenant.id, [], 10)]

    def while_held(connection: psycopg.Connection) -> tuple[list[int], list[int]]:
        return take(connection), app_database.transaction(tenant.id, take)

    # The third is of another patient than the first, but the second is of both; locked rows are passed over.
    assert app_database.transaction(tenant.id, while_held) == (ids, [])
    assert app_database.transaction(tenant.id, lambda c: [m.id for m in hl7_messages.take(c, tenant.id, [1], 10)]) == []
    settled = [Settled(ids[0], STORED, "m1")]
    app_database.transaction(tenant.id, lambda c: hl7_messages.settle(c, tenant.id, settled, 9))
    assert app_database.transaction(tenant.id, take) == ids[1:]


def test_no_more_is_taken_at_once_than_a_worker_has_room_for(
    app_database: Database, tenant: Tenant, keep: Callable[..., list[Kept]]
) -> None:
    large = hl7_messages.OCTETS * 3 // 5
    kept = keep(*(incoming(str(number), bytes([number]) * large) for number in range(3)), incoming("3"))
    ids = [one.id for one in kept]

    def take(connection: psycopg.Connection) -> tuple[list[int], bool]:
        taken = hl7_messages.take(connection, tenant.id, [], 10)
        hl7_messages.settle(connection, tenant.id, [Settled(one.id, STORED, "") for one in taken], 9)
        return [one.id for one in taken], taken.more

    assert app_database.transaction(tenant.id, take) == (ids[:2], True)
    assert app_database.transaction(tenant.id, take) == (ids[2:], False)
    # One that is larger than all the room is taken alone.
    larger = keep(incoming("4", b"4" * (hl7_messages.OCTETS + 1)), incoming("5"))
    assert app_database.transaction(tenant.id, take) == ([larger[0].id], True)
    assert app_database.transaction(tenant.id, take) == ([larger[1].id], False)


def test_workers_that_fail_now_and_then_keep_the_order(
    app_database: Database, tenant: Tenant, keep: Callable[..., list[Kept]]
) -> None:
    """What several workers have settled is, for each patient, what one alone would have."""
    random = Random(1)
    of_patient = {str(n): random.sample(range(6), random.choice([1, 1, 2])) for n in range(60)}
    keep(*(incoming(name, patients=patients) for name, patients in of_patient.items()))
    seen: list[str] = []
    broken: list[BaseException] = []

    def work(seed: int) -> None:
        luck = Random(seed)

        def once(connection: psycopg.Connection) -> list[Waiting]:
            found = hl7_messages.take(connection, tenant.id, [], 3)
            hl7_messages.lock_patients(connection, tenant.id, [p for one in found for p in one.patients])
            hl7_messages.settle(connection, tenant.id, [Settled(one.id, STORED, "m1") for one in found], 9)
            if found and luck.random() < 0.3:
                raise KeyError("a worker dies")
            # Still within the transaction: whoever waits for these patients comes after.
            seen.extend(one.acknowledgment.decode().removeprefix("AA ") for one in found)
            return found

        try:
            while len(seen) < len(of_patient):
                with suppress(KeyError):
                    app_database.transaction(tenant.id, once)
        except BaseException as error:
            broken.append(error)
            raise

    threads = [threading.Thread(target=work, args=(seed,), daemon=True) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert broken == []
    assert sorted(seen, key=int) == list(of_patient)
    for patient in range(6):
        of_this = [name for name in seen if patient in of_patient[name]]
        assert of_this == sorted(of_this, key=int)


def test_what_became_of_a_message_is_kept_and_told(
    app_database: Database, tenant: Tenant, keep: Callable[..., list[Kept]]
) -> None:
    first, second = keep(incoming("1"), incoming("2"))
    problem, warnings = {"code": 207, "place": "OBX-5"}, {"said": ["é"]}
    settled = [
        Settled(first.id, DEAD, "m1", problem, warnings, b"AE 1", awaited=True),
        Settled(second.id, STORED, "m2", awaited=True),
    ]
    with app_database.connect_apart() as listener:
        listener.execute("LISTEN hl7_settled")
        app_database.transaction(tenant.id, lambda c: hl7_messages.settle(c, tenant.id, settled, 9))
        told = {one.payload for one in listener.notifies(timeout=5, stop_after=2)}
    assert {f"{tenant.id} {first.id}", f"{tenant.id} {second.id}"} <= told
    columns = "state, settled, attempts, map_version, problem, warnings, acknowledgment"
    rows = app_database.transaction(
        tenant.id,
        lambda c: c.execute(f"SELECT {columns} FROM hl7_message ORDER BY id").fetchall(),  # noqa: S608
    )
    assert rows == [(DEAD, 9, 1, "m1", problem, warnings, b"AE 1"), (STORED, 9, 1, "m2", None, None, b"AA 2")]
    assert app_database.transaction(tenant.id, lambda c: hl7_messages.take(c, tenant.id, [], 10)) == []
    assert [(one.new, one.acknowledgment) for one in keep(incoming("1"), incoming("2"))] == [
        (False, b"AE 1"), (False, b"AA 2"),
    ]  # fmt: skip


def test_other_tenants_neither_see_nor_take(
    app_database: Database, keep: Callable[..., list[Kept]], new_tenant: Callable[[], Tenant]
) -> None:
    keep(incoming("1"))
    other = new_tenant()
    assert app_database.transaction(other.id, lambda c: hl7_messages.take(c, other.id, [], 10)) == []
    (own,) = app_database.transaction(other.id, lambda c: hl7_messages.keep(c, other.id, [incoming("1")], 7))
    assert own.new


def test_feeds_are_found_for_all_clinics_and_changed_by_their_own(
    app_database: Database, tenant: Tenant, new_tenant: Callable[[], Tenant]
) -> None:
    other = new_tenant()
    number = app_database.transaction(tenant.id, lambda c: hl7_feeds.add(c, tenant.id, "lab", {"port": 2575}, 5))
    assert app_database.transaction(tenant.id, lambda c: hl7_feeds.add(c, tenant.id, "lab", {}, 6)) is None
    with app_database.connection() as connection:
        (feed,) = [one for one in hl7_feeds.listed(connection) if one.tenant_id == tenant.id]
    assert (feed.id, feed.slug, feed.name, feed.paused, feed.configuration) == (
        number, tenant.slug, "lab", False, {"port": 2575},
    )  # fmt: skip
    assert not app_database.transaction(other.id, lambda c: hl7_feeds.change(c, tenant.id, "lab", 7, paused=True))
    assert not app_database.transaction(other.id, lambda c: hl7_feeds.remove(c, tenant.id, "lab"))
    assert app_database.transaction(tenant.id, lambda c: hl7_feeds.change(c, tenant.id, "lab", 7, paused=True))
    own = app_database.transaction(tenant.id, lambda c: hl7_feeds.listed(c, tenant.id))
    assert [one.paused for one in own] == [True]
    assert app_database.transaction(tenant.id, lambda c: hl7_feeds.remove(c, tenant.id, "lab"))
