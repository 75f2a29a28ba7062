"""Cut off before and after every commit between a frame and what is stored: sent again, a message is there once.

docs/soak.md
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

import psycopg
import pytest

from hl7_gateway.wire.client import read
from tests.functional.running import REPOSITORY
from tests.soak.cut import (
    AFTER,
    ANSWER,
    BEFORE,
    DEFECT,
    FRAME,
    LINK,
    LINKED,
    PROCESS,
    SAID,
    SEEN,
    SENT,
    UNLINKED,
)
from tests.soak.instance import FEEDS, Instance, running
from tests.soak.senders import Line, insist
from tests.soak.story import numbered

RECEIVER, WORKER = "serve", "work"
KEEPER = "keeper"
"""The receiver that keeps messages by its thread, as it does until it has a connection for its event loop."""

POSTGRES = "postgres"

_patients = count(1)


@pytest.fixture(scope="module")
def instance() -> Iterator[Instance]:
    with running(workers=0) as made:
        yield made


@pytest.fixture(scope="module")
def moments(instance: Instance) -> dict[tuple[str, str], int]:
    """How many transactions that write something there are for one message, by part and sender."""
    found = {}
    for application in FEEDS:
        for part in (RECEIVER, KEEPER, WORKER):
            seen = _delivered(instance, application, part, BEFORE, 0, PROCESS).said.count(SEEN)
            assert seen >= 1
            found[part, application] = seen
    return found


@dataclass
class Parts:
    """A receiver and a worker, which are started again when they end, and so is PostgreSQL; one has been prepared."""

    instance: Instance
    prepared: dict[str, list[str]]
    broken: bool = False
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, part: str, words: list[str]) -> None:
        with self.instance.log.open("ab") as out:
            self.running[part] = subprocess.Popen(
                [sys.executable, "-m", *words], env=self.instance.environ(), cwd=REPOSITORY, stdout=out, stderr=out
            )

    def usual(self, part: str) -> list[str]:
        broken = ["tests.soak.cut", DEFECT, "0", PROCESS, part]
        return broken if self.broken and part == WORKER else ["hl7_gateway", part]

    def look(self) -> None:
        """Start again what has ended, as a service manager does. In one thread: PostgreSQL ends with it."""
        for part, process in self.running.items():
            if process.poll() is not None:
                self.start(part, self.usual(part))
        if self.instance.postmaster() is None:
            self.instance.restart_postgres()

    def __enter__(self) -> Parts:
        self.instance.log.write_bytes(b"")
        for part in (RECEIVER, WORKER):
            self.start(part, self.prepared.get(part) or self.usual(part))
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()

    @property
    def said(self) -> str:
        """The log of all parts."""
        return self.instance.log.read_text(errors="replace")

    def wait_until_said(self, what: str) -> None:
        deadline = time.monotonic() + 60
        while what not in self.said:
            assert time.monotonic() < deadline, self.instance.said()
            time.sleep(0.05)

    @property
    def cut(self) -> bool:
        """Whether the moment has come."""
        return SAID in self.said


def told(parts: Parts, application: str, raw: bytes) -> str:
    """Send a message until it is answered, while what ends is started again; the code of its answer."""
    found: list[bytes] = []
    line = Line(application, iter(()), 0)
    sender = threading.Thread(target=lambda: found.append(insist(parts.instance.port, line, raw, Counter())))
    sender.daemon = True
    sender.start()
    deadline = time.monotonic() + 120
    while sender.is_alive():
        assert time.monotonic() < deadline, parts.instance.said()
        parts.look()
        time.sleep(0.02)
    assert found, parts.instance.said()
    return read(found[0]).code


def settled(parts: Parts) -> None:
    """Wait until nothing waits, while what ends is started again."""
    deadline = time.monotonic() + 120
    while True:
        parts.look()
        with contextlib.suppress(psycopg.OperationalError):
            if not parts.instance.rows("SELECT FROM hl7_queue"):
                # What was committed before it was cut off may be all there is: let it end first.
                time.sleep(0.2)
                parts.look()
                return
        assert time.monotonic() < deadline, parts.instance.said()
        time.sleep(0.05)


def stored(instance: Instance, patient: int) -> dict[str, list[object]]:
    """All there is of a patient's message, whatever it is kept in."""
    control_id = f"N{patient:05}-0"
    (messages, audits, provenances, versions) = (
        instance.rows("SELECT id, state, attempts FROM hl7_message WHERE control_id = %s", control_id),
        instance.rows(
            "SELECT a.outcome FROM audit_record a, hl7_message m WHERE m.control_id = %s"
            " AND a.record::jsonb @> jsonb_build_object('request_id', 'hl7-message/' || m.id)",
            control_id,
        ),
        instance.rows(
            "SELECT r.version FROM resource r, hl7_message m WHERE m.control_id = %s"
            " AND r.body #>> '{entity,0,what,identifier,value}' = m.id::text",
            control_id,
        ),
        instance.rows(
            "SELECT t.name, x.version FROM (SELECT type_id, version, body FROM resource UNION ALL"
            " SELECT type_id, version, body FROM resource_history) x JOIN resource_type t ON t.id = x.type_id"
            " WHERE t.name = ANY('{Patient,Encounter}') AND x.body #>> '{identifier,0,value}' ~ ('^.' || %s || '$')"
            " ORDER BY 1, 2",
            f"{patient:05}",
        ),
    )
    return {
        "messages": [row[1:] for row in messages],
        "audits": audits,
        "provenances": provenances,
        "versions": versions,
    }


CASES = [
    *((RECEIVER, moment, PROCESS) for moment in (FRAME, ANSWER)),
    *((RECEIVER, SENT, victim) for victim in (PROCESS, LINK, POSTGRES)),
    *((part, moment, victim) for part in (RECEIVER, KEEPER, WORKER) for moment in (BEFORE, AFTER)
      for victim in (PROCESS, LINK, POSTGRES)),
]  # fmt: skip


@pytest.mark.parametrize("application", FEEDS)
@pytest.mark.parametrize(("part", "moment", "victim"), CASES)
def test_cut_off_at_every_commit_a_message_is_there_once(
    instance: Instance, moments: dict[tuple[str, str], int], application: str, part: str, moment: str, victim: str
) -> None:
    for number in range(1, moments[part, application] + 1):
        assert _delivered(instance, application, part, moment, number, victim).cut


def _delivered(instance: Instance, application: str, part: str, moment: str, number: int, victim: str) -> Parts:
    """Have a message delivered while a part is cut off, and look whether it is there once."""
    patient = next(_patients)
    raw = numbered(application, patient, ("A01",))[0]
    real, moments = (RECEIVER, f"{UNLINKED}+{moment}") if part == KEEPER else (part, moment)
    with Parts(instance, {real: _cutting(instance, real, moments, number, victim)}) as parts:
        if part == RECEIVER and moment in (BEFORE, SENT, AFTER):
            parts.wait_until_said(LINKED)
        assert told(parts, application, raw) == "AA"
        settled(parts)
        assert told(parts, application, raw) == "AA"
        settled(parts)
    assert stored(instance, patient) == {
        "messages": [("stored", 1)],
        "audits": [(0,)],
        "provenances": [(1,)],
        "versions": [("Encounter", 1), ("Patient", 1)],
    }
    return parts


@pytest.mark.parametrize("victim", [PROCESS, LINK, POSTGRES])
@pytest.mark.parametrize("moment", [BEFORE, AFTER])
def test_cut_off_while_it_is_buried_a_message_is_a_dead_letter_once(
    instance: Instance, moment: str, victim: str
) -> None:
    patient = next(_patients)
    raw = numbered("STORED", patient, ("A01",))[0]
    prepared = _cutting(instance, WORKER, f"{moment}+{DEFECT}", 1, victim)
    with Parts(instance, {WORKER: prepared}, broken=True) as parts:
        assert told(parts, "STORED", raw) == "AE"
        settled(parts)
        assert told(parts, "STORED", raw) == "AE"
        settled(parts)
        assert parts.cut
    assert stored(instance, patient) == {"messages": [("dead", 1)], "audits": [(8,)], "provenances": [], "versions": []}


def _cutting(instance: Instance, part: str, moments: str, number: int, victim: str) -> list[str]:
    if victim == POSTGRES:
        postmaster = instance.postmaster()
        assert postmaster is not None
        victim = str(postmaster.pid)
    return ["tests.soak.cut", moments, str(number), victim, part]
