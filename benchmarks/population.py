"""Patients' records with distributions like those of real clinics, for data by the million. https://hl7.org/fhir/R4/resourcelist.html

Codes and names follow Zipf's law: the second most common is half as common as the first, the tenth a tenth.
https://en.wikipedia.org/wiki/Zipf%27s_law. Everything is invented.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from random import Random
from typing import Any

from benchmarks.synthetic import DRUGS, FAMILIES, GIVEN, MAKERS, MEASUREMENTS, PROBLEMS, SITE, Around, Resource, concept

COUNTS = {"Encounter": 7, "Condition": 4, "Observation": 30, "MedicationRequest": 4, "Claim": 3, "Task": 1}
"""Resources beside the Patient, each after those that it refers to: patients are 2 %, Observations 60 % of all."""

RECORD_SIZE = 1 + sum(COUNTS.values())
PRACTITIONERS, ORGANIZATIONS = 120, 12


class Zipf:
    """Choices of which the n-th is n times as rare as the first."""

    def __init__(self, choices: Sequence[Any]) -> None:
        self._choices = choices
        self._weights = list(accumulate(1 / rank for rank in range(1, len(choices) + 1)))

    def one(self, rng: Random) -> Any:
        """One of them by chance."""
        return rng.choices(self._choices, cum_weights=self._weights)[0]


def _family_names() -> list[str]:
    endings = ("", "man", "son", "berg", "ova", "ini", "stad", "ez", "wood", "field", "mann", "kin", "ley", "ton")
    return [f"{name}{ending}" for ending in endings for name in FAMILIES]


def _given_names() -> list[str]:
    return [f"{name}{ending}" for ending in ("", "-Ann", "-Lee", "-Jo", "-Max", "-Kim") for name in GIVEN]


FAMILY = Zipf(_family_names())
FIRST = Zipf(_given_names())
_SITES = ("River", "Lake", "Pine", "Oak", "Stone", "Clear", "Wolf", "Maple", "Fair", "Iron")
CITY = Zipf([f"{first}{last}" for last in ("bend", "mont", "ville", "port") for first in _SITES])
_UNITS = ("mg/dL", "mmol/L", "g/dL", "%")
LAB_TESTS = Zipf(
    [
        *MEASUREMENTS,
        *(
            ("laboratory", f"T{n:04}", f"Test {n}", 20 + n % 180, 5 + n % 9, _UNITS[n % 4], _UNITS[n % 4])
            for n in range(390)
        ),
    ]
)
DIAGNOSES = Zipf([*PROBLEMS, *((f"{70_000_000 + n}", f"Disorder {n}") for n in range(294))])
MEDICATIONS = Zipf([*DRUGS, *((f"{900_000 + n}", f"Drug {n} 10 MG Oral Tablet") for n in range(196))])
ENCOUNTER_STATUS = Zipf(("finished", "cancelled", "in-progress", "planned"))
OBSERVATION_STATUS = Zipf(("final", "amended", "preliminary", "corrected"))
CLAIM_STATUS = Zipf(("active", "cancelled", "draft"))


def record(rng: Random) -> list[Resource]:
    """One patient with all that belongs to it, each resource with an id and after those that it refers to."""
    staff, site = Zipf(range(PRACTITIONERS)).one(rng), Zipf(range(ORGANIZATIONS)).one(rng)
    patient = new_id(rng)
    around = Around(f"Patient/{patient}", f"Practitioner/staff-{staff}", f"Organization/site-{site}", "", "")
    made = [_with_id(_patient(rng, around), patient)]
    known: dict[str, list[str]] = {"Encounter": [], "Condition": []}
    for resource_type, count in COUNTS.items():
        for _ in range(count):
            own = new_id(rng)
            name = f"{resource_type}/{own}"
            around = replace(
                around,
                encounter=rng.choice(known["Encounter"] or [name]),
                condition=rng.choice(known["Condition"] or [name]),
            )
            made.append(_with_id(_varied(rng, MAKERS[resource_type](rng, around)), own))
            if resource_type in known:
                known[resource_type].append(name)
    return made


def staff(rng: Random) -> list[Resource]:
    """The organizations and practitioners that every record refers to."""
    nothing = Around("", "", "", "", "")
    sites = [_with_id(MAKERS["Organization"](rng, nothing), f"site-{n}") for n in range(ORGANIZATIONS)]
    return sites + [
        _with_id(
            MAKERS["Practitioner"](rng, replace(nothing, organization=f"Organization/site-{n % ORGANIZATIONS}")),
            f"staff-{n}",
        )
        for n in range(PRACTITIONERS)
    ]


def new_id(rng: Random) -> str:
    """A logical id as servers make them."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def _with_id(resource: Resource, chosen: str) -> Resource:
    return {"resourceType": resource["resourceType"], "id": chosen} | resource


def _patient(rng: Random, around: Around) -> Resource:
    made = MAKERS["Patient"](rng, around)
    made["name"][0] |= {"family": FAMILY.one(rng), "given": [FIRST.one(rng), FIRST.one(rng)]}
    made["address"][0]["city"] = CITY.one(rng)
    return made


def _varied(rng: Random, made: Resource) -> Resource:
    """The resource with codes out of the long lists instead of the short ones that it was made with."""
    match made["resourceType"]:
        case "Observation":
            category, code, display, middle, deviation, ucum, unit = LAB_TESTS.one(rng)
            made["status"] = OBSERVATION_STATUS.one(rng)
            made["code"] = concept(_system(made["code"], code), code, display)
            made["category"][0]["coding"][0]["code"] = category
            made["valueQuantity"] |= {"value": round(rng.gauss(middle, deviation), 1), "unit": unit, "code": ucum}
        case "Condition":
            made["code"] = concept(_system(made["code"], "1"), *DIAGNOSES.one(rng))
        case "MedicationRequest":
            coding = made["medicationCodeableConcept"]
            made["medicationCodeableConcept"] = concept(_system(coding, "1"), *MEDICATIONS.one(rng))
        case "Encounter":
            made["status"] = ENCOUNTER_STATUS.one(rng)
        case "Claim":
            made["status"] = CLAIM_STATUS.one(rng)
    return made


def _system(old: Resource, code: str) -> str:
    """The code's system; the tests that are not of LOINC have one of the site's own."""
    system: str = old["coding"][0]["system"]
    return f"{SITE}/tests" if code.startswith("T") else system
