"""A message taken apart for a page: segments and fields by name, and what is wrong at its place. docs/hl7.md"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from hl7_gateway.conformance.definitions import known_version
from hl7_gateway.conformance.names import SEGMENTS, field_names
from hl7_gateway.message import Message, Segment

MOST_SEGMENTS: Final = 200
_MOST_FIELDS: Final = 100
_MOST_REPETITIONS: Final = 20
_LONGEST: Final = 300
"""How much of a message is taken apart; the rest is in the text of the message."""

_PLACE: Final = re.compile(r"([A-Z][A-Z0-9]{2})(?:\[(\d+)\])?(?:-(\d+))?")


@dataclass(frozen=True, slots=True)
class Note:
    """Something about a place: its tone is error, warning or information, ``place`` as in ERR-2."""

    tone: str
    place: str
    said: str

    @property
    def at(self) -> tuple[str, int, int]:
        """Segment, which one of its name, and field (0 for all of it); "" where it is of no segment."""
        found = _PLACE.match(self.place)
        return (found[1], int(found[2] or 1), int(found[3] or 0)) if found else ("", 0, 0)


@dataclass(frozen=True, slots=True)
class Shown:
    """A field that was sent, or one that something is said of. ``values`` are its repetitions."""

    place: str
    name: str
    values: tuple[str, ...]
    notes: tuple[Note, ...]

    @property
    def tone(self) -> str:
        """The worst that is said of it."""
        return worst(self.notes)


@dataclass(frozen=True, slots=True)
class Line:
    """A segment. ``own`` is what is said of all of it."""

    place: str
    title: str
    fields: tuple[Shown, ...]
    own: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class Anatomy:
    """A message for a page. ``left`` counts segments that are not shown, ``other`` is said of no place in it."""

    lines: tuple[Line, ...]
    left: int
    other: tuple[Note, ...] = field(default=())


def worst(notes: Iterable[Note]) -> str:
    """error, warning, information, or "" of none."""
    tones = {note.tone for note in notes}
    return next((tone for tone in ("error", "warning", "information") if tone in tones), "")


def anatomy(message: Message, notes: Sequence[Note]) -> Anatomy:
    """A message with notes at their places."""
    by_segment: dict[tuple[str, int], list[Note]] = {}
    for note in notes:
        by_segment.setdefault(note.at[:2], []).append(note)
    version = known_version(message.version)
    lines, left = [], 0
    for place, segment in enumerate(message.segments):
        said = by_segment.pop((segment.name, segment.number), [])
        if place < MOST_SEGMENTS or said:
            lines.append(_line(segment, version, said))
        else:
            left += 1
    return Anatomy(tuple(lines), left, tuple(note for several in by_segment.values() for note in several))


def _line(segment: Segment, version: str, notes: Sequence[Note]) -> Line:
    place = segment.name if segment.number == 1 else f"{segment.name}[{segment.number}]"
    names = field_names(version, segment.name)
    title = SEGMENTS.get(segment.name, "local segment" if segment.name.startswith("Z") else "")
    shown = []
    wanted = {note.at[2] for note in notes}
    for number in sorted(wanted.union(range(1, min(len(segment), _MOST_FIELDS) + 1)) - {0}):
        values = tuple(_cut(one.raw) for one in segment.repetitions(number)[:_MOST_REPETITIONS])
        if any(values) or number in wanted:
            own = tuple(note for note in notes if note.at[2] == number)
            shown.append(Shown(f"{place}-{number}", names.get(number, ""), values, own))
    return Line(place, title, tuple(shown), tuple(note for note in notes if note.at[2] == 0))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}\u2026 ({len(text):,} characters)"
