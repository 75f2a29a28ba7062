"""COPD in someone who smoked: spirometry, inhalers, an exacerbation in hospital. https://hl7.org/fhir/R4/encounter.html"""

from __future__ import annotations

from datetime import date, timedelta

from fhir_server.demo.chart import Chart
from fhir_server.demo.codes import hl7, labs, loinc, problems, rxnorm, snomed
from fhir_server.demo.datatypes import Element, quantity
from fhir_server.demo.families import observations
from fhir_server.demo.families.billing import bill
from fhir_server.demo.families.conditions import diagnose
from fhir_server.demo.families.documents import note
from fhir_server.demo.families.laboratory import laboratory_report
from fhir_server.demo.families.medications import give, prescribe, taken_at_home
from fhir_server.demo.families.planning import care_plan, imaging_report, order, procedure
from fhir_server.demo.families.visits import Visit, admission, office_visit
from fhir_server.demo.stories import Story
from fhir_server.demo.stories.routine import OFFICE_VISIT, examine, seasonal_vaccines


def tell(chart: Chart) -> list[Visit]:
    """Five visits over a year and a half, with a week in hospital between the third and the fourth."""
    days = chart.visit_days(5, 120)
    visits = [
        office_visit(chart, day, snomed.FOLLOW_UP, by="pulmonology", reason="Short of breath on stairs") for day in days
    ]
    condition = diagnose(visits[0], problems.COPD, onset=days[0] - timedelta(days=900))
    for number, visit in enumerate(visits):
        if number:
            visit.treats(condition, problems.COPD)
        examine(visit, gained=-0.5 * number)
        if number:
            observations.breathing(visit, chart.about(19, 2), chart.about(93, 1))
        if number % 2 == 0:
            _spirometry(visit, condition, number)
            bill(visit, [OFFICE_VISIT, (snomed.SPIROMETRY, "98.00")])
    prescribe(visits[0], rxnorm.FLUTICASONE_SALMETEROL, reason=condition, refills=5)
    prescribe(visits[0], rxnorm.ALBUTEROL, reason=condition)
    taken_at_home(visits[-1], rxnorm.FLUTICASONE_SALMETEROL, reason=condition)
    care_plan(
        visits[0],
        "lung-plan",
        "Lung care",
        snomed.COPD_PLAN,
        [snomed.PULMONARY_REHABILITATION, snomed.SMOKING_CESSATION],
        addresses=condition,
    )
    stay = _exacerbation(chart, days[2] + timedelta(days=40), condition)
    seasonal_vaccines(visits)
    return [*visits[:3], stay, *visits[3:]]


def _spirometry(visit: Visit, condition: Element, number: int) -> None:
    volume = visit.chart.about(1.55 - 0.05 * number, 0.05)
    procedure(visit, "spirometry", snomed.SPIROMETRY, reason=condition)
    for label, code, value in (
        ("fev1", loinc.FEV1, quantity(volume, "L", 2)),
        ("fev1-fvc", loinc.FEV1_FVC, quantity(visit.chart.about(57, 3), "%")),
    ):
        observations.observe(visit, label, code, hl7.EXAM, valueQuantity=value, minutes=15)


def _exacerbation(chart: Chart, day: date, condition: Element) -> Visit:
    stay = admission(
        chart, chart.at(day, 6, 50), 6, snomed.HOSPITAL_ADMISSION, by="pulmonology", reason="COPD exacerbation"
    )
    stay.treats(condition, problems.COPD)
    observations.breathing(stay, chart.about(28, 2), chart.about(87, 1))
    observations.pulse(stay, chart.about(108, 5))
    observations.temperature(stay, chart.about(37.8, 0.3))
    counts = {
        labs.LEUKOCYTES: chart.about(13.2, 0.9),
        labs.HEMOGLOBIN: chart.about(14.1, 0.6),
        labs.PLATELETS: chart.about(268, 30),
    }
    laboratory_report(stay, labs.BLOOD_COUNT, counts)
    film = order(stay, "chest-order", snomed.CHEST_XRAY, to="pulmonology", reason=condition)
    imaging_report(stay, "chest-film", snomed.CHEST_XRAY, "Flat diaphragms, no infiltrate.", based_on=film)
    for hours in (1, 25, 49):
        give(stay, rxnorm.PREDNISONE, minutes=60 * hours, reason=condition)
    bill(stay, [(snomed.HOSPITAL_ADMISSION, "9850.00")], kind=hl7.INSTITUTIONAL_CLAIM, response=True)
    note(
        stay,
        "discharge-summary",
        loinc.DISCHARGE_SUMMARY,
        "Discharge summary",
        "Admitted with an exacerbation of COPD. Prednisone for five days, bronchodilators, oxygen at first. "
        "Better from the third day on. Home with the usual inhalers; lung clinic in six weeks.\n",
    )
    return stay


STORY = Story(tell, ages=(58, 84))
