"""Laws of time that a record keeps: birth, death, encounters, bookings. https://hl7.org/fhir/R4/encounter.html"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

from tests.unit.demo.conftest import TODAY
from tests.unit.demo.reading import Record, dates_in, day_of, of_type, time_of

_PAPERWORK = {"Appointment", "Slot", "Task", "Claim", "ClaimResponse", "ExplanationOfBenefit", "Coverage"}
"""Types that are not about what happened to the body."""

_DURING = {
    "Observation": ("effectiveDateTime",),
    "Procedure": ("performedPeriod",),
    "Immunization": ("occurrenceDateTime",),
    "MedicationAdministration": ("effectiveDateTime",),
    "MedicationRequest": ("authoredOn",),
    "ServiceRequest": ("authoredOn",),
    "DiagnosticReport": ("effectiveDateTime",),
    "QuestionnaireResponse": ("authored",),
}
"""Elements that say when something was done in its encounter."""


def test_nothing_happens_before_birth_or_after_death_or_today(records: list[Record]) -> None:
    for record in records:
        born = day_of(record[0]["birthDate"])
        died = record[0].get("deceasedDateTime")
        last = day_of(died) if died else TODAY
        for resource in record[1:]:
            if resource["resourceType"] in ("RelatedPerson", *_PAPERWORK):
                continue
            for moment in dates_in(resource):
                assert born <= day_of(moment) <= last, (resource["resourceType"], resource["id"], moment)


def test_paperwork_is_not_written_in_the_future(records: list[Record]) -> None:
    for record in records:
        for resource in record:
            for name in ("created", "authoredOn", "lastModified", "sent", "issued"):
                assert day_of(resource.get(name, "2000-01-01")) <= TODAY, (resource["id"], name)


def test_what_is_done_in_an_encounter_lies_within_it(records: list[Record]) -> None:
    checked: Counter[str] = Counter()
    for record in records:
        encounters = {f"Encounter/{each['id']}": each["period"] for each in of_type(record, "Encounter")}
        for resource in record:
            for name in _DURING.get(resource["resourceType"], ()):
                period = encounters[(resource.get("encounter") or resource["context"])["reference"]]
                value = resource[name]
                ends = (value["start"], value["end"]) if isinstance(value, dict) else (value, value)
                assert time_of(period["start"]) <= time_of(ends[0]) <= time_of(ends[1]) <= time_of(period["end"]), (
                    resource["id"]
                )
                checked[resource["resourceType"]] += 1
    assert checked.keys() == _DURING.keys()


def test_specimens_are_drawn_before_results_are_issued(records: list[Record]) -> None:
    for record in records:
        specimens = {f"Specimen/{each['id']}": each for each in of_type(record, "Specimen")}
        for observation in (each for each in of_type(record, "Observation") if "specimen" in each):
            collected = specimens[observation["specimen"]["reference"]]["collection"]["collectedDateTime"]
            assert collected == observation["effectiveDateTime"]
            assert time_of(collected) < time_of(observation["issued"])


def test_nobody_is_seen_twice_at_once(records: list[Record]) -> None:
    for record in records:
        spans = sorted(
            (time_of(each["period"]["start"]), time_of(each["period"]["end"])) for each in of_type(record, "Encounter")
        )
        assert all(start < end for start, end in spans)
        assert all(end <= start for (_, end), (start, _) in pairwise(spans)), record[0]["id"]


def test_no_slot_is_booked_twice_or_over_a_free_one(bundles: list[dict[str, Any]]) -> None:
    slots = [
        (each["schedule"]["reference"], each["start"])
        for bundle in bundles
        for each in (entry["resource"] for entry in bundle["entry"])
        if each["resourceType"] == "Slot"
    ]
    assert len(slots) > 50
    assert len(set(slots)) == len(slots)
