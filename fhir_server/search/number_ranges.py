"""Numbers and quantities as closed ranges of double precision, and their comparison. https://hl7.org/fhir/R4/search.html#number

A number in a resource is exactly what it says, however many digits it has; a number in a search means everything that
rounds to it. A comparator leaves one end open.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from math import inf, isfinite, nextafter
from typing import Any

from fhir_server.search.sql import SqlParameters

Range = tuple[float, float]

Scale = Callable[[float | Decimal], float]
"""How a number becomes the double that the index holds; it keeps their order."""

_NUMBER = re.compile(r"[+-]?(\d{1,400})(?:\.(\d{1,400}))?(?:[eE]([+-]?\d{1,4}))?", re.ASCII)
_MOST_DATA = 1_000_000

_AP_SHARE = Decimal("0.1")
"""``ap`` accepts a tenth of the value on either side, as the specification recommends."""


def exact(value: float | Decimal) -> float:
    """A JSON number as a double; beyond its range it is infinite."""
    try:
        return float(value)
    except OverflowError:
        return inf if value > 0 else -inf


def compared(value: float | Decimal, comparator: str | None, scale: Scale = exact) -> Range:
    """A value with Quantity.comparator as a closed range. https://hl7.org/fhir/R4/valueset-quantity-comparator.html"""
    number = scale(value)
    match comparator:
        case "<":
            return -inf, nextafter(number, -inf)
        case "<=":
            return -inf, number
        case ">":
            return nextafter(number, inf), inf
        case ">=":
            return number, inf
    return number, number


def of_range(value: dict[str, Any], low_scale: Scale = exact, high_scale: Scale = exact) -> Range | None:
    """A Range as a closed range, open where an end is missing; None without both ends. Each end has a scale.

    https://hl7.org/fhir/R4/datatypes.html#Range
    """
    low, high = value.get("low", {}).get("value"), value.get("high", {}).get("value")
    if low is None and high is None:
        return None
    return -inf if low is None else low_scale(low), inf if high is None else high_scale(high)


def of_sampled_data(value: dict[str, Any]) -> Range | None:
    """The range that a SampledData's points span: origin + factor x point; None when no point is a number.

    Data of more than a million characters is not looked at: the limits that it states stand for it, or nothing.
    https://hl7.org/fhir/R4/datatypes.html#SampledData
    """
    origin, data = value.get("origin", {}).get("value"), value.get("data", "")
    if len(data) > _MOST_DATA:
        low, high = value.get("lowerLimit"), value.get("upperLimit")
        return None if low is None or high is None else (exact(low), exact(high))
    points = []
    for text in data.split():
        try:
            points.append(float(text))
        except ValueError:
            continue  # E, U and L stand for points without a number.
    points = [point for point in points if isfinite(point)]
    if origin is None or not points:
        return None
    factor, base = exact(value.get("factor", 1)), exact(origin)
    ends = sorted((base + factor * min(points), base + factor * max(points)))
    return ends[0], ends[1]


def searched(text: str) -> tuple[Decimal, Decimal]:
    """A number of a search with the half width of what rounds to it: 100 is (100, 0.5), 5.40 is (5.40, 0.005).

    In exponential form the digits that are not written count as one more: the specification has 1e2 mean 95 to 105.
    Raises ValueError for anything but a decimal. https://hl7.org/fhir/R4/search.html#number
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise ValueError("a number is written as 100, 100.00 or 1e2")
    decimals = len(match[2] or "")
    exponent = -decimals if match[3] is None else int(match[3]) - decimals - 1
    return Decimal(text), Decimal(5).scaleb(exponent - 1)


def comparison(
    prefix: str, value: Decimal, half: Decimal, sql: SqlParameters, low: str, high: str, scale: Scale = exact
) -> str:
    """The SQL condition on a range's columns for one prefix. https://hl7.org/fhir/R4/search.html#prefix

    ``scale`` is the one that the columns were written with: the limits are taken before it.
    """

    def bind(number: Decimal) -> str:
        return sql.bind(scale(number), "float8")

    def equal() -> str:
        # With more digits than a double has, the number itself and the upper limit are one double.
        end = sql.bind(max(scale(value + half), nextafter(scale(value), inf)), "float8")
        return f"{low} >= {bind(value - half)} AND {low} < {end} AND {high} < {end}"

    match prefix:
        case "eq":
            return equal()
        case "ne":
            return f"NOT ({equal()})"
        case "gt":
            return f"{high} > {bind(value)}"
        case "ge":
            return f"{high} >= {bind(value)}"
        case "lt":
            return f"{low} < {bind(value)}"
        case "le":
            return f"{low} <= {bind(value)}"
        case "sa":
            return f"{low} > {bind(value)}"
        case "eb":
            return f"{high} < {bind(value)}"
    margin = max(abs(value) * _AP_SHARE, half)
    return f"{high} >= {bind(value - margin)} AND {low} <= {bind(value + margin)}"


def least_high(prefix: str, value: Decimal, half: Decimal, scale: Scale = exact) -> float | None:
    """The least end that a range may have which meets a comparison, where that is all that bounds it from below.

    A point that meets it is not less, and only a range of some width may begin below.
    """
    match prefix:
        case "gt" | "ge":
            return scale(value)
        case "ap":
            return scale(value - max(abs(value) * _AP_SHARE, half))
    return None
