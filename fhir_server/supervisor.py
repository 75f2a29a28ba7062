"""Keeps processes running: starts them, starts them again when they die, gives up on one that keeps dying.

https://docs.python.org/3/library/subprocess.html
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from fhir_server import logs
from fhir_server.settings import ConfigurationError
from fhir_server.store.die_with_parent import die_with_parent

MOST_DEATHS = 5
WITHIN_SECONDS = 60
FIRST_DELAY = 0.25
LONGEST_DELAY = 8.0
STOP_SECONDS = 15
_GLANCE_SECONDS = 0.05


class Part(Protocol):
    """Something that runs: a child process, or the embedded PostgreSQL."""

    name: str

    def start(self) -> None: ...

    def exit_status(self) -> int | None:
        """None while it runs; otherwise how it ended, negative for a signal."""

    def ask_to_stop(self) -> None:
        """Begin to stop, without waiting."""

    def stop(self) -> None:
        """Stop and wait for the end."""


class Child:
    """A child process. ``arguments`` is its command line, ``environ`` its whole environment."""

    def __init__(self, name: str, arguments: Sequence[str], environ: Mapping[str, str]) -> None:
        self.name = name
        self._arguments = list(arguments)
        self._environ = dict(environ)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, in a session of its own so that Ctrl-C in the terminal reaches the supervisor alone."""
        self._process = subprocess.Popen(
            self._arguments,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM),
        )

    def exit_status(self) -> int | None:
        """None while it runs; otherwise its exit status, negative for a signal."""
        return self._process.poll() if self._process else 0

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        if self._process and self._process.poll() is None:
            self._process.terminate()

    def stop(self) -> None:
        """Send SIGTERM, and SIGKILL after STOP_SECONDS."""
        if self._process is None:
            return
        self.ask_to_stop()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Stop:
    """Whether somebody has asked for a stop.

    No threading.Event: its lock may be held by what a signal interrupts, and a handler that waits for it waits for
    ever. Nor are the signals blocked for a thread that waits for them, as in the gateway's workers: the child processes
    would inherit that, and could not be told to stop.
    """

    def __init__(self) -> None:
        self._asked = False

    def set(self) -> None:
        """Ask for it; from anywhere, a signal handler too."""
        self._asked = True

    def is_set(self) -> bool:
        """Whether it was asked for."""
        return self._asked

    def wait(self, seconds: float) -> bool:
        """Wait for it, so long at most; whether it was asked for."""
        until = time.monotonic() + seconds
        while not self._asked and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _GLANCE_SECONDS))
        return self._asked


class Supervisor:
    """Runs ``parts`` in the order given and stops them in the reverse order."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.stopping = Stop()
        self._clock = clock
        self._parts: list[Part] = []
        self._deaths: dict[str, deque[float]] = {}
        self._due: dict[str, float] = {}

    def start(self, part: Part) -> None:
        """Start ``part`` and look after it from now on."""
        part.start()
        self._parts.append(part)
        self._deaths[part.name] = deque(maxlen=MOST_DEATHS)

    def stop_on_signals(self) -> None:
        """Let SIGINT (Ctrl-C), SIGTERM and SIGHUP (a closed terminal) set ``stopping``."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self.stopping.set())

    def look_after(self) -> None:
        """Start again what has died, after a delay that doubles with each death.

        Raises ConfigurationError for a part that died MOST_DEATHS times within WITHIN_SECONDS.
        """
        now = self._clock()
        for part in self._parts:
            if part.name in self._due:
                if now >= self._due[part.name]:
                    del self._due[part.name]
                    part.start()
                    logs.event("part restarted", part=part.name)
                continue
            status = part.exit_status()
            if status is None:
                continue
            deaths = self._deaths[part.name]
            deaths.append(now)
            logs.event("part died", level=logs.LEVELS["error"], part=part.name, status=status)
            if len(deaths) == MOST_DEATHS and now - deaths[0] <= WITHIN_SECONDS:
                raise ConfigurationError(f"{part.name} keeps stopping ({in_words(status)}): see the messages above.")
            recent = sum(now - death <= WITHIN_SECONDS for death in deaths)
            self._due[part.name] = now + min(FIRST_DELAY * 2 ** (recent - 1), LONGEST_DELAY)

    def run(self) -> None:
        """Look after the parts until ``stopping`` is set. Raises what look_after raises."""
        while not self.stopping.wait(0.2):
            self.look_after()

    def stop(self) -> None:
        """Stop everything, the last started first; all child processes are asked at once."""
        parts, self._parts = self._parts[::-1], []
        for part in parts:
            part.ask_to_stop()
        for part in parts:
            part.stop()


def in_words(status: int) -> str:
    """An exit status for people: ``exit status 1``, ``SIGKILL``."""
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"
