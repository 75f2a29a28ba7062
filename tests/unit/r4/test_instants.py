"""Intervals of FHIR dates against datetime and by hand. https://hl7.org/fhir/R4/datatypes.html#dateTime"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fhir_server.r4 import instants
from fhir_server.validation.primitives import DATE, DATE_TIME, INSTANT

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
ZONES = st.integers(-14 * 60, 14 * 60)


def zone_text(minutes: int) -> str:
    if minutes == 0:
        return "Z"
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


@given(st.datetimes(), ZONES, st.integers(0, 9))
def test_a_time_with_fraction_is_the_interval_of_its_precision(moment: datetime, zone: int, digits: int) -> None:
    fraction = f"{moment.microsecond:06}000"[:digits]
    text = f"{moment:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + (f".{fraction}" if digits else "") + zone_text(zone)
    seen = moment.replace(microsecond=int(fraction[:6].ljust(6, "0")), tzinfo=UTC)
    expected = (seen - EPOCH) // MICROSECOND - zone * instants.MINUTE
    assert instants.interval(text) == (expected, expected + 10 ** (6 - min(digits, 6)))


@given(st.dates())
def test_a_day_a_month_and_a_year_end_where_the_next_begins(day: date) -> None:
    ordinal = day.toordinal() - date(1970, 1, 1).toordinal()
    low, high = instants.interval(day.isoformat())
    assert (low, high) == (ordinal * instants.DAY, (ordinal + 1) * instants.DAY)
    month_low, month_high = instants.interval(day.isoformat()[:7])
    year_low, year_high = instants.interval(day.isoformat()[:4])
    assert year_low <= month_low <= low < high <= month_high <= year_high
    if day.year < 9999:
        assert year_high == instants.interval(f"{day.year + 1:04}")[0]
        following = (day.replace(day=1) + timedelta(days=31)).isoformat()[:7]
        assert month_high == instants.interval(following)[0]


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("1970", 0, 365 * instants.DAY),
        ("1972", 730 * instants.DAY, (730 + 366) * instants.DAY),
        ("1970-01-01T00:00", 0, instants.MINUTE),
        ("1970-01-01T00:00+01:00", -60 * instants.MINUTE, -59 * instants.MINUTE),
        ("1970-01-01T00:00:00", 0, instants.SECOND),
        ("1970-01-01T00:00:60Z", instants.MINUTE, instants.MINUTE + instants.SECOND),
        ("1970-01-01T00:00:60.500Z", instants.MINUTE + 500_000, instants.MINUTE + 501_000),
        ("1970-01-01T00:00:00.1234567Z", 123_456, 123_457),
        ("1970-01-01T00:00:00.123-14:00", 14 * 60 * instants.MINUTE + 123_000, 14 * 60 * instants.MINUTE + 124_000),
    ],
)
def test_known_intervals(text: str, low: int, high: int) -> None:
    assert instants.interval(text) == (low, high)


def test_the_ends_of_time_are_exact() -> None:
    assert instants.interval("9999-12-31")[1] - instants.interval("9999-12-31")[0] == instants.DAY
    assert instants.interval("0001-01-01T00:00:00+14:00")[0] == instants.interval("0001")[0] - 14 * 60 * instants.MINUTE
    assert instants.interval("9999")[1] == instants.interval("9999-12")[1] == instants.interval("9999-12-31")[1]


@pytest.mark.parametrize(
    "text",
    [
        "", "20", "0000", "2021-13", "2021-02-30", "20210203", "2021-W01-1", "2021-1-1", "2021-02-03T24:00:00Z",
        "2021-02-03T10:00:00,123Z", "2021-02-03 10:00:00Z", "2021-02-03T10:00:00+14:01", "2021-02-03T10:00:00+05:60",
        "2021-02-03T10:60:00Z", "2021-02-03T10:00:61Z", "2021-02-03T10:00:00.Z", "2021-02-03T10:00:00.123X",
        "\u0662\u0660\u0662\u0661-\u0660\u0662-\u0660\u0663",
        "2021-02-03T10:00:00z", "2021-02-03\n", " 2021-02-03", "2021-02-03T1", "2021-02-03T10Z",
        "2021-02-03T10:00:00+15:00",
        "2021-02-03T10:00:00.000+0100x",
    ],
)  # fmt: skip
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        instants.interval(text)


@given(st.one_of(*(st.from_regex(form, fullmatch=True) for form in (DATE, DATE_TIME, INSTANT))))
@example("0400-02-29T20:00:00.0000Z")  # as long as an instant with a zone in numbers
@example("0400-02-29T20:00:00.00000000Z")
def test_whatever_validation_accepts_is_an_interval(text: str) -> None:
    low, high = instants.interval(text)
    assert instants.MIN < low < high < instants.MAX


@given(st.text(alphabet="0123456789-:TZ+.W ", max_size=32))
def test_anything_is_an_interval_or_a_value_error(text: str) -> None:
    try:
        low, high = instants.interval(text)
    except ValueError:
        return
    assert low < high


def test_a_period_is_open_where_an_end_is_missing() -> None:
    assert instants.period({"start": "1970", "end": "1970-01-02"}) == (0, 2 * instants.DAY)
    assert instants.period({"start": "1970"}) == (0, instants.MAX)
    assert instants.period({"end": "1970-01-01"}) == (instants.MIN, instants.DAY)


def test_a_timing_counts_with_its_outer_limits() -> None:
    events = {"event": ["1970-01-03", None, "1970-01-01"]}
    assert instants.timing(events) == (0, 3 * instants.DAY)
    assert instants.timing({**events, "repeat": {"boundsPeriod": {"start": "1969-12-31"}}}) == (
        -instants.DAY,
        instants.MAX,
    )
    assert instants.timing({"repeat": {"frequency": 1}}) is None


@given(st.datetimes(), st.integers(0, 999))
def test_format_instant_reads_back(moment: datetime, beyond: int) -> None:
    us = (moment.replace(tzinfo=UTC) - EPOCH) // MICROSECOND // 1_000 * 1_000 + beyond
    text = instants.format_instant(us)
    assert len(text) == 24
    assert instants.interval(text) == (us - beyond, us - beyond + 1_000)
