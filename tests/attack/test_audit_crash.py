"""kill -9 right after answers, again and again: every request that was answered is in the trail. docs/audit.md"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
import pytest

from fhir_server.audit import event as events
from fhir_server.audit.event import Event
from fhir_server.audit.verify import verify
from fhir_server.crypto.hashing import Hasher
from fhir_server.store import audit, directory
from fhir_server.store.embedded import EmbeddedPostgres
from fhir_server.store.session import Database
from tests.functional.running import PRODUCTION, Running, data_directory, free_port, run, running
from tests.functional.test_crash import basic, victims

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "3"))
CLIENTS = 3


@dataclass
class Asked:
    """What one client has sent: by its X-Request-Id, the status that came back; None where nothing did."""

    answers: dict[str, int | None] = field(default_factory=dict)


class Client(threading.Thread):
    """Reads, writes, searches and is refused, until it is told to stop; a lost connection is opened again."""

    def __init__(self, number: int, port: int, access_token: str, asked: Asked) -> None:
        super().__init__(daemon=True)
        self.done = threading.Event()
        self._asked = asked
        self._number = number
        self._port = port
        self._access_token = access_token

    def run(self) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self.done.is_set():
            connection = connection or http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
            try:
                self._ask(connection)
            except (OSError, http.client.HTTPException):
                connection.close()
                connection = None
                time.sleep(0.02)
        if connection is not None:
            connection.close()

    def _ask(self, connection: http.client.HTTPConnection) -> None:
        count = len(self._asked.answers)
        request_id = f"r-{self._number}-{count}"
        self._asked.answers[request_id] = None
        name = f"a{self._number}-{count // 4}"
        method, path, body = [
            ("PUT", f"Basic/{name}", json.dumps(basic(name, request_id))),
            ("GET", f"Basic/{name}", None),
            ("GET", f"Basic?_id={name}", None),
            ("POST", "Basic", json.dumps({"resourceType": "Basic", "code": {"text": request_id}})),
        ][count % 4]
        token = "wrong" if count % 10 == 9 else self._access_token
        headers = {
            "Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json", "X-Request-Id": request_id,
        }  # fmt: skip
        connection.request(method, f"/t/clinic/fhir/{path}", body, headers)
        response = connection.getresponse()
        response.read()
        self._asked.answers[request_id] = response.status


@pytest.fixture
def served() -> Iterator[tuple[Running, str, Path]]:
    """A server with a tenant, an access_token for it, and its DATA_DIR."""
    with data_directory() as directory_:
        settings = PRODUCTION | {"DATA_DIR": str(directory_), "PORT": str(free_port())}
        assert run("migrate", **settings).returncode == 0
        assert run("tenant", "create", "clinic", **settings).returncode == 0
        access_token = run("access-token", "--tenant", "clinic", "--lifetime", "3600", **settings).stdout.strip()
        with running("up", **settings) as up:
            up.wait_until_ready()
            yield up, access_token, directory_


def trail_of(data: Path) -> tuple[list[Event], str]:
    """All records of the tenant, and what is wrong with their chain."""
    database = Database(EmbeddedPostgres(data / "postgresql").app_url, 2)
    database.open()
    try:
        tenant_id = directory.tenant_id(database, "clinic")
        assert tenant_id is not None
        report = verify(database, Hasher(directory.hash_key(database)), tenant_id)
        found, seq = [], 0
        while page := audit.walk(database, tenant_id, seq, 5000):
            found += [events.decode(link.record) for link in page]
            seq = page[-1].seq
        return found, report.problem
    finally:
        database.close()


@pytest.mark.parametrize("run_number", range(int(os.environ.get("CRASH_RUNS", "3"))))
@pytest.mark.parametrize("what", ["web", "backend", "postmaster"])
def test_every_answered_request_is_in_the_trail(served: tuple[Running, str, Path], what: str, run_number: int) -> None:
    up, access_token, data = served
    asked = [Asked() for _ in range(CLIENTS)]
    for _ in range(ROUNDS):
        clients = [Client(number, up.port, access_token, one) for number, one in enumerate(asked)]
        for client in clients:
            client.start()
        time.sleep(random.uniform(0.2, 0.8))
        for process in victims(up, what):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(random.uniform(0.1, 0.4))
        for client in clients:
            client.done.set()
        for client in clients:
            client.join(30)
        up.wait_until_ready()
    answered = {name: status for one in asked for name, status in one.answers.items() if status is not None}
    assert len(answered) > 20 * ROUNDS
    wanted = {name for name, status in answered.items() if status != 503}
    deadline = time.monotonic() + 30
    while True:
        try:
            found, problem = trail_of(data)
        except psycopg.Error:
            found, problem = [], "no database"
        by_request = {event.request_id: event for event in found}
        if not problem and wanted <= by_request.keys():
            break
        missing = wanted - by_request.keys()
        assert time.monotonic() < deadline, f"{problem or 'in order'}; {len(missing)} missing: {sorted(missing)[:5]}"
        time.sleep(0.5)
    assert {name: by_request[name].status for name in wanted} == {name: answered[name] for name in wanted}
    ids = [event.id for event in found]
    assert len(ids) == len(set(ids))
    # No write is in the store that is not in the trail: its intent at least was written down before it began.
    written = {event.request_id for event in found if event.kind in ("update", "create")}
    for text in stored_texts(data):
        assert text in written


def stored_texts(data: Path) -> set[str]:
    """The request ids that writes have put into what they wrote."""
    database = Database(EmbeddedPostgres(data / "postgresql").app_url, 1)
    database.open()
    try:
        tenant_id = directory.tenant_id(database, "clinic")
        assert tenant_id is not None
        rows = database.transaction(
            tenant_id,
            lambda c: c.execute(
                "SELECT body #>> '{code,text}' FROM resource UNION SELECT body #>> '{code,text}' FROM resource_history"
            ).fetchall(),
        )
        return {text for (text,) in rows if text}
    finally:
        database.close()
