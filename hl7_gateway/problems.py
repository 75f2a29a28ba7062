"""What can be wrong with a message, told by HL7 table 0357 and the place where it is. https://terminology.hl7.org/CodeSystem-v2-0357.html

Hl7Error
  Malformed           no message at all: no MSH, no delimiters
  Refused             a message that this feed does not take: an AR or AE with its code and place
"""

from __future__ import annotations

from dataclasses import dataclass


class Hl7Error(Exception):
    """A message that cannot be taken as it is. What it says never quotes the message."""


class Malformed(Hl7Error):
    """Bytes that are no message of HL7 v2."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a message: as ERR-2 tells it. Numbers count from 1; 0 means that the place is not so exact."""

    segment: str
    number: int = 1
    field: int = 0
    repetition: int = 0
    component: int = 0
    subcomponent: int = 0

    def __str__(self) -> str:
        """PID-3.4, OBX[2]-5[3].1"""
        text = self.segment if self.number == 1 else f"{self.segment}[{self.number}]"
        if self.field:
            text += f"-{self.field}"
        if self.repetition > 1:
            text += f"[{self.repetition}]"
        if self.component:
            text += f".{self.component}"
        if self.subcomponent:
            text += f".{self.subcomponent}"
        return text


class Refused(Hl7Error):
    """A message that is not taken.

    ``code`` is of table 0357 (101 required field missing), ``acknowledgment`` AE or AR (table 0008), ``place`` where it
    is wrong, ``said`` what would be right.
    """

    def __init__(self, code: int, acknowledgment: str, place: Place | None, said: str) -> None:
        self.code = code
        self.acknowledgment = acknowledgment
        self.place = place
        self.said = said
        super().__init__(f"{place}: {said}" if place else said)
