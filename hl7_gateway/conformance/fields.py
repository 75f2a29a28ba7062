"""The fields of a segment against its definition: required ones, repetitions, data types, codes.

https://www.hl7.eu/HL7v2x/v281/std281/ch02a.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from hl7_gateway.conformance.definitions import Part, codes, datatype
from hl7_gateway.conformance.definitions import segment as defined
from hl7_gateway.conformance.finding import Finding
from hl7_gateway.message import Segment, Value
from hl7_gateway.problems import Place

_MOST: Final = 200
"""How many repetitions of a field are looked at."""

_TIME: Final = r"(?:[01]\d|2[0-3])(?:[0-5]\d(?:[0-5]\d(?:\.\d{1,4})?)?)?(?:[+-]\d{4})?"
_DAY: Final = r"(?:0[1-9]|1[0-2])(?:(?:0[1-9]|[12]\d|3[01])"
_FORMS: Final = {
    "NM": (re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)"), "a number"),
    "SI": (re.compile(r"\d{1,4}"), "a number from 0 to 9999"),
    "DT": (re.compile(rf"\d{{4}}(?:{_DAY})?)?"), "a date as YYYYMMDD"),
    "TM": (re.compile(_TIME), "a time as HHMMSS"),
    "DTM": (
        re.compile(rf"\d{{4}}(?:{_DAY}(?:{_TIME})?)?)?(?:[+-]\d{{4}})?"),
        "a time as YYYYMMDDHHMMSS, with +ZZZZ for its offset",
    ),
}
"""Data type -> its form, and how people call it. A time may end anywhere, and have an offset."""

_OPEN: Final = frozenset({"HL70003", "HL70076", "HL70125", "HL70354", "HL70396"})
"""Tables whose codes are looked at otherwise (events, value types), or that no version lists whole (coding systems)."""

_WHOLE: Final = frozenset({"ST", "TX", "FT", "GTS"})


def fields(segment: Segment, version: str) -> Iterator[Finding]:
    """What is wrong with the fields of a segment that the version defines."""
    definition = defined(version, segment.name)
    if definition is None:
        return
    last = 0
    for part in definition:
        last = max(last, part.number)
        # The separators are told by MSH-1 and MSH-2 themselves.
        if not (segment.name in ("MSH", "FHS", "BHS") and part.number <= 2):
            yield from _field(segment, part, version)
    for number in range(last + 1, min(len(segment), last + 50) + 1):
        if segment[number]:
            place = Place(segment.name, segment.number, number)
            yield Finding("W", place, f"{segment.name} has {last} fields in version {version}")


def _field(segment: Segment, part: Part, version: str) -> Iterator[Finding]:
    place = Place(segment.name, segment.number, part.number)
    values = segment.repetitions(part.number)
    if part.least and not any(values):
        yield Finding("E", place, "a value is required")
    if part.most == 0 and any(values):
        yield Finding("W", place, f"it is not used any more in version {version}")
        return
    if part.most > 0 and len(values) > part.most:
        yield Finding("W", place, f"it may have {part.most} repetition{'s' if part.most > 1 else ''}")
    if part.kind == "varies":
        kind = segment.text(2) if segment.name == "OBX" and part.number == 5 else ""
        components = datatype(version, kind) if kind else None
        if kind and components is None:
            at = Place(segment.name, segment.number, 2)
            yield Finding("W", at, f"the value type must be a data type of version {version}")
        if components is None:
            return
        part = replace(part, kind=kind, parts=components)
    for index, value in enumerate(values[:_MOST], 1):
        if value and not value.null:
            yield from _value(value, part, replace(place, repetition=index), version)


def _value(value: Value, part: Part, place: Place, version: str) -> Iterator[Finding]:
    if not part.parts:
        yield from _simple(value, part, place, version)
        return
    for inner in part.parts:
        component = value.component(inner.number)
        if component and not component.null:
            if place.component and not place.subcomponent:
                yield from _simple(component, inner, replace(place, subcomponent=inner.number), version)
            elif not place.component:
                yield from _value(component, inner, replace(place, component=inner.number), version)
        elif inner.least and not component.null and not place.component:
            yield Finding("W", replace(place, component=inner.number), "a value is required")
    most = max(inner.number for inner in part.parts)
    if value.count > most and not place.subcomponent:
        what = "components" if not place.component else "subcomponents"
        yield Finding("W", place, f"its data type {part.kind} has {most} {what} in version {version}")


def _simple(value: Value, part: Part, place: Place, version: str) -> Iterator[Finding]:
    text = value.text
    form = _FORMS.get("DTM" if part.kind == "TS" else part.kind)
    if form is not None and text and not form[0].fullmatch(text):
        yield Finding("W", place, f"it must be {form[1]}")
    if part.kind in _WHOLE and not place.component and value.count > 1:
        yield Finding("W", place, f"its data type {part.kind} has no components: separators in it must be escaped")
    if part.kind == "ID" and part.table and part.table not in _OPEN and text:
        known = codes(version, part.table)
        if known and text not in known:
            number = part.table.removeprefix("HL7")
            yield Finding("W", place, f"its code must be one of table {number} of version {version}")
