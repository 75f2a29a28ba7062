"""PRB, GOL, PTH: problems, goals, pathways. https://www.hl7.eu/HL7v2x/v28/std28/ch12.html

The v2-to-FHIR guide has no maps of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hl7_gateway.conversion.datatypes.codes import coding, concept, fixed_concept
from hl7_gateway.conversion.datatypes.identifiers import ei
from hl7_gateway.conversion.datatypes.simple import clean, date, date_time, text
from hl7_gateway.conversion.table import Convert, SegmentMap, extension, many, one, within
from hl7_gateway.conversion.vocabulary import TERMINOLOGY
from hl7_gateway.conversion.walk import Converted, Walk
from hl7_gateway.message import Segment, Value

_CLINICAL: Final = {
    "A": "active", "ACTIVE": "active", "CHRONIC": "active", "WORSENING": "active", "IMPROVING": "active",
    "STABLE": "active", "RECURRENCE": "recurrence", "RECURRENT": "recurrence", "RELAPSE": "relapse",
    "I": "inactive", "INACTIVE": "inactive", "REMISSION": "remission", "R": "resolved", "RESOLVED": "resolved",
    "INACTIVATED": "inactive", "CONTROLLED": "active", "CLOSED": "resolved",
}  # fmt: skip
"""PRB-14 has no table of HL7: what senders say in words -> https://hl7.org/fhir/R4/valueset-condition-clinical.html"""

_VERIFIED: Final = {
    "C": "confirmed", "CONFIRMED": "confirmed", "F": "confirmed", "FINAL": "confirmed", "ACTUAL": "confirmed",
    "P": "provisional", "PROVISIONAL": "provisional", "PRELIMINARY": "provisional", "PROBABLE": "provisional",
    "SUSPECTED": "provisional", "W": "provisional", "WORKING": "provisional", "DIFFERENTIAL": "differential",
    "U": "unconfirmed", "UNCONFIRMED": "unconfirmed", "POSSIBLE": "unconfirmed", "REFUTED": "refuted",
    "RULED OUT": "refuted", "RULEDOUT": "refuted", "R": "refuted",
}  # fmt: skip
"""The same of PRB-13. https://hl7.org/fhir/R4/valueset-condition-ver-status.html"""

_LIFE: Final = {
    "A": "active", "ACTIVE": "active", "I": "on-hold", "INACTIVE": "on-hold", "ON HOLD": "on-hold", "HELD": "on-hold",
    "SUSPENDED": "on-hold", "C": "completed", "COMPLETED": "completed", "COMPLETE": "completed",
    "ACHIEVED": "completed", "RESOLVED": "completed", "MET": "completed",
}  # fmt: skip
"""What the life cycle of a goal (GOL-18) or a pathway (PTH-5) is in FHIR, where both have the same words."""

GOAL: Final = {
    **_LIFE, "PROPOSED": "proposed", "PLANNED": "planned", "ACCEPTED": "accepted", "CANCELLED": "cancelled",
    "CANCELED": "cancelled", "DISCONTINUED": "cancelled", "REJECTED": "rejected",
}  # fmt: skip
"""https://hl7.org/fhir/R4/valueset-goal-status.html"""

PLAN: Final = {**_LIFE, "PROPOSED": "draft", "PLANNED": "draft", "CANCELLED": "revoked", "CANCELED": "revoked",
               "DISCONTINUED": "revoked", "REJECTED": "revoked"}  # fmt: skip
"""https://hl7.org/fhir/R4/valueset-request-status.html"""


def word(value: Value, words: Mapping[str, str]) -> str:
    """What a code or its meaning is in FHIR; "" where neither is known."""
    found = (words.get(" ".join(value.part(part).upper().split())) for part in (1, 2))
    return next((one for one in found if one), "")


def clinical(segment: Segment) -> tuple[int, str]:
    """The field that tells the clinical status, and the status: PRB-14, or PRB-13 of senders who put it there."""
    for field in (14, 13):
        found = word(segment.first(field), _CLINICAL)
        # R is a refutation in the field of the confirmation, and nothing else.
        if found and not (field == 13 and word(segment.first(field), _VERIFIED)):
            return field, found
    return 0, ""


def verified(segment: Segment) -> tuple[int, str]:
    """The same of the verification status: PRB-13, or how certain the problem is (PRB-19)."""
    for field in (13, 19):
        found = word(segment.first(field), _VERIFIED)
        if found:
            return field, found
    return 0, ""


def _said(before: str, convert: Convert) -> Convert:
    """A note that says what R4 has no element for."""

    def converted(value: Value, walk: Walk) -> Converted | None:
        found = convert(value, walk)
        if found is None:
            return None
        said = found[0]
        if isinstance(said, dict):
            codings = said.get("coding", [{}])
            said = said.get("text") or codings[0].get("display") or codings[0].get("code", "")
        return ({"text": f"{before}: {said}"}, {"text": 0}) if said else None

    return converted


def _title(value: Value, walk: Walk) -> Converted | None:
    said = clean(value.part(2).strip() or value.part(9).strip() or value.part(1).strip())
    return (said, {"": 2}) if said else None


def _target(value: Value, walk: Walk) -> Converted | None:
    return within("dueDate", date)(value, walk)


PRB_CONDITION: Final = SegmentMap(
    "PRB",
    "Condition",
    [
        one(2, "recordedDate", date_time, initial=True),
        one(3, "code", concept()),
        one(4, "identifier", ei()),
        one(7, "extension", extension("condition-assertedDate", "valueDateTime", date_time)),
        one(8, "note", _said("Expected to be resolved", date_time)),
        one(9, "abatementDateTime", date_time),
        one(10, "category", concept()),
        one(12, "note", _said("Persistence", concept())),
        one(16, "onsetDateTime", date_time),
        one(17, "onsetString", text, lambda segment: not segment[16]),
        one(17, "note", _said("Onset", text), lambda segment: bool(segment[16]), label="note"),
        one(18, "note", _said("Ranking", concept())),
        one(22, "note", _said("Prognosis", concept())),
        one(25, "meta.security", coding()),
        one(26, "severity", concept()),
    ],
    ignored=(1,),
)

GOL_GOAL: Final = SegmentMap(
    "GOL",
    "Goal",
    [
        one(3, "description", concept()),
        one(4, "identifier", ei()),
        one(7, "startDate", date),
        one(8, "target", _target),
        one(9, "category", concept()),
        one(16, "achievementStatus", concept()),
        many(17, "note", within("text", text)),
        one(19, "statusDate", date),
    ],
    ignored=(1, 18),
)

PTH_CARE_PLAN: Final = SegmentMap(
    "PTH",
    "CarePlan",
    [
        one(2, "title", _title),
        one(2, "category", concept(), label="category"),
        one(3, "identifier", ei()),
        one(4, "created", date_time),
    ],
    ignored=(1, 5),
)

PROBLEM: Final[dict[str, Any]] = fixed_concept(
    "problem-list-item", TERMINOLOGY + "condition-category", "Problem List Item"
)
