"""A message as a feed's own mapping has it read. docs/hl7-overrides.md

The message is kept as it came: what is changed is a copy, made before each conversion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from hl7_gateway.escapes import escape, unescape
from hl7_gateway.message import NULL, Delimiters, Message
from hl7_gateway.overrides.change import (
    Change,
    Coded,
    Copy,
    Drop,
    FieldPath,
    Put,
    Read,
    Table,
    Translate,
    TranslateByMap,
)

_CODINGS_END: Final = 13
"""Components of a CWE that hold its three codings: 1 to 3, 4 to 6 and 10 to 12, with versions in 7, 8 and 13."""


def changed(message: Message, changes: Sequence[Change], system: Callable[[str], str] = str) -> Message:
    """The message under the changes, in their order; the same one where there are none.

    ``system`` is the URI of a coding system as it is sent. What no ConceptMap was loaded for is left as it is.
    """
    first = [change for change in changes if not isinstance(change, Read)]
    if not first:
        return message
    lines = _Lines(message, system)
    for change in first:
        lines.apply(change)
    return Message(lines.text())


class _Lines:
    """The segments of a message as lists of fields, by their numbers."""

    def __init__(self, message: Message, system: Callable[[str], str]) -> None:
        self.system = system
        self.delimiters: Delimiters = message.delimiters
        self.lines = [[segment[number] for number in range(len(segment) + 1)] for segment in message.segments]

    def text(self) -> str:
        """The message."""
        separator = self.delimiters.field
        # Field 1 of a header is the separator itself.
        joined = [
            separator.join([line[0], *line[2:]]) if place == 0 else separator.join(line)
            for place, line in enumerate(self.lines)
        ]
        return "\r".join(joined)

    def apply(self, change: Change) -> None:
        match change:
            case Put(field, value, only_empty):
                for line in self._of(field.segment):
                    if not only_empty or not self._get(line, field):
                        self._set(line, field, escape(value, self.delimiters))
            case Drop(field):
                for line in self._of(field.segment):
                    if self._get(line, field):
                        self._set(line, field, "")
            case Translate(field, codes):
                for line in self._of(field.segment):
                    self._translate(line, field, partial(self._listed, dict(codes)))
            case TranslateByMap(field, table=Table() as table, coding=coding):
                for line in self._of(field.segment):
                    self._translate(line, field, partial(self._mapped, table, coding))
            case TranslateByMap():
                pass
            case Copy():
                self._copy(change)
            case Read():
                pass

    def _of(self, segment: str) -> list[list[str]]:
        return [line for line in self.lines if line[0] == segment]

    def _get(self, line: list[str], place: FieldPath) -> str:
        field = line[place.field] if place.field < len(line) else ""
        if not place.component or not field:
            return field
        components = field.split(self.delimiters.component)
        return components[place.component - 1] if place.component <= len(components) else ""

    def _set(self, line: list[str], place: FieldPath, value: str) -> None:
        while len(line) <= place.field:
            line.append("")
        if not place.component:
            line[place.field] = value
            return
        cut = self.delimiters.repetition
        repetitions = line[place.field].split(cut) if cut else [line[place.field]]
        line[place.field] = cut.join(self._with_component(one, place.component, value) for one in repetitions)

    def _with_component(self, repetition: str, component: int, value: str) -> str:
        parts = [] if repetition == NULL else repetition.split(self.delimiters.component)
        parts += [""] * (component - len(parts))
        parts[component - 1] = value
        return self.delimiters.component.join(parts)

    def _translate(self, line: list[str], place: FieldPath, made: Callable[[list[str], int], bool]) -> None:
        """Have the components of each repetition changed by ``made``, which tells whether it has."""
        field = line[place.field] if place.field < len(line) else ""
        if not field or field == NULL:
            return
        component = (place.component or 1) - 1
        cut = self.delimiters.repetition
        repetitions = field.split(cut) if cut else [field]
        for number, repetition in enumerate(repetitions):
            parts = repetition.split(self.delimiters.component)
            if component < len(parts) and made(parts, component):
                repetitions[number] = self.delimiters.component.join(parts)
        line[place.field] = cut.join(repetitions)

    def _listed(self, codes: Mapping[str, str], parts: list[str], component: int) -> bool:
        found = codes.get(parts[component])
        if found is None:
            return False
        parts[component] = escape(found, self.delimiters)
        return True

    def _mapped(self, table: Table, coding: bool, parts: list[str], component: int) -> bool:
        code = unescape(parts[component], self.delimiters).strip()
        found = table.codes.get(code, table.other)
        if found is None or not code or code == NULL:
            return False
        if coding:
            return self._coded(found, parts)
        parts[component] = escape(found.code, self.delimiters)
        return True

    def _coded(self, found: Coded, parts: list[str]) -> bool:
        """Put the coding before the one that was sent, where that is of the system that is translated."""
        parts.extend([""] * (_CODINGS_END - len(parts)))
        systems = {start: self.system(unescape(parts[start + 2], self.delimiters).strip()) for start in (0, 3, 9)}
        sent = systems[0]
        if sent == found.system or (sent and found.source and sent != found.source):
            return False
        if any(systems[start] == found.system and parts[start] for start in (3, 9)):
            # The sender has translated it already.
            return False
        room = next((start for start in (3, 9) if not any(parts[start : start + 3])), None)
        if room is None:
            return False
        source = parts[2] or escape(found.source, self.delimiters)
        parts[room : room + 3] = [*parts[:2], source]
        parts[7 if room == 3 else 12] = parts[6]
        parts[:3] = [escape(one, self.delimiters) for one in (found.code, found.display, found.system)]
        parts[6] = ""
        while not parts[-1]:
            parts.pop()
        return True

    def _copy(self, change: Copy) -> None:
        """Each target takes from the source that follows it before the next target, else from the first one."""
        places = [number for number, line in enumerate(self.lines) if line[0] == change.target.segment]
        sources = [number for number, line in enumerate(self.lines) if line[0] == change.source.segment]
        if not sources:
            return
        for number, place in enumerate(places):
            end = places[number + 1] if number + 1 < len(places) else len(self.lines)
            within = [source for source in sources if place <= source < end]
            source = self.lines[within[0] if within else sources[0]]
            value = self._get(source, change.source)
            if not value:
                continue
            there = self._get(self.lines[place], change.target)
            cut = self.delimiters.repetition
            if change.add and there and cut and not change.target.component:
                value = f"{there}{cut}{value}"
            self._set(self.lines[place], change.target, value)
        if change.move:
            for source_number in sources:
                if self._get(self.lines[source_number], change.source):
                    self._set(self.lines[source_number], change.source, "")
