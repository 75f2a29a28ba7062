"""Who took part, where they work, and with which device: ROL, PRT, ORC-21 to 24. docs/hl7.md"""

from __future__ import annotations

from typing import Any

from tests.unit.hl7_gateway.conversion.applied import converted, of_type

Made = dict[str, dict[str, Any]]


def sent(*segments: str, kind: str = "ADT^A08") -> Made:
    return converted("\n".join([f"MSH|^~\\&|A|B|C|D|20240818||{kind}|1|P|2.5.1", "PID|1||123^^^A^MR", *segments]))


def named(made: Made, kind: str, name: str) -> dict[str, str]:
    (found,) = [one for one in of_type(made, kind) if one.get("name") == name]
    return {"reference": f"{kind}/{found['id']}"}


ROLE = (
    "ROL|1|AD|{role}|7^Kim^Lee|20240101|20240201|||207Q^Family^X|{unit}"
    "|1 Main^^Town|^WPN^PH^^^555^1234|{place}|{company}"
)


def test_somebody_works_at_an_organization() -> None:
    made = sent("PV1|1|I", ROLE.format(role="AT", unit="1^Hospital", place="W^1^A", company="General^^9"))
    (role,), (person,) = of_type(made, "PractitionerRole"), of_type(made, "Practitioner")
    assert role["practitioner"] == {"reference": f"Practitioner/{person['id']}"}
    assert role["organization"] == named(made, "Organization", "General")
    assert role["location"] == [named(made, "Location", "W 1 A")]
    assert role["specialty"][0]["coding"][0]["code"] == "207Q"
    assert role["telecom"][0]["value"] == "(555) 1234"
    assert person["address"][0]["city"] == "Town"
    assert of_type(made, "Organization")[0]["type"][0]["coding"][0]["code"] == "1"
    taken = of_type(made, "Encounter")[0]["participant"][0]
    assert taken["individual"] == role["practitioner"]
    assert taken["period"] == {"start": "2024-01-01", "end": "2024-02-01"}


def test_somebody_is_reached_where_no_work_is_told() -> None:
    made = sent("PV1|1|I", "ROL|1|AD|AT|7^Kim^Lee||||||||^WPN^PH^^^555^1234")
    assert not of_type(made, "PractitionerRole")
    assert of_type(made, "Practitioner")[0]["telecom"][0]["value"] == "(555) 1234"


def test_the_same_role_in_two_places_is_one_role() -> None:
    first, second = (ROLE.format(role="AT", unit="", place=place, company="General") for place in ("W^1^A", "X^2^B"))
    (role,) = of_type(sent("PV1|1|I", first, second, first), "PractitionerRole")
    assert len(role["location"]) == 2
    assert len(role["telecom"]) == 1


def test_an_organization_has_no_home() -> None:
    made = sent("OBR|1|1^A||C", "PRT|1|AD||PO||||General||||||1 Main^^Town^^^^H|^PRN^PH^^^555^1234", kind="ORU^R01")
    (company,) = of_type(made, "Organization")
    assert company["address"][0]["city"] == "Town"
    assert "use" not in company["address"][0]
    assert "use" not in company["telecom"][0]
    assert of_type(made, "DiagnosticReport")[0]["performer"] == [{"reference": f"Organization/{company['id']}"}]


def test_who_else_cares_for_the_patient() -> None:
    made = sent("PRT|1|AD||AD|7^Kim^Lee", "PRT|2|AD||PP|8^Own^Doctor", "PRT|3|DE||AD|9^Gone^By")
    (team,), (patient,) = of_type(made, "CareTeam"), of_type(made, "Patient")
    numbers = {one["identifier"][0]["value"]: f"Practitioner/{one['id']}" for one in of_type(made, "Practitioner")}
    assert [one["member"]["reference"] for one in team["participant"]] == [numbers["7"]]
    assert [one["reference"] for one in patient["generalPractitioner"]] == [numbers["8"]]
    assert "9" not in numbers


def test_what_stands_between_a_control_and_its_order_is_of_the_order() -> None:
    made = sent(
        "ORC|NW|1^A", "PRT|1|AD||OP|7^Kim^Lee", "NTE|1||urgent", "NTE|2||please", "OBR|1|1^A||C", kind="OML^O21"
    )
    (order,), (person,) = of_type(made, "ServiceRequest"), of_type(made, "Practitioner")
    assert order["requester"] == {"reference": f"Practitioner/{person['id']}"}
    assert order["note"] == [{"text": "urgent\nplease"}]


def test_what_stands_behind_the_visit_is_of_the_visit() -> None:
    made = sent("OBX|1|ST|C||x||||||F", "PV1|1|I", "PRT|1|AD||AT|7^Kim^Lee")
    assert "performer" not in of_type(made, "Observation")[0]
    assert of_type(made, "Encounter")[0]["participant"]


def test_where_who_has_ordered_works() -> None:
    orc = "ORC|NW|1^A||||||||||7^Kim^Lee|||||||||General|1 Main^^Town|^WPN^PH^^^555^1234|2 Side^^Village"
    for made in (
        sent(orc, "OBR|1|1^A||C", kind="ORM^O01"),
        sent(orc, "RXO|M|1||mg", kind="RDE^O11"),
    ):
        (role,), (company,), (person,) = (
            of_type(made, kind) for kind in ("PractitionerRole", "Organization", "Practitioner")
        )
        assert role["organization"] == {"reference": f"Organization/{company['id']}"}
        assert (company["address"][0]["city"], person["address"][0]["city"]) == ("Town", "Village")
        assert company["telecom"][0]["value"] == "(555) 1234"


def test_an_organization_that_has_ordered() -> None:
    made = sent("ORC|NW|1^A|||||||||||||||||||General|1 Main^^Town", "OBR|1|1^A||C", kind="ORM^O01")
    assert of_type(made, "ServiceRequest")[0]["requester"] == named(made, "Organization", "General")


def test_the_device_of_a_result() -> None:
    made = sent("OBR|1|1^A||C||||||||||||||||||||F", "OBX|1|NM|C||1||||||F|||||||D1^LAB", kind="ORU^R01")
    (device,) = of_type(made, "Device")
    assert device["identifier"] == [{"system": "urn:hl7:north:LAB", "value": "D1"}]
    assert of_type(made, "Observation")[0]["device"] == {"reference": f"Device/{device['id']}"}


def test_a_device_that_took_part() -> None:
    prt = "PRT|1|AD||EQUIP||||||D1^LAB||||||00643169001763^^2.51.1.1^ISO|20140401|20220712|LOT|SERIAL|RA1|T^Pump^X"
    made = sent("PV1|1|I", "PR1|1||C|x|20240101", "OBX|1|NM|C||1||||||F", prt)
    (device,) = of_type(made, "Device")
    assert device["udiCarrier"] == [{"deviceIdentifier": "00643169001763"}]
    assert (device["manufactureDate"], device["expirationDate"]) == ("2014-04-01", "2022-07-12")
    assert (device["lotNumber"], device["serialNumber"], device["distinctIdentifier"]) == ("LOT", "SERIAL", "RA1")
    assert device["type"]["coding"][0]["code"] == "T"
    assert of_type(made, "Observation")[0]["device"] == {"reference": f"Device/{device['id']}"}
