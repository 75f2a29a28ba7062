"""Filling a server over plain FHIR REST: transaction Bundles, and the ids it gave. https://hl7.org/fhir/R4/http.html#transaction"""

from __future__ import annotations

import http.client
from collections import defaultdict
from dataclasses import dataclass, field
from random import Random
from typing import Any

from benchmarks import records
from benchmarks.synthetic import MAKERS, SITE, Around
from benchmarks.wire import FHIR_JSON, Target, id_of_location
from benchmarks.workloads import ID_MARK, SERIAL_MARK
from fhir_server.r4 import json

SEED = 20_150_101
CYCLE_SYSTEM = f"{SITE}/cycle"
TIMEOUT_SECONDS = 120


NOBODY = records.Staff((), ())


class SeedingFailed(Exception):
    """A server did not take the data that the workloads need."""


@dataclass(slots=True)
class Seeded:
    """What a server holds now: logical ids by resource type, and the Bundles to import more."""

    ids: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    staff: records.Staff = NOBODY
    bundles: list[bytes] = field(default_factory=list)
    resources: int = 0

    def around(self, rng: Random) -> Around:
        """References to resources that exist."""
        chosen = {name: f"{name}/{rng.choice(self.ids[name])}" for name in ("Patient", "Encounter", "Condition")}
        return Around(
            chosen["Patient"],
            rng.choice(self.staff.practitioners),
            rng.choice(self.staff.organizations),
            chosen["Encounter"],
            chosen["Condition"],
        )


def seed(target: Target, patients: int) -> Seeded:
    """Create staff and the records of ``patients`` patients, and make as many Bundles more. Raises SeedingFailed."""
    rng = Random(SEED)
    seeded = Seeded()
    connection = http.client.HTTPConnection(target.host, target.port, timeout=TIMEOUT_SECONDS)
    try:
        _import(connection, target, records.transaction(records.staff(rng)), seeded)
        seeded.staff = records.Staff(
            [f"Practitioner/{one}" for one in seeded.ids["Practitioner"]],
            [f"Organization/{one}" for one in seeded.ids["Organization"]],
        )
        for _ in range(patients):
            _import(connection, target, records.transaction(records.record(rng, seeded.staff)), seeded)
    except (OSError, http.client.HTTPException) as error:
        raise SeedingFailed(f"{target.host}:{target.port}: {error}") from None
    finally:
        connection.close()
    seeded.bundles = [records.transaction(records.record(rng, seeded.staff)) for _ in range(min(patients, 50))]
    return seeded


def _import(connection: http.client.HTTPConnection, target: Target, bundle: bytes, seeded: Seeded) -> None:
    headers = dict(target.headers) | {"Content-Type": FHIR_JSON, "Accept": FHIR_JSON}
    connection.request("POST", target.path or "/", bundle, headers)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status >= 300:
        raise SeedingFailed(f"a transaction was refused: {answer.status} {body[:400].decode(errors='replace')}")
    for entry in json.parse(body)["entry"]:
        location = entry["response"]["location"]
        resource_type = location.rstrip("/").split("/_history")[0].split("/")[-2]
        seeded.ids[resource_type].append(id_of_location(location))
        seeded.resources += 1


def fresh(rng: Random, seeded: Seeded, resource_type: str) -> dict[str, Any]:
    """A new resource of that type that refers to what is there."""
    return MAKERS[resource_type](rng, seeded.around(rng))


def fresh_bodies(rng: Random, seeded: Seeded, number: int) -> list[tuple[str, dict[str, Any]]]:
    """``number`` new resources of the types and in the proportions of a patient's record."""
    names = ["Patient", *(name for name, count in records.COUNTS.items() for _ in range(count))]
    return [(name, fresh(rng, seeded, name)) for name in (rng.choice(names) for _ in range(number))]


def cycle_bodies(seeded: Seeded) -> list[tuple[str, bytes]]:
    """One resource of each of the nine types for workloads.CrudCycle."""
    rng = Random(SEED + 1)
    made = []
    for name, make in MAKERS.items():
        resource = make(rng, seeded.around(rng))
        resource["identifier"] = [{"system": CYCLE_SYSTEM, "value": SERIAL_MARK.decode()}, *resource["identifier"][1:]]
        made.append((name, json.dumps({"resourceType": name, "id": ID_MARK.decode()} | resource)))
    return made
