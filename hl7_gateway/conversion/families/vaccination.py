"""VXU: Immunization, and what is observed of it. docs/hl7.md, "Immunizations" """

from __future__ import annotations

from typing import Any, Final

from hl7_gateway.conversion.datatypes.codes import concept
from hl7_gateway.conversion.datatypes.identifiers import ei, ei_pair
from hl7_gateway.conversion.datatypes.names import xad
from hl7_gateway.conversion.datatypes.simple import clean, stamp
from hl7_gateway.conversion.draft import DRAFT, Draft
from hl7_gateway.conversion.families.clinical import key_of
from hl7_gateway.conversion.families.family import Family
from hl7_gateway.conversion.families.observations import obx
from hl7_gateway.conversion.families.provenances import told_of_the_order
from hl7_gateway.conversion.families.required import known_of
from hl7_gateway.conversion.maps.vaccination import RXA_IMMUNIZATION, RXR_IMMUNIZATION, performer
from hl7_gateway.conversion.walk import Walk
from hl7_gateway.message import Segment, Value

NOTHING_GIVEN: Final = "998"
"""The code of CVX by which senders say that there is no vaccination, only something to be told."""

_NOT_DONE: Final = {"RE": "PATOBJ", "NA": "", "NP": ""}


_VACCINES: Final = frozenset({"CVX", "HL70292", "2.16.840.1.113883.12.292"})


def is_vaccine(segment: Segment) -> bool:
    """Whether what is given (RXA-5) has a code of vaccines."""
    return not _VACCINES.isdisjoint((segment.text(5, 3).strip().upper(), segment.text(5, 6).strip().upper()))


def rxa(walk: Walk, segment: Segment) -> None:
    """A vaccination, given or refused: known by the filler's number, else by the patient, the time and the vaccine."""
    patient = walk.current.get("Patient")
    walk.current.pop("Immunization", None)
    if patient is None or not segment[5] or segment.text(5) == NOTHING_GIVEN:
        walk.read(segment, 1, 2, 3, 4, 5, 6, 20, 21)
        return
    made = walk.draft("Immunization")
    walk.current["Immunization"] = walk.current["noted"] = made
    control = walk.segments.get("ORC")
    _numbers(walk, control, made)
    made.natural = ("RXA", DRAFT + patient.name, segment.text(3).strip(), key_of(segment, 5))
    RXA_IMMUNIZATION.apply(segment, made, walk)
    _address(walk, segment, made)
    walk.at(segment)
    walk.state(made, "patient", patient.reference, slot="RXA#patient")
    if not walk.has(made, "occurrenceDateTime"):
        walk.state(made, "occurrenceString", "unknown", slot="RXA-3", initial=True)
    encounter = walk.current.get("Encounter")
    if encounter is not None:
        walk.state(made, "encounter", encounter.reference, slot="RXA#encounter")
    _status(walk, segment, made)
    _source(walk, segment, made)
    if control is not None and control[12]:
        walk.at(control, 12)
        found = performer("OP")(control.first(12), walk)
        if found:
            walk.state(made, "performer", *found)
    if control is not None:
        told_of_the_order(walk, control, made)


def _address(walk: Walk, segment: Segment, made: Draft) -> None:
    """RXA-28: the address of the place that it was given at, where that is new."""
    for said in made.stated if segment[28] and segment[27] else ():
        place = walk.mentioned(said.values[0].value) if said.path == "location" and said.values else None
        if place is not None and not known_of(place, "address"):
            walk.at(segment, 28)
            found = xad(segment.first(28), walk)
            if found:
                walk.state(place, "address", *found)


def _numbers(walk: Walk, control: Segment | None, made: Draft) -> None:
    if control is None:
        return
    for field, kind in ((3, "FILL"), (2, "PLAC")):
        value = control.first(field)
        known = ei_pair(value, walk)
        found = ei(kind)(value, walk)
        # 9999 is what registries want of those who have no number.
        if known is not None and found is not None and known[1] != "9999":
            walk.at(control, field)
            made.identifiers.append(known)
            walk.state(made, "identifier", *found)
    walk.read(control, 1, 2, 3, 9)


def _status(walk: Walk, segment: Segment, made: Draft) -> None:
    """RXA-21 D takes it back; RXA-20 tells whether it was given (CP, PA) or not (RE refused, NA)."""
    walk.at(segment, 21)
    completion = segment.text(20).strip().upper()
    if segment.text(21).strip().upper() == "D":
        walk.state(made, "status", "entered-in-error", {"": 1}, slot="RXA-20")
        return
    walk.at(segment, 20)
    status = "not-done" if completion in _NOT_DONE else "completed"
    walk.state(made, "status", status, slot="RXA-20", initial=not completion)
    reason = _NOT_DONE.get(completion)
    if reason and not segment[18]:
        system = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
        walk.state(made, "statusReason", {"coding": [{"system": system, "code": reason}]}, slot="RXA-18")


def _source(walk: Walk, segment: Segment, made: Draft) -> None:
    """RXA-9: 00 is a new record of who gave it; anything else tells from where it is known."""
    walk.at(segment, 9)
    sent = segment.text(9).strip()
    if not sent:
        return
    walk.state(made, "primarySource", sent == "00", {"": 1}, slot="RXA-9")
    if sent != "00":
        found = concept()(segment.first(9), walk)
        if found:
            walk.state(made, "reportOrigin", *found, slot="RXA-9#origin")


def rxr(walk: Walk, segment: Segment) -> None:
    """How and where it was given."""
    made = walk.current.get("Immunization")
    if made is not None:
        RXR_IMMUNIZATION.apply(segment, made, walk)


def vaccination_obx(walk: Walk, segment: Segment) -> None:
    """What registries send as results but say of the vaccination; the rest are results."""
    made = walk.current.get("Immunization")
    code = segment.text(3)
    handler = _OF_THE_VACCINATION.get(code) if made is not None else None
    if handler is not None and code in _DATES and segment[4].strip() not in _documents(walk, segment):
        # R4 has no date of a document that is not told.
        handler = None
    if made is None or handler is None or not segment[5]:
        obx(walk, segment)
        return
    walk.read(segment, 1, 2, 3, 4, 6, 11, 14, 17)
    walk.at(segment, 5)
    handler(walk, segment, made)


def _eligibility(walk: Walk, segment: Segment, made: Draft) -> None:
    found = concept()(segment.first(5), walk)
    if found:
        walk.gather(made, "programEligibility", *found, slot="OBX#eligibility")


def _funding(walk: Walk, segment: Segment, made: Draft) -> None:
    found = concept()(segment.first(5), walk)
    if found:
        walk.state(made, "fundingSource", *found, slot="OBX#funding")


def _dose_number(walk: Walk, segment: Segment, made: Draft) -> None:
    said = clean(segment.first(5).part(1).strip())
    if said.isascii() and said.isdigit() and 0 < int(said) < 2**31:
        walk.gather(made, "protocolApplied", {"doseNumberPositiveInt": int(said)}, {}, slot="OBX#dose")
    elif said:
        walk.gather(made, "protocolApplied", {"doseNumberString": said}, {}, slot="OBX#dose")


def _documents(walk: Walk, segment: Segment) -> dict[str, Any]:
    """OBX-4 of all documents that are told beside a segment, between one RXA and the next."""
    segments = walk.message.segments
    start = segment.position
    while start and segments[start].name != "RXA":
        start -= 1
    known = walk.parts.get(("documents", str(start)))
    if known is None:
        known = walk.parts["documents", str(start)] = {}
        for one in segments[start + 1 :]:
            if one.name == "RXA":
                break
            if one.name == "OBX" and one.text(3) in _TYPES and _document(one.first(5)):
                known[one[4].strip()] = True
    return known


def _document(value: Value) -> str:
    return clean(value.part(2).strip() or value.part(1).strip())


def _education(element: str) -> Any:
    """A part of what the patient was given to read: the parts with the same OBX-4 are one."""

    def handler(walk: Walk, segment: Segment, made: Draft) -> None:
        value = segment.first(5)
        if element == "documentType":
            said: str | None = _document(value)
        else:
            said = stamp(value.text, walk)
        if not said:
            return
        group = walk.parts.setdefault((made.name, segment.first(4).raw.strip()), {})
        if not group:
            walk.gather(made, "education", group, {element: 0}, slot="OBX#education")
        group[element] = said

    return handler


_TYPES: Final = frozenset({"69764-9", "30956-7"})
_DATES: Final = frozenset({"29768-9", "29769-7"})

_OF_THE_VACCINATION: Final = {
    "64994-7": _eligibility,
    "30963-3": _funding,
    "30973-2": _dose_number,
    "69764-9": _education("documentType"),
    "30956-7": _education("documentType"),
    "29768-9": _education("publicationDate"),
    "29769-7": _education("presentationDate"),
}
"""LOINC codes of OBX-3. https://www.cdc.gov/vaccines/programs/iis/technical-guidance/hl7.html"""

VACCINATIONS: Final = Family("vaccinations", {"RXA": rxa})
