"""Encounters: visits, emergencies, admissions. https://hl7.org/fhir/R4/encounter.html"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from fhir_server.demo.chart import Chart
from fhir_server.demo.codes import Code, hl7
from fhir_server.demo.codes.problems import Problem
from fhir_server.demo.datatypes import Element, period, quantity, reference, timestamp

_LOCATIONS = {"AMB": "exam-room-1", "EMER": "emergency-room", "IMP": "ward"}


@dataclass(slots=True)
class Visit:
    """One encounter being written: what happens in it takes its subject, times and people from here."""

    chart: Chart
    encounter: Element
    start: datetime
    end: datetime
    by: str
    conditions: list[Element] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def day(self) -> date:
        """The day it began."""
        return self.start.date()

    @property
    def practitioner(self) -> Element:
        """Who saw the patient."""
        return self.chart.staff(self.by)

    def moment(self, minutes: int) -> str:
        """The time so many minutes after the start, at the latest the end."""
        return timestamp(min(self.start + timedelta(minutes=minutes), self.end))

    def add(self, resource_type: str, label: str, **elements: Any) -> Element:
        """Add a resource with this encounter and the patient as its subject."""
        return self.chart.add(resource_type, label, **elements, subject=self.chart.subject, encounter=self.encounter)

    def treats(self, condition: Element, problem: Problem) -> None:
        """Name a condition among the encounter's diagnoses."""
        self.conditions.append(condition)
        self.problems.append(problem)
        diagnoses = self.chart.find(self.encounter).setdefault("diagnosis", [])
        diagnoses.append({"condition": condition, "use": hl7.CHIEF_COMPLAINT.concept(), "rank": len(diagnoses) + 1})


def office_visit(chart: Chart, day: date, kind: Code, *, by: str = "primary", reason: str | None = None) -> Visit:
    """An ambulatory encounter of 20 to 40 minutes in office hours."""
    start = chart.at(chart.free_day(day), chart.rng.randint(8, 15), chart.rng.choice((0, 20, 40)))
    end = start + timedelta(minutes=chart.rng.choice((20, 25, 30, 40)))
    return _encounter(chart, "visit", hl7.AMBULATORY, kind, start, end, by, reason)


def emergency(chart: Chart, start: datetime, hours: float, kind: Code, *, reason: str) -> Visit:
    """An encounter in the emergency department, discharged home after `hours`."""
    visit = _encounter(
        chart, "emergency", hl7.EMERGENCY, kind, start, start + timedelta(hours=hours), "emergency", reason
    )
    chart.find(visit.encounter)["hospitalization"] = {"dischargeDisposition": hl7.DISCHARGED_HOME.concept()}
    return visit


def admission(chart: Chart, start: datetime, days: int, kind: Code, *, by: str, reason: str) -> Visit:
    """An inpatient encounter of whole days, discharged home."""
    visit = _encounter(chart, "admission", hl7.INPATIENT, kind, start, start + timedelta(days=days), by, reason)
    chart.find(visit.encounter)["hospitalization"] = {
        "admitSource": hl7.hl7("admit-source", "outp", "From outpatient department").concept(),
        "dischargeDisposition": hl7.DISCHARGED_HOME.concept(),
    }
    return visit


def _encounter(
    chart: Chart, label: str, kind_class: Code, kind: Code, start: datetime, end: datetime, by: str, reason: str | None
) -> Visit:
    within = period(start, end)
    practitioner = chart.staff(by)
    ref = chart.add(
        "Encounter",
        label,
        identifier=[
            {
                "system": f"{chart.clinic.site}/encounter-number",
                "value": f"{chart.person.id.upper()}-{start:%y%m%d}-{len(chart.of_type('Encounter')) + 1}",
            }
        ],
        status="finished",
        class_=kind_class.coding(),
        type=[kind.concept()],
        subject=chart.subject,
        participant=[{"type": [hl7.PRIMARY_PERFORMER.concept()], "period": within, "individual": practitioner}],
        period=within,
        length=quantity((end - start).total_seconds() // 60, "min"),
        reasonCode=[{"text": reason}] if reason else None,
        account=[chart.account] if chart.account else None,
        location=[{"location": reference("Location", _LOCATIONS[kind_class.code]), "period": within}],
        serviceProvider=chart.organization,
    )
    return Visit(chart, ref, start, end, by)
