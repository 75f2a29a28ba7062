"""Every event comes into the database once, whoever dies on the way. docs/audit.md, "The spool" """

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from fhir_server.audit import chain
from fhir_server.audit import event as events
from fhir_server.audit.drain import Drain
from fhir_server.audit.event import SUCCESS, UNKNOWN, Event
from fhir_server.audit.settle import NOT_DONE, PERHAPS
from fhir_server.audit.spool import RECORD, SEGMENT_BYTES, Spool, framed
from fhir_server.audit.trail import Trail
from fhir_server.crypto.hashing import Hasher
from fhir_server.errors import Unavailable
from fhir_server.store import audit
from fhir_server.store.index_rows import IndexRows
from fhir_server.store.resources import Write
from fhir_server.store.session import Database
from fhir_server.store.store import Store
from fhir_server.store.tenants import Tenant


def kept(database: Database, tenant: Tenant) -> list[Event]:
    """The tenant's records, in the order of the chain, which is checked on the way."""
    rows = audit.walk(database, tenant.id, 0, 10_000)
    current = chain.genesis(tenant.id)
    for number, row in enumerate(rows, start=1):
        current = chain.link(current, number, row.record)
        assert (row.seq, row.hash) == (number, current)
    if rows:
        assert audit.head(database, tenant.id) == (rows[-1].seq, current)
    return [events.decode(row.record) for row in rows]


def test_events_come_into_the_chain(
    trail: Trail, app_database: Database, tenant: Tenant, make: Callable[..., Event]
) -> None:
    made = [make(query=f"GET Patient?name=é\\{n}'\"") for n in range(5)]
    for event in made[:3]:
        trail.record(event)
    trail.flush()
    for event in made[3:]:
        trail.record(event)
    trail.flush()
    assert kept(app_database, tenant) == made


def test_each_clinic_has_a_chain_of_its_own(
    trail: Trail, app_database: Database, new_tenant: Callable[[], Tenant], make: Callable[..., Event]
) -> None:
    one, other = new_tenant(), new_tenant()
    made = [make(tenant_id=t.id) for t in (one, other, one, other, one)]
    for event in made:
        trail.record(event)
    trail.flush()
    assert kept(app_database, one) == made[::2]
    assert kept(app_database, other) == made[1::2]


def test_what_is_appended_twice_is_there_once(
    app_database: Database, hasher: Hasher, tmp_path: Path, tenant: Tenant, make: Callable[..., Event]
) -> None:
    spool = Spool(tmp_path)
    answers: list[Exception | None] = [Unavailable("lost"), None]
    append = audit.Appender(app_database)

    def lossy(tenant_id: int, rows: Sequence[audit.Row]) -> int:
        """Commits, and loses the connection before it hears of it."""
        appended = append(tenant_id, rows)
        if (error := answers.pop(0)) is not None:
            raise error
        return appended

    drain = Drain(spool, lossy, hasher, lambda event: event)
    made = [make(), make()]
    for event in made:
        spool.append(RECORD, events.encode(event))
    with pytest.raises(Unavailable):
        drain.step()
    drain.step()
    append.close()
    assert kept(app_database, tenant) == made


def test_what_a_dead_process_left_is_taken_over(
    trail: Trail, app_database: Database, hasher: Hasher, tmp_path: Path, tenant: Tenant, make: Callable[..., Event]
) -> None:
    made = [make() for _ in range(4)]
    for event in made[:2]:
        trail.record(event)
    trail.flush()
    for event in made[2:]:
        trail.record(event)
    die(trail)
    other = Trail(tmp_path / "audit", app_database, hasher)
    assert other._drain.take_over() == 1
    assert other._drain.take_over() == 0
    assert kept(app_database, tenant) == made
    assert list((tmp_path / "audit").iterdir()) == []


def die(trail: Trail) -> None:
    """As if the process were killed: its lock goes, its files stay."""
    trail._spool.close()


def test_a_write_is_recorded_once_with_its_outcome(
    trail: Trail, app_database: Database, tenant: Tenant, make: Callable[..., Event]
) -> None:
    intent = make(kind="create", resource_type="Basic", status=0)
    outcome = make(id=intent.id, kind="create", resource_type="Basic", resource_id="1", after=1)
    trail.intend(intent)
    trail.flush()
    assert kept(app_database, tenant) == []
    trail.record(outcome)
    trail.flush()
    assert kept(app_database, tenant) == [outcome]


@pytest.mark.parametrize(("after_it", "reason"), [(True, PERHAPS), (False, NOT_DONE)])
def test_a_write_whose_process_died_is_in_the_trail(
    trail: Trail,
    app_database: Database,
    hasher: Hasher,
    tmp_path: Path,
    tenant: Tenant,
    make: Callable[..., Event],
    after_it: bool,
    reason: str,
) -> None:
    at = events.now() if after_it else events.now() + 3600 * 1_000_000
    intent = make(kind="update", resource_type="Basic", resource_id="1", at=at, id=events.new_id(at))
    trail.intend(intent)
    Store(app_database, hasher, tenant.id).put(Write("Basic", "1", "PUT", None, None, b"{}", IndexRows()))
    die(trail)
    Trail(tmp_path / "audit", app_database, hasher)._drain.take_over()
    (found,) = kept(app_database, tenant)
    assert (found.id, found.outcome, found.reason) == (intent.id, UNKNOWN, reason)
    assert found.detail == {"versions": [1] if after_it else []}


def test_an_outcome_in_a_later_segment_is_the_outcome(
    trail: Trail, app_database: Database, hasher: Hasher, tmp_path: Path, tenant: Tenant, make: Callable[..., Event]
) -> None:
    intent = make(kind="update", resource_type="Basic", resource_id="1")
    trail.intend(intent)
    filler = make(query="x" * SEGMENT_BYTES)
    trail.record(filler)
    trail.flush()
    outcome = make(id=intent.id, kind="update", resource_type="Basic", resource_id="1", after=1)
    trail.record(outcome)
    assert trail._spool.directory is not None
    names = [path.name for path in trail._spool.directory.iterdir() if path.name != "lock"]
    assert len(names) == 2, "the first segment stays for its intent"
    die(trail)
    Trail(tmp_path / "audit", app_database, hasher)._drain.take_over()
    assert [(e.id, e.outcome) for e in kept(app_database, tenant)] == [(filler.id, SUCCESS), (intent.id, SUCCESS)]


def test_a_segment_goes_when_all_its_writes_have_their_outcome(trail: Trail, make: Callable[..., Event]) -> None:
    intent = make(kind="delete")
    trail.intend(intent)
    trail.record(make(query="x" * SEGMENT_BYTES))
    trail.flush()
    trail.record(make(id=intent.id, kind="delete"))
    trail.flush()
    assert trail._spool.directory is not None
    assert [p.name for p in sorted(trail._spool.directory.iterdir())] == ["00000002", "lock"]


def test_a_write_that_never_ends_is_recorded_after_an_hour(
    trail: Trail, app_database: Database, tenant: Tenant, make: Callable[..., Event]
) -> None:
    old, young = make(kind="create", at=1), make(kind="create", at=3600 * 1_000_000)
    trail.intend(old)
    trail.intend(young)
    trail.flush()
    trail._drain.give_up_on_old_intents(3600 * 1_000_000 + 2)
    assert [(e.id, e.outcome) for e in kept(app_database, tenant)] == [(old.id, UNKNOWN)]


def test_a_torn_line_is_told(
    trail: Trail,
    app_database: Database,
    hasher: Hasher,
    tmp_path: Path,
    tenant: Tenant,
    make: Callable[..., Event],
    caplog: pytest.LogCaptureFixture,
) -> None:
    event = make()
    trail.record(event)
    assert trail._spool.directory is not None
    segment = trail._spool.directory / "00000001"
    die(trail)
    name = segment.parent.name
    with segment.open("ab") as file:
        file.write(framed(RECORD, events.encode(make()))[:-20])
    with caplog.at_level(logging.ERROR):
        Trail(tmp_path / "audit", app_database, hasher)._drain.take_over()
    assert kept(app_database, tenant) == [event]
    assert "a line of the audit spool is torn" in caplog.messages
    told = [events.decode(row.record) for row in audit.walk(app_database, 0, 0, 10_000)]
    assert [e.kind for e in told if e.detail.get("spool") == name] == ["audit"]


def test_one_record_that_cannot_be_stored_keeps_no_other_out(
    trail: Trail, app_database: Database, tmp_path: Path, tenant: Tenant, make: Callable[..., Event]
) -> None:
    first, wrong, last = make(), make(outcome="99999999999"), make()
    for event in (first, wrong, last):
        trail.record(event)
    trail.flush()
    assert kept(app_database, tenant) == [first, last]
    assert (tmp_path / "audit" / "refused").read_bytes() == framed(RECORD, events.encode(wrong))


def test_an_intent_of_a_process_that_ends_in_order_is_not_left_open(
    trail: Trail, app_database: Database, tenant: Tenant, make: Callable[..., Event]
) -> None:
    trail.intend(make(kind="create"))
    trail.close()
    assert [e.outcome for e in kept(app_database, tenant)] == [UNKNOWN]
    assert list(trail._spool.root.iterdir()) == []


def test_the_thread_moves_events_by_itself(
    trail: Trail, app_database: Database, tenant: Tenant, make: Callable[..., Event]
) -> None:
    import time

    trail.start()
    event = make()
    trail.record(event)
    deadline = time.monotonic() + 10
    while not kept(app_database, tenant):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert kept(app_database, tenant) == [event]


def test_without_a_place_to_write_there_is_no_record(
    app_database: Database, hasher: Hasher, tmp_path: Path, make: Callable[..., Event]
) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    trail = Trail(in_the_way / "audit", app_database, hasher)
    for keep in (trail.record, trail.intend):
        with pytest.raises(Unavailable):
            keep(make())


def test_keys_of_what_a_record_is_about(hasher: Hasher, make: Callable[..., Any]) -> None:
    from fhir_server.audit.drain import row_of

    row = row_of(
        make(
            resource_type="Observation",
            resource_id="o",
            patients=(7,),
            patient_ids=("p",),
            written=(("Basic", "b", 0, 1),),
            fhir_user="Patient/me",
            client_id="app",
        ),
        hasher,
    )
    assert row.entities == {7, *map(hasher, ("Observation/o", "Patient/p", "Basic/b", "Patient/me"))}
    assert (row.agent, row.client) == (hasher("Patient/me"), hasher("client:app"))
