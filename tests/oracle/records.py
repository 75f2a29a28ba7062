"""Papers about the rest: documents, tasks, provenance, claims, and definitions with canonical URLs. https://hl7.org/fhir/R4/documentreference.html"""

from __future__ import annotations

from decimal import Decimal

from tests.oracle.clinical import base
from tests.oracle.drawing import LOCAL, LOINC, MOMENTS, SNOMED, UCUM, Draw, Resource, made

USAGE = "http://terminology.hl7.org/CodeSystem/usage-context-type"
AGENT_TYPE = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
PRIORITY = "http://terminology.hl7.org/CodeSystem/processpriority"


def document_reference(draw: Draw, number: int) -> Resource:
    """A DocumentReference, related to an earlier one."""
    attachment = made(
        contentType=draw.pick(["application/pdf", "text/plain"]),
        language=draw.maybe(draw.pick(["de", "en"])),
        url=draw.maybe(draw.pick(["http://example.org/docs/a", "http://example.org/docs/b?x=1,2"])),
    )
    return made(
        **base(draw, "DocumentReference", number),
        status=draw.pick(["current", "superseded"]),
        type_=draw.maybe(draw.concept(LOINC, ["34133-9", "11488-4"])),
        subject=draw.maybe(draw.to("Patient", "Practitioner", "Group")),
        date=draw.maybe("2020-02-29T23:30:00-05:00"),
        author=[draw.to("Practitioner", "Organization", "Patient") for _ in range(draw.random.randrange(3))],
        custodian=draw.maybe(draw.to("Organization")),
        relatesTo=[
            {
                "code": draw.pick(["replaces", "appends"]),
                "target": {"reference": f"DocumentReference/{draw.random.randrange(number)}"},
            }
            for _ in range(draw.random.randrange(3) if number else 0)
        ],
        description=draw.maybe(draw.pick(["Discharge", "discharge summary", "Entlassung"])),
        content=[{"attachment": attachment}],
        context=made(encounter=[draw.to("Encounter", most=20)] if draw.chance() else None, period=draw.period())
        or None,
    )


def task(draw: Draw, number: int) -> Resource:
    """A Task; its patient is in the element that is called for."""
    return made(
        **base(draw, "Task", number),
        basedOn=[draw.to("ServiceRequest", "MedicationRequest")] if draw.chance() else None,
        status=draw.pick(["requested", "completed"]),
        intent="order",
        priority=draw.maybe("urgent", 0.4),
        code=draw.maybe(draw.concept(LOCAL, ["fulfill", "approve"])),
        focus=draw.maybe(draw.to("ServiceRequest", "Observation", "DocumentReference")),
        encounter=draw.maybe(draw.to("Encounter", most=20)),
        executionPeriod=draw.maybe(draw.period()),
        authoredOn=draw.maybe(draw.pick(MOMENTS)),
        owner=draw.maybe(draw.to("Practitioner", "Organization", "CareTeam")),
        **{"for": draw.to("Patient", "Practitioner")} if draw.chance(0.8) else {},
    )


def provenance(draw: Draw, number: int) -> Resource:
    """A Provenance of one or two targets."""
    found = base(draw, "Provenance", number)
    del found["identifier"]
    return made(
        **found,
        target=[
            draw.to("Observation", "Patient", "Condition", "DocumentReference", most=20)
            for _ in range(draw.random.randint(1, 2))
        ],
        occurredDateTime=draw.maybe(draw.pick(MOMENTS)),
        recorded=draw.pick(["2020-02-29T10:00:00Z", "2021-03-04T05:06:07.123+02:00"]),
        location=draw.maybe(draw.to("Location"), 0.4),
        agent=[
            made(
                type_=draw.maybe({"coding": [{"system": AGENT_TYPE, "code": draw.pick(["author", "verifier"])}]}),
                who=draw.to("Practitioner", "Organization", "Patient"),
            )
        ],
    )


def claim(draw: Draw, number: int) -> Resource:
    """A Claim."""
    return made(
        **base(draw, "Claim", number),
        status=draw.pick(["active", "cancelled"]),
        type_={"coding": [{"system": LOCAL, "code": "institutional"}]},
        use=draw.pick(["claim", "preauthorization"]),
        patient=draw.to("Patient"),
        created=draw.pick(["2020-02-29", "2021-12-31T23:59:59+14:00", "2019"]),
        insurer=draw.maybe(draw.to("Organization")),
        provider=draw.to("Practitioner", "Organization"),
        priority={"coding": [{"system": PRIORITY, "code": draw.pick(["normal", "stat"])}]},
        careTeam=[{"sequence": 1, "provider": draw.to("Practitioner", "PractitionerRole")}] if draw.chance() else None,
        insurance=[{"sequence": 1, "focal": True, "coverage": {"display": "none"}}],
        item=[
            {
                "sequence": 1,
                "productOrService": draw.concept(SNOMED, ["x"]),
                "encounter": [draw.to("Encounter", most=20)],
            }
        ]
        if draw.chance()
        else None,
    )


def _context(draw: Draw) -> list[Resource]:
    values = [
        {"valueCodeableConcept": draw.concept(SNOMED, ["adult", "child"])},
        {"valueQuantity": {"value": Decimal(draw.pick(["18", "65"])), "system": UCUM, "code": "a"}},
        {"valueRange": draw.span([("1", "a")])},
    ]
    return [
        {"code": {"system": USAGE, "code": draw.pick(["age", "focus"])}, **draw.pick(values)}
        for _ in range(draw.random.randrange(3))
    ]


def _definition(draw: Draw, resource_type: str, number: int) -> Resource:
    return {
        "resourceType": resource_type,
        "id": str(number),
        "meta": draw.meta(),
        "url": f"http://example.org/{resource_type}/{number // 2}"
        if number < 6
        else f"urn:uuid:0000000{number}-1111-4111-8111-111111111111",
        "version": draw.maybe(f"{number % 2 + 1}.0"),
        "name": f"Name{number % 3}",
        "title": draw.maybe(draw.pick(["Über alles", "Uber", "Other"])),
        "status": draw.pick(["active", "draft"]),
        "date": draw.maybe(draw.pick(MOMENTS)),
        "description": draw.maybe("Describes *it*"),
        "useContext": _context(draw),
    }


def value_set(draw: Draw, number: int) -> Resource:
    """A ValueSet of listed codes of one or two systems."""
    include = [
        {"system": LOINC, "concept": [{"code": code} for code in draw.some(["8480-6", "8462-4", "2339-0"], 3, 1)]}
    ]
    if draw.chance():
        include.append(
            {"system": SNOMED, "concept": [{"code": code} for code in draw.some(["pos", "flu", "mild"], 2, 1)]}
        )
    return made(**_definition(draw, "ValueSet", number), compose={"include": include})


def library(draw: Draw, number: int) -> Resource:
    """A Library that depends on others, with and without a version."""
    return made(
        **_definition(draw, "Library", number),
        type_={"coding": [{"system": LOCAL, "code": draw.pick(["logic", "asset"])}]},
        effectivePeriod=draw.maybe(draw.period()),
        relatedArtifact=[
            {
                "type": draw.pick(["depends-on", "composed-of"]),
                "resource": f"http://example.org/Library/{draw.random.randrange(3)}{draw.pick(['', '|1.0', '|9'])}",
            }
            for _ in range(draw.random.randrange(3))
        ],
    )


def plan_definition(draw: Draw, number: int) -> Resource:
    """A PlanDefinition that uses libraries and defines actions by other plans."""
    return made(
        **_definition(draw, "PlanDefinition", number),
        library=draw.some([f"http://example.org/Library/{n}{v}" for n in range(3) for v in ("", "|1.0")], 2),
        action=[{"definitionCanonical": f"http://example.org/PlanDefinition/{draw.random.randrange(3)}"}]
        if draw.chance()
        else None,
    )


def code_system(draw: Draw, number: int) -> Resource:
    """The CodeSystem of all local codes, some of them below others."""

    def concept(code: str, *below: Resource) -> Resource:
        return made(code=code, concept=list(below))

    flat = ["cohort", "family", "gender", "age", "episode", "ATND", "unknown", "auto", "problem", "visit", "fulfill"]
    return {
        "resourceType": "CodeSystem",
        "id": str(number),
        "url": LOCAL,
        "name": "Local",
        "status": "active",
        "content": "complete",
        "concept": [
            concept("prov", concept("dept")),
            concept("doctor", concept("nurse", concept("event"))),
            concept("logic", concept("asset"), concept("approve")),
            *map(concept, flat),
        ],
    }
