"""PID and the segments around it: Patient, RelatedPerson, Account, Practitioner. docs/hl7.md"""

from __future__ import annotations

from typing import Final

from hl7_gateway.conversion.datatypes.identifiers import SHARED, cx, pair
from hl7_gateway.conversion.draft import DRAFT, Draft
from hl7_gateway.conversion.maps.patient import (
    GT1_RELATED_PERSON,
    GUARANTOR,
    MOTHER,
    NK1_RELATED_PERSON,
    PD1_PATIENT,
    PID_PATIENT,
)
from hl7_gateway.conversion.walk import Walk
from hl7_gateway.message import Segment, Value
from hl7_gateway.problems import Place, Refused


def pid(walk: Walk, segment: Segment) -> None:
    """A patient, whom all that follows is about. Raises Refused where nothing identifies them."""
    identifiers = patient_identifiers(walk, segment)
    if not identifiers:
        said = "A patient needs an identifier, as in 123^^^AUTHORITY^MR."
        raise Refused(101, "AE", Place(segment.name, segment.number, 3), said)
    # Who comes second has nothing to do with what was said of the first.
    walk.current.clear()
    patient = walk.draft("Patient")
    patient.identifiers = identifiers
    walk.current["Patient"] = patient
    PID_PATIENT.apply(segment, patient, walk)
    walk.at(segment)
    walk.state(patient, "active", True, slot="PID#active", initial=True)
    for value in segment.repetitions(21):
        _mother(walk, segment, value, patient)
    walk.at(segment, 18)
    account(walk, segment.first(18), patient)


def patient_identifiers(walk: Walk, segment: Segment) -> list[tuple[str, str]]:
    """By what PID tells a patient apart: PID-3, then PID-2 and PID-4 of older senders."""
    found: dict[tuple[str, str], None] = {}
    for field in (3, 2, 4):
        for value in segment.repetitions(field):
            if value.part(5).strip() not in SHARED:
                known = pair(value, walk)
                if known:
                    found[known] = None
    return list(found)


def _mother(walk: Walk, segment: Segment, value: Value, patient: Draft) -> None:
    walk.at(segment, 21)
    found = cx()(value, walk)
    if found is None:
        return
    mother = walk.draft("RelatedPerson")
    mother.natural = ("mother", DRAFT + patient.name)
    walk.state(mother, "patient", patient.reference, slot="PID-21#patient")
    walk.state(mother, "relationship", MOTHER, slot="PID-21#relationship")
    walk.state(mother, "identifier", *found)


def account(walk: Walk, value: Value, patient: Draft) -> Draft | None:
    """The account of a CX (PID-18), under the field that is being converted."""
    known = pair(value, walk)
    found = cx("AN")(value, walk)
    if known is None or found is None:
        return None
    made = walk.draft("Account")
    made.identifiers = [known]
    walk.current["Account"] = made
    walk.state(made, "identifier", *found)
    walk.state(made, "status", "active", slot=f"{walk.slot()}#status", initial=True)
    walk.state(made, "subject", patient.reference, slot=f"{walk.slot()}#subject")
    return made


def pd1(walk: Walk, segment: Segment) -> None:
    """More about the patient."""
    patient = walk.current.get("Patient")
    if patient is not None:
        PD1_PATIENT.apply(segment, patient, walk)


def nk1(walk: Walk, segment: Segment) -> None:
    """Somebody close to the patient: known by an identifier, else by name and relationship."""
    patient = walk.current.get("Patient")
    if patient is None or not any(segment[field] for field in (2, 13, 30, 33)):
        return
    person = walk.draft("RelatedPerson")
    person.identifiers = [known for value in segment.repetitions(33) if (known := pair(value, walk))]
    name = segment.first(2) or segment.first(30)
    person.natural = (
        "NK1",
        DRAFT + patient.name,
        segment.text(3).strip().upper(),
        name.part(1).strip().casefold(),
        name.part(2).strip().casefold(),
    )
    NK1_RELATED_PERSON.apply(segment, person, walk)
    walk.at(segment)
    walk.state(person, "patient", patient.reference, slot="NK1#patient")
    walk.state(person, "active", True, slot="NK1#active", initial=True)


def gt1(walk: Walk, segment: Segment) -> None:
    """Who answers for the account: the patient, or somebody else."""
    patient, bill = walk.current.get("Patient"), walk.current.get("Account")
    if patient is None or not segment[3]:
        return
    party = patient
    if segment.text(11).strip().upper() not in _SELF:
        party = walk.draft("RelatedPerson")
        party.identifiers = [known for value in segment.repetitions(2) if (known := pair(value, walk))]
        name = segment.first(3)
        party.natural = (
            "GT1",
            DRAFT + patient.name,
            name.part(1).strip().casefold(),
            name.part(2).strip().casefold(),
        )
        GT1_RELATED_PERSON.apply(segment, party, walk)
        walk.at(segment)
        walk.state(party, "patient", patient.reference, slot="GT1#patient")
        walk.state(party, "relationship", GUARANTOR, slot="GT1#guarantor")
    if bill is not None:
        walk.at(segment)
        walk.gather(bill, "guarantor", {"party": party.reference}, {"party": 0}, "GT1#guarantor")


_SELF: Final = frozenset({"SE", "SEL", "SELF", "18"})
"""How senders say that somebody is the patient: table 0063, and X12."""
