"""What is committed without a thread, and what is left to the one that has the patience. docs/hl7.md"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from typing import Any

import psycopg
import pytest

from fhir_server.store import hl7_messages
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.hl7_messages import DEAD, RECEIVED, Incoming, Kept
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from hl7_gateway import committing
from hl7_gateway.committing import Committer
from hl7_gateway.keeping import Keeper, NotKept


def incoming(control_id: str, raw: bytes = b"", **more: Any) -> Incoming:
    raw = raw or b"MSH|^~\\&|A|B|||||ADT^A01|" + control_id.encode()
    known = sha256(control_id.encode() + raw).digest()
    return Incoming(1, control_id, "ADT", "A01", "ADT_A01", "A", "Bé", known, raw, b"AA " + known[:2], **more)


@pytest.fixture
def run(app_database: Database) -> Callable[..., None]:
    """Runs a scenario with a committer, connected or with ``connected`` False before it is."""

    def go(scenario: Callable[[Committer], Awaitable[None]], *, connected: bool = True, patience: float = 10.0) -> None:
        async def whole() -> None:
            keeper = Keeper(app_database, patience)
            keeper.start()
            committer = Committer(app_database, keeper, patience)
            committer.start()
            async with asyncio.timeout(30):
                if connected:
                    await linked(committer)
                await scenario(committer)
                await committer.close()
            await asyncio.to_thread(keeper.close)

        asyncio.run(whole())

    return go


@pytest.fixture
def owner(database: DatabaseUrls) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.owner, autocommit=True) as connection:
        yield connection


async def linked(committer: Committer) -> int:
    """The process of PostgreSQL that keeps what comes, once there is one."""
    while committer._link is None:
        await asyncio.sleep(0.005)
    return committer._link._pgconn.backend_pid


def rows(database: Database, tenant: Tenant, sql: str) -> list[tuple[Any, ...]]:
    return database.transaction(tenant.id, lambda c: c.execute(sql.encode()).fetchall())


def test_kept_as_they_came_in_their_order(
    app_database: Database, tenant: Tenant, new_tenant: Callable[[], Tenant], run: Callable[..., None]
) -> None:
    other = new_tenant()

    async def scenario(committer: Committer) -> None:
        raw = bytes(range(256)) * 1_000
        dead = incoming("2", problem={"code": 101, "place": "PID-3", "said": "é"})
        many = [incoming("1", raw, patients=(-5, 5)), dead, incoming("3", patients=(5,))]
        kept = await asyncio.gather(
            *(committer.kept(tenant.id, one) for one in many), committer.kept(other.id, incoming("1", raw))
        )
        assert [(one.new, one.state) for one in kept] == [
            (True, state) for state in (RECEIVED, DEAD, RECEIVED, RECEIVED)
        ]
        assert kept[0].id < kept[1].id < kept[2].id
        taken = app_database.transaction(tenant.id, lambda c: hl7_messages.take(c, tenant.id, [], 10))
        assert [(one.id, one.raw, one.patients, one.acknowledgment) for one in taken] == [
            (kept[0].id, raw, (-5, 5), many[0].acknowledgment),
            (kept[2].id, many[2].raw, (5,), many[2].acknowledgment),
        ]
        told = rows(app_database, tenant, "SELECT facility, problem, conflicting FROM hl7_message ORDER BY id")
        assert told == [("Bé", None, False), ("Bé", dead.problem, False), ("Bé", None, False)]
        known = rows(app_database, tenant, "SELECT patient, message_id FROM hl7_message_patient ORDER BY 1, 2")
        assert known == [(-5, kept[0].id), (5, kept[0].id), (5, kept[2].id)]

    run(scenario)


def transactions(database: Database, tenant: Tenant) -> list[int]:
    """How many messages each transaction has kept."""
    asked = "SELECT count(*) FROM hl7_message GROUP BY xmin ORDER BY min(id)"
    return [number for (number,) in rows(database, tenant, asked)]


def test_messages_in_no_hurry_are_committed_together(
    app_database: Database, tenant: Tenant, run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committing, "_GATHERING", 0.5)

    async def scenario(committer: Committer) -> None:
        kept = []
        for number in range(5):
            kept.append(committer.kept(tenant.id, incoming(str(number)), hurry=False))
            await asyncio.sleep(0.01)
        assert not any(one.done() for one in kept)
        assert all(one.new for one in await asyncio.gather(*kept))
        assert transactions(app_database, tenant) == [5]

    run(scenario)


def test_one_in_a_hurry_takes_those_with_it_that_are_not(
    app_database: Database, tenant: Tenant, run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committing, "_GATHERING", 60.0)

    async def scenario(committer: Committer) -> None:
        patient = [committer.kept(tenant.id, incoming(str(number)), hurry=False) for number in range(3)]
        await asyncio.sleep(0.01)
        await committer.kept(tenant.id, incoming("now"))
        assert all(one.done() for one in patient)
        assert transactions(app_database, tenant) == [4]
        crowd = [committer.kept(tenant.id, incoming(f"c{number}"), hurry=False) for number in range(committing._ENOUGH)]
        # One that is too many for them to wait longer, and what comes meanwhile.
        await asyncio.gather(*crowd)
        left = committer.kept(tenant.id, incoming("left"), hurry=False)
        await asyncio.sleep(0.01)
        assert not left.done()
        await committer.close()
        assert (await left).new

    run(scenario)


def test_the_same_again_is_known(tenant: Tenant, run: Callable[..., None]) -> None:
    async def scenario(committer: Committer) -> None:
        later = replace(incoming("1"), acknowledgment=b"later")
        first, twice = await asyncio.gather(*(committer.kept(tenant.id, one) for one in (incoming("1"), later)))
        assert (first.new, twice) == (True, replace(first, new=False))
        again, other = await asyncio.gather(*(committer.kept(tenant.id, one) for one in (later, incoming("2"))))
        assert again == twice
        assert other.new

    run(scenario)


def test_the_same_control_id_with_other_bytes_is_marked(
    app_database: Database, tenant: Tenant, run: Callable[..., None]
) -> None:
    async def scenario(committer: Committer) -> None:
        await committer.kept(tenant.id, incoming("1"))
        await committer.kept(tenant.id, incoming("1", b"other"))
        assert rows(app_database, tenant, "SELECT conflicting FROM hl7_message ORDER BY id") == [(False,), (True,)]

    run(scenario)


def test_one_that_cannot_be_kept_does_not_take_its_neighbours_with_it(tenant: Tenant, run: Callable[..., None]) -> None:
    async def scenario(committer: Committer) -> None:
        for poison in ("\0", "\ud800"):
            mark = str(ord(poison))
            many = [incoming("a" + mark), replace(incoming("b" + mark), control_id=poison), incoming("c" + mark)]
            kept = await asyncio.gather(*(committer.kept(tenant.id, one) for one in many), return_exceptions=True)
            assert isinstance(kept[0], Kept)
            assert isinstance(kept[1], NotKept)
            assert isinstance(kept[2], Kept)
            assert (await committer.kept(tenant.id, incoming("d" + mark))).new

    run(scenario)


def test_what_comes_before_there_is_a_connection_is_kept(tenant: Tenant, run: Callable[..., None]) -> None:
    async def scenario(committer: Committer) -> None:
        assert (await committer.kept(tenant.id, incoming("1"))).new

    run(scenario, connected=False)


def test_a_connection_that_is_lost_is_made_anew(
    owner: psycopg.Connection, tenant: Tenant, run: Callable[..., None]
) -> None:
    async def scenario(committer: Committer) -> None:
        ended = await linked(committer)
        owner.execute("SELECT pg_terminate_backend(%s)", [ended])
        kept = await asyncio.gather(*(committer.kept(tenant.id, incoming(str(one))) for one in range(50)))
        assert all(one.new for one in kept)
        while await linked(committer) == ended:
            await asyncio.sleep(0.01)
        assert (await committer.kept(tenant.id, incoming("last"))).new

    run(scenario)


@pytest.mark.parametrize("terminated", [True, False])
def test_lost_while_it_is_waited_for(
    owner: psycopg.Connection,
    app_database: Database,
    tenant: Tenant,
    run: Callable[..., None],
    terminated: bool,
) -> None:
    """``terminated`` False: it only takes longer than anybody may wait."""

    async def scenario(committer: Committer) -> None:
        ended = await linked(committer)
        with owner.transaction():
            owner.execute("LOCK TABLE hl7_message")
            waiting = [committer.kept(tenant.id, incoming(str(one))) for one in range(3)]
            await asyncio.sleep(0.2)
            assert not any(one.done() for one in waiting)
            if terminated:
                owner.execute("SELECT pg_terminate_backend(%s)", [ended])
            else:
                while committer._link is not None and committer._link._pgconn.backend_pid == ended:
                    await asyncio.sleep(0.01)
            late = committer.kept(tenant.id, incoming("late"))
        kept = await asyncio.gather(*waiting, late)
        assert [one.id for one in kept] == sorted({one.id for one in kept})
        assert rows(app_database, tenant, "SELECT count(*) FROM hl7_message") == [(4,)]

    run(scenario, patience=10.0 if terminated else 1.0)


def test_the_same_one_kept_by_somebody_else_at_the_same_moment_is_known(
    app_database: Database, tenant: Tenant, run: Callable[..., None]
) -> None:
    async def scenario(committer: Committer) -> None:
        with app_database.connection() as connection, connection.transaction():
            connection.execute("SELECT set_config('fhir.tenant', %s, true)", [str(tenant.id)])
            (elsewhere,) = hl7_messages.keep(connection, tenant.id, [incoming("1")], 7)
            here, other = (committer.kept(tenant.id, incoming(one)) for one in ("1", "2"))
            await asyncio.sleep(0.2)
            assert not here.done()
        assert await here == replace(elsewhere, new=False)
        assert (await other).new

    run(scenario)


def test_who_is_gone_disturbs_nobody_and_at_the_end_what_has_come_is_kept(
    app_database: Database, tenant: Tenant, run: Callable[..., None]
) -> None:
    waiting: list[asyncio.Future[Kept]] = []

    async def scenario(committer: Committer) -> None:
        waiting.extend(committer.kept(tenant.id, incoming(str(one))) for one in range(600))
        waiting[5].cancel()

    run(scenario)
    assert all(one.done() for one in waiting)
    assert rows(app_database, tenant, "SELECT count(*) FROM hl7_message") == [(600,)]
    with suppress(asyncio.CancelledError):
        ids = [one.result().id for one in waiting if not one.cancelled()]
        assert ids == sorted(ids)
