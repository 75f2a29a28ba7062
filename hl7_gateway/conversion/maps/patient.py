"""PID, PD1, NK1, GT1, MRG: persons. https://hl7.org/fhir/uv/v2mappings/segment_maps.html"""

from __future__ import annotations

import re
from typing import Any, Final

from hl7_gateway.conversion.datatypes.codes import code, concept, fixed_concept
from hl7_gateway.conversion.datatypes.identifiers import cx, licence, ssn
from hl7_gateway.conversion.datatypes.names import called, display, xad, xpn, xtn
from hl7_gateway.conversion.datatypes.references import organization, practitioner
from hl7_gateway.conversion.datatypes.simple import clean, date, date_time, first, integer, text, yes_no
from hl7_gateway.conversion.table import SegmentMap, extension, many, one, within
from hl7_gateway.conversion.walk import Converted, Parts, Walk
from hl7_gateway.message import Segment, Value

_US_CORE: Final = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"
_RACE: Final = re.compile(r"[0-9]{4}-[0-9]")
_CATEGORIES: Final = frozenset({"1002-5", "2028-9", "2054-5", "2076-8", "2106-3", "2131-1", "2135-2", "2186-5"})
"""The categories of race and ethnicity that the US Office of Management and Budget names."""


def _us_core(field: int, name: str) -> Any:
    """All repetitions as one extension: it has a text, and codes where those of the CDC were sent."""

    def converted(value: Value, walk: Walk) -> Converted | None:
        segment = walk.here[0]
        inner: list[dict[str, Any]] = []
        parts: Parts = {}
        texts = []
        for one_of_them in segment.repetitions(field):
            sent, label = one_of_them.part(1).strip(), clean(one_of_them.part(2).strip())
            if _RACE.fullmatch(sent):
                kind = "ombCategory" if sent in _CATEGORIES else "detailed"
                coded = {"system": "urn:oid:2.16.840.1.113883.6.238", "code": sent}
                if label:
                    coded["display"] = label
                parts[f"extension[{len(inner)}].valueCoding.code"] = 1
                inner.append({"url": kind, "valueCoding": coded})
            texts.append(label or clean(sent))
        said = ", ".join(one_text for one_text in texts if one_text)
        if not said:
            return None
        parts[f"extension[{len(inner)}].valueString"] = 2
        inner.append({"url": "text", "valueString": said})
        return {"url": _US_CORE + name, "extension": inner}, parts

    return converted


def _maiden(value: Value, walk: Walk) -> Converted | None:
    found = xpn(value, walk)
    if found is None:
        return None
    return found[0].get("family") or display(found[0]), {"": 1}


def _address(value: Value, walk: Walk) -> Converted | None:
    """An address of PID-11; the county of PID-12 belongs to the first one that names none."""
    found = xad(value, walk)
    county = clean(walk.here[0].text(12).strip())
    if found and county and walk.here[2] == 1 and "district" not in found[0]:
        found[0]["district"] = county
    return found


def _alias(value: Value, walk: Walk) -> Converted | None:
    found = xpn(value, walk)
    if found and "use" not in found[0]:
        found[0]["use"] = "old"
    return found


def _has_time(segment: Segment) -> bool:
    return len(segment.text(7)) > 8


_birth_time = within("extension", extension("patient-birthTime", "valueDateTime", date_time), listed=True)

_ANIMAL: Final = "http://hl7.org/fhir/StructureDefinition/patient-animal"


def _animal(value: Value, walk: Walk) -> Converted | None:
    segment = walk.here[0]
    inner = []
    for name, field in (("species", 35), ("breed", 36)):
        found = concept()(segment.first(field), walk)
        if found:
            inner.append({"url": name, "valueCodeableConcept": found[0]})
    return ({"url": _ANIMAL, "extension": inner}, {"": 0}) if inner else None


def _coded_extension(name: str) -> Any:
    """An extension whose code stands in an inner one, as of citizenship."""
    inner = extension("code", "valueCodeableConcept", concept())

    def converted(value: Value, walk: Walk) -> Converted | None:
        found = inner(value, walk)
        if found is None:
            return None
        url = f"http://hl7.org/fhir/StructureDefinition/{name}"
        return {"url": url, "extension": [{**found[0], "url": "code"}]}, {"": 0}

    return converted


PID_PATIENT: Final = SegmentMap(
    "PID",
    "Patient",
    [
        one(2, "identifier", cx()),
        many(3, "identifier", cx()),
        many(4, "identifier", cx()),
        many(5, "name", xpn),
        many(5, "name", called, label="called"),
        one(6, "extension", extension("patient-mothersMaidenName", "valueString", _maiden)),
        one(7, "birthDate", date),
        one(7, "_birthDate", _birth_time, _has_time, label="time"),
        one(8, "gender", code("AdministrativeSex")),
        many(9, "name", _alias),
        one(10, "extension", _us_core(10, "race")),
        many(11, "address", _address, reads=(12,)),
        many(13, "telecom", xtn("home")),
        many(14, "telecom", xtn("work")),
        one(15, "communication", within("language", concept("PrimaryLanguage", "0296"))),
        one(16, "maritalStatus", concept("MaritalStatus", "0002")),
        one(17, "extension", extension("patient-religion", "valueCodeableConcept", concept("Religion", "0006"))),
        one(19, "identifier", ssn),
        one(20, "identifier", licence),
        one(22, "extension", _us_core(22, "ethnicity")),
        one(23, "extension", extension("patient-birthPlace", "valueAddress", within("text", first))),
        one(24, "multipleBirthBoolean", yes_no, lambda segment: not segment[25]),
        one(25, "multipleBirthInteger", integer(1)),
        many(26, "extension", _coded_extension("patient-citizenship")),
        one(28, "extension", _coded_extension("patient-nationality")),
        one(29, "deceasedDateTime", date_time),
        one(30, "deceasedBoolean", yes_no, lambda segment: not segment[29]),
        one(35, "extension", _animal, reads=(36,)),
        many(39, "extension", _coded_extension("patient-citizenship"), label="tribe"),
        many(40, "telecom", xtn()),
    ],
    ignored=(1, 33),
)  # fmt: skip

PD1_PATIENT: Final = SegmentMap(
    "PD1",
    "Patient",
    [
        many(3, "generalPractitioner", organization),
        many(4, "generalPractitioner", practitioner),
        one(6, "extension", extension("patient-disability", "valueCodeableConcept", concept(table="0295"))),
        one(14, "extension", extension("patient-congregation", "valueString", text)),
    ],
)

NK1_RELATED_PERSON: Final = SegmentMap(
    "NK1",
    "RelatedPerson",
    [
        many(2, "name", xpn),
        one(3, "relationship", concept("Relationship", "0063")),
        many(4, "address", xad),
        many(5, "telecom", xtn("home")),
        many(6, "telecom", xtn("work")),
        one(7, "relationship", concept("ContactRole", "0131")),
        one(8, "period.start", date),
        one(9, "period.end", date),
        one(12, "identifier", cx()),
        one(15, "gender", code("AdministrativeSex")),
        one(16, "birthDate", date),
        one(20, "communication", within("language", concept("PrimaryLanguage", "0296"))),
        many(30, "name", xpn),
        many(31, "telecom", xtn()),
        many(32, "address", xad),
        many(33, "identifier", cx()),
        one(37, "identifier", ssn),
        many(40, "telecom", xtn()),
        many(41, "telecom", xtn()),
    ],
    ignored=(1,),
)

GT1_RELATED_PERSON: Final = SegmentMap(
    "GT1",
    "RelatedPerson",
    [
        many(2, "identifier", cx()),
        many(3, "name", xpn),
        many(4, "name", xpn),
        many(5, "address", xad),
        many(6, "telecom", xtn("home")),
        many(7, "telecom", xtn("work")),
        one(8, "birthDate", date),
        one(9, "gender", code("AdministrativeSex")),
        one(11, "relationship", concept("Relationship", "0063")),
        one(12, "identifier", ssn),
        one(13, "period.start", date),
        one(14, "period.end", date),
        many(18, "telecom", xtn("work")),
        one(36, "communication", within("language", concept("PrimaryLanguage", "0296"))),
    ],
    ignored=(1,),
)

GUARANTOR: Final = fixed_concept("GUAR", "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "guarantor")
MOTHER: Final = fixed_concept("MTH", "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "mother")
