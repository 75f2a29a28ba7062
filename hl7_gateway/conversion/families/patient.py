"""PID and the segments around it: Patient, RelatedPerson, Account, Practitioner. docs/hl7.md"""

from __future__ import annotations

from typing import Any, Final

from hl7_gateway.conversion.datatypes.codes import concept
from hl7_gateway.conversion.datatypes.identifiers import SHARED, cx, pair
from hl7_gateway.conversion.datatypes.names import xad, xtn
from hl7_gateway.conversion.datatypes.references import organization, organization_of
from hl7_gateway.conversion.datatypes.simple import spanning
from hl7_gateway.conversion.draft import DRAFT, Draft
from hl7_gateway.conversion.families.roles import reached
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
    if patient is None:
        return
    PD1_PATIENT.apply(segment, patient, walk)
    if segment[7] and segment[7] != '""':
        _living_will(walk, segment, patient)


_LIVING_WILL: Final = {"system": "http://loinc.org", "code": "75320-2"}


def _living_will(walk: Walk, segment: Segment, patient: Draft) -> None:
    """Whether there is a living will: an Observation of it, as the guide has it."""
    walk.at(segment, 7)
    found = concept("LivingWillCode", "0315")(segment.first(7), walk)
    if found is None:
        return
    made = walk.draft("Observation")
    made.natural = ("PD1-7", DRAFT + patient.name)
    walk.state(made, "status", "final", slot="PD1-7#status")
    walk.state(made, "code", {"coding": [_LIVING_WILL]}, slot="PD1-7#code")
    walk.state(made, "subject", patient.reference, slot="PD1-7#subject")
    walk.state(made, "valueCodeableConcept", *found)


def nk1(walk: Walk, segment: Segment) -> None:
    """Somebody close to the patient: known by an identifier, else by name and relationship."""
    patient = walk.current.get("Patient")
    if patient is None or not any(segment[field] for field in (2, 13, 30, 33)):
        return
    if segment[13]:
        _contact(walk, segment, patient)
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


def _contact(walk: Walk, segment: Segment, patient: Draft) -> None:
    """An organization that is to be told, of which the patient knows alone: R4 relates persons only."""
    for number, value in enumerate(segment.repetitions(13), 1):
        walk.at(segment, 13, number)
        company = organization(value, walk) if value.raw and not value.null else None
        if company is None:
            continue
        said: dict[str, Any] = {"organization": company[0]}
        kind = concept("Relationship", "0063")(segment.first(3), walk) if segment[3] else None
        if kind:
            said["relationship"] = [kind[0]]
        walk.gather(patient, "contact", said, {"organization": 1}, "NK1-13")


def gt1(walk: Walk, segment: Segment) -> None:
    """Who answers for the account: the patient, or somebody else."""
    patient, bill = walk.current.get("Patient"), walk.current.get("Account")
    if patient is None or not (segment[3] or segment[21]):
        return
    party = patient
    if not segment[3]:
        company = _guarantor(walk, segment)
        if company is None:
            return
        party = company
    elif segment.text(11).strip().upper() not in _SELF:
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
        said: dict[str, Any] = {"party": party.reference}
        lasting = spanning(segment, 13, 14, walk)
        if lasting:
            said["period"] = lasting[0]
        walk.gather(bill, "guarantor", said, {"party": 0}, "GT1#guarantor")


def _guarantor(walk: Walk, segment: Segment) -> Draft | None:
    """An organization that answers for the account: GT1-21, where nobody is named."""
    walk.at(segment, 21)
    made = organization_of(segment.first(21), walk)
    if made is not None:
        reached(walk, segment, 5, made, "address", xad)
        for field in (6, 7):
            reached(walk, segment, field, made, "telecom", xtn("work"))
    return made


_SELF: Final = frozenset({"SE", "SEL", "SELF", "18"})
"""How senders say that somebody is the patient: table 0063, and X12."""
