"""The gateway as processes that are started, stopped, and killed while messages come. docs/hl7.md"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import psutil
import pytest

from fhir_server.store import hl7_destinations
from fhir_server.store.database_urls import DatabaseUrls
from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from hl7_gateway.problems import Hl7Error
from hl7_gateway.wire import client
from hl7_gateway.wire.mllp import frame
from tests.functional.hl7.ward import Ward, visit
from tests.functional.running import REPOSITORY, environment, free_port


class Process:
    """`hl7-gateway serve`, which can be killed and started again on the same port."""

    def __init__(self, database: DatabaseUrls, log: Path, **settings: str) -> None:
        assert database.owner is not None
        self.port = free_port()
        self.metrics = free_port()
        self._log = log
        self._environ = environment(
            DATABASE_URL=database.owner,
            MLLP_PORT=str(self.port),
            MLLP_METRICS_PORT=str(self.metrics),
            MLLP_WORKERS="2",
            DATA_DIR=str(log.parent),
            **settings,
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as out:
            words = [sys.executable, "-m", "hl7_gateway", "serve"]
            self.process = subprocess.Popen(words, env=self._environ, cwd=REPOSITORY, stdout=out, stderr=out)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def kill(self) -> None:
        """Kill it and its workers, as a machine that loses power does."""
        assert self.process is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
        self.process.kill()
        self.process.wait(20)

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@pytest.fixture
def process(database: DatabaseUrls, tmp_path: Path) -> Iterator[Process]:
    made = Process(database, tmp_path / "log")
    made.start()
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()


@pytest.fixture
def ward(app_database: Database, tenant: Tenant) -> Ward:
    return Ward(app_database, tenant, application=f"T{tenant.id}")


def own(ward: Ward, control_id: str, event: str, patient: str) -> bytes:
    return visit(control_id, event, patient).replace(b"|EPIC|", f"|T{ward.tenant.id}|".encode())


def run(scenario: Awaitable[None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(120):
            await scenario

    asyncio.run(bounded())


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


async def insist(port: int, raw: bytes, sender: client.Sender | None = None) -> client.Answer:
    """Send a message until it is answered, as senders do; the gateway may still be starting."""
    made = sender or client.Sender("127.0.0.1", port, timeout=5)
    try:
        while True:
            try:
                answer = await made.send(raw)
            except (OSError, Hl7Error):
                await asyncio.sleep(0.05)
            else:
                assert answer is not None
                return answer
    finally:
        if sender is None:
            await made.close()


def test_from_a_socket_to_resources_and_metrics_and_a_stop_within_seconds(process: Process, ward: Ward) -> None:
    async def scenario() -> None:
        async with client.Sender("127.0.0.1", process.port) as sender:
            assert (await insist(process.port, own(ward, "1", "A01", "123"), sender)).code == "AA"
            await until(lambda: ward.encounters() == {"V123": "in-progress"})
            begun = time.monotonic()
            assert await asyncio.to_thread(process.stop) == 0
            assert time.monotonic() - begun < 15

    run(scenario())
    assert "SMITH" not in process.log
    assert '"level":"error"' not in process.log


def test_metrics_tell_what_came(process: Process, ward: Ward) -> None:
    async def scenario() -> None:
        await insist(process.port, own(ward, "1", "A01", "123"))
        await insist(process.port, own(ward, "1", "A01", "123"))
        await insist(process.port, own(ward, "2", "Z99", "123"))

    run(scenario())
    with urllib.request.urlopen(f"http://127.0.0.1:{process.metrics}/metrics", timeout=5) as answer:
        told = answer.read().decode()
    labels = f'feed="lab",tenant="{ward.tenant.slug}"'
    for what in ("accepted", "repeated", "refused"):
        assert f'hl7_messages_total{{answer="{what}",{labels}}} 1.0' in told
    assert f"hl7_last_message_seconds{{{labels}}} " in told


def test_killed_at_any_moment_nothing_acknowledged_is_missing_and_nothing_applied_twice(
    process: Process, ward: Ward, new_tenant: Callable[[], Tenant]
) -> None:
    """Twelve patients are admitted and discharged, while the gateway and its workers are killed four times."""
    events = ("A01", "A08", "A03")
    patients = range(100, 112)
    ended = asyncio.Event()

    async def patient(number: int) -> None:
        for place, event in enumerate(events):
            answer = await insist(process.port, own(ward, f"{number}-{place}", event, str(number)))
            assert answer.code == "AA", answer
            await asyncio.sleep(random.random() / 2)

    async def killer() -> None:
        for _ in range(4):
            await asyncio.sleep(0.6 + random.random())
            await asyncio.to_thread(process.kill)
            process.start()
        ended.set()

    async def scenario() -> None:
        killing = asyncio.create_task(killer())
        await asyncio.gather(*(patient(number) for number in patients))
        await ended.wait()
        await killing
        await until(lambda: {one.state for one in ward.found()} == {"stored"})

    run(scenario())
    assert sorted(one.control_id for one in ward.found()) == sorted(
        f"{number}-{place}" for number in patients for place in range(3)
    )
    assert ward.encounters() == {f"V{number}": "finished" for number in patients}
    versions = "SELECT type_id, version, count(*) FROM resource GROUP BY 1, 2 ORDER BY 1, 2"
    process.kill()
    undisturbed = Ward(ward.database, new_tenant())
    undisturbed.keep(*(visit(f"{n}-{place}", event, str(n)) for place, event in enumerate(events) for n in patients))
    undisturbed.work()
    assert ward.rows(versions) == undisturbed.rows(versions)


def test_killed_at_any_moment_numbers_and_messages_go_together(
    process: Process, app_database: Database, tenant: Tenant
) -> None:
    """A sender that numbers its messages asks which one is expected whenever it had no answer, as the standard says."""
    ward = Ward(app_database, tenant, application=f"T{tenant.id}", sequence=True)
    last = 12

    def numbered(number: int, control_id: str) -> bytes:
        raw = own(ward, control_id, "A08", "123")
        return raw.replace(b"|P|2.5.1|", b"|P|2.5.1|%d" % number, 1)

    async def exchange(raw: bytes) -> tuple[str, int] | None:
        """MSA-1 and MSA-4 by a connection of its own, None where there was no answer."""
        try:
            async with asyncio.timeout(5):
                reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
                writer.write(frame(raw))
                answer = await reader.readuntil(b"\x1c\r")
                writer.close()
        except (OSError, asyncio.IncompleteReadError):
            await asyncio.sleep(0.05)
            return None
        fields = answer.decode().split("\rMSA|")[1].split("\r")[0].split("|")
        return (fields[0], int(fields[3])) if len(fields) > 3 else None

    async def scenario() -> None:
        while await exchange(numbered(0, "begin")) != ("AA", -1):
            pass
        number, kills = 1, {random.randrange(2, last)}
        while number <= last:
            sending = asyncio.create_task(exchange(numbered(number, str(number))))
            if number in kills:
                kills.discard(number)
                await asyncio.sleep(random.random() / 50)
                await asyncio.to_thread(process.kill)
                process.start()
            answer = await sending
            if answer is None:
                while (asked := await exchange(numbered(0, "again"))) is None:
                    pass
                # Either it was kept and its acknowledgment was lost, or it was not kept.
                assert asked in {("AA", number), ("AA", number + 1), ("AA", -1)}
                number = max(asked[1], 1)
            else:
                assert answer == ("AA", number)
                number += 1

    run(scenario())
    assert [one.control_id for one in ward.found()] == [str(number) for number in range(1, last + 1)]


def test_a_port_that_is_taken_is_waited_for(database: DatabaseUrls, ward: Ward, tmp_path: Path) -> None:
    made = Process(database, tmp_path / "log")
    taken = socket.create_server(("127.0.0.1", made.port))
    made.start()
    try:

        async def scenario() -> None:
            await until(lambda: "a port cannot be listened on" in made.log)
            taken.close()
            assert (await insist(made.port, own(ward, "1", "A01", "123"))).code == "AA"

        run(scenario())
    finally:
        taken.close()
        made.kill()


def test_settings_that_cannot_be_used_are_told_in_a_sentence(database: DatabaseUrls, tmp_path: Path) -> None:
    assert database.owner is not None
    environ = environment(
        DATABASE_URL=database.owner,
        MLLP_CERTIFICATE_FILE=str(tmp_path / "none"),
        MLLP_PORT=str(free_port()),
        MLLP_WORKERS="0",
    )
    done = subprocess.run(
        [sys.executable, "-m", "hl7_gateway", "serve"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert line.startswith("hl7-gateway: MLLP_CERTIFICATE_FILE")


def test_whoever_is_to_be_told_is_sent_to_once_there_is_one(
    process: Process, ward: Ward, app_database: Database
) -> None:
    number = ward.tenant.id

    def senders() -> list[str]:
        assert process.process is not None
        children = psutil.Process(process.process.pid).children()
        return [child.name() for child in children if "destination" in child.cmdline()]

    async def scenario() -> None:
        await insist(process.port, own(ward, "1", "A01", "123"))
        with app_database.connection() as connection:
            # Other tests may have left some.
            assert senders() == [] or hl7_destinations.listed(connection)
        configuration = {"host": "127.0.0.1", "port": 9, "rules": [{"resource": "Patient", "message": "ADT"}]}
        made = app_database.transaction(
            number, lambda c: hl7_destinations.add(c, number, "his", ["Patient"], configuration, 5)
        )
        assert made is not None
        await until(lambda: len(senders()) == 1)

    run(scenario())
    app_database.transaction(number, lambda c: hl7_destinations.remove(c, number, "his", 6))


def test_several_processes_end_where_one_does(database: DatabaseUrls, ward: Ward, tmp_path: Path) -> None:
    """Forty patients are admitted, changed and discharged or cancelled, and three processes deliver."""
    events = ("A01", "A08", "A02", "A03")
    story = [
        own(ward, f"{n}-{place}", "A11" if event == "A03" and n % 4 == 0 else event, str(n))
        for place, event in enumerate(events)
        for n in range(100, 140)
    ]
    ward.keep(*story)
    assert database.owner is not None
    environ = environment(DATABASE_URL=database.owner, DATA_DIR=str(tmp_path))
    with (tmp_path / "log").open("wb") as log:
        words = [sys.executable, "-m", "hl7_gateway", "work"]
        workers = [subprocess.Popen(words, env=environ, cwd=REPOSITORY, stdout=log, stderr=log) for _ in range(3)]
    try:
        begun = time.monotonic()
        # One may have done it all before the others know what to do when they are told to stop.
        while time.monotonic() - begun < 60 and (
            ward.found(state="received") or (tmp_path / "log").read_text().count("hl7 worker started") < 3
        ):
            time.sleep(0.1)
    finally:
        for worker in workers:
            worker.terminate()
        assert [worker.wait(20) for worker in workers] == [0, 0, 0]
    assert {one.state for one in ward.found()} == {"stored"}, (tmp_path / "log").read_text()
    assert ward.encounters() == {f"V{n}": "cancelled" if n % 4 == 0 else "finished" for n in range(100, 140)}
