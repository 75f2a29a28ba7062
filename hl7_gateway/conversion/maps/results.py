"""OBX, SPM: results and what they were taken from. https://hl7.org/fhir/uv/v2mappings/segment_maps.html"""

from __future__ import annotations

from typing import Any, Final

from hl7_gateway.conversion.datatypes.codes import concept
from hl7_gateway.conversion.datatypes.identifiers import cx, ei, eip, logical
from hl7_gateway.conversion.datatypes.names import xad
from hl7_gateway.conversion.datatypes.quantities import exact
from hl7_gateway.conversion.datatypes.references import coded_organization, device, organization_of, practitioner
from hl7_gateway.conversion.datatypes.simple import clean, date_range, date_time, number, stamp
from hl7_gateway.conversion.table import SegmentMap, extension, many, one, within
from hl7_gateway.conversion.walk import Converted, Walk
from hl7_gateway.message import Segment, Value

_SUB: Final = ((1, "original-sub-identifier", ""), (2, "group", "d"), (3, "sequence", "d"), (4, "identifier", ""))


def _sub_identifier(value: Value, walk: Walk) -> Converted | None:
    """What tells results of the same code apart (OG, before version 2.8.2 an ST)."""
    inner: list[dict[str, Any]] = []
    for part, name, kind in _SUB:
        said = clean(value.part(part).strip())
        measured = number(said) if kind else None
        if said and measured is not None:
            inner.append({"url": name, "valueDecimal": measured})
        elif said and not kind:
            inner.append({"url": name, "valueString": said})
        elif said:
            walk.warn("A group or sequence of a sub-identifier must be a number; it was left out.")
    url = "http://hl7.org/fhir/StructureDefinition/observation-v2-subid"
    return ({"url": url, "extension": inner}, {"": 0}) if inner else None


def _laboratory(value: Value, walk: Walk) -> Converted | None:
    """Who performed it (OBX-23), with their address (OBX-24) where they are new."""
    made = organization_of(value, walk)
    if made is None:
        return None
    segment, _, _ = here = walk.here
    if segment[24] and not any(stated.path == "address" for stated in made.stated):
        walk.at(segment, 24)
        address = xad(segment.first(24), walk)
        if address:
            if address[0].get("use") == "home":
                # R4 has organizations without a home: constraint org-2.
                address[0].pop("use")
            walk.state(made, "address", *address)
        walk.here = here
    return made.reference, {"": 1}


OBX_OBSERVATION: Final = SegmentMap(
    "OBX",
    "Observation",
    [
        one(3, "code", concept()),
        one(4, "extension", _sub_identifier),
        many(8, "interpretation", concept("InterpretationCodes", "0078")),
        one(10, "extension", extension("observation-nature-of-abnormal-test", "valueCodeableConcept",
            concept("NatureOfAbnormalTesting", "0080"))),
        one(14, "effectiveDateTime", date_time),
        one(15, "performer", coded_organization),
        many(16, "performer", practitioner),
        one(17, "method", concept()),
        one(18, "device", device),
        one(20, "bodySite", concept(table="0163")),
        one(21, "identifier", ei("FILL")),
        one(19, "extension", extension("observation-analysis-date-time", "valueDateTime", date_time)),
        one(23, "performer", _laboratory, reads=(24,)),
        one(25, "performer", practitioner),
        one(29, "category", concept(table="0936")),
        one(33, "specimen", logical(eip(2, "FILL"), "Specimen"), lambda segment: bool(segment.first(33).component(2))),
    ],
    ignored=(1, 2, 5, 6, 7, 11, 12),
)  # fmt: skip


def _collected(value: Value, walk: Walk) -> Converted | None:
    moment = stamp(value.part(1), walk)
    return (moment, {"": 1}) if moment else None


def _two_times(segment: Segment) -> bool:
    return bool(segment.first(17).component(2))


def _note(value: Value, walk: Walk) -> Converted | None:
    said = clean(value.whole)
    return ({"text": said}, {"text": 0}) if said else None


def _status(value: Value, walk: Walk) -> Converted | None:
    sent = value.text.strip()
    return ({"Y": "available", "N": "unavailable"}[sent], {"": 0}) if sent in ("Y", "N") else None


def _parent(value: Value, walk: Walk) -> Converted | None:
    """The specimen that this one was taken from, by the filler's number of it, else by the placer's."""
    filler = within("identifier", eip(2, "FILL"))(value, walk)
    return filler or within("identifier", eip(1, "PLAC"))(value, walk)


SPM_SPECIMEN: Final = SegmentMap(
    "SPM",
    "Specimen",
    [
        one(2, "identifier", eip(1, "PLAC"), label="placer"),
        one(2, "identifier", eip(2, "FILL"), label="filler"),
        many(3, "parent", _parent, label="parent"),
        one(4, "type", concept("SpecimenType", "0487")),
        many(6, "container", within("additiveCodeableConcept", concept("AdditivePreservative", "0371"))),
        one(7, "collection.method", concept("SpecimenCollectionMethod", "0488")),
        one(8, "collection.bodySite", concept("SpecimenSourceSite")),
        one(12, "collection.quantity", exact),
        many(14, "note", _note),
        one(17, "collection.collectedPeriod", date_range, _two_times, label="period"),
        one(17, "collection.collectedDateTime", _collected, lambda segment: not _two_times(segment)),
        one(18, "receivedTime", date_time),
        one(20, "status", _status),
        many(24, "condition", concept("SpecimenCondition", "0493")),
        one(27, "container", within("type", concept("ContainerType"))),
        one(30, "accessionIdentifier", cx()),
        many(31, "identifier", cx()),
        one(32, "identifier", ei("SHIP")),
    ],
    ignored=(1,),
)
