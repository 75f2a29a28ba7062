"""AL1, IAM, DG1, PR1: what is known of a patient's health. https://hl7.org/fhir/uv/v2mappings/segment_maps.html"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from hl7_gateway.conversion.datatypes.codes import concept
from hl7_gateway.conversion.datatypes.identifiers import ei, logical
from hl7_gateway.conversion.datatypes.names import display, xpn
from hl7_gateway.conversion.datatypes.references import location, practitioner
from hl7_gateway.conversion.datatypes.simple import clean, date_time, number, stamp, text
from hl7_gateway.conversion.table import SegmentMap, extension, many, one, within
from hl7_gateway.conversion.vocabulary import vocabulary
from hl7_gateway.conversion.walk import Converted, Walk
from hl7_gateway.message import Segment, Value
from hl7_gateway.problems import Place


def _reaction(value: Value, walk: Walk) -> Converted | None:
    """All manifestations of field 5 as one reaction, of the severity in field 4."""
    segment, field, _ = walk.here
    shown = [said for one_of in segment.repetitions(field) if (said := clean(one_of.whole.replace("^", " ").strip()))]
    if not shown:
        return None
    found: dict[str, Any] = {"manifestation": [{"text": said} for said in shown]}
    parts: dict[str, Any] = {
        f"manifestation[{place}].text": Place(segment.name, segment.number, field, place + 1)
        for place in range(len(shown))
    }
    severity = vocabulary("AllergySeverity[AllergyIntolerance.reaction.severity]").get(segment.text(4))
    if severity:
        found["severity"] = severity.code
        parts["severity"] = Place(segment.name, segment.number, 4)
    return found, parts


def _known(name: str) -> Any:
    """A code where the map has one for it; a code of another meaning is no mistake."""
    targets = vocabulary(name)

    def converted(value: Value, walk: Walk) -> Converted | None:
        target = targets.get(value.text.strip())
        return (target.code, {"": 1}) if target else None

    return converted


AL1_ALLERGY: Final = SegmentMap(
    "AL1",
    "AllergyIntolerance",
    [
        one(2, "type", _known("AllergyType"), label="type"),
        one(2, "category", _known("AllergenType[AllergyIntoleranceCategory]"), label="category"),
        one(3, "code", concept()),
        one(4, "criticality", _known("AllergySeverity[AllergyIntolerance.criticality]")),
        one(5, "reaction", _reaction, reads=(4,)),
        one(6, "onsetDateTime", date_time),
    ],
    ignored=(1,),
)


def _named(value: Value, walk: Walk) -> Converted | None:
    """Who reported it, by name: IAM has no identifier of them."""
    found = xpn(value, walk)
    return ({"display": display(found[0])}, {"display": 1}) if found and display(found[0]) else None


IAM_ALLERGY: Final = SegmentMap(
    "IAM",
    "AllergyIntolerance",
    [
        one(2, "type", _known("AllergyType"), label="type"),
        one(2, "category", _known("AllergenType[AllergyIntoleranceCategory]"), label="category"),
        one(3, "code", concept()),
        one(4, "criticality", _known("AllergySeverity[AllergyIntolerance.criticality]")),
        one(5, "reaction", _reaction, reads=(4,)),
        one(7, "identifier", ei()),
        one(11, "onsetDateTime", date_time),
        one(12, "onsetString", text, lambda segment: not segment[11]),
        one(13, "recordedDate", date_time),
        one(14, "recorder", _named),
    ],
    ignored=(1, 6, 17),
)


def _described(value: Value, walk: Walk) -> Converted | None:
    """The code of field 3, whose text is field 4 where it has none of its own."""
    found = concept()(value, walk)
    segment = walk.here[0]
    said = clean(segment.first(4).whole.strip())
    if found and said and "text" not in found[0]:
        found[0]["text"] = said
        found[1]["text"] = Place(segment.name, segment.number, 4)
    return found


DG1_CONDITION: Final = SegmentMap(
    "DG1",
    "Condition",
    [
        one(3, "code", _described, reads=(4,)),
        one(4, "code", within("text", text), lambda segment: not segment[3]),
        one(5, "onsetDateTime", date_time),
        one(16, "asserter", practitioner),
        one(19, "recordedDate", date_time),
        one(20, "identifier", ei()),
        one(22, "extension", extension("condition-dueTo", "valueReference", logical(ei(), "Condition"))),
    ],
    ignored=(1, 6, 15, 21),
)


def _lasts(segment: Segment) -> bool:
    """Whether it is told how many minutes (PR1-7) it took from a time of day on."""
    length = number(segment.text(7))
    return length is not None and 0 < length < 1_000_000 and len(segment.text(5).strip()) > 8


def _performed(value: Value, walk: Walk) -> Converted | None:
    segment = walk.here[0]
    begun, length = stamp(value.text, walk), number(segment.text(7))
    if begun is None or length is None:
        return None
    try:
        end = datetime.fromisoformat(begun) + timedelta(minutes=float(length))
    except OverflowError:
        return {"start": begun}, {"start": 1}
    return {"start": begun, "end": end.isoformat()}, {"start": 1, "end": Place("PR1", segment.number, 7)}


PR1_PROCEDURE: Final = SegmentMap(
    "PR1",
    "Procedure",
    [
        one(3, "code", _described, reads=(4,)),
        one(4, "code", within("text", text), lambda segment: not segment[3]),
        one(5, "performedDateTime", date_time, lambda segment: not _lasts(segment)),
        one(5, "performedPeriod", _performed, lambda segment: _lasts(segment), label="period", reads=(7,)),
        one(6, "category", concept(table="0230")),
        many(8, "performer", within("actor", practitioner, function={"text": "anaesthetist"})),
        many(11, "performer", within("actor", practitioner, function={"text": "surgeon"})),
        many(12, "performer", within("actor", practitioner, function={"text": "procedure practitioner"})),
        one(15, "reasonCode", concept()),
        one(19, "identifier", ei()),
        one(23, "location", location),
        one(25, "partOf", logical(ei(), "Procedure")),
    ],
    ignored=(1, 20),
)
