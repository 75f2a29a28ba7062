"""A whole record: registration, the person's stories, and what is done at the desk. https://hl7.org/fhir/R4/patient.html"""

from __future__ import annotations

from datetime import date, timedelta

from fhir_server.demo.chart import Chart
from fhir_server.demo.clinic import Clinic
from fhir_server.demo.codes import Code, loinc, snomed
from fhir_server.demo.families import documents, scheduling
from fhir_server.demo.families.conditions import usual_allergies
from fhir_server.demo.families.observations import smoking_status
from fhir_server.demo.families.planning import care_team
from fhir_server.demo.families.registration import register
from fhir_server.demo.families.visits import Visit
from fhir_server.demo.person import Person
from fhir_server.demo.stories.registry import STORIES

_SPECIALISTS = {
    "asthma": "pulmonology",
    "copd": "pulmonology",
    "depression": "psychiatry",
    "kidney_disease": "internal",
    "motor_vehicle": "orthopedics",
    "osteoarthritis": "orthopedics",
    "pregnancy": "obstetrics",
}


def write(clinic: Clinic, person: Person, today: date) -> Chart:
    """Everything the clinic knows of the person on that day."""
    chart = Chart(clinic, person, today)
    register(chart)
    usual_allergies(chart)
    visits: list[Visit] = []
    for story in person.stories:
        visits += STORIES[story].tell(chart)
    visits.sort(key=lambda visit: visit.start)
    _people_and_papers(chart, visits[0].day)
    _desk(chart, visits)
    return chart


def _people_and_papers(chart: Chart, since: date) -> None:
    specialist = next((_SPECIALISTS[story] for story in chart.person.stories if story in _SPECIALISTS), None)
    keys = ["primary", "nurse"]
    if specialist and chart.clinic.member(specialist) != chart.primary:
        keys.append(specialist)
    care_team(chart, tuple(keys), since)
    documents.privacy_consent(chart, since)


def _desk(chart: Chart, visits: list[Visit]) -> None:
    last = visits[-1]
    if chart.person.age_on(last.day) >= 13:
        smoking_status(last, _smoking(chart))
    scheduling.kept(last, "Follow-up")
    documents.note(last, "progress-note", loinc.PROGRESS_NOTE, "Progress note", _note(last))
    scheduling.book(chart, "Follow-up")
    documents.message(
        chart,
        "visit-message",
        chart.staff("nurse"),
        chart.subject,
        last.end + timedelta(hours=1),
        "The summary of your visit is in your record. Please call us with any question.",
    )
    if chart.alive:
        documents.task(
            chart,
            "call",
            "Call the patient: how are they, and do they need anything before the next appointment?",
            authored=last.end,
            requester=last.practitioner,
            owner=chart.staff("nurse"),
            focus=last.encounter,
            due=chart.today + timedelta(days=7),
        )


def _smoking(chart: Chart) -> Code:
    if "copd" in chart.person.stories:
        return snomed.EX_SMOKER
    if "pregnancy" in chart.person.stories:
        return snomed.NEVER_SMOKED
    return chart.rng.choice((snomed.NEVER_SMOKED, snomed.NEVER_SMOKED, snomed.EX_SMOKER, snomed.DAILY_SMOKER))


def _note(visit: Visit) -> str:
    """A note that says no more than the resources do."""
    found = "; ".join(problem.snomed.display for problem in visit.problems) or "no complaint"
    age = visit.chart.person.age_on(visit.day)
    return (
        f"{visit.day:%Y-%m-%d}, {visit.practitioner['display']}\n"
        f"Patient of {age} years, {visit.chart.person.sex}.\n"
        f"Seen for: {found}.\n"
        "Findings and results as recorded. Plan unchanged; next appointment at the desk.\n"
    )
