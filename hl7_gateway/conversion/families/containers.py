"""SAC: the container that a specimen is in. https://hl7.org/fhir/R4/specimen.html"""

from __future__ import annotations

from typing import Any

from hl7_gateway.conversion.datatypes.identifiers import ei
from hl7_gateway.conversion.datatypes.quantities import unit
from hl7_gateway.conversion.datatypes.simple import number
from hl7_gateway.conversion.families.required import known_of
from hl7_gateway.conversion.walk import Parts, Walk
from hl7_gateway.message import Segment
from hl7_gateway.problems import Place


def sac(walk: Walk, segment: Segment) -> None:
    """A container of the specimen before it: its numbers, how much goes into it, and how much there is."""
    specimen = walk.current.get("Specimen")
    walk.read(segment, 1)
    if specimen is None:
        return
    made: dict[str, Any] = {}
    parts: Parts = {}
    for field in (3, 4):
        walk.at(segment, field)
        found = ei()(segment.first(field), walk) if segment[field] else None
        if found:
            parts[f"identifier[{len(made.setdefault('identifier', []))}].value"] = Place("SAC", segment.number, field)
            made["identifier"].append(found[0])
    units = unit(segment.first(24), walk) if segment[24] else {}
    for field, element in ((21, "capacity"), (22, "specimenQuantity")):
        measured = number(segment.text(field))
        if measured is not None:
            walk.at(segment, field)
            walk.read(segment, 24)
            made[element] = {"value": measured, **units}
            parts[f"{element}.value"] = Place("SAC", segment.number, field)
    if made:
        walk.at(segment)
        walk.gather(specimen, "container", made, parts, "SAC")
    if segment[2] and not known_of(specimen, "accessionIdentifier"):
        walk.at(segment, 2)
        accession = ei()(segment.first(2), walk)
        if accession:
            walk.state(specimen, "accessionIdentifier", *accession)
