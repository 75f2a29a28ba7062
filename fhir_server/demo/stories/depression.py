"""Depression: the mood questionnaire falls under therapy and sertraline. https://hl7.org/fhir/R4/questionnaireresponse.html"""

from __future__ import annotations

from datetime import timedelta

from fhir_server.demo.chart import Chart
from fhir_server.demo.codes import Code, labs, problems, rxnorm, snomed
from fhir_server.demo.codes.hl7 import hl7
from fhir_server.demo.datatypes import quantity
from fhir_server.demo.families.billing import bill
from fhir_server.demo.families.conditions import diagnose
from fhir_server.demo.families.documents import message
from fhir_server.demo.families.laboratory import laboratory_report
from fhir_server.demo.families.medications import prescribe, taken_at_home
from fhir_server.demo.families.planning import care_plan, flag, goal, procedure
from fhir_server.demo.families.screening import answer
from fhir_server.demo.families.visits import Visit, office_visit
from fhir_server.demo.stories import Story
from fhir_server.demo.stories.routine import LABORATORY_FEE, OFFICE_VISIT, examine, seasonal_vaccines


def tell(chart: Chart) -> list[Visit]:
    """Seven visits, five weeks apart; the score falls from about 18 to about 5 of 24."""
    days = chart.visit_days(7, 35)
    visits = [
        office_visit(
            chart,
            day,
            snomed.FOLLOW_UP if number else snomed.PROBLEM_VISIT,
            by="psychiatry" if number else "primary",
            reason="Low mood",
        )
        for number, day in enumerate(days)
    ]
    condition = diagnose(visits[0], problems.DEPRESSION, onset=days[0] - timedelta(days=70))
    start = chart.rng.randint(16, 19)
    for number, visit in enumerate(visits):
        if number:
            visit.treats(condition, problems.DEPRESSION)
            procedure(visit, "talking-therapy", snomed.COGNITIVE_THERAPY, reason=condition)
        examine(visit)
        answer(visit, max(3, start - 2 * number))
        if number % 2 == 0:
            bill(visit, [OFFICE_VISIT])
    _thyroid_is_well(visits[0])
    prescribe(visits[0], rxnorm.SERTRALINE, reason=condition, refills=5)
    taken_at_home(visits[-1], rxnorm.SERTRALINE, reason=condition)
    flag(chart, "mood-flag", hl7("flag-category", "behavioral", "Behavioral"), "Ask about mood at each visit", days[0])
    score = Code(f"{chart.clinic.site}/CodeSystem/scores", "mood-check", "Mood check total score")
    target = goal(
        visits[0],
        "mood-goal",
        "A mood check of 6 or less",
        score,
        {"detailRange": {"high": quantity(6, "{score}")}},
        addresses=condition,
    )
    care_plan(
        visits[0],
        "mood-plan",
        "Mood and activity",
        snomed.STRESS_MANAGEMENT,
        [snomed.COGNITIVE_THERAPY, snomed.EXERCISE_THERAPY],
        goals=[target],
        addresses=condition,
    )
    message(
        chart,
        "therapy-message",
        chart.subject,
        chart.staff("psychiatry"),
        visits[-1].start - timedelta(days=3),
        "May I move our next meeting to the morning?",
    )
    seasonal_vaccines(visits)
    return visits


def _thyroid_is_well(visit: Visit) -> None:
    """A slow thyroid looks like depression, so it is ruled out first."""
    laboratory_report(visit, labs.THYROID, {labs.TSH: visit.chart.about(2.1, 0.6), labs.FREE_T4: 1.24})
    bill(visit, [LABORATORY_FEE])


STORY = Story(tell, ages=(19, 62))
