"""What happened: encounters, observations, conditions and other records about a subject. https://hl7.org/fhir/R4/clinicalsummary-module.html"""

from __future__ import annotations

from decimal import Decimal

from tests.oracle.drawing import (
    AMOUNTS,
    CODES,
    LENGTHS,
    LOCAL,
    LOINC,
    MASSES,
    MOMENTS,
    PRESSURES,
    SNOMED,
    TIMES,
    UCUM,
    Draw,
    Resource,
    made,
)

CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
QUANTITIES = [*MASSES, *LENGTHS, *AMOUNTS, *PRESSURES]
TEXTS = ["Negative", "négatif", "positive", "pos, weak"]


def base(draw: Draw, resource_type: str, number: int) -> Resource:
    """What all of these begin with."""
    return {
        "resourceType": resource_type,
        "id": str(number),
        "meta": draw.meta(),
        "identifier": [one for one in [draw.identifier()] if one and draw.chance(0.4)],
    }


def timing(draw: Draw) -> Resource:
    """A Timing: events, a bounded repetition, or a repetition without bounds."""
    bounds = draw.period()
    return draw.pick(
        [
            {"event": draw.some(["2020-02-29", "2020-06-01T08:00:00Z", "2019"], 2, 1)},
            made(
                repeat=made(boundsPeriod=bounds, frequency=1, period=Decimal(1), periodUnit="d"),
                event=draw.some(["2020-02-29T10:00:00Z"], 1),
            ),
            {"repeat": {"frequency": 2, "period": Decimal(1), "periodUnit": "d"}},
        ]
    )


def encounter(draw: Draw, number: int) -> Resource:
    """An Encounter."""
    return made(
        **base(draw, "Encounter", number),
        status=draw.pick(["finished", "planned", "in-progress"]),
        class_={"system": ACT_CODE, "code": draw.pick(["AMB", "IMP"])},
        type_=[draw.concept(SNOMED, ["visit", "surgery"])] if draw.chance() else None,
        subject=draw.maybe(draw.to("Patient", "Patient", "Group")),
        participant=[
            made(
                type_=[draw.concept(LOCAL, ["ATND"])] if draw.chance() else None,
                individual=draw.to("Practitioner", "PractitionerRole"),
            )
            for _ in range(draw.random.randrange(3))
        ],
        period=draw.maybe(draw.period()),
        length=draw.maybe(draw.coded(TIMES), 0.5),
        reasonReference=[draw.to("Condition")] if draw.chance(0.3) else None,
        location=[
            made(location=draw.to("Location"), period=draw.maybe(draw.period()))
            for _ in range(draw.random.randrange(2))
        ],
        serviceProvider=draw.maybe(draw.to("Organization")),
        partOf={"reference": f"Encounter/{draw.random.randrange(number)}"} if number and draw.chance(0.4) else None,
    )


def _value(draw: Draw) -> Resource:
    kind = draw.random.randrange(9)
    sampled = {
        "origin": made(value=Decimal(draw.pick(["0", "100"])), system=UCUM, code="mm[Hg]"),
        "period": Decimal(10),
        "factor": Decimal("1.5"),
        "dimensions": 1,
        "data": draw.pick(["1 2 3", "E U L", "-5 7.5 E", "80"]),
    }
    return [
        {"valueQuantity": draw.amount(QUANTITIES)},
        {"valueQuantity": draw.amount(QUANTITIES)},
        {"valueQuantity": draw.amount(MASSES)},
        {"valueCodeableConcept": draw.concept(SNOMED, ["pos", "neg"])},
        {"valueString": draw.pick(TEXTS)},
        {"valueDateTime": draw.pick(MOMENTS)},
        {"valuePeriod": draw.period() or {"start": "2020"}},
        {"valueSampledData": sampled},
        {"dataAbsentReason": draw.concept(LOCAL, ["unknown", "masked"])},
    ][kind]


def _component(draw: Draw) -> Resource:
    value = draw.pick(
        [
            {"valueQuantity": draw.amount(PRESSURES)},
            {"valueQuantity": draw.amount(PRESSURES)},
            {"valueCodeableConcept": draw.concept(SNOMED, ["pos", "neg"])},
            {"valueRange": draw.span(PRESSURES)},
            {"dataAbsentReason": draw.concept(LOCAL, ["unknown"])},
        ]
    )
    return {"code": draw.concept(LOINC, CODES), **value}


def observation(draw: Draw, number: int) -> Resource:
    """An Observation: with a value of any type, or with components."""
    effective = [
        {"effectiveDateTime": draw.pick(MOMENTS)},
        {"effectiveDateTime": draw.pick(MOMENTS)},
        {"effectivePeriod": draw.period() or {"end": "2020"}},
        {"effectiveTiming": timing(draw)},
        {"effectiveInstant": "2020-02-29T10:00:00.123+01:00"},
        {},
    ]
    components = [_component(draw) for _ in range(draw.random.randint(1, 3))] if draw.chance(0.3) else None
    subject = draw.maybe(draw.anywhere("Patient", "Patient", "Patient", "Group", "Location"), 0.9)
    if number % 20 == 7:
        subject = {"reference": "#inside"}
    contained = [{"resourceType": "Patient", "id": "inside", "name": [{"family": "Contained"}]}]
    return made(
        **base(draw, "Observation", number),
        contained=contained if subject == {"reference": "#inside"} else None,
        extension=[{"url": "http://example.org/ext", "valueString": "Smith"}] if draw.chance(0.1) else None,
        basedOn=[draw.to("ServiceRequest", "MedicationRequest")] if draw.chance(0.4) else None,
        status=draw.pick(["final", "amended"]),
        category=[
            {"coding": [draw.coding(CATEGORY, [code]) or {"code": code}]}
            for code in draw.some(["vital-signs", "laboratory", "survey"])
        ],
        code=draw.concept(LOINC, CODES),
        subject=subject,
        focus=[draw.to("Patient", "Practitioner", "Encounter")] if draw.chance(0.2) else None,
        encounter=draw.maybe(draw.to("Encounter", most=20)),
        performer=[
            draw.to("Practitioner", "Organization", "PractitionerRole", "CareTeam", "Patient")
            for _ in range(draw.random.randrange(3))
        ],
        method=draw.maybe(draw.concept(LOCAL, ["auto"]), 0.2),
        hasMember=[{"reference": f"Observation/{draw.random.randrange(number)}"}]
        if number and draw.chance(0.3)
        else None,
        component=components,
        **draw.pick(effective),
        **({} if components else _value(draw)),
    )


def condition(draw: Draw, number: int) -> Resource:
    """A Condition that began at an age, a date, within a range, or as words tell."""
    age = {"value": Decimal(draw.pick(["5", "60", "5.5"])), "system": UCUM, "code": draw.pick(["a", "mo"])}
    onset = [
        {"onsetDateTime": draw.pick(MOMENTS)},
        {"onsetAge": age | {"unit": "years"}},
        {"onsetPeriod": draw.period() or {"start": "2019"}},
        {"onsetRange": draw.span([("1", "a")])},
        {"onsetString": "as a child"},
        {},
    ]
    return made(
        **base(draw, "Condition", number),
        clinicalStatus={"coding": [{"system": CLINICAL, "code": draw.pick(["active", "inactive"])}]},
        verificationStatus=draw.maybe({"coding": [{"system": VERIFICATION, "code": "confirmed"}]}),
        category=[draw.concept(LOCAL, ["problem", "diagnosis"])] if draw.chance() else None,
        severity=draw.maybe(draw.concept(SNOMED, ["mild", "severe"])),
        code=draw.maybe(draw.concept(SNOMED, ["flu", "asthma", "a,b"])),
        subject=draw.to("Patient", "Patient", "Group"),
        encounter=draw.maybe(draw.to("Encounter", most=20)),
        **draw.pick(onset),
        recordedDate=draw.maybe(draw.pick(MOMENTS)),
        asserter=draw.maybe(draw.to("Practitioner", "Patient"), 0.4),
        evidence=[{"detail": [draw.to("Observation", "Condition", most=20)]}] if draw.chance(0.3) else None,
    )


def medication_request(draw: Draw, number: int) -> Resource:
    """A MedicationRequest."""
    return made(
        **base(draw, "MedicationRequest", number),
        status=draw.pick(["active", "stopped"]),
        intent=draw.pick(["order", "plan"]),
        priority=draw.maybe(draw.pick(["routine", "urgent"])),
        medicationCodeableConcept=draw.concept(SNOMED, ["aspirin", "insulin"]),
        subject=draw.to("Patient"),
        encounter=draw.maybe(draw.to("Encounter", most=20)),
        authoredOn=draw.maybe(draw.pick(MOMENTS)),
        requester=draw.maybe(draw.to("Practitioner", "PractitionerRole", "Organization")),
        dosageInstruction=[{"timing": timing(draw)} for _ in range(draw.random.randrange(2))],
    )


def service_request(draw: Draw, number: int) -> Resource:
    """A ServiceRequest that is to happen at a moment, in a period or by a timing, and follows canonicals and URIs."""
    occurrence = [
        {"occurrenceDateTime": draw.pick(MOMENTS)},
        {"occurrencePeriod": draw.period() or {"end": "2022"}},
        {"occurrenceTiming": timing(draw)},
        {},
    ]
    return made(
        **base(draw, "ServiceRequest", number),
        instantiatesCanonical=draw.some(
            [f"http://example.org/PlanDefinition/{n}{v}" for n in range(2) for v in ("", "|1.0", "|2.0")], 2
        ),
        instantiatesUri=draw.some(["http://example.org/guide/a", "http://example.org/guide/a/b", "urn:oid:1.2.3"], 1),
        basedOn=[{"reference": f"ServiceRequest/{draw.random.randrange(number)}"}]
        if number and draw.chance(0.4)
        else None,
        requisition=draw.maybe(draw.identifier() or None, 0.3),
        status=draw.pick(["active", "draft"]),
        intent="order",
        code=draw.maybe(draw.concept(SNOMED, ["xray", "mri"])),
        subject=draw.to("Patient", "Group", "Location"),
        encounter=draw.maybe(draw.to("Encounter", most=20)),
        **draw.pick(occurrence),
        authoredOn=draw.maybe(draw.pick(MOMENTS)),
        requester=draw.maybe(draw.to("Practitioner", "Organization")),
        performer=[draw.to("Practitioner", "CareTeam")] if draw.chance() else None,
    )


def percent(text: str) -> Resource:
    """A Quantity in percent."""
    return {"value": Decimal(text), "system": UCUM, "code": "%"}


def risk_assessment(draw: Draw, number: int) -> Resource:
    """A RiskAssessment with probabilities of one decimal or a range."""
    probabilities = [
        {"probabilityDecimal": Decimal(draw.pick(["0.1", "0.10", "0.15", "0.95", "1", "1e-2"]))},
        {"probabilityRange": {"low": percent("10"), "high": percent("30")}},
        {},
    ]
    return made(
        **base(draw, "RiskAssessment", number),
        status="final",
        subject=draw.to("Patient"),
        encounter=draw.maybe(draw.to("Encounter", most=20)),
        occurrenceDateTime=draw.maybe(draw.pick(MOMENTS)),
        condition=draw.maybe(draw.to("Condition", most=20)),
        performer=draw.maybe(draw.to("Practitioner")),
        prediction=[
            made(outcome={"text": "stroke"}, **draw.pick(probabilities)) for _ in range(draw.random.randint(1, 2))
        ],
    )


def charge_item(draw: Draw, number: int) -> Resource:
    """A ChargeItem with a quantity, a price in a currency and a factor."""
    return made(
        **base(draw, "ChargeItem", number),
        status="billable",
        code=draw.concept(LOCAL, ["visit", "drug"]),
        subject=draw.to("Patient", "Group"),
        context=draw.maybe(draw.to("Encounter", most=20)),
        occurrenceDateTime=draw.maybe(draw.pick(MOMENTS)),
        performer=[{"actor": draw.to("Practitioner", "Organization")}] if draw.chance() else None,
        quantity=draw.maybe(draw.amount(MASSES)),
        factorOverride=draw.maybe(Decimal(draw.pick(["0.8", "1.20", "2", "100", "-3"]))),
        priceOverride=draw.maybe({"value": Decimal(draw.pick(["12.5", "100"])), "currency": draw.pick(["EUR", "USD"])}),
    )
