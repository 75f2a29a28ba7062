"""RF1, AUT: referrals and their authorization. https://www.hl7.eu/HL7v2x/v282/std282/ch11.html

The v2-to-FHIR guide has no maps of them.
"""

from __future__ import annotations

from typing import Any, Final

from hl7_gateway.conversion.datatypes.codes import concept
from hl7_gateway.conversion.datatypes.identifiers import ei
from hl7_gateway.conversion.datatypes.quantities import cq
from hl7_gateway.conversion.datatypes.references import organization, practitioner
from hl7_gateway.conversion.datatypes.simple import clean, date_time, spanning, text
from hl7_gateway.conversion.maps.finance import money
from hl7_gateway.conversion.table import Convert, SegmentMap, many, one, within
from hl7_gateway.conversion.vocabulary import TERMINOLOGY
from hl7_gateway.conversion.walk import Converted, Walk
from hl7_gateway.message import Value

STATUS: Final = {
    "A": "active", "ACCEPTED": "active", "AUTHORIZED": "active", "APPROVED": "active", "P": "active",
    "PENDING": "active", "PENDING REVIEW": "active", "OPEN": "active", "NEW REQUEST": "active", "R": "revoked",
    "REJECTED": "revoked", "DENIED": "revoked", "CANCELED": "revoked", "CANCELLED": "revoked", "E": "revoked",
    "EXPIRED": "revoked", "CLOSED": "completed", "COMPLETED": "completed", "INCOMPLETE": "draft",
}  # fmt: skip
"""Table 0283, and words that senders have for it -> https://hl7.org/fhir/R4/valueset-request-status.html

A pending referral has been asked for: whether it is accepted is told by the task. An expired one is not to be acted on.
"""

TASK: Final = {
    "A": "accepted", "ACCEPTED": "accepted", "AUTHORIZED": "accepted", "APPROVED": "accepted", "R": "rejected",
    "REJECTED": "rejected", "DENIED": "rejected", "CANCELED": "cancelled", "CANCELLED": "cancelled",
    "E": "cancelled", "EXPIRED": "cancelled", "CLOSED": "completed", "COMPLETED": "completed",
}  # fmt: skip
"""The same for the task; a status that only asks (pending, open) leaves it as it is."""

_PRIORITY: Final = {"A": "asap", "R": "routine", "S": "stat", "U": "urgent", "E": "stat"}


def _priority(value: Value, walk: Walk) -> Converted | None:
    """Table 0280, and urgent (U) and emergency (E), which senders add."""
    found = _PRIORITY.get(value.text.strip().upper()[:1])
    if found is None:
        walk.warn("This priority is not in table 0280, and was left out.")
        return None
    return found, {"": 1}


def _lasting(value: Value, walk: Walk) -> Converted | None:
    """From when (RF1-7) to when (RF1-8) it is to be acted on."""
    return spanning(walk.here[0], 7, 8, walk)


def _until(value: Value, walk: Walk) -> Converted | None:
    """Until when (RF1-8) it is to be acted on."""
    found = _lasting(value, walk)
    return (found[0]["end"], {"": 1}) if found and "end" in found[0] else None


RF1_REQUEST: Final = SegmentMap(
    "RF1",
    "ServiceRequest",
    [
        one(2, "priority", _priority),
        one(3, "code", concept(table="0281")),
        many(4, "orderDetail", concept(table="0282"), lambda segment: bool(segment[3])),
        one(5, "category", concept(table="0284")),
        one(6, "identifier", ei("PLAC")),
        one(7, "authoredOn", date_time),
        one(8, "occurrencePeriod", _lasting, reads=(7,)),
        many(10, "reasonCode", concept(table="0336")),
        many(11, "identifier", ei("FILL")),
        one(14, "reasonCode", within("text", text), label="text"),
        one(15, "quantityQuantity", cq),
        one(19, "performer", organization),
        one(20, "performer", practitioner),
        one(24, "note", within("text", text)),
    ],
    ignored=(1, 25),
)

RF1_TASK: Final = SegmentMap(
    "RF1",
    "Task",
    [
        one(2, "priority", _priority),
        one(8, "restriction.period.end", _until, reads=(7,)),
        one(9, "authoredOn", date_time),
        one(7, "authoredOn", date_time, lambda segment: not segment[9]),
    ],
)


def _valid(value: Value, walk: Walk) -> Converted | None:
    """From when (AUT-4) to when (AUT-5) it is valid."""
    return spanning(walk.here[0], 4, 5, walk)


def _number(value: Value, walk: Walk) -> Converted | None:
    said = clean(value.part(1).strip())
    return (said, {"": 1}) if said else None


def _benefit(value: Value, walk: Walk) -> Converted | None:
    """The most that is paid."""
    found = money(value, walk)
    if found is None:
        return None
    category = {"coding": [{"system": TERMINOLOGY + "adjudication", "code": "benefit"}]}
    return {"category": category, "amount": found[0]}, {"amount": 1}


def _treatments(what: str) -> Convert:
    """A note of how many treatments there are: R4 has no element for what was asked for and allowed."""

    def converted(value: Value, walk: Walk) -> Converted | None:
        found = cq(value, walk)
        if found is None:
            return None
        label = found[0].get("unit", "")
        return {"text": f"{what}: {found[0]['value']} {label}".strip()}, {"text": 1}

    return converted


AUT_RESPONSE: Final = SegmentMap(
    "AUT",
    "ClaimResponse",
    [
        one(4, "preAuthPeriod", _valid, reads=(5,)),
        one(5, "preAuthPeriod", _valid, lambda segment: not segment[4]),
        one(6, "identifier", ei()),
        one(6, "preAuthRef", _number, label="reference"),
        one(7, "total", _benefit),
        one(8, "processNote", _treatments("Treatments requested")),
        one(9, "processNote", _treatments("Treatments authorized")),
        one(10, "created", date_time),
        one(17, "disposition", text),
        one(28, "processNote", within("text", text)),
    ],
    ignored=(1, 2, 3),
)

REFERRAL: Final[dict[str, Any]] = {
    "coding": [{"system": "http://snomed.info/sct", "code": "3457005", "display": "Patient referral"}]
}
