"""PV1, PV2: Encounter, and what an event makes of it. docs/hl7.md, "What events mean" """

from __future__ import annotations

from typing import Final

from fhir_server.validation.conditions import after
from hl7_gateway.conversion.datatypes.identifiers import pair
from hl7_gateway.conversion.datatypes.simple import stamp
from hl7_gateway.conversion.draft import DRAFT, Draft, Stated
from hl7_gateway.conversion.families.required import known_of
from hl7_gateway.conversion.maps.visit import PV1_ENCOUNTER, PV2_ENCOUNTER
from hl7_gateway.conversion.vocabulary import TERMINOLOGY
from hl7_gateway.conversion.walk import Walk
from hl7_gateway.message import Segment

STATUS: Final = {
    "A01": "in-progress",
    "A02": "in-progress",
    "A03": "finished",
    "A04": "in-progress",
    "A05": "planned",
    "A06": "in-progress",
    "A07": "in-progress",
    "A11": "cancelled",
    "A12": "in-progress",
    "A13": "in-progress",
    "A14": "planned",
    "A21": "onleave",
    "A22": "in-progress",
    "A23": "entered-in-error",
    "A27": "cancelled",
    "A38": "cancelled",
    "A52": "in-progress",
    "A53": "onleave",
}
"""What an event makes of the visit. Any other leaves it as it is: a correction of a finished visit does not reopen it.

A04 registers a patient who is there; few senders send more when an outpatient is seen, so that it is in progress.
A23 takes back what should not have been: the Encounter stays, as an error, since others may refer to it.
"""

_PERSON_EVENTS: Final = frozenset({"A18", "A24", "A28", "A29", "A30", "A31", "A34", "A35", "A36", "A37", "A39",
                                   "A40", "A43", "A46", "A47", "A60"})  # fmt: skip
"""Events about a person, of whom older versions send a PV1 that says nothing: only one with a number is a visit."""

_UNKNOWN_CLASS: Final = {"system": TERMINOLOGY + "v3-NullFlavor", "code": "UNK", "display": "unknown"}


def pv1(walk: Walk, segment: Segment) -> None:
    """A visit, which all that follows happened in."""
    patient = walk.current.get("Patient")
    if patient is None:
        return
    noted = walk.current.get("noted")
    if noted is not None and noted.type == "Observation":
        # An observation of the patient is over: what follows is of the visit.
        del walk.current["noted"]
    identifiers = [
        known for field in (19, 50) for value in segment.repetitions(field) if (known := pair(value, walk)) is not None
    ]
    if walk.event == "A45":
        # The visit had the number of MRG-5, of another patient, until now.
        moved = walk.segments.get("MRG")
        if moved is not None and (before := pair(moved.first(5), walk)) is not None:
            walk.at(moved, 5)
            identifiers = list(dict.fromkeys([before, *identifiers]))
    admitted, kind = segment.text(44).strip(), segment.text(2).strip()
    if not identifiers and (walk.event in _PERSON_EVENTS or not any(segment[field] for field in (2, 3, 7, 44))):
        walk.read(segment, 1, 2)
        return
    encounter = walk.draft("Encounter")
    encounter.identifiers = identifiers
    encounter.natural = ("PV1", DRAFT + patient.name, admitted, kind)
    walk.current["Encounter"] = encounter
    PV1_ENCOUNTER.apply(segment, encounter, walk)
    walk.at(segment)
    walk.state(encounter, "subject", patient.reference, slot="PV1#subject")
    if not known_of(encounter, "class"):
        walk.state(encounter, "class", _UNKNOWN_CLASS, slot="PV1#class", initial=True)
    _life_cycle(walk, segment, encounter)


def _life_cycle(walk: Walk, segment: Segment, encounter: Draft) -> None:
    event = walk.event if walk.message.message_type in ("ADT", "BAR") else ""
    status = STATUS.get(event)
    if status is None:
        first = "finished" if segment[45] else "planned" if segment.text(2) == "P" else "in-progress"
        walk.state(encounter, "status", first, slot="PV1#status", initial=True)
    else:
        header, event_segment = walk.message.header, walk.message.first("EVN")
        walk.at(event_segment if event_segment is not None and not header.text(9, 2) else header)
        walk.state(encounter, "status", status, slot="PV1#status")
    if event == "A03" and not segment[45]:
        _ended(walk, encounter)
    elif event == "A13":
        encounter.stated = [stated for stated in encounter.stated if stated.path != "period.end"]
        encounter.stated.append(Stated("period.end", "PV1-45", ()))
    elif event == "A12" and not segment[6]:
        # The transfer is taken back, and with it the place that the patient would have come from.
        encounter.stated.append(Stated("location", "PV1-6", ()))
    elif event == "A26":
        encounter.stated.append(Stated("location", "PV1-42", ()))
    elif event == "A25":
        encounter.stated.append(Stated("extension", "PV2-9", ()))


def _ended(walk: Walk, encounter: Draft) -> None:
    """A discharge whose time was not sent happened when the event did."""
    event = walk.message.first("EVN")
    for segment, field in ((event, 6), (event, 2), (walk.message.header, 7)):
        if segment is not None and segment[field]:
            walk.at(segment, field)
            ended = stamp(segment.text(field), walk)
            if ended is None:
                continue
            begun = [said.values[0].value for said in encounter.stated if said.path == "period.start" and said.values]
            # An event before the admission is not when the visit ended; nobody has said that it was.
            if not begun or not after(begun[-1], ended):
                walk.state(encounter, "period.end", ended, slot="PV1-45")
                return


def pv2(walk: Walk, segment: Segment) -> None:
    """More about the visit."""
    encounter = walk.current.get("Encounter")
    if encounter is not None:
        PV2_ENCOUNTER.apply(segment, encounter, walk)
