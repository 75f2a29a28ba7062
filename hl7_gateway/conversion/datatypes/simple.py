"""ST, TX, FT, NM, SI, ID Y/N, DT, DTM, TM. https://hl7.org/fhir/uv/v2mappings/datatype_maps.html"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from fhir_server.validation.conditions import after
from hl7_gateway import timestamps
from hl7_gateway.conversion.draft import ENDS_EARLY
from hl7_gateway.conversion.walk import Converted, Parts, Walk
from hl7_gateway.message import Segment, Value

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


def token(found: str) -> str:
    """The same for a code, in which words have one space between them."""
    found = clean(found.strip())
    return found if found.isprintable() and "  " not in found else " ".join(found.split())


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


def ordered(start: str | None, end: str | None, walk: Walk) -> bool:
    """Whether both are there and the end is not before the start, as FHIR compares them: constraint per-1."""
    if start is None or end is None:
        return False
    if after(start, end):
        walk.warn(ENDS_EARLY)
        return False
    return True


def period(start: str, end: str, walk: Walk, places: tuple[int, int]) -> Converted | None:
    """A Period of two components, whose numbers are ``places``."""
    found, parts = {}, {}
    for name, sent, component in (("start", start, places[0]), ("end", end, places[1])):
        moment = stamp(sent, walk)
        if moment is not None:
            found[name] = moment
            parts[name] = component
    if "start" in found and "end" in found and not ordered(found["start"], found["end"], walk):
        del found["end"], parts["end"]
    return (found, dict(parts)) if found else None


def spanning(segment: Segment, first_field: int, last_field: int, walk: Walk) -> Converted | None:
    """A Period of two fields: a warning about it names the field that is not taken over."""
    here = walk.here
    found: dict[str, str] = {}
    parts: Parts = {}
    for name, field in (("start", first_field), ("end", last_field)):
        if not segment[field]:
            continue
        walk.at(segment, field)
        moment = stamp(segment.text(field), walk)
        if moment is not None and (name == "start" or "start" not in found or ordered(found["start"], moment, walk)):
            found[name] = moment
            parts[name] = walk.place()
    walk.here = here
    return (found, parts) if found else None


def date_range(value: Value, walk: Walk) -> Converted | None:
    """DR as a Period."""
    return period(value.part(1), value.part(2), walk, (1, 2))
