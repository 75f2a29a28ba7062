"""The gateway is started while PostgreSQL is away, or a worker is. docs/hl7.md, "Safe before it is acknowledged" """

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import psutil
import pytest
from psycopg.conninfo import conninfo_to_dict

from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from tests.functional.hl7.test_serve import Process, insist, own, run, until
from tests.functional.hl7.ward import Ward
from tests.functional.running import free_port


class Door:
    """A port that leads to PostgreSQL once it is opened."""

    def __init__(self, url: str) -> None:
        self._real = {name: str(value) for name, value in conninfo_to_dict(url).items()}
        self._open: list[asyncio.Server | asyncio.StreamWriter] = []
        self.port = free_port()
        self.url = f"postgresql://{self._real['user']}@127.0.0.1:{self.port}/{self._real['dbname']}"
        if "password" in self._real:
            self.url = self.url.replace("@", f":{self._real['password']}@", 1)

    async def open(self) -> None:
        self._open = [await asyncio.start_server(self._through, "127.0.0.1", self.port)]

    def close(self) -> None:
        """Close it upon those who are in as well."""
        for one in self._open:
            one.close()
        self._open = []

    async def _through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = self._real["host"], self._real.get("port", "5432")
        there = (
            asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
            if host.startswith("/")
            else asyncio.open_connection(host, int(port))
        )
        inner, outer = await there
        self._open += [writer, outer]

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while data := await source.read(65_536):
                    target.write(data)
                    await target.drain()
            target.close()

        await asyncio.gather(copy(reader, outer), copy(inner, writer))


@pytest.fixture
def ward(app_database: Database, tenant: Tenant) -> Ward:
    return Ward(app_database, tenant, application=f"T{tenant.id}", acknowledgment="commit")


def test_the_gateway_and_its_workers_wait_for_a_database_that_is_not_there_yet(
    database: DatabaseUrls, ward: Ward, tmp_path: Path
) -> None:
    assert database.owner is not None
    door = Door(database.owner)
    process = Process(DatabaseUrls(door.url, door.url), tmp_path / "log")
    process.start()

    async def scenario() -> None:
        await until(lambda: "waits for the database" in process.log)
        assert process.process is not None
        assert process.process.poll() is None
        await door.open()
        assert (await insist(process.port, own(ward, "1", "A01", "123"))).code == "AA"
        assert ward.encounters() == {"V123": "in-progress"}
        door.close()
        told = process.log.count("waits for the database")
        for worker in psutil.Process(process.process.pid).children():
            worker.kill()
        await until(lambda: process.log.count("waits for the database") >= told + 2)
        await asyncio.sleep(1)
        # They wait as well: a part that keeps stopping is given up, and the gateway with it.
        assert process.log.count('"part died"') == 2
        await door.open()
        assert (await insist(process.port, own(ward, "2", "A03", "123"))).code == "AA"
        assert ward.encounters() == {"V123": "finished"}

    try:
        run(scenario())
    finally:
        process.kill()
