"""Drugs prescribed, taken, given. https://hl7.org/fhir/R4/medications-module.html"""

from __future__ import annotations

from datetime import timedelta

from fhir_server.demo.codes.rxnorm import Drug
from fhir_server.demo.datatypes import Element, period, quantity, timestamp
from fhir_server.demo.families.visits import Visit


def prescribe(
    visit: Visit, drug: Drug, *, reason: Element | None = None, lasting: bool = True, refills: int = 3
) -> Element:
    """A MedicationRequest. `lasting` drugs are active while the patient lives; the others end with their supply."""
    chart = visit.chart
    over = not lasting and visit.day + timedelta(days=drug.days) < chart.horizon
    status = "completed" if over else "active" if chart.alive else "stopped"
    last = visit.day + timedelta(days=drug.days * (refills + 1 if lasting else 1))
    return visit.add(
        "MedicationRequest",
        drug.label,
        status=status,
        intent="order",
        medicationCodeableConcept=drug.code.concept(),
        authoredOn=timestamp(visit.end),
        requester=visit.practitioner,
        reasonReference=[reason] if reason else None,
        dosageInstruction=[_dosage(drug)],
        dispenseRequest={
            "validityPeriod": period(visit.day, last),
            "numberOfRepeatsAllowed": refills if lasting else 0,
            "quantity": quantity(drug.amount * drug.times * drug.days, drug.unit),
            "expectedSupplyDuration": quantity(drug.days, "d", text="days"),
        },
    )


def taken_at_home(visit: Visit, drug: Drug, *, reason: Element | None = None) -> Element:
    """A MedicationStatement of what the patient says they take. https://hl7.org/fhir/R4/medicationstatement.html"""
    chart = visit.chart
    return chart.add(
        "MedicationStatement",
        f"{drug.label}-taken",
        status="active" if chart.alive else "stopped",
        medicationCodeableConcept=drug.code.concept(),
        subject=chart.subject,
        context=visit.encounter,
        effectivePeriod=period(visit.day, chart.person.died),
        dateAsserted=visit.moment(6),
        informationSource=chart.subject,
        reasonReference=[reason] if reason else None,
        dosage=[_dosage(drug)],
    )


def give(visit: Visit, drug: Drug, *, minutes: int, reason: Element | None = None) -> Element:
    """A MedicationAdministration during the visit. https://hl7.org/fhir/R4/medicationadministration.html"""
    chart = visit.chart
    return chart.add(
        "MedicationAdministration",
        f"{drug.label}-given",
        status="completed",
        medicationCodeableConcept=drug.code.concept(),
        subject=chart.subject,
        context=visit.encounter,
        effectiveDateTime=visit.moment(minutes),
        performer=[{"actor": chart.staff("nurse")}],
        reasonReference=[reason] if reason else None,
        dosage={"route": drug.route.concept(), "dose": quantity(drug.amount, drug.unit)},
    )


def _dosage(drug: Drug) -> Element:
    dosage: Element = {
        "sequence": 1,
        "text": drug.sig,
        "timing": {"repeat": {"frequency": drug.times, "period": 1, "periodUnit": "d"}},
        "route": drug.route.concept(),
        "doseAndRate": [{"doseQuantity": quantity(drug.amount, drug.unit)}],
    }
    return dosage | {"asNeededBoolean": True} if drug.as_needed else dosage
