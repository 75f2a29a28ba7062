"""What it costs to see only some patients: a physician with a panel of 2,000 beside whoever sees the whole clinic.

The same searches are asked by both, in turns, in one web worker. docs/benchmarks.md, "Panels"
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import psycopg

from benchmarks import filling, instance, machine, seeding
from benchmarks.accounting import descendants, nanoseconds
from benchmarks.figures import median
from benchmarks.population import RECORD_SIZE
from benchmarks.wire import FHIR_JSON, Target
from fhir_server.access import relations
from fhir_server.authn import keys
from fhir_server.authn.access_token import issue
from fhir_server.crypto.hashing import Hasher
from fhir_server.r4.instants import MAX, MIN
from fhir_server.settings import Settings

PANEL = 2_000
ALLOWED = 1.3
"""How much longer a physician's search for a patient may take than that of whoever sees the whole clinic."""

SLUG = "big"
ME = "Practitioner/panel"
_DURATION = re.compile(r";dur=([0-9.]+)")


@dataclass(slots=True)
class Compared:
    """One path with its median milliseconds for each caller, one for each round, and microseconds of CPU."""

    title: str
    server: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, list[float]] = field(default_factory=dict)

    def ratio(self, side: str = "server") -> float:
        """The physician's as a multiple of the clinic's."""
        values: dict[str, list[float]] = getattr(self, side)
        return median([mine / other for mine, other in zip(values["physician"], values["clinic"], strict=True)])


def run(resources: int, rounds: int, requests: int, parent: Path | None, say: Callable[[str], None]) -> dict[str, Any]:
    """Fill an instance, give a physician a panel in it, and compare; as plain values."""
    with instance.running_instance(parent) as one:
        patients = max(PANEL + 500, round(resources / RECORD_SIZE))
        tenant = one.tenant(SLUG)
        filled = filling.fill(one.postgres.owner_url, [(tenant.id, patients)], say)
        panel = _relate(one.postgres.owner_url, tenant.id)
        one.settle()
        with instance.web(one) as served:
            settings = one.settings(served.port)
            callers = {
                "clinic": _target(settings, "user/*.cruds", "clinic_admin", "Practitioner/admin"),
                "physician": _target(settings, "user/*.cruds", "physician", ME),
                "system": _target(settings, "system/*.cruds"),
            }
            pids = [*descendants(served.pid), *descendants(one.postgres_pid)[1:]]
            found = [Compared(title) for title, _ in _paths(panel)]
            for turn in range(rounds):
                for compared, (_, paths) in zip(found, _paths(panel), strict=True):
                    for name, target in callers.items():
                        _measure(compared, name, target, paths, requests, pids)
                say(f"panel: round {turn + 1} of {rounds}")
        return {
            "resources": filled,
            "patients": patients,
            "panel": len(panel),
            "allowed": ALLOWED,
            "machine": machine.describe(one.postgres.owner_url),
            "paths": [
                {
                    "title": one.title,
                    "server_ms": {name: round(min(values), 3) for name, values in one.server.items()},
                    "cpu_us": {name: round(min(values)) for name, values in one.cpu.items()},
                    "ratio": round(one.ratio(), 2),
                    "cpu_ratio": round(one.ratio("cpu"), 2),
                }
                for one in found
            ],
        }


def _relate(owner_url: str, tenant_id: int) -> list[str]:
    """Make a physician of whom 2,000 patients are, some as general practitioner and some by an encounter."""
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute("SELECT set_config('fhir.tenant', %s, false)", [str(tenant_id)])
        row = connection.execute("SELECT value FROM server_secret WHERE name = 'hash_key'").fetchone()
        if row is None:
            raise RuntimeError("the instance has no hash key")
        hasher = Hasher(bytes(row[0]))
        rows = connection.execute(
            "SELECT r.id, r.key, r.rid FROM resource r JOIN resource_type t ON t.id = r.type_id "
            "WHERE r.tenant_id = %s AND t.name = 'Patient' ORDER BY r.key LIMIT %s",
            [tenant_id, PANEL],
        ).fetchall()
        kinds = (relations.GENERAL_PRACTITIONER, relations.ENCOUNTER)
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO care_relation (tenant_id, person, patient, source, low, high, kind)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                [(tenant_id, hasher(ME), key, rid, MIN, MAX, kinds[n % 2]) for n, (_, key, rid) in enumerate(rows)],
            )
        return [row[0] for row in rows]


def _target(settings: Settings, scope: str, role: str = "", fhir_user: str = "") -> Target:
    access_token = issue(
        keys.load_or_create(settings.key_file),
        issuer=settings.issuer,
        sub=role or "bench",
        client_id="bench",
        tenant=SLUG,
        scope=scope,
        lifetime=86_400,
        roles=[role] if role else [],
        fhir_user=fhir_user,
    )
    base = f"http://{instance.HOST}:{settings.port}/t/{SLUG}/fhir"
    return Target.of(base, {"Authorization": f"Bearer {access_token}"})


def _paths(panel: Sequence[str]) -> list[tuple[str, list[str]]]:
    some = Random(seeding.SEED).sample(list(panel), min(30, len(panel)))
    return [
        ("read a patient", [f"Patient/{one}" for one in some]),
        ("a patient's observations", [f"Observation?patient={one}" for one in some]),
        ("a patient's laboratory results", [f"Observation?patient={one}&category=laboratory" for one in some]),
        ("a patient's conditions", [f"Condition?patient={one}" for one in some]),
        ("a patient's everything", [f"Patient/{one}/$everything?_count=20" for one in some[:10]]),
        ("a common code, newest 20", ["Observation?code=8867-4&_count=20"]),
        ("a category, sorted by date", ["Observation?category=laboratory&_sort=-date&_count=20"]),
        ("patients by name", ["Patient?name=a&_count=20"]),
        ("count of a code", ["Observation?code=8867-4&_summary=count"]),
        ("patients with a code (_has)", ["Patient?_has:Observation:patient:code=8867-4&_count=20"]),
    ]


def _measure(
    compared: Compared, name: str, target: Target, paths: Sequence[str], requests: int, pids: Sequence[int]
) -> None:
    client = http.client.HTTPConnection(target.host, target.port, timeout=60)
    for path in paths[:3]:
        _get(client, target, path)
    before = nanoseconds(pids)
    answers = [_get(client, target, paths[number % len(paths)]) for number in range(requests)]
    spent = nanoseconds(pids) - before
    client.close()
    compared.server.setdefault(name, []).append(
        median([sum(map(float, _DURATION.findall(timing))) for timing in answers])
    )
    compared.cpu.setdefault(name, []).append(spent / requests / 1_000)


def _get(client: http.client.HTTPConnection, target: Target, path: str) -> str:
    """What the server says of its time. Raises RuntimeError for a refusal."""
    client.request("GET", f"{target.path}/{path}", headers={**dict(target.headers), "Accept": FHIR_JSON})
    answer = client.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path} answered {answer.status}: {body[:200]!r}")
    return answer.headers.get("Server-Timing", "")
