"""Pregnancy: prenatal visits on schedule, and the birth once its day has come. https://hl7.org/fhir/R4/encounter.html"""

from __future__ import annotations

from datetime import date, timedelta

from fhir_server.demo.chart import Chart
from fhir_server.demo.codes import cvx, hl7, labs, loinc, problems, rxnorm, snomed
from fhir_server.demo.datatypes import Element, quantity
from fhir_server.demo.families import observations
from fhir_server.demo.families.billing import bill
from fhir_server.demo.families.conditions import diagnose
from fhir_server.demo.families.immunizations import vaccinate
from fhir_server.demo.families.laboratory import laboratory_report
from fhir_server.demo.families.medications import prescribe, taken_at_home
from fhir_server.demo.families.planning import care_plan, order, procedure
from fhir_server.demo.families.visits import Visit, admission, office_visit
from fhir_server.demo.stories import Story
from fhir_server.demo.stories.routine import LABORATORY_FEE, OFFICE_VISIT, examine

TERM = timedelta(days=280)
"""From the last menstrual period to the estimated day of delivery (Naegele's rule)."""

_WEEKS = (8, 12, 16, 20, 24, 28, 32, 36)
"""Prenatal visits by completed weeks of gestation."""


def tell(chart: Chart) -> list[Visit]:
    """A pregnancy of 26 to 52 weeks ago: under way, or ended in a birth at 39 weeks and a visit six weeks later."""
    last_period = chart.today - timedelta(weeks=chart.rng.randint(26, 52))
    delivery = last_period + timedelta(weeks=39, days=chart.rng.randint(0, 6))
    ended = delivery if delivery + timedelta(days=5) < chart.today else None
    visits: list[Visit] = []
    condition: Element = {}
    for weeks in _WEEKS:
        day = chart.weekday(last_period + timedelta(weeks=weeks, days=3))
        if day >= chart.today - timedelta(days=3):
            break
        kind = snomed.PRENATAL_VISIT if visits else snomed.PRENATAL_INITIAL
        visit = office_visit(chart, day, kind, by="obstetrics", reason=f"Prenatal visit, week {weeks}")
        if not visits:
            condition = diagnose(visit, problems.PREGNANCY, onset=last_period, resolved=ended)
            _booking(visit, condition, last_period, ended)
        else:
            visit.treats(condition, problems.PREGNANCY)
        _examine(visit, weeks)
        visits.append(visit)
    if ended:
        visits += _birth(chart, ended, condition)
    return visits


def _booking(visit: Visit, condition: Element, last_period: date, ended: date | None) -> None:
    chart = visit.chart
    observations.dated(visit, "last-period", loinc.LAST_MENSTRUAL_PERIOD, last_period)
    observations.dated(visit, "delivery-date", loinc.DELIVERY_DATE_ESTIMATED, last_period + TERM)
    counts = {
        labs.HEMOGLOBIN: chart.about(12.4, 0.6),
        labs.HEMATOCRIT: chart.about(37.2, 1.0),
        labs.LEUKOCYTES: chart.about(8.1, 1.2),
        labs.PLATELETS: chart.about(245, 40),
    }
    laboratory_report(visit, labs.BLOOD_COUNT, counts)
    taken_at_home(visit, rxnorm.FERROUS_SULFATE, reason=condition)
    care_plan(
        visit,
        "antenatal-plan",
        "Antenatal care",
        snomed.ANTENATAL_CARE,
        [snomed.ANTENATAL_EDUCATION, snomed.EXERCISE_THERAPY],
        addresses=condition,
        ended=ended,
    )
    bill(visit, [OFFICE_VISIT, LABORATORY_FEE])


def _examine(visit: Visit, weeks: int) -> None:
    chart = visit.chart
    examine(visit, gained=max(0.0, 0.45 * (weeks - 12)))
    if weeks >= 12:
        rate = quantity(chart.about(145, 9), "/min")
        observations.observe(visit, "fetal-heart-rate", loinc.FETAL_HEART_RATE, hl7.EXAM, valueQuantity=rate)
    if weeks >= 20:
        # From 20 weeks on the fundal height in centimeters is about the week.
        height = quantity(chart.about(weeks, 1), "cm")
        observations.observe(visit, "fundal-height", loinc.FUNDAL_HEIGHT, hl7.EXAM, valueQuantity=height)
    if weeks in (12, 20):
        asked = order(visit, "ultrasound-order", snomed.FETAL_ULTRASOUND, to="obstetrics")
        procedure(visit, "ultrasound", snomed.FETAL_ULTRASOUND, based_on=asked)
    if weeks == 24:
        laboratory_report(visit, labs.GLUCOSE_SCREEN, {labs.GLUCOSE_CHALLENGE: chart.about(112, 18)})
    if weeks == 28:
        vaccinate(visit, cvx.TDAP)
        prescribe(visit, rxnorm.FERROUS_SULFATE, refills=1, lasting=False)
    if weeks in (20, 28, 36):
        bill(visit, [OFFICE_VISIT])


def _birth(chart: Chart, day: date, condition: Element) -> list[Visit]:
    stay = admission(chart, chart.at(day, 5, 40), 2, snomed.HOSPITAL_ADMISSION, by="obstetrics", reason="Labor")
    stay.treats(condition, problems.PREGNANCY)
    observations.blood_pressure(stay, chart.about(124, 6), chart.about(76, 4))
    observations.pulse(stay, chart.about(92, 6))
    procedure(stay, "childbirth", snomed.CHILDBIRTH, minutes=(300, 540), reason=condition)
    bill(stay, [(snomed.CHILDBIRTH, "6480.00")], kind=hl7.INSTITUTIONAL_CLAIM, response=True)
    after = chart.weekday(day + timedelta(days=42))
    if after >= chart.today - timedelta(days=3):
        return [stay]
    visit = office_visit(chart, after, snomed.POSTNATAL_VISIT, by="obstetrics", reason="Six weeks after the birth")
    examine(visit, gained=4.0)
    bill(visit, [OFFICE_VISIT])
    return [stay, visit]


STORY = Story(tell, ages=(21, 40), sexes=("female",))
