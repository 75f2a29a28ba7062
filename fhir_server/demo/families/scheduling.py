"""Appointments and the slots they take. https://hl7.org/fhir/R4/appointment.html"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from fhir_server.demo.chart import Chart
from fhir_server.demo.codes import hl7
from fhir_server.demo.datatypes import Element, reference, timestamp
from fhir_server.demo.families.visits import Visit


def book(chart: Chart, description: str) -> Element | None:
    """Book a Slot of 20 minutes and an Appointment with the general practitioner; None for the dead."""
    if not chart.alive:
        return None
    # Each patient has a day of their own, and those whom a weekend moves to one Monday differ in the minute:
    # nobody is booked twice. The hour is one that the clinic never offers as free.
    number = int(chart.person.id[1:])
    start = chart.at(_next_working_day(chart.today + timedelta(days=3 + number)), 16, number % 3 * 20)
    end = start + timedelta(minutes=20)
    slot = chart.add(
        "Slot",
        "next-slot",
        schedule=reference("Schedule", chart.primary.id),
        status="busy",
        start=timestamp(start),
        end=timestamp(end),
    )
    return _appointment(chart, "next-appointment", "booked", start, end, description, slot)


def kept(visit: Visit, description: str) -> Element:
    """The Appointment that a past visit kept; the encounter names it."""
    appointment = _appointment(visit.chart, "kept-appointment", "fulfilled", visit.start, visit.end, description, None)
    visit.chart.find(visit.encounter)["appointment"] = [appointment]
    return appointment


def _appointment(
    chart: Chart, label: str, status: str, start: datetime, end: datetime, description: str, slot: Element | None
) -> Element:
    booked = min(start - timedelta(days=21), chart.at(chart.today - timedelta(days=2), 11))
    return chart.add(
        "Appointment",
        label,
        status=status,
        appointmentType=hl7.FOLLOW_UP_APPOINTMENT.concept(),
        description=description,
        start=timestamp(start),
        end=timestamp(end),
        minutesDuration=round((end - start).total_seconds() / 60),
        slot=[slot] if slot else None,
        created=timestamp(booked),
        participant=[
            {"actor": chart.subject, "required": "required", "status": "accepted"},
            {"actor": chart.staff("primary"), "required": "required", "status": "accepted"},
            {"actor": reference("Location", "clinic"), "required": "information-only", "status": "accepted"},
        ],
    )


def _next_working_day(day: date) -> date:
    return day + timedelta(days=7 - day.weekday()) if day.weekday() > 4 else day
