"""What vaccinations say: https://hl7.org/fhir/uv/v2mappings/message_maps.html"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.validation import issues
from hl7_gateway.conversion.convert import convert
from hl7_gateway.conversion.draft import DRAFT
from hl7_gateway.message import Message
from tests.unit.hl7_gateway.conversion.applied import FEED, converted, of_type
from tests.unit.hl7_gateway.conversion.test_adt import PID, segment

GIVEN = {1: "0", 2: "1", 3: "20240818", 5: "207^COVID-19^CVX", 6: "0.5", 7: "mL^mL^UCUM", 9: "00^New^NIP001", 15: "L1",
         17: "MOD^Moderna^MVX", 20: "CP", 21: "A"}  # fmt: skip
ORC = "ORC|RE|P1^EHR|F1^IIS"


def text(*segments: str) -> str:
    return "\r".join(["MSH|^~\\&|EHR|HOSP|IIS|F|20240818112600||VXU^V04^VXU_V04|1|P|2.5.1", PID, *segments])


def immunizations(*segments: str) -> list[dict[str, Any]]:
    found = of_type(converted(text(*segments)), "Immunization")
    for one in found:
        assert not issues(one, warnings=False)
    return found


def test_a_vaccination() -> None:
    (found,) = immunizations(ORC, segment("RXA", GIVEN), "RXR|IM^Intramuscular^HL70162|LD^Left Deltoid^HL70163")
    assert found["status"] == "completed"
    assert found["occurrenceDateTime"] == "2024-08-18"
    assert found["vaccineCode"]["coding"][0]["system"] == "http://hl7.org/fhir/sid/cvx"
    assert (str(found["doseQuantity"]["value"]), found["doseQuantity"]["code"]) == ("0.5", "mL")
    assert (found["lotNumber"], found["primarySource"]) == ("L1", True)
    assert [one["value"] for one in found["identifier"]] == ["F1", "P1"]
    assert found["route"]["coding"][-1]["code"] == "IM"


@pytest.mark.parametrize(
    ("fields", "status"),
    [({20: "RE"}, "not-done"), ({20: "NA"}, "not-done"), ({20: "PA"}, "completed"), ({21: "D"}, "entered-in-error")],
)
def test_given_refused_or_taken_back(fields: dict[int, str], status: str) -> None:
    (found,) = immunizations(ORC, segment("RXA", GIVEN | fields))
    assert found["status"] == status


def test_why_it_was_refused() -> None:
    (found,) = immunizations(ORC, segment("RXA", GIVEN | {18: "00^Parental^NIP002", 20: "RE"}))
    assert found["statusReason"]["coding"][0]["display"] == "Parental"


def test_what_is_told_by_others() -> None:
    (found,) = immunizations(ORC, segment("RXA", GIVEN | {6: "999", 7: "", 9: "01^Historical^NIP001"}))
    assert found["primarySource"] is False
    assert found["reportOrigin"]["coding"][0]["code"] == "01"
    assert "doseQuantity" not in found


def test_nothing_was_given() -> None:
    assert immunizations(ORC, segment("RXA", GIVEN | {5: "998^No vaccine^CVX"})) == []


def test_each_order_is_another_vaccination() -> None:
    both = immunizations(ORC, segment("RXA", GIVEN), "ORC|RE|P2^EHR|F2^IIS", segment("RXA", GIVEN | {5: "140^Flu^CVX"}))
    assert [one["identifier"][0]["value"] for one in both] == ["F1", "F2"]


def test_without_a_number_it_is_known_by_patient_time_and_vaccine() -> None:
    found = convert(Message(text("ORC|RE||9999^IIS", segment("RXA", GIVEN))), FEED)
    (draft,) = (one for one in found.drafts if one.type == "Immunization")
    assert (draft.identifiers, draft.natural) == ([], ("RXA", DRAFT + "Patient#1", "20240818", "CVX|207"))


def test_what_registries_send_as_results() -> None:
    found = converted(
        text(
            ORC,
            segment("RXA", GIVEN),
            "OBX|1|CE|64994-7^Eligibility^LN|1|V02^Medicaid^HL70064||||||F",
            "OBX|2|NM|30973-2^Dose number^LN|1|2||||||F",
            "OBX|3|CE|69764-9^Document^LN|2|x^COVID VIS^cdc||||||F",
            "OBX|4|DT|29769-7^Presented^LN|2|20240818||||||F",
            "OBX|5|CE|31044-1^Reaction^LN|3|VXC9^Fever^CDC||||||F",
        )
    )
    (vaccination,) = of_type(found, "Immunization")
    assert vaccination["programEligibility"][0]["coding"][0]["code"] == "V02"
    assert vaccination["protocolApplied"] == [{"doseNumberPositiveInt": 2}]
    assert vaccination["education"] == [{"documentType": "COVID VIS", "presentationDate": "2024-08-18"}]
    (reaction,) = of_type(found, "Observation")
    assert reaction["valueCodeableConcept"]["coding"][0]["code"] == "VXC9"


@pytest.mark.parametrize(
    "document",
    [
        "OBX|3|CE|69764-9^Document^LN|2|||||||F",
        "OBX|3|CE|69764-9^Document^LN|2|^ ||||||F",
        "OBX|3|CE|69764-9^Document^LN|1|x^COVID VIS^cdc||||||F",
        "NTE|1||no document",
    ],
)
def test_the_date_of_a_document_that_is_not_told_is_a_result(document: str) -> None:
    date = "OBX|4|DT|29769-7^Presented^LN|2|20240818||||||F"
    of_another = [
        ORC,
        segment("RXA", GIVEN | {5: "208^COVID-19^CVX"}),
        "OBX|1|CE|69764-9^Document^LN|2|x^VIS^cdc||||||F",
    ]
    segments = [ORC, segment("RXA", GIVEN), document, date, *of_another]
    first, second = immunizations(*segments)
    assert not [one for one in first.get("education", ()) if "documentType" not in one or "presentationDate" in one]
    assert second["education"] == [{"documentType": "VIS"}]
    results = of_type(converted(text(*segments)), "Observation")
    assert "2024-08-18" in [one.get("valueDateTime") for one in results]


def test_a_date_may_come_before_its_document() -> None:
    date, document = (
        "OBX|3|DT|29769-7^Presented^LN|2|20240818||||||F",
        "OBX|4|CE|69764-9^Document^LN|2|x^VIS^cdc||||||F",
    )
    (vaccination,) = immunizations(ORC, segment("RXA", GIVEN), date, document)
    assert vaccination["education"] == [{"presentationDate": "2024-08-18", "documentType": "VIS"}]
