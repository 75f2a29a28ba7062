"""Laboratory work: order, specimen, results, report. https://hl7.org/fhir/R4/diagnosticreport.html"""

from __future__ import annotations

from datetime import timedelta

from fhir_server.demo.codes import Code, hl7
from fhir_server.demo.codes.labs import LabTest, Panel
from fhir_server.demo.datatypes import Element, quantity, reference, timestamp
from fhir_server.demo.families.visits import Visit


def laboratory_report(visit: Visit, panel: Panel, results: dict[LabTest, float]) -> Element:
    """Order a panel, draw the specimen during the visit, and report the results the next morning."""
    chart = visit.chart
    laboratory = reference("Organization", *chart.clinic.laboratory)
    order = visit.add(
        "ServiceRequest",
        f"{panel.label}-order",
        status="completed",
        intent="order",
        category=[hl7.LABORATORY_SECTION.concept()],
        code=panel.code.concept(),
        authoredOn=visit.moment(8),
        requester=visit.practitioner,
        performer=[laboratory],
        reasonReference=list(visit.conditions) or None,
    )
    collected = visit.moment(12)
    specimen = chart.add(
        "Specimen",
        f"{panel.label}-specimen",
        status="available",
        type=panel.specimen.concept(),
        subject=chart.subject,
        request=[order],
        receivedTime=timestamp(visit.end),
        collection={"collector": chart.staff("nurse"), "collectedDateTime": collected},
    )
    issued = timestamp(chart.at(visit.end.date() + timedelta(days=1), 7, 30))
    observations = [
        visit.add(
            "Observation",
            test.label,
            basedOn=[order],
            status="final",
            category=[hl7.LABORATORY.concept()],
            code=test.code.concept(),
            effectiveDateTime=collected,
            issued=issued,
            performer=[laboratory],
            valueQuantity=quantity(value, test.unit, test.digits),
            interpretation=[_interpretation(test, value).concept()],
            specimen=specimen,
            referenceRange=[_reference_range(test)],
        )
        for test, value in results.items()
    ]
    return visit.add(
        "DiagnosticReport",
        panel.label,
        basedOn=[order],
        status="final",
        category=[hl7.LABORATORY_SECTION.concept()],
        code=panel.code.concept(),
        effectiveDateTime=collected,
        issued=issued,
        performer=[laboratory],
        specimen=[specimen],
        result=observations,
    )


def _interpretation(test: LabTest, value: float) -> Code:
    shown = round(value, test.digits)
    if test.low is not None and shown < test.low:
        return hl7.LOW
    return hl7.HIGH if test.high is not None and shown > test.high else hl7.NORMAL


def _reference_range(test: LabTest) -> Element:
    ends = {"low": test.low, "high": test.high}
    return {end: quantity(value, test.unit, test.digits) for end, value in ends.items() if value is not None}
