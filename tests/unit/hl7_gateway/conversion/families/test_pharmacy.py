"""What orders and dispenses of medication say: https://www.hl7.eu/HL7v2x/v28/std28/ch04a.html"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fhir_server.validation import issues
from hl7_gateway.conversion.convert import convert
from hl7_gateway.conversion.draft import Conversion, Draft
from hl7_gateway.message import Message
from tests.unit.hl7_gateway.conversion.applied import FEED, applied, of_type

PID = "PID|1||123^^^A^MR||DOE^JANE"
ORC = "ORC|NW|P1^EHR|F1^PHARM||||||20240818|||77^WHO^DOCTOR^^^^^^NPI"
RXE = "RXE||N1^Aspirin^NDC|1|2|TAB^Tablet^L||^Take with water~Not at night||N|30|TAB^Tablet^L|3|||RX9"


def conversion_of(*segments: str, kind: str = "RDE^O11") -> Conversion:
    header = f"MSH|^~\\&|PHARM|HOSP|R|F|20240818112600||{kind}|1|P|2.5.1"
    return convert(Message("\r".join([header, *segments])), FEED)


def resources(*segments: str, kind: str = "RDE^O11") -> dict[str, dict[str, Any]]:
    found = applied(conversion_of(*segments, kind=kind))
    for name, resource in found.items():
        assert not issues(resource, warnings=False), (name, issues(resource, warnings=False))
    return found


def order(*segments: str, kind: str = "RDE^O11") -> dict[str, Any]:
    (found,) = of_type(resources(PID, *segments, kind=kind), "MedicationRequest")
    return found


def dosage(*segments: str) -> dict[str, Any]:
    (found,) = order(ORC, *segments)["dosageInstruction"]
    assert isinstance(found, dict)
    return found


def drafts(conversion: Conversion, kind: str) -> list[Draft]:
    return [one for one in conversion.drafts if one.type == kind]


def test_an_order() -> None:
    found = order(ORC, RXE)
    assert [one["value"] for one in found["identifier"]] == ["RX9", "P1", "F1"]
    assert (found["status"], found["intent"]) == ("active", "order")
    assert found["medicationCodeableConcept"]["coding"][0] == {
        "system": "http://hl7.org/fhir/sid/ndc",
        "code": "N1",
        "display": "Aspirin",
    }
    assert found["authoredOn"] == "2024-08-18"
    assert found["dispenseRequest"]["quantity"]["value"] == 30
    assert found["dispenseRequest"]["numberOfRepeatsAllowed"] == 3
    assert found["requester"]["reference"].startswith("Practitioner/")


def test_a_dose_between_two_limits() -> None:
    found = dosage(RXE)
    ((dose,),) = ([one["doseRange"] for one in found["doseAndRate"]],)
    assert (dose["low"]["value"], dose["high"]["value"], dose["low"]["unit"]) == (1, 2, "Tablet")
    assert found["text"] == "Take with water\nNot at night"


@pytest.mark.parametrize(
    ("least", "most", "dose"),
    [
        ("5", "", {"doseQuantity": {"value": 5, "unit": "mg"}}),
        ("5", "5", {"doseQuantity": {"value": 5, "unit": "mg"}}),
        ("", "5", {"doseRange": {"high": {"value": 5, "unit": "mg"}}}),
        ("0.50", "", {"doseQuantity": {"value": Decimal("0.50"), "unit": "mg"}}),
        ("5", "2", {"doseQuantity": {"value": 5, "unit": "mg"}}),
    ],
)
def test_doses(least: str, most: str, dose: dict[str, Any]) -> None:
    assert dosage(f"RXE||N1|{least}|{most}|mg")["doseAndRate"] == [dose]


def test_a_dose_that_is_no_number_is_told() -> None:
    found = conversion_of(PID, ORC, "RXE||N1|some||mg")
    assert [str(one.place) for one in found.warnings] == ["RXE-3"]


@pytest.mark.parametrize(
    ("code", "repeat"),
    [
        ("BID", {"frequency": 2, "period": 1, "periodUnit": "d"}),
        ("Q6H", {"frequency": 1, "period": 6, "periodUnit": "h"}),
        ("Q30M", {"frequency": 1, "period": 30, "periodUnit": "min"}),
        ("QOD", {"frequency": 1, "period": 2, "periodUnit": "d"}),
        ("QHS", {"when": ["HS"]}),
        ("ONCE", {"count": 1}),
    ],
)
def test_how_often(code: str, repeat: dict[str, Any]) -> None:
    timing = dosage(RXE, f"TQ1|1||{code}")["timing"]
    assert timing["repeat"] == repeat
    assert code in [one["code"] for one in timing["code"]["coding"]]
    assert dosage(RXE.replace("RXE|", f"RXE|^{code}", 1))["timing"]["repeat"] == repeat


def test_a_code_that_nobody_knows_is_kept() -> None:
    timing = dosage(RXE, "TQ1|1||XYZ^When the moon is full^L")["timing"]
    assert timing["code"]["coding"][0]["code"] == "XYZ"
    assert "repeat" not in timing


def test_when_it_is_needed() -> None:
    assert dosage(RXE, "TQ1|1||PRN")["asNeededBoolean"] is True


def test_for_how_long() -> None:
    found = dosage(RXE, "TQ1|1||BID|||5^d||||||||10")["timing"]["repeat"]
    assert found["boundsDuration"] == {"value": 5, "unit": "d", "system": "http://unitsofmeasure.org", "code": "d"}
    assert found["count"] == 10
    found = dosage(RXE, "TQ1|1||BID|||5^d|20240818|20240823")["timing"]["repeat"]
    assert found["boundsPeriod"] == {"start": "2024-08-18", "end": "2024-08-23"}


def test_times_of_the_day() -> None:
    assert dosage(RXE, "TQ1|1||BID|0800~2000")["timing"]["repeat"]["timeOfDay"] == ["08:00:00", "20:00:00"]


def test_after_a_meal() -> None:
    found = dosage(RXE, "TQ1|1||X^^^^^^^PC^30^min")["timing"]["repeat"]
    assert (found["when"], found["offset"]) == (["PC"], 30)


def test_one_dosage_after_the_other() -> None:
    found = order(ORC, RXE, "TQ1|1||BID", "TQ1|2||QD")
    assert [one["sequence"] for one in found["dosageInstruction"]] == [1, 2]


def test_how_it_is_given() -> None:
    found = dosage(RXE, "RXR|IV^Intravenous^HL70162|LA^Left arm^HL70163||IP^Push^HL70165", "RXR|PO^Oral^HL70162")
    assert "IV" in [one["code"] for one in found["route"]["coding"]]
    assert found["site"]["coding"][0]["code"] == "LA"
    assert found["method"]["coding"][0]["code"] == "IP"
    assert found["additionalInstruction"] == [{"text": "Alternative route: Oral"}]


def test_the_rate_of_an_infusion() -> None:
    found = dosage("RXE||N1|5||mg|||||||||||||||||H2")["doseAndRate"][0]
    assert found["rateRatio"]["denominator"]["value"] == 2
    found = dosage("RXE||N1|5||mg||||||||||||||||||23|mL/h")["doseAndRate"][0]
    assert found["rateQuantity"] == {"value": 23, "unit": "mL/h"}


@pytest.mark.parametrize(
    ("control", "state", "status"),
    [
        ("NW", "", "active"),
        ("CA", "", "cancelled"),
        ("OC", "", "cancelled"),
        ("DC", "", "stopped"),
        ("HD", "", "on-hold"),
        ("RL", "", "active"),
        ("RE", "CM", "completed"),
        ("SC", "DC", "stopped"),
        ("NW", "HD", "on-hold"),
    ],
)
def test_the_life_of_an_order(control: str, state: str, status: str) -> None:
    assert order(f"ORC|{control}|P1^EHR|||{state}", RXE)["status"] == status


def test_a_control_that_says_nothing_of_the_status_leaves_it() -> None:
    (found,) = drafts(conversion_of(PID, "ORC|NA|P1^EHR", RXE), "MedicationRequest")
    assert [one.initial for one in found.stated if one.path == "status"] == [True]


def test_what_the_pharmacy_encoded_counts() -> None:
    ordered = "RXO|A1^Ampicillin^NDC|250||mg|||^As ordered||G||10"
    found = order(ORC, "TQ1|1||QD", ordered, "RXR|IM", RXE, "TQ1|1||BID")
    assert found["medicationCodeableConcept"]["coding"][0]["code"] == "N1"
    assert found["note"] == [{"text": "Ordered: Ampicillin"}]
    (given,) = found["dosageInstruction"]
    assert given["timing"]["repeat"]["frequency"] == 2
    assert given["route"]["coding"][0]["code"] in ("IM", "IMINJ")
    assert "doseRange" in given["doseAndRate"][0]


def test_an_order_that_is_not_encoded_yet() -> None:
    found = order(ORC, "TQ1|1||QD", "RXO|A1^Ampicillin^NDC|250||mg|||^As ordered")
    assert found["medicationCodeableConcept"]["coding"][0]["code"] == "A1"
    (given,) = found["dosageInstruction"]
    assert given["timing"]["repeat"]["frequency"] == 1
    assert given["text"] == "As ordered"


def test_two_orders_do_not_mix() -> None:
    other = "ORC|NW|P2^EHR"
    found = of_type(
        resources(PID, ORC, RXE, "RXR|PO", other, "RXE||N2^Ibuprofen^NDC|7||mg", "NTE|1||of the second"),
        "MedicationRequest",
    )
    first, second = found
    assert "route" not in second["dosageInstruction"][0]
    assert second["note"] == [{"text": "of the second"}]
    assert "requester" not in second
    assert "note" not in first


def test_what_it_is_mixed_of() -> None:
    found = resources(PID, ORC, RXE, "RXC|B|D5W^Dextrose^L|1000|ML", "RXC|A|KCL^Potassium^L|20|MEQ")
    (product,) = of_type(found, "Medication")
    assert [one["isActive"] for one in product["ingredient"]] == [False, True]
    assert [one["strength"]["numerator"]["value"] for one in product["ingredient"]] == [1000, 20]
    (request,) = of_type(found, "MedicationRequest")
    assert request["supportingInformation"] == [{"reference": f"Medication/{product['id']}"}]


def test_a_dispense() -> None:
    rxd = (
        "RXD|1|N1^Aspirin^NDC|202408191000|30|TAB^Tablet^L||RX9||Shake~Stir|55^PHARM^ACIST^^^^^^NPI|2|||||||L7|20250101"
    )
    found = resources(PID, ORC, RXE, rxd, "RXR|PO", kind="RDS^O13")
    (given,), (request,) = of_type(found, "MedicationDispense"), of_type(found, "MedicationRequest")
    assert given["status"] == "completed"
    assert given["quantity"]["value"] == 30
    assert given["whenHandedOver"] == "2024-08-19T10:00:00-04:00"
    assert given["authorizingPrescription"] == [{"reference": f"MedicationRequest/{request['id']}"}]
    assert given["note"] == [{"text": "Shake"}, {"text": "Stir"}]
    assert given["substitution"]["wasSubstituted"] is True
    assert given["performer"][0]["actor"]["reference"].startswith("Practitioner/")
    (product,) = of_type(found, "Medication")
    assert product["batch"] == {"lotNumber": "L7", "expirationDate": "2025-01-01"}


def test_a_dispense_is_known_by_its_order_and_its_number() -> None:
    one = conversion_of(PID, ORC, "RXD|1|N1^Aspirin^NDC|20240819|30", kind="RDS^O13")
    again = conversion_of(PID, ORC, "RXD|1|N1^Aspirin^NDC|20240820|28", kind="RDS^O13")
    other = conversion_of(PID, ORC, "RXD|2|N1^Aspirin^NDC|20240819|30", kind="RDS^O13")
    first, second, third = (drafts(each, "MedicationDispense")[0].natural for each in (one, again, other))
    assert first == second != third


def test_a_dispense_does_not_change_the_order_of_which_it_says_nothing() -> None:
    found = conversion_of(PID, "ORC|RE|P1^EHR", "RXD|1|N1^Aspirin^NDC|20240819|30|||RX9", kind="RDS^O13")
    (request,) = drafts(found, "MedicationRequest")
    assert request.stub
    assert [value for _, value in request.identifiers] == ["P1", "RX9"]


def test_numbers_are_not_known_without_their_authority() -> None:
    (request,) = drafts(conversion_of(PID, ORC, RXE), "MedicationRequest")
    assert request.identifiers == [
        ("urn:hl7:north:EHR", "P1"),
        ("urn:hl7:north:PHARM", "F1"),
        ("urn:hl7:north:prescription", "RX9"),
    ]


def test_without_a_patient_nothing_is_said() -> None:
    assert not drafts(conversion_of(ORC, RXE, "RXD|1|N1"), "MedicationRequest")


def test_instructions_are_told_once() -> None:
    found = order(ORC, RXE, "TQ1|1||BID", "TQ1|2||QD")["dosageInstruction"]
    assert ["text" in one for one in found] == [True, False]


def test_more_timings_than_anybody_needs_are_told() -> None:
    found = conversion_of(PID, ORC, RXE, *["TQ1|1||BID"] * 101)
    assert [str(one.place) for one in found.warnings] == ["TQ1[101]"]
    (made,) = drafts(found, "MedicationRequest")
    assert [len(one.values) for one in made.stated if one.path == "dosageInstruction"] == [100]


def test_a_code_that_is_taken_away_becomes_unknown() -> None:
    assert order(ORC, 'RXE||""|1||mg')["medicationCodeableConcept"] == {"text": "unknown"}


def test_how_strong_the_product_is() -> None:
    sent = {2: "N1^Syrup^NDC", 3: "5", 5: "mL", 6: "SYR^Syrup^L", 25: "125", 26: "mg", 33: "5", 34: "mL"}
    rxe = "|".join(["RXE", *(sent.get(field, "") for field in range(1, 36))])
    (product,) = of_type(resources(PID, ORC, rxe), "Medication")
    (itself,) = product["ingredient"]
    assert itself["strength"] == {
        "numerator": {"value": 125, "unit": "mg"},
        "denominator": {"value": 5, "unit": "mL"},
    }
    assert product["form"]["coding"][0]["display"] == "Syrup"


ORDERED = "PRT||AD||OP^Ordering Provider^HL70912|66^ORDERS^ANN^^^^^^NPI"
ENTERED = "PRT||AD||EP^Entering Provider^HL70912|67^ENTERS^ANN^^^^^^NPI"


@pytest.mark.parametrize("product", [(RXE,), ("RXO|N1^Aspirin^NDC|1|2|TAB",), ("RXO|N1^Aspirin^NDC|1|2|TAB", RXE)])
def test_who_has_ordered_it_is_told_before_it(product: tuple[str, ...]) -> None:
    found = resources(PID, "ORC|NW|P1^EHR|F1^PHARM", ORDERED, ENTERED, *product)
    (request,) = of_type(found, "MedicationRequest")
    (doctor,) = [one for one in of_type(found, "Practitioner") if one["name"][0]["family"] == "ORDERS"]
    assert request["requester"] == {"reference": f"Practitioner/{doctor['id']}"}
    assert not of_type(found, "CareTeam")


def test_who_is_gone_has_ordered_nothing() -> None:
    assert "requester" not in order("ORC|NW|P1^EHR|F1^PHARM", ORDERED.replace("|AD|", "|DE|"), RXE)


def test_the_control_tells_better_who_has_ordered_it() -> None:
    found = resources(PID, ORC, ORDERED, RXE)
    (request,) = of_type(found, "MedicationRequest")
    (doctor,) = [one for one in of_type(found, "Practitioner") if one["name"][0]["family"] == "WHO"]
    assert request["requester"] == {"reference": f"Practitioner/{doctor['id']}"}
