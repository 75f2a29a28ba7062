"""A worker among the clinics of a database: the queue that it walks, and who waits for whom.

docs/decisions/0018-messages-in-order.md
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import psycopg
import pytest

from fhir_server.errors import Unavailable
from fhir_server.store import tenants
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from hl7_gateway import worker as worker_module
from tests.functional.hl7.ward import Ward, visit


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


def test_rows_of_the_queue_that_are_gone_are_not_walked_again(
    fresh_database: DatabaseUrls, new_ward: Callable[..., Ward]
) -> None:
    assert fresh_database.owner is not None
    with psycopg.connect(fresh_database.owner, autocommit=True) as owner:
        ward = new_ward(tenants.create(owner, "clinic"))
        ward.keep(*(visit(str(number), "A01", str(number)) for number in range(60)))
        assert ward.work(most=20) == 60
        owner.execute("SET enable_seqscan = off; SET enable_bitmapscan = off; SET row_security = off")
        # Only of what is on disk is it noted that it has happened.
        owner.execute("CHECKPOINT")

        def walked() -> int:
            asked = "EXPLAIN (ANALYZE, FORMAT JSON) SELECT message_id FROM hl7_queue ORDER BY tenant_id, message_id"
            row = owner.execute(asked).fetchone()
            assert row is not None
            found: int = row[0][0]["Plan"]["Heap Fetches"]
            return found

        # Whoever comes first notes in the index that they are gone.
        walked()
        assert walked() == 0


def test_a_clinic_whose_transactions_fail_keeps_no_other_waiting(
    ward: Ward, new_tenant: Callable[[], Tenant], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = worker_module.deliver_batch
    other = Ward(ward.database, new_tenant())
    attempts: list[float] = []
    broken = threading.Event()
    broken.set()

    def deliver_batch(desk: Any, store: Any, *arguments: Any, **named: Any) -> Any:
        if store.tenant_id == ward.tenant.id and broken.is_set():
            attempts.append(time.monotonic())
            raise Unavailable("its rows cannot be read")
        return real(desk, store, *arguments, **named)

    monkeypatch.setattr(worker_module, "deliver_batch", deliver_batch)

    def stored(which: Ward, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while {one.state for one in which.found()} != {"stored"}:
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    ward.keep(visit("1", "A01", "123"))
    other.feeds.refresh(now=True)
    worker, stopping = other.worker(), threading.Event()
    thread = threading.Thread(target=worker.run, args=(stopping,))
    thread.start()
    try:
        # By now it is left alone for seconds.
        while len(attempts) < 6:
            time.sleep(0.02)
        other.keep(visit("1", "A01", "123"))
        assert stored(other, 3.0), "it waits for a clinic that is broken"
        assert len(attempts) == 6
        broken.clear()
        assert stored(ward, 12.0)
    finally:
        stopping.set()
        thread.join(10)
    # The longer the more often it has failed.
    gaps = [after - before for before, after in pairwise(attempts)]
    assert gaps[0] < 0.5 < gaps[-1]
