"""What ADT messages say: https://hl7.org/fhir/uv/v2mappings/message_maps.html"""

from __future__ import annotations

from typing import Any

import pytest

from hl7_gateway.conversion.convert import convert
from hl7_gateway.conversion.draft import DRAFT, Conversion, Draft, Stated
from hl7_gateway.conversion.families.merging import ACCOUNTS, PATIENTS, RENUMBERED
from hl7_gateway.conversion.registry import SUPPORTED
from hl7_gateway.message import Message
from hl7_gateway.problems import Refused
from tests.unit.hl7_gateway.conversion.applied import FEED, converted, of_type

PID = "PID|1||123^^^A^MR||DOE^JANE||19610615|F"


def segment(name: str, fields: dict[int, str]) -> str:
    """A segment of the fields that have content."""
    return "|".join([name, *(fields.get(number, "") for number in range(1, max(fields) + 1))])


VISIT = {1: "1", 2: "I", 3: "W^R^B", 19: "V1^^^A^VN"}
PV1 = segment("PV1", VISIT)


def adt(event: str, *segments: str) -> str:
    return "\r".join([f"MSH|^~\\&|APP|HOSP|R|F|20240818112600||ADT^{event}|1|P|2.5.1", *segments])


def said(conversion: Conversion, kind: str, path: str) -> list[Stated]:
    return [one for draft in conversion.drafts if draft.type == kind for one in draft.stated if one.path == path]


def draft(conversion: Conversion, kind: str) -> Draft:
    return next(one for one in conversion.drafts if one.type == kind)


def conversion_of(event: str, *segments: str) -> Conversion:
    return convert(Message(adt(event, *segments)), FEED)


def encounter(event: str, *segments: str) -> dict[str, Any]:
    return of_type(converted(adt(event, *segments)), "Encounter")[0]


def test_a_patient() -> None:
    message = adt(
        "A01",
        "PID|1||123^^^A^MR~987-65-4321^^^^SS||SMITH \\T\\ SONS^JANE^Q^JR^DR^^L||196106|F||2106-3^White^HL70005|"
        "1 MAIN ST^APT 2^GOODTOWN^KY^42010^USA^H|COUNTY|(270)600-9800^PRN^PH|^WPN^PH^^1^270^5551234^9|en^English|M",
    )
    (patient,) = of_type(converted(message), "Patient")
    assert patient["identifier"][0] == {
        "system": "urn:hl7:north:A",
        "value": "123",
        "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]},
    }
    assert patient["identifier"][1]["system"] == "http://hl7.org/fhir/sid/us-ssn"
    assert patient["name"] == [
        {"family": "SMITH & SONS", "given": ["JANE", "Q"], "suffix": ["JR"], "prefix": ["DR"], "use": "official"}
    ]
    assert patient["birthDate"] == "1961-06"
    assert patient["gender"] == "female"
    assert patient["address"] == [
        {
            "line": ["1 MAIN ST", "APT 2"],
            "city": "GOODTOWN",
            "state": "KY",
            "postalCode": "42010",
            "country": "USA",
            "district": "COUNTY",
            "use": "home",
        }
    ]
    assert patient["telecom"] == [
        {"system": "phone", "value": "(270)600-9800", "use": "home"},
        {"system": "phone", "value": "+1 (270) 5551234 x9", "use": "work"},
    ]
    assert patient["maritalStatus"]["coding"][0]["code"] == "M"


def test_who_is_known_by_a_number_is_known_by_its_authority() -> None:
    one = conversion_of("A01", "PID|1||123^^^A^MR")
    other = conversion_of("A01", "PID|1||123^^^B^MR")
    assert draft(one, "Patient").identifiers == [("urn:hl7:north:A", "123")]
    assert draft(other, "Patient").identifiers == [("urn:hl7:north:B", "123")]
    bare = conversion_of("A01", "PID|1||123")
    assert draft(bare, "Patient").identifiers == [("urn:hl7:north:HOSP", "123")]


def test_a_social_security_number_identifies_nobody() -> None:
    found = conversion_of("A01", "PID|1||123^^^A^MR~987654321^^^^SS")
    assert draft(found, "Patient").identifiers == [("urn:hl7:north:A", "123")]
    with pytest.raises(Refused) as refused:
        conversion_of("A01", "PID|1||987654321^^^^SS||DOE^JANE")
    assert (refused.value.code, refused.value.acknowledgment, str(refused.value.place)) == (101, "AE", "PID-3")


def test_null_takes_away_and_empty_says_nothing() -> None:
    """PID-13 is taken away, of PID-11 nothing is said, and "" is in no value."""
    found = conversion_of("A08", 'PID|1||123^^^A^MR||DOE^JANE||""|F|||||""')
    assert [(one.slot, one.values) for one in said(found, "Patient", "telecom")] == [("PID-13", ())]
    assert said(found, "Patient", "address") == []
    assert [one.values for one in said(found, "Patient", "birthDate")] == [()]
    assert '""' not in repr([[value.value for value in one.values] for one in draft(found, "Patient").stated])


@pytest.mark.parametrize(
    ("event", "status"),
    [("A01", "in-progress"), ("A03", "finished"), ("A04", "in-progress"), ("A05", "planned"), ("A11", "cancelled"),
     ("A13", "in-progress"), ("A14", "planned"), ("A21", "onleave"), ("A22", "in-progress"),
     ("A23", "entered-in-error"), ("A27", "cancelled"), ("A38", "cancelled")],
)  # fmt: skip
def test_what_an_event_makes_of_a_visit(event: str, status: str) -> None:
    assert encounter(event, PID, PV1)["status"] == status
    (one,) = said(conversion_of(event, PID, PV1), "Encounter", "status")
    assert not one.initial


@pytest.mark.parametrize("event", ["A08", "A31", "A16", "A15", "A25", "A26", "A09", "A60"])
def test_events_that_leave_a_visit_as_it_is(event: str) -> None:
    (one,) = said(conversion_of(event, PID, PV1), "Encounter", "status")
    assert one.initial


def test_a_discharge_ends_the_visit_and_its_cancel_reopens_it() -> None:
    ended = encounter("A03", "EVN|A03|20240818113000", PID, PV1)
    assert ended["period"] == {"end": "2024-08-18T11:30:00-04:00"}
    reopened = said(
        conversion_of("A13", PID, segment("PV1", VISIT | {45: "20240818113000"})), "Encounter", "period.end"
    )
    assert [(one.slot, one.values) for one in reopened] == [("PV1-45", ())]


def test_a_transfer_and_its_cancel() -> None:
    moved = encounter("A02", PID, segment("PV1", VISIT | {3: "W2^R^B", 6: "W1^R^B"}))
    assert [place["status"] for place in moved["location"]] == ["active", "completed"]
    back = said(conversion_of("A12", PID, segment("PV1", VISIT | {3: "W1^R^B"})), "Encounter", "location")
    assert [(one.slot, len(one.values)) for one in back] == [("PV1-3", 1), ("PV1-6", 0)]


def test_a_visit_is_known_by_its_number() -> None:
    found = conversion_of("A01", PID, PV1)
    assert draft(found, "Encounter").identifiers == [("urn:hl7:north:A", "V1")]
    unnumbered = conversion_of("A01", PID, segment("PV1", {2: "I", 44: "20240818"}))
    assert draft(unnumbered, "Encounter").natural == ("PV1", DRAFT + "Patient#1", "20240818", "I")


@pytest.mark.parametrize("event", ["A28", "A31", "A29", "A35", "A36", "A39", "A46", "A47"])
def test_a_person_event_makes_no_visit_of_an_empty_pv1(event: str) -> None:
    found = conversion_of(event, PID, "PV1|1|N", *(["MRG|9^^^A"] if event > "A31" else []))
    assert not [one for one in found.drafts if one.type == "Encounter"]


def test_a_merge() -> None:
    found = conversion_of("A40", "PID|1||456^^^A^MR", "MRG|123^^^A^MR", "PID|2||789^^^A^MR", "MRG|124^^^A^MR")
    named = {one.name: one.identifiers for one in found.drafts}
    assert [(named[one.retired], named[one.surviving]) for one in found.merges] == [
        ([("urn:hl7:north:A", "123")], [("urn:hl7:north:A", "456")]),
        ([("urn:hl7:north:A", "124")], [("urn:hl7:north:A", "789")]),
    ]


def test_a_merge_without_anybody_to_retire_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        conversion_of("A40", "PID|1||456^^^A^MR", "MRG|")
    assert (refused.value.code, str(refused.value.place)) == (101, "MRG-1")


def test_a_patient_merged_into_themselves_is_left_alone() -> None:
    assert conversion_of("A40", "PID|1||456^^^A^MR", "MRG|456^^^A^MR").merges == []


def test_accounts_merge() -> None:
    found = conversion_of("A41", segment("PID", {3: "123^^^A^MR", 18: "ACC2^^^A"}), "MRG|123^^^A^MR||ACC1^^^A")
    assert [one.type for one in found.merges] == ["Account"]


def test_new_numbers() -> None:
    found = draft(conversion_of("A47", "PID|1||456^^^A^MR", "MRG|123^^^A^MR"), "Patient")
    assert found.identifiers == [("urn:hl7:north:A", "123"), ("urn:hl7:north:A", "456")]
    (patient,) = of_type(converted(adt("A47", "PID|1||456^^^A^MR", "MRG|123^^^A^MR")), "Patient")
    assert [(one["value"], one.get("use")) for one in patient["identifier"]] == [("456", None), ("123", "old")]


def test_a_number_that_stays_is_not_an_old_one() -> None:
    before, now = "MRG|1^^^A^MR~4^^^B^PI", "PID|1||1^^^A^MR~5^^^B^PI"
    (patient,) = of_type(converted(adt("A47", now, before)), "Patient")
    assert [(one["value"], one.get("use")) for one in patient["identifier"]] == [
        ("1", None), ("5", None), ("4", "old"),
    ]  # fmt: skip


@pytest.mark.parametrize("event", sorted(PATIENTS | ACCOUNTS | RENUMBERED))
def test_every_event_that_merges_or_renumbers_is_taken(event: str) -> None:
    assert event in SUPPORTED["ADT"]
    before, now = "MRG|1^^^A^MR||ACC1^^^A", segment("PID", {3: "2^^^A^MR", 18: "ACC2^^^A"})
    found = conversion_of(event, now, before)
    expected = ["Patient"] * (event in PATIENTS) + ["Account"] * (event in ACCOUNTS)
    assert [one.type for one in found.merges] == expected
    known = draft(found, "Patient").identifiers
    assert (("urn:hl7:north:A", "1") in known) == (event in RENUMBERED)


def test_another_number_of_a_visit_is_none_of_the_patient() -> None:
    assert "A51" not in SUPPORTED["ADT"]
    assert "A51" not in RENUMBERED


def test_a_visit_moves() -> None:
    found = conversion_of("A45", PID, "MRG|||||V0^^^A^VN", PV1)
    assert draft(found, "Encounter").identifiers == [("urn:hl7:north:A", "V0"), ("urn:hl7:north:A", "V1")]


def test_a_link_and_its_end() -> None:
    linked = conversion_of("A24", "PID|1||1^^^A", "PID|2||2^^^A")
    assert [one.values[0].value["type"] for one in said(linked, "Patient", "link")] == ["seealso", "seealso"]
    ended = conversion_of("A37", "PID|1||1^^^A", "PID|2||2^^^A")
    assert [one.values for one in said(ended, "Patient", "link")] == [(), ()]


def test_a_person_out_of_use() -> None:
    (one,) = said(conversion_of("A29", PID), "Patient", "active")
    assert (one.values[0].value, one.initial) == (False, False)
    assert not [one for one in conversion_of("A29", PID, PV1).drafts if one.action == "delete"]


def test_a_bed() -> None:
    found = converted(adt("A20", "NPU|W^R^B|H"))
    bed = next(one for one in of_type(found, "Location") if one["name"] == "W R B")
    assert bed["operationalStatus"]["code"] == "H"


def test_allergies_diagnoses_procedures() -> None:
    found = converted(
        adt(
            "A01",
            PID,
            PV1,
            "AL1|1|DA|P^PENICILLIN^L|SV|HIVES~RASH",
            "DG1|1||I50.9^Heart failure^I10||20240818|A|||||||||1",
            "PR1|1||93000^ECG^C4||20240818",
        )
    )
    (allergy,) = of_type(found, "AllergyIntolerance")
    assert allergy["reaction"] == [{"manifestation": [{"text": "HIVES"}, {"text": "RASH"}], "severity": "severe"}]
    assert allergy["category"] == ["medication"]
    (condition,) = of_type(found, "Condition")
    assert condition["code"]["coding"][0]["system"] == "http://hl7.org/fhir/sid/icd-10"
    (visit,) = of_type(found, "Encounter")
    assert visit["diagnosis"][0]["condition"] == {"reference": f"Condition/{condition['id']}"}
    assert visit["diagnosis"][0]["rank"] == 1
    (procedure,) = of_type(found, "Procedure")
    assert procedure["encounter"] == {"reference": f"Encounter/{visit['id']}"}


def test_an_allergy_is_taken_back() -> None:
    (allergy,) = of_type(converted(adt("A60", PID, "IAM|1|DA|P^PENICILLIN^L|||D")), "AllergyIntolerance")
    assert allergy["verificationStatus"]["coding"][0]["code"] == "entered-in-error"
    assert "clinicalStatus" not in allergy


def test_an_insurance() -> None:
    found = converted(
        adt("A01", PID, segment("IN1", {2: "HMO^Plan", 3: "55^^^N", 4: "Payer Inc", 12: "20240101", 36: "POL9"}))
    )
    (coverage,) = of_type(found, "Coverage")
    (payer,) = of_type(found, "Organization")
    assert coverage["payor"] == [{"reference": f"Organization/{payer['id']}"}]
    assert coverage["subscriberId"] == "POL9"


def test_z_segments_and_unread_fields_are_reported() -> None:
    found = conversion_of("A01", PID, "ZPI|1|secret")
    assert [str(place) for place in found.unmapped] == ["ZPI-1", "ZPI-2"]
    assert found.bytes_unmapped == 7


def test_what_is_not_converted_is_refused() -> None:
    with pytest.raises(Refused) as event:
        conversion_of("Z99", PID)
    assert (event.value.code, event.value.acknowledgment) == (201, "AR")
    with pytest.raises(Refused) as kind:
        convert(Message("MSH|^~\\&|A|B|C|D|1||QRY^A19|1|P|2.3"), FEED)
    assert (kind.value.code, kind.value.acknowledgment) == (200, "AR")


def test_zeros_are_absent_with_a_warning() -> None:
    found = conversion_of("A01", "PID|1||123^^^A^MR||DOE^JANE||00000000|F")
    assert said(found, "Patient", "birthDate") == []
    assert [str(one.place) for one in found.warnings] == ["PID-7"]


def test_where_a_value_stood() -> None:
    (name,) = said(conversion_of("A01", "PID|1||123^^^A^MR||DOE^JANE~ROE^JANE"), "Patient", "name")
    assert [str(value.places["family"]) for value in name.values] == ["PID-5.1", "PID-5[2].1"]
    assert str(name.values[1].places["given[0]"]) == "PID-5[2].2"
