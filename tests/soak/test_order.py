"""A thousand patients' stays through sixteen workers end where one worker ends that has them one after another.

docs/soak.md. SOAK_PATIENTS sets how many.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter, deque
from random import Random

import pytest

from tests.soak.facts import Facts, facts_of
from tests.soak.instance import running
from tests.soak.senders import Line, Wire
from tests.soak.story import numbered

PATIENTS = int(os.environ.get("SOAK_PATIENTS", "1000"))
EVENTS = ("A01", "A08", "A03")
CONNECTIONS = 32


def _through(stays: list[list[bytes]], workers: int, connections: int) -> tuple[Facts, float]:
    """What is stored of stays whose next message is sent once the one before was acknowledged, over any connection."""
    random = Random(15)
    turns = [place for place, stay in enumerate(stays) for _ in stay]
    if connections > 1:
        random.shuffle(turns)
    left = [deque(stay) for stay in stays]
    busy: set[int] = set()

    def turn() -> int | None:
        """The next patient none of whose messages is on its way."""
        for place, patient in enumerate(turns[:2_000]):
            if patient not in busy:
                return turns.pop(place)
        return None

    async def sender(port: int) -> None:
        async with Wire(port, Line("SAFE", iter(()), 0), Counter()) as wire:
            while turns:
                patient = turn()
                if patient is None:
                    await asyncio.sleep(0.01)
                    continue
                busy.add(patient)
                assert b"|AA|" in await wire.insist(left[patient].popleft())
                busy.discard(patient)

    async def all_of_them(port: int) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(sender(port))

    with running(workers) as instance:
        instance.start()
        instance.wait_for_gateway()
        begun = time.monotonic()
        asyncio.run(all_of_them(instance.port))
        instance.wait_until_stored()
        seconds = time.monotonic() - begun
        instance.stop()
        return facts_of(instance), seconds


def test_sixteen_workers_end_where_one_does(capsys: pytest.CaptureFixture[str]) -> None:
    stays = [numbered("SAFE", patient, EVENTS) for patient in range(PATIENTS)]
    many, quickly = _through(stays, 16, CONNECTIONS)
    one, slowly = _through(stays, 1, 1)
    with capsys.disabled():
        print(f"\n{PATIENTS} patients, {len(many.messages)} messages, {len(many.versions)} versions:"
            f" {quickly:.0f} s with 16 workers, {slowly:.0f} s with one")  # fmt: skip
    assert one.problems == []
    assert many.problems == []
    assert one.differences(many) == []
    assert len(many.audit) == len(EVENTS) * PATIENTS
    assert {told.partition(",")[0] for told in many.messages.values()} == {'["stored"'}
    finished = [text for path, text in many.versions.items() if path[0] == "Encounter" and '"finished"' in text]
    assert len(finished) == PATIENTS
