"""The unit of a quantity as it is written to the index and searched. https://hl7.org/fhir/R4/search.html#quantity

A unit is hashed as ``q:{system}|{code}`` and, for searches that name no system, as ``q:|{code}`` and ``q:|{unit}``.
"""

from __future__ import annotations

from typing import Any

from fhir_server.search import number_ranges
from fhir_server.search.number_ranges import Range
from fhir_server.search.values import split, unescape

CURRENCIES = "urn:iso:std:iso:4217"
"""The code system of Money.currency. https://hl7.org/fhir/R4/valueset-currencies.html"""

QUANTITIES = frozenset({"Quantity", "SimpleQuantity", "Age", "Count", "Distance", "Duration", "MoneyQuantity"})


def written(type_name: str, value: dict[str, Any]) -> tuple[Range, list[str]] | None:
    """The range and the units of a Quantity, Money, Range or SampledData; None when it has no number.

    Every value has at least one unit: ``q:|`` stands for none.
    """
    if type_name in QUANTITIES:
        number = value.get("value")
        return None if number is None else (number_ranges.compared(number, value.get("comparator")), _units(value))
    if type_name == "Money":
        number, currency = value.get("value"), value.get("currency")
        if number is None:
            return None
        return number_ranges.compared(number, None), _units({"system": currency and CURRENCIES, "code": currency})
    if type_name == "Range":
        limits = number_ranges.of_range(value)
        return None if limits is None else (limits, _units(value.get("low") or value.get("high") or {}))
    if type_name == "SampledData":
        limits = number_ranges.of_sampled_data(value)
        return None if limits is None else (limits, _units(value.get("origin", {})))
    return None


def _units(value: dict[str, Any]) -> list[str]:
    system, code, unit = value.get("system"), value.get("code"), value.get("unit")
    found = []
    if code is not None:
        if system is not None:
            found.append(f"q:{system}|{code}")
        found.append(f"q:|{code}")
    if unit is not None and unit != code:
        found.append(f"q:|{unit}")
    return found or ["q:|"]


def searched(text: str) -> tuple[str, str]:
    """The number, with its prefix, and the unit variant ("" for any) that a search value asks for.

    It is ``number``, ``number|system|code`` or ``number||code``. Raises ValueError that says what would be right. https://hl7.org/fhir/R4/search.html#quantity
    """
    parts = split(text, "|")
    if len(parts) == 1:
        return parts[0], ""
    if len(parts) != 3:
        raise ValueError("a quantity is written as number, number|system|code or number||code")
    number, system, code = parts[0], unescape(parts[1]), unescape(parts[2])
    if not code:
        if system:
            raise ValueError("a quantity with a system also needs a code: number|system|code")
        return number, ""
    return number, f"q:{system}|{code}"
