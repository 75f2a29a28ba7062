"""TQ1, RPT, TQ: when medication is given, as a Timing. https://hl7.org/fhir/uv/v2mappings/datatype_maps.html

Codes of table 0335 say how often: those that are understood are told as numbers too, all stay as they were sent.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final

from hl7_gateway import timestamps
from hl7_gateway.conversion.datatypes.codes import concept
from hl7_gateway.conversion.datatypes.quantities import UCUM
from hl7_gateway.conversion.datatypes.simple import number, period, spanning, token
from hl7_gateway.conversion.vocabulary import TERMINOLOGY
from hl7_gateway.conversion.walk import Converted, Parts, Walk
from hl7_gateway.message import Segment, Value

_UNITS: Final = {
    "S": "s", "SEC": "s", "SECOND": "s", "SECONDS": "s",
    "M": "min", "MIN": "min", "MINUTE": "min", "MINUTES": "min",
    "H": "h", "HR": "h", "HOUR": "h", "HOURS": "h",
    "D": "d", "DAY": "d", "DAYS": "d",
    "W": "wk", "WK": "wk", "WEEK": "wk", "WEEKS": "wk",
    "L": "mo", "MO": "mo", "MON": "mo", "MONTH": "mo", "MONTHS": "mo",
    "A": "a", "ANN": "a", "YR": "a", "YEAR": "a", "YEARS": "a",
}  # fmt: skip
"""Units of time as HL7 v2 (tables 0335 and 0255, ISO+) and senders say them -> UCUM."""

_PER_DAY: Final = {"QD": 1, "DAILY": 1, "BID": 2, "TID": 3, "QID": 4}
_EVENTS: Final = {"QHS": "HS", "HS": "HS", "QAM": "MORN", "QPM": "EVE"}
_WHEN: Final = frozenset(
    {"HS", "WAKE", "C", "CM", "CD", "CV", "AC", "ACM", "ACD", "ACV", "PC", "PCM", "PCD", "PCV", "MORN", "EVE"}
)
"""Codes of https://hl7.org/fhir/R4/valueset-event-timing.html that table 0528 has as well, and what is made here."""

_AT_MEALS: Final = frozenset({"C", "CM", "CD", "CV"})
_ABBREVIATED: Final = frozenset({"BID", "TID", "QID", "QD", "QOD", "Q4H", "Q6H", "AM", "PM"})
_EVERY: Final = re.compile(r"Q([1-9][0-9]{0,3})([SMHDWL])", re.ASCII)
_TIMES: Final = re.compile(r"([1-9])ID", re.ASCII)
_PACKED: Final = re.compile(r"([SMHDWL])([1-9][0-9]{0,4})", re.ASCII)


def time_unit(said: str) -> str:
    """A unit of time in UCUM; "" for what is none."""
    return _UNITS.get(said.strip().upper(), "")


def duration(value: Value) -> tuple[Decimal, str] | None:
    """How long, of a CQ (`3^Hr`), or in the manner of TQ (`D5`: five days)."""
    amount = number(value.part(1))
    if amount is None:
        packed = _PACKED.fullmatch(value.part(1).strip().upper())
        return (Decimal(packed[2]), _UNITS[packed[1]]) if packed else None
    label = value.component(2)
    found = next((unit for part in (1, 2) if (unit := time_unit(label.part(part)))), "")
    return (amount, found) if found else None


def repeated(code: str) -> dict[str, Any]:
    """How often a code of table 0335 means, as elements of Timing.repeat; {} where it is not known."""
    code = code.strip().upper()
    every = _EVERY.fullmatch(code)
    if every:
        return {"frequency": 1, "period": int(every[1]), "periodUnit": _UNITS[every[2]]}
    often = _PER_DAY.get(code) or (int(times[1]) if (times := _TIMES.fullmatch(code)) else 0)
    if often:
        return {"frequency": often, "period": 1, "periodUnit": "d"}
    if code == "QOD":
        return {"frequency": 1, "period": 2, "periodUnit": "d"}
    if code == "ONCE":
        return {"count": 1}
    event = _EVENTS.get(code, code)
    return {"when": [event]} if event in _WHEN else {}


def as_needed(code: str) -> bool:
    """Whether a code of table 0335 says that it is given when it is needed."""
    return code.strip().upper().startswith("PRN")


def _coded(value: Value, walk: Walk) -> dict[str, Any] | None:
    """Timing.code of a CWE."""
    found = concept(table="0335")(value, walk)
    if found is None:
        return None
    made: dict[str, Any] = found[0]
    code = value.part(1).strip().upper()
    if code in _ABBREVIATED:
        known = {"system": TERMINOLOGY + "v3-GTSAbbreviation", "code": code}
        made["coding"] = [known, *made.get("coding", ())]
    return made


def of_tq1(segment: Segment, walk: Walk) -> Converted | None:
    """The Timing of a TQ1."""
    repeat: dict[str, Any] = {}
    made: dict[str, Any] = {}
    parts: Parts = {}
    pattern = segment.first(3)
    if pattern:
        walk.at(segment, 3)
        code = _coded(pattern.component(1), walk)
        if code:
            made["code"] = code
        repeat.update(repeated(pattern.part(1)))
        _pattern(pattern, repeat)
    _clock(segment, repeat, walk)
    _bounds(segment.text(7), segment.text(8), segment.first(6), repeat, walk, segment)
    lasting = duration(segment.first(13))
    if lasting:
        walk.read(segment, 13)
        repeat["duration"], repeat["durationUnit"] = lasting
    _count(segment.text(14), repeat)
    walk.read(segment, 14)
    if repeat:
        made["repeat"] = repeat
    walk.at(segment, 3)
    return (made, parts) if made else None


def _pattern(pattern: Value, repeat: dict[str, Any]) -> None:
    """What the other components of an RPT say, which win over the code's meaning."""
    every, unit = number(pattern.part(5)), time_unit(pattern.part(6))
    if every is not None and every > 0 and unit:
        repeat.update({"period": every, "periodUnit": unit})
        repeat.setdefault("frequency", 1)
    event = pattern.part(8).strip().upper()
    if event in _WHEN:
        repeat["when"] = [event]
    minutes = _minutes(number(pattern.part(9)), time_unit(pattern.part(10)))
    if minutes is not None and repeat.get("when") and not set(repeat["when"]) & _AT_MEALS:
        repeat["offset"] = minutes


_IN_MINUTES: Final = {"s": Decimal(1) / 60, "min": Decimal(1), "h": Decimal(60), "d": Decimal(1440)}


def _minutes(amount: Decimal | None, unit: str) -> int | None:
    if amount is None or unit not in _IN_MINUTES or amount < 0:
        return None
    found = amount * _IN_MINUTES[unit]
    return round(found) if abs(found - round(found)) < Decimal("0.001") and found < 2**31 else None


def _clock(segment: Segment, repeat: dict[str, Any], walk: Walk) -> None:
    """Times of the day (TQ1-4). FHIR tells either these or events: the more exact ones are kept."""
    times = []
    for place, value in enumerate(segment.repetitions(4), 1):
        walk.at(segment, 4, place)
        try:
            times.append(timestamps.time(value.text))
        except timestamps.NotATime as error:
            walk.warn(f"{error.said} It was left out.")
    if not times:
        return
    repeat["timeOfDay"] = times
    if repeat.pop("when", None):
        repeat.pop("offset", None)
        walk.warn("A dose is given at a time or at an event; the event was left out.")


def _bounds(
    start: str, end: str, lasting: Value, repeat: dict[str, Any], walk: Walk, segment: Segment | None = None
) -> None:
    """From when to when, or for how long."""
    if segment is not None:
        walk.read(segment, 6, 7, 8)
        walk.here = (segment, 7, 1)
    between = period(start, end, walk, (1, 1)) if segment is None else spanning(segment, 7, 8, walk)
    length = duration(lasting)
    if between:
        repeat["boundsPeriod"] = between[0]
    elif length:
        amount, unit = length
        repeat["boundsDuration"] = {"value": amount, "unit": unit, "system": UCUM, "code": unit}


def _count(said: str, repeat: dict[str, Any]) -> None:
    times = number(said)
    if times is not None and times == int(times) and 0 < times < 2**31:
        repeat["count"] = int(times)


def of_tq(value: Value, walk: Walk) -> Converted | None:
    """The Timing of a TQ, which version 2.5 replaced by TQ1 (RXE-1, ORC-7)."""
    interval = value.component(2)
    repeat = repeated(interval.part(1))
    made: dict[str, Any] = {}
    code = token(interval.part(1))
    if code:
        said = {"system": TERMINOLOGY + "v2-0335", "code": code}
        known = {"system": TERMINOLOGY + "v3-GTSAbbreviation", "code": code.upper()}
        made["code"] = {"coding": [known, said] if code.upper() in _ABBREVIATED else [said]}
    _bounds(value.part(4), value.part(5), value.component(3), repeat, walk)
    _count(value.part(12), repeat)
    if repeat:
        made["repeat"] = repeat
    return (made, {"": 0}) if made else None
