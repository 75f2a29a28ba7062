"""Laws that a believable record keeps: sex, age, values, drugs, money. https://hl7.org/fhir/R4/clinicalsummary-module.html"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from fhir_server.demo.codes import cvx, rxnorm
from fhir_server.demo.stories.kidney_disease import creatinine_for, filtration
from tests.unit.demo.reading import Record, age_of, day_of, has, observed, of_type


def test_only_women_of_an_age_are_pregnant(records: list[Record]) -> None:
    pregnant = [record for record in records if has(record, "72892002")]
    assert pregnant
    for record in pregnant:
        assert record[0]["gender"] == "female"
        assert 15 <= age_of(record) <= 48
        codes = {each["code"]["coding"][0]["code"] for each in of_type(record, "Observation")}
        assert {"11778-8", "8665-2"} <= codes
        last, due = (day_of(observed(record, code)[0]["valueDateTime"]) for code in ("8665-2", "11778-8"))
        assert due - last == timedelta(days=280)


@pytest.mark.parametrize(
    ("problem", "youngest", "oldest"),
    [("44054006", 35, 90), ("13645005", 45, 90), ("433144002", 45, 95), ("239873007", 45, 90), ("65363002", 1, 8)],
)
def test_illnesses_come_at_their_ages(records: list[Record], problem: str, youngest: int, oldest: int) -> None:
    affected = [record for record in records if has(record, problem)]
    assert affected
    assert all(youngest <= age_of(record) <= oldest for record in affected)


def test_vaccines_are_given_at_their_age_in_the_order_of_their_doses(records: list[Record]) -> None:
    due = {(vaccine.code, dose): months for months, doses in cvx.CHILDHOOD.items() for vaccine, dose in doses}
    given = 0
    for record in (each for each in records if age_of(each) < 6):
        born = day_of(record[0]["birthDate"])
        before: dict[str, tuple[int, date]] = {}
        for each in of_type(record, "Immunization"):
            code = each["vaccineCode"]["coding"][0]["code"]
            dose = each["protocolApplied"][0]["doseNumberPositiveInt"]
            day = day_of(each["occurrenceDateTime"])
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
        conditions = {
            f"Condition/{each['id']}": each["code"]["coding"][0]["code"] for each in of_type(record, "Condition")
        }
        for request in of_type(record, "MedicationRequest"):
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
            assert not (has(record, problem) and drugs & bad), (record[0]["id"], problem)


def test_treated_diabetes_gets_better(records: list[Record]) -> None:
    affected = [record for record in records if has(record, "44054006")]
    for record in affected:
        series = [each["valueQuantity"]["value"] for each in observed(record, "4548-4")]
        assert len(series) >= 4
        assert series[0] > series[-1] >= 6
        assert all(each["interpretation"][0]["coding"][0]["code"] == "H" for each in observed(record, "4548-4")[:1])


def test_interpretations_follow_from_reference_ranges(records: list[Record]) -> None:
    for record in records:
        for each in (each for each in of_type(record, "Observation") if "specimen" in each):
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
            for each in observed(record, code):
                by_visit.setdefault(each["encounter"]["reference"], {})[code] = float(each["valueQuantity"]["value"])
        for values in by_visit.values():
            if "39156-5" in values:
                index = values["29463-7"] / (values["8302-2"] / 100) ** 2
                assert index == pytest.approx(values["39156-5"], abs=0.06)
                assert 12 < index < 42
                checked += 1
    assert checked > 20


def test_weight_changes_slowly(records: list[Record]) -> None:
    """An adult's weight moves by no more than 0.12 kg a day, on top of a kilogram between two scales."""
    for record in (each for each in records if age_of(each) >= 18):
        series = observed(record, "29463-7")
        weights = [(day_of(each["effectiveDateTime"]), each["valueQuantity"]["value"]) for each in series]
        for (day, weight), (next_day, next_weight) in pairwise(weights):
            assert abs(next_weight - weight) <= Decimal("1.5") + Decimal("0.15") * (next_day - day).days, record[0][
                "id"
            ]


def test_filtration_follows_from_creatinine(records: list[Record]) -> None:
    affected = [record for record in records if has(record, "433144002")]
    for record in affected:
        rates = [float(each["valueQuantity"]["value"]) for each in observed(record, "98979-8")]
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
        for claim in (*of_type(record, "Claim"), *of_type(record, "ExplanationOfBenefit")):
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
        assert not [each for each in of_type(record, "Appointment") if each["status"] == "booked"]
        for resource in record:
            if resource["resourceType"] in ("MedicationRequest", "CarePlan", "Coverage", "CareTeam", "Device", "Goal"):
                assert resource["status" if "status" in resource else "lifecycleStatus"] != "active", resource["id"]
