"""Vital signs and other measurements at the bedside. https://hl7.org/fhir/R4/observation-vitalsigns.html"""

from __future__ import annotations

from datetime import date
from typing import Any

from fhir_server.demo.codes import Code, hl7, loinc
from fhir_server.demo.datatypes import Element, quantity
from fhir_server.demo.families.visits import Visit


def observe(
    visit: Visit, label: str, code: Code, category: Code, *others: Code, minutes: int = 5, **value: Any
) -> Element:
    """One final Observation some minutes into the visit; `value` holds its value[x] or components."""
    return visit.add(
        "Observation",
        label,
        status="final",
        category=[category.concept()],
        code=code.concept(*others),
        effectiveDateTime=visit.moment(minutes),
        performer=[visit.practitioner],
        **value,
    )


def measure(visit: Visit, label: str, code: Code, value: float, unit: str, digits: int = 0, *others: Code) -> Element:
    """One vital sign with a quantity in a UCUM unit."""
    return observe(visit, label, code, hl7.VITAL_SIGNS, *others, valueQuantity=quantity(value, unit, digits))


def blood_pressure(visit: Visit, systolic: float, diastolic: float) -> Element:
    """Blood pressure in mmHg: a panel with two components, interpreted from 130/80 up as high."""
    high = systolic >= 130 or diastolic >= 80
    return observe(
        visit,
        "blood-pressure",
        loinc.BLOOD_PRESSURE,
        hl7.VITAL_SIGNS,
        interpretation=[(hl7.HIGH if high else hl7.NORMAL).concept()],
        component=[
            {"code": loinc.SYSTOLIC.concept(), "valueQuantity": quantity(systolic, "mm[Hg]")},
            {"code": loinc.DIASTOLIC.concept(), "valueQuantity": quantity(diastolic, "mm[Hg]")},
        ],
    )


def body_size(visit: Visit, kilograms: float, centimeters: float | None = None) -> None:
    """Weight; when the height was taken too, the height and the body mass index."""
    measure(visit, "weight", loinc.WEIGHT, kilograms, "kg", 1)
    if centimeters is None:
        return
    height = visit.chart.height_cm = round(centimeters, 1)
    measure(visit, "height", loinc.HEIGHT, height, "cm", 1)
    index = round(kilograms, 1) / (height / 100) ** 2
    measure(visit, "bmi", loinc.BODY_MASS_INDEX, index, "kg/m2", 1)


def pulse(visit: Visit, beats: float) -> Element:
    """Heart rate per minute."""
    return measure(visit, "heart-rate", loinc.HEART_RATE, beats, "/min")


def temperature(visit: Visit, celsius: float) -> Element:
    """Body temperature in degrees Celsius."""
    return measure(visit, "temperature", loinc.TEMPERATURE, celsius, "Cel", 1)


def breathing(visit: Visit, breaths: float, saturation: float) -> None:
    """Respiratory rate per minute and oxygen saturation by pulse oximetry in percent."""
    observe(
        visit,
        "respiratory-rate",
        loinc.RESPIRATORY_RATE,
        hl7.VITAL_SIGNS,
        valueQuantity=quantity(breaths, "/min", text="breaths/min"),
    )
    measure(visit, "oxygen", loinc.OXYGEN_SATURATION, min(saturation, 100), "%", 0, loinc.PULSE_OXIMETRY)


def pain(visit: Visit, score: int) -> Element:
    """Pain from 0 to 10 as the patient tells it."""
    return observe(visit, "pain", loinc.PAIN_SEVERITY, hl7.SURVEY, valueQuantity=quantity(score, "{score}"), minutes=8)


def smoking_status(visit: Visit, status: Code) -> Element:
    """Tobacco use. https://hl7.org/fhir/us/core/STU4/StructureDefinition-us-core-smokingstatus.html"""
    return observe(
        visit, "smoking-status", loinc.SMOKING_STATUS, hl7.SOCIAL_HISTORY, valueCodeableConcept=status.concept()
    )


def dated(visit: Visit, label: str, code: Code, day: date) -> Element:
    """An Observation whose value is a date."""
    return observe(visit, label, code, hl7.EXAM, valueDateTime=day.isoformat())
