"""kill -9 of the gateway, its workers and PostgreSQL under load: what is stored is what an undisturbed run stores.

docs/soak.md. SOAK_KILLS sets how often, SOAK_SEED which run it is.
"""

from __future__ import annotations

import os
import secrets
import time
from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from tests.soak.facts import Facts, facts_of
from tests.soak.instance import FEEDS, Instance, running
from tests.soak.killer import KINDS, Killer, plan
from tests.soak.senders import Senders, lines, told_again
from tests.soak.story import story

KILLS = int(os.environ.get("SOAK_KILLS", "100"))
SEED = int(os.environ.get("SOAK_SEED", "0")) or secrets.randbelow(1_000_000) + 1
PROGRESS = {"SAFE": 3, "STORED": 10}
"""How many messages must be answered between two kills: the load runs."""


class Soak:
    """One disturbed run, and what is printed of it."""

    def __init__(self, instance: Instance, senders: Senders, say: Callable[[str], None]) -> None:
        self.random = Random(SEED)
        self.instance = instance
        self.senders = senders
        self.killer = Killer(instance, self.random)
        self.say = say
        self.killed: Counter[str] = Counter()
        self.soon = 0
        self.under_way: list[Counter[str]] = []
        self.progress: list[int] = []

    def run(self) -> None:
        """Kill as often as is planned."""
        before = self._answered()
        for number, kind in enumerate(plan(KILLS, self.random), 1):
            self._progressed(before)
            self._kill(number, kind)
            if self.random.random() < 0.1:
                # Once more while it comes back: recovery has to bear the same.
                time.sleep(self.random.uniform(0, 1.5))
                self.soon += 1
                self._again()
            before = self._answered()
        self._progressed(before)

    def _kill(self, number: int, kind: str) -> None:
        self.instance.wait_for_gateway()
        self.instance.wait_for_postgres()
        time.sleep(self.random.uniform(0, 1.5))
        deadline = time.monotonic() + 30
        while not (waiting := self.senders.waiting())["STORED"] or (
            # Most of the time these wait for their turn: they are to be met as well.
            not waiting["SAFE"] and time.monotonic() < deadline - 28
        ):
            assert time.monotonic() < deadline, f"no messages are on their way: {waiting}"
            time.sleep(0.0005)
        self.under_way.append(waiting)
        KINDS[kind](self.killer)
        self.killed[kind] += 1
        self.say(f"{number:4} {kind:10} {waiting.total():3} on their way, {self._answered().total():6} answered")

    def _again(self) -> None:
        if self.instance.postmaster() is not None:
            self.killer.postgres()
        else:
            self.killer.group()

    def _progressed(self, before: Counter[str]) -> None:
        """Wait for the load to go on."""
        deadline = time.monotonic() + 180
        while any(self._answered()[one] - before[one] < least for one, least in PROGRESS.items()):
            self.senders.check()
            assert time.monotonic() < deadline, f"nothing goes on: {self.instance.said()}"
            self.instance.gateway()
            time.sleep(0.05)
        self.progress.append(self._answered().total() - before.total())

    def _answered(self) -> Counter[str]:
        return Counter({one: self.senders.answered(one) for one in FEEDS})


def test_what_is_stored_is_what_an_undisturbed_run_stores(capsys: pytest.CaptureFixture[str]) -> None:
    def say(text: str) -> None:
        with capsys.disabled():
            print(text, flush=True)

    say(f"\n{KILLS} kills, SOAK_SEED={SEED}")
    begun = time.monotonic()
    with running(workers=3) as instance:
        say(f"{instance.durability()}")
        assert {instance.durability()[one] for one in ("fsync", "synchronous_commit", "full_page_writes")} == {"on"}
        instance.start()
        instance.wait_for_gateway()
        senders = Senders(instance.port, lines(SEED, 4, story))
        senders.start()
        soak = Soak(instance, senders, say)
        soak.run()
        senders.stop()
        instance.wait_until_stored()
        instance.stop()
        assert instance.left() == []
        disturbed = facts_of(instance)
    middle = time.monotonic()
    say(f"killed: {dict(sorted(soak.killed.items()))}, {soak.soon} more while it came back; {middle - begun:.0f} s")
    for application in FEEDS:
        waited = [one[application] for one in soak.under_way]
        met = sum(map(bool, waited))
        say(f"{application}: {min(waited)} to {max(waited)} on their way at a kill, one at least at {met} of {KILLS}")
    say(f"answered between two kills: at least {min(soak.progress)}; {dict(senders.counts)}")
    with running(workers=2) as instance:
        instance.start()
        instance.wait_for_gateway()
        calm = Senders(instance.port, told_again(senders.lines))
        calm.start()
        calm.wait()
        instance.wait_until_stored()
        instance.stop()
        undisturbed = facts_of(instance)
    say(f"undisturbed: {time.monotonic() - middle:.0f} s; {dict(calm.counts)}")
    _tell(say, undisturbed)
    sent = {(line.application, one) for line in senders.lines for one in line.answered}
    assert sent == disturbed.messages.keys(), "what was acknowledged is what is kept"
    for here, there in zip(senders.lines, calm.lines, strict=True):
        assert here.answered == there.answered
    assert disturbed.problems == []
    assert undisturbed.problems == []
    assert undisturbed.differences(disturbed) == []
    assert sum(line.again for line in senders.lines) > KILLS
    assert disturbed.audit.keys() | _refused_at_once(disturbed) == disturbed.messages.keys()


def _refused_at_once(facts: Facts) -> set[tuple[str, str]]:
    """Messages that no worker has seen, for the gateway has refused them as they came."""
    return {control for control, told in facts.messages.items() if told.startswith('["dead", 0,')}


def _tell(say: Callable[[str], None], facts: Facts) -> None:
    states = Counter(told.partition(",")[0].strip('["') for told in facts.messages.values())
    say(f"messages {len(facts.messages)} ({dict(states)}), resources {facts.types().total()} in {len(facts.versions)}"
        f" versions, {facts.types()['Patient']} patients, lineage {len(facts.lineage)}, Provenances"
        f" {len(facts.provenance)}, audit records {len(facts.audit)}")  # fmt: skip
