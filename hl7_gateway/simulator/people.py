"""Patients and staff of the simulated hospital: every name says that nobody has it. docs/hl7.md"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random
from typing import Final

AUTHORITY: Final = "RIVERSIDE"
"""The assigning authority of every identifier."""

_FAMILIES: Final = (
    "Testwater",
    "Samplewood",
    "Mockbridge",
    "Demofield",
    "Placeholt",
    "Fixtureau",
    "Dummerton",
    "Examplé",
    "Trialsby",
    "Notreal",
)
_GIVEN: Final = {
    "F": ("Quilla", "Junipera", "Clovera", "Embera", "Indiga", "Mosselle", "Pebbla", "Willowin"),
    "M": ("Basilon", "Fennelo", "Harboro", "Larkin-Test", "Nettleton", "Orrisol", "Thymon", "Yarrowin"),
}
_STREETS: Final = ("Example Lane", "Sample Street", "Placeholder Road", "Nowhere Avenue & Mews")
_TOWN: Final = "Exampleton^XX^00000"

ATTENDING: Final = tuple(
    f"D10{number:02}^{family}^{given}^^^Dr^^^{AUTHORITY}^^^^EI"
    for number, (family, given) in enumerate(
        (("Doctorow-Test", "Ada"), ("Medicus", "Bruno"), ("Examplaris", "Cleo"), ("Mockingham", "Dora")), 1
    )
)
"""Staff as XCN."""

ALLERGIES: Final = (("7980", "Penicillin G"), ("2670", "Codeine"), ("1191", "Aspirin"))
"""Codes of RxNorm."""

DIAGNOSES: Final = (
    ("I10", "Essential (primary) hypertension"),
    ("E11.9", "Type 2 diabetes mellitus without complications"),
    ("J18.9", "Pneumonia, unspecified organism"),
    ("S52.5", "Fracture of lower end of radius"),
)
"""Codes of ICD-10."""


@dataclass(slots=True)
class Person:
    """A patient. What may change over time is changed in place."""

    number: str
    family: str
    given: str
    sex: str
    born: date
    street: str
    phone: str
    married: str = "S"
    allergy: tuple[str, str] | None = None
    appointments: list[str] = field(default_factory=list)


def person(random: Random, number: str) -> Person:
    """Somebody new."""
    sex = random.choice("FM")
    return Person(
        number=number,
        family=random.choice(_FAMILIES),
        given=random.choice(_GIVEN[sex]),
        sex=sex,
        born=date(1935, 1, 1) + timedelta(days=random.randrange(85 * 365)),
        street=street(random),
        phone=phone(random),
        married=random.choice("SMDW"),
        allergy=random.choice(ALLERGIES) if random.random() < 0.3 else None,
    )


def street(random: Random) -> str:
    """An address that there is not."""
    return f"{random.randrange(1, 999)} {random.choice(_STREETS)}"


def phone(random: Random) -> str:
    """A number of those that are kept for fiction. https://en.wikipedia.org/wiki/555_(telephone_number)"""
    return f"(555) 555-01{random.randrange(100):02}"


def town() -> str:
    """City, state and zip as in XAD."""
    return _TOWN
