"""Dates and times: what exists, and in which order. https://hl7.org/fhirpath/N1/#datetime-comparison"""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.fhirpath.quantity import Quantity
from fhir_server.fhirpath.temporal import add_time, compare_temporals, parse_temporal


@pytest.mark.parametrize(
    ("text", "kind", "fields"),
    [
        ("2015", "date", (2015,)),
        ("2015-02-28", "date", (2015, 2, 28)),
        ("2015T", "dateTime", (2015,)),
        ("2015-02-04T14", "dateTime", (2015, 2, 4, 14)),
        ("2016-12-31T23:59:60Z", "dateTime", (2016, 12, 31, 23, 59, Decimal(60))),
        ("14:30:05.250", "time", (14, 30, Decimal("5.250"))),
        ("2015-02-29", "date", None),
        ("2015-13", "date", None),
        ("2015-02-04T14:30", "date", None),
        ("25:00", "time", None),
        ("2015-02-04T14:30:61Z", "dateTime", None),
        ("0000", "date", None),
        ("15", "date", None),
        ("\u0662\u0660\u0661\u0665", "date", None),
        ("2015-02-04T14:30:00.", "dateTime", None),
    ],
)
def test_parse(text: str, kind: str, fields: tuple[int, ...] | None) -> None:
    parsed = parse_temporal(text, kind)
    assert (None if parsed is None else parsed.fields) == fields


MOMENTS = st.datetimes(datetime(1900, 1, 2), datetime(2100, 1, 1)).map(lambda d: d.replace(microsecond=0))  # noqa: DTZ001
ZONES = st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def written(moment: datetime) -> str:
    text = moment.isoformat()
    return text.replace("+00:00", "Z")


@given(MOMENTS, ZONES, MOMENTS, ZONES)
def test_order_is_that_of_instants(first: datetime, zone: timezone, second: datetime, other: timezone) -> None:
    a, b = first.replace(tzinfo=zone), second.replace(tzinfo=other)
    left, right = (parse_temporal(written(moment), "dateTime") for moment in (a, b))
    assert left is not None
    assert right is not None
    assert compare_temporals(left, right) == (a > b) - (a < b)
    assert str(left) == written(a)


@given(MOMENTS, MOMENTS, st.sampled_from([4, 7, 10]), st.sampled_from([4, 7, 10]))
def test_order_is_told_only_where_precision_allows(first: datetime, second: datetime, left: int, right: int) -> None:
    a, b = first.isoformat()[:left], second.isoformat()[:right]
    one, two = parse_temporal(a, "date"), parse_temporal(b, "date")
    assert one is not None
    assert two is not None
    shared = min(left, right)
    if a[:shared] != b[:shared]:
        assert compare_temporals(one, two) == (1 if a[:shared] > b[:shared] else -1)
    else:
        assert compare_temporals(one, two) == (0 if left == right else None)


@given(MOMENTS, st.integers(-10_000, 10_000), st.sampled_from([("day", 86400), ("hour", 3600), ("second", 1)]))
def test_adding_is_that_of_the_calendar(moment: datetime, count: int, unit: tuple[str, int]) -> None:
    start = parse_temporal(written(moment.replace(tzinfo=UTC)), "dateTime")
    assert start is not None
    moved = add_time(start, Quantity(Decimal(count), unit[0], True), 1)
    assert str(moved) == written(moment.replace(tzinfo=UTC) + timedelta(seconds=count * unit[1]))
    assert moved is not None
    assert add_time(moved, Quantity(Decimal(count), unit[0], True), -1) == start


@given(st.dates(datetime(1900, 1, 1).date(), datetime(2100, 1, 1).date()), st.integers(0, 500))  # noqa: DTZ001
def test_adding_months_keeps_the_day_where_it_exists(day: object, months: int) -> None:
    start = parse_temporal(str(day), "date")
    assert start is not None
    moved = add_time(start, Quantity(Decimal(months), "month", True), 1)
    assert moved is not None
    year, month, number = (int(field) for field in moved.fields)
    assert (year * 12 + month) - (int(start.fields[0]) * 12 + int(start.fields[1])) == months
    assert number == min(int(start.fields[2]), calendar.monthrange(year, month)[1])


@pytest.mark.parametrize(
    ("start", "count", "unit", "expected"),
    [
        ("2015", 24, "month", "2017"),
        ("2015", 730, "day", "2017"),
        ("2015-02", 31, "day", "2015-03"),
        ("9999", 1, "year", None),
        ("0001-01-01", -1, "day", None),
    ],
)
def test_adding_to_less_precise_dates(start: str, count: int, unit: str, expected: str | None) -> None:
    temporal = parse_temporal(start, "date")
    assert temporal is not None
    moved = add_time(temporal, Quantity(Decimal(count), unit, True), 1)
    assert (None if moved is None else str(moved)) == expected
