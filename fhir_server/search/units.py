"""The unit of a quantity as it is written to the index and searched. https://hl7.org/fhir/R4/search.html#quantity

A quantity has rows of two kinds:

- as stated, under its parameter: one for the hash of each ``q:|{code}`` and ``q:|{unit}``, or of ``q:|`` where it has
  neither. Searches that name no system read these.
- canonical, exactly one, under `canonical_param`. Where UCUM knows the unit, it holds the number in base units and the
  hash of ``q:http://unitsofmeasure.org|{base units}``; else the number as stated and the hash of ``q:{system}|{code}``,
  or that of the row as stated. Searches that name a system read it, and it is what results are sorted by.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from sys import getsizeof
from typing import Any, NamedTuple

from fhir_server.crypto.hashing import Hasher, param_id
from fhir_server.search import number_ranges, ucum
from fhir_server.search.number_ranges import Range, Scale
from fhir_server.search.values import split, unescape

CURRENCIES = "urn:iso:std:iso:4217"
"""The code system of Money.currency. https://hl7.org/fhir/R4/valueset-currencies.html"""

_MOST_KEPT = 300


QUANTITIES = frozenset({"Quantity", "SimpleQuantity", "Age", "Count", "Distance", "Duration", "MoneyQuantity"})


@lru_cache(maxsize=2_048)
def canonical_param(param: int) -> int:
    """The number under which the canonical rows of a quantity parameter stand, derived from the parameter's own."""
    return param_id(f"{param}#canonical")


class Unit(NamedTuple):
    """A unit of the index: hashes for the rows as stated and for the canonical row, and the way into the latter.

    ``base`` is the UCUM code that canonical numbers are in, "" where they are as stated. ``text`` is for composites:
    the hashes by which their row as stated is found, decimal with spaces between.
    """

    hashes: tuple[int, ...]
    canonical: int
    scale: Scale
    base: str
    text: str


class Written(NamedTuple):
    """A quantity as the index holds it: the range as stated, the canonical one, and the unit of both."""

    stated: Range
    canonical: Range
    unit: Unit


def written(type_name: str, value: dict[str, Any], hasher: Hasher) -> Written | None:
    """What is written of a Quantity, Money, Range or SampledData; None where there is no number."""
    if type_name in QUANTITIES:
        number = value.get("value")
        if number is None:
            return None
        system, code, unit = value.get("system"), value.get("code"), value.get("unit")
        # One quantity is asked for by several parameters, and many patients have the same. What is longer than any
        # measurement is not worth remembering.
        if getsizeof(number) + len(f"{system}{code}{unit}") < _MOST_KEPT:
            return _kept_number(hasher, system, code, unit, number, value.get("comparator"))
        return _of_number(hasher, system, code, unit, number, value.get("comparator"))
    if type_name == "Money":
        number, currency = value.get("value"), value.get("currency")
        return None if number is None else _of_number(hasher, currency and CURRENCIES, currency, None, number, None)
    if type_name == "Range":
        return _of_range(value, hasher)
    if type_name == "SampledData":
        limits = number_ranges.of_sampled_data(value)
        if limits is None:
            return None
        sampled = _of(value.get("origin", {}), hasher)
        return Written(limits, (sampled.scale(limits[0]), sampled.scale(limits[1])), sampled)
    return None


def _of_number(
    hasher: Hasher,
    system: str | None,
    code: str | None,
    unit: str | None,
    number: int | Decimal,
    comparator: str | None,
) -> Written:
    meaning = _unit(hasher, system, code, unit)
    stated = number_ranges.compared(number, comparator)
    canonical = number_ranges.compared(number, comparator, meaning.scale) if meaning.base else stated
    return Written(stated, canonical, meaning)


_kept_number = lru_cache(maxsize=8_192)(_of_number)


def _of_range(value: dict[str, Any], hasher: Hasher) -> Written | None:
    stated = number_ranges.of_range(value)
    if stated is None:
        return None
    low, high = value.get("low"), value.get("high")
    unit, other = _of(low or high or {}, hasher), _of(high or low or {}, hasher)
    if other.canonical != unit.canonical:
        # The ends of a Range have one unit, or else none that could be compared.
        other = unit
    canonical = number_ranges.of_range(value, unit.scale, other.scale)
    return None if canonical is None else Written(stated, canonical, unit)


def _of(value: dict[str, Any], hasher: Hasher) -> Unit:
    return _unit(hasher, value.get("system"), value.get("code"), value.get("unit"))


def _unit(hasher: Hasher, system: str | None, code: str | None, unit: str | None) -> Unit:
    if len(f"{system}{code}{unit}") < _MOST_KEPT:
        return _kept_unit(hasher, system, code, unit)
    return _new_unit(hasher, system, code, unit)


def _new_unit(hasher: Hasher, system: str | None, code: str | None, unit: str | None) -> Unit:
    stated = [f"q:|{code}"] if code is not None else []
    if unit is not None and unit != code:
        stated.append(f"q:|{unit}")
    hashes = tuple(hasher.uncached(name) for name in stated or ["q:|"])
    text = " ".join(map(str, hashes))
    if system is None or code is None:
        return Unit(hashes, hashes[0], number_ranges.exact, "", text)
    name, scale, base = _canonical(system, code)
    canonical = hasher.uncached(name)
    return Unit(hashes, canonical, scale, base, text if base else f"{canonical} {text}")


_kept_unit = lru_cache(maxsize=2_048)(_new_unit)


def _canonical(system: str, code: str) -> tuple[str, Scale, str]:
    """What is hashed for the canonical unit of a system and code, the way into it, and the UCUM base or ""."""
    meaning = ucum.unit(code) if system == ucum.SYSTEM else None
    if meaning is None:
        return f"q:{system}|{code}", number_ranges.exact, ""
    return f"q:{system}|{meaning.base}", meaning.in_base, meaning.base


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search value asks for: the number with its prefix, and a unit.

    ``variant`` is what the unit's hash is of, "" for any unit; ``canonical`` says that it is one of canonical rows.
    ``scale`` leads to the numbers of these rows, and ``base`` is the UCUM code they are in, "" as stated.
    """

    number: str
    variant: str = ""
    canonical: bool = False
    scale: Scale = number_ranges.exact
    base: str = ""


def searched(text: str) -> Searched:
    """A search value ``number``, ``number|system|code`` or ``number||code``.

    Raises ValueError that says what would be right. https://hl7.org/fhir/R4/search.html#quantity
    """
    parts = split(text, "|")
    if len(parts) == 1:
        return Searched(parts[0])
    if len(parts) != 3:
        raise ValueError("a quantity is written as number, number|system|code or number||code")
    number, system, code = parts[0], unescape(parts[1]), unescape(parts[2])
    if not code:
        if system:
            raise ValueError("a quantity with a system also needs a code: number|system|code")
        return Searched(number)
    if not system:
        return Searched(number, f"q:|{code}")
    variant, scale, base = _canonical(system, code)
    return Searched(number, variant, canonical=True, scale=scale, base=base)
