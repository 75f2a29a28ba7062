"""ORC, RXO, RXE, RXD and what follows them: MedicationRequest, MedicationDispense. docs/hl7.md

The order as it was given (RXO) and as the pharmacy encoded it (RXE) are one MedicationRequest: what RXE says counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hl7_gateway.conversion.datatypes.codes import code
from hl7_gateway.conversion.datatypes.identifiers import ei_pair
from hl7_gateway.conversion.datatypes.simple import clean
from hl7_gateway.conversion.draft import DRAFT, Draft
from hl7_gateway.conversion.families.clinical import key_of
from hl7_gateway.conversion.families.dosage import dosages
from hl7_gateway.conversion.families.family import Family
from hl7_gateway.conversion.families.ordering import ordering_facility
from hl7_gateway.conversion.families.participants import GONE, took_part
from hl7_gateway.conversion.families.provenances import told_of_the_order
from hl7_gateway.conversion.families.required import known_of
from hl7_gateway.conversion.maps.orders import PRIORITIES
from hl7_gateway.conversion.maps.pharmacy import (
    ORC_MEDICATION_REQUEST,
    RXD_MEDICATION,
    RXD_MEDICATION_DISPENSE,
    RXE_MEDICATION,
    RXE_MEDICATION_REQUEST,
    RXO_MEDICATION,
    RXO_MEDICATION_REQUEST,
    ingredient,
    prescriptions,
)
from hl7_gateway.conversion.table import SegmentMap
from hl7_gateway.conversion.walk import Walk
from hl7_gateway.message import Segment

_HEADS: Final = frozenset({"ORC", "OBR", "RXO", "RXE", "RXD", "RXG", "RXA", "PID", "TXA", "SCH"})
"""Segments that what follows belongs to."""

_BY_STATUS: Final = {
    "A": "active", "CA": "cancelled", "CM": "completed", "DC": "stopped", "ER": "entered-in-error", "HD": "on-hold",
    "IP": "active", "RP": "stopped", "SC": "active",
}  # fmt: skip
"""Table 0038 as https://hl7.org/fhir/R4/valueset-medicationrequest-status.html: the guide's map is of requests."""

_BY_CONTROL: Final = {
    "NW": "active", "OK": "active", "RL": "active", "OR": "active", "OE": "active", "RO": "active", "XO": "active",
    "XX": "active", "XR": "active", "CA": "cancelled", "CR": "cancelled", "OC": "cancelled", "UA": "cancelled",
    "DC": "stopped", "DR": "stopped", "OD": "stopped", "RP": "stopped", "RU": "stopped", "HD": "on-hold",
    "HR": "on-hold", "OH": "on-hold", "DE": "entered-in-error",
}  # fmt: skip
"""Table 0119: what a control makes of the order. Any other leaves it as it is."""


def rxo(walk: Walk, segment: Segment) -> None:
    """An order as it was given; where the pharmacy has encoded it, it waits for that."""
    if not any(follower.name == "RXE" for follower in _following(walk, frozenset({"ORC", "RXO", "PID"}))):
        walk.segments.pop("RXE", None)
        _order(walk, segment, None)


def rxe(walk: Walk, segment: Segment) -> None:
    """An order as the pharmacy encoded it."""
    _order(walk, walk.segments.pop("RXO", None), segment)


def _following(walk: Walk, heads: frozenset[str]) -> Iterator[Segment]:
    """The segments after this one, up to the next head."""
    for place in range(walk.index + 1, len(walk.message.segments)):
        segment = walk.message.segments[place]
        if segment.name in heads:
            return
        yield segment


def _before(walk: Walk, segment: Segment) -> Iterator[Segment]:
    """The segments between an ORC and ``segment``: what is told of the order before it is told what it is."""
    for place in range(segment.position - 1, 0, -1):
        found = walk.message.segments[place]
        if found.name in _HEADS:
            return
        yield found


def partake(walk: Walk, segment: Segment, made: Draft) -> None:
    """Who took part, as the PRT between an ORC and ``segment`` tell: they stand before what they are about."""
    for one in [*_before(walk, segment)][::-1]:
        if one.name == "PRT" and one.text(2).strip().upper() not in GONE:
            took_part(walk, one, made)


def after(walk: Walk, segment: Segment) -> list[Segment]:
    """What follows a segment and belongs to it."""
    found = []
    for place in range(segment.position + 1, len(walk.message.segments)):
        if walk.message.segments[place].name in _HEADS:
            break
        found.append(walk.message.segments[place])
    return found


def _order(walk: Walk, rxo_segment: Segment | None, rxe_segment: Segment | None) -> Draft | None:
    head = rxe_segment or rxo_segment
    patient = walk.current.get("Patient")
    if patient is None or head is None:
        return None
    made = _identified(walk, patient, head, rxe_segment.text(15) if rxe_segment is not None else "")
    if rxo_segment is not None:
        RXO_MEDICATION_REQUEST.apply(rxo_segment, made, walk)
    if rxe_segment is not None:
        ordered = made.stated
        made.stated = []
        RXE_MEDICATION_REQUEST.apply(rxe_segment, made, walk)
        encoded = {said.path for said in made.stated} - {"note", "identifier"}
        made.stated = [said for said in ordered if said.path not in encoded] + made.stated
        _ordered_otherwise(walk, rxo_segment, rxe_segment, made)
    _controlled(walk, made)
    control = walk.segments.get("ORC")
    if control is not None:
        told_of_the_order(walk, control, made, (10,))
        partake(walk, rxo_segment or head, made)
    _about(walk, made, patient)
    order_parts = after(walk, rxo_segment) if rxo_segment is not None else []
    own = after(walk, rxe_segment) if rxe_segment is not None else []
    timed = _chosen("TQ1", own, order_parts, [*_before(walk, rxo_segment or head)][::-1])
    routes = _chosen("RXR", own, order_parts)
    for said in dosages(walk, rxo_segment, rxe_segment, timed, routes):
        walk.gather(made, "dosageInstruction", *said, slot="RXE")
    _priority(walk, made, timed)
    rows = RXE_MEDICATION if rxe_segment is not None else RXO_MEDICATION
    produce(walk, made, head, rows, _chosen("RXC", own, order_parts))
    walk.current["MedicationRequest"] = walk.current["noted"] = made
    return made


def _chosen(name: str, *groups: list[Segment]) -> list[Segment]:
    """The segments of a name in the first group that has any."""
    for group in groups:
        found = [segment for segment in group if segment.name == name]
        if found:
            return found
    return []


def _identified(walk: Walk, patient: Draft, head: Segment, number: str) -> Draft:
    """A new draft, known by the placer's and the filler's number, else by that of the prescription."""
    made = walk.draft("MedicationRequest")
    control = walk.segments.get("ORC")
    if control is not None:
        made.identifiers = [known for field in (2, 3) if (known := ei_pair(control.first(field), walk)) is not None]
    said = clean(number.strip())
    if said:
        made.identifiers.append((prescriptions(walk), said))
    when = control.text(9).strip() if control is not None else ""
    made.natural = ("RX", DRAFT + patient.name, key_of(head, 2 if head.name != "RXO" else 1), when)
    return made


def _controlled(walk: Walk, made: Draft) -> None:
    """What the ORC says, and the status that it leaves the order in."""
    control = walk.segments.get("ORC")
    status = None
    if control is not None:
        stated = {said.path for said in made.stated if said.slot in ("RXE-13", "RXO-14", "RXE-32")}
        ORC_MEDICATION_REQUEST.apply(control, made, walk)
        if control[21] or control[24]:
            ordering_facility(walk, control, made)
        for path in stated:
            if sum(said.path == path for said in made.stated) > 1:
                made.stated = [said for said in made.stated if said.path != path or said.slot.startswith("ORC")]
        field, status = 5, _BY_STATUS.get(control.text(5).strip().upper())
        if status is None and walk.message.message_type != "RDS":
            field, status = 1, _BY_CONTROL.get(control.text(1).strip().upper())
        walk.at(control, field)
    if status is not None:
        walk.state(made, "status", status, {"": 1}, slot="ORC-5")
    else:
        walk.state(made, "status", "active", slot="ORC-5", initial=True)


def _about(walk: Walk, made: Draft, patient: Draft) -> None:
    head = walk.here[0]
    walk.at(head)
    walk.state(made, "intent", "order", slot="RX#intent", initial=True)
    walk.state(made, "subject", patient.reference, slot="RX#subject")
    encounter = walk.current.get("Encounter")
    if encounter is not None:
        walk.state(made, "encounter", encounter.reference, slot="RX#encounter")
    coverage = walk.current.get("Coverage")
    if coverage is not None:
        walk.state(made, "insurance", coverage.reference, slot="RX#insurance")
    if not known_of(made, "medicationCodeableConcept"):
        walk.state(made, "medicationCodeableConcept", {"text": "unknown"}, slot="RXE-2", initial=True)


def _ordered_otherwise(walk: Walk, ordered: Segment | None, encoded: Segment, made: Draft) -> None:
    """The pharmacy chose another product than was ordered: whoever gives it should know."""
    if ordered is None or not ordered[1] or key_of(ordered, 1) == key_of(encoded, 2):
        return
    value = ordered.first(1)
    label = clean(value.part(2).strip() or value.part(1).strip())
    if label:
        walk.at(ordered, 1)
        walk.gather(made, "note", {"text": f"Ordered: {label}"}, {"text": 2}, "RXO-1")


def _priority(walk: Walk, made: Draft, timed: list[Segment]) -> None:
    for segment in timed:
        if segment.text(9).strip() in PRIORITIES:
            walk.at(segment, 9)
            found = code("ExtendedPriorityCodes")(segment.first(9), walk)
            if found:
                walk.state(made, "priority", *found, slot="TQ1-9")
                return


def produce(walk: Walk, owner: Draft, head: Segment, rows: SegmentMap, parts: list[Segment]) -> None:
    """The product itself, where more is known of it than a code: its form and strength, and what it is mixed of.

    Clients look for the code in the request; the rest stands in a Medication beside it.
    """
    if not parts and not any(head[row.field] for row in rows.rows if row.path != "code"):
        return
    made = walk.draft("Medication")
    made.natural = (head.name, DRAFT + owner.name)
    rows.apply(head, made, walk)
    for segment in parts:
        found = ingredient(segment, walk)
        if found:
            walk.gather(made, "ingredient", *found, slot="RXC")
    if not made.stated and not parts:
        walk.conversion.drafts.pop()
        return
    walk.at(head)
    walk.state(owner, "supportingInformation", made.reference, slot="RX#product")


def rxd(walk: Walk, segment: Segment) -> None:
    """What was dispensed of the order before it, else of the prescription of RXD-7."""
    patient = walk.current.get("Patient")
    if patient is None:
        return
    order = walk.current.get("MedicationRequest")
    if order is None:
        order = mentioned(walk, segment, patient, RXD_MEDICATION_DISPENSE, 7)
    made = walk.draft("MedicationDispense")
    walk.current["MedicationDispense"] = walk.current["noted"] = made
    number = segment.text(1).strip() or segment.text(3).strip()
    made.natural = ("RXD", DRAFT + order.name, number)
    RXD_MEDICATION_DISPENSE.apply(segment, made, walk)
    walk.at(segment)
    if not known_of(made, "medicationCodeableConcept"):
        walk.state(made, "medicationCodeableConcept", {"text": "unknown"}, slot="RXD-2", initial=True)
    walk.state(made, "status", "completed", slot="RXD#status")
    walk.state(made, "subject", patient.reference, slot="RXD#subject")
    walk.state(made, "authorizingPrescription", order.reference, slot="RXD-7")
    encounter = walk.current.get("Encounter")
    if encounter is not None:
        walk.state(made, "context", encounter.reference, slot="RXD#context")
    own = after(walk, segment)
    for said in dosages(walk, None, segment, _chosen("TQ1", own), _chosen("RXR", own)):
        walk.gather(made, "dosageInstruction", *said, slot="RXD")
    produce(walk, made, segment, RXD_MEDICATION, _chosen("RXC", own))


def mentioned(walk: Walk, segment: Segment, patient: Draft, rows: SegmentMap, number: int = 0) -> Draft:
    """The order of which nothing is said but that something was dispensed or given of it: what is there is not changed.

    ``rows`` tell what it is of; field ``number`` has that of the prescription.
    """
    prescribed = segment.text(number) if number else ""
    made = _identified(walk, patient, segment, prescribed)
    made.stub = True
    walk.current["MedicationRequest"] = made
    walk.at(segment, number)
    said = clean(prescribed.strip())
    if said:
        walk.state(made, "identifier", {"system": prescriptions(walk), "value": said}, slot="RXE-15")
    for one in rows.rows:
        if one.path == "medicationCodeableConcept" and segment[one.field]:
            walk.at(segment, one.field)
            found = one.convert(segment.first(one.field), walk)
            if found:
                walk.state(made, "medicationCodeableConcept", *found, slot="RXE-2")
    _controlled(walk, made)
    _about(walk, made, patient)
    return made


def told_before(walk: Walk, segment: Segment) -> None:
    """RXC: the segment that it belongs to has read it."""


PHARMACY: Final = Family("medication", {})
