"""A patient's record as one transaction Bundle, and the makings of larger data. https://hl7.org/fhir/R4/http.html#transaction"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from benchmarks.synthetic import MAKERS, Around, Resource
from fhir_server.r4 import json

COUNTS = {"Encounter": 6, "Condition": 4, "Observation": 34, "MedicationRequest": 5, "Claim": 6, "Task": 4}
"""Resources in a record beside its Patient; with their order each can refer to those before it."""

RECORD_SIZE = 1 + sum(COUNTS.values())


@dataclass(frozen=True, slots=True)
class Staff:
    """References to the practitioners and organizations that a server already holds."""

    practitioners: Sequence[str]
    organizations: Sequence[str]


def urn(rng: Random) -> str:
    """A fullUrl that stands for an id the server is to choose. https://hl7.org/fhir/R4/bundle.html#bundle-unique"""
    return f"urn:uuid:{uuid.UUID(int=rng.getrandbits(128), version=4)}"


def record(rng: Random, staff: Staff, name: str | None = None) -> list[tuple[str, Resource]]:
    """One patient with all that belongs to it, as (fullUrl, resource); ``name`` is the patient's fullUrl, if given."""
    around = Around(name or urn(rng), rng.choice(staff.practitioners), rng.choice(staff.organizations), "", "")
    made = [(around.patient, MAKERS["Patient"](rng, around))]
    visits: list[str] = []
    problems: list[str] = []
    for resource_type, count in COUNTS.items():
        for _ in range(count):
            own = urn(rng)
            if visits:
                around = replace(around, encounter=rng.choice(visits), condition=rng.choice(problems or [own]))
            made.append((own, MAKERS[resource_type](rng, around)))
            if resource_type == "Encounter":
                visits.append(own)
            elif resource_type == "Condition":
                problems.append(own)
    return made


def staff(rng: Random) -> list[tuple[str, Resource]]:
    """Four organizations and twelve practitioners, as (fullUrl, resource)."""
    around = Around("", "", "", "", "")
    organizations = [(urn(rng), MAKERS["Organization"](rng, around)) for _ in range(4)]
    return organizations + [
        (urn(rng), MAKERS["Practitioner"](rng, replace(around, organization=rng.choice(organizations)[0])))
        for _ in range(12)
    ]


def transaction(entries: Sequence[tuple[str, Resource]]) -> bytes:
    """A transaction Bundle that creates them all."""
    return json.dumps(
        {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [
                {
                    "fullUrl": full_url,
                    "resource": resource,
                    "request": {"method": "POST", "url": resource["resourceType"]},
                }
                for full_url, resource in entries
            ],
        }
    )
