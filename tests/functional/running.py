"""`fhir-server` commands as a user runs them: processes of their own, with a port and a DATA_DIR of their own."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).parents[2]
SETTINGS = {"PORT", "HOST", "DATA_DIR", "DATABASE_URL", "APP_DATABASE_URL", "BASE_URL", "PRODUCTION", "WEB_WORKERS"}
PRODUCTION = {"PRODUCTION": "1", "BASE_URL": "http://localhost"}
"""No demo clinics, for tests that do without them: starting is much quicker."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextlib.contextmanager
def data_directory() -> Iterator[Path]:
    """A DATA_DIR; not pytest's, whose permissions change under a running PostgreSQL."""
    with tempfile.TemporaryDirectory(prefix="fhir-run-", ignore_cleanup_errors=True) as name:
        yield Path(name) / "var"


def environment(**settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    return kept | {"PYTHONPATH": str(REPOSITORY), "WEB_WORKERS": "2", "PYTHONUNBUFFERED": "1"} | settings


def run(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "fhir_server.cli", *words],
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


class Running:
    """A command that runs on: ``output`` is what it has said so far."""

    def __init__(self, arguments: list[str], settings: dict[str, str], log: Path) -> None:
        self.port = int(settings["PORT"])
        self._log = log
        self.begun = time.monotonic()
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                arguments,
                cwd=REPOSITORY,
                env=environment(**settings),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._log.read_text()

    def wait_for(self, what: Callable[[], bool], seconds: float = 180) -> float:
        """Wait until ``what`` holds; answers the seconds that it took since the start.

        ``seconds`` end a wait for what never comes; how soon it has to come is for a test to say.
        """
        deadline = time.monotonic() + seconds
        while not what():
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)
        return time.monotonic() - self.begun

    def wait_until_ready(self) -> float:
        return self.wait_for(lambda: self.get("/readyz") == 200)

    def get(self, path: str, timeout: float = 10) -> int | None:
        """The status of a GET; None where nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def children(self, part: str) -> list[psutil.Process]:
        """The processes that it started itself and whose command line holds ``part``."""
        found = psutil.Process(self.process.pid).children()
        return [child for child in found if re.search(part, _command_line(child))]

    def stop(self, number: signal.Signals = signal.SIGINT) -> float:
        """Send a signal and wait; answers the seconds until the end."""
        begun = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(30)
        return time.monotonic() - begun


def _command_line(process: psutil.Process) -> str:
    """Empty for a process that has ended meanwhile."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline())
    return ""


def _descendants(pid: int) -> list[psutil.Process]:
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
    return found


@contextlib.contextmanager
def running(*words: str, program: list[str] | None = None, **settings: str) -> Iterator[Running]:
    """A command that runs during the block; whatever is left of it afterwards is killed."""
    arguments = program or [sys.executable, "-m", "fhir_server.cli", *words]
    settings = {"PORT": str(free_port()), "MLLP_PORT": str(free_port())} | settings
    with tempfile.TemporaryDirectory(prefix="fhir-log-") as logs:
        command = Running(arguments, settings, Path(logs) / "output")
        known: list[psutil.Process] = []
        try:
            yield command
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):
                known += _descendants(command.process.pid)
            command.process.kill()
            command.process.wait()
            for process in known:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()


@dataclass(frozen=True)
class Demo:
    """A running server with the demo clinics, and the settings that commands beside it need."""

    settings: dict[str, str]

    @property
    def base_url(self) -> str:
        """Of the FHIR API of riverside."""
        return f"http://localhost:{self.settings['PORT']}/t/riverside/fhir"

    def command(self, *words: str) -> str:
        """What a command of the operator's prints."""
        done = run(*words, **self.settings)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@contextlib.contextmanager
def demonstrating() -> Iterator[Demo]:
    """The demo clinics, as `make run` starts them."""
    with data_directory() as directory:
        settings = {"DATA_DIR": str(directory), "PORT": str(free_port()), "MLLP_PORT": str(free_port())}
        with running("up", **settings) as up:
            up.wait_for(lambda: "Bearer" in up.output)
            yield Demo(settings)


def left_over(data_dir: Path) -> list[str]:
    """Command lines of processes that still work on ``data_dir``."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or [])
        if str(data_dir) in line and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(line)
    return found
