"""Times keep their precision: https://hl7.org/fhir/R4/datatypes.html#dateTime"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hl7_gateway.timestamps import NotATime, date, date_time, instant, time

NEW_YORK = "America/New_York"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("1961", "1961"),
        ("196106", "1961-06"),
        ("19610615", "1961-06-15"),
        ("2024081811", "2024-08-18T11:00:00-04:00"),
        ("202408181126", "2024-08-18T11:26:00-04:00"),
        ("202401181126", "2024-01-18T11:26:00-05:00"),
        ("20240818112615.1234-0600", "2024-08-18T11:26:15.1234-06:00"),
        ("20240818112615+0000", "2024-08-18T11:26:15+00:00"),
        ("19610600", "1961-06"),
        ("19610000", "1961"),
    ],
)
def test_the_precision_that_was_sent(sent: str, expected: str) -> None:
    assert date_time(sent, NEW_YORK) == expected


@pytest.mark.parametrize(
    "sent",
    ["00000000", "000000000000", "0000", "20241301", "20240230", "202408182526", "2024081811261", "yesterday", "",
     "20240818112615-9900", "٢٠٢٤"],
)  # fmt: skip
def test_what_is_no_time(sent: str) -> None:
    with pytest.raises(NotATime) as raised:
        date_time(sent, NEW_YORK)
    assert not sent or sent not in raised.value.said


def test_a_clock_set_back_means_the_earlier() -> None:
    assert date_time("20241103013000", NEW_YORK) == "2024-11-03T01:30:00-04:00"


def test_dates_instants_and_times() -> None:
    assert date("202408181126") == "2024-08-18"
    assert instant("20240818", NEW_YORK) == "2024-08-18T00:00:00-04:00"
    with pytest.raises(NotATime):
        instant("202408", NEW_YORK)
    assert time("1126") == "11:26:00"
    assert time("112615.5") == "11:26:15.5"
    with pytest.raises(NotATime):
        time("2560")


@given(
    st.integers(-2_200_000_000, 4_100_000_000),
    st.sampled_from([NEW_YORK, "Asia/Kolkata", "UTC", "Australia/Lord_Howe"]),
)
def test_the_same_moment(seconds: int, zone: str) -> None:
    """What was written is read back as the same moment, by the library's own parser."""
    moment = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
    found = datetime.fromisoformat(date_time(moment.strftime("%Y%m%d%H%M%S"), zone))
    expected = moment.replace(tzinfo=ZoneInfo(zone))
    assert found.replace(tzinfo=None) == moment
    # Offsets of before the railway have seconds, which FHIR cannot write.
    assert abs(found.astimezone(UTC) - expected.astimezone(UTC)) <= timedelta(seconds=30)
