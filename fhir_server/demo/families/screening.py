"""The mood questionnaire, in our own words, and answers to it. https://hl7.org/fhir/R4/questionnaire.html"""

from __future__ import annotations

from fhir_server.demo.clinic import Clinic
from fhir_server.demo.codes import Code, hl7, snomed
from fhir_server.demo.datatypes import Element, quantity
from fhir_server.demo.families.observations import observe
from fhir_server.demo.families.visits import Visit

ANSWERS = ("Never", "Some days", "Most days", "Every day")
"""Choices worth 0 to 3 points."""

_ITEMS = (
    ("enjoyment", "In the last two weeks, how often did things you usually like give you no joy?"),
    ("sadness", "How often did you feel sad or without hope?"),
    ("sleep", "How often did you sleep badly, or far too long?"),
    ("energy", "How often were you worn out?"),
    ("appetite", "How often did you have no appetite, or eat much more than usual?"),
    ("self-worth", "How often did you think badly of yourself?"),
    ("attention", "How often was it hard to keep your mind on reading or on a film?"),
    ("pace", "How often were you slowed down, or too restless to sit still?"),
)
LARGEST_SCORE = 3 * len(_ITEMS)


def questionnaire(clinic: Clinic, day: str) -> Element:
    """The clinic's mood Questionnaire: eight questions of 0 to 3 points."""
    return {
        "resourceType": "Questionnaire",
        "id": "mood-check",
        "url": _url(clinic),
        "name": "MoodCheck",
        "title": "Mood check, two weeks",
        "status": "active",
        "subjectType": ["Patient"],
        "date": day,
        "publisher": clinic.name,
        "description": "Eight questions about the last two weeks; each answer counts 0 to 3 points, 24 at the most.",
        "item": [
            {
                "linkId": link,
                "text": text,
                "type": "choice",
                "required": True,
                "answerOption": [{"valueCoding": _answer(clinic, points).coding()} for points in range(len(ANSWERS))],
            }
            for link, text in _ITEMS
        ],
    }


def answer(visit: Visit, score: int) -> Element:
    """A QuestionnaireResponse whose answers add up to `score` (0 to 24), and the score as an Observation."""
    chart = visit.chart
    points = [score // len(_ITEMS) + (number < score % len(_ITEMS)) for number in range(len(_ITEMS))]
    chart.rng.shuffle(points)
    response = visit.add(
        "QuestionnaireResponse",
        "mood-check",
        questionnaire=_url(chart.clinic),
        status="completed",
        authored=visit.moment(3),
        author=chart.subject,
        source=chart.subject,
        item=[
            {"linkId": link, "text": text, "answer": [{"valueCoding": _answer(chart.clinic, each).coding()}]}
            for (link, text), each in zip(_ITEMS, points, strict=True)
        ],
    )
    observe(
        visit,
        "mood-score",
        Code(f"{chart.clinic.site}/CodeSystem/scores", "mood-check", "Mood check total score"),
        hl7.SURVEY,
        snomed.DEPRESSION_SCREENING,
        derivedFrom=[response],
        valueQuantity=quantity(score, "{score}"),
        referenceRange=[{"high": quantity(LARGEST_SCORE // 4, "{score}"), "text": "6 or less: no sign of depression"}],
    )
    return response


def _answer(clinic: Clinic, points: int) -> Code:
    return Code(f"{clinic.site}/CodeSystem/mood-answers", str(points), ANSWERS[points])


def _url(clinic: Clinic) -> str:
    return f"{clinic.site}/Questionnaire/mood-check"
