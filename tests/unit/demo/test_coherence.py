"""Laws that a believable record keeps: sex, age, dates, values, drugs. https://hl7.org/fhir/R4/clinicalsummary-module.html"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from fhir_server.demo.codes import cvx, rxnorm
from fhir_server.demo.stories.kidney_disease import creatinine_for, filtration
from tests.unit.demo.conftest import TODAY

Resource = dict[str, Any]
Record = list[Resource]

_PLANNED = {
    "valueDateTime",
    "validityPeriod",
    "expirationDate",
    "dueDate",
    "restriction",
    "provision",
    "planningHorizon",
}
"""Elements that may speak of the time to come."""

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
        born = _day(record[0]["birthDate"])
        died = record[0].get("deceasedDateTime")
        last = _day(died) if died else TODAY
        for resource in record[1:]:
            if resource["resourceType"] in ("RelatedPerson", *_PAPERWORK):
                continue
            for moment in _dates(resource):
                assert born <= _day(moment) <= last, (resource["resourceType"], resource["id"], moment)


def test_paperwork_is_not_written_in_the_future(records: list[Record]) -> None:
    for record in records:
        for resource in record:
            for name in ("created", "authoredOn", "lastModified", "sent", "issued"):
                assert _day(resource.get(name, "2000-01-01")) <= TODAY, (resource["id"], name)


def test_what_is_done_in_an_encounter_lies_within_it(records: list[Record]) -> None:
    checked: Counter[str] = Counter()
    for record in records:
        encounters = {f"Encounter/{each['id']}": each["period"] for each in _of(record, "Encounter")}
        for resource in record:
            for name in _DURING.get(resource["resourceType"], ()):
                period = encounters[(resource.get("encounter") or resource["context"])["reference"]]
                value = resource[name]
                ends = (value["start"], value["end"]) if isinstance(value, dict) else (value, value)
                assert _time(period["start"]) <= _time(ends[0]) <= _time(ends[1]) <= _time(period["end"]), resource[
                    "id"
                ]
                checked[resource["resourceType"]] += 1
    assert checked.keys() == _DURING.keys()


def test_specimens_are_drawn_before_results_are_issued(records: list[Record]) -> None:
    for record in records:
        specimens = {f"Specimen/{each['id']}": each for each in _of(record, "Specimen")}
        for observation in (each for each in _of(record, "Observation") if "specimen" in each):
            collected = specimens[observation["specimen"]["reference"]]["collection"]["collectedDateTime"]
            assert collected == observation["effectiveDateTime"]
            assert _time(collected) < _time(observation["issued"])


def test_nobody_is_seen_twice_at_once(records: list[Record]) -> None:
    for record in records:
        spans = sorted(
            (_time(each["period"]["start"]), _time(each["period"]["end"])) for each in _of(record, "Encounter")
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


def test_only_women_of_an_age_are_pregnant(records: list[Record]) -> None:
    pregnant = [record for record in records if _has(record, "72892002")]
    assert pregnant
    for record in pregnant:
        assert record[0]["gender"] == "female"
        assert 15 <= _age(record) <= 48
        codes = {each["code"]["coding"][0]["code"] for each in _of(record, "Observation")}
        assert {"11778-8", "8665-2"} <= codes
        last, due = (_day(_observed(record, code)[0]["valueDateTime"]) for code in ("8665-2", "11778-8"))
        assert due - last == timedelta(days=280)


@pytest.mark.parametrize(
    ("problem", "youngest", "oldest"),
    [("44054006", 35, 90), ("13645005", 45, 90), ("433144002", 45, 95), ("239873007", 45, 90), ("65363002", 1, 8)],
)
def test_illnesses_come_at_their_ages(records: list[Record], problem: str, youngest: int, oldest: int) -> None:
    affected = [record for record in records if _has(record, problem)]
    assert affected
    assert all(youngest <= _age(record) <= oldest for record in affected)


def test_vaccines_are_given_at_their_age_in_the_order_of_their_doses(records: list[Record]) -> None:
    due = {(vaccine.code, dose): months for months, doses in cvx.CHILDHOOD.items() for vaccine, dose in doses}
    given = 0
    for record in (each for each in records if _age(each) < 6):
        born = _day(record[0]["birthDate"])
        before: dict[str, tuple[int, date]] = {}
        for each in _of(record, "Immunization"):
            code = each["vaccineCode"]["coding"][0]["code"]
            dose = each["protocolApplied"][0]["doseNumberPositiveInt"]
            day = _day(each["occurrenceDateTime"])
            earlier_dose, earlier_day = before.get(code, (0, born - timedelta(days=1)))
            assert dose == earlier_dose + 1
            assert day > earlier_day
            assert -4 <= (day - born).days - due[code, dose] * 30.44 <= 14
            before[code] = (dose, day)
            given += 1
    assert given > 50


def test_drugs_fit_what_they_are_given_for(records: list[Record]) -> None:
    allowed = {
        rxnorm.METFORMIN.code.code: {"44054006"},
        rxnorm.SIMVASTATIN.code.code: {"55822004"},
        rxnorm.LISINOPRIL.code.code: {"59621000"},
        rxnorm.AMLODIPINE.code.code: {"59621000"},
        rxnorm.LEVOTHYROXINE.code.code: {"40930008"},
        rxnorm.SERTRALINE.code.code: {"370143000"},
        rxnorm.FLUTICASONE.code.code: {"195967001"},
        rxnorm.ALBUTEROL.code.code: {"195967001", "13645005"},
        rxnorm.NAPROXEN.code.code: {"239873007"},
        rxnorm.AMOXICILLIN_SUSPENSION.code.code: {"65363002"},
    }
    seen = set()
    for record in records:
        conditions = {f"Condition/{each['id']}": each["code"]["coding"][0]["code"] for each in _of(record, "Condition")}
        for request in _of(record, "MedicationRequest"):
            drug = request["medicationCodeableConcept"]["coding"][0]["code"]
            if drug in allowed:
                assert conditions[request["reasonReference"][0]["reference"]] in allowed[drug], request["id"]
                seen.add(drug)
    assert seen == allowed.keys()


def test_drugs_that_would_harm_are_not_given(records: list[Record]) -> None:
    harmful = {
        "433144002": {rxnorm.NAPROXEN.code.code, rxnorm.IBUPROFEN.code.code},
        "72892002": {rxnorm.LISINOPRIL.code.code, rxnorm.SIMVASTATIN.code.code, rxnorm.NAPROXEN.code.code},
        "91936005": {rxnorm.AMOXICILLIN_SUSPENSION.code.code},
    }
    for record in records:
        drugs = {
            each["medicationCodeableConcept"]["coding"][0]["code"]
            for each in record
            if "medicationCodeableConcept" in each
        }
        for problem, bad in harmful.items():
            assert not (_has(record, problem) and drugs & bad), (record[0]["id"], problem)


def test_treated_diabetes_gets_better(records: list[Record]) -> None:
    affected = [record for record in records if _has(record, "44054006")]
    for record in affected:
        series = [each["valueQuantity"]["value"] for each in _observed(record, "4548-4")]
        assert len(series) >= 4
        assert series[0] > series[-1] >= 6
        assert all(each["interpretation"][0]["coding"][0]["code"] == "H" for each in _observed(record, "4548-4")[:1])


def test_interpretations_follow_from_reference_ranges(records: list[Record]) -> None:
    for record in records:
        for each in (each for each in _of(record, "Observation") if "specimen" in each):
            value = each["valueQuantity"]["value"]
            ends = each["referenceRange"][0]
            low = "low" in ends and value < ends["low"]["value"]
            high = "high" in ends and value > ends["high"]["value"]
            code = each["interpretation"][0]["coding"][0]["code"]
            assert code == ("L" if low else "H" if high else "N"), each["id"]


def test_body_mass_index_follows_from_weight_and_height(records: list[Record]) -> None:
    checked = 0
    for record in records:
        by_visit: dict[str, dict[str, float]] = {}
        for code in ("29463-7", "8302-2", "39156-5"):
            for each in _observed(record, code):
                by_visit.setdefault(each["encounter"]["reference"], {})[code] = float(each["valueQuantity"]["value"])
        for values in by_visit.values():
            if "39156-5" in values:
                index = values["29463-7"] / (values["8302-2"] / 100) ** 2
                assert index == pytest.approx(values["39156-5"], abs=0.06)
                assert 12 < index < 42
                checked += 1
    assert checked > 20


def test_filtration_follows_from_creatinine(records: list[Record]) -> None:
    affected = [record for record in records if _has(record, "433144002")]
    for record in affected:
        rates = [float(each["valueQuantity"]["value"]) for each in _observed(record, "98979-8")]
        assert all(30 <= rate < 60 for rate in rates)
        assert rates[0] > rates[-1]


@pytest.mark.parametrize(
    ("creatinine", "age", "sex", "rate"),
    # From the National Kidney Foundation's table of the CKD-EPI 2021 equation.
    [(1.0, 50, "male", 92), (1.0, 50, "female", 69), (2.0, 70, "male", 35), (0.5, 30, "female", 129)],
)
def test_filtration_agrees_with_published_values(creatinine: float, age: int, sex: str, rate: int) -> None:
    assert filtration(creatinine, age, sex) == pytest.approx(rate, abs=1)


def test_creatinine_is_the_inverse_of_filtration() -> None:
    for sex in ("female", "male"):
        assert filtration(creatinine_for(48, 70, sex), 70, sex) == pytest.approx(48)


def test_claims_add_up_and_name_the_crash(records: list[Record]) -> None:
    crashes = 0
    for record in records:
        for claim in (*_of(record, "Claim"), *_of(record, "ExplanationOfBenefit")):
            prices = sum(item["net"]["value"] for item in claim["item"])
            total = claim["total"] if claim["resourceType"] == "Claim" else claim["total"][0]["amount"]
            assert total["value"] == prices
            if "accident" in claim:
                assert "auto-coverage" in claim["insurance"][0]["coverage"]["reference"]
                assert claim["accident"]["date"] <= claim["billablePeriod"]["start"]
                crashes += 1
    assert crashes >= 8


def test_the_dead_have_no_appointments_and_nothing_active(records: list[Record]) -> None:
    dead = [record for record in records if "deceasedDateTime" in record[0]]
    assert dead
    for record in dead:
        assert not record[0]["active"]
        assert not [each for each in _of(record, "Appointment") if each["status"] == "booked"]
        for resource in record:
            if resource["resourceType"] in ("MedicationRequest", "CarePlan", "Coverage", "CareTeam", "Device", "Goal"):
                assert resource["status" if "status" in resource else "lifecycleStatus"] != "active", resource["id"]


def _day(moment: str) -> date:
    """The day of a time, or the first day of a year or a month."""
    return date.fromisoformat(f"{moment}-01-01"[:10])


def _time(moment: str) -> datetime:
    return datetime.fromisoformat(moment)


def _dates(value: Any, name: str = "") -> Iterator[str]:
    """Every full date or time below an element, but for those that speak of the time to come."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key not in _PLANNED:
                yield from _dates(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from _dates(each, name)
    elif isinstance(value, str) and len(value) >= 10 and value[4:5] == value[7:8] == "-" and value[:4].isdigit():
        yield value


def _of(record: Record, resource_type: str) -> Record:
    return [each for each in record if each["resourceType"] == resource_type]


def _observed(record: Record, code: str) -> Record:
    """The observations with a LOINC code, oldest first."""
    found = [each for each in _of(record, "Observation") if each["code"]["coding"][0]["code"] == code]
    return sorted(found, key=lambda each: _time(each["effectiveDateTime"]))


def _has(record: Record, code: str) -> bool:
    return any(
        coding["code"] == code
        for each in (*_of(record, "Condition"), *_of(record, "AllergyIntolerance"))
        for coding in each["code"]["coding"]
    )


def _age(record: Record) -> int:
    end = _day(record[0].get("deceasedDateTime", TODAY.isoformat()))
    return (end - _day(record[0]["birthDate"])).days // 365
