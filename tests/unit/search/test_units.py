"""Quantities as they are written and searched, held against fractions. https://hl7.org/fhir/R4/search.html#quantity"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import inf, nextafter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.r4 import definitions
from fhir_server.search import number_ranges, units
from fhir_server.search.number_ranges import Range
from fhir_server.search.registry import parameters
from fhir_server.search.sql import SqlParameters
from fhir_server.search.types import quantity
from fhir_server.search.values import PREFIXES
from fhir_server.store.index_rows import IndexRows
from tests.unit.search.searching import HASHER
from tests.unit.search.sql_oracle import Row

UCUM = "http://unitsofmeasure.org"

# Units of one dimension each: factor and what is added before it, from the tables of https://ucum.org/ucum
DIMENSIONS: list[dict[str, tuple[str, str]]] = [
    {
        "mg": ("1", "0"),
        "g": ("1000", "0"),
        "kg": ("1000000", "0"),
        "ug": ("1/1000", "0"),
        "[lb_av]": ("453592.37", "0"),
    },
    {"mmol/L": ("1", "0"), "mol/m3": ("1", "0"), "umol/L": ("1/1000", "0"), "nmol/mL": ("1/1000", "0")},
    {"mg/dL": ("1", "0"), "g/L": ("100", "0"), "ng/mL": ("1/10000", "0")},
    {"mm[Hg]": ("133.322", "0"), "kPa": ("1000", "0"), "Pa": ("1", "0")},
    {"Cel": ("1", "273.15"), "K": ("1", "0"), "[degF]": ("5/9", "459.67")},
    {"min": ("60", "0"), "h": ("3600", "0"), "d": ("86400", "0"), "s": ("1", "0"), "wk": ("604800", "0")},
    {"%": ("1/100", "0"), "1": ("1", "0"), "[ppm]": ("1/1000000", "0"), "{score}": ("1", "0")},
]
UNITS = st.sampled_from(DIMENSIONS).flatmap(
    lambda units: st.tuples(st.sampled_from(sorted(units.items())), st.sampled_from(sorted(units.items())))
)
NUMBERS = st.integers(-99_999, 99_999).flatmap(
    lambda n: st.integers(0, 4).map(lambda places: Decimal(n).scaleb(-places))
)


def meaning(number: Decimal | Fraction, unit: tuple[str, str]) -> Fraction:
    """A number of a unit, exactly, in the unit that all of its dimension are given in."""
    return (Fraction(number) + Fraction(unit[1])) * Fraction(unit[0])


def stated(meant: Fraction, unit: tuple[str, str]) -> Fraction:
    """The number of a unit that means this."""
    return meant / Fraction(unit[0]) - Fraction(unit[1])


def written(**value: Any) -> units.Written:
    found = units.written("Quantity", value, HASHER)
    assert found is not None
    return found


def finds(search: str, found: units.Written) -> bool:
    """Whether a search value finds the canonical row of a quantity."""
    searched = units.searched(search)
    assert searched.canonical
    prefix = search[:2] if search[:2] in PREFIXES else ""
    number, half = number_ranges.searched(searched.number.removeprefix(prefix))
    sql = SqlParameters(1)
    condition = number_ranges.comparison(prefix or "eq", number, half, sql, "low", "high", searched.scale)
    same = HASHER(searched.variant) == found.unit.canonical
    return same and Row(*found.canonical).satisfies(condition, sql)


def expected(prefix: str, number: Decimal, half: Decimal, searched: tuple[str, str], exact: Fraction) -> bool:
    """What a comparison says by its definition, in fractions."""
    point, low, high = (meaning(n, searched) for n in (number, number - half, number + half))
    margin = max(abs(number) / 10, half)
    return {
        "eq": low <= exact < high,
        "ne": not low <= exact < high,
        "gt": exact > point,
        "lt": exact < point,
        "ge": exact >= point,
        "le": exact <= point,
        "sa": exact > point,
        "eb": exact < point,
        "ap": meaning(number - margin, searched) <= exact <= meaning(number + margin, searched),
    }[prefix]


@given(value=NUMBERS, number=NUMBERS, pair=UNITS, prefix=st.sampled_from(PREFIXES))
def test_every_prefix_over_any_units(value: Decimal, number: Decimal, pair: Any, prefix: str) -> None:
    (code, unit), (searched_code, searched_unit) = pair
    text = format(number, "f")
    number, half = number_ranges.searched(text)
    found = finds(f"{prefix}{text}|{UCUM}|{searched_code}", written(value=value, system=UCUM, code=code))
    assert found is expected(prefix, number, half, searched_unit, meaning(value, unit))


@given(number=NUMBERS, pair=UNITS, prefix=st.sampled_from(PREFIXES), end=st.sampled_from([-1, 0, 1]))
def test_the_very_limits_of_a_search(number: Decimal, pair: Any, prefix: str, end: int) -> None:
    (code, unit), (searched_code, searched_unit) = pair
    text = format(number, "f")
    number, half = number_ranges.searched(text)
    limit = stated(meaning(number + end * half, searched_unit), unit)
    value = Decimal(limit.numerator) / Decimal(limit.denominator)
    if Fraction(value) != limit:
        return  # a third of a degree cannot be stated in decimals
    found = finds(f"{prefix}{text}|{UCUM}|{searched_code}", written(value=value, system=UCUM, code=code))
    assert found is expected(prefix, number, half, searched_unit, meaning(value, unit))


@given(NUMBERS, UNITS)
def test_equal_quantities_have_the_same_canonical_row(number: Decimal, pair: Any) -> None:
    (code, unit), (other_code, other_unit) = pair
    other = stated(meaning(number, unit), other_unit)
    value = Decimal(other.numerator) / Decimal(other.denominator)
    if Fraction(value) != other:
        return
    one = written(value=number, system=UCUM, code=code)
    two = written(value=value, system=UCUM, code=other_code)
    assert (one.canonical, one.unit.canonical) == (two.canonical, two.unit.canonical)


@pytest.mark.parametrize(
    ("type_name", "value", "canonical", "unit"),
    [
        ("Quantity", {"value": 5, "system": UCUM, "code": "mg", "unit": "milligram"}, (0.005, 0.005), f"q:{UCUM}|g"),
        ("Quantity", {"value": 5, "comparator": "<", "system": UCUM, "code": "kg"},
         (-inf, nextafter(5000.0, -inf)), f"q:{UCUM}|g"),
        ("Age", {"value": 1, "comparator": ">=", "system": UCUM, "code": "h"}, (3600.0, inf), f"q:{UCUM}|s"),
        ("Quantity", {"value": 5, "system": UCUM, "code": "milligram"}, (5.0, 5.0), f"q:{UCUM}|milligram"),
        ("Quantity", {"value": 5, "system": UCUM, "unit": "mg"}, (5.0, 5.0), "q:|mg"),
        ("Quantity", {"value": 5, "system": "http://snomed.info/sct", "code": "258684004", "unit": "mg"},
         (5.0, 5.0), "q:http://snomed.info/sct|258684004"),
        ("Quantity", {"value": 5, "code": "mg", "unit": "milligram"}, (5.0, 5.0), "q:|mg"),
        ("Quantity", {"value": 5}, (5.0, 5.0), "q:|"),
        ("Quantity", {"value": 5, "system": UCUM, "code": "x" * 400, "unit": "y" * 400},
         (5.0, 5.0), f"q:{UCUM}|{'x' * 400}"),
        ("Quantity", {"value": 10**1000, "system": UCUM, "code": "mg"}, (inf, inf), f"q:{UCUM}|g"),
        ("Money", {"value": Decimal("9.99"), "currency": "EUR"}, (9.99, 9.99), "q:urn:iso:std:iso:4217|EUR"),
        ("Money", {"value": Decimal("9.99")}, (9.99, 9.99), "q:|"),
        ("Range", {"low": {"value": 1, "system": UCUM, "code": "g"},
          "high": {"value": 2, "system": UCUM, "code": "kg"}},
         (1.0, 2000.0), f"q:{UCUM}|g"),
        ("Range", {"high": {"value": 2, "system": UCUM, "code": "kg"}}, (-inf, 2000.0), f"q:{UCUM}|g"),
        ("Range", {"low": {"value": 1, "system": UCUM, "code": "kg"}, "high": {"value": 2}},
         (1000.0, 2000.0), f"q:{UCUM}|g"),
        ("Range", {"low": {"value": 1}, "high": {"value": 2}}, (1.0, 2.0), "q:|"),
        ("SampledData", {"origin": {"value": 0, "system": UCUM, "code": "kPa"}, "data": "1 E 3"},
         (1e6, 3e6), f"q:{UCUM}|g.m-1.s-2"),
    ],
    ids=lambda _: "",
)  # fmt: skip
def test_the_one_canonical_row(type_name: str, value: dict[str, Any], canonical: Range, unit: str) -> None:
    rows = IndexRows()
    quantity.EXTRACT[type_name](value, (1, 2), rows, HASHER)
    for param in (1, 2):
        assert [row[1:] for row in rows.quantities if row[0] == units.canonical_param(param)] == [
            (*canonical, HASHER(unit))
        ]
        assert 1 <= sum(row[0] == param for row in rows.quantities) <= 2


@pytest.mark.parametrize(
    ("type_name", "value"),
    [("Quantity", {"unit": "mg"}), ("Money", {"currency": "EUR"}), ("Range", {}), ("SampledData", {"data": "E"})],
)
def test_what_has_no_number_has_no_row(type_name: str, value: dict[str, Any]) -> None:
    rows = IndexRows()
    quantity.EXTRACT[type_name](value, (1,), rows, HASHER)
    assert rows.quantities == []


def test_searches_without_a_system_ask_for_what_was_stated() -> None:
    assert units.searched("5") == units.Searched("5")
    assert units.searched("5||") == units.Searched("5")
    assert units.searched("lt5||mg") == units.Searched("lt5", "q:|mg")
    assert units.searched(f"5|{UCUM}|no unit") == units.Searched("5", f"q:{UCUM}|no unit", canonical=True)
    assert units.searched(r"5|http://a|b\|c") == units.Searched("5", "q:http://a|b|c", canonical=True)


def test_no_canonical_param_is_that_of_another_parameter() -> None:
    all_params, canonical = set(), set()
    for resource_type in definitions.load().resource_types:
        for parameter in parameters(resource_type).values():
            all_params.add(parameter.param)
            if parameter.type == "quantity":
                canonical.add(units.canonical_param(parameter.param))
    assert len(canonical) > 30
    assert not canonical & all_params
