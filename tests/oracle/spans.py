"""Dates and numbers as ranges, and what each prefix says of two ranges. https://hl7.org/fhir/R4/search.html#prefix"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tests.oracle.drawing import Resource
from tests.oracle.values import Value

Interval = tuple[datetime, datetime]
Range = tuple[Decimal, Decimal]

FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_LEAST = Decimal("1e-12")
"""Less than any two numbers of the universe differ: how far an open end is from the number it leaves out."""
_INFINITE = Decimal("Infinity")
_MINUTE = re.compile(r".*T\d\d:\d\d(Z|[+-]\d\d:\d\d)?")
_FRACTION = re.compile(r"\.(\d+)")


def prefixed(text: str) -> tuple[str, str]:
    """The prefix and the rest; no prefix means eq."""
    return (text[:2], text[2:]) if text[:2].isalpha() else ("eq", text)


# Dates.


def interval(text: str) -> Interval:
    """A date of any precision as [start, end); without a zone it is UTC."""
    if "T" in text:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        fraction = _FRACTION.search(text)
        if fraction:
            return moment, moment + timedelta(seconds=1) / 10 ** len(fraction[1])
        return moment, moment + (timedelta(minutes=1) if _MINUTE.fullmatch(text) else timedelta(seconds=1))
    parts = [int(part) for part in text.split("-")]
    start = datetime(parts[0], parts[1] if len(parts) > 1 else 1, parts[2] if len(parts) > 2 else 1, tzinfo=UTC)
    if len(parts) == 1:
        return start, start.replace(year=start.year + 1)
    if len(parts) == 2:
        return start, start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return start, start + timedelta(days=1)


def period(value: Resource) -> Interval:
    """A Period as [start, end), open where an end is missing."""
    return (
        interval(value["start"])[0] if "start" in value else FIRST,
        interval(value["end"])[1] if "end" in value else LAST,
    )


def date_of(found: Value) -> Interval | None:
    """The interval of a value; None for a Timing that names no date."""
    if found.type == "Period":
        return period(found.value)
    if found.type != "Timing":
        return interval(found.value)
    all_of = [interval(event) for event in found.value.get("event", [])]
    if "boundsPeriod" in found.value.get("repeat", {}):
        all_of.append(period(found.value["repeat"]["boundsPeriod"]))
    return (min(low for low, _ in all_of), max(high for _, high in all_of)) if all_of else None


def date_matches(found: Interval, text: str) -> bool:
    """Whether an interval meets a date of a search with its prefix."""
    prefix, written = prefixed(text)
    (low, high), (start, end) = found, interval(written)
    contained = start <= low and high <= end
    if prefix == "ap":
        margin = abs(datetime.now(UTC) - start) / 10
        return high > start - margin and low < end + margin
    return {
        "eq": contained,
        "ne": not contained,
        "gt": high > end,
        "lt": low < start,
        "ge": high > end or contained,
        "le": low < start or contained,
        "sa": low >= end,
        "eb": high <= start,
    }[prefix]


# Numbers.


def compared(value: Decimal, comparator: str | None) -> Range:
    """A Quantity's value with its comparator as a range."""
    return {
        None: (value, value),
        "<": (-_INFINITE, value - _LEAST),
        "<=": (-_INFINITE, value),
        ">": (value + _LEAST, _INFINITE),
        ">=": (value, _INFINITE),
    }[comparator]


def range_of(value: Resource) -> Range | None:
    """A Range, open where an end is missing."""
    if "low" not in value and "high" not in value:
        return None
    return (
        value["low"]["value"] if "low" in value else -_INFINITE,
        value["high"]["value"] if "high" in value else _INFINITE,
    )


def sampled(value: Resource) -> Range | None:
    """From the least to the greatest point of a SampledData; None where no point is a number."""
    points = [
        value["origin"]["value"] + value["factor"] * Decimal(point)
        for point in value["data"].split()
        if point not in ("E", "U", "L")
    ]
    return (min(points), max(points)) if points else None


def half(text: str) -> Decimal:
    """Half of the last digit that is written: what rounds to 100 lies less than 0.5 away, and 1e2 means 95 to 105."""
    digits, _, exponent = text.lower().partition("e")
    decimals = len(digits.partition(".")[2])
    return Decimal(5).scaleb(int(exponent) - decimals - 2 if exponent else -decimals - 1)


def number_matches(found: Range, text: str, factor: Decimal = Decimal(1)) -> bool:
    """Whether a range meets a number of a search with its prefix; ``factor`` brings the number to the range's unit."""
    prefix, written = prefixed(text)
    (low, high), value, width = found, Decimal(written) * factor, half(written) * factor
    inside = value - width <= low and high < value + width
    if prefix == "ap":
        margin = max(abs(value) / 10, width)
        return high >= value - margin and low <= value + margin
    return {
        "eq": inside,
        "ne": not inside,
        "gt": high > value,
        "ge": high >= value,
        "lt": low < value,
        "le": low <= value,
        "sa": low > value,
        "eb": high < value,
    }[prefix]
