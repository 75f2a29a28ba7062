"""Conditions and allergies. https://hl7.org/fhir/R4/condition.html"""

from __future__ import annotations

from datetime import date

from fhir_server.demo.chart import Chart
from fhir_server.demo.codes import Code, hl7, snomed
from fhir_server.demo.codes.problems import Problem
from fhir_server.demo.datatypes import Element, timestamp
from fhir_server.demo.families.visits import Visit


def diagnose(
    visit: Visit,
    problem: Problem,
    *,
    onset: date | None = None,
    resolved: date | None = None,
    body_site: Code | None = None,
    note: str | None = None,
) -> Element:
    """Record a condition at the visit where it was found; a condition without `resolved` stays on the problem list."""
    chart = visit.chart
    if resolved is not None and resolved > chart.horizon:
        resolved = None
    condition = visit.add(
        "Condition",
        problem.label,
        clinicalStatus=(hl7.RESOLVED if resolved else hl7.ACTIVE).concept(),
        verificationStatus=hl7.CONFIRMED.concept(),
        category=[(hl7.ENCOUNTER_DIAGNOSIS if resolved else hl7.PROBLEM_LIST_ITEM).concept()],
        code=problem.snomed.concept(problem.icd10),
        bodySite=[body_site.concept()] if body_site else None,
        onsetDateTime=(onset or visit.day).isoformat(),
        abatementDateTime=resolved.isoformat() if resolved else None,
        recordedDate=timestamp(visit.end),
        recorder=visit.practitioner,
        asserter=visit.practitioner,
        note=[{"text": note}] if note else None,
    )
    visit.treats(condition, problem)
    return condition


def allergy(
    chart: Chart, label: str, code: Code, category: str, criticality: str, reaction: Code, severity: str, since: date
) -> Element:
    """Record an allergy with one reaction. https://hl7.org/fhir/R4/allergyintolerance.html"""
    return chart.add(
        "AllergyIntolerance",
        label,
        clinicalStatus=hl7.ALLERGY_ACTIVE.concept(),
        verificationStatus=hl7.ALLERGY_CONFIRMED.concept(),
        type="allergy",
        category=[category],
        criticality=criticality,
        code=code.concept(),
        patient=chart.subject,
        onsetDateTime=f"{since:%Y}",
        recordedDate=since.isoformat(),
        recorder=chart.staff("primary"),
        reaction=[{"manifestation": [reaction.concept()], "severity": severity}],
    )


def usual_allergies(chart: Chart) -> None:
    """None, one or two allergies, as it happens; the first showing in childhood."""
    person = chart.person
    known = [
        ("penicillin-allergy", snomed.PENICILLIN_ALLERGY, "medication", "high", snomed.HIVES, "moderate"),
        ("pollen-allergy", snomed.GRASS_POLLEN_ALLERGY, "environment", "low", snomed.RHINITIS, "mild"),
        ("shellfish-allergy", snomed.SHELLFISH_ALLERGY, "food", "high", snomed.ANAPHYLAXIS, "severe"),
        ("peanut-allergy", snomed.PEANUT_ALLERGY, "food", "high", snomed.ANAPHYLAXIS, "severe"),
        ("latex-allergy", snomed.LATEX_ALLERGY, "environment", "low", snomed.HIVES, "mild"),
    ]
    if "well_child" in person.stories:
        # These children are given amoxicillin.
        known = known[1:]
    lived = (chart.horizon - person.born).days
    for label, code, category, criticality, reaction, severity in chart.rng.sample(known, chart.rng.choice((0, 1, 2))):
        since = date.fromordinal(person.born.toordinal() + round(lived * chart.rng.uniform(0.3, 0.8)))
        allergy(chart, label, code, category, criticality, reaction, severity, since)
