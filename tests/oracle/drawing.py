"""Random parts of resources, few enough values of each that resources share them. https://hl7.org/fhir/R4/datatypes.html"""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, TypeVar

T = TypeVar("T")
Resource = dict[str, Any]

DELETED = "99"
"""The id of resources that were there once, and that nothing may find any more."""

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
LOCAL = "http://example.org/codes"
MRN = "http://example.org/mrn"
TAG = "http://example.org/tags"
PROFILE = "http://example.org/StructureDefinition/p"
IDENTIFIER_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0203"

FAMILIES = [
    "Müller", "Muller", "MULLER-Lüdenscheidt", "O'Brien", "Smith", "Smithson", "de la Cruz", "李", "Ångström", "Sm_th",
    "Weiß", "Weiss", "a,b", "c|d\\e", "x$y", 'Quo"te', "İstanbul",
]  # fmt: skip
SOURCES = ["http://example.org/a", "http://example.org/a/b", "urn:uuid:aaaaaaaa-1111-4111-8111-111111111111"]
GIVENS = ["Anna", "ANNA", "José", "Jose", "Peter", "Zoë", "Li", "50%", "Anna  Maria"]
CITIES = ["Zürich", "Zurich", "São Paulo", "New York", "Newark", "Łódź"]
CODES = ["8480-6", "8480-6", "8480-6", "8462-4", "8462-4", "2339-0", "a,b", "c|d", "e\\f", "g$h"]
MOMENTS = [
    "2019", "2020", "2020-02", "2020-02-29", "2020-02-29T10:00:00Z", "2020-02-29T10:00:00.5Z",
    "2020-02-29T23:30:00-05:00", "2020-03-01T00:00:00.250Z", "2020-03-01", "2021-12-31T23:59:59+14:00", "2022-01-01",
    "1969-12-31T23:59:59.999Z", "1850", "2020-12-31T23:59:59-12:00",
]  # fmt: skip
ENDS = [
    "2019-06-01",
    "2019-06-01T08:00:00Z",
    "2020",
    "2020-02-29",
    "2020-06",
    "2021-03-04T05:06:07+02:00",
    "2022-01-01",
]
DATES = ["1970", "1970-05", "1970-05-20", "2020-02-29", "2020", "1969-12-31", "2000-01-01"]
MASSES = [
    ("1", "g"),
    ("1000", "mg"),
    ("1.0", "g"),
    ("0.001", "kg"),
    ("1.04", "g"),
    ("1.5", "g"),
    ("999.6", "mg"),
    ("1e3", "mg"),
]
LENGTHS = [("1", "m"), ("100", "cm"), ("1000", "mm"), ("1.75", "m"), ("175", "cm"), ("174.6", "cm")]
TIMES = [("1", "h"), ("60", "min"), ("3600", "s"), ("90", "min"), ("1.5", "h"), ("45", "min")]
AMOUNTS = [
    ("5.4", "mmol/L"),
    ("5.40", "mmol/L"),
    ("5400", "umol/L"),
    ("5.44", "mmol/L"),
    ("0", "mmol/L"),
    ("-1", "mmol/L"),
]
PRESSURES = [
    ("120", "mm[Hg]"),
    ("119.5", "mm[Hg]"),
    ("120.4", "mm[Hg]"),
    ("120.5", "mm[Hg]"),
    ("80", "mm[Hg]"),
    ("100", "mm[Hg]"),
]


def made(**elements: Any) -> Resource:
    """An object of the elements that have a value; a trailing _ of a name is dropped."""
    return {name.rstrip("_"): value for name, value in elements.items() if value not in (None, [], {})}


class Draw:
    """Draws parts of resources from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def chance(self, share: float = 0.5) -> bool:
        return self.random.random() < share

    def pick(self, values: Sequence[T]) -> T:
        return self.random.choice(values)

    def maybe(self, value: T, share: float = 0.7) -> T | None:
        return value if self.chance(share) else None

    def some(self, values: Sequence[T], most: int = 2, least: int = 0) -> list[T]:
        return self.random.sample(list(values), self.random.randint(least, most))

    def to(self, *types: str, most: int = 8) -> Resource:
        """A Reference to a resource that most likely exists, seldom to one of a version."""
        text = f"{self.pick(types)}/{DELETED if self.chance(0.04) else self.random.randrange(most)}"
        if self.chance(0.05):
            text += "/_history/1"
        return made(reference=text, display=self.maybe("someone", 0.2))

    def anywhere(self, *types: str) -> Resource:
        """A Reference of any kind: relative, absolute, urn, by identifier alone, by display alone."""
        kind = self.random.randrange(12)
        if kind == 0:
            return {"reference": f"http://other.example.org/fhir/{self.pick(types)}/{self.random.randrange(4)}"}
        if kind == 1:
            return {"identifier": self.identifier()}
        if kind == 2:
            return {"display": "someone"}
        if kind == 3:
            return {"reference": self.to(*types)["reference"], "identifier": self.identifier()}
        return self.to(*types)

    def identifier(self) -> Resource:
        kind = made(coding=[{"system": IDENTIFIER_TYPE, "code": self.pick(["MR", "SS"])}])
        return made(
            type_=self.maybe(kind, 0.5),
            system=self.maybe(MRN, 0.8),
            value=str(self.random.randrange(12)),
        )

    def coding(self, system: str, codes: Sequence[str]) -> Resource:
        code = self.pick(codes)
        return made(
            system=self.maybe(system, 0.85), code=self.maybe(code, 0.95), display=self.maybe("Display " + code, 0.5)
        )

    def concept(self, system: str, codes: Sequence[str]) -> Resource:
        codings = [one for one in (self.coding(system, codes) for _ in range(self.random.randint(1, 2))) if one]
        return made(coding=codings, text=self.maybe(self.pick(["Blood pressure", "müde", "Heart rate"]), 0.4)) or {
            "text": "only text"
        }

    def period(self) -> Resource | None:
        start, end = sorted(self.random.sample(range(len(ENDS)), 2))
        return made(start=self.maybe(ENDS[start], 0.8), end=self.maybe(ENDS[end], 0.8)) or None

    def amount(self, values: Sequence[tuple[str, str]]) -> Resource:
        """A Quantity, nearly always coded in UCUM."""
        value, unit = self.pick(values)
        kind = self.random.randrange(10)
        if kind == 0:
            return {"value": Decimal(value), "unit": unit}
        if kind == 1:
            return {"value": Decimal(value), "system": LOCAL, "code": unit}
        if kind == 2:
            return {"value": Decimal(value)}
        comparator = self.pick(["<", "<=", ">", ">="]) if kind == 3 else None
        return made(value=Decimal(value), comparator=comparator, unit=self.maybe(unit, 0.3), system=UCUM, code=unit)

    def coded(self, values: Sequence[tuple[str, str]]) -> Resource:
        """A Quantity in UCUM."""
        value, unit = self.pick(values)
        return {"value": Decimal(value), "unit": unit, "system": UCUM, "code": unit}

    def span(self, values: Sequence[tuple[str, str]]) -> Resource:
        """A Range of two quantities in one unit, open on a side now and then."""
        unit = self.pick(values)[1]
        low, high = sorted(self.random.sample(range(1, 200), 2))
        side = self.random.randrange(4)
        return made(
            low=made(value=Decimal(str(low)), system=UCUM, code=unit) if side != 0 else None,
            high=made(value=Decimal(str(high)), system=UCUM, code=unit) if side != 1 else None,
        )

    def meta(self) -> Resource | None:
        return (
            made(
                tag=[{"system": TAG, "code": code} for code in ("red", "blue") if self.chance(0.3)],
                security=[{"code": "R"}] if self.chance(0.3) else None,
                profile=[PROFILE + end for end in ("1", "2|1.0") if self.chance(0.3)],
                source=self.maybe(self.pick(SOURCES), 0.3),
            )
            or None
        )
