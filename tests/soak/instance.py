"""A PostgreSQL and a gateway of our own, whose processes can be killed one by one. docs/soak.md"""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
import psycopg

from fhir_server.store import hl7_feeds, tenants
from fhir_server.store.embedded import EmbeddedPostgres
from fhir_server.store.migrate import migrate
from fhir_server.store.tenants import Tenant
from tests.functional.running import REPOSITORY, environment, free_port

HOST: Final = "127.0.0.1"
FEEDS: Final = {"SAFE": "receipt", "STORED": "commit"}
"""What a sender calls itself -> when its feed acknowledges. A feed is named like its sender, in small letters."""

_HASH_KEY: Final = bytes(range(32))
"""Ids of resources follow from it: with the same key two instances make the same ids."""

_SECONDS: Final = 90


def ended(process: psutil.Process) -> bool:
    """Whether a process is gone, or only its name is left."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def kill(*victims: psutil.Process) -> None:
    """SIGKILL, to those that still are."""
    for process in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


@dataclass
class Instance:
    """One clinic with a feed of each policy. ``starts`` counts how often the gateway and PostgreSQL were started."""

    directory: Path
    postgres: EmbeddedPostgres
    tenant: Tenant
    workers: int
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What the gateway says."""
        return self.directory / "gateway.log"

    def environ(self, **settings: str) -> dict[str, str]:
        """The environment of the gateway's processes."""
        known = {
            "APP_DATABASE_URL": self.postgres.app_url,
            "DATABASE_URL": self.postgres.owner_url,
            "DATA_DIR": str(self.directory),
            "HOST": HOST,
            "MLLP_PORT": str(self.port),
            "MLLP_WORKERS": str(self.workers),
        }
        return environment(**(known | settings))

    def start(self) -> None:
        """Start `hl7-gateway serve`, without waiting for it."""
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hl7_gateway", "serve"],
                env=self.environ(),
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def gateway(self) -> psutil.Process:
        """The process that receives, and that starts the others."""
        assert self.process is not None
        assert self.process.poll() is None, f"the gateway ended by itself: {self.said()}"
        return psutil.Process(self.process.pid)

    def children(self) -> list[psutil.Process]:
        """The processes that convert, those first that have run for longest."""
        found = [one for one in self.gateway().children(recursive=True) if not ended(one)]
        return sorted(found, key=lambda one: one.create_time())

    def postmaster(self) -> psutil.Process | None:
        """PostgreSQL's first process, where it runs."""
        with contextlib.suppress(FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess):
            found = psutil.Process(int((self.postgres.data / "postmaster.pid").read_text().splitlines()[0]))
            return None if ended(found) else found
        return None

    def receives(self) -> bool:
        """Whether the gateway's port answers."""
        with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), 1):
            return True
        return False

    def wait_for_gateway(self) -> None:
        """Wait until its port answers and all of its workers have been started."""
        deadline = time.monotonic() + _SECONDS
        while len(self.children()) < self.workers or not self.receives():
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)

    def wait_for_postgres(self) -> None:
        """Wait until it takes connections."""
        deadline = time.monotonic() + _SECONDS
        while True:
            with contextlib.suppress(psycopg.OperationalError), self.owner():
                return
            assert time.monotonic() < deadline, self.postgres.log.read_text()[-2_000:]
            time.sleep(0.05)

    def restart_postgres(self) -> None:
        """Start PostgreSQL again after it was killed; what it finds lying about is its own business."""
        self.postgres.stop()
        self.postgres.start()

    def stop(self) -> None:
        """Ask the gateway to stop, as a service manager does."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0, self.said()

    def left(self, seconds: float = 30) -> list[int]:
        """Processes of the gateway that outlive it."""
        deadline = time.monotonic() + seconds
        while True:
            found = [one.pid for one in psutil.process_iter() if not ended(one) and self._ours(one)]
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.2)

    def _ours(self, process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.Error):
            return process.environ().get("DATA_DIR") == str(self.directory)
        return False

    def said(self) -> str:
        """The end of the gateway's log."""
        text = self.log.read_text(errors="replace")
        return f"{text[:4_000]}\n...\n{text[-2_000:]}"

    @contextlib.contextmanager
    def owner(self) -> Iterator[psycopg.Connection]:
        """A connection that sees all tenants."""
        with psycopg.connect(self.postgres.owner_url, autocommit=True, connect_timeout=5) as connection:
            yield connection

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a query of ours finds."""
        with self.owner() as connection:
            return connection.execute(sql.encode(), values).fetchall()

    def wait_until_stored(self, seconds: float = 300) -> None:
        """Wait until no message waits."""
        deadline = time.monotonic() + seconds
        while self.rows("SELECT FROM hl7_queue LIMIT 1"):
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.2)

    def durability(self) -> dict[str, str]:
        """The settings that decide what a crash may take, as the gateway's connections have them."""
        with psycopg.connect(self.postgres.app_url) as connection:
            names = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_level")
            found = [connection.execute("SELECT current_setting(%s)", [name]).fetchone() for name in names]
            return {name: str(row and row[0]) for name, row in zip(names, found, strict=True)}


@contextlib.contextmanager
def running(workers: int) -> Iterator[Instance]:
    """A fresh instance with PostgreSQL's own settings of durability; the gateway is not started."""
    with tempfile.TemporaryDirectory(prefix="fhir-soak-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        postgres = EmbeddedPostgres(directory / "postgresql", options={"shared_buffers": "128MB"})
        postgres.start()
        instance: Instance | None = None
        try:
            migrate(postgres.owner_url)
            instance = Instance(directory, postgres, _clinic(postgres.owner_url), workers)
            yield instance
        finally:
            if instance is not None and instance.process is not None and instance.process.poll() is None:
                kill(*instance.children(), instance.gateway())
                instance.process.wait()
            postgres.stop()


def _clinic(owner_url: str) -> Tenant:
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute("UPDATE server_secret SET value = %s WHERE name = 'hash_key'", [_HASH_KEY])
        clinic = tenants.create(owner, "soak")
        with owner.transaction():
            owner.execute("SELECT set_config('fhir.tenant', %s, true)", [str(clinic.id)])
            for sender, policy in FEEDS.items():
                configuration = {"application": sender, "acknowledgment": policy, "zone": "America/New_York"}
                assert hl7_feeds.add(owner, clinic.id, sender.lower(), configuration, 1) is not None
        return clinic
