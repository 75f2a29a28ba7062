"""Vaccines given. https://hl7.org/fhir/R4/immunization.html"""

from __future__ import annotations

from datetime import timedelta

from fhir_server.demo.codes import Code, cvx, hl7, snomed
from fhir_server.demo.datatypes import Element, quantity
from fhir_server.demo.families.visits import Visit

_BY_MOUTH = {cvx.ROTAVIRUS}


def vaccinate(visit: Visit, vaccine: Code, dose: int = 1) -> Element:
    """One dose given towards the end of the visit."""
    chart = visit.chart
    oral = vaccine in _BY_MOUTH
    return chart.add(
        "Immunization",
        f"cvx{vaccine.code}",
        status="completed",
        vaccineCode=vaccine.concept(),
        patient=chart.subject,
        encounter=visit.encounter,
        occurrenceDateTime=visit.moment(15),
        primarySource=True,
        lotNumber=f"{chart.rng.choice('ABCDEF')}{chart.rng.randint(10000, 99999)}",
        expirationDate=(visit.day + timedelta(days=chart.rng.randint(60, 400))).isoformat(),
        site=None if oral else snomed.LEFT_UPPER_ARM.concept(),
        route=(snomed.ORAL if oral else snomed.INTRAMUSCULAR).concept(),
        doseQuantity=quantity(1 if oral else 0.5, "mL", 1),
        performer=[
            {
                "function": hl7.hl7("v2-0443", "AP", "Administering Provider").concept(),
                "actor": chart.staff("nurse"),
            }
        ],
        protocolApplied=[{"doseNumberPositiveInt": dose}],
    )
