"""EVN-4, 5 and 7, PID-34, ORC-10, 11 and 17 to 19: who did what with the record. docs/hl7.md, "Who did it"

Each is a Provenance of its own, beside the one that tells which versions a message has made.
https://hl7.org/fhir/uv/v2mappings/segment_maps.html
"""

from __future__ import annotations

from typing import Any, Final

from hl7_gateway.conversion.datatypes.codes import concept, fixed_concept
from hl7_gateway.conversion.datatypes.references import (
    coded_device,
    coded_organization,
    named_organization,
    practitioner,
    site,
)
from hl7_gateway.conversion.datatypes.simple import clean, date_time, instant
from hl7_gateway.conversion.draft import DRAFT, Draft
from hl7_gateway.conversion.vocabulary import TERMINOLOGY
from hl7_gateway.conversion.walk import Parts, Walk
from hl7_gateway.message import Segment
from hl7_gateway.problems import Place

_ABSENT: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_PARTICIPANT: Final = TERMINOLOGY + "provenance-participant-type"
_OPERATION: Final = TERMINOLOGY + "v3-DataOperation"

_OF_A_CONTROL: Final = {"NW": "CREATE", "SC": "UPDATE", "OC": "CANCEL", "CA": "CANCEL"}
"""ORC-1: what is done with an order."""

_OF_AN_ORDER: Final = ((10, "enterer"), (11, "verifier"), (12, "author"), (19, "performer"))
"""Fields of ORC with persons, and what they are."""


def told_of_the_event(walk: Walk) -> None:
    """Why an event was triggered, by whom and where (EVN-4, 5, 7): of the document, the visit or the patient."""
    segment = walk.segments.get("EVN")
    if segment is None or not (segment[4] or segment[5] or segment[7]):
        return
    target = walk.current.get("Encounter") or walk.latest("Patient")
    if walk.message.message_type == "MDM":
        target = walk.latest("DocumentReference") or target
    if target is None:
        return
    when = segment.text(2).strip() or walk.message.header.text(7).strip()
    made = _begun(walk, target, ("EVN", DRAFT + target.name, walk.event, when), segment)
    walk.at(segment)
    coding = {"system": TERMINOLOGY + "v2-0003", "code": walk.event}
    walk.state(made, "activity", {"coding": [coding]}, slot="EVN#activity")
    _recorded(walk, made, (segment, 2), (walk.message.header, 7))
    _occurred(walk, made, segment, 6)
    if segment[4] and segment.text(4).strip() != "U":
        walk.at(segment, 4)
        found = concept("EventReason", "0062")(segment.first(4), walk)
        if found:
            walk.state(made, "reason", *found)
    if segment[7]:
        walk.at(segment, 7)
        place = site(segment.first(7), walk)
        if place:
            walk.state(made, "location", *place)
    walk.read(segment, 4)
    _persons(walk, made, segment, 5, "")
    if not walk.has(made, "agent"):
        _sent_by(walk, made)


def told_of_the_update(walk: Walk, segment: Segment) -> None:
    """Which facility changed a patient's record last, and when (PID-34, 33)."""
    patient = walk.current.get("Patient")
    walk.at(segment, 34)
    facility = named_organization(segment.first(34), walk)
    if patient is None or facility is None:
        return
    made = _begun(walk, patient, ("PID-34", DRAFT + patient.name, segment.text(33).strip()), segment)
    walk.at(segment)
    walk.state(made, "activity", fixed_concept("UPDATE", _OPERATION), slot="PID-34#activity")
    _recorded(walk, made, (walk.message.header, 7))
    _occurred(walk, made, segment, 33)
    walk.at(segment, 34)
    agent = {"type": fixed_concept("performer", _PARTICIPANT), "who": facility[0]}
    walk.gather(made, "agent", agent, {"who": 1}, "PID-34")


def told_of_the_order(walk: Walk, control: Segment, order: Draft, read: tuple[int, ...] = ()) -> None:
    """Who entered, verified and did what is asked of an order, for whom and with which device (ORC-10, 11, 17 to 19).

    ``read`` are those of these fields that the order tells itself.
    """
    if not any(control[field] for field in (10, 11, 17, 18, 19) if field not in read):
        return
    action, when = control.text(1).strip().upper(), control.text(9).strip()
    made = _begun(walk, order, ("ORC", DRAFT + order.name, action, when), control)
    activity = _OF_A_CONTROL.get(action)
    if activity:
        walk.at(control, 1)
        walk.state(made, "activity", fixed_concept(activity, _OPERATION), {"": 1}, slot="ORC#activity")
    _recorded(walk, made, (control, 9), (walk.message.header, 7))
    _occurred(walk, made, control, 9)
    walk.at(control, 17)
    organization = coded_organization(control.first(17), walk) if control[17] else None
    for field, kind in _OF_AN_ORDER:
        _persons(walk, made, control, field, kind, organization[0] if organization and field == 10 else None)
    if organization and not control[10]:
        walk.at(control, 17)
        agent = {"type": fixed_concept("enterer", _PARTICIPANT), "who": organization[0]}
        walk.gather(made, "agent", agent, {"who": 1}, "ORC-17")
    if control[18]:
        walk.at(control, 18)
        device = coded_device(control.first(18), walk)
        if device:
            walk.gather(made, "agent", {"who": device[0]}, {"who": 1}, "ORC-18")
    if not walk.has(made, "agent"):
        _sent_by(walk, made)


def _begun(walk: Walk, target: Draft, known_by: tuple[str, ...], segment: Segment) -> Draft:
    made = walk.draft("Provenance")
    made.natural = known_by
    walk.at(segment)
    walk.state(made, "target", target.reference, slot=f"{segment.name}#target")
    return made


def _recorded(walk: Walk, made: Draft, *candidates: tuple[Segment, int]) -> None:
    """When it was recorded: the first time of these that is told; R4 wants one."""
    for segment, field in candidates:
        if segment[field]:
            walk.at(segment, field)
            found = instant(segment.first(field), walk)
            if found:
                walk.state(made, "recorded", found[0], {"": 1}, slot="recorded")
                return
    walk.at(walk.message.header, 7)
    walk.state(made, "_recorded", {"extension": [{"url": _ABSENT, "valueCode": "unknown"}]}, slot="recorded")


def _occurred(walk: Walk, made: Draft, segment: Segment, field: int) -> None:
    if segment[field]:
        walk.at(segment, field)
        found = date_time(segment.first(field), walk)
        if found:
            walk.state(made, "occurredDateTime", found[0], {"": 1})


def _persons(
    walk: Walk, made: Draft, segment: Segment, field: int, kind: str, company: dict[str, Any] | None = None
) -> None:
    for number, value in enumerate(segment.repetitions(field), 1):
        if not value.raw or value.null:
            continue
        walk.at(segment, field, number)
        person = practitioner(value, walk)
        if person is None:
            continue
        agent: dict[str, Any] = {"type": fixed_concept(kind, _PARTICIPANT)} if kind else {}
        agent["who"] = person[0]
        parts: Parts = {"who": Place(segment.name, segment.number, field, number, component=1)}
        if company is not None:
            agent["onBehalfOf"] = company
            parts["onBehalfOf"] = Place(segment.name, segment.number, 17)
        walk.gather(made, "agent", agent, parts, f"{segment.name}-{field}")


def _sent_by(walk: Walk, made: Draft) -> None:
    """Where nobody is named it was done where the message was sent."""
    header = walk.message.header
    field = 4 if header[4] else 3
    walk.at(header, field)
    label = clean(header.text(field).strip()) or walk.mapping.name
    walk.gather(made, "agent", {"who": {"display": label}}, {"who.display": 1}, f"MSH-{field}")
