"""The paths of the budget table, each with its floor, over one instance. docs/architecture.md"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from random import Random
from typing import Any

import psycopg

from benchmarks import driver, instance, pgbench, seeding, statements
from benchmarks.driver import Load, Plan, Step, Workload
from benchmarks.instance import Instance, Served
from benchmarks.measures import Measured, Refused, round_of
from benchmarks.prepared import prepare
from benchmarks.records import RECORD_SIZE
from benchmarks.seeding import Seeded
from benchmarks.wire import Target
from benchmarks.workloads import SERIAL_MARK, Fixed, Updates
from fhir_server.crypto.hashing import Hasher
from fhir_server.r4 import json

TENANT = "paths"
FLOOR_TENANT = "floor"
SEARCH = "Observation?patient={}&_count=20"
BODIES = 600
"""How many different resources are created, read or updated in turn."""

INSERT_SCRIPTS = 40


@dataclass(frozen=True, slots=True)
class Pace:
    """How long and how often each measurement runs, and over how many connections."""

    seconds: float
    rounds: int
    connections: Sequence[int]
    patients: int


Measure = Callable[[int], Load]
"""Measures with that many connections."""


@dataclass(frozen=True, slots=True)
class Path:
    """One path: how it is measured, and its floor."""

    measured: Measured
    measure: Measure
    floor: Measure | None = None
    per_request: int = 1


def hasher_of(owner_url: str) -> Hasher:
    """The hasher of a database, to know the keys of its rows."""
    with psycopg.connect(owner_url) as connection:
        row = connection.execute("SELECT value FROM server_secret WHERE name = 'hash_key'").fetchone()
    assert row is not None
    return Hasher(bytes(row[0]))


def measure(
    one: Instance, served: Served, seeded: Seeded, target: Target, pace: Pace, say: Callable[[str], None]
) -> list[Measured]:
    """Measure every path in rounds, each path beside its floor, so that what drifts drifts for both."""
    with ExitStack() as stack:
        floor_served = stack.enter_context(instance.floor_app(one, one.tenant(TENANT).id))
        paths = _paths(one, served, floor_served, seeded, target, pace)
        for turn in range(pace.rounds):
            for path in paths:
                if not path.measured.refused:
                    _round(path, pace.connections)
                    say(f"round {turn + 1} of {pace.rounds}: {path.measured.title}")
            one.settle()
    return [path.measured for path in paths]


def _round(path: Path, connections: Sequence[int]) -> None:
    for number in connections:
        try:
            path.measured.add(number, round_of(path.measure(number), path.per_request))
            if path.floor is not None:
                path.measured.add(number, round_of(path.floor(number)), floor=True)
        except (Refused, driver.LoadFailed, pgbench.PgbenchFailed) as error:
            path.measured.refused = str(error)
            return


def _paths(one: Instance, served: Served, floor: Served, seeded: Seeded, target: Target, pace: Pace) -> list[Path]:
    rng = Random(seeding.SEED + 2)
    hasher = hasher_of(one.postgres.owner_url)
    tenant_id = one.tenant(TENANT).id
    names = [(name, found) for name, ids in seeded.ids.items() for found in ids]
    chosen = rng.sample(names, min(BODIES, len(names)))
    fresh = seeding.fresh_bodies(rng, seeded, BODIES)

    def load(workload: Workload, web: Served = served) -> Measure:
        trees = {"web": web.pid, "postgres": one.postgres_pid}
        return lambda n: driver.run(workload, Plan(instance.HOST, web.port, n, pace.seconds, trees=trees))

    def sql(scripts: Sequence[pgbench.Script], tenant: int, prepared: bool) -> Measure:
        return lambda n: pgbench.run(
            scripts, one.postgres.app_url, one.postgres_pid,
            connections=n, seconds=pace.seconds, tenant_id=tenant, prepared=prepared,
        )  # fmt: skip

    reads: list[Step] = [("read", target.get(f"{name}/{found}")) for name, found in chosen]
    bare = Target(instance.HOST, floor.port, "")
    keys = [("read", bare.get(str(hasher.uncached(f"{name}/{found}")))) for name, found in chosen]
    searches = [("search", target.get(SEARCH.format(patient))) for patient in seeded.ids["Patient"]]
    selects = [
        pgbench.Script(statements.search(SEARCH.format(patient), tenant_id, hasher) + ";\n", {})
        for patient in seeded.ids["Patient"][:INSERT_SCRIPTS]
    ]
    inserts = [
        pgbench.insert_script(prepare(json.parse(json.dumps(resource)), hasher), one.tenant(FLOOR_TENANT).id, number)
        for number, (_, resource) in enumerate(fresh[:INSERT_SCRIPTS])
    ]
    updates = Updates(target, _update_bodies(rng, seeded, chosen))
    driver.run(updates, Plan(instance.HOST, served.port, 1, 30.0, warm_up=0.0, most=len(updates.bodies)))
    return [
        Path(Measured("read", "read by id", budget=350, floor_title="granian raw + one prepared SELECT"),
             load(Fixed(reads)), load(Fixed(keys), floor)),
        Path(Measured("create", "create", budget=900, floor_title="the same INSERTs by pgbench"),
             load(Fixed([("create", target.post(name, json.dumps(body))) for name, body in fresh])),
             sql(inserts, one.tenant(FLOOR_TENANT).id, prepared=True)),
        Path(Measured("update", "update", budget=1300), load(updates)),
        Path(Measured("search", "patient-scoped search, 20 rows", budget=700, floor_title="the SQL alone, by pgbench"),
             load(Fixed(searches)), sql(selects, tenant_id, prepared=False)),
        Path(Measured("bundle", "transaction bundle", unit="resource", budget=350),
             load(Fixed([("bundle", target.post("", bundle)) for bundle in seeded.bundles])), per_request=RECORD_SIZE),
    ]  # fmt: skip


def _update_bodies(rng: Random, seeded: Seeded, chosen: Sequence[tuple[str, str]]) -> list[tuple[str, bytes]]:
    """New content for resources that exist, with one identifier that changes each time."""
    bodies = []
    for name, found in chosen:
        resource: dict[str, Any] = seeding.fresh(rng, seeded, name)
        resource["identifier"][0]["value"] = SERIAL_MARK.decode()
        bodies.append((f"{name}/{found}", json.dumps({"resourceType": name, "id": found} | resource)))
    return bodies
