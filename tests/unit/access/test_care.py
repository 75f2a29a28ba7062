"""fhir_server/access/care.py: who cares for whom, by each type. docs/care.md"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.access import relations as kinds
from fhir_server.access.care import Relation, _joined, relations
from fhir_server.r4 import instants

SUBJECT = {"reference": "Patient/p"}
DOCTOR = {"reference": "Practitioner/d"}
OPEN = (instants.MIN, instants.MAX)


def day(text: str) -> int:
    return instants.interval(text)[0]


def found(resource_type: str, **elements: Any) -> list[tuple[str, str, int, int, int]]:
    return [tuple(one) for one in relations({"resourceType": resource_type, **elements})]  # type: ignore[misc]


def times(resource_type: str, **elements: Any) -> list[tuple[int, int]]:
    return [one[3:] for one in found(resource_type, **elements)]


def test_general_practitioners_for_ever() -> None:
    role = {"reference": "PractitionerRole/r/_history/3"}
    assert found("Patient", id="p", generalPractitioner=[DOCTOR, role, DOCTOR]) == [
        ("Practitioner/d", "", kinds.GENERAL_PRACTITIONER, *OPEN),
        ("PractitionerRole/r", "", kinds.GENERAL_PRACTITIONER, *OPEN),
    ]


@pytest.mark.parametrize(
    "reference",
    [
        {},
        {"identifier": {"value": "1"}},
        {"display": "A doctor"},
        {"reference": "#d"},
        {"reference": "https://elsewhere.example/fhir/Practitioner/d"},
        {"reference": "urn:uuid:00000000-0000-4000-8000-000000000000"},
        {"reference": "Practitioner?identifier=1"},
        {"reference": "Organization/o"},
        {"reference": "Practitioner/"},
        {"type": "Practitioner"},
    ],
)
def test_whom_no_reference_names_is_related_to_nobody(reference: dict[str, Any]) -> None:
    assert found("Patient", generalPractitioner=[reference]) == []
    assert found("CareTeam", status="active", subject=SUBJECT, participant=[{"member": reference}]) == []
    assert found("CareTeam", status="active", subject=reference, participant=[{"member": DOCTOR}]) == []


@pytest.mark.parametrize("status", ["proposed", "suspended", "inactive", "entered-in-error", None])
def test_only_active_care_teams_count(status: str | None) -> None:
    elements = {"subject": SUBJECT, "participant": [{"member": DOCTOR}]}
    assert found("CareTeam", status="active", **elements) == [("Practitioner/d", "Patient/p", kinds.CARE_TEAM, *OPEN)]
    assert found("CareTeam", status=status, **elements) == []


def test_a_member_belongs_to_a_team_while_both_say_so() -> None:
    def member(start: str, end: str) -> dict[str, Any]:
        return {"member": DOCTOR, "period": {"start": start, "end": end}}

    team = {"status": "active", "subject": SUBJECT, "period": {"start": "2020-01-01", "end": "2022-12-31"}}
    assert times("CareTeam", **team, participant=[member("2021-03-01", "2030-01-01")]) == [
        (day("2021-03-01"), day("2023-01-01"))
    ]
    assert times("CareTeam", **team, participant=[member("2023-03-01", "2024-01-01")]) == []
    # Twice with a gap is twice, not all the time between.
    twice = [member("2020-01-01", "2020-01-31"), member("2022-01-01", "2022-01-31")]
    assert times("CareTeam", **team, participant=twice) == [
        (day("2020-01-01"), day("2020-02-01")),
        (day("2022-01-01"), day("2022-02-01")),
    ]


ENCOUNTER = {"subject": SUBJECT, "participant": [{"individual": DOCTOR}]}
YEAR = 365 * instants.DAY


@pytest.mark.parametrize(
    ("status", "period", "expected"),
    [
        ("in-progress", {}, [OPEN]),
        ("in-progress", {"start": "2024-05-01"}, [(day("2024-05-01"), instants.MAX)]),
        ("planned", {"start": "2024-05-01", "end": "2024-05-02"}, [(instants.MIN, day("2024-05-03") + YEAR)]),
        ("finished", {"start": "2024-05-01", "end": "2024-05"}, [(day("2024-05-01"), day("2024-06-01") + YEAR)]),
        ("finished", {"start": "2024-05-01"}, [(day("2024-05-01"), day("2024-05-02") + YEAR)]),
        ("finished", {"end": "2024-05-01"}, [(instants.MIN, day("2024-05-02") + YEAR)]),
        ("finished", {}, []),
        ("cancelled", {"start": "2024-05-01"}, []),
        ("entered-in-error", {"start": "2024-05-01"}, []),
    ],
)
def test_encounters(status: str, period: dict[str, str], expected: list[tuple[int, int]]) -> None:
    assert times("Encounter", status=status, period=period, **ENCOUNTER) == expected
    # A participant's own period goes before the encounter's.
    own = [{"individual": DOCTOR, "period": period}]
    assert times("Encounter", status=status, subject=SUBJECT, participant=own) == expected


def test_appointments_relate_each_practitioner_to_each_patient() -> None:
    actors = [SUBJECT, {"reference": "Patient/q"}, DOCTOR, {"reference": "Location/l"}]
    participant = [{"actor": actor, "status": "accepted"} for actor in actors]
    elements = {"participant": participant, "created": "2024-01-01", "end": "2024-02-01T10:00:00Z"}
    high = day("2024-02-01T10:00:01Z") + 30 * instants.DAY
    for status in ("pending", "booked", "arrived", "fulfilled", "checked-in"):
        assert found("Appointment", status=status, **elements) == [
            ("Practitioner/d", "Patient/p", kinds.APPOINTMENT, day("2024-01-01"), high),
            ("Practitioner/d", "Patient/q", kinds.APPOINTMENT, day("2024-01-01"), high),
        ]
    for status in ("proposed", "cancelled", "noshow", "entered-in-error", "waitlist"):
        assert found("Appointment", status=status, **elements) == []
    participant[2]["status"] = "declined"
    assert found("Appointment", status="booked", **elements) == []


def test_requests() -> None:
    elements = {"subject": SUBJECT, "requester": DOCTOR, "performer": [{"reference": "Practitioner/lab"}]}
    low = day("2024-01-01")
    for status in ("active", "on-hold", "unknown"):
        assert found("ServiceRequest", status=status, authoredOn="2024-01-01", **elements) == [
            ("Practitioner/d", "Patient/p", kinds.REFERRAL, low, instants.MAX),
            ("Practitioner/lab", "Patient/p", kinds.PERFORMER, low, instants.MAX),
        ]
    for status in ("draft", "revoked", "entered-in-error"):
        assert found("ServiceRequest", status=status, authoredOn="2024-01-01", **elements) == []
    completed = times("ServiceRequest", status="completed", authoredOn="2024-01-01", **elements)
    assert completed == [(low, day("2024-01-02") + YEAR)] * 2
    done = times("ServiceRequest", status="completed", occurrenceDateTime="2024-03", **elements)
    assert done == [(instants.MIN, day("2024-04-01") + YEAR)] * 2
    assert times("ServiceRequest", status="completed", **elements) == []


intervals = st.lists(st.tuples(st.integers(-20, 20), st.integers(-20, 20)), max_size=6)


@given(intervals)
def test_joined_times_cover_the_same_moments_and_do_not_touch(drawn: list[tuple[int, int]]) -> None:
    joined = _joined(Relation("a", "b", 1, low, high) for low, high in drawn)
    for moment in range(-21, 22):
        assert any(r.low <= moment < r.high for r in joined) == any(low <= moment < high for low, high in drawn)
    assert all(first.high < second.low for first, second in pairwise(joined))
