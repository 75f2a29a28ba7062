"""What charges and accounts say: https://www.hl7.eu/HL7v2x/v28/std28/ch06.html"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fhir_server.validation import issues
from hl7_gateway.conversion.convert import convert
from hl7_gateway.conversion.draft import Conversion, Draft
from hl7_gateway.message import Message
from tests.unit.hl7_gateway.conversion.applied import FEED, applied, of_type

PID = "PID|1||123^^^A^MR||DOE^JANE|||||||||||||A7^^^BANK"
PV1 = "PV1|1|I|||||||||||||||||V1^^^A"
FT1 = (
    "FT1|1|T1^^^BILLING||20240818|20240819|CG|71045^Chest^C4|||2|100.00&USD|50.00&USD||||||"
    "|R07.4^Pain^I10|9^WHO^DOCTOR^^^^^^NPI"
)
IN1 = "IN1|1|PLAN|INS|Insurer"


def conversion_of(*segments: str, kind: str = "DFT^P03") -> Conversion:
    header = f"MSH|^~\\&|BILL|HOSP|R|F|20240818112600||{kind}|1|P|2.5.1"
    return convert(Message("\r".join([header, *segments])), FEED)


def resources(*segments: str, kind: str = "DFT^P03") -> dict[str, dict[str, Any]]:
    found = applied(conversion_of(*segments, kind=kind))
    for name, resource in found.items():
        assert not issues(resource, warnings=False), (name, issues(resource, warnings=False))
    return found


def charge(segment: str) -> dict[str, Any]:
    (found,) = of_type(resources(PID, segment), "ChargeItem")
    return found


def claim(*segments: str) -> dict[str, Any]:
    (found,) = of_type(resources(PID, *segments), "Claim")
    return found


def drafts(conversion: Conversion, kind: str) -> list[Draft]:
    return [one for one in conversion.drafts if one.type == kind]


def test_a_charge() -> None:
    found = resources(PID, PV1, FT1)
    (item,), (visit,), (bill,) = (of_type(found, kind) for kind in ("ChargeItem", "Encounter", "Account"))
    assert item["identifier"] == [{"system": "urn:hl7:north:BILLING", "value": "T1"}]
    assert item["status"] == "billable"
    assert item["code"]["coding"][0]["code"] == "71045"
    assert item["occurrenceDateTime"] == "2024-08-18"
    assert item["enteredDate"] == "2024-08-19"
    assert item["quantity"] == {"value": 2}
    assert str(item["priceOverride"]["value"]) == "100.00"
    assert item["context"] == {"reference": f"Encounter/{visit['id']}"}
    assert item["account"] == [{"reference": f"Account/{bill['id']}"}]
    assert visit["account"] == [{"reference": f"Account/{bill['id']}"}]


@pytest.mark.parametrize(
    ("kind", "status"),
    [("CG", "billable"), ("CD", "aborted"), ("PY", "not-billable"), ("AJ", "not-billable"), ("", "billable"),
     ("??", "unknown")],
)  # fmt: skip
def test_kinds_of_transactions(kind: str, status: str) -> None:
    assert charge(FT1.replace("|CG|", f"|{kind}|"))["status"] == status


def test_a_credit_takes_back_the_charge_of_its_number() -> None:
    first, later = conversion_of(PID, FT1), conversion_of(PID, FT1.replace("|CG|", "|CD|"))
    one, other = drafts(first, "ChargeItem")[0], drafts(later, "ChargeItem")[0]
    assert one.identifiers == other.identifiers == [("urn:hl7:north:BILLING", "T1")]
    assert not drafts(later, "Claim")


def test_a_bare_number_does_not_identify_a_charge_by_itself() -> None:
    (one,) = drafts(conversion_of(PID, FT1.replace("T1^^^BILLING", "1")), "ChargeItem")
    (other,) = drafts(
        conversion_of(PID, FT1.replace("T1^^^BILLING", "1").replace("20240818|", "20240901|")), "ChargeItem"
    )
    assert not one.identifiers
    assert one.natural != other.natural


def test_a_price_of_one() -> None:
    found = charge("FT1|1|T1||20240818||CG|X|||3||1.50&EUR")
    assert (str(found["priceOverride"]["value"]), found["priceOverride"]["currency"]) == ("4.50", "EUR")


def test_money_without_a_currency_has_none() -> None:
    assert charge("FT1|1|T1||20240818||CG|X|||1|12.5")["priceOverride"] == {"value": Decimal("12.5")}


def test_a_currency_that_is_none_is_told() -> None:
    found = conversion_of(PID, "FT1|1|T1||20240818||CG|X|||1|12.5&dollars")
    assert {str(one.place) for one in found.warnings} == {"FT1-11"}


def test_a_charge_over_days() -> None:
    found = charge("FT1|1|T1||20240818^20240820||CG|X")
    assert found["occurrencePeriod"] == {"start": "2024-08-18", "end": "2024-08-20"}
    assert "occurrenceDateTime" not in found


def test_a_claim() -> None:
    found = claim(PV1, FT1, "DG1|1||R07.4^Pain^I10", IN1)
    assert (found["status"], found["use"], found["created"]) == ("active", "claim", "2024-08-18T11:26:00-04:00")
    assert found["type"]["coding"][0]["code"] == "institutional"
    assert found["provider"]["reference"].startswith("Practitioner/")
    assert [one["focal"] for one in found["insurance"]] == [True]
    (item,) = found["item"]
    assert item["unitPrice"]["currency"] == "USD"
    assert (str(item["unitPrice"]["value"]), str(item["net"]["value"])) == ("50.00", "100.00")
    assert item["servicedDate"] == "2024-08-18"
    assert item["diagnosisSequence"] == [1]
    assert [sorted(one) for one in found["diagnosis"]] == [["diagnosisReference", "sequence"]]


def test_a_diagnosis_that_only_the_charge_names() -> None:
    found = claim(FT1, "DG1|1||A00^Cholera^I10")
    assert found["diagnosis"][1]["diagnosisCodeableConcept"]["coding"][0]["code"] == "R07.4"
    assert found["item"][0]["diagnosisSequence"] == [2]


def test_a_claim_of_several_charges() -> None:
    found = claim(
        FT1, "PR1|1||P1^Procedure^L", FT1.replace("T1^", "T2^"), FT1.replace("T1^", "T3^").replace("CG", "PY")
    )
    assert [one["sequence"] for one in found["item"]] == [1, 2]
    assert [one["sequence"] for one in found["procedure"]] == [1]


def test_a_claim_without_an_insurance_says_that_it_is_unknown() -> None:
    (insurance,) = claim(FT1)["insurance"]
    assert insurance["coverage"]["extension"][0]["valueCode"] == "unknown"


def test_what_was_done_is_claimed_rather_than_what_is_charged() -> None:
    segment = "FT1|1|T1||20240818||CG|ITEM||||||||||||||||||99011^Visit^C4|25~59"
    (item,) = claim(segment)["item"]
    assert item["productOrService"]["coding"][0]["code"] == "99011"
    assert [one["coding"][0]["code"] for one in item["modifier"]] == ["25", "59"]


def test_an_accident() -> None:
    found = claim(FT1, "ACC|20240817|WPA^Work^HL70050|Hall 3")["accident"]
    assert found["date"] == "2024-08-17"
    assert found["locationAddress"] == {"text": "Hall 3"}


def test_the_procedure_that_is_charged() -> None:
    found = resources(PID, FT1, "PR1|1||P1^Procedure^L", FT1.replace("T1^", "T2^"))
    (procedure,), (first, second) = of_type(found, "Procedure"), of_type(found, "ChargeItem")
    assert first["service"] == [{"reference": f"Procedure/{procedure['id']}"}]
    assert "service" not in second


def test_charges_of_two_patients() -> None:
    found = resources(PID, FT1, IN1, PID.replace("123^", "124^"), FT1.replace("T1^", "T2^"))
    first, second = of_type(found, "Patient")
    one, other = of_type(found, "Claim")
    assert one["patient"]["reference"] == f"Patient/{first['id']}"
    assert other["patient"]["reference"] == f"Patient/{second['id']}"
    assert "reference" not in other["insurance"][0]["coverage"]


def test_a_claim_stays_the_same_when_its_message_is_sent_again() -> None:
    one, again = (drafts(conversion_of(PID, PV1, FT1), "Claim")[0].natural for _ in range(2))
    other = drafts(conversion_of(PID, PV1, FT1.replace("T1^", "T2^")), "Claim")[0].natural
    assert one == again != other


@pytest.mark.parametrize(("event", "status"), [("P01", "active"), ("P02", "inactive"), ("P06", "inactive")])
def test_the_life_of_an_account(event: str, status: str) -> None:
    (found,) = of_type(resources(PID, PV1, kind=f"BAR^{event}"), "Account")
    assert found["status"] == status


def test_what_is_said_of_an_account_does_not_open_it_again() -> None:
    (found,) = drafts(conversion_of(PID, "DG1|1||A00^Cholera^I10", kind="BAR^P12"), "Account")
    assert [one.initial for one in found.stated if one.path == "status"] == [True]


def test_insurance_and_guarantor_of_an_account() -> None:
    found = resources(PID, IN1, "GT1|1||ROE^RICHARD", kind="BAR^P01")
    (bill,), (coverage,) = of_type(found, "Account"), of_type(found, "Coverage")
    assert bill["coverage"] == [{"coverage": {"reference": f"Coverage/{coverage['id']}"}}]
    assert bill["guarantor"][0]["party"]["reference"].startswith("RelatedPerson/")


def test_a_charge_for_a_medication_that_was_dispensed() -> None:
    found = resources(PID, "ORC|RE|P1^EHR", "RXD|1|N1^Aspirin^NDC|20240818|30", FT1, kind="RDS^O13")
    (item,), (given,) = of_type(found, "ChargeItem"), of_type(found, "MedicationDispense")
    assert item["service"] == [{"reference": f"MedicationDispense/{given['id']}"}]


def test_a_code_that_is_taken_away_becomes_unknown() -> None:
    assert charge('FT1|1|T1||20240818||CG|""')["code"] == {"text": "unknown"}
    kept = "|".join(["FT1", "1", "T1", "", "20240818", "", "CG", "X", *[""] * 17, '""'])
    assert charge(kept)["code"]["coding"][0]["code"] == "X"


def test_a_currency_that_does_not_exist_is_left_out() -> None:
    assert "currency" not in charge("FT1|1|T1||20240818||CG|X|||1|12.5&XXQ")["priceOverride"]
