"""What a message carries is converted, whatever its type says that it is about. docs/hl7.md, "Conversion" """

from __future__ import annotations

import base64

import pytest

from hl7_gateway.conversion.convert import convert
from hl7_gateway.conversion.families.carried import CARRIED
from hl7_gateway.conversion.registry import FAMILIES
from hl7_gateway.message import Message
from tests.unit.hl7_gateway.conversion.applied import FEED, converted, of_type


def message(kind: str, *segments: str, before: str = "") -> str:
    lines = [f"MSH|^~\\&|A|B|C|D|20240818||{kind}|1|P|2.5.1", before, "PID|1||123^^^A^MR||DOE^JANE", "PV1|1|I|W^1^A"]
    return "\n".join([*(line for line in lines if line), *segments])


REPORT = (
    "ORC|RE|P1^H|F1^L",
    "OBR|1|P1^H|F1^L|24323-8^Panel^LN|||20240818||||||||||||||||||F",
    "OBX|1|NM|2345-7^Glucose^LN||5|mmol/L|||||F",
)
VACCINATION = ("ORC|RE||7^H", "RXA|0|1|20240818||08^HepB^CVX|1|mL", "RXR|IM", "OBX|1|CE|64994-7^x^LN||V02^x^HL70064")


@pytest.mark.parametrize("kind", ["ADT^A04", "SIU^S12", "MDM^T02", "BAR^P01", "VXU^V04", "REF^I12", "RDE^O11"])
def test_a_report_in_any_message(kind: str) -> None:
    made = converted(message(kind, *REPORT))
    (result,) = of_type(made, "Observation")
    assert result["code"]["coding"][0]["code"] == "2345-7"
    assert result["valueQuantity"]["value"] == 5
    reports = of_type(made, "DiagnosticReport")
    if kind == "MDM^T02":
        # An order before a document is the one that the document answers.
        assert not reports
    else:
        assert reports[0]["status"] == "final"
        assert reports[0]["result"] == [{"reference": f"Observation/{result['id']}"}]
    assert of_type(made, "ServiceRequest")[0]["identifier"][0]["value"] == "P1"


@pytest.mark.parametrize("kind", ["ADT^A08", "ORU^R01", "RDE^O11"])
def test_a_vaccination_in_any_message(kind: str) -> None:
    (made,) = of_type(converted(message(kind, *VACCINATION)), "Immunization")
    assert made["vaccineCode"]["coding"][0]["code"] == "08"
    assert made["identifier"][0]["value"] == "7"
    assert made["route"]["coding"][0]["code"] == "IM"
    assert made["programEligibility"][0]["coding"][0]["code"] == "V02"


def test_what_is_given_and_no_vaccine_is_no_vaccination() -> None:
    made = converted(message("ORU^R01", "ORC|RE||7^H", "RXA|0|1|20240818||313782^Acetaminophen^RXN|1|mL"))
    assert not of_type(made, "Immunization")


@pytest.mark.parametrize("kind", ["ADT^A04", "ORM^O01", "ORU^R01"])
def test_a_medication_in_any_message(kind: str) -> None:
    made = converted(message(kind, "ORC|NW|9^H", "RXO|313782^Acetaminophen^RXN|650||mg", "RXR|PO", "NTE|1||with food"))
    (order,) = of_type(made, "MedicationRequest")
    assert order["identifier"][0]["value"] == "9"
    assert order["dosageInstruction"][0]["route"]["coding"][0]["code"] == "PO"
    assert order["note"] == [{"text": "with food"}]
    assert not of_type(made, "ServiceRequest")


def test_an_order_with_an_admission() -> None:
    made = converted(message("ADT^A01", "ORC|NW|9^H", "TQ1|1||||||20240819||S", "OBR|1|9^H||24323-8^Panel^LN"))
    (order,) = of_type(made, "ServiceRequest")
    assert (order["status"], order["priority"], order["occurrenceDateTime"]) == ("active", "stat", "2024-08-19")
    assert of_type(made, "Encounter")[0]["status"] == "in-progress"
    assert not of_type(made, "DiagnosticReport")


def test_an_order_without_its_control_is_only_mentioned() -> None:
    drafts = convert(Message(message("SIU^S12", "OBR|1|9^H||24323-8^Panel^LN")), FEED).drafts
    assert [draft.stub for draft in drafts if draft.type == "ServiceRequest"] == [True]


def test_when_an_order_is_due_is_told_before_it_or_after() -> None:
    before = converted(message("OML^O21", "ORC|NW|9^H", "TQ1|1||||||20240819||S", "OBR|1|9^H||C"))
    after = converted(message("ORM^O01", "ORC|NW|9^H", "OBR|1|9^H||C", "TQ1|1||||||20240819||S"))
    for made in (before, after):
        (order,) = of_type(made, "ServiceRequest")
        assert (order["priority"], order["occurrenceDateTime"]) == ("stat", "2024-08-19")


def test_an_appointment_before_or_behind_the_patient() -> None:
    sch = "SCH||7^F|||||||30|MIN|^^^20240819100000"
    for text in (message("ADT^A04", "AIS|1||C^x", before=sch), message("ADT^A04", sch, "AIS|1||C^x")):
        made = converted(text)
        (appointment,) = of_type(made, "Appointment")
        assert appointment["start"] == "2024-08-19T10:00:00-04:00"
        assert appointment["end"] == "2024-08-19T10:30:00-04:00"
        assert appointment["serviceType"][0]["coding"][0]["code"] == "C"
        assert appointment["participant"][0]["actor"] == {"reference": f"Patient/{of_type(made, 'Patient')[0]['id']}"}


def test_the_time_of_an_order_is_not_that_of_an_appointment() -> None:
    sch = "SCH||7^F|||||||30|MIN|^^^20240819100000"
    made = converted(message("ADT^A04", "ORC|NW|9^H", "OBR|1|9^H||C", "TQ1|1||||||20240901120000", before=sch))
    assert of_type(made, "Appointment")[0]["start"].startswith("2024-08-19T10:00")
    assert of_type(made, "ServiceRequest")[0]["occurrenceDateTime"].startswith("2024-09-01")


def test_a_document_in_an_admission_ends_where_something_else_begins() -> None:
    txa = "TXA|1|DS|TX|20240818||||||||4^A"
    made = converted(message("ADT^A08", txa, "OBX|1|TX|a||one", "OBX|2|TX|a||two", "DG1|1||I10", "OBX|1|ST|b||three"))
    (document,) = of_type(made, "DocumentReference")
    assert base64.b64decode(document["content"][0]["attachment"]["data"]) == b"one\ntwo"
    assert [result["valueString"] for result in of_type(made, "Observation")] == ["three"]


def test_what_tells_of_the_document_behind_it_is_of_the_same() -> None:
    data = "^application^pdf^Base64^JVBERi0="
    txa = "TXA|1|DS|TX|20240818||||||||4^A|||||AU"
    made = converted(message("ORU^R01", "ORC|RE|1^A", f"OBX|1|ED|||{data}", "PRT||AD||AD", txa, *REPORT[1:]))
    (document,) = of_type(made, "DocumentReference")
    assert document["masterIdentifier"]["value"] == "4"
    assert [one["attachment"]["data"] for one in document["content"]] == ["JVBERi0="]
    assert document["docStatus"] == "final"
    assert of_type(made, "Observation")[1]["valueQuantity"]["value"] == 5


def test_the_orders_of_a_document() -> None:
    txa = "TXA|1|DS|TX|20240818||||||||4^A"
    made = converted(
        message("MDM^T02", "ORC|RE|1^A", "OBR|1|1^A||C", "ORC|RE|2^A", "OBR|2|2^A||D", txa, "OBX|1|TX|a||x")
    )
    orders = [{"reference": f"ServiceRequest/{one['id']}"} for one in of_type(made, "ServiceRequest")]
    assert of_type(made, "DocumentReference")[0]["context"]["related"] == orders
    assert len(orders) == 2


def test_a_charge_of_an_order_leaves_its_specimen_to_the_report() -> None:
    made = converted(message("ORU^R01", *REPORT, "FT1|1|12||20240818||CG|99213", "SPM|1|5^A||SER"))
    assert of_type(made, "ChargeItem")[0]["status"] == "billable"
    assert of_type(made, "DiagnosticReport")[0]["specimen"]
    assert not of_type(made, "Claim")


def test_a_referral_before_the_patient_of_an_admission() -> None:
    made = converted(message("ADT^A01", before="RF1|A|R|||||5^A|20240817"))
    (request,) = of_type(made, "ServiceRequest")
    assert request["subject"] == {"reference": f"Patient/{of_type(made, 'Patient')[0]['id']}"}
    assert of_type(made, "Task")[0]["focus"] == {"reference": f"ServiceRequest/{request['id']}"}


def test_every_family_reads_every_segment_that_any_message_may_carry() -> None:
    for family, _ in FAMILIES.values():
        assert CARRIED.keys() == family.handlers.keys()


def test_the_document_of_one_patient_is_over_where_another_begins() -> None:
    txa = "TXA|1|DS|TX|20240818||||||||4^A"
    made = converted(message("MDM^T02", txa, "OBX|1|TX|a||one", "PID|2||456^^^A^MR", "OBX|1|ST|b||two"))
    (document,) = of_type(made, "DocumentReference")
    assert base64.b64decode(document["content"][0]["attachment"]["data"]) == b"one"


def test_a_result_whose_code_is_taken_away_has_one() -> None:
    (made,) = of_type(converted(message("ORU^R01", 'OBX|1|ST|""||x||||||F')), "Observation")
    assert made["code"] == {"text": "unknown"}


def test_data_of_no_type_are_data() -> None:
    made = converted(message("ORU^R01", "OBX|1|ED|C||^^^Base64^JVBERi0=||||||F"))
    assert (
        of_type(made, "DocumentReference")[0]["content"][0]["attachment"]["contentType"] == "application/octet-stream"
    )
