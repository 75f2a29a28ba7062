"""A segment of a message, and what it is cut into when asked: fields, repetitions, components, subcomponents.

Everything is kept as it was sent. https://www.hl7.eu/HL7v2x/v281/std281/ch02.html, "2.5.5 Message delimiters"
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from hl7_gateway.escapes import unescape
from hl7_gateway.problems import Malformed

NULL: Final = '""'
"""A field that is to be deleted, as distinct from one that is empty and stays as it is."""

_HEADERS: Final = frozenset({"MSH", "FHS", "BHS"})
"""Segments that begin with the delimiters: their field 1 is the separator itself."""

_ENDS: Final = re.compile(r"\r\n|\r|\n")

AROUND: Final = "\ufeff\x00\x1a\r\n\t "
"""What senders leave around a message: line ends, a byte order mark, the end of a C string or of a file."""


@dataclass(frozen=True, slots=True)
class Delimiters:
    """What separates the parts of this message; "" where the sender declared none.

    ``sub`` holds field, repetition, component and subcomponent separators in this order.
    """

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    truncation: str = ""

    @property
    def encoding(self) -> str:
        """As MSH-2 says them."""
        return self.component + self.repetition + self.escape + self.subcomponent + self.truncation


class Value:
    """A repetition of a field, a component, or a subcomponent: a text, and what it is cut by.

    ``level`` 0 is a repetition, 1 a component, 2 a subcomponent. A value is false where it is empty.
    """

    __slots__ = ("_parts", "delimiters", "level", "raw")

    def __init__(self, raw: str, delimiters: Delimiters, level: int = 0) -> None:
        self.raw = raw
        self.delimiters = delimiters
        self.level = level
        self._parts: list[str] | None = None

    def __bool__(self) -> bool:
        return bool(self.raw)

    def __repr__(self) -> str:
        # Values are of patients; a traceback or a log line must not carry them.
        return f"Value(level {self.level}, {len(self.raw)} characters)"

    @property
    def null(self) -> bool:
        """Whether it is to be deleted."""
        return self.raw == NULL

    @property
    def text(self) -> str:
        """The text of its first subcomponent, with its escapes resolved; "" for what is empty or to be deleted."""
        raw = self.raw
        if self.level < 1 and self.delimiters.component:
            raw = raw.partition(self.delimiters.component)[0]
        if self.level < 2 and self.delimiters.subcomponent:
            raw = raw.partition(self.delimiters.subcomponent)[0]
        return "" if raw == NULL else unescape(raw, self.delimiters)

    @property
    def whole(self) -> str:
        """All of it as one text, with its escapes resolved: for types that have no components."""
        return "" if self.null else unescape(self.raw, self.delimiters)

    def component(self, number: int) -> Value:
        """Part ``number`` (from 1) of the next level; empty where there are not so many.

        A subcomponent has itself as its only part, as has a component that is not cut.
        """
        if self._parts is None:
            cut = self.delimiters.component if self.level == 0 else self.delimiters.subcomponent
            self._parts = self.raw.split(cut) if cut and self.level < 2 else [self.raw]
        raw = self._parts[number - 1] if number <= len(self._parts) else ""
        return Value(raw, self.delimiters, self.level + 1 if self.level < 2 else 2)

    def part(self, number: int) -> str:
        """The text of component ``number``, as component(number).text tells it, at less cost."""
        if self._parts is None:
            cut = self.delimiters.component if self.level == 0 else self.delimiters.subcomponent
            self._parts = self.raw.split(cut) if cut and self.level < 2 else [self.raw]
        raw = self._parts[number - 1] if number <= len(self._parts) else ""
        if not raw:
            return ""
        if self.level < 1 and self.delimiters.subcomponent:
            raw = raw.partition(self.delimiters.subcomponent)[0]
        return "" if raw == NULL else unescape(raw, self.delimiters)

    @property
    def count(self) -> int:
        """How many parts there are, empty ones included."""
        cut = self.delimiters.component if self.level == 0 else self.delimiters.subcomponent
        return self.raw.count(cut) + 1 if cut and self.level < 2 else 1


class Segment:
    """A line of a message.

    ``name`` is its three letters, ``position`` its place in the message (from 0), ``number`` which one of its name it
    is (from 1).
    """

    __slots__ = ("_fields", "delimiters", "name", "number", "position", "raw")

    def __init__(self, raw: str, delimiters: Delimiters, position: int, number: int) -> None:
        self.raw = raw
        self.delimiters = delimiters
        self.name = raw[:3]
        self.position = position
        self.number = number
        self._fields: list[str] | None = None

    def __repr__(self) -> str:
        return f"Segment({self.name}[{self.number}])"

    @property
    def fields(self) -> list[str]:
        """Its fields as they were sent, by their numbers; 0 is its name."""
        if self._fields is None:
            separator = self.delimiters.field
            if self.name in _HEADERS:
                # A header is answered and logged: a line that was lost behind it must not be taken for a part of it.
                self._fields = self.raw.partition("\n")[0].split(separator)
                self._fields.insert(1, separator)
            else:
                self._fields = self.raw.split(separator)
        return self._fields

    def __getitem__(self, number: int) -> str:
        """Field ``number`` as it was sent, "" where it was not."""
        fields = self._fields if self._fields is not None else self.fields
        return fields[number] if number < len(fields) else ""

    def __len__(self) -> int:
        """The number of its last field."""
        return len(self.fields) - 1

    def repetitions(self, number: int) -> list[Value]:
        """The repetitions of a field, empty ones among them where they were sent; none where the field is empty."""
        raw = self[number]
        if not raw:
            return []
        delimiters = self.delimiters
        if self.name in _HEADERS and number <= 2:
            return [Value(raw, _UNCUT)]
        cut = delimiters.repetition
        if cut and cut in raw:
            return [Value(one, delimiters) for one in raw.split(cut)]
        return [Value(raw, delimiters)]

    def first(self, number: int) -> Value:
        """The first repetition of a field, empty where there is none."""
        found = self.repetitions(number)
        return found[0] if found else Value("", self.delimiters)

    def text(self, field: int, component: int = 1, subcomponent: int = 1) -> str:
        """The text at PID-5.1.1 and the like, of the first repetition.

        What ``first(field).component(component).component(subcomponent).text`` tells, without a Value for each step.
        """
        fields = self._fields if self._fields is not None else self.fields
        raw = fields[field] if field < len(fields) else ""
        if raw.isalnum():
            # Cut by nothing: delimiters are punctuation.
            return raw if component == subcomponent == 1 else ""
        if not raw:
            return ""
        delimiters = self.delimiters
        if field <= 2 and self.name in _HEADERS:
            return self.first(field).component(component).component(subcomponent).text
        if delimiters.repetition and delimiters.repetition in raw:
            raw = raw.partition(delimiters.repetition)[0]
        for cut, number in ((delimiters.component, component), (delimiters.subcomponent, subcomponent)):
            if cut and cut in raw:
                parts = raw.split(cut, number)
                raw = parts[number - 1] if number <= len(parts) else ""
            elif number > 1:
                return ""
        return "" if raw == NULL else unescape(raw, delimiters)


_UNCUT: Final = Delimiters("", "", "", "", "")


def read_delimiters(text: str) -> Delimiters:
    """The delimiters that a message declares in MSH-1 and MSH-2. Raises Malformed where it declares none.

    Fewer than four may be declared (older senders leave the subcomponent out), or five with the truncation character.
    """
    text = text[:100].lstrip(AROUND)
    # Up to the end of MSH-2: most messages declare what others have declared before them.
    return _declared(text[: text.find(text[3:4], 4) + 1] or text)


@lru_cache(maxsize=256)
def _declared(text: str) -> Delimiters:
    if text[:3] != "MSH" or len(text) < 5:
        raise Malformed("The message does not begin with an MSH segment and its delimiters, as in MSH|^~\\&|.")
    field = text[3]
    encoding = _ENDS.split(text[4:80], maxsplit=1)[0].partition(field)[0]
    if field.isalnum() or field.isspace() or not 1 <= len(encoding) <= 5:
        raise Malformed("MSH-1 and MSH-2 must name the delimiters, as in MSH|^~\\&|.")
    known = (field, *encoding)
    if len(set(known)) != len(known) or any(one.isalnum() or one.isspace() for one in known):
        raise Malformed("The delimiters in MSH-1 and MSH-2 must be different punctuation characters, as in |^~\\&.")
    parts = [*encoding, "", "", "", ""][:5]
    return Delimiters(field, *parts)
