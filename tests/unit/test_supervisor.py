from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time

import pytest

from fhir_server.settings import ConfigurationError
from fhir_server.supervisor import MOST_DEATHS, Child, Supervisor, in_words


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Fake:
    def __init__(self, name: str, story: list[str]) -> None:
        self.name = name
        self.status: int | None = 0
        self._story = story

    def start(self) -> None:
        self.status = None
        self._story.append(f"start {self.name}")

    def exit_status(self) -> int | None:
        return self.status

    def ask_to_stop(self) -> None:
        self._story.append(f"ask {self.name}")

    def stop(self) -> None:
        self._story.append(f"stop {self.name}")


def test_stops_in_the_reverse_order_after_asking_all() -> None:
    story: list[str] = []
    supervisor = Supervisor()
    for name in ("database", "web", "worker"):
        supervisor.start(Fake(name, story))
    supervisor.stop()
    assert story == [
        *("start database", "start web", "start worker"),
        *("ask worker", "ask web", "ask database"),
        *("stop worker", "stop web", "stop database"),
    ]


def test_dead_part_is_started_again_after_a_growing_delay() -> None:
    clock, story = Clock(), []
    supervisor = Supervisor(clock)
    part = Fake("web", story)
    supervisor.start(part)
    delays = []
    for _ in range(3):
        part.status = -9
        supervisor.look_after()
        died, starts = clock.now, len(story)
        while len(story) == starts:
            clock.now += 0.05
            supervisor.look_after()
        delays.append(round(clock.now - died, 1))
    assert delays == sorted(set(delays))
    assert delays[0] < 0.5


def test_part_that_keeps_dying_ends_everything_with_a_sentence() -> None:
    clock = Clock()
    supervisor = Supervisor(clock)
    part = Fake("The web server", [])
    supervisor.start(part)
    for _ in range(MOST_DEATHS - 1):
        part.status = 3
        supervisor.look_after()
        clock.now += 9
        supervisor.look_after()
    part.status = 3
    with pytest.raises(ConfigurationError, match=r"The web server keeps stopping \(exit status 3\)"):
        supervisor.look_after()


def test_deaths_that_are_far_apart_are_forgiven() -> None:
    clock = Clock()
    supervisor = Supervisor(clock)
    part = Fake("web", [])
    supervisor.start(part)
    for _ in range(MOST_DEATHS * 3):
        part.status = 1
        supervisor.look_after()
        clock.now += 60
        supervisor.look_after()
        assert part.status is None


def test_child_process_is_stopped_by_sigterm() -> None:
    child = Child("sleeper", [sys.executable, "-c", "import time; time.sleep(60)"], {})
    assert child.exit_status() == 0
    child.start()
    assert child.exit_status() is None
    begun = time.monotonic()
    child.stop()
    assert time.monotonic() - begun < 5
    assert in_words(child.exit_status() or 0) == "SIGTERM"


def test_exit_status_in_words() -> None:
    assert [in_words(1), in_words(-9)] == ["exit status 1", "SIGKILL"]


_SUPERVISED = """
import sys
from fhir_server.supervisor import Child, Supervisor

supervisor = Supervisor()
supervisor.stop_on_signals()
supervisor.start(Child("child", [sys.executable, "-c", "import time; time.sleep(600)"], {}))
print("running", flush=True)
supervisor.run()
supervisor.stop()
print("stopped", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_stops_however_often_it_is_told_to(number: signal.Signals) -> None:
    """A handler that waits for a lock, which the thread below it holds, would wait for ever."""
    process = subprocess.Popen([sys.executable, "-c", _SUPERVISED], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        for _ in range(5_000):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
        # Its child is told by SIGTERM, and ends long before it would be killed. The last may come when all is done, and
        # the interpreter has given its handlers back.
        assert process.wait(10) in (0, -number)
        assert process.stdout.read() == "stopped\n"
    finally:
        process.kill()
        process.wait()
