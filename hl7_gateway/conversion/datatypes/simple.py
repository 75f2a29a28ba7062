"""ST, TX, FT, NM, SI, ID Y/N, DT, DTM, TM. https://hl7.org/fhir/uv/v2mappings/datatype_maps.html"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from hl7_gateway import timestamps
from hl7_gateway.conversion.walk import Converted, Walk
from hl7_gateway.message import Value

_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})", re.ASCII)


def text(value: Value, walk: Walk) -> Converted | None:
    """A string, of all that the field holds."""
    found = clean(value.whole)
    return (found, {}) if found else None


def first(value: Value, walk: Walk) -> Converted | None:
    """A string, of the first component."""
    found = clean(value.text)
    return (found, {}) if found else None


_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def clean(found: str) -> str:
    """What FHIR allows in a string: no control characters, nothing but white space is nothing."""
    if not found.isprintable() and _CONTROL.search(found):
        found = _CONTROL.sub("", found)
    return found if found.strip() else ""


def number(sent: str) -> Decimal | None:
    """A number with the digits that were sent; None for what is none."""
    sent = sent.strip()
    if not _NUMBER.fullmatch(sent):
        return None
    return Decimal(sent.removesuffix("."))


def decimal(value: Value, walk: Walk) -> Converted | None:
    """A decimal."""
    found = number(value.text)
    if found is None:
        walk.warn("This is not a number, and was left out.")
        return None
    return found, {}


def integer(least: int = 0) -> Callable[[Value, Walk], Converted | None]:
    """An integer of at least ``least``."""

    def converted(value: Value, walk: Walk) -> Converted | None:
        found = number(value.text)
        if found is None or found != int(found) or not least <= found < 2**31:
            walk.warn("This is not a whole number in the range of the element, and was left out.")
            return None
        return int(found), {}

    return converted


def yes_no(value: Value, walk: Walk) -> Converted | None:
    """Y or N (table 0136) as a boolean."""
    sent = value.text.strip().upper()
    if sent in ("Y", "N"):
        return sent == "Y", {}
    walk.warn("This must be Y or N, and was left out.")
    return None


def date(value: Value, walk: Walk) -> Converted | None:
    """A date."""
    return _timed(value, walk, lambda sent: timestamps.date(sent))


def date_time(value: Value, walk: Walk) -> Converted | None:
    """A dateTime."""
    return _timed(value, walk, lambda sent: timestamps.date_time(sent, walk.mapping.zone))


def instant(value: Value, walk: Walk) -> Converted | None:
    """An instant."""
    return _timed(value, walk, lambda sent: timestamps.instant(sent, walk.mapping.zone))


def time(value: Value, walk: Walk) -> Converted | None:
    """A time."""
    return _timed(value, walk, timestamps.time)


def _timed(value: Value, walk: Walk, read: Callable[[str], str]) -> Converted | None:
    sent = value.text
    if not sent.strip():
        return None
    try:
        return read(sent), {}
    except timestamps.NotATime as error:
        walk.warn(f"{error.said} It was left out.")
        return None


def stamp(sent: str, walk: Walk) -> str | None:
    """A dateTime of a component; None, and a warning, where it is no time."""
    if not sent.strip():
        return None
    try:
        return timestamps.date_time(sent, walk.mapping.zone)
    except timestamps.NotATime as error:
        walk.warn(f"{error.said} It was left out.")
        return None


def period(start: str, end: str, walk: Walk, places: tuple[int, int]) -> Converted | None:
    """A Period of two components, whose numbers are ``places``."""
    found, parts = {}, {}
    for name, sent, component in (("start", start, places[0]), ("end", end, places[1])):
        moment = stamp(sent, walk)
        if moment is not None:
            found[name] = moment
            parts[name] = component
    if "start" in found and "end" in found and found["start"][:10] > found["end"][:10]:
        walk.warn("The period ends before it starts; its end was left out.")
        del found["end"], parts["end"]
    return (found, dict(parts)) if found else None


def date_range(value: Value, walk: Walk) -> Converted | None:
    """DR as a Period."""
    return period(value.part(1), value.part(2), walk, (1, 2))
