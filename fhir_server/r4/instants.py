"""FHIR dates and times as intervals of microseconds since 1970 UTC. https://hl7.org/fhir/R4/datatypes.html#dateTime

A date of any precision is the interval [low, high) of all instants that it may mean. https://hl7.org/fhir/R4/search.html#date
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

MIN = -(1 << 63)
"""The low end of an interval that is open below."""
MAX = (1 << 63) - 1
"""The high end of an interval that is open above."""

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORMAT = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)
# Where the instants of usual lengths have their signs: 2026-11-25T17:48:29Z and 2026-11-25T17:48:29.123+01:00.
_WIDTHS = {20: SECOND, 24: 1_000, 25: SECOND, 29: 1_000}


def interval(text: str) -> tuple[int, int]:
    """A date, dateTime or instant of any precision as [low, high), in microseconds since 1970 UTC.

    Seconds and the zone may be left out, as in searches; no zone means UTC. Second 60 is the first of the next minute.
    Raises ValueError for anything else. https://hl7.org/fhir/R4/search.html#date
    """
    length = len(text)
    if length == 10 and text[4] == "-" == text[7]:
        low = (date.fromisoformat(text).toordinal() - _EPOCH_ORDINAL) * DAY
        return low, low + DAY
    width = _WIDTHS.get(length)
    if width is None or text[17] == "6":
        return _any_interval(text)
    if text[4] != "-" or text[7] != "-" or text[10] != "T" or text[13] != ":" or text[16] != ":":
        return _any_interval(text)
    if width == 1_000 and text[19] != ".":
        return _any_interval(text)
    if length in (20, 24):
        if text[-1] != "Z":
            return _any_interval(text)
    elif text[-6] not in "+-" or text[-3] != ":":
        return _any_interval(text)
    elif text[-2] > "5" or not (text[-5:-3] < "14" or text[-5:] == "14:00"):
        raise ValueError("the zone must be Z or between -14:00 and +14:00")
    since = datetime.fromisoformat(text) - _EPOCH
    low = (since.days * 86_400 + since.seconds) * SECOND + since.microseconds
    return low, low + width


def _any_interval(text: str) -> tuple[int, int]:
    match = _FORMAT.fullmatch(text)
    if match is None:
        raise ValueError("not a date, dateTime or instant")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    first = date(int(year), int(month or 1), int(day or 1))
    low = (first.toordinal() - _EPOCH_ORDINAL) * DAY
    if month is None:
        return low, low + (366 if monthrange(first.year, 2)[1] == 29 else 365) * DAY
    if day is None:
        return low, low + monthrange(first.year, first.month)[1] * DAY
    if hour is None:
        return low, low + DAY
    if int(hour) > 23 or int(minute) > 59 or int(second or 0) > 60:
        raise ValueError("hour must be in 0..23, minute in 0..59, second in 0..60")
    low += int(hour) * 60 * MINUTE + int(minute) * MINUTE + int(second or 0) * SECOND - _offset(zone)
    if second is None:
        return low, low + MINUTE
    if fraction is None:
        return low, low + SECOND
    # Beyond microseconds nothing can be told apart: the interval is the microsecond that the value falls in.
    digits = fraction[:6]
    return low + int(digits.ljust(6, "0")), low + int(digits.ljust(6, "0")) + 10 ** (6 - len(digits))


def _offset(zone: str | None) -> int:
    if zone is None or zone == "Z":
        return 0
    minutes = int(zone[1:3]) * 60 + int(zone[4:])
    if minutes > 14 * 60 or int(zone[4:]) > 59:
        raise ValueError("the zone must be Z or between -14:00 and +14:00")
    return (-minutes if zone[0] == "-" else minutes) * MINUTE


def period(value: dict[str, Any]) -> tuple[int, int]:
    """A Period as [low, high); an end that is not given is open. https://hl7.org/fhir/R4/datatypes.html#Period

    Raises ValueError when an end is no dateTime.
    """
    start, end = value.get("start"), value.get("end")
    return MIN if start is None else interval(start)[0], MAX if end is None else interval(end)[1]


def timing(value: dict[str, Any]) -> tuple[int, int] | None:
    """The outer limits of a Timing: its events and the Period that bounds it; None when it has neither.

    The schedule between the limits does not count. https://hl7.org/fhir/R4/search.html#date
    """
    found = [interval(event) for event in value.get("event", ()) if event is not None]
    bounds = value.get("repeat", {}).get("boundsPeriod")
    if bounds is not None:
        found.append(period(bounds))
    if not found:
        return None
    return min(low for low, _ in found), max(high for _, high in found)


@lru_cache(maxsize=8192)
def format_instant(us: int) -> str:
    """Microseconds since 1970 UTC as an instant in milliseconds: ``2026-11-25T17:48:29.123Z``.

    Raises OverflowError outside the years 1-9999. https://hl7.org/fhir/R4/datatypes.html#instant
    """
    return (_EPOCH + timedelta(microseconds=us)).isoformat(timespec="milliseconds")[:-6] + "Z"
