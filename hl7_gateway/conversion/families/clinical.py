"""AL1, IAM, DG1, PR1: AllergyIntolerance, Condition, Procedure. docs/hl7.md"""

from __future__ import annotations

from typing import Any, Final

from hl7_gateway.conversion.datatypes.codes import concept, fixed_concept
from hl7_gateway.conversion.datatypes.identifiers import ei_pair
from hl7_gateway.conversion.datatypes.names import xpn
from hl7_gateway.conversion.datatypes.simple import number
from hl7_gateway.conversion.draft import DRAFT, Draft
from hl7_gateway.conversion.families.required import known_of
from hl7_gateway.conversion.maps.clinical import AL1_ALLERGY, DG1_CONDITION, IAM_ALLERGY, PR1_PROCEDURE
from hl7_gateway.conversion.table import SegmentMap
from hl7_gateway.conversion.vocabulary import TERMINOLOGY
from hl7_gateway.conversion.walk import Walk
from hl7_gateway.message import Segment
from hl7_gateway.problems import Place

_ERROR: Final = "entered-in-error"


def key_of(segment: Segment, field: int) -> str:
    """A code as something to be known by: code and system, else its text."""
    value = segment.first(field)
    code = value.part(1).strip()
    return f"{value.part(3).strip()}|{code}" if code else value.part(2).strip().casefold()


def al1(walk: Walk, segment: Segment) -> None:
    """An allergy of the patient; each is known by its code."""
    _allergy(walk, segment, AL1_ALLERGY, "")


def iam(walk: Walk, segment: Segment) -> None:
    """An allergy of the patient, which may be taken back (action D)."""
    walk.at(segment, 6)
    _allergy(walk, segment, IAM_ALLERGY, segment.text(6).strip())


def _allergy(walk: Walk, segment: Segment, rows: SegmentMap, action: str) -> None:
    patient = walk.current.get("Patient")
    if patient is None or not segment[3] or action == "X":
        return
    allergy = walk.draft("AllergyIntolerance")
    if rows is IAM_ALLERGY:
        known = ei_pair(segment.first(7), walk)
        allergy.identifiers = [known] if known else []
    allergy.natural = ("allergy", DRAFT + patient.name, key_of(segment, 3))
    rows.apply(segment, allergy, walk)
    if rows is IAM_ALLERGY and segment[27]:
        _clinicians_code(walk, segment, allergy)
    if rows is IAM_ALLERGY and segment[15]:
        _reporter(walk, segment, patient, allergy)
    walk.at(segment)
    walk.state(allergy, "patient", patient.reference, slot=f"{segment.name}#patient")
    verification = TERMINOLOGY + "allergyintolerance-verification"
    slot = f"{segment.name}#status"
    if action == "D":
        walk.at(segment, 6)
        walk.state(allergy, "verificationStatus", fixed_concept(_ERROR, verification), slot=slot)
        walk.take_back(allergy, "clinicalStatus", slot)
        return
    walk.state(allergy, "verificationStatus", fixed_concept("confirmed", verification), slot=slot)
    active = fixed_concept("active", TERMINOLOGY + "allergyintolerance-clinical")
    walk.state(allergy, "clinicalStatus", active, slot=slot)


def _clinicians_code(walk: Walk, segment: Segment, allergy: Draft) -> None:
    """IAM-27: what a clinician calls it, as further codings of the same."""
    walk.at(segment, 27)
    found = concept()(segment.first(27), walk)
    for stated in allergy.stated:
        if found and stated.path == "code" and stated.values:
            codings = stated.values[0].value.setdefault("coding", [])
            codings.extend(one for one in found[0].get("coding", ()) if one not in codings)


def _reporter(walk: Walk, segment: Segment, patient: Draft, allergy: Draft) -> None:
    """IAM-15: who has reported it (IAM-14) is the patient, or somebody close to them."""
    if not known_of(allergy, "recorder"):
        return
    reporter = patient.reference
    walk.at(segment, 15)
    if segment.text(15).strip().upper() != _SELF:
        person = walk.draft("RelatedPerson")
        person.stub = True
        family, given = (segment.first(14).part(part).strip().casefold() for part in (1, 2))
        # As NK1 knows them, who may tell more.
        person.natural = ("NK1", DRAFT + patient.name, segment.text(15).strip().upper(), family, given)
        walk.state(person, "patient", patient.reference, slot="IAM-15#patient")
        relationship = concept("Relationship", "0063")(segment.first(15), walk)
        if relationship:
            walk.state(person, "relationship", *relationship)
        walk.at(segment, 14)
        name = xpn(segment.first(14), walk)
        if name:
            walk.state(person, "name", *name)
        reporter = person.reference
    walk.at(segment, 14)
    allergy.stated = [stated for stated in allergy.stated if stated.path != "recorder"]
    walk.state(allergy, "recorder", reporter, {"": 1})


_SELF: Final = "SEL"
"""HL7 table 0063: it is the patient."""

_VERIFICATION: Final = {"A": "provisional", "W": "provisional", "F": "confirmed"}


def dg1(walk: Walk, segment: Segment) -> None:
    """A diagnosis: why an order that it stands under was given, else one of the visit; taken back by action D."""
    patient, encounter = walk.current.get("Patient"), walk.current.get("Encounter")
    if patient is None or not (segment[3] or segment[4]):
        return
    condition = walk.draft("Condition")
    known = ei_pair(segment.first(20), walk)
    condition.identifiers = [known] if known else []
    visit = DRAFT + encounter.name if encounter is not None else ""
    condition.natural = ("DG1", DRAFT + patient.name, visit, key_of(segment, 3) or segment.text(4).strip().casefold())
    DG1_CONDITION.apply(segment, condition, walk)
    walk.at(segment)
    walk.state(condition, "subject", patient.reference, slot="DG1#subject")
    category = fixed_concept("encounter-diagnosis", TERMINOLOGY + "condition-category")
    walk.state(condition, "category", category, slot="DG1#category")
    walk.at(segment, 21)
    error = segment.text(21).strip() == "D"
    walk.at(segment, 6)
    status = _ERROR if error else _VERIFICATION.get(segment.text(6).strip(), "")
    if status:
        verification = fixed_concept(status, TERMINOLOGY + "condition-ver-status")
        walk.state(condition, "verificationStatus", verification, slot="DG1#status")
    if encounter is not None:
        walk.state(condition, "encounter", encounter.reference, slot="DG1#encounter")
    order = walk.current.get("ServiceRequest")
    if error:
        return
    if order is not None and not order.stub:
        walk.at(segment)
        walk.gather(order, "reasonReference", condition.reference, {"": 3}, "DG1")
    elif encounter is not None:
        _of_the_visit(walk, segment, condition, encounter)


def _of_the_visit(walk: Walk, segment: Segment, condition: Draft, encounter: Draft) -> None:
    said: dict[str, Any] = {"condition": condition.reference}
    parts: dict[str, Any] = {"condition": Place("DG1", segment.number, 3)}
    use = concept("DiagnosisType", "0052")(segment.first(6), walk)
    if use:
        said["use"] = use[0]
        parts["use"] = Place("DG1", segment.number, 6)
    rank = number(segment.text(15))
    if rank is not None and rank == int(rank) and 0 < rank < 2**31:
        said["rank"] = int(rank)
        parts["rank"] = Place("DG1", segment.number, 15)
    walk.at(segment)
    walk.gather(encounter, "diagnosis", said, parts, "DG1")


def pr1(walk: Walk, segment: Segment) -> None:
    """A procedure that was performed."""
    patient, encounter = walk.current.get("Patient"), walk.current.get("Encounter")
    if patient is None or not (segment[3] or segment[4]):
        return
    procedure = walk.draft("Procedure")
    walk.current["Procedure"] = procedure
    known = ei_pair(segment.first(19), walk)
    procedure.identifiers = [known] if known else []
    visit = DRAFT + encounter.name if encounter is not None else ""
    what = key_of(segment, 3) or segment.text(4).strip().casefold()
    procedure.natural = ("PR1", DRAFT + patient.name, visit, what, segment.text(5).strip())
    PR1_PROCEDURE.apply(segment, procedure, walk)
    walk.at(segment, 20)
    status = _ERROR if segment.text(20).strip() == "D" else "completed"
    walk.state(procedure, "status", status, slot="PR1#status")
    walk.state(procedure, "subject", patient.reference, slot="PR1#subject")
    if encounter is not None:
        walk.state(procedure, "encounter", encounter.reference, slot="PR1#encounter")
