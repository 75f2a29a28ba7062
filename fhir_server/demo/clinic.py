"""The two demo clinics: where they are and who works there. https://hl7.org/fhir/R4/administration-module.html"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta, timezone

from fhir_server.demo.codes import Code, snomed


@dataclass(frozen=True, slots=True)
class StaffMember:
    """One practitioner: the key that stories call them by, their resource id, name and specialty."""

    key: str
    id: str
    given: str
    family: str
    gender: str
    title: str
    specialty: Code

    @property
    def name(self) -> str:
        """The name as a person writes it."""
        return f"{self.given} {self.family}, {self.title}" if self.title != "MD" else f"Dr. {self.given} {self.family}"


@dataclass(frozen=True, slots=True)
class Clinic:
    """One clinic (tenant). `offset_hours` is its distance from UTC; neither place observes daylight saving time."""

    tenant: str
    name: str
    street: str
    city: str
    state: str
    postal_code: str
    area_code: str
    latitude: str
    longitude: str
    offset_hours: int
    staff: tuple[StaffMember, ...]
    insurers: tuple[tuple[str, str], ...]
    auto_insurer: tuple[str, str]
    laboratory: tuple[str, str]
    law_firm: tuple[str, str]

    @property
    def timezone(self) -> timezone:
        """The clinic's fixed offset from UTC."""
        return timezone(timedelta(hours=self.offset_hours))

    @property
    def site(self) -> str:
        """The root of the clinic's own identifier and code systems."""
        return f"http://{self.tenant}.example.org"

    def member(self, key: str) -> StaffMember:
        """The practitioner whom the stories call `key`; KeyError for a key nobody has."""
        return {member.key: member for member in self.staff}[key]


def _staff(*people: tuple[str, str, str]) -> tuple[StaffMember, ...]:
    """Staff in the order of the positions below, from (given, family, gender)."""
    positions = (
        ("family", "MD", snomed.FAMILY_MEDICINE),
        ("internal", "MD", snomed.INTERNAL_MEDICINE),
        ("pediatrics", "MD", snomed.PEDIATRICS),
        ("obstetrics", "MD", snomed.OBSTETRICS),
        ("orthopedics", "MD", snomed.ORTHOPEDICS),
        ("psychiatry", "MD", snomed.PSYCHIATRY),
        ("pulmonology", "MD", snomed.PULMONOLOGY),
        ("emergency", "MD", snomed.EMERGENCY_MEDICINE),
        ("physiotherapy", "PT", snomed.PHYSIOTHERAPY),
        ("nurse", "RN", snomed.FAMILY_MEDICINE),
    )
    return tuple(
        StaffMember(key, f"{given}-{family}".lower(), given, family, gender, title, specialty)
        for (key, title, specialty), (given, family, gender) in zip(positions, people, strict=True)
    )


RIVERSIDE = Clinic(
    tenant="riverside",
    name="Riverside Community Clinic",
    street="120 Cottonwood Avenue",
    city="Riverbend",
    state="AZ",
    postal_code="85009",
    area_code="602",
    latitude="33.4484",
    longitude="-112.0740",
    offset_hours=-7,
    staff=_staff(
        ("Amara", "Okafor", "female"),
        ("Daniel", "Weiss", "male"),
        ("Lucia", "Moreno", "female"),
        ("Hannah", "Lindqvist", "female"),
        ("Victor", "Petrov", "male"),
        ("Naomi", "Adler", "female"),
        ("Samuel", "Boateng", "male"),
        ("Grace", "Chen", "female"),
        ("Omar", "Haddad", "male"),
        ("Teresa", "Quinn", "female"),
    ),
    insurers=(("saguaro-health", "Saguaro Health Plan"), ("copper-mutual", "Copper State Mutual")),
    auto_insurer=("mesa-auto", "Mesa Auto Insurance"),
    laboratory=("desert-lab", "Desert Reference Laboratory"),
    law_firm=("ortiz-law", "Ortiz & Brandt, Attorneys at Law"),
)

HILLSIDE = Clinic(
    tenant="hillside",
    name="Hillside Family Health",
    street="8 Kukui Terrace",
    city="Waihou",
    state="HI",
    postal_code="96720",
    area_code="808",
    latitude="19.7070",
    longitude="-155.0816",
    offset_hours=-10,
    staff=_staff(
        ("Keoni", "Kahale", "male"),
        ("Yuki", "Tanabe", "female"),
        ("Malia", "Akana", "female"),
        ("Ingrid", "Sorensen", "female"),
        ("Rafael", "Santos", "male"),
        ("Leilani", "Makoa", "female"),
        ("Arjun", "Mehta", "male"),
        ("Claire", "Dubois", "female"),
        ("Noah", "Kealoha", "male"),
        ("Rose", "Fonoti", "female"),
    ),
    insurers=(("pacific-care", "Pacific Care Alliance"), ("island-mutual", "Island Mutual Health")),
    auto_insurer=("tradewind-auto", "Tradewind Auto Insurance"),
    laboratory=("bayfront-lab", "Bayfront Laboratory"),
    law_firm=("nakoa-law", "Nakoa Law Group"),
)

CLINICS = {clinic.tenant: clinic for clinic in (RIVERSIDE, HILLSIDE)}
