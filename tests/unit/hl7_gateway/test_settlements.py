"""Waiting for what becomes of a message. docs/hl7.md, "Safe before it is acknowledged" """

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from fhir_server.store import hl7_messages
from fhir_server.store.hl7_messages import Incoming, Kept, Settled
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from hl7_gateway.settlements import Settlements


@pytest.fixture
def settlements(app_database: Database) -> Iterator[Settlements]:
    made = Settlements(app_database, 0.2)
    made.start()
    assert made.listening.wait(30)
    yield made
    made.close()


@pytest.fixture
def keep(app_database: Database, tenant: Tenant) -> Callable[[str], Kept]:
    def keep(name: str) -> Kept:
        raw = name.encode()
        one = Incoming(1, name, "ADT", "A01", "", "A", "B", raw, raw, b"AE")
        return app_database.transaction(tenant.id, lambda c: hl7_messages.keep(c, tenant.id, [one], 5))[0]

    return keep


@pytest.fixture
def settle(app_database: Database, tenant: Tenant) -> Callable[..., None]:
    def settle(kept: Kept, acknowledgment: bytes, *, awaited: bool = True) -> None:
        done = [Settled(kept.id, "stored", "", acknowledgment=acknowledgment, awaited=awaited)]
        app_database.transaction(tenant.id, lambda c: hl7_messages.settle(c, tenant.id, done, 9))

    return settle


def test_whoever_waits_is_told(
    settlements: Settlements, tenant: Tenant, keep: Callable[[str], Kept], settle: Callable[..., None]
) -> None:
    one, other = keep("1"), keep("2")
    first, second, third = (settlements.wait(tenant.id, kept.id) for kept in (one, one, other))
    settle(one, b"AA 1")
    assert (first.result(30), second.result(30)) == (b"AA 1", b"AA 1")
    assert not third.done()
    settle(other, b"AA 2")
    assert third.result(30) == b"AA 2"


def test_what_was_settled_before_anybody_waited_is_told_too(
    settlements: Settlements, tenant: Tenant, keep: Callable[[str], Kept], settle: Callable[..., None]
) -> None:
    one = keep("1")
    settle(one, b"AA")
    begun = time.monotonic()
    while (tenant.id, one.id) not in settlements._early:
        assert time.monotonic() - begun < 30
        time.sleep(0.01)
    assert settlements.wait(tenant.id, one.id).result(30) == b"AA"


def test_what_nobody_has_told_of_is_found(
    settlements: Settlements, tenant: Tenant, keep: Callable[[str], Kept], settle: Callable[..., None]
) -> None:
    one = keep("1")
    waiting = settlements.wait(tenant.id, one.id)
    settle(one, b"AA", awaited=False)
    assert waiting.result(30) == b"AA"


def test_whoever_gives_up_is_forgotten(settlements: Settlements, tenant: Tenant, keep: Callable[[str], Kept]) -> None:
    one = keep("1")
    waiting = settlements.wait(tenant.id, one.id)
    settlements.leave(tenant.id, one.id, waiting)
    settlements.leave(tenant.id, one.id, waiting)
    assert settlements._waiting == {}
