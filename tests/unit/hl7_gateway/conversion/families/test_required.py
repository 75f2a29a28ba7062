"""What a message says, and what it takes away: https://hl7.org/fhir/R4/conformance-rules.html"""

from __future__ import annotations

import pytest

from fhir_server.validation import issues
from hl7_gateway.conversion.draft import Draft, Said, Stated
from hl7_gateway.conversion.families.required import known_of
from tests.unit.hl7_gateway.conversion.applied import converted, of_type


def test_what_is_said_is_known_and_what_is_taken_away_is_not() -> None:
    draft = Draft("Goal#1", "Goal")
    assert not known_of(draft, "description")
    draft.stated.append(Stated("description", "GOL-3", ()))
    assert not known_of(draft, "description")
    draft.stated.append(Stated("description", "GOL-3", (Said({"text": "x"}, {}),)))
    assert known_of(draft, "description")
    assert not known_of(draft, "subject")


HEADER = "MSH|^~\\&|A|B|C|D|20240818||{}|1|P|2.5.1\rPID|1||123^^^A^MR\r"


@pytest.mark.parametrize(
    ("kind", "segment", "resource", "path"),
    [
        ("ADT^A01", 'PV1|1|""|W', "Encounter", "class"),
        ("ADT^A01", 'IN1|1|PLAN||""', "Coverage", "payor"),
        ("ORU^R01", 'OBR|1||F1|""', "DiagnosticReport", "code"),
        ("PPR^PC1", 'GOL|AD||""|G1', "Goal", "description"),
        ("RDE^O11", 'RXE||""|1', "MedicationRequest", "medicationCodeableConcept"),
        ("RDS^O13", 'RXD|1|""|2024', "MedicationDispense", "medicationCodeableConcept"),
        ("DFT^P03", 'FT1|1|T1||2024||CG|""', "ChargeItem", "code"),
        ("REF^I12", 'RF1|P||""', "ServiceRequest", "code"),
    ],
)
def test_what_is_required_stays_when_its_field_is_taken_away(kind: str, segment: str, resource: str, path: str) -> None:
    (found,) = of_type(converted(HEADER.format(kind) + segment), resource)
    assert found[path]
    assert not issues(found, warnings=False)


def test_details_of_an_order_that_is_not_named() -> None:
    obr = "|".join(["OBR", "1", "P1", "F1", *[""] * 40, "D1^Detail^L"])
    (found,) = of_type(converted(HEADER.format("ORM^O01") + "ORC|NW|P1\r" + obr), "ServiceRequest")
    assert found["orderDetail"][0]["coding"][0]["code"] == "D1"
    assert not issues(found, warnings=False)


def test_a_quantity_that_is_compared_is_not_that_of_a_specimen() -> None:
    text = HEADER.format("ORU^R01") + "OBR|1||F1|X\rSPM|1|^S1||BLD||||||||" + "{}^mL"
    (found,) = of_type(converted(text.format("<5")), "Specimen")
    assert "collection" not in found
    (found,) = of_type(converted(text.format("5")), "Specimen")
    assert found["collection"]["quantity"] == {"value": 5, "unit": "mL"}
