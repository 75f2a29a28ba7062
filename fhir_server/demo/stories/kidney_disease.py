"""Chronic kidney disease, stage 3: creatinine creeps up as filtration falls. https://hl7.org/fhir/R4/observation.html"""

from __future__ import annotations

from datetime import timedelta

from fhir_server.demo.chart import Chart
from fhir_server.demo.codes import labs, loinc, problems, snomed
from fhir_server.demo.codes.hl7 import hl7
from fhir_server.demo.datatypes import quantity
from fhir_server.demo.families.billing import bill
from fhir_server.demo.families.conditions import diagnose
from fhir_server.demo.families.laboratory import laboratory_report
from fhir_server.demo.families.planning import care_plan, flag, goal
from fhir_server.demo.families.visits import Visit, office_visit
from fhir_server.demo.stories import Story
from fhir_server.demo.stories.routine import LABORATORY_FEE, OFFICE_VISIT, examine, seasonal_vaccines


def filtration(creatinine: float, age: int, sex: str) -> float:
    """Estimated glomerular filtration rate in mL/min/1.73 m2 from serum creatinine in mg/dL.

    Source: CKD-EPI 2021, https://doi.org/10.1056/NEJMoa2102953
    """
    female = sex == "female"
    kappa, alpha = (0.7, -0.241) if female else (0.9, -0.302)
    ratio = creatinine / kappa
    rate: float = 142 * min(ratio, 1) ** alpha * max(ratio, 1) ** -1.200 * 0.9938**age
    return rate * 1.012 if female else rate


def creatinine_for(rate: float, age: int, sex: str) -> float:
    """The creatinine in mg/dL (above kappa, as in kidney disease) that gives this filtration rate."""
    female = sex == "female"
    kappa = 0.7 if female else 0.9
    creatinine: float = kappa * (rate / (142 * 0.9938**age * (1.012 if female else 1.0))) ** (-1 / 1.200)
    return creatinine


def tell(chart: Chart) -> list[Visit]:
    """Four visits, five months apart: filtration falls from about 56 to about 48."""
    days = chart.visit_days(4, 150)
    visits = [office_visit(chart, day, snomed.FOLLOW_UP, by="internal", reason="Kidney function") for day in days]
    condition = diagnose(visits[0], problems.CHRONIC_KIDNEY_DISEASE, onset=days[0] - timedelta(days=400))
    rate = chart.about(56, 2)
    for number, visit in enumerate(visits):
        if number:
            visit.treats(condition, problems.CHRONIC_KIDNEY_DISEASE)
        examine(visit)
        age = chart.person.age_on(visit.day)
        creatinine = round(creatinine_for(rate - 2.4 * number, age, chart.person.sex), 2)
        results = {
            labs.CREATININE: creatinine,
            labs.EGFR: filtration(creatinine, age, chart.person.sex),
            labs.UREA_NITROGEN: chart.about(25 + number, 2),
            labs.POTASSIUM: chart.about(4.7, 0.2),
        }
        laboratory_report(visit, labs.METABOLIC, results)
        if number % 2 == 0:
            bill(visit, [OFFICE_VISIT, LABORATORY_FEE])
    laboratory_report(visits[-1], labs.URINE_ALBUMIN, {labs.ALBUMIN_CREATININE: chart.about(88, 25)})
    flag(chart, "kidney-flag", hl7("flag-category", "drug", "Drug"), "Reduced kidney function: no NSAIDs", days[0])
    target = goal(
        visits[0],
        "filtration-goal",
        "Keep the filtration rate above 45",
        loinc.EGFR,
        {"detailRange": {"low": quantity(45, "mL/min/{1.73_m2}")}},
        addresses=condition,
    )
    care_plan(
        visits[0],
        "kidney-plan",
        "Kidney care",
        snomed.CARE_PLAN,
        [snomed.DASH_DIET],
        goals=[target],
        addresses=condition,
    )
    seasonal_vaccines(visits)
    return visits


STORY = Story(tell, ages=(60, 84))
