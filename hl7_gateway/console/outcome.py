"""What a message would do, for a page: resource by resource, what goes and what comes. docs/hl7.md, "On a page" """

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from hl7_gateway.console.words import counted, listed
from hl7_gateway.replaying import Preview

_MOST: Final = 300
"""Lines of one resource that are shown."""

_NUMBER: Final = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Element:
    """A line of a difference: ``sign`` is - for what goes, + for what comes."""

    sign: str
    text: str


@dataclass(frozen=True, slots=True)
class Changed:
    """A resource that would be written, element by element; ``left`` counts those that are not shown."""

    name: str
    is_new: bool
    elements: tuple[Element, ...]
    left: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What would become of a message."""

    problem: str
    changed: tuple[Changed, ...]
    warnings: tuple[str, ...]
    newer: tuple[str, ...] = ()
    """What it would put in place of something that a later message has said."""


def outcome(preview: Preview) -> Outcome:
    """A preview as a page shows it: what goes stands before what comes in its place."""
    changed = []
    for name, (gone, new) in preview.changed.items():
        elements = sorted([*(Element("-", line) for line in gone), *(Element("+", line) for line in new)], key=_order)
        shown = tuple(elements[:_MOST])
        changed.append(Changed(name, name in preview.created, shown, len(elements) - len(shown)))
    newer = tuple(str(one) for one in preview.overtaken[:_MOST])
    return Outcome(said(preview), tuple(changed), tuple(preview.warnings), newer)


def _order(element: Element) -> tuple[str, tuple[int, ...], bool]:
    """By path, name[2] before name[10]."""
    path = element.text.partition(" = ")[0]
    return _NUMBER.sub("", path), tuple(int(one) for one in _NUMBER.findall(path)), element.sign == "+"


def said(preview: Preview) -> str:
    """Why a message would be a dead letter, "" for one that would be stored."""
    return "" if preview.problem is None else f"{preview.problem.code} {preview.problem}"


@dataclass(slots=True)
class Tally:
    """What would become of several messages, in numbers."""

    tried: int = 0
    stored: int = 0
    unchanged: int = 0
    overtaken: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    new: Counter[str] = field(default_factory=Counter)
    updated: Counter[str] = field(default_factory=Counter)

    def add(self, preview: Preview) -> None:
        """Count one of them."""
        self.tried += 1
        problem = said(preview)
        if problem:
            self.problems[problem] += 1
            return
        self.stored += 1
        told = outcome(preview)
        if not told.changed:
            self.unchanged += 1
        if told.newer:
            self.overtaken += 1
        for one in told.changed:
            (self.new if one.is_new else self.updated)[one.name.partition("/")[0]] += 1

    @property
    def dead(self) -> int:
        """How many would still be dead letters."""
        return self.tried - self.stored

    def lines(self) -> Iterable[str]:
        """The resources by type: "3 new Patients"."""
        for word, numbers in (("new", self.new), ("changed", self.updated)):
            if numbers:
                yield f"{word}: {listed(_of(numbers))}"


def _of(numbers: Mapping[str, int]) -> Iterable[str]:
    return (counted(number, name) for name, number in sorted(numbers.items()))
