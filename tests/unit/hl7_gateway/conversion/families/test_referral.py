"""What referrals say: https://www.hl7.eu/HL7v2x/v282/std282/ch11.html"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.validation import issues
from hl7_gateway.conversion.convert import convert
from hl7_gateway.conversion.draft import Conversion, Draft
from hl7_gateway.message import Message
from tests.unit.hl7_gateway.conversion.applied import FEED, applied, of_type

PID = "PID|1||123^^^A^MR||DOE^JANE"
RF1 = "RF1|P|R|MED^Medical|WR||R1^EHR|20240818|20241231||W^Work load|X9^OTHER"
AUT = "AUT|PPO|HC1|Health Company|20240801|20240901|AU7|500&USD|10|8"
FROM = "PRD|RP|POWELL^ROBERT|1 Street^^Town|||| 11^NPI||"
TO = (
    "PRD|RT^Referred to|HILL^ANN|2 Street^^Town||^WPN^PH^^^^^^^^^555-1||22^SL^MI^20300101|20200101||Clinic^^C5"
    "|3 Street^^City"
)


def conversion_of(*segments: str, event: str = "I12") -> Conversion:
    header = f"MSH|^~\\&|EHR|HOSP|R|F|20240818112600||REF^{event}|1|P|2.5.1"
    return convert(Message("\r".join([header, *segments])), FEED)


def resources(*segments: str, event: str = "I12") -> dict[str, dict[str, Any]]:
    found = applied(conversion_of(*segments, event=event))
    for name, resource in found.items():
        assert not issues(resource, warnings=False), (name, issues(resource, warnings=False))
    return found


def only(found: dict[str, dict[str, Any]], kind: str) -> dict[str, Any]:
    (one,) = of_type(found, kind)
    return one


def drafts(conversion: Conversion, kind: str) -> list[Draft]:
    return [one for one in conversion.drafts if one.type == kind]


def test_a_referral() -> None:
    found = resources(RF1, PID)
    request = only(found, "ServiceRequest")
    assert [(one["system"], one["value"]) for one in request["identifier"]] == [
        ("urn:hl7:north:EHR", "R1"),
        ("urn:hl7:north:OTHER", "X9"),
    ]
    assert (request["status"], request["intent"], request["priority"]) == ("active", "order", "routine")
    assert request["code"]["coding"][0]["code"] == "MED"
    assert request["orderDetail"][0]["coding"][0]["code"] == "WR"
    assert "3457005" in [one["coding"][0]["code"] for one in request["category"]]
    assert request["authoredOn"] == "2024-08-18"
    assert request["occurrencePeriod"] == {"start": "2024-08-18", "end": "2024-12-31"}
    assert request["reasonCode"][0]["coding"][0]["code"] == "W"
    assert request["subject"]["reference"].startswith("Patient/")


def test_the_task_of_a_referral() -> None:
    found = resources(RF1, FROM, TO, PID)
    task, request = only(found, "Task"), only(found, "ServiceRequest")
    assert (task["status"], task["intent"]) == ("requested", "order")
    assert task["focus"] == {"reference": f"ServiceRequest/{request['id']}"}
    assert task["requester"] == request["requester"]
    assert [task["owner"]] == request["performer"]
    assert task["restriction"] == {"period": {"end": "2024-12-31"}}


@pytest.mark.parametrize(
    ("sent", "event", "status", "step"),
    [
        ("P", "I12", "active", "requested"),
        ("A", "I13", "active", "accepted"),
        ("R", "I13", "revoked", "rejected"),
        ("E", "I13", "revoked", "cancelled"),
        ("X^Denied", "I13", "revoked", "rejected"),
        ("", "I12", "active", "requested"),
        ("P", "I14", "revoked", "cancelled"),
        ("A", "I14", "revoked", "cancelled"),
    ],
)
def test_the_life_of_a_referral(sent: str, event: str, status: str, step: str) -> None:
    found = resources(RF1.replace("RF1|P", f"RF1|{sent}"), PID, event=event)
    assert (only(found, "ServiceRequest")["status"], only(found, "Task")["status"]) == (status, step)


def test_asking_again_does_not_take_back_an_answer() -> None:
    (task,) = drafts(conversion_of(RF1, PID, event="I13"), "Task")
    assert [one.initial for one in task.stated if one.path == "status"] == [True]


def test_a_referral_that_should_not_have_been() -> None:
    deleted = "|".join([*RF1.split("|"), *[""] * 13, "D"])
    found = resources(deleted, PID)
    assert only(found, "ServiceRequest")["status"] == "entered-in-error"


def test_who_refers_and_whom_to() -> None:
    found = resources(RF1, FROM, TO, PID)
    first, second = of_type(found, "Practitioner")
    assert first["identifier"][0]["system"] == "http://hl7.org/fhir/sid/us-npi"
    assert first["name"][0]["family"] == "POWELL"
    assert second["identifier"] == [
        {
            "system": "urn:hl7:north:MI-SL",
            "value": "22",
            "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "SL"}]},
            "period": {"end": "2030-01-01"},
        }
    ]
    role = only(found, "PractitionerRole")
    assert role["practitioner"] == {"reference": f"Practitioner/{second['id']}"}
    assert role["period"] == {"start": "2020-01-01"}
    company = only(found, "Organization")
    assert (company["name"], company["address"][0]["city"]) == ("Clinic", "City")


def test_who_has_no_number_is_a_name() -> None:
    found = resources(RF1, "PRD|RP|POWELL^ROBERT", "PRD|RT|||||||||Clinic", PID)
    request = only(found, "ServiceRequest")
    assert request["requester"] == {"display": "ROBERT POWELL"}
    assert request["performer"] == [{"reference": f"Organization/{only(found, 'Organization')['id']}"}]


def test_the_own_doctor_of_the_patient() -> None:
    found = resources(RF1, FROM.replace("PRD|RP", "PRD|PP"), PID)
    (doctor,) = of_type(found, "Practitioner")
    assert only(found, "Patient")["generalPractitioner"] == [{"reference": f"Practitioner/{doctor['id']}"}]


def test_whom_to_ask() -> None:
    found = resources(RF1, TO, "CTD||SMITH^JO|||^WPN^PH^^^^^^^^^555-2", PID)
    (contact,) = only(found, "Organization")["contact"]
    assert (contact["name"]["family"], contact["telecom"][0]["value"]) == ("SMITH", "555-2")


def test_an_authorization() -> None:
    found = resources(RF1, AUT, PID)
    answer = only(found, "ClaimResponse")
    assert (answer["use"], answer["outcome"], answer["preAuthRef"]) == ("preauthorization", "complete", "AU7")
    assert answer["preAuthPeriod"] == {"start": "2024-08-01", "end": "2024-09-01"}
    assert answer["total"][0]["amount"] == {"value": 500, "currency": "USD"}
    assert [one["text"] for one in answer["processNote"]] == ["Treatments requested: 10", "Treatments authorized: 8"]
    reference = {"reference": f"ClaimResponse/{answer['id']}"}
    assert only(found, "ServiceRequest")["insurance"] == [reference]


def test_an_authorization_of_a_procedure() -> None:
    found = resources(RF1, AUT, PID, "PR1|1||P1^Procedure^L", AUT.replace("AU7", "AU8"))
    assert [one["preAuthRef"] for one in of_type(found, "ClaimResponse")] == ["AU7", "AU8"]
    assert len(only(found, "ServiceRequest")["insurance"]) == 2


def test_why_and_who_pays() -> None:
    found = resources(RF1, PID, "IN1|1|PLAN|INS|Insurer", "DG1|1||K63.3^Ulcer^I10")
    request = only(found, "ServiceRequest")
    assert request["insurance"] == [{"reference": f"Coverage/{only(found, 'Coverage')['id']}"}]
    assert request["reasonReference"] == [{"reference": f"Condition/{only(found, 'Condition')['id']}"}]


def test_results_that_are_sent_along_are_not_of_the_referral() -> None:
    obr = "OBR|1|||22310-7^Test^LN|||20240817"
    found = resources(
        RF1, PID, obr, "OBX|1|ST|22310-7^Test^LN||Positive||||||F", "DG1|1||K63.3^Ulcer^I10", "OBX|2|ST|X||a||||||F"
    )
    request = only(found, "ServiceRequest")
    assert request["reasonReference"]
    assert not any("basedOn" in one for one in of_type(found, "Observation"))


def test_the_visit_and_the_notes_at_the_end() -> None:
    obr = "OBR|1|||22310-7^Test^LN|||20240817"
    found = resources(RF1, PID, obr, "NTE|1||of the test", "PV1|1|O|||||||||||||||||V1^^^A", "NTE|1||of the referral")
    request = only(found, "ServiceRequest")
    assert request["note"] == [{"text": "of the referral"}]
    assert request["encounter"] == {"reference": f"Encounter/{only(found, 'Encounter')['id']}"}


def test_a_referral_may_stand_behind_its_patient() -> None:
    found = resources(PID, RF1, TO)
    assert only(found, "ServiceRequest")["performer"][0]["reference"].startswith("Practitioner/")


def test_referrals_of_two_patients() -> None:
    second = (RF1.replace("R1^EHR", "R2^EHR"), TO, PID.replace("123^", "124^"))
    found = resources(RF1, FROM, PID, "PR1|1||P1^Procedure^L", *second)
    requests, patients = of_type(found, "ServiceRequest"), of_type(found, "Patient")
    assert [one["identifier"][0]["value"] for one in requests] == ["R1", "R2"]
    assert [one["subject"]["reference"] for one in requests] == [f"Patient/{one['id']}" for one in patients]
    assert ["performer" in one for one in requests] == [False, True]


def test_an_authorization_does_not_end_before_it_begins() -> None:
    found = only(resources(RF1, AUT.replace("20240901", "20240701"), PID), "ClaimResponse")
    assert found["preAuthPeriod"] == {"start": "2024-08-01"}
