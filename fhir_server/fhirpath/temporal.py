"""Dates and times with their precision. https://hl7.org/fhirpath/N1/#date"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from fhir_server.fhirpath.errors import EvaluationError
from fhir_server.fhirpath.quantity import UNIT_MONTHS, UNIT_SECONDS, Quantity

Field = int | Decimal

_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(?:(\d\d)(?::(\d\d)(?::(\d\d(?:\.\d{1,12})?))?)?(Z|[+-]\d\d:\d\d)?)?)?)?)?\Z",
    re.ASCII,
)
_TIME = re.compile(r"(\d\d)(?::(\d\d)(?::(\d\d(?:\.\d{1,12})?))?)?\Z", re.ASCII)
_LEAST: tuple[int, ...] = (1, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Temporal:
    """A date, dateTime or time as precise as it was written.

    ``fields`` are year, month, day, hour, minute, second (a Decimal), or the last three for a time, as many as are
    known. ``offset`` is minutes east of UTC, None where no time zone was written.
    """

    kind: str
    fields: tuple[Field, ...]
    offset: int | None = None

    def utc(self) -> tuple[Field, ...]:
        """The fields in UTC, where there is a time and a zone; else the fields as they are."""
        if not self.offset or len(self.fields) < 4:
            return self.fields
        try:
            moved = _moment(self.fields) - timedelta(minutes=self.offset)
        except OverflowError:
            return self.fields
        shifted = (moved.year, moved.month, moved.day, moved.hour, moved.minute, *self.fields[5:])
        return shifted[: max(len(self.fields), 5 if self.offset % 60 else 0)]

    def __str__(self) -> str:
        parts = [f"{'0' if f < 10 else ''}{f}" for f in self.fields]
        if self.kind == "time":
            return ":".join(parts)
        parts[0] = f"{self.fields[0]:0>4}"
        text = "-".join(parts[:3]) + ("T" + ":".join(parts[3:]) if len(parts) > 3 else "")
        if self.offset is None or len(parts) <= 3:
            return text
        hours, minutes = divmod(abs(self.offset), 60)
        return text + ("Z" if self.offset == 0 else f"{'-' if self.offset < 0 else '+'}{hours:02}:{minutes:02}")


def _moment(fields: Sequence[Field]) -> datetime:
    """The minute in which the fields, from the year on, begin. Raises ValueError if there is no such time."""
    year, month, day, hour, minute = (int(f) for f in (*fields, *_LEAST[len(fields) :])[:5])
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def parse_temporal(text: str, kind: str) -> Temporal | None:
    """Read ``2015-02-04T14:30:00Z`` or a shorter form, or ``14:30`` if ``kind`` is time; None if it is neither."""
    if kind == "time":
        clock = _TIME.match(text)
        if clock is None:
            return None
        fields: list[Field] = [int(part) for part in clock.groups()[:2] if part]
        fields += [Decimal(clock[3])] if clock[3] else []
        return Temporal("time", tuple(fields)) if _exists([2000, 1, 1, *fields]) else None
    # "2015T" and "2015-02T" are dateTimes without a time, as FHIRPath writes them.
    match = _DATE.match(text.removesuffix("T"))
    if match is None or (kind == "date" and "T" in text):
        return None
    fields = [int(part) for part in match.groups()[:5] if part]
    fields += [Decimal(match[6])] if match[6] else []
    zone, offset = match[7], None
    if zone:
        offset = 0 if zone == "Z" else (int(zone[1:3]) * 60 + int(zone[4:])) * (-1 if zone[0] == "-" else 1)
    return Temporal(kind, tuple(fields), offset) if _exists(fields) else None


def _exists(fields: list[Field]) -> bool:
    try:
        _moment(fields)
    except ValueError:
        return False
    return len(fields) < 6 or fields[5] < 61  # a leap second is written 60


def compare_temporals(left: Temporal, right: Temporal) -> int | None:
    """-1, 0 or 1; None where one is less precise and the known part is equal, or where one lacks a time zone.

    Raises EvaluationError for a time against a date.
    """
    if (left.kind == "time") != (right.kind == "time"):
        raise EvaluationError(f"A {left.kind} cannot be compared with a {right.kind}")
    timed = len(left.fields) > 3 and len(right.fields) > 3 and left.kind != "time"
    mine, theirs = (left.utc(), right.utc()) if timed else (left.fields, right.fields)
    if timed and (left.offset is None) != (right.offset is None):
        # The zone that is missing may be any from -12:00 to +14:00: only days that far apart have an order.
        apart = _moment(mine[:3]) - _moment(theirs[:3])
        return None if abs(apart.days) <= 1 else (-1 if apart.days < 0 else 1)
    for a, b in zip(mine, theirs, strict=False):
        if a != b:
            return -1 if a < b else 1
    return 0 if len(mine) == len(theirs) else None


def add_time(start: Temporal, amount: Quantity, sign: int) -> Temporal | None:
    """``date + 3 days``. https://hl7.org/fhirpath/N1/#datetime-arithmetic

    Parts of a unit finer than the precision of ``start`` are dropped; None where the result leaves the years 1 to 9999.
    Raises EvaluationError for a unit that is no calendar word (nor s, nor ms).
    """
    months, seconds = UNIT_MONTHS.get(amount.unit), UNIT_SECONDS.get(amount.unit)
    if (months is None and seconds is None) or not (amount.calendar or amount.unit in ("s", "ms")):
        raise EvaluationError(f"{amount.unit} cannot be added to a {start.kind}; write a calendar unit such as days")
    clock = start.kind == "time"
    fields: tuple[Field, ...] = (2000, 1, 1, *start.fields) if clock else start.fields
    try:
        if months is None and len(fields) < 3:
            # To a date without days, days are added as whole months of 30, or years of 365.
            length = Decimal(365 if len(fields) == 1 else 30) * 86400
            months, amount = (12 if len(fields) == 1 else 1), Quantity(amount.value * (seconds or 0) // length, "")
        if months is not None:
            moved, rest = _add_months(fields, sign * int(amount.value) * months), fields[5:]
        else:
            second = Decimal(fields[5]) if len(fields) > 5 else Decimal(0)
            minutes, left = divmod(second + sign * amount.value * (seconds or 0), 60)
            # Decimals divide towards zero, and leave -0 of a negative multiple.
            minutes, left = (minutes - 1, left + 60) if left < 0 else (minutes, abs(left))
            moved, rest = _moment(fields) + timedelta(minutes=int(minutes)), (left,)
    except (ValueError, OverflowError, ArithmeticError):
        return None
    result = (moved.year, moved.month, moved.day, moved.hour, moved.minute, *rest)[: len(fields)]
    return Temporal(start.kind, result[3:] if clock else result, start.offset)


def _add_months(fields: Sequence[Field], months: int) -> datetime:
    moment = _moment(fields)
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    following = datetime(year + month // 11, (month + 1) % 12 + 1, 1, tzinfo=UTC)
    return moment.replace(year=year, month=month + 1, day=min(moment.day, (following - timedelta(days=1)).day))
