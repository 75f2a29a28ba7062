"""PRT-10 and PRT-16 to 22: Device. https://hl7.org/fhir/uv/v2mappings/segment_maps.html"""

from __future__ import annotations

from hl7_gateway.conversion.datatypes.codes import concept
from hl7_gateway.conversion.datatypes.identifiers import ei, ei_pair
from hl7_gateway.conversion.datatypes.simple import clean, date_time, first
from hl7_gateway.conversion.draft import Draft
from hl7_gateway.conversion.walk import Walk
from hl7_gateway.message import Segment


def participating(walk: Walk, segment: Segment) -> Draft | None:
    """The device of a PRT, known by its number (PRT-10), else by its kind, lot and serial number (UDI)."""
    number = ei_pair(segment.first(10), walk)
    udi = tuple(clean(segment.text(field).strip()) for field in (16, 19, 20))
    if number is None and not any(udi):
        return None
    made, new = walk.stub("Device", number or ("UDI", *udi))
    if not new:
        walk.read(segment, 10, *range(16, 23))
        return made
    if number is not None:
        made.identifiers = [number]
    else:
        made.natural = ("UDI", *udi)
    for field, path, convert in (
        (10, "identifier", ei()),
        (17, "manufactureDate", date_time),
        (18, "expirationDate", date_time),
        (19, "lotNumber", first),
        (20, "serialNumber", first),
        (21, "distinctIdentifier", first),
        (22, "type", concept()),
    ):
        if segment[field] and segment[field] != '""':
            walk.at(segment, field)
            found = convert(segment.first(field), walk)
            if found:
                walk.state(made, path, *found)
    if udi[0]:
        walk.at(segment, 16)
        walk.state(made, "udiCarrier", {"deviceIdentifier": udi[0]}, {"deviceIdentifier": 1})
    return made
