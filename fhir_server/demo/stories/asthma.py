"""A child's asthma: one attack in the emergency department, then control. https://hl7.org/fhir/R4/condition.html"""

from __future__ import annotations

from datetime import date, timedelta

from fhir_server.demo.chart import Chart
from fhir_server.demo.codes import cvx, hl7, loinc, problems, rxnorm, snomed
from fhir_server.demo.datatypes import Element, quantity
from fhir_server.demo.families import observations
from fhir_server.demo.families.billing import bill
from fhir_server.demo.families.conditions import allergy, diagnose
from fhir_server.demo.families.immunizations import vaccinate
from fhir_server.demo.families.medications import give, prescribe, taken_at_home
from fhir_server.demo.families.planning import care_plan, device, flag, goal, imaging_report, order, procedure
from fhir_server.demo.families.visits import Visit, emergency, office_visit
from fhir_server.demo.stories import Story
from fhir_server.demo.stories.growth import examine_child
from fhir_server.demo.stories.routine import OFFICE_VISIT


def tell(chart: Chart) -> list[Visit]:
    """Diagnosis, an attack a month later, and four visits in which peak flow recovers."""
    first, *later = chart.visit_days(6, 75)
    visit = office_visit(chart, first, snomed.SYMPTOM_VISIT, reason="Cough at night and wheezing")
    condition = diagnose(visit, problems.ASTHMA, onset=first - timedelta(days=150))
    examine_child(visit)
    _blow(visit, 0.72)
    procedure(visit, "spirometry", snomed.SPIROMETRY, reason=condition)
    prescribe(visit, rxnorm.ALBUTEROL, reason=condition, refills=1)
    bill(visit, [OFFICE_VISIT, (snomed.SPIROMETRY, "98.00")])
    attack = _attack(chart, first, condition)
    visits = [visit, attack]
    vaccinated = False
    for number, day in enumerate(later):
        follow_up = office_visit(chart, day, snomed.FOLLOW_UP, reason="Asthma follow-up")
        follow_up.treats(condition, problems.ASTHMA)
        examine_child(follow_up)
        _blow(follow_up, min(0.97, 0.8 + 0.05 * number))
        if number % 2 == 0:
            bill(follow_up, [OFFICE_VISIT])
        if not vaccinated and day.month >= 9:
            vaccinate(follow_up, cvx.INFLUENZA)
            vaccinated = True
        visits.append(follow_up)
    _plan(visits[2], condition)
    return visits


def _attack(chart: Chart, first: date, condition: Element) -> Visit:
    attack = emergency(
        chart, chart.at(first + timedelta(days=31), 20, 10), 3.5, snomed.EMERGENCY_ADMISSION, reason="Asthma attack"
    )
    attack.treats(condition, problems.ASTHMA)
    observations.pulse(attack, chart.about(128, 6))
    observations.breathing(attack, chart.about(34, 3), chart.about(91, 1))
    observations.temperature(attack, chart.about(37.1, 0.2))
    give(attack, rxnorm.ALBUTEROL, minutes=10, reason=condition)
    give(attack, rxnorm.ALBUTEROL, minutes=30, reason=condition)
    film = order(attack, "chest-order", snomed.CHEST_XRAY, to="emergency", reason=condition)
    imaging_report(attack, "chest-film", snomed.CHEST_XRAY, "Lungs overinflated, no infiltrate.", based_on=film)
    bill(attack, [(snomed.EMERGENCY_ADMISSION, "865.00"), (snomed.CHEST_XRAY, "120.00")], kind=hl7.INSTITUTIONAL_CLAIM)
    return attack


def _plan(visit: Visit, condition: Element) -> None:
    chart = visit.chart
    prescribe(visit, rxnorm.FLUTICASONE, reason=condition, refills=5)
    taken_at_home(visit, rxnorm.FLUTICASONE, reason=condition)
    allergy(
        chart,
        "mite-allergy",
        snomed.DUST_MITE_ALLERGY,
        "environment",
        "low",
        snomed.RHINITIS,
        "mild",
        visit.day,
    )
    device(chart, "peak-flow-meter", snomed.PEAK_FLOW_METER, "Peak flow meter at home", "Brightwater Devices")
    flag(chart, "asthma-flag", hl7.hl7("flag-category", "clinical", "Clinical"), "Asthma: inhaler at school", visit.day)
    target = goal(
        visit,
        "peak-flow-goal",
        "Peak flow at 90 % of the expected or more",
        loinc.PEAK_FLOW,
        {"detailRange": {"low": quantity(0.9 * _expected(chart, visit), "L/min")}},
        addresses=condition,
    )
    care_plan(
        visit,
        "asthma-plan",
        "Asthma action plan",
        snomed.ASTHMA_PLAN,
        [snomed.ALLERGY_EDUCATION],
        goals=[target],
        addresses=condition,
    )


def _blow(visit: Visit, share: float) -> None:
    flow = _expected(visit.chart, visit) * visit.chart.about(share, 0.02)
    observations.observe(
        visit, "peak-flow", loinc.PEAK_FLOW, hl7.EXAM, valueQuantity=quantity(flow, "L/min"), minutes=10
    )


def _expected(chart: Chart, visit: Visit) -> float:
    """A child's expected peak flow in L/min: 5 x height in cm - 400, a rule of thumb between 110 and 170 cm."""
    height = chart.height_cm or 120.0
    return max(90.0, 5 * height - 400)


STORY = Story(tell, ages=(7, 13))
