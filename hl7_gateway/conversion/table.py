"""Segment maps: which field says which element of a resource. https://hl7.org/fhir/uv/v2mappings/segment_maps.html

A map is a table of rows. Rows of the tables in ``maps/`` state facts of the guide (or what it lacks); a feed may have
rows of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.validation.conditions import after
from hl7_gateway.conversion.draft import ENDS_EARLY, Draft, Said, Stated
from hl7_gateway.conversion.walk import Converted, Places, Walk
from hl7_gateway.message import NULL, Segment, Value

Convert = Callable[[Value, Walk], Converted | None]
"""Makes a value of FHIR out of a repetition; None where there is none in it."""

When = Callable[[Segment], bool]


@dataclass(frozen=True, slots=True)
class Row:
    """A field, the element that it says, and how. ``many``: each of its repetitions is an entry of a list.

    ``reads`` are other fields of the segment that ``convert`` looks at.
    """

    field: int
    path: str
    convert: Convert
    many: bool = False
    when: When | None = None
    initial: bool = False
    label: str = ""
    reads: tuple[int, ...] = ()


def one(
    field: int, path: str, convert: Convert, when: When | None = None, *, initial: bool = False, label: str = "",
    reads: tuple[int, ...] = (),
) -> Row:  # fmt: skip
    """A row of a field whose first repetition counts."""
    return Row(field, path, convert, False, when, initial, label, reads)


def many(
    field: int, path: str, convert: Convert, when: When | None = None, *, label: str = "", reads: tuple[int, ...] = ()
) -> Row:
    """A row of a field whose repetitions are entries of a list."""
    return Row(field, path, convert, True, when, False, label, reads)


class SegmentMap:
    """The rows for a segment and a target, as in PID[Patient]. ``ignored`` fields mean nothing of their own."""

    def __init__(self, segment: str, target: str, rows: Sequence[Row], ignored: Sequence[int] = ()) -> None:
        self.segment = segment
        self.target = target
        self.rows = tuple(rows)
        self.ignored = tuple(ignored)
        fields = {row.field for row in rows} | set(ignored)
        for row in rows:
            fields.update(row.reads)
        self.fields = tuple(sorted(fields))
        by_path = {row.path: row.field for row in rows}
        self._periods = [
            (path, f"{path[:-5]}end", field, by_path[f"{path[:-5]}end"])
            for path, field in by_path.items()
            if path.endswith("start") and f"{path[:-5]}end" in by_path
        ]
        self._named = [(row, f"{segment}-{row.field}{row.label and '#' + row.label}") for row in rows]

    @property
    def name(self) -> str:
        """PID[Patient]"""
        return f"{self.segment}[{self.target}]"

    def apply(self, segment: Segment, draft: Draft, walk: Walk, under: str = "") -> None:
        """Have ``draft`` say what ``segment`` says; ``under`` tells several segments of one draft apart."""
        walk.read(segment, *self.fields)
        fields = segment.fields
        size = len(fields)
        for row, slot in self._named:
            raw = fields[row.field] if row.field < size else ""
            if not raw:
                continue
            if raw == NULL:
                draft.stated.append(Stated(row.path, slot + under, ()))
            elif row.when is None or row.when(segment):
                said = _said(segment, row, walk)
                if said:
                    draft.stated.append(Stated(row.path, slot + under, said, row.initial))
        for start, end, first, last in self._periods:
            if last < size and fields[last] and fields[first]:
                walk.at(segment, last)
                _keep_in_order(draft, start, end, walk)


def _keep_in_order(draft: Draft, start: str, end: str, walk: Walk) -> None:
    """Leave an end out that is before its start: a Period cannot have it. https://hl7.org/fhir/R4/datatypes.html#Period"""
    begun = next((said.values[0].value for said in draft.stated if said.path == start and said.values), None)
    for number, stated in enumerate(draft.stated):
        if stated.path == end and stated.values and after(begun, stated.values[0].value):
            walk.warn(ENDS_EARLY)
            draft.stated[number] = Stated(end, stated.slot, ())


def _said(segment: Segment, row: Row, walk: Walk) -> tuple[Said, ...]:
    said = []
    for number, value in enumerate(segment.repetitions(row.field), 1):
        if not value.raw or value.raw == NULL:
            continue
        walk.here = (segment, row.field, number)
        found = row.convert(value, walk)
        if found is not None:
            said.append(Said(found[0], Places(segment.name, segment.number, row.field, number, found[1])))
        if not row.many:
            break
    return tuple(said)


def within(name: str, convert: Convert, *, listed: bool = False, **constants: Any) -> Convert:
    """The value as an element of a larger one, beside constants: {"language": value}."""
    before = f"{name}[0]" if listed else name

    def converted(value: Value, walk: Walk) -> Converted | None:
        found = convert(value, walk)
        if found is None:
            return None
        content, parts = found
        return {name: [content] if listed else content, **constants}, below(before, parts)

    return converted


def below(name: str, parts: dict[str, Any]) -> dict[str, Any]:
    """Paths of parts, one level deeper."""
    return {(f"{name}.{path}" if path else name): part for path, part in parts.items()} or {name: 0}


def extension(url: str, element: str, convert: Convert) -> Convert:
    """The value as an extension. A url without a scheme is one of FHIR's own."""
    full = url if ":" in url else "http://hl7.org/fhir/StructureDefinition/" + url

    def converted(value: Value, walk: Walk) -> Converted | None:
        found = convert(value, walk)
        if found is None:
            return None
        return {"url": full, element: found[0]}, below(element, found[1])

    return converted
