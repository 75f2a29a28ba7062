"""IN1, IN2: who pays. https://hl7.org/fhir/uv/v2mappings/segment_maps.html"""

from __future__ import annotations

from typing import Any, Final

from hl7_gateway.conversion.datatypes.codes import concept
from hl7_gateway.conversion.datatypes.identifiers import cx, ssn, type_of
from hl7_gateway.conversion.datatypes.names import xtn
from hl7_gateway.conversion.datatypes.references import organization
from hl7_gateway.conversion.datatypes.simple import clean, date, first
from hl7_gateway.conversion.table import Convert, SegmentMap, many, one, within
from hl7_gateway.conversion.vocabulary import TERMINOLOGY
from hl7_gateway.conversion.walk import Converted, Parts, Walk
from hl7_gateway.feed_mapping import own_system
from hl7_gateway.message import Value
from hl7_gateway.problems import Place


def _class(kind: str, named: int = 0) -> Any:
    """A class of coverage; field ``named`` has its name."""

    def converted(value: Value, walk: Walk) -> Converted | None:
        said = clean(value.text.strip())
        if not said:
            return None
        system = TERMINOLOGY + "coverage-class"
        found: dict[str, Any] = {"type": {"coding": [{"system": system, "code": kind}]}, "value": said}
        parts: Parts = {"value": 1}
        segment = walk.here[0]
        label = clean((segment.text(named) if named else value.part(2)).strip())
        if label:
            found["name"] = label
            parts["name"] = Place(segment.name, segment.number, named) if named else 2
        return found, parts

    return converted


IN1_COVERAGE: Final = SegmentMap(
    "IN1",
    "Coverage",
    [
        one(2, "class", _class("plan")),
        many(4, "payor", organization, lambda segment: not segment.text(3), reads=(3, 5, 6, 7)),
        one(8, "class", _class("group", 9), reads=(9,)),
        one(11, "policyHolder", organization),
        one(12, "period.start", date),
        one(13, "period.end", date),
        one(15, "type", concept("PlanId", "0086")),
        one(17, "relationship", concept("Relationship", "0063")),
        one(36, "subscriberId", first),
        one(49, "identifier", cx("MB")),
    ],
    ignored=(1, 16, 18, 19, 43),
)


def _programme(name: str, kind: str) -> Convert:
    """The number that a public programme knows the insured by."""

    def converted(value: Value, walk: Walk) -> Converted | None:
        said = clean(value.text.strip())
        if not said:
            return None
        return {"system": own_system(walk.mapping.name, name), "value": said, "type": type_of(kind)}, {"value": 0}

    return converted


IN2_COVERAGE: Final = SegmentMap(
    "IN2",
    "Coverage",
    [
        one(6, "identifier", _programme("medicare", "MC")),
        one(8, "identifier", _programme("medicaid", "MA")),
        one(61, "identifier", cx("MB")),
    ],
)

IN2_SUBSCRIBER: Final = SegmentMap(
    "IN2",
    "RelatedPerson",
    [
        many(1, "identifier", cx("EI")),
        one(2, "identifier", ssn),
        one(34, "communication", within("language", concept("PrimaryLanguage", "0296"))),
        many(63, "telecom", xtn("home")),
    ],
)
