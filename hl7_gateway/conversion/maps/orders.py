"""ORC, OBR: orders and the reports that answer them. https://hl7.org/fhir/uv/v2mappings/segment_maps.html"""

from __future__ import annotations

from typing import Final

from hl7_gateway.conversion.datatypes.codes import code, coding, concept
from hl7_gateway.conversion.datatypes.identifiers import cx, ei, eip, logical
from hl7_gateway.conversion.datatypes.names import human_name, xtn
from hl7_gateway.conversion.datatypes.references import practitioner
from hl7_gateway.conversion.datatypes.simple import clean, date_time, instant
from hl7_gateway.conversion.table import SegmentMap, extension, many, one
from hl7_gateway.conversion.walk import Converted, Walk
from hl7_gateway.message import Segment, Value


def noted(value: Value, walk: Walk) -> Converted | None:
    """An annotation of a code or text."""
    said = clean(value.part(2).strip() or value.part(1).strip())
    return ({"text": said}, {"text": 0}) if said else None


def named_role(value: Value, walk: Walk) -> Converted | None:
    """A Reference to the Practitioner of an NDL, whose first component is a CNN: its parts are subcomponents."""
    person = value.component(1)
    delimiters = walk.message.delimiters
    if person.count > 1:
        # A CNN has the parts of an XCN one level deeper.
        flat = Value(person.raw.replace(delimiters.subcomponent, delimiters.component), delimiters)
        number = clean(flat.part(1).strip())
        if number:
            authority = delimiters.subcomponent.join(flat.component(part).raw for part in (9, 10, 11))
            parts = [flat.component(part).raw for part in range(1, 9)]
            whole = delimiters.component.join([*parts[:7], "", authority])
            return practitioner(Value(whole, delimiters), walk)
        name = human_name(flat, walk, 1, use=0)
        if name is None:
            return None
        words = (*name[0].get("given", ()), name[0].get("family", ""))
        return {"display": " ".join(word for word in words if word)}, {"display": 1}
    # Older senders put the parts of an XCN where those of an NDL belong.
    return practitioner(value, walk)


def _alone(segment: Segment) -> bool:
    return not segment[8]


OBR_REPORT: Final = SegmentMap(
    "OBR",
    "DiagnosticReport",
    [
        one(2, "identifier", ei("PLAC")),
        one(3, "identifier", ei("FILL")),
        one(4, "code", concept()),
        one(7, "effectiveDateTime", date_time, _alone),
        one(22, "issued", instant),
        one(24, "category", concept("DiagnosticServiceSectionID", "0074")),
        one(32, "resultsInterpreter", named_role),
        many(33, "resultsInterpreter", named_role),
        many(34, "performer", named_role),
        many(35, "performer", named_role, label="transcriptionist"),
    ],
    ignored=(1, 8, 25),
)

_STATUS_REASON: Final = "request-statusReason"
_CALLBACK: Final = "servicerequest-order-callback-phone-number"

PRIORITIES: Final = frozenset({"S", "A", "R", "P", "T", "C"})
"""Codes of table 0485 that a priority of FHIR stands for; its others tell when, not how urgent."""

OBR_REQUEST: Final = SegmentMap(
    "OBR",
    "ServiceRequest",
    [
        one(4, "code", concept()),
        one(5, "priority", code("ExtendedPriorityCodes"), lambda segment: segment.text(5) in PRIORITIES),
        one(6, "occurrenceDateTime", date_time),
        one(13, "note", noted),
        one(16, "requester", practitioner),
        one(17, "extension", extension(_CALLBACK, "valueContactPoint", xtn("work"))),
        one(29, "basedOn", logical(eip(1, "PLAC"), "ServiceRequest"), label="placer"),
        one(29, "basedOn", logical(eip(2, "FILL"), "ServiceRequest"), label="filler"),
        many(31, "reasonCode", concept()),
        one(44, "orderDetail", concept()),
        many(46, "orderDetail", concept()),
        many(47, "orderDetail", concept()),
        one(53, "identifier", cx("PLAC")),
    ],
    ignored=(1, 2, 3, 11),
)

ORC_REQUEST: Final = SegmentMap(
    "ORC",
    "ServiceRequest",
    [
        one(4, "requisition", ei("PGN")),
        one(9, "authoredOn", date_time),
        one(12, "requester", practitioner),
        one(14, "extension", extension(_CALLBACK, "valueContactPoint", xtn("work"))),
        one(16, "extension", extension(_STATUS_REASON, "valueCodeableConcept", concept()), lambda s: not s[5]),
        one(28, "meta.security", coding("ConfidentialityCode", "0177")),
        one(29, "locationCode", concept("OrderType", "0482")),
        one(33, "identifier", cx("PLAC")),
        one(38, "identifier", ei("FGN")),
    ],
    ignored=(1, 2, 3, 5),
)
