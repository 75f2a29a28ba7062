"""ACC: an accident that the visit is about. docs/hl7.md"""

from __future__ import annotations

from typing import Any, Final

from hl7_gateway.conversion.datatypes.codes import concept
from hl7_gateway.conversion.datatypes.simple import clean, stamp
from hl7_gateway.conversion.draft import DRAFT
from hl7_gateway.conversion.walk import Parts, Walk
from hl7_gateway.message import Segment
from hl7_gateway.problems import Place

_ASKED: Final = ((5, "Job related"), (6, "Death"), (10, "Police notified"))
_TOLD: Final = ((3, "Location"), (11, "Address"))


def accident(walk: Walk, segment: Segment) -> None:
    """An accident as an observation of the patient: R4 has a place of its own for it in claims alone."""
    patient, encounter = walk.current.get("Patient"), walk.current.get("Encounter")
    if patient is None or not any(segment[field] for field in (1, 2, 3, 8)):
        return
    made = walk.draft("Observation")
    visit = DRAFT + encounter.name if encounter is not None else ""
    made.natural = ("ACC", DRAFT + patient.name, visit, segment.text(1).strip())
    walk.at(segment)
    walk.state(made, "status", "final", slot="ACC#status")
    walk.state(made, "code", {"text": "Accident"}, slot="ACC#code")
    walk.state(made, "subject", patient.reference, slot="ACC#subject")
    if encounter is not None:
        walk.state(made, "encounter", encounter.reference, slot="ACC#encounter")
    if segment[1]:
        walk.at(segment, 1)
        when = stamp(segment.text(1), walk)
        if when:
            walk.state(made, "effectiveDateTime", when, {"": 1})
    if segment[2]:
        walk.at(segment, 2)
        kind = concept(table="0050")(segment.first(2), walk)
        if kind:
            walk.state(made, "valueCodeableConcept", *kind)
    said = clean(segment.first(8).whole.strip()) if segment[8] else ""
    if said:
        walk.at(segment, 8)
        walk.state(made, "note", {"text": said}, {"text": 0})
    for component, parts in _components(walk, segment):
        walk.gather(made, "component", component, parts, "ACC#component")


def _components(walk: Walk, segment: Segment) -> list[tuple[dict[str, Any], Parts]]:
    found: list[tuple[dict[str, Any], Parts]] = []
    for field, label in _ASKED:
        sent = segment.text(field).strip().upper()
        if sent in ("Y", "N"):
            walk.read(segment, field)
            parts: Parts = {"valueBoolean": Place("ACC", segment.number, field)}
            found.append(({"code": {"text": label}, "valueBoolean": sent == "Y"}, parts))
    for field, label in _TOLD:
        value = segment.first(field)
        words = [clean(value.part(number).strip()) for number in range(1, value.count + 1)] if segment[field] else []
        said = ", ".join(word for word in words if word)
        if said:
            walk.read(segment, field)
            found.append(
                ({"code": {"text": label}, "valueString": said}, {"valueString": Place("ACC", segment.number, field)})
            )
    return found
