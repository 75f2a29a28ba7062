"""Appointment as SCH, NTE, RGS, AIS, AIP and AIL. https://hl7.org/fhir/uv/v2mappings/segment_maps.html"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hl7_gateway.outbound.building import places
from hl7_gateway.outbound.building.codes import translated
from hl7_gateway.outbound.building.sources import Resource, Sources, found
from hl7_gateway.outbound.building.text import Fields, components, segment, text
from hl7_gateway.outbound.building.writer import Writer, usual_identifier

_MINUTES: Final = "min^minute^UCUM"

People = list[tuple[Resource, Resource]]
"""Participants with the resources that they are."""


def participants(appointment: Resource, sources: Sources) -> People:
    """Who and what takes part, as far as it is known."""
    listed = []
    for one in appointment.get("participant", ()):
        actor = found(sources, one.get("actor"), appointment)
        if actor is not None:
            listed.append((one, actor))
    return listed


def patient_of(appointment: Resource, sources: Sources) -> Resource | None:
    """The patient who is to come."""
    actors = (actor for _, actor in participants(appointment, sources))
    return next((actor for actor in actors if actor.get("resourceType") == "Patient"), None)


def sch(appointment: Resource, sources: Sources, writer: Writer) -> Fields:
    """The fields of SCH."""
    known = {writer.kind_of(one): one for one in appointment.get("identifier", ())}
    filler = known.get("FILL") or usual_identifier(appointment) or writer.own(appointment)
    status = appointment.get("status", "")
    start, end = (writer.moment(appointment.get(one, "")) for one in ("start", "end"))
    doctor = next(
        (one for one in participants(appointment, sources) if one[1].get("resourceType") == "Practitioner"), None
    )
    # Who filled the slot and who entered it must be told, and a FHIR Appointment does not say it.
    contact = writer.xcn(doctor[1]) if doctor else components("", text(writer.configuration.application))
    minutes = appointment.get("minutesDuration")
    cancelled = writer.concept(appointment.get("cancelationReason"), "SCH-6")
    return {
        1: writer.ei(known.get("PLAC", {})),
        2: writer.ei(filler),
        6: cancelled or components("", text(status)),
        7: writer.concept(next(iter(appointment.get("reasonCode", ())), None), "SCH-7", "0276"),
        8: writer.concept(appointment.get("appointmentType"), "SCH-8", "0276"),
        9: "" if minutes is None else str(minutes),
        10: "" if minutes is None else _MINUTES,
        11: components("", "", "", start, end),
        16: contact,
        20: components("", text(writer.configuration.application)),
        25: components(translated("FillerStatusCodes[Appointment]").get(status, "Booked"), "", "HL70278"),
    }


def notes(appointment: Resource) -> Iterator[str]:
    """NTE of what is said about it."""
    said = [appointment.get("description", ""), appointment.get("comment", "")]
    for number, one in enumerate((one for one in said if one), 1):
        yield segment("NTE", {1: str(number), 3: text(one)})


def resources(appointment: Resource, sources: Sources, writer: Writer) -> Iterator[str]:
    """RGS, and the service, places and people below it."""
    yield segment("RGS", {1: "1", 2: "A"})
    start = writer.moment(appointment.get("start", ""))
    minutes = str(appointment.get("minutesDuration", ""))
    unit = _MINUTES if minutes else ""
    for number, one in enumerate(appointment.get("serviceType", ()), 1):
        yield segment("AIS", {1: str(number), 2: "A", 3: writer.concept(one, "AIS-3"), 4: start, 7: minutes, 8: unit})
    there = participants(appointment, sources)
    here = [actor for _, actor in there if actor.get("resourceType") == "Location"]
    for number, place in enumerate(here, 1):
        yield segment("AIL", {1: str(number), 2: "A", 3: places.pl(place, sources), 6: start})
    people = [(one, actor) for one, actor in there if actor.get("resourceType") in ("Practitioner", None)]
    for number, (one, actor) in enumerate(people, 1):
        role = writer.concept(next(iter(one.get("type", ())), None), "AIP-4")
        yield segment("AIP", {1: str(number), 2: "A", 3: writer.xcn(actor), 4: role, 6: start})
