"""Whether reading and searching cost the same when the data has grown a hundredfold. docs/benchmarks.md

Two instances stand side by side, a small one and a large one, each with several tenants and row level security; they
are measured in turn, so that the machine's moods hit both.
"""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from random import Random
from typing import Any

import psycopg

from benchmarks import driver, instance, loading, machine, records, seeding
from benchmarks.driver import Plan, Step
from benchmarks.instance import Instance, Served
from benchmarks.measures import Measured, round_of
from benchmarks.paths import SEARCH, Pace, hasher_of
from benchmarks.prepared import prepare
from benchmarks.seeding import Seeded
from benchmarks.workloads import Fixed
from fhir_server.r4 import json
from fhir_server.store import resources

TENANTS = ("north", "south", "east", "west")
LOADERS = 2
BATCH_PATIENTS = 4
SAMPLE = 4000
LOAD_SECONDS = 3600
ALLOWED = 1.3


@dataclass(slots=True)
class Stage:
    """One instance with its data: what there is to read and to search."""

    name: str
    one: Instance
    served: Served
    resources: int = 0
    reads: list[Step] = field(default_factory=list)
    searches: list[Step] = field(default_factory=list)
    seconds: float = 0.0


def run(small: int, large: int, pace: Pace, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure both sizes in one run and say what came out, as plain values. ``small`` and ``large`` count resources."""
    with ExitStack() as stack:
        stages = []
        for name, size in (("small", small), ("large", large)):
            one = stack.enter_context(instance.running_instance())
            stage = Stage(name, one, stack.enter_context(instance.web(one)))
            _fill(stage, size, say)
            stages.append(stage)
        measured = {
            stage.name: {
                "read": Measured("read", "read by id"),
                "search": Measured("search", "patient-scoped search, 20 rows"),
            }
            for stage in stages
        }
        for turn in range(pace.rounds):
            for stage in stages:
                for kind, steps in (("read", stage.reads), ("search", stage.searches)):
                    for number in pace.connections:
                        trees = {"web": stage.served.pid, "postgres": stage.one.postgres_pid}
                        plan = Plan(instance.HOST, stage.served.port, number, pace.seconds, warm_up=1.0, trees=trees)
                        measured[stage.name][kind].add(number, round_of(driver.run(Fixed(steps), plan)))
            say(f"growth: round {turn + 1} of {pace.rounds}")
        return {
            "machine": machine.describe(stages[-1].one.postgres.owner_url),
            "allowed": ALLOWED,
            "tenants": len(TENANTS),
            "stages": [
                {
                    "name": stage.name,
                    "resources": stage.resources,
                    "load_seconds": round(stage.seconds, 1),
                    "bytes": stage.one.sizes(),
                    "measured": {kind: found.to_json() for kind, found in measured[stage.name].items()},
                }
                for stage in stages
            ],
        }


def _fill(stage: Stage, size: int, say: Callable[[str], None]) -> None:
    """Load about ``size`` resources, spread over the tenants, by processes of their own, and choose what to ask for."""
    patients = max(1, round(size / len(TENANTS) / records.RECORD_SIZE))
    jobs = []
    for slug in TENANTS:
        tenant_id = stage.one.tenant(slug).id
        part = -(-patients // LOADERS)
        for number in range(LOADERS):
            count = min(part, patients - number * part)
            if count > 0:
                jobs.append(
                    (stage.one.postgres.app_url, stage.one.postgres.owner_url, tenant_id, f"{slug}{number}", count)
                )
    begun = time.monotonic()
    rng = Random(seeding.SEED)
    with multiprocessing.get_context("spawn").Pool(LOADERS) as pool:
        done = pool.imap_unordered(_load, jobs)
        found: dict[int, list[tuple[str, str]]] = {}
        for n in range(len(jobs)):
            tenant_id, names, count = done.next(timeout=LOAD_SECONDS)
            found.setdefault(tenant_id, []).extend(names)
            stage.resources += count
            say(
                f"growth, {stage.name}: {stage.resources:,} resources, part {n + 1} of {len(jobs)}, "
                f"{time.monotonic() - begun:.0f} s"
            )
    stage.seconds = time.monotonic() - begun
    stage.one.settle()
    for slug in TENANTS:
        target = stage.one.target(stage.served.port, slug)
        names = found[stage.one.tenant(slug).id]
        chosen = rng.sample(names, min(SAMPLE // len(TENANTS), len(names)))
        stage.reads += [("read", target.get(f"{name}/{one}")) for name, one in chosen]
        subjects = [one for name, one in names if name == "Patient"]
        stage.searches += [
            ("search", target.get(SEARCH.format(one)))
            for one in rng.sample(subjects, min(SAMPLE // len(TENANTS), len(subjects)))
        ]
    rng.shuffle(stage.reads)
    rng.shuffle(stage.searches)


def _load(job: tuple[str, str, int, str, int]) -> tuple[int, list[tuple[str, str]], int]:
    """Create the records of so many patients through the store, as its own role under row level security."""
    app_url, owner_url, tenant_id, salt, patients = job
    gc.disable()
    rng, hasher = Random(salt), hasher_of(owner_url)
    seeded = Seeded(staff=records.Staff(["Practitioner/p1", "Practitioner/p2"], ["Organization/o1"]))
    names: list[tuple[str, str]] = []
    count = 0
    with psycopg.connect(app_url, autocommit=True) as connection:
        for first in range(0, patients, BATCH_PATIENTS):
            lines = loading.ndjson(rng, seeded, min(BATCH_PATIENTS, patients - first))
            rows = [prepare(resource, hasher, resource["id"]) for resource in map(json.parse, lines)]
            resources.create_many(connection, tenant_id, hasher, [row.write() for row in rows], fresh=True)
            count += len(rows)
            # All patients and every eighth of the others: enough to choose from, little to send back.
            names += [
                (row.resource_type, row.id)
                for n, row in enumerate(rows)
                if row.resource_type == "Patient" or n % 8 == 0
            ]
    return tenant_id, names, count
