"""Bulk import by `fhir-server load`, beside COPY of the same rows. https://hl7.org/fhir/R4/nd-json.html"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from benchmarks import records, seeding
from benchmarks.accounting import cpu_microseconds
from benchmarks.copying import copy_rows
from benchmarks.driver import Load
from benchmarks.instance import Instance
from benchmarks.measures import Measured, Refused, round_of
from benchmarks.paths import hasher_of
from benchmarks.prepared import prepare
from benchmarks.seeding import Seeded
from fhir_server.r4 import json

TENANT = "load"
FLOOR_TENANT = "load-floor"
TIMEOUT_SECONDS = 600
ROOT = Path(__file__).parents[1]


def measure(one: Instance, seeded: Seeded, rounds: int, patients: int, say: Callable[[str], None]) -> Measured:
    """Load new NDJSON files of as many patients' records in each round, and COPY the rows of one more."""
    measured = Measured("load", "bulk import, all indexes", "resource", 330, "COPY of the same rows by the owner")
    hasher = hasher_of(one.postgres.owner_url)
    floor_tenant = one.tenant(FLOOR_TENANT)
    one.tenant(TENANT)
    rng = Random(seeding.SEED + 3)
    for turn in range(rounds):
        lines = ndjson(rng, seeded, patients)
        path = one.directory / f"load-{turn}.ndjson"
        path.write_bytes(b"".join(lines))
        try:
            measured.add(1, round_of(load(one, path, len(lines))))
        except Refused as error:
            measured.refused = str(error)
            break
        finally:
            path.unlink()
        one.settle()
        rows = [prepare(resource, hasher, resource["id"]) for resource in map(json.parse, lines)]
        measured.add(
            1, round_of(copy_rows(rows, floor_tenant.id, one.postgres.owner_url, one.postgres_pid)), floor=True
        )
        one.settle()
        say(f"round {turn + 1} of {rounds}: {measured.title}")
    return measured


def load(one: Instance, path: Path, resources: int) -> Load:
    """Run `fhir-server load` over a file; its CPU time is that of its process tree from start to end."""
    command = [sys.executable, "-m", "fhir_server.cli", "load", "--tenant", TENANT, str(path)]
    environment = one.environment(1)
    postgres, begun = cpu_microseconds({"postgres": one.postgres_pid})["postgres"], time.perf_counter()
    with one.log.open("ab") as output:
        process = subprocess.Popen(
            command, env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        status, usage = _wait(process)
    finally:
        process.kill()
    seconds = time.perf_counter() - begun
    if status:
        raise Refused(f"fhir-server load ended with {status}: {one.log.read_text(errors='replace')[-800:]}")
    cpu = {
        "load": (usage.ru_utime + usage.ru_stime) * 1e6,
        "postgres": cpu_microseconds({"postgres": one.postgres_pid})["postgres"] - postgres,
    }
    return Load(seconds, resources, {"resource": [seconds * 1e6 / resources]}, cpu)


def _wait(process: subprocess.Popen[bytes]) -> tuple[int, Any]:
    """The exit status and the resources used, descendants included. Raises Refused after TIMEOUT_SECONDS."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, usage
        time.sleep(0.01)
    raise Refused(f"fhir-server load was not done after {TIMEOUT_SECONDS} s")


def ndjson(rng: Random, seeded: Seeded, patients: int) -> list[bytes]:
    """Lines of resources with ids of their own that refer to each other and to what the server holds already."""
    lines = []
    for _ in range(patients):
        made = records.record(rng, seeded.staff)
        names = {full_url: f"{resource['resourceType']}/{_id(rng)}" for full_url, resource in made}
        for full_url, resource in made:
            own = {"resourceType": resource["resourceType"], "id": names[full_url].partition("/")[2]}
            lines.append(json.dumps(_renamed(own | resource, names)) + b"\n")
    return lines


def _id(rng: Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def _renamed(value: Any, names: dict[str, str]) -> Any:
    """The value with each reference to a fullUrl led to the id chosen for it."""
    if isinstance(value, dict):
        return {k: names.get(v, v) if k == "reference" else _renamed(v, names) for k, v in value.items()}
    return [_renamed(v, names) for v in value] if isinstance(value, list) else value
