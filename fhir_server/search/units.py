"""The unit of a quantity as it is written to the index and searched. https://hl7.org/fhir/R4/search.html#quantity

A unit is hashed as ``q:{system}|{code}`` and, for searches that name no system, as ``q:|{code}`` and ``q:|{unit}``;
``q:|`` stands for none.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from fhir_server.crypto.hashing import Hasher
from fhir_server.search import number_ranges
from fhir_server.search.number_ranges import Range
from fhir_server.search.values import split, unescape

CURRENCIES = "urn:iso:std:iso:4217"
"""The code system of Money.currency. https://hl7.org/fhir/R4/valueset-currencies.html"""

_LONGEST_KEPT = 200


@lru_cache(maxsize=1_024)
def canonical_param(param: int) -> int:
    """The number under which the index holds each value of a quantity parameter once, in canonical units."""
    return param


QUANTITIES = frozenset({"Quantity", "SimpleQuantity", "Age", "Count", "Distance", "Duration", "MoneyQuantity"})


def written(type_name: str, value: dict[str, Any], hasher: Hasher) -> tuple[Range, tuple[int, ...]] | None:
    """The range and the unit hashes of a Quantity, Money, Range or SampledData; None where there is no number."""
    if type_name in QUANTITIES:
        number = value.get("value")
        return None if number is None else (number_ranges.compared(number, value.get("comparator")), _of(value, hasher))
    if type_name == "Money":
        number, currency = value.get("value"), value.get("currency")
        if number is None:
            return None
        return number_ranges.compared(number, None), _hashes(hasher, currency and CURRENCIES, currency, None)
    if type_name == "Range":
        limits = number_ranges.of_range(value)
        return None if limits is None else (limits, _of(value.get("low") or value.get("high") or {}, hasher))
    if type_name == "SampledData":
        limits = number_ranges.of_sampled_data(value)
        return None if limits is None else (limits, _of(value.get("origin", {}), hasher))
    return None


def _of(value: dict[str, Any], hasher: Hasher) -> tuple[int, ...]:
    system, code, unit = value.get("system"), value.get("code"), value.get("unit")
    # Units are few and come with every measurement; what is longer than any is not worth remembering.
    if len(f"{system}{code}{unit}") > _LONGEST_KEPT:
        return _hashes(hasher, system, code, unit)
    return _kept_hashes(hasher, system, code, unit)


def _hashes(hasher: Hasher, system: str | None, code: str | None, unit: str | None) -> tuple[int, ...]:
    found = []
    if code is not None:
        if system is not None:
            found.append(f"q:{system}|{code}")
        found.append(f"q:|{code}")
    if unit is not None and unit != code:
        found.append(f"q:|{unit}")
    return tuple(hasher.uncached(name) for name in found or ["q:|"])


_kept_hashes = lru_cache(maxsize=4_096)(_hashes)


@lru_cache(maxsize=4_096)
def as_text(hashes: tuple[int, ...]) -> str:
    """Unit hashes as idx_composite holds them: decimal, with spaces between."""
    return " ".join(map(str, hashes))


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
