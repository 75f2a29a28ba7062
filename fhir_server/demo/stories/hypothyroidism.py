"""A slow thyroid: TSH comes down to normal on levothyroxine. https://hl7.org/fhir/R4/observation.html"""

from __future__ import annotations

from datetime import timedelta

from fhir_server.demo.chart import Chart
from fhir_server.demo.codes import labs, loinc, problems, rxnorm, snomed
from fhir_server.demo.datatypes import quantity
from fhir_server.demo.families.billing import bill
from fhir_server.demo.families.conditions import diagnose
from fhir_server.demo.families.laboratory import laboratory_report
from fhir_server.demo.families.medications import prescribe, taken_at_home
from fhir_server.demo.families.planning import care_plan, goal
from fhir_server.demo.families.visits import Visit, office_visit
from fhir_server.demo.stories import Story
from fhir_server.demo.stories.routine import LABORATORY_FEE, OFFICE_VISIT, examine, seasonal_vaccines

_TSH = (11.8, 6.9, 4.1, 2.6, 2.2)
_FREE_T4 = (0.68, 0.85, 1.05, 1.21, 1.25)


def tell(chart: Chart) -> list[Visit]:
    """Five visits, eight weeks apart."""
    days = chart.visit_days(5, 56)
    visits = [
        office_visit(chart, day, snomed.FOLLOW_UP if number else snomed.SYMPTOM_VISIT, reason="Tired, always cold")
        for number, day in enumerate(days)
    ]
    condition = diagnose(visits[0], problems.HYPOTHYROIDISM, onset=days[0] - timedelta(days=120))
    for number, (visit, tsh, free) in enumerate(zip(visits, _TSH, _FREE_T4, strict=True)):
        if number:
            visit.treats(condition, problems.HYPOTHYROIDISM)
        examine(visit, gained=-0.8 * number)
        results = {labs.TSH: chart.about(tsh, tsh / 20), labs.FREE_T4: chart.about(free, 0.03)}
        laboratory_report(visit, labs.THYROID, results)
        if number % 2 == 0:
            bill(visit, [OFFICE_VISIT, LABORATORY_FEE])
    prescribe(visits[0], rxnorm.LEVOTHYROXINE, reason=condition)
    taken_at_home(visits[-1], rxnorm.LEVOTHYROXINE, reason=condition)
    within = {"detailRange": {"low": quantity(0.4, "m[IU]/L", 2), "high": quantity(4.5, "m[IU]/L", 2)}}
    target = goal(
        visits[0], "tsh-goal", "TSH in the normal range", loinc.TSH, within, addresses=condition, achieved=True
    )
    care_plan(
        visits[0],
        "thyroid-plan",
        "Thyroid replacement",
        snomed.CARE_PLAN,
        [snomed.BLOOD_TEST],
        goals=[target],
        addresses=condition,
    )
    seasonal_vaccines(visits)
    return visits


STORY = Story(tell, ages=(28, 72))
