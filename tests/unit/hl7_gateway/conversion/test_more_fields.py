"""Fields that the guide maps, or for which R4 has a place, one by one. docs/hl7-mapping.md"""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.hl7_gateway.conversion.applied import converted, of_type

Made = dict[str, dict[str, Any]]


def field(segment: str, **values: str) -> str:
    numbers = {int(name[1:]): value for name, value in values.items()}
    return "|".join([segment, *(numbers.get(number, "") for number in range(1, max(numbers) + 1))])


def sent(*segments: str, kind: str = "ADT^A08") -> Made:
    return converted("\n".join([f"MSH|^~\\&|A|B|C|D|20240818||{kind}|1|P|2.5.1", "PID|1||123^^^A^MR", *segments]))


@pytest.mark.parametrize(
    ("begun", "minutes", "performed"),
    [
        ("20240101100000+0100", "90", {"start": "2024-01-01T10:00:00+01:00", "end": "2024-01-01T11:30:00+01:00"}),
        ("20240101100000", "1.5", {"start": "2024-01-01T10:00:00-05:00", "end": "2024-01-01T10:01:30-05:00"}),
        ("20240101", "90", None),
        ("20240101100000", "0", None),
        ("99991231235900", "90", {"start": "9999-12-31T23:59:00-05:00"}),
    ],
)
def test_how_long_a_procedure_took(begun: str, minutes: str, performed: dict[str, str] | None) -> None:
    (made,) = of_type(sent(field("PR1", f3="C", f5=begun, f7=minutes)), "Procedure")
    assert made.get("performedPeriod") == performed
    assert ("performedDateTime" in made) is (performed is None)


def test_the_episode_of_a_visit() -> None:
    made = sent(field("PV1", f2="I", f53="Hip replacement", f54="E1^^^A"))
    (episode,), (visit,) = of_type(made, "EpisodeOfCare"), of_type(made, "Encounter")
    assert visit["episodeOfCare"] == [{"reference": f"EpisodeOfCare/{episode['id']}"}]
    assert episode["patient"] == visit["subject"]
    assert (episode["status"], episode["identifier"][0]["value"]) == ("active", "E1")
    assert episode["extension"][0]["valueString"] == "Hip replacement"


def test_an_organization_to_be_told() -> None:
    made = sent(field("NK1", f3="EMR", f13="School"))
    (contact,) = of_type(made, "Patient")[0]["contact"]
    (company,) = of_type(made, "Organization")
    assert contact["organization"] == {"reference": f"Organization/{company['id']}"}
    assert contact["relationship"]


def test_an_organization_that_answers_for_the_account() -> None:
    made = converted(
        "MSH|^~\\&|A|B|C|D|20240818||ADT^A08|1|P|2.5.1\nPID|1||123^^^A^MR|||||||||||||||77^^^A\n"
        + field("GT1", f1="1", f5="1 Main^^Town", f13="20240101", f21="Parish")
    )
    (company,), (account,) = of_type(made, "Organization"), of_type(made, "Account")
    assert (company["name"], company["address"][0]["city"]) == ("Parish", "Town")
    assert account["guarantor"] == [
        {"party": {"reference": f"Organization/{company['id']}"}, "period": {"start": "2024-01-01"}}
    ]
    assert not of_type(made, "RelatedPerson")


def test_the_insured_and_their_numbers() -> None:
    made = sent(
        field("IN1", f1="1", f2="P", f3="N", f4="ACME", f10="G1^^^A^EI", f11="Employer", f16="Doe^Jo", f17="SPO"),
        field("IN2", f1="E1^^^A", f2="123-45-6789", f6="MC1", f8="MA1", f34="eng", f63="^PRN^PH^^^555^1234"),
    )
    (coverage,), (person,) = of_type(made, "Coverage"), of_type(made, "RelatedPerson")
    assert {one["type"]["coding"][0]["code"]: one["value"] for one in coverage["identifier"]} == {
        "MC": "MC1",
        "MA": "MA1",
    }
    assert [one["value"] for one in person["identifier"]] == ["E1", "123-45-6789"]
    assert person["telecom"][0]["value"] == "(555) 1234"
    assert person["communication"][0]["language"]["coding"][0]["code"] == "eng"
    (holder,) = [one for one in of_type(made, "Organization") if one["name"] == "Employer"]
    assert [one["value"] for one in holder["identifier"]] == ["G1"]


def test_a_second_insurance_of_the_patient_has_no_insured_of_the_first() -> None:
    made = sent("IN1|1|P|N|ACME||||||||||||Doe^Jo|SPO", "IN1|2|Q|M|BETA|||||||||||||SEL", "IN2||123-45-6789")
    (person,) = of_type(made, "RelatedPerson")
    assert "identifier" not in person


def test_a_living_will() -> None:
    (made,) = of_type(sent("PD1|||||||Y"), "Observation")
    assert made["code"]["coding"] == [{"system": "http://loinc.org", "code": "75320-2"}]
    assert made["valueCodeableConcept"]["coding"][0]["code"] == "Y"


def test_an_accident() -> None:
    made = sent("PV1|1|I", "ACC|20240101|T^Traffic|Crossing||Y|N||hit by a cart||N")
    (found,) = of_type(made, "Observation")
    assert (found["code"], found["effectiveDateTime"]) == ({"text": "Accident"}, "2024-01-01")
    assert found["valueCodeableConcept"]["coding"][0]["code"] == "T"
    assert [one.get("valueBoolean", one.get("valueString")) for one in found["component"]] == [
        True,
        False,
        False,
        "Crossing",
    ]
    assert found["note"] == [{"text": "hit by a cart"}]


def test_where_who_is_to_be_asked_about_an_appointment_is() -> None:
    sch = field(
        "SCH", f1="1^A", f11="^^^20240819", f12="7^Kim", f13="^WPN^PH^^^555^1234", f14="1 Main^^Town", f15="W^1"
    )
    made = sent(sch, kind="SIU^S12")
    (person,), (role,) = of_type(made, "Practitioner"), of_type(made, "PractitionerRole")
    assert person["telecom"][0]["value"] == "(555) 1234"
    assert person["address"][0]["city"] == "Town"
    assert role["practitioner"] == {"reference": f"Practitioner/{person['id']}"}


def test_what_a_clinician_calls_an_allergy() -> None:
    (made,) = of_type(
        sent(field("IAM", f3="P^Peanut^L", f6="A", f27="91935009^Allergy to peanuts^SCT")), "AllergyIntolerance"
    )
    assert [one["code"] for one in made["code"]["coding"]] == ["P", "91935009"]


def test_the_diagnosis_that_another_follows_from() -> None:
    (made,) = of_type(sent(field("DG1", f3="I10", f22="D1^A")), "Condition")
    assert made["extension"][0]["url"].endswith("condition-dueTo")
    assert made["extension"][0]["valueReference"]["identifier"]["value"] == "D1"


def test_the_container_of_a_specimen() -> None:
    sac = field("SAC", f2="ACC1^A", f3="C1^A", f21="10", f22="5", f24="mL")
    made = sent("SPM|1|1^A||SER", sac, "OBR|1|1^A||C", kind="OUL^R22")
    (specimen,) = of_type(made, "Specimen")
    (container,) = specimen["container"]
    assert container["identifier"][0]["value"] == "C1"
    assert (container["capacity"]["value"], container["specimenQuantity"]["value"]) == (10, 5)
    assert specimen["accessionIdentifier"]["value"] == "ACC1"


def test_where_a_vaccination_was_given() -> None:
    made = sent(
        "ORC|RE||1^A", field("RXA", f3="20240101", f5="08^HepB^CVX", f27="W^1^A", f28="1 Main^^Town"), kind="VXU^V04"
    )
    (given,) = of_type(made, "Immunization")
    (place,) = [one for one in of_type(made, "Location") if f"Location/{one['id']}" == given["location"]["reference"]]
    assert place["address"]["city"] == "Town"


def test_how_often_an_order_is_to_be_carried_out() -> None:
    made = sent("ORC|NW|1^A", "OBR|1|1^A||C||20240819", "TQ1|1|2|BID||||||S||fasting", kind="ORM^O01")
    (order,) = of_type(made, "ServiceRequest")
    timing = order["occurrenceTiming"]
    assert (timing["event"], timing["repeat"]["frequency"], timing["repeat"]["periodUnit"]) == (["2024-08-19"], 2, "d")
    assert "occurrenceDateTime" not in order
    assert (order["quantityQuantity"]["value"], order["note"]) == (2, [{"text": "fasting"}])


def test_who_has_reported_an_allergy() -> None:
    mother = sent(field("IAM", f3="P^Peanut^L", f6="A", f14="DOE^MARY", f15="MTH^Mother^HL70063"))
    (allergy,), (person,) = of_type(mother, "AllergyIntolerance"), of_type(mother, "RelatedPerson")
    assert allergy["recorder"] == {"reference": f"RelatedPerson/{person['id']}"}
    assert (person["name"][0]["family"], person["relationship"][0]["coding"][0]["code"]) == ("DOE", "MTH")
    own = sent(field("IAM", f3="P^Peanut^L", f6="A", f14="DOE^JANE", f15="SEL^Self^HL70063"))
    (allergy,), (patient,) = of_type(own, "AllergyIntolerance"), of_type(own, "Patient")
    assert allergy["recorder"] == {"reference": f"Patient/{patient['id']}"}
    assert not of_type(own, "RelatedPerson")
    nobody = sent(field("IAM", f3="P^Peanut^L", f6="A", f15="MTH^Mother^HL70063"))
    assert "recorder" not in of_type(nobody, "AllergyIntolerance")[0]
