"""The gateway while PostgreSQL cuts its connections off, again and again.

docs/hl7.md, "Safe before it is acknowledged"
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from fhir_server.errors import Unavailable
from fhir_server.store import tenants
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.session import Database
from tests.functional.hl7.test_serve import Process, insist, own, run
from tests.functional.hl7.ward import Ward, visit

CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.fixture
def process(fresh_database: DatabaseUrls, tmp_path: Path) -> Iterator[Process]:
    made = Process(fresh_database, tmp_path / "log")
    made.start()
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()


@pytest.fixture
def ward(fresh_database: DatabaseUrls) -> Iterator[Ward]:
    assert fresh_database.owner is not None
    with psycopg.connect(fresh_database.owner, autocommit=True) as connection:
        tenant = tenants.create(connection, "riverside")
    database = Database(fresh_database.app, 2)
    database.open()
    yield Ward(database, tenant, application=f"T{tenant.id}", acknowledgment="commit")
    database.close()


def test_what_is_acknowledged_is_stored_once_whatever_connections_are_lost(
    process: Process, ward: Ward, fresh_database: DatabaseUrls
) -> None:
    events = ("A01", "A08", "A03")
    patients = range(100, 110)
    ended = asyncio.Event()

    def cut() -> None:
        assert fresh_database.owner is not None
        with psycopg.connect(fresh_database.owner, autocommit=True) as connection:
            connection.execute(CUT)

    async def cutting() -> None:
        for _ in range(8):
            await asyncio.sleep(0.2 + random.random() / 2)
            await asyncio.to_thread(cut)
        ended.set()

    async def patient(number: int) -> None:
        for place, event in enumerate(events):
            raw = own(ward, f"{number}-{place}", event, str(number))
            while (answer := await insist(process.port, raw)).code != "AA":
                # Nothing else may be said: it is not kept, or not stored yet.
                assert [one.code for one in answer.complaints] == ["207"]
                await asyncio.sleep(0.1)
            if place == 1:
                # So that there is something to send until the last cut.
                await ended.wait()

    async def scenario() -> None:
        begun = asyncio.create_task(cutting())
        await asyncio.gather(*(patient(number) for number in patients))
        await begun

    run(scenario())

    def states() -> list[tuple[str, str]]:
        while True:
            try:
                return sorted((one.control_id, one.state) for one in ward.found())
            except Unavailable:
                # The pool has not noticed yet that its connections are gone.
                continue

    assert states() == [(f"{number}-{place}", "stored") for number in patients for place in range(3)]
    assert ward.encounters() == {f"V{number}": "finished" for number in patients}
    assert process.stop() == 0
    with psycopg.connect(fresh_database.owner or "", autocommit=True) as connection:
        undisturbed = Ward(ward.database, tenants.create(connection, "hillside"))
    undisturbed.keep(*(visit(f"{n}-{place}", event, str(n)) for place, event in enumerate(events) for n in patients))
    undisturbed.work()
    versions = "SELECT type_id, version, count(*) FROM resource GROUP BY 1, 2 ORDER BY 1, 2"
    assert ward.rows(versions) == undisturbed.rows(versions)
