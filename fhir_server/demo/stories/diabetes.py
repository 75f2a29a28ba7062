"""Type 2 diabetes: HbA1c comes down on metformin. https://hl7.org/fhir/R4/observation-example-f001-glucose.html"""

from __future__ import annotations

from datetime import timedelta

from fhir_server.demo.chart import Chart
from fhir_server.demo.codes import labs, loinc, problems, rxnorm, snomed
from fhir_server.demo.families.billing import bill
from fhir_server.demo.families.conditions import diagnose
from fhir_server.demo.families.laboratory import laboratory_report
from fhir_server.demo.families.medications import prescribe, taken_at_home
from fhir_server.demo.families.planning import below, care_plan, device, goal
from fhir_server.demo.families.visits import Visit, office_visit
from fhir_server.demo.stories import Story
from fhir_server.demo.stories.routine import LABORATORY_FEE, OFFICE_VISIT, examine, lipids, seasonal_vaccines


def tell(chart: Chart) -> list[Visit]:
    """Five quarterly visits: diagnosis, metformin and a plan; HbA1c falls from about 9 to about 7 percent."""
    days = chart.visit_days(5, 112)
    first, *later = days
    start = chart.about(8.9, 0.6)
    visits = [office_visit(chart, first, snomed.PROBLEM_VISIT, reason="Thirst and tiredness for two months")]
    condition = diagnose(visits[0], problems.DIABETES, onset=first - timedelta(days=60))
    hyperlipidemia = diagnose(visits[0], problems.HYPERLIPIDEMIA)
    visits += [office_visit(chart, day, snomed.FOLLOW_UP, reason="Diabetes follow-up") for day in later]
    for number, visit in enumerate(visits):
        if number:
            visit.treats(condition, problems.DIABETES)
        examine(visit, gained=-0.9 * number)
        percent = max(6.6, start - 0.55 * number + chart.about(0, 0.12))
        # Estimated average glucose = 28.7 x HbA1c - 46.7 mg/dL (ADAG study, https://doi.org/10.2337/dc08-0545).
        glucose = chart.about(28.7 * percent - 46.7, 10)
        laboratory_report(visit, labs.DIABETES_MONITORING, {labs.HBA1C: percent, labs.GLUCOSE: glucose})
        if number in (0, len(visits) - 1):
            bill(visit, [OFFICE_VISIT, LABORATORY_FEE], response=number == 0)
    _yearly_checks(chart, visits[0], treated=False)
    _yearly_checks(chart, visits[-1], treated=True)
    _treat(visits[0], condition, hyperlipidemia)
    device(chart, "glucose-meter", snomed.GLUCOSE_METER, "Glucose meter at home", "Brightwater Devices")
    seasonal_vaccines(visits)
    return visits


def _yearly_checks(chart: Chart, visit: Visit, *, treated: bool) -> None:
    low = chart.about(96, 6) if treated else chart.about(151, 8)
    triglycerides = chart.about(165, 12) if treated else chart.about(205, 15)
    laboratory_report(visit, labs.LIPIDS, lipids(low, chart.about(42, 3), triglycerides))
    if treated:
        laboratory_report(visit, labs.URINE_ALBUMIN, {labs.ALBUMIN_CREATININE: chart.about(17, 8)})


def _treat(visit: Visit, diabetes: dict[str, str], hyperlipidemia: dict[str, str]) -> None:
    prescribe(visit, rxnorm.METFORMIN, reason=diabetes)
    prescribe(visit, rxnorm.SIMVASTATIN, reason=hyperlipidemia)
    taken_at_home(visit, rxnorm.METFORMIN, reason=diabetes)
    target = goal(visit, "hba1c-goal", "HbA1c at 7.0 % or less", loinc.HBA1C, below(7.0, "%", 1), addresses=diabetes)
    care_plan(
        visit,
        "diabetes-plan",
        "Diabetes self-management",
        snomed.DIABETES_PLAN,
        [snomed.DIABETIC_DIET, snomed.EXERCISE_THERAPY],
        goals=[target],
        addresses=diabetes,
    )


STORY = Story(tell, ages=(40, 76))
