"""What is kept together, what becomes of each, and what when the database is away. docs/hl7.md"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import pytest

from fhir_server.errors import Unavailable
from fhir_server.store.hl7_messages import Incoming, Kept
from hl7_gateway import keeping
from hl7_gateway.keeping import Keeper, NotKept


class Store:
    """Stands for the database: what is kept in which transaction. ``failing`` is raised, in turn, before that."""

    def __init__(self) -> None:
        self.transactions: list[tuple[int, list[bytes]]] = []
        self.failing: list[Exception] = []
        self.known: dict[bytes, int] = {}
        self.gate = threading.Event()
        self.gate.set()

    def transaction(self, tenant_id: int, work: Any) -> Any:
        self.gate.wait(10)
        if self.failing:
            raise self.failing.pop(0)
        return work(tenant_id)

    def keep(self, _: object, tenant_id: int, many: list[Incoming], __: int) -> list[Kept]:
        if any(one.raw == b"poison" for one in many):
            raise ValueError("a column does not take it")
        self.transactions.append((tenant_id, [one.raw for one in many]))
        kept = []
        for one in many:
            new = one.fingerprint not in self.known
            number = self.known.setdefault(one.fingerprint, len(self.known) + 1)
            kept.append(Kept(number, new, "received", one.acknowledgment))
        return kept


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    made = Store()
    monkeypatch.setattr(keeping.hl7_messages, "keep", made.keep)
    monkeypatch.setattr(keeping, "_PAUSE", 0.01)
    return made


@pytest.fixture
def keeper(store: Store) -> Iterator[Keeper]:
    made = Keeper(store)  # type: ignore[arg-type]
    made.start()
    yield made
    store.gate.set()
    made.close()


@contextmanager
def impatient(keeper: Keeper) -> Iterator[None]:
    """For what cannot be kept: what can may take its time where other tests run beside it."""
    patience, keeper._patience = keeper._patience, 0.3
    yield
    keeper._patience = patience


def incoming(raw: bytes, feed: int = 1, acknowledgment: bytes = b"AA") -> Incoming:
    return Incoming(feed, "1", "ADT", "A01", "", "", "", raw, raw, acknowledgment)


def outcome(future: Future[Kept]) -> tuple[int, bool]:
    kept = future.result(30)
    return kept.id, kept.new


def test_what_comes_during_a_transaction_is_kept_in_the_next_one(store: Store, keeper: Keeper) -> None:
    store.gate.clear()
    first = keeper.keep(1, incoming(b"a"))
    while not keeper._came.empty():
        threading.Event().wait(0.001)
    rest = [keeper.keep(tenant, incoming(raw)) for tenant, raw in ((1, b"b"), (2, b"c"), (1, b"d"))]
    store.gate.set()
    assert [outcome(one) for one in (first, *rest)] == [(1, True), (2, True), (4, True), (3, True)]
    assert store.transactions == [(1, [b"a"]), (1, [b"b", b"d"]), (2, [b"c"])]


def test_the_same_twice_in_one_transaction_is_kept_once_and_answered_the_same(store: Store, keeper: Keeper) -> None:
    store.gate.clear()
    keeper.keep(1, incoming(b"x"))
    one, other = (
        keeper.keep(1, incoming(b"a", acknowledgment=b"1")),
        keeper.keep(1, incoming(b"a", acknowledgment=b"2")),
    )
    store.gate.set()
    assert (outcome(one)[1], outcome(other)[1]) == (True, False)
    assert one.result().acknowledgment == other.result().acknowledgment == b"1"


def test_a_database_that_comes_back_in_time_is_waited_for(store: Store, keeper: Keeper) -> None:
    store.failing = [Unavailable("away"), Unavailable("away")]
    assert outcome(keeper.keep(1, incoming(b"a"))) == (1, True)


def test_when_it_does_not_nothing_is_said_to_be_kept(store: Store, keeper: Keeper) -> None:
    store.failing = [Unavailable("away")] * 200
    with impatient(keeper), pytest.raises(NotKept):
        keeper.keep(1, incoming(b"a")).result(30)
    assert store.transactions == []
    store.failing.clear()
    assert outcome(keeper.keep(1, incoming(b"a"))) == (1, True)


def test_one_that_cannot_be_kept_does_not_take_its_neighbours_with_it(store: Store, keeper: Keeper) -> None:
    store.gate.clear()
    keeper.keep(1, incoming(b"x"))
    many = [keeper.keep(1, incoming(raw)) for raw in (b"a", b"poison", b"b")]
    store.gate.set()
    assert outcome(many[0])[1]
    with pytest.raises(NotKept):
        many[1].result(30)
    assert outcome(many[2])[1]


def test_who_is_gone_before_its_message_is_kept_disturbs_nobody(store: Store, keeper: Keeper) -> None:
    store.gate.clear()
    keeper.keep(1, incoming(b"x"))
    gone, here = keeper.keep(1, incoming(b"a")), keeper.keep(1, incoming(b"b"))
    assert gone.cancel()
    store.gate.set()
    assert outcome(here)[1]
    assert b"a" in store.transactions[-1][1]


def test_at_the_end_what_has_come_is_kept(store: Store) -> None:
    keeper = Keeper(store)  # type: ignore[arg-type]
    waiting = [keeper.keep(1, incoming(str(number).encode())) for number in range(600)]
    keeper.start()
    keeper.close()
    assert all(one.done() for one in waiting)
    assert [len(raws) for _, raws in store.transactions] == [256, 256, 88]


def test_an_event_loop_is_told_of_all_that_was_kept_together(store: Store, keeper: Keeper) -> None:
    async def scenario() -> None:
        store.gate.clear()
        many = [keeper.kept(1, incoming(str(number).encode())) for number in range(20)]
        many[5].cancel()
        store.gate.set()
        kept = await asyncio.gather(*many, return_exceptions=True)
        assert [one.new for place, one in enumerate(kept) if place != 5 and isinstance(one, Kept)] == [True] * 19
        store.failing = [Unavailable("away")] * 200
        with impatient(keeper), pytest.raises(NotKept):
            await keeper.kept(1, incoming(b"late"))
        store.failing.clear()

    asyncio.run(scenario())


def test_an_event_loop_that_has_ended_disturbs_nobody(store: Store, keeper: Keeper) -> None:
    async def scenario() -> None:
        keeper.kept(1, incoming(b"a"))

    store.gate.clear()
    asyncio.run(scenario())
    here = keeper.keep(1, incoming(b"b"))
    store.gate.set()
    assert outcome(here)[1]
