"""Orders, reports and specimens by what stands around them. https://hl7.org/fhir/uv/v2mappings/message_maps.html"""

from __future__ import annotations

from typing import Any

import pytest

from hl7_gateway.conversion.convert import convert
from hl7_gateway.message import Message
from tests.unit.hl7_gateway.conversion.applied import FEED, converted, of_type

HEADER = "MSH|^~\\&|LAB|HOSP|R|F|2024||{}|1|P|2.8"
PATIENT = "PID|1||123^^^A^MR||DOE"


def message(kind: str, *segments: str) -> dict[str, dict[str, Any]]:
    return converted("\r".join([HEADER.format(kind), PATIENT, *segments]))


def test_a_control_after_its_request_does_not_end_it() -> None:
    found = message(
        "OUL^R22", "SPM|1|S1^^||BLD", "OBR|1|P1|F1|A^Test^L", "ORC|SC||F1||CM||||20240102",
        "OBX|1|NM|X^Y^L||5||||||F", "SPM|2|S2^^||BLD", "OBR|2|P2|F2|B^Test^L", "OBX|1|NM|X^Y^L||6||||||P",
    )  # fmt: skip
    first, second = of_type(found, "DiagnosticReport")
    assert [len(report["result"]) for report in (first, second)] == [1, 1]
    assert [report["status"] for report in (first, second)] == ["final", "partial"]
    ordered, other = of_type(found, "ServiceRequest")
    assert (ordered["status"], ordered["authoredOn"]) == ("completed", "2024-01-02")
    assert (other["status"], "authoredOn" in other) == ("active", False)


def test_a_control_after_its_request_may_have_its_numbers() -> None:
    found = message("OUL^R22", "SPM|1|S1^^||BLD", "OBR|1|||A^Test^L", "ORC|SC|P1|F1", "OBX|1|NM|X^Y^L||5||||||F")
    (report,) = of_type(found, "DiagnosticReport")
    (order,) = of_type(found, "ServiceRequest")
    assert (
        {one["value"] for one in report["identifier"]} == {"P1", "F1"} == {one["value"] for one in order["identifier"]}
    )
    assert report["basedOn"] == [{"reference": f"ServiceRequest/{order['id']}"}]


def test_orders_that_are_alike_are_two() -> None:
    order = "OBR|1|||A^Test^L|||20240102"
    text = "\r".join(
        [HEADER.format("OMG^O19"), PATIENT, "ORC|NW", order, "ORC|NW", order, "ORC|NW||||", "OBR|1|||B^Test^L"]
    )
    keys = keys_of(text)
    assert len(set(keys)) == 3
    assert keys_of(text) == keys
    grouped = keys_of(text.replace("ORC|NW", "ORC|NW|||G1", 1))
    assert grouped[0] not in keys
    assert grouped[1] == keys[0]


def keys_of(text: str) -> list[tuple[str, ...]]:
    """What the orders of a message are known by."""
    return [draft.natural for draft in convert(Message(text), FEED).drafts if draft.type == "ServiceRequest"]


def test_a_diagnosis_under_an_order_is_why_it_was_given() -> None:
    found = message(
        "OML^O21", "PV1|1|O|||||||||||||||||V1^^^A", "DG1|1||I50^Heart failure^I10", "ORC|NW|P1", "OBR|1|P1||A^Test^L",
        "DG1|1||E10.9^Diabetes^I10",
    )  # fmt: skip
    (order,), (visit,) = of_type(found, "ServiceRequest"), of_type(found, "Encounter")
    failure, diabetes = of_type(found, "Condition")
    assert order["reasonReference"] == [{"reference": f"Condition/{diabetes['id']}"}]
    assert [one["condition"] for one in visit["diagnosis"]] == [{"reference": f"Condition/{failure['id']}"}]


def test_a_diagnosis_under_results_is_one_of_the_visit() -> None:
    found = message("ORU^R01", "PV1|1|O|||||||||||||||||V1^^^A", "OBR|1|P1|F1|A^Test^L", "DG1|1||E10.9^Diabetes^I10")
    (visit,) = of_type(found, "Encounter")
    assert len(visit["diagnosis"]) == 1
    assert not [one for one in of_type(found, "ServiceRequest") if "reasonReference" in one]


def test_the_specimens_that_one_was_taken_from() -> None:
    (specimen,) = of_type(message("OUL^R22", "SPM|1|S1|P1&A^F1&B~P2&A|BLD"), "Specimen")
    assert [(one["identifier"]["system"], one["identifier"]["value"]) for one in specimen["parent"]] == [
        ("urn:hl7:north:B", "F1"),
        ("urn:hl7:north:A", "P2"),
    ]


def test_where_a_patient_goes_to() -> None:
    found = message("ADT^A03", "PV1|1|I|||||||||||||||||V1^^^A" + "|" * 18 + "22&Homes&FDK^20240102")
    (visit,) = of_type(found, "Encounter")
    (place,) = of_type(found, "Location")
    assert place["name"] == "Homes"
    assert visit["hospitalization"]["destination"] == {"reference": f"Location/{place['id']}"}


def test_a_laboratory_has_its_address_and_the_time_of_analysis_is_kept() -> None:
    result = "OBX|1|NM|X^Y^L||5||||||F" + "|" * 8 + "20240103||||Lab^^^^^A^XX^^^9|1 LAB ST^^TOWN"
    found = message("ORU^R01", "OBR|1|P1|F1|A^Test^L", result)
    (laboratory,) = of_type(found, "Organization")
    assert laboratory["address"] == [{"line": ["1 LAB ST"], "city": "TOWN"}]
    (observation,) = of_type(found, "Observation")
    assert observation["performer"] == [{"reference": f"Organization/{laboratory['id']}"}]
    assert observation["extension"] == [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/observation-analysis-date-time",
            "valueDateTime": "2024-01-03",
        }
    ]


def test_an_insurer_can_be_reached() -> None:
    found = message(
        "ADT^A01", "IN1|1|HMO^Plan|55^^^N|Payer Inc|1 MAIN ST^^TOWN|ROE^JANE|(555)5555555^WPN^PH~^NET^Internet^a@b.c"
    )
    (payer,) = of_type(found, "Organization")
    assert payer["address"][0]["city"] == "TOWN"
    assert payer["contact"] == [{"name": {"family": "ROE", "given": ["JANE"]}}]
    assert [one["value"] for one in payer["telecom"]] == ["(555)5555555", "a@b.c"]


@pytest.mark.parametrize(
    ("sent", "inner"),
    [
        ("1", {"original-sub-identifier": "1"}),
        ("1.2^3^4^x", {"original-sub-identifier": "1.2", "group": 3, "sequence": 4, "identifier": "x"}),
        ("^a", {}),
    ],
)
def test_a_sub_identifier(sent: str, inner: dict[str, Any]) -> None:
    (result,) = of_type(message("ORU^R01", "OBR|1|P1|F1|A^Test^L", f"OBX|1|NM|X^Y^L|{sent}|5||||||F"), "Observation")
    told = [one for one in result.get("extension", ()) if one["url"].endswith("observation-v2-subid")]
    found = {
        one["url"]: one.get("valueString", one.get("valueDecimal")) for whole in told for one in whole["extension"]
    }
    assert found == inner


def test_who_produced_a_result_by_a_code() -> None:
    found = message("ORU^R01", "OBR|1|P1|F1|A^Test^L", "OBX|1|NM|X^Y^L||5||||||F||||05D0642827^Lab^CLIA")
    (laboratory,) = of_type(found, "Organization")
    assert laboratory["name"] == "Lab"
    assert laboratory["identifier"] == [{"system": "urn:hl7:north:CLIA", "value": "05D0642827"}]


@pytest.mark.parametrize(
    "order", ["ORC|NW|P1|||||{}\rOBR|1|P1||A^Test^L", "ORC|NW|P1\rOBR|1|P1||A^Test^L" + "|" * 23 + "{}"]
)
def test_quantity_and_timing_in_a_field(order: str) -> None:
    (found,) = of_type(message("ORM^O01", order.format("2&mL^BID^^20240101^20240102^S^^at once")), "ServiceRequest")
    assert found["quantityQuantity"] == {"value": 2, "unit": "mL"}
    assert found["occurrencePeriod"] == {"start": "2024-01-01", "end": "2024-01-02"}
    assert found["priority"] == "stat"
    assert found["note"] == [{"text": "at once"}]


def test_a_segment_of_timing_is_newer_than_the_field() -> None:
    order = ["ORC|NW|P1|||||^^^20240101^^S", "TQ1|1||||||20250101||R", "OBR|1|P1||A^Test^L"]
    (found,) = of_type(message("OML^O21", *order[:1], *order[2:], order[1]), "ServiceRequest")
    assert (found["occurrenceDateTime"], found["priority"]) == ("2025-01-01", "routine")
