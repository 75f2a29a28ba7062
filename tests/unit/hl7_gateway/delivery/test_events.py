"""Messages as they are sent, converted and delivered one after the other: what is in the store then. docs/hl7.md"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.store.session import Database
from fhir_server.store.tenants import Tenant
from hl7_gateway.conversion.convert import convert
from hl7_gateway.conversion.draft import ENDS_EARLY
from hl7_gateway.deliver import Delivered, Work
from hl7_gateway.feed_mapping import FeedMapping
from hl7_gateway.message import Message
from tests.factories.hl7_delivery import Hospital, hospital_of

Send = Callable[..., Delivered]

PID = "PID|1||123^^^A^MR||DOE^JANE||19700101|F|||1 Main St^^Town||555-1"
PV1 = "PV1|1|I|{place}||||||||||||||||V1^^^A^VN|||||||||||||||||||||||||20240101100000"


@pytest.fixture
def hospital(app_database: Database, tenant: Tenant) -> Hospital:
    return hospital_of(app_database, tenant)


@pytest.fixture
def send(hospital: Hospital) -> Send:
    def run(event: str, *segments: str, feed: str = "adt") -> Delivered:
        header = f"MSH|^~\\&|ADT|HOSP|||20240102120000||{event}|1|P|2.5.1"
        text = "\r".join([header, "EVN||20240102120000", *segments])
        (found,) = hospital.run(Work(hospital.kept(), feed, convert(Message(text), FeedMapping(feed))))
        assert found.problem is None, found.problem
        return found

    return run


def visit(hospital: Hospital) -> dict[str, Any]:
    (found,) = hospital.all("Encounter")
    return found


def where(hospital: Hospital) -> list[str]:
    """The names of the places where the visit is now."""
    now = [one for one in visit(hospital)["location"] if one.get("status") in (None, "active")]
    return [hospital.read(one["location"]["reference"])["name"] for one in now]


def admit(place: str = "W1^R1^B1") -> tuple[str, str]:
    return PID, PV1.format(place=place)


def test_a_phone_that_is_taken_back_goes_and_an_address_that_is_not_sent_stays(hospital: Hospital, send: Send) -> None:
    name = send("ADT^A01", *admit()).names["Patient#1"]
    before = hospital.read(name)
    assert before["telecom"][0]["value"] == "555-1"
    send("ADT^A08", 'PID|1||123^^^A^MR||DOE^JANE||19700101|F|||||""', PV1.format(place="W1^R1^B1"))
    after = hospital.read(name)
    assert "telecom" not in after
    assert after["address"] == before["address"]
    assert hospital.rows("SELECT id FROM resource WHERE body::text LIKE '%\\\\\"\\\\\"%'") == []


def test_numbers_of_two_authorities_are_two_patients_and_results_may_come_first(hospital: Hospital, send: Send) -> None:
    report = ("PID|1||123^^^A^MR", "OBR|1||F1^LAB|GLU^Glucose^L|||20240101", "OBX|1|NM|GLU^Glucose^L||5|mmol/L|||||F")
    early = send("ORU^R01", *report).names["Patient#1"]
    late = send("ADT^A04", *admit()).names["Patient#1"]
    assert early == late
    assert hospital.read(late)["name"][0]["family"] == "DOE"
    other = send("ADT^A04", PID.replace("^^^A^", "^^^B^"), PV1.format(place="W1")).names["Patient#1"]
    assert other != late
    assert len(hospital.all("Patient")) == 2


@pytest.mark.parametrize(
    ("events", "status", "ended"),
    [
        (["A01", "A11"], "cancelled", False),
        (["A01", "A03"], "finished", True),
        (["A01", "A03", "A13"], "in-progress", False),
        (["A01", "A03", "A08"], "finished", True),
        (["A04", "A08"], "in-progress", False),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_the_status_of_a_visit_follows_its_events(
    hospital: Hospital, send: Send, events: list[str], status: str, ended: bool
) -> None:
    for event in events:
        discharged = "|20240103" if event == "A03" else ""
        send(f"ADT^{event}", PID, PV1.format(place="W1^R1^B1") + discharged)
    found = visit(hospital)
    assert (found["status"], "end" in found.get("period", {})) == (status, ended)


def test_a_transfer_that_is_cancelled_leaves_the_patient_where_they_were(hospital: Hospital, send: Send) -> None:
    send("ADT^A01", *admit("W1^R1^B1"))
    at_first = where(hospital)
    send("ADT^A02", *admit("W2^R2^B2"))
    assert where(hospital) != at_first
    send("ADT^A12", *admit("W1^R1^B1"))
    assert where(hospital) == at_first


def test_a_merge_as_it_is_sent(hospital: Hospital, send: Send) -> None:
    old = send("ADT^A01", *admit()).names["Patient#1"]
    send("ADT^A40", PID.replace("123^", "456^"), "MRG|123^^^A^MR")
    assert hospital.read(old)["active"] is False
    report = ("PID|1||123^^^A^MR", "OBR|1||F1^LAB|GLU^Glucose^L|||20240101", "OBX|1|NM|GLU^Glucose^L||5|mmol/L|||||F")
    new = send("ORU^R01", *report).names["Patient#1"]
    assert new != old
    (result,) = hospital.all("Observation")
    assert result["subject"] == {"reference": new}
    assert [one["value"] for one in hospital.read(new)["identifier"]] == ["456"]


def test_a_result_is_one_observation_whatever_becomes_of_it(hospital: Hospital, send: Send) -> None:
    statuses = []
    for status in "PFCD":
        observation = f"OBX|1|NM|GLU^Glucose^L|1|5|mmol/L|||||{status}"
        send("ORU^R01", "PID|1||123^^^A^MR", "OBR|1||F1^LAB|GLU^Glucose^L|||20240101", observation)
        (result,) = hospital.all("Observation")
        statuses.append(result["status"])
    assert statuses == ["preliminary", "final", "corrected", "entered-in-error"]


def test_a_person_who_is_deleted_takes_nobody_along(hospital: Hospital, send: Send) -> None:
    attending = PV1.format(place="W1").replace("|||||||||||||||V1", "||||5^Kim^Lee^^^^^^NPI|||||||||||V1", 1)
    names = send("ADT^A01", PID, attending).names
    assert "Practitioner#1" in names
    send("ADT^A29", PID)
    assert hospital.read(names["Patient#1"])["active"] is False
    assert hospital.version(names["Practitioner#1"]) == 1


def test_a_discharge_before_the_admission_is_stored_without_its_end(hospital: Hospital, send: Send) -> None:
    send("ADT^A01", PID, PV1.format(place="W^1^A"))
    told = send("ADT^A03", PID, "PV1|1|I|W^1^A||||||||||||||||V1^^^A^VN||||||||||||||||||||||||||20231231100000")
    assert (visit(hospital)["status"], visit(hospital)["period"]) == (
        "finished",
        {"start": "2024-01-01T10:00:00+00:00"},
    )
    assert [(str(one.place), one.said) for one in told.warnings] == [("PV1-45", ENDS_EARLY)]
    (path,) = [name for name in told.names.values() if name.startswith("Encounter/")]
    assert "period.end" not in hospital.lineage(path)
    assert "period.start" in hospital.lineage(path)
    send("ADT^A03", PID, "PV1|1|I|W^1^A||||||||||||||||V1^^^A^VN||||||||||||||||||||||||||20240103100000")
    assert visit(hospital)["period"]["end"] == "2024-01-03T10:00:00+00:00"


def test_an_admission_that_turns_out_later_than_the_discharge(hospital: Hospital, send: Send) -> None:
    send("ADT^A03", PID, PV1.format(place="W^1^A") + "|20240102100000")
    told = send("ADT^A08", PID, "PV1|1|I|W^1^A||||||||||||||||V1^^^A^VN|||||||||||||||||||||||||20240105100000")
    assert visit(hospital)["period"] == {"start": "2024-01-05T10:00:00+00:00"}
    assert [str(one.place) for one in told.warnings] == ["PV1-44"]


def test_an_appointment_without_a_time_is_proposed(hospital: Hospital, send: Send) -> None:
    told = send("SIU^S12", "SCH|1^A", PID)
    (made,) = hospital.all("Appointment")
    assert made["status"] == "proposed"
    assert "Without a time an appointment is proposed." in [one.said for one in told.warnings]
    send("SIU^S13", "SCH|1^A||||||||30|MIN|^^^20240301100000", PID)
    assert hospital.all("Appointment")[0]["status"] == "booked"
    send("SIU^S26", "SCH|1^A", PID)
    (made,) = hospital.all("Appointment")
    assert (made["status"], made["start"]) == ("noshow", "2024-03-01T10:00:00+00:00")
