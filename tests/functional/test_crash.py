"""kill -9 at any moment: every acknowledged write is there afterwards, no half transaction, no version lost."""

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
from typing import Any

import psutil
import pytest

from tests.functional.running import PRODUCTION, Running, data_directory, free_port, run, running

WRITERS = 3
ROUNDS = int(os.environ.get("CRASH_ROUNDS", "3"))
"""How often something is killed; `make attack` sets more."""


@dataclass
class Ledger:
    """What the server has acknowledged to one writer."""

    versions: dict[str, int] = field(default_factory=dict)
    contents: dict[str, str] = field(default_factory=dict)
    transactions: list[str] = field(default_factory=list)
    unanswered: set[str] = field(default_factory=set)
    refused: list[tuple[int, str]] = field(default_factory=list)


class Writer(threading.Thread):
    """Writes and notes what was acknowledged, until it is told to stop; a lost connection is opened again."""

    def __init__(self, number: int, port: int, access_token: str, ledger: Ledger) -> None:
        super().__init__(daemon=True)
        self.ledger = ledger
        self.done = threading.Event()
        self._number = number
        self._port = port
        self._headers = {"Authorization": f"Bearer {access_token}", "Content-Type": "application/fhir+json"}
        self._count = len(ledger.versions) + len(ledger.transactions) + len(ledger.unanswered)

    def run(self) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self.done.is_set():
            connection = connection or http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
            self._count += 1
            step = self._transaction if self._count % 4 == 0 else self._update
            try:
                step(connection, f"w{self._number}-{self._count // 3}", f"{self._number}.{self._count}")
            except (OSError, http.client.HTTPException):
                connection.close()
                connection = None
                time.sleep(0.05)
        if connection is not None:
            connection.close()

    def _send(self, connection: http.client.HTTPConnection, method: str, path: str, body: Any) -> tuple[int, Any]:
        connection.request(method, f"/t/clinic/fhir/{path}".rstrip("/"), json.dumps(body), self._headers)
        response = connection.getresponse()
        data = response.read()
        if response.status >= 500 and response.status != 503:
            self.ledger.refused.append((response.status, data.decode()))
        return response.status, json.loads(data) if data else None

    def _update(self, connection: http.client.HTTPConnection, resource_id: str, content: str) -> None:
        self.ledger.unanswered.add(resource_id)
        status, body = self._send(connection, "PUT", f"Basic/{resource_id}", basic(resource_id, content))
        if status in (200, 201):
            self.ledger.versions[resource_id] = int(body["meta"]["versionId"])
            self.ledger.contents[resource_id] = content
            self.ledger.unanswered.discard(resource_id)

    def _transaction(self, connection: http.client.HTTPConnection, _: str, content: str) -> None:
        ids = [f"t{content}-{part}" for part in "abc"]
        entries = [{"resource": basic(i, content), "request": {"method": "PUT", "url": f"Basic/{i}"}} for i in ids]
        status, _body = self._send(
            connection, "POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        )
        if status == 200:
            self.ledger.transactions.append(content)


def basic(resource_id: str, content: str) -> dict[str, Any]:
    return {"resourceType": "Basic", "id": resource_id, "code": {"text": content}}


@pytest.fixture
def served() -> Iterator[tuple[Running, str]]:
    """A server with a tenant, and an access_token for it."""
    with data_directory() as directory:
        settings = PRODUCTION | {"DATA_DIR": str(directory), "PORT": str(free_port())}
        assert run("migrate", **settings).returncode == 0
        assert run("tenant", "create", "clinic", **settings).returncode == 0
        access_token = run("access-token", "--tenant", "clinic", "--lifetime", "3600", **settings).stdout.strip()
        with running("up", **settings) as up:
            up.wait_until_ready()
            yield up, access_token


def victims(up: Running, what: str) -> list[psutil.Process]:
    """The processes to be killed: the web server's, PostgreSQL's own, or one of its backends."""
    if what == "web":
        return up.children(r"fhir_server\.cli web|granian")
    postgres = [p for p in up.children("postgres") if "fhir_server" not in " ".join(p.cmdline())]
    if what == "postmaster":
        return [p for p in postgres if " -D " in " ".join(p.cmdline())][:1]
    backends = [p for p in postgres if "fhir_app" in " ".join(p.cmdline())]
    return [random.choice(backends)] if backends else []


@pytest.mark.attack
@pytest.mark.parametrize(
    "what",
    ["web", pytest.param("backend", marks=pytest.mark.attack), pytest.param("postmaster", marks=pytest.mark.attack)],
)
def test_every_acknowledged_write_survives(served: tuple[Running, str], what: str) -> None:
    up, access_token = served
    ledgers = [Ledger() for _ in range(WRITERS)]
    for _ in range(ROUNDS):
        writers = [Writer(n, up.port, access_token, ledger) for n, ledger in enumerate(ledgers)]
        for writer in writers:
            writer.start()
        time.sleep(random.uniform(0.3, 1.0))
        for process in victims(up, what):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(random.uniform(0.1, 0.5))
        for writer in writers:
            writer.done.set()
        for writer in writers:
            writer.join(30)
        up.wait_until_ready()
    assert sum(len(ledger.versions) for ledger in ledgers) > 10 * ROUNDS
    for ledger in ledgers:
        assert ledger.refused == []
        check(up.port, access_token, ledger)


def check(port: int, access_token: str, ledger: Ledger) -> None:
    """Compare the store with what was acknowledged."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def get(path: str) -> tuple[int, Any]:
        connection.request("GET", f"/t/clinic/fhir/{path}", headers={"Authorization": f"Bearer {access_token}"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())

    for resource_id, version in ledger.versions.items():
        status, found = get(f"Basic/{resource_id}")
        assert status == 200
        current = int(found["meta"]["versionId"])
        # A write that was under way may have been committed without its answer arriving: one version more, no gap.
        assert current == version or (resource_id in ledger.unanswered and current == version + 1)
        for number in range(1, current + 1):
            status, past = get(f"Basic/{resource_id}/_history/{number}")
            assert (status, past["meta"]["versionId"]) == (200, str(number))
            if number == version:
                assert past["code"]["text"] == ledger.contents[resource_id]
    for content in ledger.transactions:
        for part in "abc":
            assert get(f"Basic/t{content}-{part}")[0] == 200
    seen = {n for n in range(1, 10_000) if n % 4 == 0}
    for content in (f"{ledger_number(ledger)}.{n}" for n in sorted(seen)[:60]):
        statuses = {get(f"Basic/t{content}-{part}")[0] for part in "abc"}
        assert len(statuses) == 1, f"half a transaction: {content}"
    connection.close()


def ledger_number(ledger: Ledger) -> str:
    """The number of the writer that kept this ledger."""
    return next(iter(ledger.contents.values())).partition(".")[0]
