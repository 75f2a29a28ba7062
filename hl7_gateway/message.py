"""A message of HL7 v2 in memory: cut into segments at once, into anything smaller when asked.

Everything is kept as it was sent, unknown segments too; nothing is required but an MSH that names its delimiters.
https://www.hl7.eu/HL7v2x/v281/std281/ch02.html, "2.5.5 Message delimiters"
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final, TypeVar, cast

from hl7_gateway.problems import Malformed
from hl7_gateway.segment import AROUND, read_delimiters
from hl7_gateway.segment import NULL as NULL
from hl7_gateway.segment import Delimiters as Delimiters
from hl7_gateway.segment import Segment as Segment
from hl7_gateway.segment import Value as Value

T = TypeVar("T")

_LONG: Final = 1_000_000
_PARTS: Final = 2_000_000
"""How many parts a message of more than ``_LONG`` characters may have: each costs some 60 bytes when it is cut."""


class Heading:
    """What an MSH says but for its time, control id and number: most messages of a sender say one of a few.

    Texts as `Segment.text` tells them, of MSH-3, 4, 9.1 to 9.3, 11, 12, 15 and 16; ``segment`` is the MSH without what
    is its own. One object stands for all that say the same, as long as it is remembered.
    """

    __slots__ = (
        "_noted",
        "accept",
        "answer",
        "application",
        "event",
        "facility",
        "message_type",
        "processing_id",
        "segment",
        "structure",
        "version",
    )

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.application, self.facility = segment.text(3), segment.text(4)
        self.message_type, self.event, self.structure = (segment.text(9, component) for component in (1, 2, 3))
        self.processing_id, self.version = segment.text(11), segment.text(12)
        self.accept, self.answer = segment.text(15), segment.text(16)
        self._noted: dict[object, object] = {}

    def noted(self, tell: Callable[[Heading], T]) -> T:
        """What ``tell`` tells of it, which is asked once."""
        if tell not in self._noted:
            self._noted[tell] = tell(self)
        return cast("T", self._noted[tell])


_OWN: Final = (6, 9, 12)
"""What is of one message only: MSH-7, 10 and 13, of which the separator between them is field 1."""

_LONGEST: Final = 500
"""Characters of a header that is remembered: what a sender makes up must not fill the memory."""


def heading(line: str) -> Heading:
    """The heading of an MSH as it was sent. Raises Malformed where there are no delimiters."""
    separator = line[3:4]
    if not separator:
        raise Malformed("MSH-1 and MSH-2 must name the delimiters, as in MSH|^~\\&|.")
    said = line.split(separator)
    for place in _OWN:
        if place < len(said):
            said[place] = ""
    raw = separator.join(said)
    return _heading(raw) if len(raw) <= _LONGEST else _heading.__wrapped__(raw)


@lru_cache(maxsize=2048)
def _heading(raw: str) -> Heading:
    return Heading(Segment(raw, read_delimiters(raw), 0, 1))


class Message:
    """A message: its segments in the order in which they were sent. ``text`` is the message without its frame.

    A line that does not begin like a segment belongs to the one before it: some senders leave line ends in a text.
    ``said`` is its heading, where it is known. Raises Malformed where there are no delimiters, or millions of parts.
    """

    __slots__ = ("_heading", "_named", "delimiters", "segments")

    def __init__(self, text: str, said: Heading | None = None) -> None:
        # A space at the end is left: it may be a field.
        text = text.lstrip(AROUND).rstrip("\x00\x1a\r\n")
        self.delimiters = delimiters = read_delimiters(text)
        if len(text) > _LONG:
            _refuse_crowds(text, delimiters)
        self._heading = said
        self.segments: list[Segment] = []
        self._named: dict[str, list[Segment]] = {}
        for raw in _lines(text, _beginning(delimiters.field)):
            named = self._named.setdefault(raw[:3], [])
            segment = Segment(raw, delimiters, len(self.segments), len(named) + 1)
            self.segments.append(segment)
            named.append(segment)

    def __iter__(self) -> Iterator[Segment]:
        return iter(self.segments)

    def all(self, name: str) -> list[Segment]:
        """Every segment of a name, in order."""
        return self._named.get(name, [])

    def first(self, name: str) -> Segment | None:
        """The first segment of a name, if there is one."""
        found = self._named.get(name)
        return found[0] if found else None

    @property
    def header(self) -> Segment:
        """MSH."""
        return self.segments[0]

    @property
    def heading(self) -> Heading:
        """What MSH says but for what is of this message only."""
        if self._heading is None:
            self._heading = heading(self.segments[0].raw.partition("\n")[0])
        return self._heading

    @property
    def message_type(self) -> str:
        """MSH-9.1: ADT."""
        return self.heading.message_type

    @property
    def event(self) -> str:
        """The trigger event, A04: MSH-9.2, or EVN-1 where a sender leaves it out."""
        event = self.heading.event
        if event:
            return event
        evn = self.first("EVN")
        return evn.text(1) if evn is not None else ""

    @property
    def structure(self) -> str:
        """MSH-9.3, "" where it was not sent; older versions have none."""
        return self.heading.structure

    @property
    def control_id(self) -> str:
        """MSH-10."""
        return self.header.text(10)

    @property
    def version(self) -> str:
        """MSH-12.1: 2.5.1."""
        return self.heading.version


def _lines(text: str, begins: re.Pattern[str]) -> list[str]:
    """The segments of a text; a line that does not begin like one belongs to the one before it."""
    if "\n" in text:
        text = text.replace("\r\n", "\r").replace("\n", "\r")
    found: list[str] = []
    rest: list[str] = []
    for line in text.split("\r"):
        if begins.match(line):
            if rest:
                found[-1] = "\n".join((found[-1], *rest)).rstrip("\n")
                rest = []
            found.append(line.lstrip(" \t"))
        elif found:
            rest.append(line)
    if rest:
        found[-1] = "\n".join((found[-1], *rest)).rstrip("\n")
    return found


@lru_cache(maxsize=64)
def _beginning(field: str) -> re.Pattern[str]:
    """How a segment begins: by three letters and the separator, or it is nothing but its name."""
    return re.compile(rf"[ \t]*(?:[A-Za-z][A-Za-z0-9]{{2}}{re.escape(field)}|[A-Z][A-Z0-9]{{2}} *\Z)")


def _refuse_crowds(text: str, delimiters: Delimiters) -> None:
    cuts = (delimiters.field, delimiters.component, delimiters.repetition, delimiters.subcomponent, "\r", "\n")
    if sum(text.count(cut) for cut in cuts if cut) > _PARTS:
        raise Malformed(f"The message has more than {_PARTS:,} fields and components.")
