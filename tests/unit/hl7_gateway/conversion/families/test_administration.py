"""What is said of a medication that was given: https://www.hl7.eu/HL7v2x/v28/std28/ch04a.html, RXA"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.unit.hl7_gateway.conversion.applied import of_type
from tests.unit.hl7_gateway.conversion.families.test_pharmacy import ORC, PID, RXE, conversion_of, drafts, resources

RXA = (
    "RXA|0|1|20240819081500|20240819084500|R9^Vancomycin^L|1.5|g^gram^UCUM||S^Slowly^L|55^NURSE^ANNA^^^^^^NPI|4N^401^A"
    "|H2||||||||CP"
)


def given(*segments: str) -> dict[str, Any]:
    (found,) = of_type(resources(PID, *segments, kind="RAS^O17"), "MedicationAdministration")
    return found


def test_what_was_given() -> None:
    found = given(ORC, RXA, "RXR|IV^Intravenous^HL70162|LA^Left Arm^HL70163||IVP^IV Push^HL70165")
    assert found["status"] == "completed"
    assert found["medicationCodeableConcept"]["coding"][0]["code"] == "R9"
    assert found["effectivePeriod"] == {"start": "2024-08-19T08:15:00-04:00", "end": "2024-08-19T08:45:00-04:00"}
    assert found["dosage"]["dose"]["value"] == Decimal("1.5")
    assert found["dosage"]["dose"]["code"] == "g"
    assert found["dosage"]["rateRatio"]["denominator"]["code"] == "h"
    assert found["dosage"]["rateRatio"]["denominator"]["value"] == 2
    # Of routes the guide has a map, to those of HL7 version 3.
    assert [found["dosage"][one]["coding"][0]["code"] for one in ("route", "site", "method")] == ["IVINJ", "LA", "IVP"]
    assert found["note"] == [{"text": "Slowly"}]
    assert found["performer"][0]["actor"]["reference"].startswith("Practitioner/")
    assert found["subject"]["reference"].startswith("Patient/")


def test_it_is_of_the_order_that_is_told_before() -> None:
    found = resources(PID, ORC, RXE, RXA, kind="RAS^O17")
    (request,), (one,) = of_type(found, "MedicationRequest"), of_type(found, "MedicationAdministration")
    assert one["request"] == {"reference": f"MedicationRequest/{request['id']}"}


def test_an_order_that_is_only_mentioned_is_not_changed() -> None:
    found = conversion_of(PID, "ORC|RE|P1^EHR|F1^PHARM", RXA, kind="RAS^O17")
    (request,) = drafts(found, "MedicationRequest")
    assert request.stub
    assert [value for _, value in request.identifiers] == ["P1", "F1"]
    assert not drafts(conversion_of(PID, "ORC|RE", RXA, kind="RAS^O17"), "MedicationRequest")


@pytest.mark.parametrize(
    ("completion", "action", "status"),
    [("CP", "A", "completed"), ("PA", "A", "stopped"), ("RE", "A", "not-done"), ("NA", "", "not-done"),
     ("", "", "completed"), ("CP", "D", "entered-in-error")],
)  # fmt: skip
def test_whether_it_was_given(completion: str, action: str, status: str) -> None:
    found = given(
        ORC, f"RXA|0|1|20240819||R9^Vancomycin^L|1|g|||||||||||00^Refused^L|I1^Infection^L|{completion}|{action}"
    )
    assert found["status"] == status
    assert found["effectiveDateTime"] == "2024-08-19"
    assert found["statusReason"][0]["coding"][0]["code"] == "00"
    assert found["reasonCode"][0]["coding"][0]["code"] == "I1"


@pytest.mark.parametrize("amount", ["999", "", "much"])
def test_without_an_amount_there_is_no_dosage(amount: str) -> None:
    """R4 has no route without one: constraint mad-1."""
    found = conversion_of(PID, ORC, f"RXA|0|1|20240819||R9^Vancomycin^L|{amount}|g", "RXR|IV", kind="RAS^O17")
    (one,) = drafts(found, "MedicationAdministration")
    assert "dosage" not in {said.path for said in one.stated}
    assert "RXR-1" in {f"{place.segment}-{place.field}" for place in found.unmapped}


def test_when_is_not_known() -> None:
    (extension,) = given(ORC, "RXA|0|1|||R9^Vancomycin^L|1|g")["effectivePeriod"]["extension"]
    assert extension["valueCode"] == "unknown"


def test_the_lot_is_of_the_product() -> None:
    found = resources(
        PID, ORC, "RXA|0|1|20240819||R9^Vancomycin^L|1|g||||||||L7|20250101|ACME^Acme Ltd^L", kind="RAS^O17"
    )
    (product,), (one,) = of_type(found, "Medication"), of_type(found, "MedicationAdministration")
    assert product["batch"] == {"lotNumber": "L7", "expirationDate": "2025-01-01"}
    assert one["supportingInformation"] == [{"reference": f"Medication/{product['id']}"}]


def test_the_same_told_again_is_the_same() -> None:
    first, again, other = (
        drafts(conversion_of(PID, ORC, rxa, kind="RAS^O17"), "MedicationAdministration")[0].natural
        for rxa in (RXA, RXA.replace("1.5", "2"), RXA.replace("|0|1|", "|0|2|"))
    )
    assert first == again != other


def test_beside_an_admission_it_is_read_too_and_a_vaccine_stays_one() -> None:
    found = resources(PID, "PV1|1|I|W", RXA, "RXA|0|1|20240819||207^COVID-19^CVX|0.5|mL", kind="ADT^A08")
    assert len(of_type(found, "Immunization")) == 1
    (one,), (visit,) = of_type(found, "MedicationAdministration"), of_type(found, "Encounter")
    assert one["context"] == {"reference": f"Encounter/{visit['id']}"}


def test_who_takes_part_is_told_behind_it() -> None:
    found = given(ORC, RXA, "PRT||AD||AP^Administering Provider^HL70912|66^SECOND^NURSE^^^^^^NPI")
    assert len(found["performer"]) == 2


def test_who_takes_part_is_told_before_it() -> None:
    found = given("ORC|RE|P1^EHR|F1^PHARM", "PRT||AD||AP^Administering Provider^HL70912|66^SECOND^NURSE^^^^^^NPI", RXA)
    assert len(found["performer"]) == 2
