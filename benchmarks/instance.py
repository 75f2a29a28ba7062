"""A server of our own to measure: an embedded PostgreSQL in a temporary directory and one web worker on the loopback.

Everything has its default settings but what is named here.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks.accounting import descendants
from benchmarks.wire import Target
from fhir_server.commands.access_token import DEFAULT_SCOPE, issue
from fhir_server.settings import Settings
from fhir_server.store import tenants
from fhir_server.store.embedded import EmbeddedPostgres
from fhir_server.store.migrate import migrate
from fhir_server.store.tenants import Tenant

HOST = "127.0.0.1"
READY_SECONDS = 60
STOP_SECONDS = 20
QUIET_SECONDS = 60


class NotReady(Exception):
    """A process of the benchmark's own did not start to serve."""


@dataclass(slots=True)
class Instance:
    """A running PostgreSQL; web servers are started on it as they are needed."""

    directory: Path
    postgres: EmbeddedPostgres
    postgres_pid: int
    tenants: dict[str, Tenant] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        """Where the processes' output goes."""
        return self.directory / "output.log"

    def environment(self, port: int) -> dict[str, str]:
        """The environment of the product's processes: one worker, the rest by default."""
        kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
        return kept | {
            "APP_DATABASE_URL": self.postgres.app_url,
            "DATABASE_URL": self.postgres.owner_url,
            "DATA_DIR": str(self.directory),
            "HOST": HOST,
            "PORT": str(port),
            "WEB_WORKERS": "1",
        }

    def settings(self, port: int) -> Settings:
        """What the web worker's settings are."""
        return Settings.from_env(self.environment(port))

    def tenant(self, slug: str) -> Tenant:
        """The tenant of that name, created when it is first asked for."""
        if slug not in self.tenants:
            with psycopg.connect(self.postgres.owner_url, autocommit=True) as connection:
                self.tenants[slug] = tenants.create(connection, slug)
        return self.tenants[slug]

    def target(self, port: int, slug: str) -> Target:
        """The tenant's FHIR base with an access_token that may do everything there."""
        self.tenant(slug)
        access_token = issue(self.settings(port), slug, DEFAULT_SCOPE, 24 * 3600)
        return Target.of(f"http://{HOST}:{port}/t/{slug}/fhir", {"Authorization": f"Bearer {access_token}"})

    def settle(self) -> None:
        """Collect statistics, write out what is dirty and wait until PostgreSQL rests: none of it is to be measured."""
        deadline = time.monotonic() + QUIET_SECONDS
        with psycopg.connect(self.postgres.owner_url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
            connection.execute("CHECKPOINT")
            busy = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'"
            while time.monotonic() < deadline and connection.execute(busy).fetchone() != (0,):
                time.sleep(0.2)

    def sizes(self) -> dict[str, int]:
        """Bytes of each table with its indexes."""
        query = sql.SQL(
            "SELECT relname, pg_total_relation_size(oid) FROM pg_class WHERE relkind = 'r' AND relrowsecurity"
        )
        with psycopg.connect(self.postgres.owner_url) as connection:
            return {str(name): int(size) for name, size in connection.execute(query)}


@contextlib.contextmanager
def running_instance(parent: Path | None = None) -> Iterator[Instance]:
    """A fresh instance for the length of the block, in a temporary directory below ``parent``."""
    with tempfile.TemporaryDirectory(prefix="fhir-benchmark-", dir=parent, ignore_cleanup_errors=True) as name:
        directory = Path(name)
        postgres = EmbeddedPostgres(
            directory / "postgresql", options={"shared_buffers": Settings().embedded_shared_buffers}
        )
        postgres.start()
        try:
            migrate(postgres.owner_url)
            pid = int((postgres.data / "postmaster.pid").read_text().splitlines()[0])
            yield Instance(directory, postgres, pid)
        finally:
            postgres.stop()


def free_port() -> int:
    """A TCP port of the loopback that nobody has at this moment."""
    with socket.create_server((HOST, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class Served:
    """A web server that answers: the root of its process tree, and its port."""

    pid: int
    port: int

    def worker(self) -> int:
        """The process that answers requests: the one with the most memory. Raises NoAccounting."""
        sizes = {}
        for pid in descendants(self.pid):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError, IndexError):
                sizes[pid] = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return max(sizes, key=lambda pid: (pid != self.pid, sizes[pid]))


@contextlib.contextmanager
def web(instance: Instance) -> Iterator[Served]:
    """`fhir-server web` with one worker."""
    port = free_port()
    environment = instance.environment(port)
    del environment["DATABASE_URL"]
    command = [sys.executable, "-m", "fhir_server.cli", "web"]
    with _process(command, environment, instance.log) as process:
        _wait(f"http://{HOST}:{port}/readyz", process, instance.log)
        yield Served(process.pid, port)


@contextlib.contextmanager
def floor_app(instance: Instance, tenant_id: int) -> Iterator[Served]:
    """benchmarks/floor_app.py under granian with as many threads as the product's worker has."""
    port = free_port()
    settings = instance.settings(port)
    environment = instance.environment(port) | {"FLOOR_TENANT": str(tenant_id)}
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", HOST, "--port", str(port)]
    command += ["--workers", "1", "--blocking-threads", str(settings.web_threads), "--backlog", "2048", "--no-ws"]
    command += ["--log-level", "warning", "benchmarks.floor_app:app"]
    with _process(command, environment, instance.log) as process:
        _wait(f"http://{HOST}:{port}/ready", process, instance.log)
        yield Served(process.pid, port)


@contextlib.contextmanager
def _process(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=Path(__file__).parents[1],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:
            if answer.status == 200:
                return
        time.sleep(0.05)
    raise NotReady(f"{url} does not answer. {log.read_text(errors='replace')[-2000:]}")
