"""ROL, PRT: who took part in what stands before them, where, and with which device. docs/hl7.md"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from hl7_gateway.conversion.datatypes.codes import concept
from hl7_gateway.conversion.datatypes.names import xad, xtn
from hl7_gateway.conversion.datatypes.references import location, organization_of, practitioner
from hl7_gateway.conversion.datatypes.simple import spanning
from hl7_gateway.conversion.draft import DRAFT, Draft
from hl7_gateway.conversion.families.devices import participating
from hl7_gateway.conversion.families.required import known_of
from hl7_gateway.conversion.families.roles import reached, works
from hl7_gateway.conversion.table import extension
from hl7_gateway.conversion.walk import Parts, Walk
from hl7_gateway.message import Segment
from hl7_gateway.problems import Place

GONE: Final = frozenset({"DE", "UN", "D"})
_PRIMARY_CARE: Final = frozenset({"PP", "FHCP", "PCP"})
_ORDERS: Final = "OP"
_ASKED: Final = frozenset({"ServiceRequest", "MedicationRequest"})
_PERFORMED: Final = frozenset({"Observation", "DiagnosticReport", "ServiceRequest"})
_SHAPES: Final = {
    "Encounter": ("participant", "individual", "type", "period"),
    "CareTeam": ("participant", "member", "role", "period"),
    "Procedure": ("performer", "actor", "function", ""),
    "Immunization": ("performer", "actor", "function", ""),
    "MedicationDispense": ("performer", "actor", "function", ""),
    "MedicationAdministration": ("performer", "actor", "function", ""),
}
"""How a resource tells of a participation: the element, and who, as what and when in it."""


@dataclass(frozen=True, slots=True)
class _Fields:
    """Where a segment has what is told of a participation."""

    role: int
    person: int
    begin: int
    end: int
    specialty: int
    unit: int
    company: int
    place: int
    address: int
    telecom: int
    map_name: str
    table: str


_ROL: Final = _Fields(3, 4, 5, 6, 9, 10, 14, 13, 11, 12, "ProviderRole", "0443")
_PRT: Final = _Fields(4, 5, 11, 12, 6, 7, 8, 9, 14, 15, "Participation", "0912")


def rol(walk: Walk, segment: Segment) -> None:
    """A person's role in the procedure or the visit, or as the patient's general practitioner."""
    patient = walk.current.get("Patient")
    walk.read(segment, 1, 2)
    if patient is None or not segment[4] or segment.text(2).strip().upper() in GONE:
        return
    owner = walk.current.get("Procedure") or walk.current.get("Encounter") or patient
    _take_part(walk, segment, owner, _ROL)


def prt(walk: Walk, segment: Segment) -> None:
    """A participation in the result, report or order before it, else in the visit."""
    patient = walk.current.get("Patient")
    walk.read(segment, 1, 2)
    if patient is None or segment.text(2).strip().upper() in GONE:
        return
    owner = walk.current.get("noted")
    if owner is None:
        if "ORC" in walk.segments:
            # It belongs to the order that comes, which reads it.
            return
        owner = walk.current.get("Encounter") or patient
    took_part(walk, segment, owner)


def took_part(walk: Walk, segment: Segment, owner: Draft) -> None:
    """Who, what organization, and which device took part in ``owner``, as a PRT tells."""
    if segment[5]:
        _take_part(walk, segment, owner, _PRT)
    elif segment[8] and owner.type in _PERFORMED:
        company = _company(walk, segment, _PRT)
        if company is not None:
            walk.at(segment, 8)
            walk.read(segment, 4)
            walk.gather(owner, "performer", company.reference, {"": 1}, slot="PRT-8")
            reached(walk, segment, 14, company, "address", xad)
            reached(walk, segment, 15, company, "telecom", xtn("work"))
    if segment[9]:
        _where(walk, segment, owner)
    if owner.type in _USED:
        used = participating(walk, segment)
        if used is not None:
            walk.at(segment, 10 if segment[10] else 16)
            path, repeats = _USED[owner.type]
            if repeats:
                walk.gather(owner, path, used.reference, {"": 0}, "PRT-10")
            elif not known_of(owner, path):
                walk.state(owner, path, used.reference, slot="PRT-10")


_USED: Final = {
    "Observation": ("device", False),
    "Procedure": ("usedReference", True),
    "ServiceRequest": ("supportingInfo", True),
}
"""How a resource tells of a device: the element, and whether it repeats."""

_PLACED: Final = {
    "Observation": ("extension", extension("event-location", "valueReference", location)),
    "ServiceRequest": ("locationReference", location),
}


def _where(walk: Walk, segment: Segment, owner: Draft) -> None:
    """Where it took place."""
    path, convert = _PLACED.get(owner.type, ("", None))
    if convert is None or walk.count((path, owner.name, segment[9])):
        return
    walk.at(segment, 9)
    found = convert(segment.first(9), walk)
    if found:
        walk.gather(owner, path, *found, slot="PRT-9")


def _take_part(walk: Walk, segment: Segment, owner: Draft, fields: _Fields) -> None:
    if owner.type == "Patient" and segment.text(fields.role).strip() not in _PRIMARY_CARE:
        owner = _care_team(walk, owner)
    for number, value in enumerate(segment.repetitions(fields.person), 1):
        walk.at(segment, fields.person, number)
        person = practitioner(value, walk) if value.raw and not value.null else None
        if person is None:
            continue
        role = fields.role
        what = concept(fields.map_name, fields.table)(segment.first(role), walk) if segment[role] else None
        lasting = spanning(segment, fields.begin, fields.end, walk)
        parts: Parts = {"": Place(segment.name, segment.number, fields.person, number)}
        slot = f"{segment.name}-{fields.person}"
        if owner.type in _SHAPES:
            path, who, how, when = _SHAPES[owner.type]
            said: dict[str, Any] = {who: person[0]}
            if what:
                said[how] = [what[0]] if when else what[0]
            if lasting and when:
                said[when] = lasting[0]
            walk.gather(owner, path, said, parts, slot)
        elif owner.type == "Patient":
            walk.gather(owner, "generalPractitioner", person[0], parts, slot)
        elif owner.type in _ASKED and segment.text(role).strip() == _ORDERS:
            if not known_of(owner, "requester"):
                walk.state(owner, "requester", person[0], parts, slot=f"{slot}#{_ORDERS}")
        elif owner.type in _PERFORMED:
            walk.gather(owner, _element(owner, segment.text(role).strip()), person[0], parts, slot)
        else:
            return
        walk.read(segment, role, fields.begin, fields.end)
        somebody = walk.mentioned(person[0])
        if somebody is not None:
            _at_work(walk, segment, somebody, fields)


def _care_team(walk: Walk, patient: Draft) -> Draft:
    """Who else cares for the patient, as their own segments tell."""
    made, new = walk.once("CareTeam", patient.name)
    if new:
        made.natural = ("team", DRAFT + patient.name)
        walk.state(made, "status", "active", slot="PRT#status", initial=True)
        walk.state(made, "subject", patient.reference, slot="PRT#subject")
    return made


def _at_work(walk: Walk, segment: Segment, person: Draft, fields: _Fields) -> None:
    """Where the person works, and how to reach them there; without that, how to reach them."""
    reached(walk, segment, fields.address, person, "address", xad)
    company = _company(walk, segment, fields)
    walk.at(segment, fields.place)
    place = location(segment.first(fields.place), walk) if segment[fields.place] else None
    if company is None and place is None and not segment[fields.specialty]:
        reached(walk, segment, fields.telecom, person, "telecom", xtn("work"))
        return
    told = fields.company if company else fields.place if place else fields.specialty
    made = works(walk, person, company, place, segment, told)
    reached(walk, segment, fields.telecom, made, "telecom", xtn("work"))
    reached(walk, segment, fields.specialty, made, "specialty", concept())


def _company(walk: Walk, segment: Segment, fields: _Fields) -> Draft | None:
    if not segment[fields.company]:
        return None
    walk.at(segment, fields.company)
    made = organization_of(segment.first(fields.company), walk)
    if made is not None:
        reached(walk, segment, fields.unit, made, "type", concept(table="0406"))
    return made


def _element(owner: Draft, role: str) -> str:
    """What somebody is to a report by table 0912: who interprets it is told apart from who made it."""
    return "resultsInterpreter" if owner.type == "DiagnosticReport" and role in ("PI", "AI") else "performer"
