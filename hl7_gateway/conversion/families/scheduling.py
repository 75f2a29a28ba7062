"""SIU: Appointment, who and what takes part in it, and when. docs/hl7.md, "Appointments" """

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from hl7_gateway.conversion.datatypes.codes import concept
from hl7_gateway.conversion.datatypes.identifiers import ei_pair
from hl7_gateway.conversion.datatypes.names import xad, xtn
from hl7_gateway.conversion.datatypes.references import location, practitioner
from hl7_gateway.conversion.datatypes.simple import clean, instant, number
from hl7_gateway.conversion.draft import DRAFT, Draft
from hl7_gateway.conversion.families.family import Family
from hl7_gateway.conversion.families.roles import reached, works
from hl7_gateway.conversion.maps.scheduling import SCH_APPOINTMENT
from hl7_gateway.conversion.table import Convert
from hl7_gateway.conversion.vocabulary import vocabulary
from hl7_gateway.conversion.walk import Parts, Walk
from hl7_gateway.message import Segment
from hl7_gateway.problems import Place

STATUS: Final = {
    "S12": "booked",
    "S13": "booked",
    "S15": "cancelled",
    "S16": "cancelled",
    "S17": "entered-in-error",
    "S26": "noshow",
}
"""What an event makes of an appointment; any other leaves it as it is, unless SCH-25 tells."""

_UNTIMED: Final = frozenset({"proposed", "cancelled", "waitlist"})
"""Without a time R4 has appointments of these statuses only: constraint app-3."""

_TAKES_PART: Final = {"cancelled": "declined", "entered-in-error": "declined", "pending": "tentative"}
_MINUTES: Final = {
    "S": Decimal(1) / 60,
    "SEC": Decimal(1) / 60,
    "M": Decimal(1),
    "MIN": Decimal(1),
    "MINUTES": Decimal(1),
    "H": Decimal(60),
    "HR": Decimal(60),
    "HOURS": Decimal(60),
    "D": Decimal(1440),
}


def sch(walk: Walk, segment: Segment) -> None:
    """An appointment, known by the filler's number, else the placer's."""
    for name in ("ServiceRequest", "DiagnosticReport", "MedicationRequest"):
        walk.current.pop(name, None)
    made = walk.draft("Appointment")
    walk.current["Appointment"] = walk.current["noted"] = made
    known = [found for field in (2, 1) if (found := ei_pair(segment.first(field), walk)) is not None]
    made.identifiers = known
    SCH_APPOINTMENT.apply(segment, made, walk)
    _contacts(walk, segment)
    _status(walk, segment, made)
    if STATUS.get(walk.event) == "cancelled" and segment[6]:
        walk.at(segment, 6)
        reason = concept()(segment.first(6), walk)
        if reason:
            walk.state(made, "cancelationReason", *reason)
    patient = walk.current.get("Patient")
    if patient is not None:
        _patient(walk, made, patient)


def _contacts(walk: Walk, segment: Segment) -> None:
    """Where the contact persons of the placer and filler, and who entered it, can be found."""
    for who, telecom, address, where in ((12, 13, 14, 15), (16, 17, 18, 19), (20, 21, 0, 22)):
        if not segment[who] or not any(segment[field] for field in (telecom, address, where) if field):
            continue
        walk.at(segment, who)
        found = practitioner(segment.first(who), walk)
        person = walk.mentioned(found[0]) if found else None
        if person is None:
            continue
        reached(walk, segment, telecom, person, "telecom", xtn("work"))
        if address:
            reached(walk, segment, address, person, "address", xad)
        walk.at(segment, where)
        place = location(segment.first(where), walk) if segment[where] else None
        if place:
            works(walk, person, None, place, segment, where)


def _status(walk: Walk, segment: Segment, made: Draft) -> None:
    walk.at(segment, 25)
    target = vocabulary("FillerStatusCodes[Appointment]").get(segment.text(25).strip().capitalize())
    status = STATUS.get(walk.event)
    known = status or (target.code if target is not None else "")
    if known and known != "cancelled":
        # Only a cancelled appointment may have a reason for that: constraint app-4.
        walk.take_back(made, "cancelationReason", "SCH-6")
    if status is None and target is not None:
        walk.state(made, "status", target.code, {"": 1}, slot="SCH-25")
        return
    if status is not None:
        walk.at(walk.message.header)
    walk.state(made, "status", status or "booked", slot="SCH-25", initial=status is None)


def takes_part(walk: Walk, made: Draft) -> None:
    """The patient takes part in the appointment, which stands before them."""
    walk.current["Appointment"] = walk.current["noted"] = made
    _patient(walk, made, walk.current["Patient"])


def _patient(walk: Walk, made: Draft, patient: Draft) -> None:
    if not made.identifiers and not made.natural:
        made.natural = ("SCH", DRAFT + patient.name)
    walk.at(walk.segments.get("PID") or walk.message.header)
    walk.gather(
        made, "participant", {"actor": patient.reference, "status": "accepted"}, {"actor": 3}, "PID#participant"
    )


def rgs(walk: Walk, segment: Segment) -> None:
    """The beginning of a group of services, people, places and things: an Appointment has them all alike."""
    walk.read(segment, 1, 2, 3)


def ais(walk: Walk, segment: Segment) -> None:
    """A service of the appointment."""
    made = walk.current.get("Appointment")
    walk.read(segment, 1, 2, 4, 5, 6, 7, 8, 10)
    if made is None:
        return
    walk.current["noted"] = made
    if segment[3]:
        walk.at(segment, 3)
        found = concept()(segment.first(3), walk)
        if found:
            walk.gather(made, "serviceType", *found, slot="AIS-3")


def aip(walk: Walk, segment: Segment) -> None:
    """Somebody who takes part."""
    _resource(walk, segment, practitioner, (6, 9, 10, 12))


def ail(walk: Walk, segment: Segment) -> None:
    """Where it takes place."""
    _resource(walk, segment, location, (6, 9, 10, 12))


def aig(walk: Walk, segment: Segment) -> None:
    """Equipment or another resource, by its name."""
    _resource(walk, segment, _named, (8, 11, 12, 14))


def _named(value: Any, walk: Walk) -> Any:
    said = clean(value.part(2).strip() or value.part(1).strip())
    return ({"display": said}, {"display": 2}) if said else None


def _resource(walk: Walk, segment: Segment, convert: Convert, fields: tuple[int, int, int, int]) -> None:
    made = walk.current.get("Appointment")
    start, duration, units, status = fields
    walk.read(segment, 1, 2, 4, start, duration, units, status)
    if made is None:
        return
    walk.current["noted"] = made
    if segment.text(2).strip() == "D":
        return
    for repetition, value in enumerate(segment.repetitions(3), 1):
        walk.at(segment, 3, repetition)
        actor = convert(value, walk) if value.raw and not value.null else None
        if actor is None:
            continue
        target = vocabulary("FillerStatusCodes[Appointment]").get(segment.text(status).strip().capitalize())
        said: dict[str, Any] = {
            "actor": actor[0],
            "status": _TAKES_PART.get(target.code if target else "", "accepted"),
        }
        kind = concept()(segment.first(4), walk) if segment[4] else None
        if kind:
            said["type"] = [kind[0]]
        walk.at(segment, start)
        stated = instant(segment.first(start), walk) if segment[start] else None
        begun = stated[0] if stated else _offset(walk, segment, start + 1)
        if begun:
            said["period"] = {"start": begun}
            lasting = _duration(walk, segment, duration, units)
            if lasting is not None:
                said["period"]["end"] = _later(begun, lasting)
        parts: Parts = {"actor": Place(segment.name, segment.number, 3, repetition)}
        walk.at(segment, 3, repetition)
        walk.gather(made, "participant", said, parts, segment.name)


def _offset(walk: Walk, segment: Segment, field: int) -> str | None:
    """When somebody is needed of whom no time is told: so long after the appointment begins, or before it."""
    scheduled = walk.segments.get("SCH")
    length = number(segment.text(field)) if segment[field] else None
    if scheduled is None or length is None or abs(length) > 1_000_000:
        return None
    begun = instant(scheduled.first(11).component(4), walk)
    if begun is None:
        return None
    walk.read(segment, field, field + 1)
    return _later(begun[0], length * _MINUTES.get(segment.text(field + 1).strip().upper() or "MIN", Decimal(1)))


def finish_scheduling(walk: Walk) -> None:
    """When the appointments are: TQ1, else SCH-11, else the first service, person, place or thing with a time."""
    times = _times(walk)
    for made in [draft for draft in walk.conversion.drafts if draft.type == "Appointment"]:
        if times is not None:
            (begun, ended), place = times
            walk.here = place
            walk.state(made, "start", begun, slot="SCH#start")
            walk.state(made, "end", ended, slot="SCH#end")
            said = _of_the_appointment(walk)
            minutes = int(said) if said is not None and said >= 1 else _minutes_between(begun, ended)
            if 0 < minutes < 2**31:
                walk.state(made, "minutesDuration", minutes, slot="SCH-9")
        else:
            for number_, stated in enumerate(made.stated):
                if stated.path == "status" and stated.initial and stated.values[0].value not in _UNTIMED:
                    del made.stated[number_]
                    walk.at(walk.message.header)
                    walk.state(made, "status", "proposed", slot="SCH-25", initial=True)
                    break
        if not walk.has(made, "participant"):
            unknown = {"status": "needs-action", "type": [{"text": "unknown"}]}
            walk.state(made, "participant", unknown, slot="PID#participant", initial=True)


_Here = tuple[Segment, int, int]


def _times(walk: Walk) -> tuple[tuple[str, str], _Here] | None:
    message = walk.message
    for name, start, end, duration, units in (
        ("TQ1", 7, 8, 0, 0),
        ("SCH", 11, 11, 9, 10),
        ("AIS", 4, 0, 7, 8),
        ("AIP", 6, 0, 9, 10),
        ("AIL", 6, 0, 9, 10),
        ("AIG", 8, 0, 11, 12),
    ):
        for segment in _timings(walk) if name == "TQ1" else message.all(name):
            found = _time(walk, segment, start, end, duration, units)
            if found is not None:
                return found, (segment, start, 1)
    return None


def _timings(walk: Walk) -> list[Segment]:
    """The TQ1 that stand under an SCH, and not under an order."""
    found, ordered = [], False
    for segment in walk.message.segments:
        if segment.name in _ORDERS:
            ordered = True
        elif segment.name == "SCH":
            ordered = False
        elif segment.name == "TQ1" and not ordered:
            found.append(segment)
    return found


_ORDERS: Final = frozenset({"ORC", "OBR", "RXO", "RXE", "RXD"})


def _time(walk: Walk, segment: Segment, start: int, end: int, duration: int, units: int) -> tuple[str, str] | None:
    walk.at(segment, start)
    timing = segment.name == "SCH"
    sent = segment.first(start).component(4) if timing else segment.first(start)
    begun = instant(sent, walk) if sent.text.strip() else None
    if begun is None:
        return None
    until = segment.first(end).component(5) if timing else segment.first(end) if end else None
    if until is not None and until.text.strip():
        walk.read(segment, end)
        ended = instant(until, walk)
        if ended is not None and datetime.fromisoformat(ended[0]) >= datetime.fromisoformat(begun[0]):
            return begun[0], ended[0]
        walk.warn("The appointment ends before it starts; its end was left out.")
    minutes = _duration(walk, segment, duration, units) or _of_the_appointment(walk)
    return begun[0], _later(begun[0], minutes or Decimal(0))


def _of_the_appointment(walk: Walk) -> Decimal | None:
    segment = walk.segments.get("SCH")
    return _duration(walk, segment, 9, 10) if segment is not None else None


def _duration(walk: Walk, segment: Segment, field: int, units: int) -> Decimal | None:
    length = number(segment.text(field)) if field else None
    if length is None or not 0 <= length <= 1_000_000:
        return None
    walk.read(segment, field, units)
    return length * _MINUTES.get(segment.text(units).strip().upper() or "MIN", Decimal(1))


def _later(begun: str, minutes: Decimal) -> str:
    moment = datetime.fromisoformat(begun)
    try:
        return (moment + timedelta(minutes=float(minutes))).isoformat()
    except OverflowError:
        return begun


def _minutes_between(begun: str, ended: str) -> int:
    return int((datetime.fromisoformat(ended) - datetime.fromisoformat(begun)).total_seconds() // 60)


SCHEDULING: Final = Family("scheduling", {})
