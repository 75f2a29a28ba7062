"""A healthy adult with hay fever: yearly check-ups and a sore throat. https://hl7.org/fhir/R4/encounter.html"""

from __future__ import annotations

from datetime import timedelta

from fhir_server.demo.chart import Chart
from fhir_server.demo.codes import labs, problems, rxnorm, snomed
from fhir_server.demo.families import observations
from fhir_server.demo.families.billing import bill
from fhir_server.demo.families.conditions import diagnose
from fhir_server.demo.families.laboratory import laboratory_report
from fhir_server.demo.families.medications import prescribe, taken_at_home
from fhir_server.demo.families.visits import Visit, office_visit
from fhir_server.demo.stories import Story
from fhir_server.demo.stories.routine import LABORATORY_FEE, OFFICE_VISIT, examine, lipids, seasonal_vaccines


def tell(chart: Chart) -> list[Visit]:
    """Three check-ups a year apart; a sore throat three months before the last."""
    visits = [office_visit(chart, day, snomed.CHECK_UP, reason="Yearly check-up") for day in chart.visit_days(3, 365)]
    rhinitis = diagnose(visits[0], problems.ALLERGIC_RHINITIS)
    for number, visit in enumerate(visits):
        examine(visit, fully=True)
        fractions = lipids(chart.about(102, 10), chart.about(55, 6), chart.about(105, 20))
        laboratory_report(visit, labs.LIPIDS, fractions)
        if number == 0:
            counts = {labs.HEMOGLOBIN: chart.about(14.2, 0.7), labs.LEUKOCYTES: 6.4, labs.PLATELETS: 254}
            laboratory_report(visit, labs.BLOOD_COUNT, counts)
        laboratory_report(visit, labs.DIABETES_MONITORING, {labs.GLUCOSE: chart.about(88, 6)})
        bill(visit, [OFFICE_VISIT, LABORATORY_FEE])
    prescribe(visits[0], rxnorm.LORATADINE, reason=rhinitis, refills=5)
    taken_at_home(visits[-1], rxnorm.LORATADINE, reason=rhinitis)
    seasonal_vaccines(visits)
    return [*visits[:-1], _sore_throat(chart, visits[-1]), visits[-1]]


def _sore_throat(chart: Chart, last: Visit) -> Visit:
    day = chart.weekday(last.day - timedelta(days=90))
    visit = office_visit(chart, day, snomed.SYMPTOM_VISIT, reason="Sore throat")
    well = day + timedelta(days=6)
    condition = diagnose(visit, problems.PHARYNGITIS, onset=day - timedelta(days=2), resolved=well)
    observations.temperature(visit, chart.about(38.1, 0.3))
    observations.pulse(visit, chart.about(84, 5))
    prescribe(visit, rxnorm.ACETAMINOPHEN, reason=condition, lasting=False)
    bill(visit, [OFFICE_VISIT])
    return visit


STORY = Story(tell, ages=(24, 66))
