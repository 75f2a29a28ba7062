"""What is killed, and how it comes back. docs/soak.md"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from random import Random
from typing import Final

import psutil

from tests.soak.instance import Instance, ended, kill

_OUTAGES: Final = (0.0, 0.0, 0.3, 1.0, 3.0)
"""Seconds that PostgreSQL stays away; a long one is among them now and then."""

_LONG: Final = 12.0
"""Longer than the gateway lets a message wait to be kept."""


def _gone(*victims: psutil.Process) -> None:
    """Wait for what was killed to be gone."""
    deadline = time.monotonic() + 30
    while not all(ended(one) for one in victims):
        assert time.monotonic() < deadline, "a process outlives SIGKILL"
        time.sleep(0.01)


class Killer:
    """Kills processes of an instance; whatever is not started again by somebody else is started again here."""

    def __init__(self, instance: Instance, random: Random) -> None:
        self.instance = instance
        self.random = random

    def gateway(self) -> None:
        """The process that receives and looks after the workers, who hear of it and end."""
        kill(self.instance.gateway())
        self._gateway_again()

    def worker(self) -> None:
        """The worker that has run for longest: who dies too often is given up."""
        victim = self.instance.children()[0]
        kill(victim)
        _gone(victim)

    def workers(self) -> None:
        """All workers."""
        victims = self.instance.children()
        kill(*victims)
        _gone(*victims)

    def group(self) -> None:
        """The gateway with all of its workers."""
        kill(self.instance.gateway(), *self.instance.children())
        self._gateway_again()

    def postgres(self) -> None:
        """PostgreSQL's first process and all others of it, as a machine that loses power does."""
        self._kill_postgres()
        self._postgres_again()

    def postmaster(self) -> None:
        """PostgreSQL's first process alone: its sessions notice, and hold its shared memory until then."""
        found = self.instance.postmaster()
        assert found is not None, "PostgreSQL does not run"
        kill(found)
        self._postgres_again()

    def immediate(self) -> None:
        """SIGQUIT to PostgreSQL: what `pg_ctl stop -m immediate` sends."""
        found = self.instance.postmaster()
        assert found is not None, "PostgreSQL does not run"
        found.send_signal(signal.SIGQUIT)
        self._postgres_again()

    def session(self) -> None:
        """One of PostgreSQL's sessions, upon which it ends all others and recovers by itself."""
        found = self.instance.rows(
            "SELECT pid FROM pg_stat_activity WHERE usename <> 'postgres' AND backend_type = 'client backend'"
            " ORDER BY state = 'active' DESC, random() LIMIT 1"
        )
        assert found, "nobody is connected"
        victim = psutil.Process(found[0][0])
        kill(victim)
        _gone(victim)

    def everything(self) -> None:
        """PostgreSQL, the gateway and its workers; the gateway is there first."""
        kill(self.instance.gateway(), *self.instance.children())
        self._kill_postgres()
        self._gateway_again()
        self._postgres_again()

    def _kill_postgres(self) -> None:
        found = self.instance.postmaster()
        assert found is not None, "PostgreSQL does not run"
        # Stopped, it starts nothing new while its children are being counted.
        found.suspend()
        kill(*found.children(recursive=True), found)

    def _postgres_again(self) -> None:
        outage = _LONG if self.random.random() < 0.08 else self.random.choice(_OUTAGES)
        time.sleep(outage)
        self.instance.restart_postgres()

    def _gateway_again(self) -> None:
        assert self.instance.process is not None
        self.instance.process.wait(30)
        time.sleep(self.random.choice((0.0, 0.2, 1.0)))
        self.instance.start()


KINDS: Final[dict[str, Callable[[Killer], None]]] = {
    "gateway": Killer.gateway,
    "worker": Killer.worker,
    "workers": Killer.workers,
    "group": Killer.group,
    "postgres": Killer.postgres,
    "postmaster": Killer.postmaster,
    "immediate": Killer.immediate,
    "session": Killer.session,
    "everything": Killer.everything,
}


def plan(number: int, random: Random) -> list[str]:
    """Kills in an order that is random, each kind as often as the others."""
    kinds = [list(KINDS)[place % len(KINDS)] for place in range(number)]
    random.shuffle(kinds)
    return kinds
