"""A healthy child: check-ups and vaccines at the ages they are due. https://hl7.org/fhir/R4/immunization.html"""

from __future__ import annotations

from datetime import date, timedelta

from fhir_server.demo.chart import Chart
from fhir_server.demo.codes import cvx, labs, problems, rxnorm, snomed
from fhir_server.demo.families import observations
from fhir_server.demo.families.billing import bill
from fhir_server.demo.families.conditions import diagnose
from fhir_server.demo.families.immunizations import vaccinate
from fhir_server.demo.families.laboratory import laboratory_report
from fhir_server.demo.families.medications import prescribe
from fhir_server.demo.families.visits import Visit, office_visit
from fhir_server.demo.stories import Story
from fhir_server.demo.stories.growth import examine_child
from fhir_server.demo.stories.routine import OFFICE_VISIT

_AGES = (0, 2, 4, 6, 9, 12, 15, 18, 24, 36, 48, 60)
"""Check-up ages in months."""


def tell(chart: Chart) -> list[Visit]:
    """A visit at each check-up age so far, vaccines when due, a lead test at one year, one ear infection."""
    visits = []
    for months in _AGES:
        day = chart.weekday(_birthday(chart.person.born, months) + timedelta(days=4))
        if day >= chart.today - timedelta(days=3):
            break
        visit = office_visit(chart, day, snomed.WELL_CHILD_VISIT, reason=_reason(months))
        examine_child(visit)
        for vaccine, dose in cvx.CHILDHOOD.get(months, ()):
            vaccinate(visit, vaccine, dose)
        if months == 12:
            laboratory_report(visit, labs.LEAD_SCREEN, {labs.LEAD: 1.2, labs.HEMOGLOBIN: chart.about(12.6, 0.4)})
        visits.append(visit)
    for visit in visits[-3:]:
        bill(visit, [OFFICE_VISIT])
    _earache(chart)
    return visits


def _birthday(born: date, months: int) -> date:
    years, month = divmod(born.month - 1 + months, 12)
    return date(born.year + years, month + 1, min(born.day, 28))


def _reason(months: int) -> str:
    return "Newborn check-up" if months == 0 else f"Check-up at {months} months"


def _earache(chart: Chart) -> None:
    day = chart.weekday(_birthday(chart.person.born, 13) + timedelta(days=20))
    if day >= chart.today - timedelta(days=14):
        return
    visit = office_visit(chart, day, snomed.SYMPTOM_VISIT, reason="Earache and fever")
    condition = diagnose(visit, problems.OTITIS_MEDIA, onset=day - timedelta(days=1), resolved=day + timedelta(days=11))
    observations.temperature(visit, chart.about(38.6, 0.3))
    prescribe(visit, rxnorm.AMOXICILLIN_SUSPENSION, reason=condition, lasting=False)
    bill(visit, [OFFICE_VISIT])


STORY = Story(tell, ages=(1, 5))
