"""ORC-21 to 24, TQ1, and what stands between an ORC and its order. docs/hl7.md, "Results" """

from __future__ import annotations

from typing import Any

from hl7_gateway.conversion.datatypes.codes import code
from hl7_gateway.conversion.datatypes.names import xad, xtn
from hl7_gateway.conversion.datatypes.quantities import cq
from hl7_gateway.conversion.datatypes.references import organization_of
from hl7_gateway.conversion.datatypes.schedule import of_tq1
from hl7_gateway.conversion.datatypes.simple import clean, spanning
from hl7_gateway.conversion.draft import Draft
from hl7_gateway.conversion.families.observations import nte
from hl7_gateway.conversion.families.participants import GONE, took_part
from hl7_gateway.conversion.families.roles import reached, works
from hl7_gateway.conversion.maps.orders import PRIORITIES
from hl7_gateway.conversion.walk import Walk
from hl7_gateway.message import Segment


def told_before(walk: Walk) -> None:
    """What stands between the control of the order that has begun and itself: when, by whom, and notes."""
    segments = walk.message.segments
    place = walk.index - 1
    while place > 0 and segments[place].name in ("TQ1", "TQ2", "NTE", "PRT"):
        place -= 1
    order = walk.current.get("ServiceRequest")
    if order is None or segments[place].name != "ORC":
        return
    walk.current["noted"] = order
    for segment in segments[place + 1 : walk.index]:
        if segment.name == "TQ1":
            tq1(walk, segment)
        elif segment.name == "NTE":
            nte(walk, segment)
        elif segment.name == "PRT" and segment.text(2).strip().upper() not in GONE:
            took_part(walk, segment, order)


def ordering_facility(walk: Walk, control: Segment, made: Draft) -> None:
    """Where who has ordered works (ORC-21 to 23), and their own address (ORC-24)."""
    asked: dict[str, Any] = next(
        (said.values[0].value for said in made.stated if said.path == "requester" and said.values), {}
    )
    person = walk.mentioned(asked)
    if person is not None and person.type == "Practitioner":
        reached(walk, control, 24, person, "address", xad)
    walk.at(control, 21)
    company = organization_of(control.first(21), walk) if control[21] else None
    if company is None:
        return
    reached(walk, control, 22, company, "address", xad)
    reached(walk, control, 23, company, "telecom", xtn("work"))
    if person is not None and person.type == "Practitioner":
        works(walk, person, company, None, control, 21)
    elif not asked:
        walk.at(control, 21)
        walk.state(made, "requester", company.reference, {"": 1}, slot="ORC-12")


def tq1(walk: Walk, segment: Segment) -> None:
    """When and how urgently an order is to be carried out."""
    order = walk.current.get("ServiceRequest")
    if order is None:
        return
    walk.read(segment, 1)
    for field in (10, 11):
        said = clean(segment.first(field).whole.strip()) if segment[field] else ""
        if said:
            walk.at(segment, field)
            walk.gather(order, "note", {"text": said}, {"text": 0}, f"TQ1-{field}")
    measured = cq(segment.first(2), walk) if segment[2] else None
    if measured:
        walk.at(segment, 2)
        walk.state(order, "quantityQuantity", *measured)
    walk.at(segment, 9)
    if segment.text(9).strip() in PRIORITIES:
        found = code("ExtendedPriorityCodes")(segment.first(9), walk)
        if found:
            walk.state(order, "priority", *found)
    if not any(segment[field] for field in (3, 4, 13, 14)):
        timed(walk, segment, (7, 8), order, "occurrence", "OBR-6")
        return
    timing = of_tq1(segment, walk)
    if timing is None:
        return
    made, parts = timing
    for stated in order.stated:
        if stated.path == "occurrenceDateTime" and stated.values:
            # When it is wanted (OBR-6) is told beside how often.
            made["event"] = [stated.values[0].value]
            parts["event[0]"] = stated.values[0].places[""]
    order.stated = [stated for stated in order.stated if not stated.path.startswith("occurrence")]
    walk.state(order, "occurrenceTiming", made, parts, slot="OBR-6")


def timed(walk: Walk, segment: Segment, fields: tuple[int, int], made: Draft, element: str, slot: str) -> None:
    """A period of two fields, or a time where there is no end."""
    walk.at(segment, fields[0])
    lasting = spanning(segment, *fields, walk)
    if lasting is None or "start" not in lasting[0]:
        return
    made.stated = [said for said in made.stated if not said.path.startswith(element)]
    if "end" in lasting[0]:
        walk.state(made, f"{element}Period", *lasting, slot=slot)
    else:
        walk.state(made, f"{element}DateTime", lasting[0]["start"], slot=slot)
