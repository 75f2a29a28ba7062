"""Claims and what the insurer made of them. https://hl7.org/fhir/R4/claim.html"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from fhir_server.demo.codes import Code, hl7
from fhir_server.demo.datatypes import Element, money, period, timestamp
from fhir_server.demo.families.visits import Visit

_COPAY = Decimal("25.00")


def bill(
    visit: Visit,
    services: list[tuple[Code, str]],
    *,
    kind: Code = hl7.PROFESSIONAL_CLAIM,
    coverage: Element | None = None,
    insurer: Element | None = None,
    accident: Element | None = None,
    response: bool = False,
) -> Element:
    """A Claim for the services (code, price in dollars) of a visit, and the ExplanationOfBenefit that answers it.

    With `response` a ClaimResponse too: the answer as the provider receives it.
    """
    chart = visit.chart
    total = sum((Decimal(price) for _, price in services), Decimal(0))
    filed = visit.end + timedelta(days=1)
    common: Element = {
        "status": "active",
        "type": kind.concept(),
        "use": "claim",
        "patient": chart.subject,
        "insurer": insurer or chart.insurer,
    }
    diagnoses = [
        {"sequence": number, "diagnosisCodeableConcept": problem.icd10.concept()}
        for number, problem in enumerate(visit.problems, 1)
    ]
    items = [_item(visit, number, service, price) for number, (service, price) in enumerate(services, 1)]
    provider = {"provider": chart.organization, "billablePeriod": period(visit.start, visit.end)}
    claim = chart.add(
        "Claim",
        "claim",
        **common,
        **provider,
        created=timestamp(filed),
        priority=hl7.NORMAL_PRIORITY.concept(),
        careTeam=[{"sequence": 1, "provider": visit.practitioner, "responsible": True}],
        diagnosis=diagnoses or None,
        insurance=[{"sequence": 1, "focal": True, "coverage": coverage or chart.coverage}],
        accident=accident,
        item=items,
        total=money(total),
    )
    answered = filed + timedelta(days=2)
    outcome: Element = {"created": timestamp(answered), "outcome": "complete", "disposition": "Paid in full less copay"}
    answer = None
    if response:
        answer = chart.add(
            "ClaimResponse",
            "claim-response",
            **common,
            **outcome,
            requestor=chart.organization,
            request=claim,
            item=[{"itemSequence": item["sequence"], "adjudication": _adjudication(item)} for item in items],
            total=_totals(total),
            payment=_payment(total),
        )
    chart.add(
        "ExplanationOfBenefit",
        "benefit",
        **common,
        **provider,
        **outcome,
        claim=claim,
        claimResponse=answer,
        careTeam=[{"sequence": 1, "provider": visit.practitioner, "responsible": True}],
        diagnosis=diagnoses or None,
        insurance=[{"focal": True, "coverage": coverage or chart.coverage}],
        accident=accident,
        item=[item | {"adjudication": _adjudication(item)} for item in items],
        total=_totals(total),
        payment=_payment(total) | {"date": (answered + timedelta(days=1)).date().isoformat()},
    )
    return claim


def _item(visit: Visit, number: int, service: Code, price: str) -> Element:
    item: Element = {
        "sequence": number,
        "productOrService": service.concept(),
        "servicedPeriod": period(visit.start, visit.end),
        "unitPrice": money(Decimal(price)),
        "net": money(Decimal(price)),
        "encounter": [visit.encounter],
    }
    return item | {"diagnosisSequence": [1]} if visit.problems else item


def _adjudication(item: Element) -> list[Element]:
    return [{"category": hl7.SUBMITTED.concept(), "amount": item["net"]}]


def _totals(total: Decimal) -> list[Element]:
    copay = min(_COPAY, total)
    shares = ((hl7.SUBMITTED, total), (hl7.COPAY, copay), (hl7.BENEFIT, total - copay))
    return [{"category": category.concept(), "amount": money(amount)} for category, amount in shares]


def _payment(total: Decimal) -> Element:
    return {"type": hl7.COMPLETE_PAYMENT.concept(), "amount": money(total - min(_COPAY, total))}
