"""Osteoarthritis of the knee: pain, X-ray, referral to orthopedics, physiotherapy. https://hl7.org/fhir/R4/servicerequest.html"""

from __future__ import annotations

from datetime import timedelta

from fhir_server.demo.chart import Chart
from fhir_server.demo.codes import loinc, problems, rxnorm, snomed
from fhir_server.demo.datatypes import Element, quantity
from fhir_server.demo.families import observations
from fhir_server.demo.families.billing import bill
from fhir_server.demo.families.conditions import diagnose
from fhir_server.demo.families.documents import note
from fhir_server.demo.families.medications import prescribe, taken_at_home
from fhir_server.demo.families.planning import care_plan, goal, imaging_report, order, procedure
from fhir_server.demo.families.visits import Visit, office_visit
from fhir_server.demo.stories import Story
from fhir_server.demo.stories.routine import OFFICE_VISIT, examine, seasonal_vaccines


def tell(chart: Chart) -> list[Visit]:
    """Six visits: the general practitioner, orthopedics at the third, physiotherapy after it."""
    days = chart.visit_days(6, 45)
    visits = [
        office_visit(chart, day, snomed.FOLLOW_UP if number else snomed.SYMPTOM_VISIT, by=by, reason="Pain in the knee")
        for number, (day, by) in enumerate(
            zip(
                days,
                ("primary", "primary", "orthopedics", "physiotherapy", "physiotherapy", "primary"),
                strict=True,
            )
        )
    ]
    condition = diagnose(
        visits[0],
        problems.KNEE_OSTEOARTHRITIS,
        onset=days[0] - timedelta(days=500),
        body_site=snomed.RIGHT_KNEE,
    )
    for number, visit in enumerate(visits):
        if number:
            visit.treats(condition, problems.KNEE_OSTEOARTHRITIS)
        examine(visit, fully=number == 3, gained=-0.6 * number)
        observations.pain(visit, 7 - number)
        if number % 2 == 0:
            bill(visit, [OFFICE_VISIT])
    _orthopedics(visits, condition)
    _therapy(visits, condition)
    seasonal_vaccines(visits)
    return visits


def _orthopedics(visits: list[Visit], condition: Element) -> None:
    order(
        visits[1],
        "orthopedic-referral",
        snomed.ORTHOPEDIC_REFERRAL,
        to="orthopedics",
        reason=condition,
        note="Pain on stairs in spite of naproxen; please advise on further treatment.",
    )
    note(
        visits[1],
        "referral-letter",
        loinc.REFERRAL_NOTE,
        "Referral to orthopedics",
        "Thank you for seeing this patient with osteoarthritis of the right knee. Pain for more than a year, worse on "
        "stairs, little relief by naproxen. Question: injection, or physiotherapy first?\n",
    )
    film = order(visits[2], "knee-order", snomed.KNEE_XRAY, to="orthopedics", reason=condition)
    procedure(visits[2], "knee-film", snomed.KNEE_XRAY, reason=condition, body_site=snomed.RIGHT_KNEE, based_on=film)
    reading = "Medial joint space narrowed, small osteophytes: moderate osteoarthritis of the right knee."
    imaging_report(visits[2], "knee-report", snomed.KNEE_XRAY, reading, based_on=film)


def _therapy(visits: list[Visit], condition: Element) -> None:
    prescribe(visits[0], rxnorm.NAPROXEN, reason=condition, lasting=False)
    prescribe(visits[2], rxnorm.ACETAMINOPHEN, reason=condition, lasting=False)
    taken_at_home(visits[5], rxnorm.ACETAMINOPHEN, reason=condition)
    target = goal(
        visits[2],
        "pain-goal",
        "Pain of 3 or less on stairs",
        loinc.PAIN_SEVERITY,
        {"detailQuantity": quantity(3, "{score}") | {"comparator": "<="}},
        addresses=condition,
        achieved=True,
    )
    care_plan(
        visits[2],
        "knee-plan",
        "Knee program",
        snomed.MUSCULOSKELETAL_CARE,
        [snomed.PHYSICAL_THERAPY, snomed.EXERCISE_THERAPY],
        goals=[target],
        addresses=condition,
    )
    for visit in visits[3:5]:
        procedure(visit, "therapy", snomed.PHYSICAL_THERAPY, reason=condition)


STORY = Story(tell, ages=(52, 83))
