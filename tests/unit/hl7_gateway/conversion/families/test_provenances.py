"""Who did what with the record: EVN-4, 5 and 7, PID-34, ORC-10, 11 and 17 to 19. docs/hl7.md, "Who did it" """

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.validation import validate
from tests.unit.hl7_gateway.conversion.applied import converted, of_type

Made = dict[str, dict[str, Any]]

PID = "PID|1||123^^^A^MR"
PV1 = "PV1|1|I" + "|" * 17 + "V1^^^A"


def sent(*segments: str, kind: str = "ADT^A01", when: str = "20240818") -> Made:
    made = converted("\n".join([f"MSH|^~\\&|APP|HOSP|C|D|{when}||{kind}|1|P|2.5.1", *segments]))
    for one in of_type(made, "Provenance"):
        validate(one)
    return made


def told(made: Made) -> dict[str, Any]:
    (found,) = of_type(made, "Provenance")
    return found


def reference(made: Made, kind: str, number: str = "") -> dict[str, str]:
    (found,) = [
        one for one in of_type(made, kind) if not number or number in [i["value"] for i in one.get("identifier", ())]
    ]
    return {"reference": f"{kind}/{found['id']}"}


def code_of(concept: dict[str, Any]) -> str:
    return str(concept["coding"][0]["code"])


def test_an_event_is_of_the_visit() -> None:
    made = sent("EVN||20240819|20240820|01|7^Kim~8^Ray|20240817|NORTH", PID, PV1)
    found = told(made)
    assert found["target"] == [reference(made, "Encounter")]
    assert found["recorded"] == "2024-08-19T00:00:00-04:00"
    assert found["occurredDateTime"] == "2024-08-17"
    assert code_of(found["activity"]) == "A01"
    assert code_of(found["reason"][0]) == "PATRQT"
    assert found["agent"] == [{"who": reference(made, "Practitioner", number)} for number in ("7", "8")]
    assert found["location"] == reference(made, "Location")
    assert of_type(made, "Location")[0]["name"] == "NORTH"


def test_without_a_visit_it_is_of_the_patient_and_without_a_person_of_the_sender() -> None:
    made = sent("EVN||20240819||02", PID, kind="ADT^A31")
    assert told(made)["target"] == [reference(made, "Patient")]
    assert told(made)["agent"] == [{"who": {"display": "HOSP"}}]


def test_it_is_of_the_document_of_an_mdm() -> None:
    made = sent("EVN||20240819|||7^Kim", PID, PV1, "TXA|1|CN||||||||||D1^A", kind="MDM^T02")
    assert told(made)["target"] == [reference(made, "DocumentReference")]


@pytest.mark.parametrize("event", ["EVN||20240819", "EVN||20240819|20240820|||20240817", "EVN|A01|20240819||||1"])
def test_an_event_of_which_nothing_is_told_is_none(event: str) -> None:
    assert of_type(sent(event, PID, PV1), "Provenance") == []


def test_an_unknown_reason_is_none() -> None:
    assert "reason" not in told(sent("EVN||20240819||U|7^Kim", PID, PV1))


def test_a_time_that_is_none_is_known_to_be_missing() -> None:
    found = told(sent("EVN||x||01|7^Kim", PID, PV1, when=""))
    assert "recorded" not in found
    assert found["_recorded"]["extension"][0]["valueCode"] == "unknown"


def test_the_facility_that_changed_the_record() -> None:
    made = sent(PID + "|" * 30 + "20240816|SOUTH")
    found = told(made)
    assert found["target"] == [reference(made, "Patient")]
    assert (code_of(found["activity"]), found["occurredDateTime"]) == ("UPDATE", "2024-08-16")
    (agent,) = found["agent"]
    assert (code_of(agent["type"]), agent["who"]) == ("performer", reference(made, "Organization"))
    assert of_type(made, "Organization")[0]["name"] == "SOUTH"


CONTROL = "ORC|{action}|1^A|2^A||||||20240817|9^Ent|10^Ver|11^Ord|||||W5^Ward 5^99ORG|DEV^Tablet^99DEV|12^Act"
KINDS = {"enterer": "9", "verifier": "10", "author": "11", "performer": "12"}


@pytest.mark.parametrize(("action", "activity"), [("NW", "CREATE"), ("SC", "UPDATE"), ("CA", "CANCEL"), ("XX", "")])
def test_who_did_what_with_an_order(action: str, activity: str) -> None:
    made = sent(PID, CONTROL.format(action=action), "OBR|1|1^A|2^A|C^Code^L", kind="ORM^O01")
    found = told(made)
    assert found["target"] == [reference(made, "ServiceRequest")]
    assert (code_of(found["activity"]) if "activity" in found else "") == activity
    assert found["recorded"] == "2024-08-17T00:00:00-04:00"
    who = {code_of(one["type"]): one["who"] for one in found["agent"] if "type" in one}
    assert who == {kind: reference(made, "Practitioner", number) for kind, number in KINDS.items()}
    assert found["agent"][0]["onBehalfOf"] == reference(made, "Organization")
    assert found["agent"][-1] == {"who": reference(made, "Device")}
    (device,) = of_type(made, "Device")
    assert device["identifier"] == [{"system": "urn:hl7:north:99DEV", "value": "DEV"}]
    assert device["deviceName"] == [{"name": "Tablet", "type": "user-friendly-name"}]


def test_an_organization_that_entered_it_by_nobody() -> None:
    made = sent(PID, "ORC|NW|1^A" + "|" * 15 + "W5^Ward 5", "OBR|1|1^A||C^Code^L", kind="ORM^O01")
    assert [one["who"] for one in told(made)["agent"]] == [reference(made, "Organization")]


def test_of_a_prescription_and_a_vaccination() -> None:
    made = sent(PID, CONTROL.format(action="NW"), "RXO|M^Drug^L|1||mg", kind="RDE^O11")
    assert told(made)["target"] == [reference(made, "MedicationRequest")]
    made = sent(PID, CONTROL.format(action="RE"), "RXA|0|1|20240101||08^HepB^CVX|1", kind="VXU^V04")
    assert told(made)["target"] == [reference(made, "Immunization")]


def test_results_tell_nothing_of_who_ordered() -> None:
    made = sent(PID, CONTROL.format(action="RE"), "OBR|1|1^A|2^A|C^Code^L", "OBX|1|NM|X||1", kind="ORU^R01")
    assert of_type(made, "Provenance") == []


def test_an_order_of_which_nothing_is_told() -> None:
    made = sent(PID, "ORC|NW|1^A||||||||||11^Ord", "OBR|1|1^A||C^Code^L", kind="ORM^O01")
    assert of_type(made, "Provenance") == []
