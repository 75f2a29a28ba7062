"""RXO, RXE, RXD with TQ1 and RXR: how much is given, when and how. https://hl7.org/fhir/R4/dosage.html"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from hl7_gateway.conversion.datatypes.codes import concept
from hl7_gateway.conversion.datatypes.quantities import UCUM, cq, unit
from hl7_gateway.conversion.datatypes.schedule import as_needed, duration, of_tq, of_tq1
from hl7_gateway.conversion.datatypes.simple import clean, number
from hl7_gateway.conversion.vocabulary import TERMINOLOGY
from hl7_gateway.conversion.walk import Converted, Parts, Walk
from hl7_gateway.message import Segment
from hl7_gateway.problems import Place


class Fields(NamedTuple):
    """Where a segment says these; 0: it does not."""

    least: int
    most: int
    units: int
    text: int
    per: int
    rate: int
    daily: int
    timing: int


MOST: Final = 100
"""How many timings and routes of one order are taken over: each timing repeats what they have in common."""

_FIELDS: Final = {
    "RXO": Fields(2, 3, 4, 7, 0, 21, 23, 0),
    "RXE": Fields(3, 4, 5, 7, 22, 23, 19, 1),
    "RXD": Fields(0, 0, 0, 0, 0, 0, 12, 0),
}


def dosages(
    walk: Walk, ordered: Segment | None, encoded: Segment | None, timed: list[Segment], routes: list[Segment]
) -> Iterator[Converted]:
    """A Dosage for each TQ1, or one: what ``encoded`` (RXE, RXD) says counts, else what ``ordered`` (RXO) does."""
    shared: dict[str, Any] = {}
    parts: Parts = {}
    for segment in (ordered, encoded):
        if segment is not None:
            _amounts(walk, segment, shared, parts)
    _routes(walk, _few(walk, routes), shared, parts)
    head = encoded or ordered
    if not timed:
        timing = _old_timing(walk, head)
        if timing:
            shared.update(timing)
        if shared and head is not None:
            walk.at(head)
            yield shared, parts
        return
    for place, segment in enumerate(_few(walk, timed), 1):
        said, places = dict(shared), dict(parts)
        if place > 1:
            # It is of the whole order, and read once.
            said.pop("text", None)
            places.pop("text", None)
        _timed(walk, segment, said, places)
        if len(timed) > 1:
            said["sequence"] = place
        if said:
            walk.at(segment)
            yield said, places


def _few(walk: Walk, segments: list[Segment]) -> list[Segment]:
    if len(segments) > MOST:
        walk.at(segments[MOST])
        walk.warn(f"An order has at most {MOST} of these; the others were left out.")
    return segments[:MOST]


def _amounts(walk: Walk, segment: Segment, said: dict[str, Any], parts: Parts) -> None:
    fields = _FIELDS[segment.name]
    how_much = _dose(walk, segment, fields)
    rate = _rate(walk, segment, fields)
    if how_much or rate:
        entry = {**how_much, **rate}
        if segment.name == "RXO":
            entry["type"] = {"coding": [{"system": TERMINOLOGY + "dose-rate-type", "code": "ordered"}]}
        said["doseAndRate"] = [entry]
        parts["doseAndRate[0]"] = Place(segment.name, segment.number, fields.least or fields.rate)
    if fields.text and segment[fields.text]:
        walk.read(segment, fields.text)
        lines = []
        for value in segment.repetitions(fields.text):
            line = clean(value.part(9).strip() or value.part(2).strip() or value.part(1).strip())
            if line:
                lines.append(line)
        if lines:
            said["text"] = "\n".join(lines)
            parts["text"] = Place(segment.name, segment.number, fields.text)
    if fields.daily and segment[fields.daily]:
        walk.at(segment, fields.daily)
        most = cq(segment.first(fields.daily), walk)
        if most and "comparator" not in most[0]:
            day = {"value": 1, "unit": "day", "system": UCUM, "code": "d"}
            said["maxDosePerPeriod"] = {"numerator": most[0], "denominator": day}
            parts["maxDosePerPeriod"] = Place(segment.name, segment.number, fields.daily)


def _dose(walk: Walk, segment: Segment, fields: Fields) -> dict[str, Any]:
    """A quantity, or a range where two differ."""
    if not fields.least or not (segment[fields.least] or segment[fields.most]):
        return {}
    walk.read(segment, fields.least, fields.most, fields.units)
    units = unit(segment.first(fields.units), walk) if segment[fields.units] else {}
    limits = {}
    for name, field in (("low", fields.least), ("high", fields.most)):
        found = number(segment.text(field))
        if found is not None:
            limits[name] = found
        elif segment[field] not in ("", '""'):
            walk.at(segment, field)
            walk.warn("This is not a number, and was left out.")
    low, high = limits.get("low"), limits.get("high")
    if low is not None and high is not None and low < high:
        return {"doseRange": {side: {"value": value, **units} for side, value in limits.items()}}
    if low is not None and high is not None and low > high:
        walk.at(segment, fields.most)
        walk.warn("The most that is given is less than the least, and was left out.")
    if low is None and high is not None:
        return {"doseRange": {"high": {"value": high, **units}}}
    return {"doseQuantity": {"value": low, **units}} if low is not None else {}


def _rate(walk: Walk, segment: Segment, fields: Fields) -> dict[str, Any]:
    """How fast: an amount with units that say per what, else the dose per a time (RXE-22)."""
    if fields.rate and segment[fields.rate]:
        walk.at(segment, fields.rate)
        found = number(segment.text(fields.rate))
        if found is not None:
            walk.read(segment, fields.rate + 1)
            units = unit(segment.first(fields.rate + 1), walk) if segment[fields.rate + 1] else {}
            return {"rateQuantity": {"value": found, **units}}
        walk.warn("This rate is not a number, and was left out.")
    dose = number(segment.text(fields.least)) if fields.least else None
    per = duration(segment.first(fields.per)) if fields.per else None
    if dose is None or per is None:
        return {}
    walk.read(segment, fields.per)
    units = unit(segment.first(fields.units), walk) if segment[fields.units] else {}
    time = {"value": per[0], "unit": per[1], "system": UCUM, "code": per[1]}
    return {"rateRatio": {"numerator": {"value": dose, **units}, "denominator": time}}


def _routes(walk: Walk, routes: list[Segment], said: dict[str, Any], parts: Parts) -> None:
    """Route, site and method of the first RXR; the others are alternatives, which a Dosage has no element for."""
    for place, segment in enumerate(routes):
        rows = (
            (1, "route", "RouteOfAdministration", "0162"),
            (2, "site", "BodyParts", "0163"),
            (4, "method", "AdministrationMethod", "0165"),
        )
        for field, element, name, table in rows:
            if not segment[field]:
                continue
            walk.at(segment, field)
            found = concept(name, table)(segment.first(field), walk)
            if found is None:
                continue
            if place == 0:
                said[element] = found[0]
                parts[element] = Place(segment.name, segment.number, field)
            else:
                value = segment.first(field)
                label = clean(value.part(2).strip() or value.part(1).strip())
                _instruct(said, {"text": f"Alternative {element}: {label}"})
        if segment[5]:
            walk.at(segment, 5)
            found = concept()(segment.first(5), walk)
            if found:
                _instruct(said, found[0])
        if segment[3] and place == 0:
            walk.at(segment, 3)
            device = segment.first(3)
            label = clean(device.part(2).strip() or device.part(1).strip())
            if label:
                _instruct(said, {"text": f"Device: {label}"})


def _instruct(said: dict[str, Any], instruction: dict[str, Any]) -> None:
    # A new list each time: dosages share what they have in common.
    said["additionalInstruction"] = [*said.get("additionalInstruction", ()), instruction]


def _timed(walk: Walk, segment: Segment, said: dict[str, Any], parts: Parts) -> None:
    timing = of_tq1(segment, walk)
    if timing:
        said["timing"] = timing[0]
        parts["timing"] = Place(segment.name, segment.number, 3)
    walk.read(segment, 1)
    if as_needed(segment.first(3).part(1)):
        said["asNeededBoolean"] = True
    if segment[2] and "doseAndRate" not in said:
        walk.at(segment, 2)
        quantity = cq(segment.first(2), walk)
        if quantity and "comparator" not in quantity[0]:
            said["doseAndRate"] = [{"doseQuantity": quantity[0]}]
            parts["doseAndRate[0]"] = Place(segment.name, segment.number, 2)
    for field in (10, 11):
        line = clean(segment.first(field).whole.strip()) if segment[field] else ""
        if line:
            walk.read(segment, field)
            _instruct(said, {"text": line})


def _old_timing(walk: Walk, head: Segment | None) -> dict[str, Any]:
    """The timing of RXE-1 or ORC-7, before version 2.5 had TQ1."""
    for segment, field in ((head, 1), (walk.segments.get("ORC"), 7)):
        if segment is None or not segment[field] or segment.name not in ("RXE", "ORC"):
            continue
        walk.at(segment, field)
        value = segment.first(field)
        found: dict[str, Any] = {}
        timing = of_tq(value, walk)
        if timing:
            found["timing"] = timing[0]
        if as_needed(value.component(2).part(1)):
            found["asNeededBoolean"] = True
        for part in (7, 8):
            line = clean(value.part(part).strip())
            if line:
                _instruct(found, {"text": line})
        if found:
            return found
    return {}
