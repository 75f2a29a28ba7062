"""Files and batches, taken apart into messages.

https://www.hl7.eu/HL7v2x/v281/std281/ch02.html, "2.10.3 HL7 batch protocol" """

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from hl7_gateway.problems import Malformed, Place
from hl7_gateway.wire.acknowledgment import Problem

_BOUNDARY: Final = re.compile(
    r"(?:\A|(?<=[\r\n]))[\ufeff \t]*(?:(FHS|BHS|MSH)(?=[^\w\s])|(BTS|FTS)(?=[^\w\s]|\s*[\r\n]|\s*\Z))"
)
_AROUND: Final = ("FHS", "BHS", "BTS", "FTS")
_MESSAGES: Final = 200_000
_PROBLEMS: Final = 100
"""How much of a file is kept: one that is nothing but trailers would fill the memory with what is wrong with it."""

_ENDS: Final = re.compile(r"[\r\n]")


@dataclass(slots=True)
class Batch:
    """The messages of a file in order, and what is wrong with the file around them."""

    messages: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def batched(text: str) -> bool:
    """Whether this is more than one message: a file, a batch, or messages one after another."""
    if text.startswith("MSH") and text.find("MSH", 3) < 0 and not any(name in text for name in _AROUND):
        return False
    found = _BOUNDARY.finditer(text)
    first = next(found, None)
    return first is not None and (first[1] != "MSH" or next(found, None) is not None)


def split(text: str) -> Batch:
    """Every message of a file or batch. Raises Malformed for hundreds of thousands of them.

    Headers and trailers may be missing; where there are any, what they count must be right.
    """
    batch = Batch()
    reading = _Reading(batch)
    for name, part in _parts(text):
        reading.take(name, part)
    reading.end()
    return batch


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """The stretches that begin with a header, a message or a trailer; what comes before them has no name."""
    begun, name = 0, ""
    for found in _BOUNDARY.finditer(text):
        if name or text[begun : found.start()].strip():
            yield name, text[begun : found.start()]
        name = found[1] or found[2]
        begun = found.start(1) if found[1] else found.start(2)
    if name or text[begun:].strip():
        yield name, text[begun:]


class _Reading:
    """How far a file is read: what is open, and how much has been seen since."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._separator = "|"
        self._numbers: dict[str, int] = {}
        self._open: list[str] = []
        self._messages = 0
        self._batches = 0

    def take(self, name: str, part: str) -> None:
        number = self._numbers[name] = self._numbers.get(name, 0) + 1
        place = Place(name, number) if name else None
        if name in ("FHS", "BHS", "MSH"):
            self._separator = part[3]
        if name == "MSH":
            if len(self._batch.messages) == _MESSAGES:
                raise Malformed(f"A file may have {_MESSAGES:,} messages; send the rest in another one.")
            self._messages += 1
            self._batch.messages.append(part.rstrip("\r\n") + "\r")
            return
        line, *rest = _ENDS.split(part, maxsplit=1)
        if not name or (rest and rest[0].strip()):
            self._wrong(100, place, "segments that are of no message: each message begins with MSH")
        if name == "BHS":
            self._close("BHS", place)
            self._open.append("BHS")
            self._messages = 0
        elif name == "FHS":
            self._close("FHS", place)
            self._open = ["FHS"]
            self._batches = self._messages = 0
        elif name == "BTS":
            self._trailer("BHS", line, place, self._messages, "messages of the batch")
            self._batches += 1
            self._messages = 0
        elif name == "FTS":
            self._close("BHS", place)
            self._trailer("FHS", line, place, self._batches, "batches of the file")

    def end(self) -> None:
        self._close("FHS", None)
        if not self._batch.messages:
            self._wrong(100, None, "there is no message")

    def _trailer(self, opening: str, line: str, place: Place | None, count: int, what: str) -> None:
        if opening in self._open:
            self._open = self._open[: self._open.index(opening)]
        else:
            self._wrong(100, place, f"its {opening} is missing")
        fields = line.split(self._separator, 2)
        said = fields[1].strip() if len(fields) > 1 else ""
        if said and said != str(count) and said.lstrip("0") != str(count):
            at = Place(place.segment, place.number, 1) if place is not None else None
            self._wrong(102, at, f"it must count the {what}, of which {count} came")

    def _close(self, opening: str, place: Place | None) -> None:
        """What was opened and not closed before something of its own level, or a higher one, begins."""
        if opening in self._open:
            index = self._open.index(opening)
            for name in reversed(self._open[index:]):
                trailer = name[0] + "TS"
                self._wrong(100, place, f"the {trailer} of a {name} is missing: the file may be cut off")
            self._open = self._open[:index]
        elif opening == "FHS" and self._open:
            self._close("BHS", place)

    def _wrong(self, code: int, place: Place | None, said: str) -> None:
        if len(self._batch.problems) < _PROBLEMS:
            self._batch.problems.append(Problem(code, place, said, "W"))
