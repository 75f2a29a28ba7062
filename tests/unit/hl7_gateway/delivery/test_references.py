"""References between drafts. https://hl7.org/fhir/R4/references.html"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hl7_gateway.conversion.draft import DRAFT, Said, Stated, Warned
from hl7_gateway.delivery.references import References
from hl7_gateway.problems import Place

HERE, GONE = {"reference": DRAFT + "here"}, {"reference": DRAFT + "gone", "display": "x"}
FOUND = {"reference": "Patient/1"}


def resolved(resource_type: str, path: str, *values: Any) -> tuple[list[Any] | None, list[str]]:
    warnings: list[Warned] = []
    references = References(lambda name: "Patient/1" if name == "here" else "", warnings)
    stated = Stated(path, "s", tuple(Said(value, {"": Place("PV1", 1, 7)}) for value in values))
    found = references.resolved(resource_type, stated)
    if found is not None and all(one.value is value for one, value in zip(found.values, values, strict=False)):
        assert found is stated or len(values) != len(found.values)
    assert all(str(one.place) == "PV1-7" for one in warnings)
    return None if found is None else [one.value for one in found.values], [one.said for one in warnings]


def test_names_of_drafts_become_references() -> None:
    assert resolved("Encounter", "subject", HERE) == ([FOUND], [])
    participant = {"individual": HERE, "type": [{"text": "a"}]}
    assert resolved("Encounter", "participant", participant) == ([{"individual": FOUND, "type": [{"text": "a"}]}], [])
    assert participant["individual"] is HERE


def test_what_refers_to_nothing_is_left_out_with_a_warning() -> None:
    kept = {"type": [{"text": "a"}]}
    warning = "Encounter.participant.individual refers to what is not there."
    assert resolved("Encounter", "participant", {"individual": GONE, **kept}) == ([kept], [warning])
    assert resolved("Encounter", "participant", {"individual": GONE}, kept) == ([kept], [warning])
    assert resolved("Encounter", "subject", GONE) == (None, ["Encounter.subject refers to what is not there."])
    assert resolved("Patient", "generalPractitioner", GONE, HERE)[0] == [FOUND]


def test_what_is_not_valid_without_it_goes_as_well() -> None:
    found, warnings = resolved("Account", "guarantor", {"party": GONE, "onHold": True})
    assert found is None
    assert warnings[1] == "Account.guarantor is left out: party is required in it."


def test_extensions_and_lists_within_are_looked_through() -> None:
    value = {"url": "u", "extension": [{"url": "v", "valueReference": HERE}, {"url": "w", "valueReference": GONE}]}
    found, warnings = resolved("Patient", "extension", value)
    assert found == [{"url": "u", "extension": [{"url": "v", "valueReference": FOUND}]}]
    assert len(warnings) == 2


def test_numbers_lose_their_exponent_and_no_digit() -> None:
    found, _ = resolved("Observation", "valueQuantity", {"value": Decimal("1.20E+3")})
    assert found is not None
    assert [str(one["value"]) for one in found] == ["1200"]
    for text in ("1.50", "0", "1E-7", "1E+9999"):
        found, _ = resolved("Observation", "valueQuantity", {"value": Decimal(text)})
        assert found is not None
        assert str(found[0]["value"]) == text
