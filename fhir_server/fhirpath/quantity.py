"""Quantities, with the units of time that FHIRPath defines. https://hl7.org/fhirpath/N1/#quantity"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

# fmt: off
UNIT_SECONDS = {
    "ms": Decimal("0.001"), "millisecond": Decimal("0.001"), "s": Decimal(1), "second": Decimal(1),
    "min": Decimal(60), "minute": Decimal(60), "h": Decimal(3600), "hour": Decimal(3600),
    "d": Decimal(86400), "day": Decimal(86400), "wk": Decimal(604800), "week": Decimal(604800),
}
# fmt: on
"""Seconds in each unit of definite length, by UCUM code and by calendar word."""

UNIT_MONTHS = {"mo": 1, "month": 1, "a": 12, "year": 12}
"""Months in each unit whose length in seconds varies."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with a unit: a UCUM code, or a calendar word such as "year" in the singular when ``calendar``."""

    value: Decimal
    unit: str
    calendar: bool = False

    def __str__(self) -> str:
        return f"{decimal_text(self.value)} {self.unit if self.calendar else repr(self.unit)}"


def decimal_text(value: Decimal) -> str:
    """The digits without exponent where that is of reasonable length."""
    exponent = value.as_tuple().exponent
    return format(value, "f") if isinstance(exponent, int) and abs(exponent) <= 400 else str(value)


def parse_quantity(value: Any, unit: str, calendar: bool = False) -> Quantity:
    """A Quantity with its calendar word in the singular."""
    word = unit.removesuffix("s") if calendar else unit
    return Quantity(Decimal(value), word, calendar)


def compare_quantities(left: Quantity, right: Quantity) -> int | None:
    """-1, 0 or 1; None where the units differ and are not both of definite length, or both of months."""
    a, b = left.value, right.value
    if left.unit != right.unit:
        first, second = UNIT_SECONDS.get(left.unit), UNIT_SECONDS.get(right.unit)
        if first is None or second is None:
            months, others = UNIT_MONTHS.get(left.unit), UNIT_MONTHS.get(right.unit)
            if months is None or others is None:
                return None
            first, second = Decimal(months), Decimal(others)
        a, b = a * first, b * second
    return -1 if a < b else 1 if a > b else 0
