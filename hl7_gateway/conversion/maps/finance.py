"""FT1: charges. https://www.hl7.eu/HL7v2x/v28/std28/ch06.html, "6.5.1 FT1 - Financial Transaction Segment"

The v2-to-FHIR guide has no map of it.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import Any, Final

from fhir_server.r4.definitions import load
from hl7_gateway.conversion.datatypes.codes import concept
from hl7_gateway.conversion.datatypes.identifiers import cx
from hl7_gateway.conversion.datatypes.quantities import unit
from hl7_gateway.conversion.datatypes.references import named_organization, organization, practitioner
from hl7_gateway.conversion.datatypes.simple import clean, date_range, date_time, number, stamp
from hl7_gateway.conversion.table import SegmentMap, many, one, within
from hl7_gateway.conversion.walk import Converted, Walk
from hl7_gateway.message import Segment, Value
from hl7_gateway.problems import Place


@cache
def _currencies() -> frozenset[str]:
    """https://hl7.org/fhir/R4/valueset-currencies.html"""
    (codes,) = load().value_sets["http://hl7.org/fhir/ValueSet/currencies"].values()
    return frozenset(codes)


def money(value: Value, walk: Walk) -> Converted | None:
    """Money of a CP, whose first component is an MO; without a currency where none was sent: R4 allows that."""
    sent = value.component(1)
    amount = number(sent.part(1))
    if amount is None:
        if sent.part(1).strip():
            walk.warn("This amount is not a number, and was left out.")
        return None
    currency = sent.part(2).strip().upper()
    if not currency:
        return {"value": amount}, {"value": 1}
    if currency not in _currencies():
        walk.warn("This is no currency of ISO 4217, and was left out.")
        return {"value": amount}, {"value": 1}
    return {"value": amount, "currency": currency}, {"value": 1, "currency": 1}


def _total(value: Value, walk: Walk) -> Converted | None:
    """What all of it costs, from the price of one, where the whole amount (FT1-11) was not sent."""
    found = money(value, walk)
    segment = walk.here[0]
    times = number(segment.text(10)) if segment[10] else Decimal(1)
    if found is None or times is None:
        return None
    return {**found[0], "value": found[0]["value"] * times}, found[1]


def _quantity(value: Value, walk: Walk) -> Converted | None:
    """How many; the units are those of a product (FT1-43), where the count of both is the same."""
    found = number(value.text)
    if found is None:
        walk.warn("This is not a number, and was left out.")
        return None
    segment = walk.here[0]
    product = segment.first(43)
    if segment[43] and number(product.part(1)) == found:
        walk.read(segment, 43)
        return {"value": found, **unit(product.component(2), walk)}, {
            "value": 0,
            "unit": Place("FT1", segment.number, 43),
        }
    return {"value": found}, {"value": 0}


def _when(value: Value, walk: Walk) -> Converted | None:
    found = stamp(value.part(1), walk)
    return (found, {"": 1}) if found else None


def lasts(segment: Segment) -> bool:
    """Whether the transaction has a beginning and an end."""
    return bool(segment.first(4).component(2))


def _note(value: Value, walk: Walk) -> Converted | None:
    said = clean(value.whole.strip())
    return ({"text": said}, {"text": 0}) if said else None


FT1_CHARGE_ITEM: Final = SegmentMap(
    "FT1",
    "ChargeItem",
    [
        one(2, "identifier", cx()),
        one(4, "occurrenceDateTime", _when, lambda segment: not lasts(segment)),
        one(4, "occurrencePeriod", date_range, lasts, label="period"),
        one(5, "enteredDate", date_time),
        one(7, "code", concept()),
        one(25, "code", concept(), lambda segment: not segment[7]),
        one(8, "note", _note),
        one(9, "note", _note),
        one(10, "quantity", _quantity),
        one(11, "priceOverride", money),
        one(12, "priceOverride", _total, lambda segment: not segment[11]),
        one(13, "costCenter", named_organization),
        many(19, "reason", concept()),
        many(20, "performer", within("actor", practitioner)),
        many(21, "supportingInformation", practitioner),
        one(24, "enterer", practitioner),
        one(29, "productCodeableConcept", concept()),
        one(32, "performingOrganization", organization),
        one(33, "requestingOrganization", organization),
    ],
    ignored=(1, 6),
)

Entry = dict[str, Any]
"""An item, diagnosis, procedure or insurance of a Claim."""
