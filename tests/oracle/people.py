"""Who and where: patients, practitioners, organizations, locations, and groups of them. https://hl7.org/fhir/R4/administration-module.html"""

from __future__ import annotations

from decimal import Decimal

from tests.oracle.drawing import CITIES, DATES, FAMILIES, GIVENS, LOCAL, SNOMED, Draw, Resource, made

LANGUAGES = "urn:ietf:bcp:47"
ROLES = ["doctor", "nurse"]


def name(draw: Draw) -> Resource:
    """A HumanName with at least one part."""
    return made(
        use=draw.maybe("official", 0.3),
        text=draw.maybe(draw.pick(["Dr. Anna Müller", "Smith, Peter"]), 0.2),
        family=draw.maybe(draw.pick(FAMILIES), 0.9),
        given=draw.some(GIVENS),
        prefix=draw.maybe(["Dr."], 0.2),
    ) or {"family": "Smith"}


def address(draw: Draw, *uses: str) -> Resource:
    """An Address."""
    return made(
        use=draw.maybe(draw.pick(uses)),
        line=draw.some(["1 Main St.", "Hauptstraße 5"], 1),
        city=draw.pick(CITIES),
        state=draw.maybe(draw.pick(["ZH", "NY"])),
        postalCode=draw.maybe(draw.pick(["8001", "80011", "10001"])),
        country=draw.maybe(draw.pick(["CH", "USA"])),
    )


def telecom(draw: Draw) -> Resource:
    """A ContactPoint."""
    system = draw.pick(["phone", "email"])
    values = {"phone": ["+41 44 000", "555|1"], "email": ["a@example.org", "b@example.org"]}
    return made(system=system, value=draw.pick(values[system]), use=draw.maybe("home", 0.3))


def patient(draw: Draw, number: int) -> Resource:
    """A Patient; some have died, and say when or only that."""
    deceased = {0: {"deceasedBoolean": draw.chance()}, 1: {"deceasedDateTime": "2021-03-04T05:06:07+02:00"}}
    return made(
        resourceType="Patient",
        id=str(number),
        meta=draw.meta(),
        active=draw.maybe(draw.chance()),
        identifier=[one for one in (draw.identifier() for _ in range(draw.random.randrange(3))) if one],
        name=[name(draw) for _ in range(draw.random.randint(0, 2))],
        telecom=[telecom(draw) for _ in range(draw.random.randrange(3))],
        gender=draw.maybe(draw.pick(["male", "female", "other"])),
        birthDate=draw.maybe(draw.pick(DATES)),
        address=[address(draw, "home", "work")] if draw.chance() else None,
        generalPractitioner=[draw.anywhere("Practitioner", "Organization", "PractitionerRole")]
        if draw.chance()
        else None,
        managingOrganization=draw.maybe(draw.to("Organization")),
        communication=[{"language": {"coding": [{"system": LANGUAGES, "code": draw.pick(["de", "en", "en-US"])}]}}]
        if draw.chance(0.4)
        else None,
        link=[{"other": draw.to("Patient"), "type": "seealso"}] if draw.chance(0.3) else None,
        **deceased.get(draw.random.randrange(5), {}),
    )


def practitioner(draw: Draw, number: int) -> Resource:
    """A Practitioner."""
    return made(
        resourceType="Practitioner",
        id=str(number),
        meta=draw.meta(),
        identifier=[draw.identifier()] if draw.chance() else None,
        active=draw.maybe(draw.chance()),
        name=[name(draw)],
        gender=draw.maybe(draw.pick(["male", "female"])),
    )


def practitioner_role(draw: Draw, number: int) -> Resource:
    """A PractitionerRole."""
    return made(
        resourceType="PractitionerRole",
        id=str(number),
        meta=draw.meta(),
        period=draw.maybe(draw.period()),
        practitioner=draw.maybe(draw.to("Practitioner")),
        organization=draw.maybe(draw.to("Organization")),
        code=[draw.concept(LOCAL, ROLES)] if draw.chance() else None,
        location=[draw.to("Location") for _ in range(draw.random.randrange(2))],
        identifier=[draw.identifier()] if draw.chance() else None,
        active=draw.maybe(draw.chance()),
        telecom=[telecom(draw)] if draw.chance(0.3) else None,
    )


def organization(draw: Draw, number: int) -> Resource:
    """An Organization, part of one of a lower number, so that there are chains of several parts."""
    return made(
        resourceType="Organization",
        id=str(number),
        meta=draw.meta(),
        active=draw.maybe(draw.chance()),
        type_=[draw.concept(LOCAL, ["prov", "dept"])] if draw.chance() else None,
        name=draw.pick(["Spital Zürich", "General Hospital", "Genossenschaft", "Klinik"]),
        alias=draw.some(["KSZ", "GH"], 1),
        address=[address(draw, "work", "temp")] if draw.chance() else None,
        partOf={"reference": f"Organization/{draw.random.randrange(number)}"} if number and draw.chance(0.8) else None,
    )


def location(draw: Draw, number: int) -> Resource:
    """A Location, mostly with a position around Zürich or New York."""
    latitude, longitude = draw.pick([("47.37", "8.54"), ("40.71", "-74.0"), ("0", "179.99"), ("0", "-179.99")])
    shift = Decimal(draw.random.randrange(-40, 40)).scaleb(-2)
    return made(
        resourceType="Location",
        id=str(number),
        meta=draw.meta(),
        status=draw.maybe(draw.pick(["active", "suspended"])),
        name=draw.pick(["Ward 1", "Ward 2", "Ångström-Saal"]),
        address=draw.maybe(address(draw, "work")),
        position=draw.maybe({"longitude": Decimal(longitude), "latitude": Decimal(latitude) + shift}, 0.8),
        managingOrganization=draw.maybe(draw.to("Organization")),
        partOf={"reference": f"Location/{draw.random.randrange(number)}"} if number and draw.chance() else None,
    )


def group(draw: Draw, number: int) -> Resource:
    """A Group of persons with characteristics of several kinds."""
    values = [
        {"valueCodeableConcept": draw.concept(SNOMED, ["m", "f"])},
        {"valueBoolean": draw.chance()},
        {"valueQuantity": draw.amount([("18", "a")])},
    ]
    return made(
        resourceType="Group",
        id=str(number),
        meta=draw.meta(),
        type_="person",
        actual=True,
        code=draw.maybe(draw.concept(LOCAL, ["cohort", "family"])),
        name=draw.maybe("Group"),
        characteristic=[
            {"code": draw.concept(LOCAL, ["gender", "age"]), "exclude": draw.chance(), **draw.pick(values)}
            for _ in range(draw.random.randrange(3))
        ],
        member=[{"entity": draw.to("Patient", "Practitioner")} for _ in range(draw.random.randrange(4))],
        managingEntity=draw.maybe(draw.to("Organization", "Practitioner")),
    )


def care_team(draw: Draw, number: int) -> Resource:
    """A CareTeam."""
    return made(
        resourceType="CareTeam",
        id=str(number),
        meta=draw.meta(),
        status=draw.maybe(draw.pick(["active", "proposed"])),
        category=[draw.concept(LOCAL, ["episode", "event"])] if draw.chance() else None,
        subject=draw.maybe(draw.to("Patient", "Group")),
        period=draw.maybe(draw.period()),
        participant=[
            {"member": draw.to("Practitioner", "Patient", "Organization")} for _ in range(draw.random.randrange(3))
        ],
    )


def list_(draw: Draw, number: int) -> Resource:
    """A List of resources of several types, one entry of it marked as removed now and then."""
    return made(
        resourceType="List",
        id=str(number),
        meta=draw.meta(),
        status="current",
        mode="changes",
        title=draw.maybe(draw.pick(["Problems", "Probleme"])),
        subject=draw.maybe(draw.to("Patient")),
        date=draw.maybe("2020-02-29T10:00:00Z"),
        note=[{"text": "Some *note*"}] if draw.chance() else None,
        entry=[
            made(deleted=draw.maybe(True, 0.2), item=draw.to("Patient", "Observation", "Condition", "Practitioner"))
            for _ in range(draw.random.randint(1, 5))
        ],
    )
