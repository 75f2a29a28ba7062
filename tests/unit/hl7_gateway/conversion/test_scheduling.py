"""What appointments say: https://hl7.org/fhir/uv/v2mappings/message_maps.html"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.validation import issues
from hl7_gateway.conversion.convert import convert
from hl7_gateway.conversion.draft import Draft
from hl7_gateway.message import Message
from tests.unit.hl7_gateway.conversion.applied import FEED, converted, of_type
from tests.unit.hl7_gateway.conversion.test_adt import PID, segment

SCH = segment("SCH", {1: "P1^EHR", 2: "F1^CLINIC", 6: "NOSHOW^Sick", 7: "CHECKUP^Check-up^HL70276"})
TQ1 = segment("TQ1", {1: "1", 7: "20240901093000", 8: "20240901102000"})


def text(event: str, *segments: str) -> str:
    return "\r".join([f"MSH|^~\\&|APP|HOSP|R|F|20240818112600||SIU^{event}|1|P|2.5.1", *segments])


def appointment(event: str, *segments: str) -> dict[str, Any]:
    (found,) = of_type(converted(text(event, *segments)), "Appointment")
    assert not issues(found, warnings=False)
    return found


def draft(event: str, *segments: str) -> Draft:
    drafts = convert(Message(text(event, *segments)), FEED).drafts
    return next(one for one in drafts if one.type == "Appointment")


def test_who_when_and_where() -> None:
    found = appointment(
        "S12",
        SCH,
        TQ1,
        "NTE|1||Bring papers",
        PID,
        "RGS|1",
        segment("AIS", {1: "1", 3: "76164006^Biopsy^SCT"}),
        "NTE|1||Fasting",
        segment("AIP", {1: "1", 3: "77^WHO^DOC^^^^^^NPI", 4: "GP^General practitioner", 6: "20240901093000"}),
        segment("AIL", {1: "1", 3: "W^R1"}),
        segment("AIG", {1: "1", 3: "E1^Endoscope"}),
    )
    assert [one["value"] for one in found["identifier"]] == ["P1", "F1"]
    assert (found["status"], found["start"], found["end"]) == (
        "booked",
        "2024-09-01T09:30:00-04:00",
        "2024-09-01T10:20:00-04:00",
    )
    assert found["minutesDuration"] == 50
    assert found["comment"] == "Bring papers\nFasting"
    actors = [one["actor"] for one in found["participant"]]
    assert [one["reference"].partition("/")[0] for one in actors[:3]] == ["Patient", "Practitioner", "Location"]
    assert actors[3] == {"display": "Endoscope"}


def test_known_by_the_filler_first() -> None:
    assert draft("S12", SCH, TQ1, PID).identifiers == [("urn:hl7:north:CLINIC", "F1"), ("urn:hl7:north:EHR", "P1")]


@pytest.mark.parametrize(
    ("event", "status"),
    [("S12", "booked"), ("S13", "booked"), ("S15", "cancelled"), ("S16", "cancelled"), ("S17", "entered-in-error"),
     ("S26", "noshow")],
)  # fmt: skip
def test_events(event: str, status: str) -> None:
    assert appointment(event, SCH, TQ1, PID)["status"] == status
    (one,) = (stated for stated in draft(event, SCH, TQ1, PID).stated if stated.path == "status")
    assert not one.initial


def test_a_change_leaves_the_status_as_it_is() -> None:
    (one,) = (stated for stated in draft("S14", SCH, TQ1, PID).stated if stated.path == "status")
    assert one.initial
    told = segment("SCH", {2: "F1^CLINIC", 25: "Complete"})
    assert appointment("S14", told, TQ1, PID)["status"] == "fulfilled"


def test_why_it_was_cancelled() -> None:
    assert appointment("S15", SCH, TQ1, PID)["cancelationReason"]["coding"][0]["display"] == "Sick"
    assert "cancelationReason" not in appointment("S12", SCH, TQ1, PID)
    # What is not cancelled any more has no reason for it any more.
    again = draft("S13", SCH, TQ1, PID)
    assert [one.values for one in again.stated if one.path == "cancelationReason"] == [()]


@pytest.mark.parametrize(
    ("segments", "end"),
    [
        ([segment("SCH", {2: "F1", 11: "^^^20240901093000^20240901100000"})], "2024-09-01T10:00:00-04:00"),
        ([segment("SCH", {2: "F1", 9: "2", 10: "h", 11: "^^^20240901093000"})], "2024-09-01T11:30:00-04:00"),
        ([SCH, PID, segment("AIS", {3: "X", 4: "20240901093000", 7: "15", 8: "min"})], "2024-09-01T09:45:00-04:00"),
        ([SCH, PID, segment("AIL", {3: "W", 6: "20240901093000"})], "2024-09-01T09:30:00-04:00"),
    ],
)
def test_the_time_stands_in_many_places(segments: list[str], end: str) -> None:
    found = appointment("S12", *segments, *([] if PID in segments else [PID]))
    assert (found["start"], found["end"]) == ("2024-09-01T09:30:00-04:00", end)


def test_without_a_time_it_is_proposed() -> None:
    assert appointment("S14", SCH, PID)["status"] == "proposed"


def test_several_patients_of_one_appointment() -> None:
    found = appointment("S12", SCH, TQ1, PID, "PID|2||124^^^A^MR")
    assert len([one for one in found["participant"] if one["actor"]["reference"].startswith("Patient/")]) == 2


@pytest.mark.parametrize(
    ("offset", "units", "begun"),
    [("15", "MIN", "09:45:00"), ("-30", "min", "09:00:00"), ("1", "HR", "10:30:00"), ("0", "", "09:30:00")],
)
@pytest.mark.parametrize(("name", "start"), [("AIP", 6), ("AIL", 6), ("AIG", 8)])
def test_who_is_needed_before_or_after_the_beginning(
    name: str, start: int, offset: str, units: str, begun: str
) -> None:
    sch = segment("SCH", {1: "P1^EHR", 2: "F1^CLINIC", 11: "^^^20240901093000^20240901102000"})
    fields = {1: "1", 3: "55^KIM^ANN", start + 1: offset, start + 2: units, start + 3: "10", start + 4: "MIN"}
    found = appointment("S12", sch, PID, "RGS|1", segment(name, fields))
    (period,) = [one["period"] for one in found["participant"] if "period" in one]
    assert period["start"] == f"2024-09-01T{begun}-04:00"
    assert period["end"] > period["start"]


def test_an_offset_from_nothing_is_not_read() -> None:
    fields = {1: "1", 3: "55^KIM^ANN", 7: "15", 8: "MIN"}
    found = convert(Message(text("S12", SCH, TQ1, PID, "RGS|1", segment("AIP", fields))), FEED)
    assert {"AIP-7", "AIP-8"} <= {f"{place.segment}-{place.field}" for place in found.unmapped}
