"""What every adult visit has in common: vital signs that fit the person, and the vaccines of the season.
https://hl7.org/fhir/R4/observation-vitalsigns.html"""

from __future__ import annotations

from datetime import date

from fhir_server.demo.chart import Chart
from fhir_server.demo.codes import cvx, labs, snomed
from fhir_server.demo.families import observations
from fhir_server.demo.families.immunizations import vaccinate
from fhir_server.demo.families.visits import Visit

OFFICE_VISIT = (snomed.FOLLOW_UP, "145.00")
LABORATORY_FEE = (snomed.BLOOD_TEST, "62.50")


def examine(visit: Visit, *, gained: float | None = None, fully: bool = False) -> None:
    """Blood pressure, weight and pulse of an adult; `fully` adds height, temperature and breathing.

    `gained` is the weight in kilograms that the story has added since its start; without it the weight is about that of
    the visit nearest in time, so that two stories of one person agree.
    """
    chart = visit.chart
    first = not chart.weights
    if first:
        _build(chart, visit.day)
    if gained is None:
        _, weight = min(chart.weights, key=lambda known: abs(known[0] - visit.day))
    else:
        weight = chart.weights[0][1] + gained
    weight = chart.about(weight, 0.4)
    chart.weights.append((visit.day, weight))
    systolic, diastolic = usual_pressure(chart, visit.day)
    observations.blood_pressure(visit, systolic, diastolic)
    observations.body_size(visit, weight, chart.height_cm if first or fully else None)
    observations.pulse(visit, chart.about(72, 8))
    if first or fully:
        observations.temperature(visit, chart.about(36.8, 0.3))
        observations.breathing(visit, chart.about(14, 2), chart.about(98, 1))


def usual_pressure(chart: Chart, day: date) -> tuple[float, float]:
    """Systolic and diastolic mmHg: high and falling under treatment in the hypertension story, normal elsewhere."""
    if "hypertension" not in chart.person.stories:
        return chart.about(117, 8), chart.about(74, 5)
    months_before_end = (chart.horizon - day).days / 30
    excess = min(1.0, months_before_end / 24)
    return chart.about(126 + 28 * excess, 4), chart.about(77 + 18 * excess, 3)


def lipids(low: float, high: float, triglycerides: float) -> dict[labs.LabTest, float]:
    """Cholesterol fractions in mg/dL that add up: total = LDL + HDL + triglycerides / 5.

    Source: Friedewald 1972, https://doi.org/10.1093/clinchem/18.6.499
    """
    low, high, triglycerides = round(low), round(high), round(triglycerides)
    return {
        labs.CHOLESTEROL: low + high + triglycerides / 5,
        labs.TRIGLYCERIDES: triglycerides,
        labs.HDL: high,
        labs.LDL: low,
    }


def seasonal_vaccines(visits: list[Visit]) -> None:
    """Influenza vaccine at a visit of each autumn; pneumococcal from 65 on, zoster from 50 on, at the first visits."""
    seasons: set[int] = set()
    for visit in visits:
        if visit.day.month >= 9 and visit.day.year not in seasons:
            seasons.add(visit.day.year)
            vaccinate(visit, cvx.INFLUENZA)
    if not visits:
        return
    age = visits[0].chart.person.age_on(visits[0].day)
    if age >= 65:
        vaccinate(visits[0], cvx.PNEUMOCOCCAL_POLYSACCHARIDE)
    if age >= 50:
        for dose, visit in enumerate(visits[:2], 1):
            vaccinate(visit, cvx.ZOSTER, dose)


def _build(chart: Chart, day: date) -> None:
    """Draw a height and a weight: a body mass index of 22 to 27, of 29 to 34 where the story goes with more."""
    female = chart.person.sex == "female"
    chart.height_cm = round(chart.about(163 if female else 176, 7), 1)
    heavy = {"diabetes", "osteoarthritis", "hypertension"} & set(chart.person.stories)
    index = chart.about(31.5, 2.5) if heavy else chart.about(24.5, 2.5)
    chart.weights.append((day, index * (chart.height_cm / 100) ** 2))
