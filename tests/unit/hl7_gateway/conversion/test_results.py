"""What results and orders say: https://hl7.org/fhir/uv/v2mappings/message_maps.html"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from hl7_gateway.conversion.convert import convert
from hl7_gateway.conversion.draft import Conversion, Draft
from hl7_gateway.message import Message
from tests.unit.hl7_gateway.conversion.applied import FEED, converted, of_type

HEADER = "MSH|^~\\&|LAB|HOSP|R|F|20240818112600||{}|1|P|2.5.1"
PID = "PID|1||123^^^A^MR||DOE^JANE"
OBR = (
    "OBR|1|P1^EHR|F1^LAB|24317-0^Hemogram^LN|||20240818070000|||||||||77^WHO^DOCTOR^^^^^^NPI||||||20240818112500||HM|F"
)


def message(*segments: str, kind: str = "ORU^R01") -> str:
    return "\r".join([HEADER.format(kind), *segments])


def conversion_of(*segments: str, kind: str = "ORU^R01") -> Conversion:
    return convert(Message(message(*segments, kind=kind)), FEED)


def observation(obx: str) -> dict[str, Any]:
    return of_type(converted(message(PID, OBR, obx)), "Observation")[0]


def drafts(conversion: Conversion, kind: str) -> list[Draft]:
    return [one for one in conversion.drafts if one.type == kind]


def test_a_report() -> None:
    found = converted(message(PID, "ORC|RE|P1^EHR|F1^LAB", OBR, "OBX|1|NM|718-7^Hb^LN||13.50|g/dL^^UCUM|12-16|N|||F"))
    (report,), (result,) = of_type(found, "DiagnosticReport"), of_type(found, "Observation")
    assert report["status"] == "final"
    assert report["effectiveDateTime"] == "2024-08-18T07:00:00-04:00"
    assert report["issued"] == "2024-08-18T11:25:00-04:00"
    assert report["result"] == [{"reference": f"Observation/{result['id']}"}]
    assert [one["value"] for one in report["identifier"]] == ["P1", "F1"]
    assert result["valueQuantity"] == {
        "value": Decimal("13.50"),
        "unit": "g/dL",
        "system": "http://unitsofmeasure.org",
        "code": "g/dL",
    }
    assert str(result["valueQuantity"]["value"]) == "13.50"
    (range_,) = result["referenceRange"]
    assert (range_["low"]["value"], range_["high"]["value"], range_["text"]) == (12, 16, "12-16")
    assert result["interpretation"][0]["coding"][0]["code"] == "N"
    assert result["effectiveDateTime"] == "2024-08-18T07:00:00-04:00"
    (order,) = of_type(found, "ServiceRequest")
    assert (order["status"], order["intent"]) == ("completed", "order")
    assert report["basedOn"] == [{"reference": f"ServiceRequest/{order['id']}"}]


@pytest.mark.parametrize(
    ("sent", "status"),
    [("P", "preliminary"), ("F", "final"), ("C", "corrected"), ("D", "entered-in-error"), ("X", "cancelled"),
     ("W", "entered-in-error"), ("R", "preliminary"), ("I", "registered"), ("S", "preliminary")],
)  # fmt: skip
def test_the_life_of_a_result(sent: str, status: str) -> None:
    """Each step is the same Observation, whatever its value is."""
    first = conversion_of(PID, OBR, "OBX|1|NM|718-7^Hb^LN|1|13|g/dL|||||P")
    later = conversion_of(PID, OBR, f"OBX|7|NM|718-7^Hb^LN|1|14|g/dL|||||{sent}")
    assert drafts(first, "Observation")[0].natural == drafts(later, "Observation")[0].natural
    assert observation(f"OBX|1|NM|718-7^Hb^LN|1|14|g/dL|||||{sent}")["status"] == status


@pytest.mark.parametrize(
    ("obx", "path", "value"),
    [
        ("OBX|1|NM|x||<5|mg|||||F", "valueQuantity", {"value": 5, "comparator": "<", "unit": "mg"}),
        ("OBX|1|SN|x||>^100|mg|||||F", "valueQuantity", {"value": 100, "comparator": ">", "unit": "mg"}),
        ("OBX|1|SN|x||^1^-^5||||||F", "valueRange", {"low": {"value": 1}, "high": {"value": 5}}),
        ("OBX|1|SN|x||^1^:^128||||||F", "valueRatio", {"numerator": {"value": 1}, "denominator": {"value": 128}}),
        ("OBX|1|SN|x||^2^+||||||F", "valueString", "2 +"),
        ("OBX|1|NM|x||see note||||||F", "valueString", "see note"),
        ("OBX|1|ST|x||a\\.br\\b\\X41\\c\\F\\d\\E\\e||||||F", "valueString", "a\nbAc|d\\e"),
        ("OBX|1|ST|x||one~two||||||F", "valueString", "one\ntwo"),
        ("OBX|1|FT|x||line one\\.br\\line two||||||F", "valueString", "line one\nline two"),
        ("OBX|1|NM|x||60~120||||||F", "valueString", "60\n120"),
        ("OBX|1|DT|x||20240818||||||F", "valueDateTime", "2024-08-18"),
        ("OBX|1|TM|x||1126||||||F", "valueTime", "11:26:00"),
        ("OBX|1|DR|x||20240101^20240201||||||F", "valuePeriod", {"start": "2024-01-01", "end": "2024-02-01"}),
        ("OBX|1||x||anything||||||F", "valueString", "anything"),
    ],
)  # fmt: skip
def test_values(obx: str, path: str, value: object) -> None:
    assert observation(obx)[path] == value


def test_codes_of_all_repetitions_are_kept() -> None:
    found = observation("OBX|1|CWE|x||260385009^Negative^SCT^N^Neg^L~R^Resistant^L||||||F")["valueCodeableConcept"]
    assert [one["code"] for one in found["coding"]] == ["260385009", "N", "R"]


def test_a_value_is_taken_away() -> None:
    found = drafts(conversion_of(PID, OBR, 'OBX|1|NM|x||""||||||F'), "Observation")[0]
    assert ("valueQuantity", ()) in [(one.path, one.values) for one in found.stated]


def test_two_results_that_are_alike_stay_two() -> None:
    found = conversion_of(PID, OBR, "OBX|1|ST|x||a||||||F", "OBX|2|ST|x||b||||||F")
    one, other = drafts(found, "Observation")
    assert one.natural != other.natural


def test_notes() -> None:
    found = converted(
        message(PID, OBR, "NTE|1||of the report", "OBX|1|ST|x||a||||||F", "NTE|1||first", "NTE|2||second")
    )
    assert of_type(found, "DiagnosticReport")[0]["conclusion"] == "of the report"
    assert of_type(found, "Observation")[0]["note"] == [{"text": "first\nsecond"}]


def test_a_specimen() -> None:
    found = converted(
        message(PID, OBR, "OBX|1|ST|x||a||||||F", "SPM|1|S1&EHR^S2&LAB||BLD^Blood^HL70487|||||||||||||20240818065900")
    )
    (specimen,) = of_type(found, "Specimen")
    assert [one["value"] for one in specimen["identifier"]] == ["S1", "S2"]
    assert specimen["collection"]["collectedDateTime"] == "2024-08-18T06:59:00-04:00"
    assert of_type(found, "Observation")[0]["specimen"] == {"reference": f"Specimen/{specimen['id']}"}
    assert of_type(found, "DiagnosticReport")[0]["specimen"] == [{"reference": f"Specimen/{specimen['id']}"}]


def test_an_order_and_its_end() -> None:
    placed = converted(message(PID, "ORC|NW|P1^EHR", OBR, kind="ORM^O01"))
    assert of_type(placed, "ServiceRequest")[0]["status"] == "active"
    assert not of_type(placed, "DiagnosticReport")
    ended = converted(message(PID, "ORC|CA|P1^EHR", OBR, kind="ORM^O01"))
    assert of_type(ended, "ServiceRequest")[0]["status"] == "revoked"


def test_results_do_not_change_the_order_that_they_answer() -> None:
    found = conversion_of(PID, "ORC|RE|P1^EHR|F1^LAB", OBR, "OBX|1|ST|x||a||||||F")
    assert [one.stub for one in drafts(found, "ServiceRequest")] == [True]


def test_one_filler_number_for_two_panels_is_two_reports() -> None:
    found = conversion_of(PID, "OBR|1||F1^LAB|A^A^L", "OBR|2||F1^LAB|B^B^L")
    one, other = drafts(found, "DiagnosticReport")
    assert one.natural != other.natural


def test_a_diagnosis_in_a_result_message_is_not_lost() -> None:
    found = converted(message(PID, OBR, "OBX|1|ST|x||a||||||F", "DG1|1||I50.9^Heart failure^I10"))
    assert of_type(found, "Condition")[0]["code"]["coding"][0]["code"] == "I50.9"


def test_reports_of_several_patients() -> None:
    found = converted(message(PID, OBR, "OBX|1|ST|x||a||||||F", "PID|2||124^^^A^MR", OBR, "OBX|1|ST|x||b||||||F"))
    first, second = of_type(found, "Patient")
    assert [one["subject"]["reference"] for one in of_type(found, "Observation")] == [
        f"Patient/{first['id']}",
        f"Patient/{second['id']}",
    ]


def test_the_place_of_a_unit() -> None:
    (found,) = drafts(conversion_of(PID, OBR, "OBX|1|NM|x||5|mg|||||F"), "Observation")
    value = next(one for one in found.stated if one.path == "valueQuantity").values[0]
    assert (str(value.places["value"]), str(value.places["unit"])) == ("OBX-5.1", "OBX-6")


def test_a_status_that_nobody_knows_is_told() -> None:
    found = conversion_of(PID, OBR, "OBX|1|ST|x||a||||||q")
    assert [str(one.place) for one in found.warnings] == ["OBX-11"]
