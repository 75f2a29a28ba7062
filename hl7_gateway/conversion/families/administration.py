"""RXA of what is no vaccine, with the ORC before it and RXR behind: MedicationAdministration. docs/hl7.md

https://hl7.org/fhir/R4/medicationadministration.html
"""

from __future__ import annotations

from typing import Any, Final

from hl7_gateway.conversion.datatypes.codes import concept
from hl7_gateway.conversion.datatypes.identifiers import ei_pair
from hl7_gateway.conversion.datatypes.quantities import UCUM, unit
from hl7_gateway.conversion.datatypes.schedule import duration
from hl7_gateway.conversion.datatypes.simple import number, stamp
from hl7_gateway.conversion.draft import DRAFT, Draft
from hl7_gateway.conversion.families.clinical import key_of
from hl7_gateway.conversion.families.insurance import ABSENT
from hl7_gateway.conversion.families.pharmacy import after, mentioned, partake, produce
from hl7_gateway.conversion.families.required import known_of
from hl7_gateway.conversion.maps.administration import RXA_MEDICATION, RXA_MEDICATION_ADMINISTRATION
from hl7_gateway.conversion.walk import Parts, Walk
from hl7_gateway.message import Segment
from hl7_gateway.problems import Place

_BY_COMPLETION: Final = {"CP": "completed", "PA": "stopped", "RE": "not-done", "NA": "not-done"}
"""Table 0322 as https://hl7.org/fhir/R4/valueset-medication-admin-status.html: what is given in part was stopped."""

_UNKNOWN_AMOUNT: Final = 999
"""What RXA-6 says where nobody knows how much."""

_ROUTES: Final = (
    (1, "route", "RouteOfAdministration", "0162"),
    (2, "site", "BodyParts", "0163"),
    (4, "method", "AdministrationMethod", "0165"),
)


def administration(walk: Walk, segment: Segment) -> None:
    """A medication that was given, or was not: known by its order, its time, what it was and RXA-2."""
    patient = walk.current.get("Patient")
    walk.current.pop("Immunization", None)
    if patient is None or not segment[5]:
        return
    order = walk.current.get("MedicationRequest")
    control = walk.segments.get("ORC")
    if order is None and control is not None and any(ei_pair(control.first(field), walk) for field in (2, 3)):
        order = mentioned(walk, segment, patient, RXA_MEDICATION_ADMINISTRATION)
    made = walk.draft("MedicationAdministration")
    walk.current["MedicationAdministration"] = walk.current["noted"] = made
    owner = order if order is not None else patient
    made.natural = ("RXA", DRAFT + owner.name, segment.text(3).strip(), key_of(segment, 5), segment.text(2).strip())
    RXA_MEDICATION_ADMINISTRATION.apply(segment, made, walk)
    walk.at(segment)
    if not known_of(made, "medicationCodeableConcept"):
        walk.state(made, "medicationCodeableConcept", {"text": "unknown"}, slot="RXA-5", initial=True)
    walk.state(made, "subject", patient.reference, slot="RXA#subject")
    if order is not None:
        walk.state(made, "request", order.reference, slot="RXA#request")
    encounter = walk.current.get("Encounter")
    if encounter is not None:
        walk.state(made, "context", encounter.reference, slot="RXA#context")
    if control is not None and "RXE" not in walk.segments:
        partake(walk, segment, made)
    _status(walk, segment, made)
    _when(walk, segment, made)
    _dosage(walk, segment, made)
    produce(walk, made, segment, RXA_MEDICATION, [])


def _status(walk: Walk, segment: Segment, made: Draft) -> None:
    """RXA-21 D takes it back; RXA-20 tells whether all, a part or nothing was given."""
    if segment.text(21).strip().upper() == "D":
        walk.at(segment, 21)
        walk.state(made, "status", "entered-in-error", {"": 1}, slot="RXA-20")
        return
    walk.at(segment, 20)
    status = _BY_COMPLETION.get(segment.text(20).strip().upper())
    walk.state(made, "status", status or "completed", {"": 1}, slot="RXA-20", initial=status is None)


def _when(walk: Walk, segment: Segment, made: Draft) -> None:
    """RXA-3 and RXA-4: a time, or from when to when."""
    walk.at(segment, 3)
    begun = stamp(segment.text(3), walk) if segment[3] else None
    if begun is None:
        absent = {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}
        walk.state(made, "effectivePeriod", absent, slot="RXA-3", initial=True)
        return
    ended = None
    if segment[4] and segment[4] != segment[3]:
        walk.at(segment, 4)
        ended = stamp(segment.text(4), walk)
        walk.at(segment, 3)
    walk.read(segment, 4)
    if ended is None:
        walk.state(made, "effectiveDateTime", begun, {"": 1}, slot="RXA-3")
    else:
        places: Parts = {"start": 1, "end": Place("RXA", segment.number, 4)}
        walk.state(made, "effectivePeriod", {"start": begun, "end": ended}, places, slot="RXA-3")


def _dosage(walk: Walk, segment: Segment, made: Draft) -> None:
    """How much, how fast, and by which way: R4 wants to know one of the first two where it is told the third."""
    amount = number(segment.text(6)) if segment[6] else None
    walk.at(segment, 6)
    if amount is None:
        if segment[6] not in ("", '""'):
            walk.warn("This is not a number, and was left out.")
        return
    walk.read(segment, 7)
    if amount == _UNKNOWN_AMOUNT:
        return
    units = unit(segment.first(7), walk) if segment[7] else {}
    dose = {"value": amount, **units}
    said: dict[str, Any] = {"dose": dose}
    parts: Parts = {"dose.value": 1, **{f"dose.{name}": Place("RXA", segment.number, 7) for name in units}}
    per = duration(segment.first(12)) if segment[12] else None
    if per is not None:
        walk.read(segment, 12)
        time = {"value": per[0], "unit": per[1], "system": UCUM, "code": per[1]}
        said["rateRatio"] = {"numerator": dict(dose), "denominator": time}
        parts["rateRatio"] = Place("RXA", segment.number, 12)
    for route in after(walk, segment):
        if route.name == "RXR":
            _route(walk, route, said, parts)
            break
    walk.at(segment, 6)
    walk.state(made, "dosage", said, parts, slot="RXA-6")


def _route(walk: Walk, segment: Segment, said: dict[str, Any], parts: Parts) -> None:
    for field, element, name, table in _ROUTES:
        if segment[field]:
            walk.at(segment, field)
            found = concept(name, table)(segment.first(field), walk)
            if found is not None:
                said[element] = found[0]
                parts[element] = Place("RXR", segment.number, field)
