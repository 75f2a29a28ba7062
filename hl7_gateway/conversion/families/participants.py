"""ROL, PRT: who took part in what stands before them. docs/hl7.md"""

from __future__ import annotations

from typing import Any, Final

from hl7_gateway.conversion.datatypes.codes import concept
from hl7_gateway.conversion.datatypes.references import organization, practitioner
from hl7_gateway.conversion.datatypes.simple import spanning
from hl7_gateway.conversion.draft import Draft
from hl7_gateway.conversion.walk import Parts, Walk
from hl7_gateway.message import Segment
from hl7_gateway.problems import Place

_GONE: Final = frozenset({"DE", "UN", "D"})
_PRIMARY_CARE: Final = frozenset({"PP", "FHCP", "PCP"})


def rol(walk: Walk, segment: Segment) -> None:
    """A person's role in the procedure or the visit, or as the patient's general practitioner."""
    patient = walk.current.get("Patient")
    walk.read(segment, 1, 2)
    if patient is None or not segment[4] or segment.text(2).strip().upper() in _GONE:
        return
    owner = walk.current.get("Procedure") or walk.current.get("Encounter") or patient
    _take_part(walk, segment, owner, (3, 4, 5, 6), "ProviderRole", "0443")


def prt(walk: Walk, segment: Segment) -> None:
    """A participation in the result, report or order before it, else in the visit."""
    patient = walk.current.get("Patient")
    walk.read(segment, 1, 2)
    if patient is None or segment.text(2).strip().upper() in _GONE:
        return
    owner = walk.current.get("noted")
    if owner is None:
        if "ORC" in walk.segments:
            # It belongs to the order that comes, of which more is said by its own segments.
            return
        owner = walk.current.get("Encounter") or patient
    if segment[5]:
        _take_part(walk, segment, owner, (4, 5, 11, 12), "Participation", "0912")
    elif segment[8] and owner.type in _PERFORMED:
        walk.at(segment, 8)
        found = organization(segment.first(8), walk)
        if found:
            walk.read(segment, 4)
            walk.gather(owner, "performer", *found, slot="PRT-8")


_PERFORMED: Final = frozenset({"Observation", "DiagnosticReport", "ServiceRequest"})


def _take_part(
    walk: Walk, segment: Segment, owner: Draft, fields: tuple[int, int, int, int], map_name: str, table: str
) -> None:
    role, persons, begin, end = fields
    for number, value in enumerate(segment.repetitions(persons), 1):
        walk.at(segment, persons, number)
        person = practitioner(value, walk) if value.raw and not value.null else None
        if person is None:
            continue
        what = concept(map_name, table)(segment.first(role), walk) if segment[role] else None
        lasting = spanning(segment, begin, end, walk)
        parts: Parts = {"": Place(segment.name, segment.number, persons, number)}
        slot = f"{segment.name}-{persons}"
        if owner.type == "Encounter":
            said: dict[str, Any] = {"individual": person[0]}
            if what:
                said["type"] = [what[0]]
            if lasting:
                said["period"] = lasting[0]
            walk.gather(owner, "participant", said, parts, slot)
        elif owner.type == "Procedure":
            said = {"actor": person[0]}
            if what:
                said["function"] = what[0]
            walk.gather(owner, "performer", said, parts, slot)
        elif owner.type == "Patient" and segment.text(role).strip() in _PRIMARY_CARE:
            walk.gather(owner, "generalPractitioner", person[0], parts, slot)
        elif owner.type in _PERFORMED:
            walk.gather(owner, _element(owner, segment.text(role).strip()), person[0], parts, slot)
        else:
            return
        walk.read(segment, role, begin, end)


def _element(owner: Draft, role: str) -> str:
    """What somebody is to a report by table 0912: who interprets it is told apart from who made it."""
    return "resultsInterpreter" if owner.type == "DiagnosticReport" and role in ("PI", "AI") else "performer"
