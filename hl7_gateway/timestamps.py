"""Times of HL7 v2 as FHIR writes them, with the precision that was sent. https://hl7.org/fhir/R4/datatypes.html#dateTime"""

from __future__ import annotations

import calendar
import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

_STAMP: Final = re.compile(
    r"([0-9]{4})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:\.([0-9]{1,9}))?)?)?)?)?)?"
    r"(?:([+-])([0-9]{2}):?([0-9]{2}))?",
    re.ASCII,
)
_TIME: Final = re.compile(r"([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:\.([0-9]{1,9}))?)?)?(?:[+-][0-9]{4})?", re.ASCII)
_ZEROS: Final = re.compile(r"[0.+-]+")


class NotATime(ValueError):
    """What was sent is no time, or one that cannot be; ``said`` tells why without quoting it."""

    def __init__(self, said: str) -> None:
        self.said = said
        super().__init__(said)


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def date_time(text: str, zone: str) -> str:
    """A dateTime: `1961`, `1961-06`, `2024-08-18T11:26:00-04:00`. Raises NotATime.

    Once there are hours FHIR wants minutes, seconds and an offset: seconds that were not sent are 00, the offset is
    that of ``zone`` at that time where none was sent. Where a clock is set back, the earlier of the two is meant.
    """
    year, month, day, hour, minute, second, fraction, offset = _parts(text)
    if hour is None:
        return "-".join(part for part in (year, month, day) if part is not None)
    second = second or "00"
    minute = minute or "00"
    if offset is None:
        moment = datetime(int(year), int(month or 1), int(day or 1), int(hour), int(minute), tzinfo=_zone(zone))
        minutes = round((moment.utcoffset() or timedelta()).total_seconds() / 60)
        offset = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    return f"{year}-{month}-{day}T{hour}:{minute}:{second}{'.' + fraction if fraction else ''}{offset}"


def date(text: str) -> str:
    """A date: what there is of year, month and day; a time of day is left out. Raises NotATime."""
    year, month, day, *_ = _parts(text)
    return "-".join(part for part in (year, month, day) if part is not None)


def instant(text: str, zone: str) -> str:
    """An instant, which needs at least a day; the time of day that was not sent is midnight. Raises NotATime."""
    found = date_time(text, zone)
    if "T" in found:
        return found
    if len(found) < 10:
        raise NotATime("An instant needs at least a day, as in 20240131.")
    return date_time(found.replace("-", "") + "0000", zone)


def time(text: str) -> str:
    """A time of day, `11:26:00`. Raises NotATime."""
    match = _TIME.fullmatch(text.strip())
    if not match:
        raise NotATime("A time is written as HHMM or HHMMSS.")
    hour, minute, second, fraction = match.groups()
    _bounds(hour, minute, second)
    return f"{hour}:{minute or '00'}:{second or '00'}{'.' + fraction if fraction else ''}"


_Parts = tuple[str, str | None, str | None, str | None, str | None, str | None, str | None, str | None]


def _parts(text: str) -> _Parts:
    """Year, month, day, hour, minute, second, fraction, offset: as they were sent, and possible."""
    text = text.strip()
    match = _STAMP.fullmatch(text)
    if not match:
        raise NotATime("A time is written as YYYY[MM[DD[HHMM[SS[.S]]]]][+/-ZZZZ].")
    year, month, day, hour, minute, second, fraction, sign, hours, minutes = match.groups()
    if _ZEROS.fullmatch(text) or year == "0000":
        raise NotATime("A time of nothing but zeros tells no time.")
    # Systems that know no day or month send zeros for it: what they know is kept.
    if month == "00":
        month = day = hour = minute = second = fraction = None
    elif day == "00":
        day = hour = minute = second = fraction = None
    if month is not None and not 1 <= int(month) <= 12:
        raise NotATime("There is no such month.")
    if day is not None and not 1 <= int(day) <= calendar.monthrange(int(year), int(month or 1))[1]:
        raise NotATime("There is no such day.")
    _bounds(hour, minute, second)
    offset = None
    if sign is not None:
        if int(hours) > 14 or int(minutes) > 59 or (int(hours) == 14 and int(minutes)):
            raise NotATime("There is no such offset.")
        offset = f"{sign}{hours}:{minutes}"
    return year, month, day, hour, minute, second, fraction, offset


def _bounds(hour: str | None, minute: str | None, second: str | None) -> None:
    if int(hour or 0) > 23 or int(minute or 0) > 59 or int(second or 0) > 59:
        raise NotATime("There is no such time of day.")
