"""RXA, RXR, ORC: an immunization. https://hl7.org/fhir/uv/v2mappings/segment_maps.html"""

from __future__ import annotations

from typing import Any, Final

from hl7_gateway.conversion.datatypes.codes import concept, fixed_concept
from hl7_gateway.conversion.datatypes.quantities import unit
from hl7_gateway.conversion.datatypes.references import location, named_organization, practitioner
from hl7_gateway.conversion.datatypes.simple import clean, date, date_time, first, number
from hl7_gateway.conversion.table import SegmentMap, many, one, within
from hl7_gateway.conversion.vocabulary import TERMINOLOGY
from hl7_gateway.conversion.walk import Converted, Walk
from hl7_gateway.message import Segment, Value
from hl7_gateway.problems import Place


def _dose(value: Value, walk: Walk) -> Converted | None:
    """The amount of RXA-6 with the units of RXA-7; 999 says that it is not known."""
    amount = number(value.text)
    if amount is None:
        walk.warn("This is not a number, and was left out.")
        return None
    if amount == 999:
        return None
    segment = walk.here[0]
    units = unit(segment.first(7), walk) if segment[7] else {}
    return {"value": amount, **units}, {"value": 1, **{name: Place("RXA", segment.number, 7) for name in units}}


def _place(value: Value, walk: Walk) -> Converted | None:
    """Where it was given, of RXA-11 (LA2), whose first parts are those of a PL."""
    found = location(value, walk)
    if found is None and (described := clean(value.part(4).strip())):
        return {"display": described}, {"display": 4}
    return found


def _without_27(segment: Segment) -> bool:
    return not segment[27]


def performer(kind: str) -> Any:
    """Who did it, in the part that the field means (HL7 table 0443)."""
    return within("actor", practitioner, function=fixed_concept(kind, TERMINOLOGY + "v2-0443"))


RXA_IMMUNIZATION: Final = SegmentMap(
    "RXA",
    "Immunization",
    [
        one(3, "occurrenceDateTime", date_time),
        one(5, "vaccineCode", concept(table="0292")),
        one(6, "doseQuantity", _dose, reads=(7,)),
        many(10, "performer", performer("AP")),
        one(11, "location", _place, _without_27),
        one(15, "lotNumber", first),
        one(16, "expirationDate", date),
        one(17, "manufacturer", named_organization),
        one(18, "statusReason", concept()),
        many(19, "reasonCode", concept()),
        one(22, "recorded", date_time),
        one(27, "location", location),
    ],
    ignored=(1, 2, 4, 9, 20, 21),
)

RXR_IMMUNIZATION: Final = SegmentMap(
    "RXR",
    "Immunization",
    [
        one(1, "route", concept("RouteOfAdministration", "0162")),
        one(2, "site", concept("BodyParts", "0163")),
    ],
)
