"""ORC, RXO, RXE, RXD, RXC: medication ordered and dispensed. https://hl7.org/fhir/uv/v2mappings/segment_maps.html

The guide has a map of RXO only; RXE and RXD follow chapter 4A of HL7 v2.8 (https://www.hl7.eu/HL7v2x/v28/std28/ch04a.html).
"""

from __future__ import annotations

from typing import Any, Final

from hl7_gateway.conversion.datatypes.codes import coding, concept, fixed_concept
from hl7_gateway.conversion.datatypes.identifiers import ei
from hl7_gateway.conversion.datatypes.quantities import unit
from hl7_gateway.conversion.datatypes.references import destination, organization_draft, practitioner
from hl7_gateway.conversion.datatypes.simple import clean, date_time, integer, number
from hl7_gateway.conversion.table import Convert, Row, SegmentMap, below, many, one, within
from hl7_gateway.conversion.vocabulary import TERMINOLOGY
from hl7_gateway.conversion.walk import Converted, Parts, Walk
from hl7_gateway.feed_mapping import own_system
from hl7_gateway.message import Segment, Value
from hl7_gateway.problems import Place


def amount(units: int) -> Convert:
    """A quantity without comparator, whose units stand in field ``units``."""

    def converted(value: Value, walk: Walk) -> Converted | None:
        found = number(value.text)
        if found is None:
            walk.warn("This is not a number, and was left out.")
            return None
        segment = walk.here[0]
        parts: Parts = {"value": 1}
        measured = unit(segment.first(units), walk) if segment[units] else {}
        parts.update({element: Place(segment.name, segment.number, units) for element in measured})
        return {"value": found, **measured}, parts

    return converted


def medication(other: int) -> Convert:
    """What is given; field ``other`` has it in further codes."""
    convert = concept()

    def converted(value: Value, walk: Walk) -> Converted | None:
        found = convert(value, walk)
        segment = walk.here[0]
        more = segment.first(other) if segment[other] else None
        again = convert(more, walk) if more is not None else None
        if found is None or again is None:
            return found or again
        made, parts = found
        codings = made.setdefault("coding", [])
        for further in again[0].get("coding", ()):
            if further not in codings:
                parts[f"coding[{len(codings)}].code"] = Place(segment.name, segment.number, other)
                codings.append(further)
        if not codings:
            del made["coding"]
        return made, parts

    return converted


def prescription(value: Value, walk: Walk) -> Converted | None:
    """A prescription number, which the pharmacy of this feed gives: an ST that names no authority."""
    said = clean(value.text.strip())
    if not said:
        return None
    kind = fixed_concept("RXN", TERMINOLOGY + "v2-0203", text="prescription number")
    return {"system": prescriptions(walk), "value": said, "type": kind}, {"value": 0}


def prescriptions(walk: Walk) -> str:
    """The system of the prescription numbers of a feed: they must not meet its placers' numbers."""
    return own_system(walk.mapping.name, "prescription")


def coded_note(value: Value, walk: Walk) -> Converted | None:
    """A note that is sent as a CE or CWE: its text."""
    said = clean(value.part(9).strip() or value.part(2).strip() or value.part(1).strip())
    return ({"text": said}, {"text": 0}) if said else None


def _plain_note(value: Value, walk: Walk) -> Converted | None:
    said = clean(value.whole.strip())
    return ({"text": said}, {"text": 0}) if said else None


_SETTING: Final = {"I": ("inpatient", "Inpatient"), "O": ("outpatient", "Outpatient")}


def _setting(value: Value, walk: Walk) -> Converted | None:
    """Where it is to be taken: table 0482. https://hl7.org/fhir/R4/valueset-medicationrequest-category.html"""
    known = _SETTING.get(value.text.strip().upper())
    if known is None:
        return None
    return fixed_concept(known[0], TERMINOLOGY + "medicationrequest-category", known[1]), {"": 1}


def _pharmacy(value: Value, walk: Walk) -> Converted | None:
    """A Reference to the pharmacy that a CWE names."""
    name = clean(value.part(2).strip() or value.part(1).strip())
    return (organization_draft(walk, name, "").reference, {"": 1}) if name else None


def _whither(value: Value, walk: Walk) -> Converted | None:
    """A Reference to the place that a CWE names, which has the parts of a DLD one level higher."""
    delimiters = walk.message.delimiters
    cut = delimiters.subcomponent
    code, label = value.component(1).raw, value.component(2).raw
    if cut:
        code, label = code.partition(cut)[0], label.partition(cut)[0]
    return destination(Value(f"{code}{cut}{label}" if cut and label else code or label, delimiters), walk)


_SUBSTITUTED: Final = frozenset({"2", "3", "4", "5", "8", "G", "T"})
"""Codes of table 0167 that tell of a substitution which took place; the others, that there was none."""


def _substitution(value: Value, walk: Walk) -> Converted | None:
    found = concept(table="0167")(value, walk)
    if found is None:
        return None
    return {"wasSubstituted": value.text.strip().upper() in _SUBSTITUTED, "type": found[0]}, below("type", found[1])


ORC_MEDICATION_REQUEST: Final = SegmentMap(
    "ORC",
    "MedicationRequest",
    [
        one(2, "identifier", ei("PLAC")),
        one(3, "identifier", ei("FILL")),
        one(4, "groupIdentifier", ei("PGN")),
        one(9, "authoredOn", date_time),
        one(10, "recorder", practitioner),
        one(12, "requester", practitioner),
        one(16, "statusReason", concept()),
        one(28, "meta.security", coding("ConfidentialityCode", "0177")),
        one(29, "category", _setting),
    ],
    ignored=(1, 5),
)

RXO_MEDICATION_REQUEST: Final = SegmentMap(
    "RXO",
    "MedicationRequest",
    [
        one(1, "medicationCodeableConcept", medication(24), reads=(24,)),
        many(6, "note", coded_note),
        one(9, "substitution.allowedCodeableConcept", concept("AllowSubstitution", "0161")),
        one(11, "dispenseRequest.quantity", amount(12), reads=(12,)),
        one(13, "dispenseRequest.numberOfRepeatsAllowed", integer()),
        one(14, "requester", practitioner),
        many(20, "reasonCode", concept()),
        one(32, "dispenseRequest.performer", _pharmacy),
    ],
)

RXE_MEDICATION_REQUEST: Final = SegmentMap(
    "RXE",
    "MedicationRequest",
    [
        one(2, "medicationCodeableConcept", medication(31), reads=(31,)),
        one(9, "substitution.allowedCodeableConcept", concept(table="0167")),
        one(10, "dispenseRequest.quantity", amount(11), reads=(11,)),
        one(12, "dispenseRequest.numberOfRepeatsAllowed", integer()),
        one(13, "requester", practitioner),
        one(15, "identifier", prescription),
        many(21, "note", coded_note),
        many(27, "reasonCode", concept()),
        one(32, "authoredOn", date_time),
        one(39, "dispenseRequest.initialFill.quantity", amount(11)),
        one(40, "dispenseRequest.performer", _pharmacy),
    ],
)

RXD_MEDICATION_DISPENSE: Final = SegmentMap(
    "RXD",
    "MedicationDispense",
    [
        one(2, "medicationCodeableConcept", medication(25), reads=(25,)),
        one(3, "whenHandedOver", date_time),
        one(4, "quantity", amount(5), reads=(5,)),
        many(9, "note", _plain_note),
        many(10, "performer", within("actor", practitioner)),
        one(11, "substitution", _substitution),
        many(15, "note", coded_note),
        one(30, "destination", _whither),
        one(33, "type", concept(table="0484")),
    ],
    ignored=(1, 7),
)


def product(code: int, form: int, strength: int, volume: int, lot: int = 0) -> list[Row]:
    """The rows for the product itself, by the numbers of its fields; a lot (RXD) has expiration and maker behind it."""
    measured = _strength(code, volume)
    rows = [
        one(code, "code", concept()),
        one(form, "form", concept()),
        one(strength, "ingredient", measured, label="strength", reads=(strength + 1, volume, volume + 1)),
    ]
    if lot:
        rows.append(one(lot, "batch.lotNumber", _lot))
        rows.append(one(lot + 1, "batch.expirationDate", date_time))
        rows.append(one(lot + 2, "manufacturer", _pharmacy))
    return rows


def _lot(value: Value, walk: Walk) -> Converted | None:
    said = clean(value.text.strip())
    return (said, {}) if said else None


def _strength(code: int, volume: int) -> Convert:
    """The strength of what is given, which is an ingredient of itself: R4 has no other place for it."""

    def converted(value: Value, walk: Walk) -> Converted | None:
        segment, field, _ = walk.here
        item = concept()(segment.first(code), walk)
        strength = _portion(segment, field, walk)
        if item is None or strength is None:
            return None
        whole = _portion(segment, volume, walk)
        if whole is not None:
            strength["denominator"] = whole["numerator"]
        return {"itemCodeableConcept": item[0], "strength": strength}, {"strength": 1}

    return converted


def _portion(segment: Segment, field: int, walk: Walk) -> dict[str, Any] | None:
    """A strength: so much of it, in the units of the next field, in one."""
    found = number(segment.text(field))
    if found is None:
        return None
    label = unit(segment.first(field + 1), walk) if segment[field + 1] else {}
    return {"numerator": {"value": found, **label}, "denominator": {"value": 1}}


RXO_MEDICATION: Final = SegmentMap("RXO", "Medication", product(1, 5, 18, 25))
RXE_MEDICATION: Final = SegmentMap("RXE", "Medication", product(2, 6, 25, 33))
RXD_MEDICATION: Final = SegmentMap("RXD", "Medication", product(2, 6, 16, 28, lot=18))


def ingredient(segment: Segment, walk: Walk) -> Converted | None:
    """A component of a compound (RXC): a base (B) or an additive (A), how much of it, and how strong it is."""
    walk.at(segment, 2)
    item = concept()(segment.first(2), walk)
    if item is None:
        return None
    walk.read(segment, 1, 3, 4, 5, 6, 7)
    made: dict[str, Any] = {"itemCodeableConcept": item[0]}
    parts: Parts = {"itemCodeableConcept": 0}
    for further in segment.repetitions(7):
        again = concept()(further, walk)
        if again and "coding" in again[0]:
            made["itemCodeableConcept"].setdefault("coding", []).extend(again[0]["coding"])
    # How much is put in says more than how strong the component is by itself.
    for field in (3, 5):
        strength = _portion(segment, field, walk)
        if strength:
            made.setdefault("strength", strength)
            parts.setdefault("strength", Place("RXC", segment.number, field))
    kind = segment.text(1).strip().upper()
    if kind in ("A", "B"):
        made["isActive"] = kind == "A"
        parts["isActive"] = Place("RXC", segment.number, 1)
    return made, parts
