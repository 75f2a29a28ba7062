"""High blood pressure, found at a check-up and brought down step by step. https://hl7.org/fhir/R4/bp.html"""

from __future__ import annotations

from fhir_server.demo.chart import Chart
from fhir_server.demo.codes import labs, loinc, problems, rxnorm, snomed
from fhir_server.demo.families.billing import bill
from fhir_server.demo.families.conditions import diagnose
from fhir_server.demo.families.laboratory import laboratory_report
from fhir_server.demo.families.medications import prescribe, taken_at_home
from fhir_server.demo.families.planning import below, care_plan, goal
from fhir_server.demo.families.visits import Visit, office_visit
from fhir_server.demo.stories import Story
from fhir_server.demo.stories.routine import LABORATORY_FEE, OFFICE_VISIT, examine, seasonal_vaccines


def tell(chart: Chart) -> list[Visit]:
    """Six visits in two years, two beside another illness: lisinopril, then amlodipine where it was not enough."""
    alone = len(chart.person.stories) == 1
    days = chart.visit_days(6, 120) if alone else chart.visit_days(2, 300, last=26)
    visits = [
        office_visit(chart, day, snomed.FOLLOW_UP if number else snomed.CHECK_UP, reason="Blood pressure check")
        for number, day in enumerate(days)
    ]
    condition = diagnose(visits[0], problems.HYPERTENSION)
    for number, visit in enumerate(visits):
        if number:
            visit.treats(condition, problems.HYPERTENSION)
        examine(visit, fully=alone and number % 2 == 0)
        if number % 2 == 0:
            laboratory_report(visit, labs.METABOLIC, _electrolytes(chart))
            bill(visit, [OFFICE_VISIT, LABORATORY_FEE])
    prescribe(visits[0], rxnorm.LISINOPRIL, reason=condition)
    taken_at_home(visits[-1], rxnorm.LISINOPRIL, reason=condition)
    if alone:
        prescribe(visits[1], rxnorm.AMLODIPINE, reason=condition)
        seasonal_vaccines(visits)
    target = goal(
        visits[0],
        "pressure-goal",
        "Systolic blood pressure below 130 mmHg",
        loinc.SYSTOLIC,
        below(129, "mm[Hg]"),
        addresses=condition,
    )
    care_plan(
        visits[0],
        "pressure-plan",
        "Living with high blood pressure",
        snomed.HYPERTENSION_EDUCATION,
        [snomed.DASH_DIET, snomed.EXERCISE_THERAPY],
        goals=[target],
        addresses=condition,
    )
    return visits


def _electrolytes(chart: Chart) -> dict[labs.LabTest, float]:
    """Kidney function is told by the kidney story where there is one, so only salts are measured then."""
    salts = {labs.SODIUM: chart.about(140, 2), labs.POTASSIUM: chart.about(4.3, 0.3)}
    if "kidney_disease" in chart.person.stories:
        return salts
    return salts | {labs.CREATININE: chart.about(0.92, 0.12), labs.UREA_NITROGEN: chart.about(14, 3)}


STORY = Story(tell, ages=(38, 82))
